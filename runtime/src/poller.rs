//! What a runtime adds to this crate: a poller for the sockets of a loop, and a thread for the loop to run on.
//!
//! A loop keeps for each socket whether it may be read from and written to. The flags stay set until the kernel said that
//! there is nothing more, so that back-pressure costs nothing and a peer that hangs up while its machine does not want
//! input cannot make a loop spin. The poller is told each time a flag goes down, and reports when to set it again:
//!
//! | poller | [`await_readable`](Poller::await_readable), [`await_writable`](Poller::await_writable) |
//! |---|---|
//! | edge-triggered, as `mio` | nothing to do, or begin to watch |
//! | one report for one question, as `async-io` | ask |
//! | completions, as `io_uring` | begin to poll, or to read; what was read stays with the socket until it is received |
//!
//! A report may be late or wrong. It is never lost: a socket that was asked about and has something is reported. Where it may
//! be late ([`LAGS`](Poller::LAGS)) a session tries its connections before a timer of its own fires: a reply that lies in
//! a socket must not time out because the loop was busy or the process was paused.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::task::Waker;

use bytes::BytesMut;
use millstream_core::machine::IoError;
use millstream_core::pool::Address;
use millstream_core::service::Service;

use crate::buffer::{self, Received};
use crate::descriptor::{self, Progress};
use crate::error::classify;
use crate::server::Launch;

/// Under which number a socket is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(pub usize);

/// What a poller has found out about a socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Readiness {
    /// There may be something to read, or an end.
    pub readable: bool,
    /// There may be room to write.
    pub writable: bool,
    /// The peer has ended its side, or the connection is broken: a short read is not the last one. A poller that does not
    /// know says `false`, and reports the end as something to read.
    pub ended: bool,
    /// The peer has ended both sides and reads nothing any more. A poller that does not know says `false`.
    pub gone: bool,
}

/// What is watched from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Whether there is something to read.
    Read,
    /// That, and whether there is room to write: the socket is being connected.
    Both,
    /// Whether a connection waits: the socket is a listener.
    Accept,
}

/// How a loop learns which of its sockets are ready. All calls come from the thread of the loop.
pub trait Poller: Sized + 'static {
    /// A socket that is watched.
    type Socket: AsFd;

    /// Not everything that has happened before a pass is noted by then, and nobody can tell.
    const LAGS: bool;

    /// Sockets may be written to by their descriptors, past [`send`](Self::send).
    const LETS_WRITE: bool;

    /// Watches a nonblocking socket, and reports it as `token` with
    /// [`EventLoop::note`](crate::EventLoop::note).
    ///
    /// # Errors
    ///
    /// The operating system has no memory for it. The socket is closed then.
    fn watch(&mut self, socket: OwnedFd, token: Token, interest: Interest) -> io::Result<Self::Socket>;

    /// Reading found nothing more: from now on the socket is to be reported when there is.
    ///
    /// # Errors
    ///
    /// The socket cannot be watched any more, which ends the connection.
    fn await_readable(&mut self, socket: &mut Self::Socket) -> io::Result<()>;

    /// Writing found no room: from now on the socket is to be reported when there is.
    ///
    /// # Errors
    ///
    /// The socket cannot be watched any more, which ends the connection.
    fn await_writable(&mut self, socket: &mut Self::Socket) -> io::Result<()>;

    /// Nothing is left to write: a peer that reads need not wake the loop for that.
    ///
    /// # Errors
    ///
    /// The socket cannot be watched any more, which ends the connection.
    fn rest_writing(&mut self, socket: &mut Self::Socket) -> io::Result<()>;

    /// A listener is to be left alone.
    fn pause(&mut self, listener: &mut Self::Socket);

    /// A listener that was paused is to be watched again.
    ///
    /// # Errors
    ///
    /// The listener cannot be watched.
    fn resume(&mut self, listener: &mut Self::Socket) -> io::Result<()>;

    /// Takes a socket from the poller and closes it. Others may have copies of a listener, which is
    /// [paused](Self::pause) before.
    fn close(&mut self, socket: Self::Socket);

    /// Appends to `buffer` what the socket has, as far as there is room.
    ///
    /// # Errors
    ///
    /// What the system call says, apart from that there is nothing now.
    fn receive(&mut self, socket: &mut Self::Socket, buffer: &mut BytesMut) -> io::Result<Received> {
        buffer::receive(socket.as_fd(), buffer)
    }

    /// Writes the slices, as far as there is room, and returns how many bytes that was.
    ///
    /// # Errors
    ///
    /// What the system call says; [`WouldBlock`](io::ErrorKind::WouldBlock) when there is no room.
    fn send(&mut self, socket: &mut Self::Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        descriptor::send(socket.as_fd(), slices)
    }

    /// Begins to connect. Says also whether that is done already, as it is with unix sockets on Linux, and mostly with TCP
    /// on the same machine; never that it has failed.
    ///
    /// # Errors
    ///
    /// The address cannot be reached, or we are out of something.
    fn connect(&mut self, address: &Address, token: Token) -> Result<(Self::Socket, Progress), IoError> {
        let (socket, progress) = descriptor::connect(address)?;
        let interest = match progress {
            Progress::Connected => Interest::Read,
            Progress::Pending => Interest::Both,
            Progress::Failed(error) => return Err(error),
        };
        let socket = self.watch(socket, token, interest).map_err(|error| classify(&error))?;
        Ok((socket, progress))
    }

    /// What has become of [`connect`](Self::connect). A report alone proves nothing.
    fn progress(&mut self, socket: &mut Self::Socket) -> Progress {
        descriptor::progress(socket.as_fd())
    }

    /// Takes the next connection of a listener, nonblocking.
    ///
    /// # Errors
    ///
    /// What the system call says; [`WouldBlock`](io::ErrorKind::WouldBlock) when nobody waits.
    fn accept(&mut self, listener: &mut Self::Socket) -> io::Result<OwnedFd> {
        descriptor::accept(listener.as_fd())
    }
}

/// A kind of thread for loops to run on.
pub trait Runtime: 'static {
    /// What a loop needs that is made before its thread is.
    type Seat: Send + 'static;

    /// The poller of a loop.
    type Poller: Poller;

    /// The most loops that are started when the number is left to the runtime.
    const DEFAULT_LOOPS: usize;

    /// Makes what a loop needs, and what wakes it. Waking takes no memory and no lock where that is possible: it may
    /// happen in signal handlers.
    ///
    /// # Errors
    ///
    /// The operating system gives no poller.
    fn prepare() -> io::Result<(Self::Seat, Waker)>;

    /// Runs a loop on the thread of the caller until it says that it is over.
    ///
    /// # Errors
    ///
    /// The loop could not be begun. What happens later is told with [`EventLoop::fail`](crate::EventLoop::fail).
    fn run<S: Service>(seat: Self::Seat, launch: Launch<S>) -> io::Result<()>;
}
