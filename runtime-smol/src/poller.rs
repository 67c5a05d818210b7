//! Sockets of a loop, known to smol's reactor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_io::Async;
use millstream_runtime::{Inbox, Interest, Poller, Side, Token, bell_for};

/// The reactor, as one loop uses it.
pub(crate) struct SmolPoller(pub(crate) Arc<Inbox>);

/// A socket that the reactor knows.
#[derive(Debug)]
pub(crate) struct Socket {
    io: Async<OwnedFd>,
    token: Token,
    /// Rung when there is something to read.
    reading: Waker,
    /// Rung when there is room to write; most sockets are never without.
    writing: Option<Waker>,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

/// Has `bell` rung at the next event. The first question after an event answers that there was one, which is why it is
/// asked again.
fn ask(bell: &Waker, question: impl Fn(&mut Context<'_>) -> Poll<io::Result<()>>) -> io::Result<()> {
    let mut cx = Context::from_waker(bell);
    if let Poll::Ready(result) = question(&mut cx) {
        result?;
        if let Poll::Ready(result) = question(&mut cx) {
            // Something is there already.
            result?;
            bell.wake_by_ref();
        }
    }
    Ok(())
}

impl Poller for SmolPoller {
    type Socket = Socket;

    /// The reactor is asked by whichever thread has time.
    const LAGS: bool = true;

    const LETS_WRITE: bool = true;

    fn watch(&mut self, fd: OwnedFd, token: Token, interest: Interest) -> io::Result<Socket> {
        let io = Async::new_nonblocking(fd)?;
        let reading = bell_for(&self.0, token, Side::Reading);
        let mut socket = Socket { io, token, reading, writing: None };
        self.await_readable(&mut socket)?;
        if interest == Interest::Both {
            self.await_writable(&mut socket)?;
        }
        Ok(socket)
    }

    fn await_readable(&mut self, socket: &mut Socket) -> io::Result<()> {
        ask(&socket.reading, |cx| socket.io.poll_readable(cx))
    }

    fn await_writable(&mut self, socket: &mut Socket) -> io::Result<()> {
        let bell = socket.writing.get_or_insert_with(|| bell_for(&self.0, socket.token, Side::Writing));
        ask(bell, |cx| socket.io.poll_writable(cx))
    }

    /// What was asked is answered once.
    fn rest_writing(&mut self, _socket: &mut Socket) -> io::Result<()> {
        Ok(())
    }

    /// A listener that nobody asks about is left alone.
    fn pause(&mut self, _listener: &mut Socket) {}

    fn resume(&mut self, _listener: &mut Socket) -> io::Result<()> {
        Ok(())
    }

    fn close(&mut self, socket: Socket) {
        drop(socket);
    }
}
