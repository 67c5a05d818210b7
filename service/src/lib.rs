//! How a program that serves begins, with the same promises whichever program it is.
//!
//! ```text
//!   background (with --daemon) ──> listen ──> privileges ──> pid_file ──> it serves
//!   who waits at the terminal      as root,   root is given  as the user  the word goes to
//!   hears what is in the way       no byte    up for good                 the terminal
//!                                  is read
//! ```
//!
//! Texts name the settings where the administrator makes them, which each program knows: [`Settings`].

#![forbid(unsafe_code)]

mod accept;
mod background;
mod complaint;
mod help;
mod listen;
mod options;
mod pid_file;
mod privileges;
mod socket_mode;

pub use accept::{Acceptor, Listener};
pub use background::{Behind, DETACHED, start_behind};
pub use complaint::complaint;
pub use help::{help, usage, with_help};
pub use listen::{Bound, ListenError, SocketFile, UnixPlace, listen, listen_unix};
pub use options::{ServiceOptions, absolute_path};
pub use pid_file::{PidFile, PidFileError};
pub use privileges::{Identity, PrivilegeError, Wish, find_user};
pub use socket_mode::parse as parse_socket_mode;

/// What a program's settings are called, for texts that say what to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The program itself.
    pub program: &'static str,
    /// Where it listens.
    pub connection_spec: &'static str,
    /// Which group may use its unix socket.
    pub unix_socket_group: &'static str,
    /// Whether a unix socket that is there already is removed.
    pub remove_unix_socket_on_create: &'static str,
    /// Where the process id is written.
    pub pid_file: &'static str,
    /// The user as whom it serves.
    pub user: &'static str,
    /// The group as which it serves.
    pub group: &'static str,
}

#[cfg(test)]
const SETTINGS: Settings = Settings {
    program: "milter-manager",
    connection_spec: "manager.connection_spec",
    unix_socket_group: "manager.unix_socket_group",
    remove_unix_socket_on_create: "manager.remove_unix_socket_on_create",
    pid_file: "manager.pid_file",
    user: "security.effective_user",
    group: "security.effective_group",
};
