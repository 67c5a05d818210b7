//! Sockets of a loop, known to the executor of its thread.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use millstream_runtime::{
    Inbox, Interest, Poller, READ_SIZE, Received, Side, Token, bell_for, descriptor, receive,
};

use crate::watched::Watched;

/// The executor, as its loop uses it.
pub(crate) struct GlommioPoller {
    inbox: Arc<Inbox>,
    /// `glommio` reads into initialised memory only: it is read to here and copied.
    scratch: Box<[u8]>,
}

impl GlommioPoller {
    pub(crate) fn new(inbox: Arc<Inbox>) -> Self {
        Self { inbox, scratch: vec![0; READ_SIZE].into_boxed_slice() }
    }
}

/// A socket that the executor knows.
#[derive(Debug)]
pub(crate) enum Socket {
    Stream(Stream),
    Listener(Listener),
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Stream {
    watched: Watched,
    /// Rung when there is something to read.
    reading: Waker,
    /// Rung when there is room to write; most sockets are never without.
    writing: Option<Waker>,
    token: Token,
    /// What came when it was only asked whether there is something: one byte, an end or an error.
    early: Option<io::Result<Option<u8>>>,
    /// It is polled for writing.
    awaits_writing: bool,
}

/// A listener, and a copy of its descriptor that is polled while connections are wanted. A listener cannot be read from,
/// and a poll is begun again only by reading, so each poll takes a copy of its own; while connections wait there is none.
#[derive(Debug)]
pub(crate) struct Listener {
    fd: OwnedFd,
    ready: Waker,
    watched: Option<Watched>,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stream(stream) => stream.watched.as_fd(),
            Self::Listener(listener) => listener.fd.as_fd(),
        }
    }
}

impl Poller for GlommioPoller {
    type Socket = Socket;

    /// The executor looks at completions when it has nothing else to do.
    const LAGS: bool = true;

    /// What finds no room has to be tried by the executor.
    const LETS_WRITE: bool = false;

    fn watch(&mut self, fd: OwnedFd, token: Token, interest: Interest) -> io::Result<Socket> {
        let reading = bell_for(&self.inbox, token, Side::Reading);
        if interest == Interest::Accept {
            let mut listener = Listener { fd, ready: reading, watched: None };
            listener.ask()?;
            return Ok(Socket::Listener(listener));
        }
        let watched = Watched::new(fd);
        let mut stream =
            Stream { watched, reading, writing: None, token, early: None, awaits_writing: false };
        stream.ask_reading();
        if interest == Interest::Both {
            self.ask_writing(&mut stream);
        }
        Ok(Socket::Stream(stream))
    }

    fn await_readable(&mut self, socket: &mut Socket) -> io::Result<()> {
        match socket {
            Socket::Stream(stream) => stream.ask_reading(),
            Socket::Listener(listener) => listener.ask()?,
        }
        Ok(())
    }

    fn await_writable(&mut self, socket: &mut Socket) -> io::Result<()> {
        if let Socket::Stream(stream) = socket
            && !std::mem::take(&mut stream.awaits_writing)
        {
            self.ask_writing(stream);
        }
        Ok(())
    }

    /// What was asked is answered once.
    fn rest_writing(&mut self, _socket: &mut Socket) -> io::Result<()> {
        Ok(())
    }

    fn pause(&mut self, listener: &mut Socket) {
        if let Socket::Listener(listener) = listener {
            listener.watched = None;
        }
    }

    fn resume(&mut self, listener: &mut Socket) -> io::Result<()> {
        self.await_readable(listener)
    }

    fn close(&mut self, socket: Socket) {
        drop(socket);
    }

