//! What all runtimes of Millstream have in common, which is nearly everything: event loops, each with its sessions, its pool
//! of connections to children and its timers; the acceptor; files; start and stop.
//!
//! The loops move bytes and time for the machines of a [`Service`] and know nothing about milters; what they owe them is
//! written in [`millstream_core::machine`]. A runtime adds a [`Poller`] for the sockets of a loop and a [`Runtime`] that
//! runs the loop on a thread. Everything is static: a runtime and its poller are type parameters, and no operation on a
//! connection allocates.
//!
//! ```text
//!   loop 0: acceptor --(descriptor)--> the loop with the fewest sessions
//!                                         |
//!     the runtime waits -> readiness noted in links -> a pass: inputs of other threads (mailbox) -> due timers
//!          -> a bounded turn for each session with something to do:  connect, write, read, tick
//!          -> what many sessions have to write is written together, where that can be had, and they go on
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `poller` | what a runtime has to bring |
//! | `server`, `options` | the public door: start, stop, join |
//! | `shared` | what all loops of a server know |
//! | `event_loop` | one pass: messages, timers, turns |
//! | `acceptor` | listeners, the session limit, exhausted descriptors |
//! | `session`, `link`, `wire` | one machine with its connections |
//! | `context` | the parts of a loop that its sessions use |
//! | `connect`, `read`, `write` | what a session does with a connection |
//! | `together`, `ring` | what many sessions have to write, with one system call |
//! | `kept` | connections that wait for the next session |
//! | `burst`, `heap` | memory goes back to the system after many sessions |
//! | `code` | and what a start has mapped of the program |
//! | `mailbox` | what other threads send to a loop |
//! | `inbox` | what a reactor says to a loop that is a future |
//! | `spill` | the thread for files |
//! | `buffer` | reading into uninitialised memory |
//! | `descriptor`, `error`, `routes`, `timers`, `clock`, `caught` | small parts |
//!
//! Unix only. What only Linux has is marked where it is used, with another way beside it.

mod acceptor;
mod buffer;
mod burst;
mod caught;
mod clock;
mod code;
mod connect;
mod context;
pub mod descriptor;
mod error;
mod event_loop;
mod heap;
mod inbox;
mod kept;
mod link;
mod mailbox;
mod options;
mod poller;
mod read;
mod ring;
mod routes;
mod server;
mod session;
mod shared;
mod spill;
mod timers;
mod together;
mod wire;
mod write;

pub use buffer::{Received, receive};
pub use code::let_go_of_code;
pub use event_loop::{EventLoop, Next};
pub use inbox::{Inbox, Side, bell_for};
pub use mailbox::Described;
pub use options::{Listener, Options};
pub use poller::{Interest, Poller, Readiness, Runtime, Token};
pub use read::READ_SIZE;
pub use server::{Handle, Launch, Server, Stopped};

#[doc(no_inline)]
pub use millstream_core::{service::Service, time::Instant};
