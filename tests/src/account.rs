//! The accounts of the machine.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

/// The numbers of an account: its user and its first group.
///
/// # Panics
/// When there is no such account.
#[must_use]
pub fn numbers(account: &str) -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("there are users");
    users
        .lines()
        .find_map(|line| {
            let mut fields = line.strip_prefix(account)?.strip_prefix(':')?.split(':').skip(1);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .unwrap_or_else(|| panic!("there is no account {account}"))
}

/// Gives a file or folder to an account.
///
/// # Panics
/// When there is no such account, or it cannot be given.
pub fn give_to(account: &str, path: &Path) {
    let (user, group) = numbers(account);
    chown(path, Some(user), Some(group)).expect("root can give a folder away");
}
