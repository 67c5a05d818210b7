//! opendkim: signs what comes from its own domain, and verifies the rest.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::dkim::Key;
use crate::process::Process;
use crate::require::program_path;

/// What has to be installed.
pub const NEEDS: &[&str] = &["opendkim", "opendkim-genkey"];

/// What it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Signs for [`Key::DOMAIN`].
    Sign,
    /// Signs for [`Key::DOMAIN`] and says what it thinks of everybody else's signatures. It knows the key of
    /// [`Key::OTHER_DOMAIN`] from a file instead of DNS.
    SignAndVerify,
}

/// Starts it on `socket`, its other files beside that. The caller waits until it listens.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn start(name: &str, socket: &Path, key: &Key, mode: Mode) -> Process {
    let configuration = socket.with_extension("conf");
    let mut text = format!(
        "Domain {}\nSelector {}\nKeyFile {}\nSocket local:{}\nUMask 000\nUserID root\n\
         InternalHosts 127.0.0.1\nBackground no\nSyslog no\nAutoRestart no\n",
        Key::DOMAIN,
        Key::SELECTOR,
        key.private.display(),
        socket.display()
    );
    match mode {
        Mode::Sign => text.push_str("Mode s\n"),
        Mode::SignAndVerify => {
            let keys = socket.with_extension("keys");
            fs::write(&keys, format!("{}._domainkey.{} {}\n", Key::SELECTOR, Key::OTHER_DOMAIN, key.record))
                .expect("a file of keys can be written");
            text.push_str(&format!("Mode sv\nTestPublicKeys {}\nAlwaysAddARHeader yes\n", keys.display()));
        }
    }
    fs::write(&configuration, text).expect("opendkim.conf can be written");
    let mut command = Command::new(program_path("opendkim"));
    command.arg("-x").arg(&configuration).arg("-f");
    Process::start(name, &mut command, &socket.with_extension("output"))
}