    fn receive(&mut self, socket: &mut Socket, buffer: &mut BytesMut) -> io::Result<Received> {
        let Socket::Stream(stream) = socket else { return Err(io::ErrorKind::InvalidInput.into()) };
        let room = (buffer.capacity() - buffer.len()).min(self.scratch.len());
        if room == 0 {
            return Ok(Received::Full);
        }
        match stream.early.take() {
            Some(Ok(Some(byte))) => {
                buffer.extend_from_slice(&[byte]);
                return Ok(Received::Full);
            }
            Some(Ok(None)) => return Ok(Received::End),
            Some(Err(error)) => return Err(error),
            None => {}
        }
        let into = &mut self.scratch[..room];
        match stream.watched.poll_receive(&mut Context::from_waker(&stream.reading), into) {
            Poll::Ready(Ok(0)) => Ok(Received::End),
            Poll::Ready(Ok(n)) => {
                buffer.extend_from_slice(&into[..n]);
                Ok(if n < room { Received::Part } else { Received::Full })
            }
            Poll::Ready(Err(error)) => Err(error),
            // It is still polled for: nothing was tried.
            Poll::Pending => receive(stream.watched.as_fd(), buffer),
        }
    }

    /// What finds no room is tried by the executor once more, which polls then: it polls for writing only so.
    fn send(&mut self, socket: &mut Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Socket::Stream(stream) = socket else { return Err(io::ErrorKind::InvalidInput.into()) };
        let sent = match descriptor::send(stream.watched.as_fd(), slices) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            result => result?,
        };
        let Some(rest) = rest(slices, sent) else { return Ok(sent) };
        let inbox = &self.inbox;
        let bell = stream.writing.get_or_insert_with(|| bell_for(inbox, stream.token, Side::Writing));
        match stream.watched.poll_send(&mut Context::from_waker(bell), rest) {
            Poll::Ready(Ok(more)) => Ok(sent + more),
            Poll::Ready(Err(error)) if sent == 0 => Err(error),
            // The next attempt says so again.
            Poll::Ready(Err(_)) => Ok(sent),
            Poll::Pending => {
                stream.awaits_writing = true;
                if sent == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(sent) }
            }
        }
    }
}

impl GlommioPoller {
    /// Has the socket reported when there is room to write, or when it is connected. Sending nothing is in vain only before
    /// that; elsewhere it is polled already, or there is room.
    fn ask_writing(&self, stream: &mut Stream) {
        let bell = stream.writing.get_or_insert_with(|| bell_for(&self.inbox, stream.token, Side::Writing));
        if stream.watched.poll_send(&mut Context::from_waker(bell), &[]).is_ready() {
            bell.wake_by_ref();
        }
    }
}

impl Stream {
    /// Has the socket reported when there is something to read.
    fn ask_reading(&mut self) {
        let mut byte = [0];
        if self.early.is_none() {
            match self.watched.poll_receive(&mut Context::from_waker(&self.reading), &mut byte) {
                Poll::Pending => return,
                Poll::Ready(result) => {
                    self.early = Some(result.map(|n| byte.first().copied().filter(|_| n > 0)));
                }
            }
        }
        self.reading.wake_by_ref();
    }
}

impl Listener {
    /// Has the listener reported when a connection waits.
    fn ask(&mut self) -> io::Result<()> {
        self.watched = None;
        let mut watched = Watched::new(self.fd.try_clone()?);
        // Its first poll is under way, so that this reads nothing.
        let _ = watched.poll_receive(&mut Context::from_waker(&self.ready), &mut []);
        self.watched = Some(watched);
        Ok(())
    }
}

/// What of the first slice that was not written whole is left; `None` when all was.
fn rest<'a>(slices: &'a [IoSlice<'_>], mut sent: usize) -> Option<&'a [u8]> {
    for slice in slices {
        if sent < slice.len() {
            return Some(&slice[sent..]);
        }
        sent -= slice.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_begins_in_the_first_slice_that_was_not_written_whole() {
        let slices = [IoSlice::new(b"one"), IoSlice::new(b""), IoSlice::new(b"two")];
        assert_eq!(rest(&slices, 0), Some(&b"one"[..]));
        assert_eq!(rest(&slices, 3), Some(&b"two"[..]));
        assert_eq!(rest(&slices, 5), Some(&b"o"[..]));
        assert_eq!(rest(&slices, 6), None);
    }
}
