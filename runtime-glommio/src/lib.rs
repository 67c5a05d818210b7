//! Millstream on io_uring, with `glommio`: one executor for each core, pinned to it, each with one event loop. Linux only.
//!
//! What loops do is in [`millstream_runtime`]; here is what they wait with. A program binds its listeners, drops its
//! privileges, asks [`probe`] whether io_uring can be had, and calls [`start`].
//!
//! ```text
//!   executor: submits polls and waits in one system call, wakes who has something
//!      | a socket is ready: its waker
//!      v
//!   inbox of the loop: which sockets, on which side --> note, pass --> ask about the sockets that had nothing more
//! ```
//!
//! The acceptor is on the first loop and hands descriptors to the loop with the fewest sessions; from then on a session
//! does not leave its core. Nothing is read ahead by the kernel: `glommio` asks io_uring when a socket is ready and then
//! reads without waiting, so that giving up a question loses nothing.
//!
//! | file | what it is |
//! |---|---|
//! | `executor` | one thread: note, pass, wait |
//! | `poller` | asking the executor about sockets |
//! | `watched` | a socket as `glommio` knows it |
//! | `probe` | whether io_uring can be had |

#![cfg(target_os = "linux")]

mod executor;
mod poller;
mod probe;
mod watched;

use std::io;
use std::sync::Arc;

pub use millstream_runtime::{Handle, Listener, Options, Server, Service, Stopped};
pub use probe::{Unusable, probe};

use executor::Executors;

/// Starts event loops and accepts connections from `listeners` for `service`. With [`Options::loops`] left at 0 there is
/// one for each core that we may use. A stop takes a lock: it must not be asked for in a signal handler.
///
/// # Errors
///
/// The operating system gives no thread or no io_uring, or does not let a listener be watched.
pub fn start<S: Service>(listeners: Vec<Listener>, service: Arc<S>, options: Options) -> io::Result<Server> {
    Server::start::<Executors, S>(listeners, service, options).map_err(|error| explained(&error))
}

/// What was there for the probe may be gone, and each loop takes as much again: memory that may be locked is counted for all
/// processes of a user.
fn explained(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), probe::reason(error))
}
