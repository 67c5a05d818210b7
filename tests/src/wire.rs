//! Milter frames, written a second time and on purpose without the crates under test.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest frame this side accepts: far above what any test sends.
const MOST: u32 = 1 << 24;

/// All actions of version 6.
pub const ALL_ACTIONS: u32 = 0x1FF;
/// All protocol flags that Postfix and Sendmail offer.
pub const ALL_FLAGS: u32 = 0x1F_FFFF;

/// One frame: its letter and what follows.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// Command or reply letter.
    pub letter: u8,
    /// Everything after the letter.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame of raw payload.
    #[must_use]
    pub fn new(letter: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { letter, payload: payload.into() }
    }

    /// A frame whose payload is strings, each ended by NUL.
    #[must_use]
    pub fn strings<'a>(letter: u8, strings: impl IntoIterator<Item = &'a str>) -> Self {
        let mut payload = Vec::new();
        for string in strings {
            payload.extend_from_slice(string.as_bytes());
            payload.push(0);
        }
        Self { letter, payload }
    }

    /// `O`: version, actions, protocol flags.
    #[must_use]
    pub fn negotiation(version: u32, actions: u32, flags: u32) -> Self {
        Self::new(b'O', [version, actions, flags].map(u32::to_be_bytes).concat())
    }

    /// The three numbers of an `O` frame.
    #[must_use]
    pub fn negotiated(&self) -> Option<[u32; 3]> {
        let number = |at: usize| Some(u32::from_be_bytes(self.payload.get(at..at + 4)?.try_into().ok()?));
        (self.letter == b'O').then_some([number(0)?, number(4)?, number(8)?])
    }

    /// The payload up to the first NUL, as text.
    #[must_use]
    pub fn first_string(&self) -> String {
        let end = self.payload.iter().position(|&byte| byte == 0).unwrap_or(self.payload.len());
        String::from_utf8_lossy(&self.payload[..end]).into_owned()
    }

    /// The frame as it goes over the wire.
    ///
    /// # Panics
    /// When it is longer than a length can say.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len() + 1).expect("a frame fits");
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.push(self.letter);
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// Reads one frame; nothing at a clean end of the stream.
    ///
    /// # Errors
    /// When the stream fails, ends inside a frame, or a length is not plausible.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut length = [0; 4];
        // A socket with a time limit is interrupted when the process is stopped for a moment.
        let begun = loop {
            match from.read(&mut length[..1]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                begun => break begun?,
            }
        };
        if begun == 0 {
            return Ok(None);
        }
        from.read_exact(&mut length[1..])?;
        let length = u32::from_be_bytes(length);
        if length == 0 || length > MOST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of length {length}")));
        }
        let mut frame = vec![0; length as usize];
        from.read_exact(&mut frame)?;
        let payload = frame.split_off(1);
        Ok(Some(Self { letter: frame[0], payload }))
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.payload[..self.payload.len().min(60)];
        write!(f, "{}[{}]{:?}", char::from(self.letter), self.payload.len(), String::from_utf8_lossy(shown))
    }
}

/// Where a milter listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// A TCP port.
    Inet(SocketAddr),
}

impl Address {
    /// As connection specification of the manager's configuration.
    #[must_use]
    pub fn specification(&self) -> String {
        match self {
            Self::Unix(path) => format!("unix:{}", path.display()),
            Self::Inet(address) => format!("inet:{}@[{}]", address.port(), address.ip()),
        }
    }

    /// Connects; reads and writes take at most `limit`.
    ///
    /// # Errors
    /// When the system says so.
    pub fn connect(&self, limit: Duration) -> io::Result<Stream> {
        match self {
            Self::Unix(path) => Stream::unix(path, limit),
            Self::Inet(address) => Stream::inet(*address, limit),
        }
    }
}

/// A connection of either kind.
#[derive(Debug)]
pub enum Stream {
    /// Over a unix socket.
    Unix(UnixStream),
    /// Over TCP.
    Inet(TcpStream),
}

impl Stream {
    fn unix(path: &Path, limit: Duration) -> io::Result<Self> {
        let stream = Self::Unix(UnixStream::connect(path)?);
        stream.limit(limit)?;
        Ok(stream)
    }

    fn inet(address: SocketAddr, limit: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_nodelay(true)?;
        let stream = Self::Inet(stream);
        stream.limit(limit)?;
        Ok(stream)
    }

    /// Whether reads and writes return instead of waiting.
    pub(crate) fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_nonblocking(on),
            Self::Inet(stream) => stream.set_nonblocking(on),
        }
    }

    /// Each read and write takes at most this.
    pub(crate) fn limit(&self, limit: Duration) -> io::Result<()> {
        match self {
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(limit))?;
                stream.set_write_timeout(Some(limit))
            }
            Self::Inet(stream) => {
                stream.set_read_timeout(Some(limit))?;
                stream.set_write_timeout(Some(limit))
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Inet(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Inet(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
