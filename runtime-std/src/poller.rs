//! Sockets of a loop, registered with `mio`.
//!
//! The poller reports changes only, so that there is nothing to ask when reading or writing comes to an end; writing is
//! watched only while something is left to write.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use millstream_runtime::{Interest as Wanted, Poller, Readiness, Token};
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry};

/// The poller of one loop.
pub(crate) struct MioPoller(pub(crate) Registry);

/// A registered socket.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    token: mio::Token,
    watches_writing: bool,
    /// A listener that is paused is not.
    registered: bool,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

impl Poller for MioPoller {
    type Socket = Socket;

    /// Threads poll before each pass, and say when they could not take all.
    const LAGS: bool = false;

    const LETS_WRITE: bool = true;

    fn watch(&mut self, fd: OwnedFd, token: Token, wanted: Wanted) -> io::Result<Socket> {
        let token = mio::Token(token.0);
        let watches_writing = wanted == Wanted::Both;
        let interest = if watches_writing { BOTH } else { Interest::READABLE };
        self.0.register(&mut SourceFd(&fd.as_raw_fd()), token, interest)?;
        Ok(Socket { fd, token, watches_writing, registered: true })
    }

    fn await_readable(&mut self, _socket: &mut Socket) -> io::Result<()> {
        Ok(())
    }

    fn await_writable(&mut self, socket: &mut Socket) -> io::Result<()> {
        if !socket.watches_writing {
            socket.watches_writing = true;
            self.0.reregister(&mut SourceFd(&socket.fd.as_raw_fd()), socket.token, BOTH)?;
        }
        Ok(())
    }

    fn rest_writing(&mut self, socket: &mut Socket) -> io::Result<()> {
        if socket.watches_writing {
            socket.watches_writing = false;
            let mut source = SourceFd(&socket.fd.as_raw_fd());
            self.0.reregister(&mut source, socket.token, Interest::READABLE)?;
        }
        Ok(())
    }

    fn pause(&mut self, listener: &mut Socket) {
        if std::mem::take(&mut listener.registered) {
            // It can only fail when it was not registered.
            let _ = self.0.deregister(&mut SourceFd(&listener.fd.as_raw_fd()));
        }
    }

    fn resume(&mut self, listener: &mut Socket) -> io::Result<()> {
        let mut source = SourceFd(&listener.fd.as_raw_fd());
        self.0.register(&mut source, listener.token, Interest::READABLE)?;
        listener.registered = true;
        Ok(())
    }

    /// Epoll and kqueue forget a descriptor with its last copy, and connections have no copies. Where a thread starts a
    /// program there are some until that runs; what is reported meanwhile is looked up by its token, and at worst one read
    /// finds nothing.
    fn close(&mut self, socket: Socket) {
        drop(socket);
    }
}

/// What an event says about its socket.
pub(crate) fn readiness(event: &Event) -> Readiness {
    let broken = event.is_error();
    let (read_closed, write_closed) = (event.is_read_closed(), event.is_write_closed());
    Readiness {
        readable: event.is_readable(),
        writable: broken || event.is_writable() || write_closed,
        ended: broken || read_closed,
        gone: read_closed && write_closed,
    }
}
