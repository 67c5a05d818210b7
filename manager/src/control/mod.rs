//! The control socket: what an administrator can ask a running manager, and have it do.
//!
//! ```text
//!   milter-manager --control status                 the manager
//!
//!   client.rs ---- COMMAND NUL DATA ----> server.rs ---- desk.rs: what is known, as text or JSON
//!             <---- REPLY NUL TEXT ------    |
//!                                            +---- SIGHUP to ourselves: the loop of signals reloads, and answers
//! ```
//!
//! The frames are those of milter manager's controller: a length of four bytes, big end first, then the payload. Its
//! commands are answered, too.

mod children;
mod client;
mod desk;
mod outcomes;
mod reload;
mod server;
mod sessions;
mod status;
mod wire;

use clap::ValueEnum;

pub(crate) use client::run;
pub(crate) use desk::Desk;
pub(crate) use outcomes::Outcomes;
pub(crate) use reload::{Loads, Reloads};
pub(crate) use server::start;

/// What can be asked for at the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Command {
    /// Load the configuration again, and say what is wrong with it
    Reload,
    /// What runs, since when, and with which configuration
    Status,
    /// The configuration that holds
    Config,
    /// How each milter stands
    Children,
    /// The sessions that run
    Sessions,
}

/// How an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

impl Command {
    /// Its name on the wire.
    const fn name(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Status => "status",
            Self::Config => "config",
            Self::Children => "children",
            Self::Sessions => "sessions",
        }
    }

    /// The command of a name, which may be milter manager's own.
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"reload" => Some(Self::Reload),
            b"status" | b"get-status" => Some(Self::Status),
            b"config" | b"get-configuration" => Some(Self::Config),
            b"children" => Some(Self::Children),
            b"sessions" => Some(Self::Sessions),
            _ => None,
        }
    }

    /// The name of the answer to it, where it is one of its own.
    const fn reply(self) -> &'static str {
        match self {
            Self::Reload => "success",
            Self::Config => "configuration",
            Self::Status | Self::Children | Self::Sessions => "status",
        }
    }
}
