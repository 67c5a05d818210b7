//! What a test needs from the machine, and what happens when it is not there.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Whether everything is there: root's rights and each of `programs` (a name looked up in the usual folders, or a file).
///
/// Missing things fail the test where `CI` is set. Elsewhere a line `SKIPPED: ...` goes to the real standard error, past
/// cargo's capture, where `./check` collects it, and the test is expected to return.
///
/// # Panics
/// When something is missing and `CI` is set.
#[must_use = "the test has to return when this is false"]
pub fn available(test: &str, programs: &[&str]) -> bool {
    let mut missing: Vec<String> = Vec::new();
    if !is_root() {
        missing.push("root's rights".to_owned());
    }
    missing.extend(programs.iter().filter(|name| program(name).is_none()).map(|name| (*name).to_owned()));
    if missing.is_empty() {
        return true;
    }
    let why = format!("SKIPPED: {test}: needs {}", missing.join(", "));
    assert!(env::var_os("CI").is_none(), "{why}");
    // One write, so that lines of parallel tests do not mix. Nothing can be done about a closed standard error.
    let _ = io::stderr().lock().write_all(format!("{why}\n").as_bytes());
    false
}

/// Where a program is: in `PATH` or in the folders for administrators, which are not in everybody's `PATH`.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Path::new(name).is_file().then(|| PathBuf::from(name));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The same, for what [`available`] has promised.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn program_path(name: &str) -> PathBuf {
    program(name).unwrap_or_else(|| panic!("{name} is not installed"))
}

/// Whether this process is root, read from what the system says about it.
#[must_use]
pub fn is_root() -> bool {
    fs::read_to_string("/proc/self/status")
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().nth(1))
        == Some("0")
}
