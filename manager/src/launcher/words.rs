//! What the manager and its launcher say to each other: frames of a length in two bytes, a letter, and a text.
//!
//! The launcher is root and believes nothing: a request has no more than the name of a milter.

use std::io::{self, Read, Write};

use millstream_config::LogLevel;

/// Longest frame, which is longer than any name or line worth having.
const MOST: usize = 4096;

/// What the manager asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// The milter of this name is dead.
    Start(String),
    /// The configuration was loaded again.
    Reload,
}

/// A line of the launcher for the manager's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) level: LogLevel,
    pub(crate) text: String,
}

/// The levels that reports have.
const LEVELS: &[(u8, LogLevel)] =
    &[(b'e', LogLevel::ERROR), (b'w', LogLevel::WARNING), (b'm', LogLevel::MESSAGE), (b'i', LogLevel::INFO)];

impl Request {
    pub(crate) fn frame(&self) -> Vec<u8> {
        match self {
            Self::Start(name) => frame(b's', name),
            Self::Reload => frame(b'r', ""),
        }
    }

    fn of(letter: u8, text: String) -> Option<Self> {
        match letter {
            b's' => Some(Self::Start(text)),
            b'r' => Some(Self::Reload),
            _ => None,
        }
    }
}

impl Report {
    pub(crate) fn new(level: LogLevel, text: impl Into<String>) -> Self {
        Self { level, text: text.into() }
    }

    pub(crate) fn frame(&self) -> Vec<u8> {
        let letter =
            LEVELS.iter().find(|(_, level)| *level == self.level).map_or(b'm', |(letter, _)| *letter);
        frame(letter, &self.text)
    }

    fn of(letter: u8, text: String) -> Option<Self> {
        let level = LEVELS.iter().find(|(known, _)| *known == letter)?.1;
        Some(Self { level, text })
    }

    /// The next report; nothing at the end.
    ///
    /// # Errors
    ///
    /// The connection fails, or what comes is no report.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut length = [0; 2];
        if let Err(error) = from.read_exact(&mut length) {
            return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
        }
        let mut frame = vec![0; usize::from(u16::from_be_bytes(length))];
        from.read_exact(&mut frame)?;
        let (letter, text) = split(&frame).ok_or_else(wrong)?;
        Self::of(letter, text).map(Some).ok_or_else(wrong)
    }

    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.frame())
    }
}

/// Requests as they come, in whatever pieces.
#[derive(Debug, Default)]
pub(crate) struct Requests(Vec<u8>);

impl Requests {
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next one that is whole.
    ///
    /// # Errors
    ///
    /// It is no request: whoever sends that is not the manager that has started us.
    pub(crate) fn next(&mut self) -> io::Result<Option<Request>> {
        let &[high, low, ..] = &self.0[..] else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length == 0 || length > MOST {
            return Err(wrong());
        }
        if self.0.len() < 2 + length {
            return Ok(None);
        }
        let frame: Vec<u8> = self.0.drain(..2 + length).skip(2).collect();
        let (letter, text) = split(&frame).ok_or_else(wrong)?;
        Request::of(letter, text).map(Some).ok_or_else(wrong)
    }
}

fn split(frame: &[u8]) -> Option<(u8, String)> {
    let (letter, text) = frame.split_first()?;
    Some((*letter, String::from_utf8_lossy(text).into_owned()))
}

fn frame(letter: u8, text: &str) -> Vec<u8> {
    let mut end = text.len().min(MOST - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let length = u16::try_from(end + 1).unwrap_or(u16::MAX);
    let mut frame = length.to_be_bytes().to_vec();
    frame.push(letter);
    frame.extend_from_slice(&text.as_bytes()[..end]);
    frame
}

fn wrong() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "neither a request nor a report")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_arrive_in_any_pieces() {
        let sent = [Request::Start("clamav".to_owned()), Request::Reload, Request::Start(String::new())];
        let bytes: Vec<u8> = sent.iter().flat_map(Request::frame).collect();
        for piece in 1..=bytes.len() {
            let mut requests = Requests::default();
            let mut came = Vec::new();
            for part in bytes.chunks(piece) {
                requests.receive(part);
                while let Some(request) = requests.next().unwrap() {
                    came.push(request);
                }
            }
            assert_eq!(came, sent);
        }
    }

    #[test]
    fn what_is_no_request_is_an_error() {
        for bytes in [&b"\0\0"[..], b"\xFF\xFFs", b"\0\x01x", b"\x10\x01s"] {
            let mut requests = Requests::default();
            requests.receive(bytes);
            assert!(requests.next().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn reports_are_cut_at_their_longest_and_end_with_the_launcher() {
        let long = Report::new(LogLevel::ERROR, "ä".repeat(MOST));
        let mut bytes = Vec::new();
        long.write(&mut bytes).unwrap();
        Report::new(LogLevel::INFO, "short").write(&mut bytes).unwrap();
        let mut from = &bytes[..];
        let first = Report::read(&mut from).unwrap().unwrap();
        assert_eq!((first.level, first.text.len()), (LogLevel::ERROR, MOST - 2));
        assert_eq!(Report::read(&mut from).unwrap(), Some(Report::new(LogLevel::INFO, "short")));
        assert_eq!(Report::read(&mut from).unwrap(), None);
        assert!(Report::read(&mut &b"\0\x02?x"[..]).is_err());
    }
}
