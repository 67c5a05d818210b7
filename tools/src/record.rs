//! A session as text: every frame with its time and direction, to be read, edited, sent to others and played again.
//!
//! ```text
//! # a session of the milter protocol
//! 0.000000 > H "mx.example.net\0"
//! 0.000412 < c ""
//! 0.000502 > B "one line\n"
//!              "and another\n"
//! ```
//!
//! A line is the time since the beginning in seconds, the direction (`>` to the milter, `<` from it), the letter of the frame and its payload, in
//! quotes and with the escapes `\0 \t \n \r \" \\ \xNN`. Payloads go on in lines that begin with a blank. `#` begins a comment.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use bytes::BytesMut;
use millstream_core::wire::{Decoder, WireError};

use crate::FRAME_LIMIT;

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the MTA.
    ToMilter,
    /// From the milter.
    FromMilter,
}

/// One frame of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Since the beginning, in seconds.
    pub seconds: f64,
    /// Which way.
    pub direction: Direction,
    /// Its letter.
    pub letter: u8,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// Why a text is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}: <{text}>")]
pub struct RecordError {
    line: usize,
    expected: &'static str,
    text: String,
}

/// Makes entries of the bytes that pass.
#[derive(Debug)]
pub struct Recorder {
    to_milter: Decoder,
    from_milter: Decoder,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { to_milter: Decoder::new(FRAME_LIMIT), from_milter: Decoder::new(FRAME_LIMIT) }
    }
}

impl Recorder {
    /// Bytes have passed. Returns the frames that are complete with them.
    ///
    /// # Errors
    ///
    /// They are no frames.
    pub fn pass(
        &mut self,
        seconds: f64,
        direction: Direction,
        bytes: &[u8],
    ) -> Result<Vec<Entry>, WireError> {
        let decoder = match direction {
            Direction::ToMilter => &mut self.to_milter,
            Direction::FromMilter => &mut self.from_milter,
        };
        let mut entries = Vec::new();
        decoder.receive(BytesMut::from(bytes));
        while let Some(frame) = decoder.next_frame()? {
            let letter = frame.letter();
            let payload = frame.contiguous().to_vec();
            entries.push(Entry { seconds, direction, letter, payload });
        }
        Ok(entries)
    }
}

/// The text of a record.
#[must_use]
pub fn write(entries: &[Entry]) -> String {
    let mut text =
        "# a session of the milter protocol: SECONDS, > to the milter or < from it, LETTER, \"PAYLOAD\"\n"
            .to_owned();
    for Entry { seconds, direction, letter, payload } in entries {
        let arrow = if *direction == Direction::ToMilter { '>' } else { '<' };
        let begin = format!("{seconds:.6} {arrow} {} ", shown_letter(*letter));
        text += &begin;
        let mut lines = payload.split_inclusive(|byte| *byte == b'\n');
        text += &quoted(lines.next().unwrap_or_default());
        for line in lines {
            let _ = write!(text, "\n{:width$}{}", "", quoted(line), width = begin.len());
        }
        text.push('\n');
    }
    text
}

/// Writes a record into a file that nobody but its owner may read.
///
/// # Errors
///
/// What the system says.
pub fn save(entries: &[Entry], file: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(file)?.write_all(write(entries).as_bytes())
}

/// Reads the text of a record.
///
/// # Errors
///
/// [`RecordError`] names the first line that is wrong.
pub fn read(text: &str) -> Result<Vec<Entry>, RecordError> {
    let mut entries: Vec<Entry> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let wrong =
            |expected| RecordError { line: index + 1, expected, text: line.chars().take(200).collect() };
        let content = line.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if content.len() < line.len() {
            let entry = entries.last_mut().ok_or_else(|| wrong("a frame before more of its payload"))?;
            entry.payload.extend(unquoted(content).ok_or_else(|| wrong("a payload in quotes"))?);
            continue;
        }
        let mut words = content.splitn(4, ' ');
        let seconds = words.next().and_then(|word| word.parse::<f64>().ok());
        let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
        let direction = match words.next() {
            Some(">") => Some(Direction::ToMilter),
            Some("<") => Some(Direction::FromMilter),
            _ => None,
        };
        let letter = words.next().and_then(letter_of);
        entries.push(Entry {
            seconds: seconds.ok_or_else(|| wrong("seconds, > or <, a letter and a payload"))?,
            direction: direction.ok_or_else(|| wrong("> or < behind the seconds"))?,
            letter: letter.ok_or_else(|| wrong("the letter of a frame, or \\xNN"))?,
            payload: words.next().and_then(unquoted).ok_or_else(|| wrong("a payload in quotes"))?,
        });
    }
    Ok(entries)
}

/// The frame of an entry.
pub fn encode(entry: &Entry, out: &mut BytesMut) {
    out.extend_from_slice(&millstream_core::wire::head(entry.letter, entry.payload.len()));
    out.extend_from_slice(&entry.payload);
}

