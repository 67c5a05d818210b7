//! Frames of the control socket, and a connection on which nobody is waited for longer than a limit.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A connection, until a time.
#[derive(Debug)]
pub(super) struct Timed<'s> {
    stream: &'s UnixStream,
    until: Instant,
}

impl<'s> Timed<'s> {
    /// All reads and writes together take at most `limit`.
    pub(super) fn new(stream: &'s UnixStream, limit: Duration) -> Self {
        Self { stream, until: Instant::now() + limit }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A word, and what belongs to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) word: Vec<u8>,
    pub(super) data: Vec<u8>,
}

impl Frame {
    pub(super) fn new(word: &str, data: impl Into<Vec<u8>>) -> Self {
        Self { word: word.into(), data: data.into() }
    }

    /// Reads one of at most `longest` bytes; `None` at the end of the stream.
    ///
    /// # Errors
    ///
    /// The stream ends within it, takes too long, or announces a longer one (`InvalidData`).
    pub(super) fn read(from: &mut impl Read, longest: u32) -> io::Result<Option<Self>> {
        let mut length = [0; 4];
        if from.read(&mut length[..1])? == 0 {
            return Ok(None);
        }
        from.read_exact(&mut length[1..])?;
        let length = u32::from_be_bytes(length);
        if length > longest {
            let text = format!("a frame of {length} bytes, where {longest} are the most");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let mut word = vec![0; length as usize];
        from.read_exact(&mut word)?;
        // A command without data may come without the NUL behind it.
        let data = match word.iter().position(|byte| *byte == 0) {
            Some(end) => {
                let data = word.split_off(end + 1);
                word.truncate(end);
                data
            }
            None => Vec::new(),
        };
        Ok(Some(Self { word, data }))
    }

    /// Writes it.
    ///
    /// # Errors
    ///
    /// The stream does not take it in time.
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let length = u32::try_from(self.word.len() + 1 + self.data.len())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        to.write_all(&[&length.to_be_bytes()[..], &self.word, b"\0", &self.data].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let mut bytes = Vec::new();
        let frame = Frame::new("status", "text\0more");
        frame.write(&mut bytes).unwrap();
        assert_eq!(bytes, b"\0\0\0\x10status\0text\0more");
        assert_eq!(Frame::read(&mut &bytes[..], 100).unwrap(), Some(frame));
        assert_eq!(Frame::read(&mut &b""[..], 100).unwrap(), None);
        let bare = Frame::read(&mut &b"\0\0\0\x06reload"[..], 100).unwrap();
        assert_eq!(bare, Some(Frame::new("reload", "")));
    }

    #[test]
    fn a_length_that_is_too_long_is_refused_before_anything_is_kept_for_it() {
        let error = Frame::read(&mut &b"\xff\xff\xff\xff"[..], 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("4294967295"), "{error}");
        let cut = Frame::read(&mut &b"\0\0\0\x06rel"[..], 100).unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    }
}
