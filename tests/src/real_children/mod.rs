//! Milters as administrators run them, each with a configuration of its own, cut off from the network.
//!
//! What such a milter has behind it (clamd, spamd) is started by itself: one serves many milters. Sockets, databases and
//! configurations are in the folder of the test; nothing of the system's own services is read but their programs and rules.

pub mod clamav;
pub mod opendkim;
pub mod rspamd;
pub mod spamassassin;

use std::process::Command;

use crate::require::program_path;

/// A command that runs `program` where there is no network, not even the loopback device: unix sockets are all it has.
/// The process is the program's own, so that signals reach it.
fn without_network(program: &str) -> Command {
    let mut command = Command::new(program_path("unshare"));
    command.arg("--net").arg(program_path(program));
    command
}