/// A letter, or what stands for one that cannot be shown.
#[must_use]
pub fn shown_letter(letter: u8) -> String {
    if letter.is_ascii_graphic() && letter != b'\\' {
        (letter as char).to_string()
    } else {
        format!("\\x{letter:02x}")
    }
}

fn letter_of(word: &str) -> Option<u8> {
    match word.as_bytes() {
        [letter] => Some(*letter),
        _ => u8::from_str_radix(word.strip_prefix("\\x").filter(|digits| digits.len() == 2)?, 16).ok(),
    }
}

/// Bytes in quotes.
#[must_use]
pub fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for (place, byte) in bytes.iter().enumerate() {
        match byte {
            // Not before a digit, where it would look like a number in octal.
            b'\0' if !bytes.get(place + 1).is_some_and(u8::is_ascii_digit) => text += "\\0",
            b'\t' => text += "\\t",
            b'\n' => text += "\\n",
            b'\r' => text += "\\r",
            b'"' => text += "\\\"",
            b'\\' => text += "\\\\",
            b' '..=b'~' => text.push(*byte as char),
            byte => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text.push('"');
    text
}

/// The bytes in quotes, behind which nothing but a comment may stand.
fn unquoted(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.strip_prefix('"')?.bytes();
    loop {
        match rest.next()? {
            b'"' => break,
            b'\\' => bytes.push(match rest.next()? {
                b'0' => b'\0',
                b't' => b'\t',
                b'n' => b'\n',
                b'r' => b'\r',
                b'x' => {
                    let digit =
                        |byte: u8| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                    digit(rest.next()?)? << 4 | digit(rest.next()?)?
                }
                literal @ (b'"' | b'\\') => literal,
                _ => return None,
            }),
            byte => bytes.push(byte),
        }
    }
    let behind: Vec<u8> = rest.skip_while(u8::is_ascii_whitespace).collect();
    (behind.is_empty() || behind[0] == b'#').then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(direction: Direction, letter: u8, payload: &[u8]) -> Entry {
        Entry { seconds: 0.5, direction, letter, payload: payload.to_vec() }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let all: Vec<u8> = (0..=255).collect();
        let entries = [
            entry(Direction::ToMilter, b'H', b"helo\0"),
            entry(Direction::FromMilter, b'c', b""),
            entry(Direction::ToMilter, b'B', &all),
            entry(Direction::ToMilter, b'B', b"one\r\n\"two\"\\\n\nthree"),
            entry(Direction::FromMilter, 0xff, b"#"),
            entry(Direction::FromMilter, b'\\', b"\n"),
            entry(Direction::ToMilter, b'C', b"h\x004\0"),
        ];
        assert!(write(&entries).ends_with(" > C \"h\\x004\\0\"\n"));
        assert_eq!(read(&write(&entries)).unwrap(), entries);
    }

    #[test]
    fn a_body_is_shown_line_by_line() {
        let text = write(&[entry(Direction::ToMilter, b'B', b"one\ntwo\n")]);
        assert_eq!(
            text.lines().skip(1).collect::<Vec<_>>(),
            ["0.500000 > B \"one\\n\"", "             \"two\\n\""]
        );
    }

    #[test]
    fn comments_and_empty_lines_are_for_people() {
        let entries = read("# one\n\n0 < c \"\"   # goes on\n").unwrap();
        assert_eq!(entries, [Entry { seconds: 0.0, ..entry(Direction::FromMilter, b'c', b"") }]);
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        let cases = [
            ("x > c \"\"", "line 1: expected seconds, > or <, a letter and a payload: <x > c \"\">"),
            ("\n0 = c \"\"", "line 2: expected > or < behind the seconds: <0 = c \"\">"),
            ("0 < cc \"\"", "line 1: expected the letter of a frame, or \\xNN: <0 < cc \"\">"),
            ("0 < c \"", "line 1: expected a payload in quotes: <0 < c \">"),
            ("0 < c \"\" x", "line 1: expected a payload in quotes: <0 < c \"\" x>"),
            ("0 < c \"\\q\"", "line 1: expected a payload in quotes: <0 < c \"\\q\">"),
            ("  \"more\"", "line 1: expected a frame before more of its payload: <  \"more\">"),
        ];
        for (text, message) in cases {
            assert_eq!(read(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn frames_are_put_together_from_pieces() {
        let mut wire = BytesMut::new();
        let entries = [
            entry(Direction::ToMilter, b'H', b"helo\0"),
            entry(Direction::ToMilter, b'B', &[7; 70_000]),
            entry(Direction::ToMilter, b'E', b""),
        ];
        for entry in &entries {
            encode(entry, &mut wire);
        }
        for size in [1, 3, 1000, wire.len()] {
            let mut recorder = Recorder::default();
            let pass = |piece| recorder.pass(0.5, Direction::ToMilter, piece).unwrap();
            assert_eq!(wire.chunks(size).flat_map(pass).collect::<Vec<_>>(), entries, "{size}");
        }
    }
}
