//! Connections for programs that have a thread for each.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket.
    Unix(UnixListener),
    /// A TCP port, IPv4 or IPv6.
    Tcp(TcpListener),
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

/// Takes connections at several sockets, until it is told to stop.
#[derive(Debug)]
pub struct Acceptor {
    listeners: Vec<Listener>,
    /// Readable when nothing is accepted any more.
    stop: UnixStream,
}

impl Acceptor {
    /// Takes what comes at `listeners`, until `stop` can be read.
    ///
    /// # Errors
    ///
    /// The operating system refuses.
    pub fn new(listeners: Vec<Listener>, stop: UnixStream) -> io::Result<Self> {
        for listener in &listeners {
            // Who has gone between poll() and accept() must not keep the others waiting.
            match listener {
                Listener::Unix(listener) => listener.set_nonblocking(true)?,
                Listener::Tcp(listener) => listener.set_nonblocking(true)?,
            }
        }
        Ok(Self { listeners, stop })
    }

    /// Waits for the next connection; none comes once it was told to stop.
    ///
    /// # Errors
    ///
    /// The operating system refuses; the next connection may be had all the same.
    pub fn accept(&self) -> io::Result<Option<OwnedFd>> {
        loop {
            let sockets = self.listeners.iter().map(Listener::descriptor).chain([self.stop.as_fd()]);
            let mut polled: Vec<PollFd<'_>> =
                sockets.map(|socket| PollFd::new(socket, PollFlags::POLLIN)).collect();
            match poll(&mut polled, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                ready => ready?,
            };
            let mut ready = polled.iter().map(|socket| socket.any().unwrap_or(false));
            if ready.next_back() == Some(true) {
                return Ok(None);
            }
            let Some(listener) = self.listeners.iter().zip(ready).find(|(_, ready)| *ready) else { continue };
            match listener.0.accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                accepted => return accepted.map(Some),
            }
        }
    }
}

impl Listener {
    fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(listener) => listener.as_fd(),
            Self::Tcp(listener) => listener.as_fd(),
        }
    }

    /// A connection that blocks, whatever it has inherited.
    fn accept(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Unix(listener) => unix(listener).map(OwnedFd::from),
            Self::Tcp(listener) => tcp(listener).map(OwnedFd::from),
        }
    }
}

fn unix(listener: &UnixListener) -> io::Result<UnixStream> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn tcp(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn connections_come_from_each_socket_until_it_is_told_to_stop() {
        let [first, second] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let places = [first.local_addr().unwrap(), second.local_addr().unwrap()];
        let (mut word, stop) = UnixStream::pair().unwrap();
        let acceptor = Acceptor::new(vec![Listener::Tcp(first), Listener::Tcp(second)], stop).unwrap();

        for place in [places[1], places[0]] {
            let mut client = TcpStream::connect(place).unwrap();
            let accepted = acceptor.accept().unwrap().unwrap();
            client.write_all(b"x").unwrap();
            let mut heard = [0];
            // It blocks: what has not come yet is waited for.
            TcpStream::from(accepted).read_exact(&mut heard).unwrap();
            assert_eq!(&heard, b"x");
        }
        let _waiting = TcpStream::connect(places[0]).unwrap();
        word.write_all(b".").unwrap();
        assert!(acceptor.accept().unwrap().is_none());
    }
}
