//! clamd with a single signature, and clamav-milter.

use std::fs;
use std::path::Path;

use super::without_network;
use crate::process::Process;

/// What has to be installed.
pub const NEEDS: &[&str] = &["clamd", "clamav-milter", "unshare"];

/// The text that every virus scanner takes for a virus, in two parts: this file is not to be taken for one.
pub const EICAR: [&str; 2] = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"];

/// What it is called in our database, which has it only.
pub const VIRUS: &str = "EICAR-Test";

/// Starts clamd on `socket`, its other files beside that. The caller waits until it listens.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn start_clamd(socket: &Path) -> Process {
    let database = socket.with_extension("database");
    fs::create_dir_all(&database).expect("a folder can be made");
    let signature: String = EICAR.concat().bytes().map(|byte| format!("{byte:02x}")).collect();
    fs::write(database.join("eicar.ndb"), format!("{VIRUS}:0:*:{signature}\n"))
        .expect("a database can be written");
    let configuration = socket.with_extension("conf");
    fs::write(
        &configuration,
        format!(
            "LocalSocket {}\nLocalSocketMode 666\nDatabaseDirectory {}\nUser root\nForeground yes\n\
             TemporaryDirectory {}\nFixStaleSocket yes\nMaxThreads 4\nCommandReadTimeout 60\n",
            socket.display(),
            database.display(),
            socket.parent().expect("a socket is in a folder").display()
        ),
    )
    .expect("clamd.conf can be written");
    let mut command = without_network("clamd");
    command.arg("--config-file").arg(&configuration);
    Process::start("clamd", &mut command, &socket.with_extension("output"))
}

/// What clamav-milter does with a virus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInfected {
    /// Refuses the message.
    Reject,
    /// Has the MTA hold it: what Debian's configuration says.
    Quarantine,
}

/// Starts clamav-milter on `socket`, with clamd on another. The caller waits until it listens itself.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn start_milter(socket: &Path, clamd: &Path, on_infected: OnInfected) -> Process {
    let configuration = socket.with_extension("conf");
    fs::write(
        &configuration,
        format!(
            "MilterSocket {}\nMilterSocketMode 666\nFixStaleSocket yes\nClamdSocket unix:{}\nUser root\n\
             Foreground yes\nOnInfected {on_infected:?}\nRejectMsg clamav: %v\nOnFail Defer\nAddHeader Replace\n\
             LogInfected Basic\nTemporaryDirectory {}\n",
            socket.display(),
            clamd.display(),
            socket.parent().expect("a socket is in a folder").display()
        ),
    )
    .expect("clamav-milter.conf can be written");
    let mut command = without_network("clamav-milter");
    command.arg("--config-file").arg(&configuration);
    Process::start("clamav-milter", &mut command, &socket.with_extension("output"))
}
