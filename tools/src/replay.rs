//! Plays a record again: says what the MTA said, and compares what the milter answers.
//!
//! ```text
//!   say all up to the next answer of the record --> hear as many answers as it has there --> and so on
//! ```

use bytes::{Buf as _, BytesMut};
use millstream_core::wire::facts::reply_name;
use millstream_core::wire::{Culprit, Decoder, Fault, Stage};

use crate::FRAME_LIMIT;
use crate::connection::Talk;
use crate::record::{self, Direction, Entry, quoted, shown_letter};

/// "Still working" comes as often as it comes.
const PROGRESS: u8 = b'p';

/// An answer that is another than the one of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which answer, from 1.
    pub number: usize,
    /// To which command, by its name.
    pub command: String,
    /// What the record has.
    pub recorded: String,
    /// What came.
    pub came: String,
}

/// A record that is played.
#[derive(Debug)]
pub struct Replay {
    entries: std::vec::IntoIter<Entry>,
    /// The answers that come next, as the record has them.
    awaited: std::collections::VecDeque<Entry>,
    /// The last command said, for which a milter may owe several answers.
    last: u8,
    out: BytesMut,
    decoder: Decoder,
    /// Commands said.
    pub commands: usize,
    /// Answers heard.
    pub answers: usize,
    /// Those that are other ones.
    pub differences: Vec<Difference>,
}

impl Replay {
    /// Begins with the first command.
    #[must_use]
    pub fn new(entries: Vec<Entry>) -> Self {
        let entries: Vec<_> = entries
            .into_iter()
            .filter(|entry| entry.direction == Direction::ToMilter || entry.letter != PROGRESS)
            .collect();
        let mut replay = Self {
            entries: entries.into_iter(),
            awaited: std::collections::VecDeque::new(),
            last: 0,
            out: BytesMut::new(),
            decoder: Decoder::new(FRAME_LIMIT),
            commands: 0,
            answers: 0,
            differences: Vec::new(),
        };
        replay.go_on();
        replay
    }

    /// Says everything up to the next answers.
    fn go_on(&mut self) {
        while let Some(entry) = self.entries.as_slice().first() {
            match entry.direction {
                Direction::ToMilter if self.awaited.is_empty() => {
                    self.commands += 1;
                    if entry.letter != b'D' {
                        self.last = entry.letter;
                    }
                    record::encode(entry, &mut self.out);
                    self.entries.next();
                }
                Direction::ToMilter => return,
                Direction::FromMilter => self.awaited.extend(self.entries.next()),
            }
        }
    }

    fn hear(&mut self, letter: u8, payload: &[u8]) {
        let Some(recorded) = self.awaited.pop_front() else { return };
        self.answers += 1;
        if recorded.letter != letter || recorded.payload != payload {
            let command = Stage::of_letter(self.last)
                .map_or_else(|| shown_letter(self.last), |stage| stage.name().to_owned());
            self.differences.push(Difference {
                number: self.answers,
                command,
                recorded: answer(recorded.letter, &recorded.payload),
                came: answer(letter, payload),
            });
        }
        if self.awaited.is_empty() {
            self.go_on();
        }
    }
}

/// An answer for people.
fn answer(letter: u8, payload: &[u8]) -> String {
    let name = reply_name(letter).unwrap_or("unknown");
    let payload = if payload.is_empty() { String::new() } else { format!(" {}", quoted(payload)) };
    format!("{} ({name}){payload}", shown_letter(letter))
}

impl Talk for Replay {
    fn awaits(&self) -> Option<Stage> {
        let awaited = !self.awaited.is_empty();
        awaited.then(|| Stage::of_letter(self.last).unwrap_or(Stage::Unknown))
    }

    fn is_over(&self) -> bool {
        self.awaited.is_empty() && self.out.is_empty()
    }

    fn transmit<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        match slices.first_mut() {
            Some(slice) if !self.out.is_empty() => {
                *slice = &self.out;
                1
            }
            _ => 0,
        }
    }

    fn wrote(&mut self, n: usize) {
        self.out.advance(n);
    }

    fn receive(&mut self, data: BytesMut) -> Result<(), Fault> {
        self.decoder.receive(data);
        loop {
            let frame = self.decoder.next_frame().map_err(|error| Fault::Frame {
                culprit: Culprit::Child,
                expected: "an answer",
                error,
            })?;
            let Some(frame) = frame else { return Ok(()) };
            let letter = frame.letter();
            if letter != PROGRESS {
                self.hear(letter, &frame.contiguous());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(replay: &mut Replay) -> Vec<u8> {
        let text = replay.out.to_vec();
        replay.wrote(text.len());
        text
    }

    fn reply(letter: u8, payload: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        let entry =
            Entry { seconds: 0.0, direction: Direction::FromMilter, letter, payload: payload.to_vec() };
        record::encode(&entry, &mut out);
        out
    }

    const RECORD: &str = "0 > H \"a\\0\"\n0 < c \"\"\n0 > L \"a\\0b\\0\"\n0 > N \"\"\n0 < c \"\"\n0 < c \"\"\n0 < p \"\"\n0 > Q \"\"\n";

    #[test]
    fn it_says_what_was_said_and_waits_where_an_answer_came() {
        let mut replay = Replay::new(record::read(RECORD).unwrap());
        assert_eq!(said(&mut replay), b"\0\0\0\x03Ha\0");
        assert_eq!(replay.awaits(), Some(Stage::Helo));
        replay.receive(reply(b'c', b"")).unwrap();
        assert_eq!(said(&mut replay), b"\0\0\0\x05La\0b\0\0\0\0\x01N");
        replay.receive(reply(b'p', b"")).unwrap();
        replay.receive(reply(b'c', b"")).unwrap();
        assert!(said(&mut replay).is_empty() && !replay.is_over());
        replay.receive(reply(b'c', b"")).unwrap();
        assert_eq!(said(&mut replay), b"\0\0\0\x01Q");
        assert!(replay.is_over());
        assert_eq!((replay.commands, replay.answers, replay.differences.len()), (4, 3, 0));
    }

    #[test]
    fn another_answer_is_told_with_what_the_record_has() {
        let mut replay = Replay::new(record::read(RECORD).unwrap());
        replay.receive(reply(b'y', b"550 no\0")).unwrap();
        assert_eq!(
            replay.differences,
            [Difference {
                number: 1,
                command: "helo".to_owned(),
                recorded: "c (continue)".to_owned(),
                came: "y (reply-code) \"550 no\\0\"".to_owned(),
            }]
        );
    }
}
