//! Millstream on smol's reactor ([`async_io`]): each event loop is a future, run by a thread of its own.
//!
//! What loops do is in [`millstream_runtime`]; here is what they wait with. A program binds its listeners, drops its
//! privileges and calls [`start`].
//!
//! ```text
//!   the reactor: whichever thread has nothing to do waits in it for all (epoll, kqueue, event ports)
//!      | a socket is ready: its waker
//!      v
//!   inbox of a loop: which sockets, on which side --> note, pass --> ask about the sockets that had nothing more
//! ```
//!
//! A session is a machine and not a future, so no executor is needed: sessions do not wait, their loop does, and it knows
//! by name which of its connections is ready. Of smol this takes the reactor alone.
//!
//! What that costs beside `runtime-std`: the reactor reports once for each question, so that each time a socket had nothing
//! more takes one system call, and each wait takes some of its own; and it is one for the process, whose threads pass on
//! what they find to each other. In return everything that runs on smol's reactor can share the process with us.
//!
//! | file | what it is |
//! |---|---|
//! | `poller` | asking the reactor about sockets |
//! | `threads` | one thread: note, pass, wait |
//!
//! Unix: Linux, FreeBSD, macOS and what else `async-io` knows. Nothing here is made for one of them.

mod poller;
mod threads;

use std::io;
use std::sync::Arc;

pub use millstream_runtime::{Handle, Listener, Options, Server, Service, Stopped};

use threads::Threads;

/// Starts event loops and accepts connections from `listeners` for `service`. With [`Options::loops`] left at 0 there is
/// one for each core. A stop takes a lock: it must not be asked for in a signal handler.
///
/// # Errors
///
/// The operating system gives no thread, or does not let a listener be watched.
pub fn start<S: Service>(listeners: Vec<Listener>, service: Arc<S>, options: Options) -> io::Result<Server> {
    Server::start::<Threads, S>(listeners, service, options)
}
