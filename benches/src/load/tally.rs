//! What sessions are made of, counted by who sends it and by who receives it.

use std::fmt;
use std::ops::{Add, Mul, Sub};

/// Commands of sessions: all but negotiation, macros, ABORT and QUIT, which are between two neighbours and not the
/// session's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sessions.
    pub sessions: u64,
    /// Their commands.
    pub commands: u64,
    /// Payload bytes of the commands.
    pub bytes: u64,
    /// The sum over the sessions of a checksum over the commands of each in their order.
    pub checksum: u64,
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            sessions: self.sessions + other.sessions,
            commands: self.commands + other.commands,
            bytes: self.bytes + other.bytes,
            checksum: self.checksum.wrapping_add(other.checksum),
        }
    }
}

impl Sub for Tally {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            sessions: self.sessions - other.sessions,
            commands: self.commands - other.commands,
            bytes: self.bytes - other.bytes,
            checksum: self.checksum.wrapping_sub(other.checksum),
        }
    }
}

impl Mul<u64> for Tally {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self {
            sessions: self.sessions * times,
            commands: self.commands * times,
            bytes: self.bytes * times,
            checksum: self.checksum.wrapping_mul(times),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {:x}", self.sessions, self.commands, self.bytes, self.checksum)
    }
}

impl Tally {
    /// Reads what [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split_whitespace();
        let mut number = |radix| u64::from_str_radix(fields.next()?, radix).ok();
        Some(Self { sessions: number(10)?, commands: number(10)?, bytes: number(10)?, checksum: number(16)? })
    }
}

/// Odd, with bits all over.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The checksum of one session, piece by piece. It is cheap: who counts is measured, too.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checksum {
    session: u64,
    frame: u64,
    length: u64,
}

impl Checksum {
    /// Some payload of the command under way.
    pub fn piece(&mut self, mut piece: &[u8]) {
        // The sum of the payload in words, wherever it is cut.
        while !self.length.is_multiple_of(8)
            && let Some((first, rest)) = piece.split_first()
        {
            self.byte(*first);
            piece = rest;
        }
        let (words, rest) = piece.as_chunks::<8>();
        let sum = words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)));
        self.frame = self.frame.wrapping_add(sum);
        self.length += 8 * words.len() as u64;
        for byte in rest {
            self.byte(*byte);
        }
    }

    fn byte(&mut self, byte: u8) {
        self.frame = self.frame.wrapping_add(u64::from(byte) << (8 * (self.length % 8)));
        self.length += 1;
    }

    /// The command under way is complete.
    pub fn command(&mut self, letter: u8) {
        let frame = self.frame.wrapping_add(self.length << 8).wrapping_add(u64::from(letter));
        self.session = (self.session.rotate_left(5) ^ frame).wrapping_mul(SPREAD);
        (self.frame, self.length) = (0, 0);
    }

    /// Over all commands so far.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.session
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pieces: &[&[u8]]) -> u64 {
        let mut checksum = Checksum::default();
        pieces.iter().for_each(|piece| checksum.piece(piece));
        checksum.command(b'B');
        checksum.value()
    }

    #[test]
    fn pieces_do_not_matter() {
        let text: Vec<u8> = (0..100).collect();
        for cut in 0..=text.len() {
            for second in cut..=text.len() {
                assert_eq!(of(&[&text[..cut], &text[cut..second], &text[second..]]), of(&[&text]));
            }
        }
    }

    #[test]
    fn what_is_lost_or_changed_shows() {
        let text: Vec<u8> = (0..100).collect();
        let mut changed = text.clone();
        changed[50] = 0;
        assert_ne!(of(&[&text]), of(&[&changed]));
        assert_ne!(of(&[&text]), of(&[&text[..99]]));
    }

    #[test]
    fn a_tally_is_read_as_it_was_written() {
        let tally = Tally { sessions: 1, commands: 22, bytes: 333, checksum: 0xabc };
        assert_eq!(Tally::parse(&tally.to_string()), Some(tally));
    }
}
