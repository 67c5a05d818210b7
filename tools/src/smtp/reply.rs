//! Replies of an SMTP server (RFC 5321, 4.2), as the bytes come.

use std::fmt;

/// The longest line that is taken, without its end. RFC 5321 allows 512 bytes; servers write more.
pub const LINE_LIMIT: usize = 4096;
/// The most lines of one reply that are taken.
pub const LINES_LIMIT: usize = 256;

/// A reply, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// What stands behind them, line by line.
    pub lines: Vec<String>,
}

impl Reply {
    /// Temporary failure, 4xx.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        self.code / 100 == 4
    }

    /// Permanent failure, 5xx.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }
}

impl fmt::Display for Reply {
    /// In one line, its parts with a blank between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.code)?;
        self.lines.iter().filter(|line| !line.is_empty()).try_for_each(|line| write!(f, " {line}"))
    }
}

/// What comes is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A line without three digits, and a blank, a dash or nothing behind them.
    #[error("a line that begins with no code: {0:?}")]
    NoCode(String),
    /// The lines of one reply have several codes.
    #[error("one reply with code {first} and {then}")]
    SeveralCodes {
        /// That of its first line.
        first: u16,
        /// Another one.
        then: u16,
    },
    /// More than [`LINE_LIMIT`].
    #[error("a line of more than {LINE_LIMIT} bytes")]
    LongLine,
    /// More than [`LINES_LIMIT`].
    #[error("a reply of more than {LINES_LIMIT} lines")]
    ManyLines,
}

/// Makes replies of bytes.
#[derive(Debug, Default)]
pub struct Replies {
    /// What has come and is not yet a whole line.
    bytes: Vec<u8>,
    /// The lines of the reply under way.
    begun: Option<Reply>,
}

impl Replies {
    /// Takes what came.
    pub fn receive(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
    }

    /// Whether something has come behind the last whole reply.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.bytes.is_empty() || self.begun.is_some()
    }

    /// Bytes that are no whole line yet, or were not asked for.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.bytes.len()
    }

    /// The next reply, when it is there.
    ///
    /// # Errors
    ///
    /// See [`Malformed`].
    pub fn poll(&mut self) -> Result<Option<Reply>, Malformed> {
        loop {
            let Some(end) = self.bytes.iter().take(LINE_LIMIT + 2).position(|byte| *byte == b'\n') else {
                let is_long = self.bytes.len() > LINE_LIMIT + 1;
                return if is_long { Err(Malformed::LongLine) } else { Ok(None) };
            };
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let (code, goes_on, text) = parse(line.strip_suffix(b"\r").unwrap_or(line))?;
            let mut reply = self.begun.take().unwrap_or(Reply { code, lines: Vec::new() });
            if reply.code != code {
                return Err(Malformed::SeveralCodes { first: reply.code, then: code });
            }
            if reply.lines.len() == LINES_LIMIT {
                return Err(Malformed::ManyLines);
            }
            reply.lines.push(text);
            if !goes_on {
                return Ok(Some(reply));
            }
            self.begun = Some(reply);
        }
    }
}

/// Code, whether a further line follows, and the text of a line.
fn parse(line: &[u8]) -> Result<(u16, bool, String), Malformed> {
    let malformed = || Malformed::NoCode(String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned());
    let (digits, rest) = line.split_at_checked(3).ok_or_else(malformed)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(malformed());
    }
    let code = digits.iter().fold(0, |code, digit| 10 * code + u16::from(digit - b'0'));
    match rest.split_first() {
        None => Ok((code, false, String::new())),
        Some((mark @ (b' ' | b'-'), text)) => {
            Ok((code, *mark == b'-', String::from_utf8_lossy(text).trim().to_owned()))
        }
        Some(_) => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(data: &[u8]) -> Result<Vec<Reply>, Malformed> {
        let mut replies = Replies::default();
        replies.receive(data);
        std::iter::from_fn(|| replies.poll().transpose()).collect()
    }

    fn reply(code: u16, lines: &[&str]) -> Reply {
        Reply { code, lines: lines.iter().map(|line| (*line).to_owned()).collect() }
    }

    #[test]
    fn lines_make_replies() {
        let data = b"220 mx.test ESMTP\r\n250-mx.test\r\n250-PIPELINING\n250 HELP\r\n354\r\n";
        let expected = [
            reply(220, &["mx.test ESMTP"]),
            reply(250, &["mx.test", "PIPELINING", "HELP"]),
            reply(354, &[""]),
        ];
        assert_eq!(all(data).unwrap(), expected);
        assert_eq!(expected[1].to_string(), "250 mx.test PIPELINING HELP");
        assert_eq!(expected[2].to_string(), "354");
    }

    #[test]
    fn bytes_may_come_one_by_one() {
        let mut replies = Replies::default();
        let mut found = Vec::new();
        for byte in b"250-a\r\n250 b\r\n221 c\r\n" {
            replies.receive(&[*byte]);
            found.extend(replies.poll().unwrap());
        }
        assert_eq!(found, [reply(250, &["a", "b"]), reply(221, &["c"])]);
        assert!(!replies.has_more());
    }

    #[test]
    fn what_is_no_reply_is_named() {
        assert_eq!(all(b"hello\r\n"), Err(Malformed::NoCode("hello".to_owned())));
        assert_eq!(all(b"25\r\n"), Err(Malformed::NoCode("25".to_owned())));
        assert_eq!(all(b"250_ok\r\n"), Err(Malformed::NoCode("250_ok".to_owned())));
        assert_eq!(all(b"250-a\r\n251 b\r\n"), Err(Malformed::SeveralCodes { first: 250, then: 251 }));
    }

    #[test]
    fn a_server_cannot_fill_the_memory() {
        let longest = [b"250 ".to_vec(), vec![b'x'; LINE_LIMIT - 4], b"\r\n".to_vec()].concat();
        assert_eq!(all(&longest).unwrap()[0].lines[0].len(), LINE_LIMIT - 4);
        assert_eq!(all(&vec![b'2'; LINE_LIMIT + 2]), Err(Malformed::LongLine));
        assert_eq!(all(&b"250-x\r\n".repeat(LINES_LIMIT + 1)), Err(Malformed::ManyLines));
    }
}
