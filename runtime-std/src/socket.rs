//! A nonblocking stream, unix or TCP.

use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use millstream_core::machine::{IoError, IoKind};
use millstream_core::pool::Address;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};

use crate::error::classify;

/// A nonblocking, close-on-exec stream.
#[derive(Debug)]
pub(crate) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// How far a connect has come.
#[derive(Debug)]
pub(crate) enum Progress {
    Pending,
    Connected,
    Failed(IoError),
}

impl Socket {
    /// Begins to connect.
    pub(crate) fn connect(address: &Address) -> Result<Self, IoError> {
        let result = match address {
            Address::Unix(path) => UnixStream::connect(Path::new(OsStr::from_bytes(path))).map(Self::Unix),
            Address::Tcp(address) => TcpStream::connect(*address).map(Self::Tcp),
        };
        match result {
            Ok(socket) => {
                socket.prepare();
                Ok(socket)
            }
            Err(error) => {
                let mut error = classify(&error);
                if error.kind == IoKind::Busy && matches!(address, Address::Tcp(_)) {
                    // For TCP it is no local port that is left, not the listener's queue.
                    error.kind = IoKind::Exhausted;
                }
                Err(error)
            }
        }
    }

    /// Sets the options of a new connection. A socket that does not take them works without.
    pub(crate) fn prepare(&self) {
        if let Self::Tcp(stream) = self {
            // Replies are single small frames that the other side waits for.
            let _ = stream.set_nodelay(true);
        }
        #[cfg(any(target_os = "macos", target_os = "ios"))]
        let _ = rustix::net::sockopt::set_socket_nosigpipe(self, true);
    }

    /// Whether [`connect`](Self::connect) has done all that there is to do: on Linux a unix socket is connected when the
    /// call returns.
    pub(crate) const fn is_connected_at_once(&self) -> bool {
        cfg!(target_os = "linux") && matches!(self, Self::Unix(_))
    }

    /// What has become of [`connect`](Self::connect). An event alone proves nothing: it may be late or spurious.
    pub(crate) fn progress(&self) -> Progress {
        let (error, peer) = match self {
            Self::Unix(stream) => (stream.take_error(), stream.peer_addr().map(drop)),
            Self::Tcp(stream) => (stream.take_error(), stream.peer_addr().map(drop)),
        };
        match (error, peer) {
            (Ok(Some(error)) | Err(error), _) => Progress::Failed(classify(&error)),
            (Ok(None), Ok(())) => Progress::Connected,
            (Ok(None), Err(error)) if Errno::from_io_error(&error) == Some(Errno::NOTCONN) => {
                Progress::Pending
            }
            (Ok(None), Err(error)) => Progress::Failed(classify(&error)),
        }
    }

    /// Reads into uninitialised memory; returns how many bytes at its beginning are initialised now.
    pub(crate) fn receive(&self, into: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        let receive =
            || rustix::net::recv(self, &mut *into, RecvFlags::empty()).map(|((filled, _), _)| filled.len());
        Ok(retry(receive)?)
    }

    /// Writes the slices, as far as there is room, without a signal when the peer is gone.
    pub(crate) fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        #[cfg(not(any(target_os = "macos", target_os = "ios")))]
        let flags = SendFlags::NOSIGNAL;
        #[cfg(any(target_os = "macos", target_os = "ios"))]
        let flags = SendFlags::empty();
        let written = match slices {
            [one] => retry(|| rustix::net::send(self, one, flags)),
            _ => retry(|| rustix::net::sendmsg(self, slices, &mut SendAncillaryBuffer::default(), flags)),
        };
        Ok(written?)
    }

    /// Ends a connection whose last bytes were just written and from which more may have come. Closing a TCP socket with
    /// unread bytes resets the connection, and the peer may lose the reply; so what is here is read and thrown away.
    pub(crate) fn finish(&self) {
        let _ = rustix::net::shutdown(self, Shutdown::Write);
        let mut waste = [MaybeUninit::uninit(); 4096];
        for _ in 0..DISCARDS {
            match self.receive(&mut waste) {
                Ok(1..) => {}
                _ => break,
            }
        }
    }

    pub(crate) fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Self::Unix(stream) => registry.register(stream, token, interest),
            Self::Tcp(stream) => registry.register(stream, token, interest),
        }
    }

    pub(crate) fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Self::Unix(stream) => registry.reregister(stream, token, interest),
            Self::Tcp(stream) => registry.reregister(stream, token, interest),
        }
    }

    /// Takes the socket from the poller before it is closed: a descriptor that was copied by a fork would otherwise stay
    /// registered.
    pub(crate) fn deregister(&mut self, registry: &Registry) {
        let _ = match self {
            Self::Unix(stream) => registry.deregister(stream),
            Self::Tcp(stream) => registry.deregister(stream),
        };
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

/// How many blocks of unread bytes are thrown away before a close.
const DISCARDS: usize = 64;

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
