//! Millstream's smallest runtime: a few operating system threads, each an event loop, each session pinned to one loop.
//!
//! What loops do is in [`millstream_runtime`]; here is what they wait with. A program binds its listeners, drops its
//! privileges and calls [`start`].
//!
//! Why `mio` and not `polling`: a wait costs one system call instead of five (`polling` sets a timerfd, clears an
//! eventfd and re-arms both around each `epoll_wait`), registering needs no `unsafe`, and it needs no C compiler either.
//! Events are edge-triggered, so that nothing is asked of the poller while bytes flow.
//!
//! | file | what it is |
//! |---|---|
//! | `poller` | registering sockets with `mio` |
//! | `threads` | one thread: poll, note, pass |

mod poller;
mod threads;

use std::io;
use std::sync::Arc;

pub use millstream_runtime::{Handle, Listener, Options, Server, Service, Stopped};

use threads::Threads;

/// Starts event loops and accepts connections from `listeners` for `service`. With [`Options::loops`] left at 0 there is
/// one for each core, at most 4. On Linux a stop may be asked for in a signal handler: it writes to eventfds.
///
/// # Errors
///
/// The operating system gives no poller, no thread, or does not let a listener be watched.
pub fn start<S: Service>(listeners: Vec<Listener>, service: Arc<S>, options: Options) -> io::Result<Server> {
    Server::start::<Threads, S>(listeners, service, options)
}
