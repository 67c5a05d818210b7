//! Sockets that do not block, encrypted or not.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream as BlockingUnixStream;
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};

#[cfg(feature = "tls")]
use super::tls;

/// Where conversations go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The addresses of a host; the first that can be connected to.
    Tcp(Vec<SocketAddr>),
    /// A unix socket.
    Unix(PathBuf),
}

impl Target {
    /// How many addresses it has.
    #[must_use]
    pub const fn addresses(&self) -> usize {
        match self {
            Self::Tcp(addresses) => addresses.len(),
            Self::Unix(_) => 1,
        }
    }
}

/// A connection, or one on its way.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    is_connected: bool,
    #[cfg(feature = "tls")]
    tls: Option<Box<tls::Connection>>,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Begins to connect to one of the addresses of `target`.
    ///
    /// # Errors
    ///
    /// What the system says at once.
    pub fn connect(target: &Target, index: usize) -> io::Result<Self> {
        let (socket, is_connected) = match target {
            Target::Tcp(addresses) => {
                let address = addresses.get(index).ok_or(io::ErrorKind::AddrNotAvailable)?;
                (Socket::Tcp(TcpStream::connect(*address)?), false)
            }
            Target::Unix(path) => (Socket::Unix(connect_unix(path)?), true),
        };
        Ok(Self {
            socket,
            is_connected,
            #[cfg(feature = "tls")]
            tls: None,
        })
    }

    /// Whether the connection is there by now.
    ///
    /// # Errors
    ///
    /// Why there will be none.
    pub fn is_connected(&mut self) -> io::Result<bool> {
        if let (false, Socket::Tcp(socket)) = (self.is_connected, &self.socket) {
            if let Some(error) = socket.take_error()? {
                return Err(error);
            }
            match socket.peer_addr() {
                Ok(_) => {
                    socket.set_nodelay(true)?;
                    self.is_connected = true;
                }
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.is_connected)
    }

    /// For the poller.
    pub fn source(&mut self) -> &mut dyn Source {
        match &mut self.socket {
            Socket::Tcp(socket) => socket,
            Socket::Unix(socket) => socket,
        }
    }

    /// Encrypts what follows.
    ///
    /// # Errors
    ///
    /// When the configuration does not allow it.
    #[cfg(feature = "tls")]
    pub fn encrypt(&mut self, config: &tls::Config) -> io::Result<()> {
        self.tls = Some(Box::new(config.connection()?));
        Ok(())
    }

    /// Whether a handshake is under way.
    #[must_use]
    pub fn is_shaking_hands(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.as_ref().is_some_and(|tls| tls.is_handshaking());
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Goes on with the handshake; `WouldBlock` until it is done.
    ///
    /// # Errors
    ///
    /// Why it failed.
    pub fn shake_hands(&mut self) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            while tls.is_handshaking() {
                tls.complete_io(&mut self.socket)?;
            }
        }
        Ok(())
    }

    /// Whether encrypted bytes are still to be written.
    #[must_use]
    pub fn has_unwritten(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Whether a read that fills less than its buffer has taken everything.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_none();
        #[cfg(not(feature = "tls"))]
        true
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return rustls::Stream::new(&mut **tls, &mut self.socket).read(buffer);
        }
        self.socket.read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return rustls::Stream::new(&mut **tls, &mut self.socket).write(data);
        }
        self.socket.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return rustls::Stream::new(&mut **tls, &mut self.socket).flush();
        }
        Ok(())
    }
}

/// Waits for room in the queue of the listener: a unix socket has no connecting that could be polled for.
fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let stream = BlockingUnixStream::connect(path)?;
    stream.set_nonblocking(true)?;
    Ok(UnixStream::from_std(stream))
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(data),
            Self::Unix(socket) => socket.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "Tcp",
            Self::Unix(_) => "Unix",
        })
    }
}
