//! A descriptor as `glommio` knows it, the only `unsafe` of this crate.
//!
//! `glommio` has no type for "any stream socket", but its TCP stream is one: it only ever polls, receives and sends. From
//! its making on the executor polls it for reading.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;

/// A socket that belongs to the executor of this thread.
#[derive(Debug)]
pub(crate) struct Watched(TcpStream);

impl Watched {
    /// Begins to poll it for reading.
    #[allow(unsafe_code)]
    pub(crate) fn new(socket: OwnedFd) -> Self {
        // SAFETY: `into_raw_fd` gives up the descriptor, which is open, and the stream takes it.
        Self(unsafe { TcpStream::from_raw_fd(socket.into_raw_fd()) })
    }

    /// Reads what there is. With [`Poll::Pending`], or when less than the buffer was read, it is polled for more; with
    /// `Pending` `cx` is woken.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }

    /// Writes as far as there is room. With [`Poll::Pending`] there is none, and `cx` is woken when there is.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }
}

impl AsFd for Watched {
    #[allow(unsafe_code)]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream owns the descriptor and closes it when it is dropped, which it is not while `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}
