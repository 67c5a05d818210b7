//! Programs that show what a milter does, without an MTA, and what it takes.
//!
//! ```text
//!   options ---> mail ---> dialogue (the MTA's side, pure, on core's Client) ---> report
//!                              |   ^
//!                              v   |
//!                          connection (sockets and time limits)
//!
//!   mails -----> smtp (a client, pure), or dialogue ---> load (many at once, counted and timed) ---> report
//! ```

pub mod connection;
pub mod dialogue;
pub mod flags;
pub mod general_number;
pub mod json;
pub mod load;
pub mod macro_sets;
pub mod mail;
pub mod mail_file;
pub mod mask;
pub mod outcome;
pub mod performance_check;
pub mod program;
pub mod record;
pub mod replay;
pub mod report;
pub mod smtp;
pub mod test_client;
pub mod test_server;
pub mod timeline;
pub mod trace;

/// The largest frame that is taken from a peer, in bytes.
pub(crate) const FRAME_LIMIT: usize = 64 << 20;
