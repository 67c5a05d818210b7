//! Millstream's smallest runtime: a few operating system threads, each an event loop, each session pinned to one loop.
//!
//! The runtime moves bytes and time for the machines of a [`Service`] and knows nothing about milters; what it owes
//! them is written in [`millstream_core::machine`]. A program binds its listeners, drops its privileges and calls
//! [`Server::start`].
//!
//! ```text
//!   loop 0: acceptor --(session)--> the loop with the fewest sessions
//!                                      |
//!     poll -> readiness noted in links -> inputs of other threads (mailbox) -> due timers
//!          -> a bounded turn for each session with something to do:  connect, write, read, tick
//! ```
//!
//! Why `mio` and not `polling`: a wait costs one system call instead of five (`polling` sets a timerfd, clears an
//! eventfd and re-arms both around each `epoll_wait`), registering needs no `unsafe`, and it needs no C compiler either.
//! Events are edge-triggered: readiness is a flag in each link, so that back-pressure costs no system call and a peer
//! that hangs up while its machine does not want input cannot make a loop spin.
//!
//! | file | what it is |
//! |---|---|
//! | `server` | the public door: start, stop, join |
//! | `event_loop` | one thread: poll, messages, timers, turns |
//! | `acceptor` | listeners, the session limit, exhausted descriptors |
//! | `session`, `link` | one machine with its connections |
//! | `context` | the parts of a loop that its sessions use |
//! | `connect`, `read`, `write` | what a session does with a connection |
//! | `kept` | connections that wait for the next session |
//! | `mailbox` | what other threads send to a loop |
//! | `spill` | the thread for files |
//! | `buffer` | reading into uninitialised memory |
//! | `socket`, `error`, `routes`, `timers`, `clock`, `caught` | small parts |

mod acceptor;
mod buffer;
mod caught;
mod clock;
mod connect;
mod context;
mod error;
mod event_loop;
mod kept;
mod link;
mod mailbox;
mod read;
mod routes;
mod server;
mod session;
mod socket;
mod spill;
mod timers;
mod write;

pub use server::{Handle, Listener, Options, Server, Stopped};

#[doc(no_inline)]
pub use millstream_core::service::Service;
