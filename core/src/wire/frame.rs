//! One frame, letter and payload as they stood on the wire.

use bytes::{Buf, Bytes, BytesMut};

use super::command::head;
use super::facts::HEAD;

/// One frame, letter and payload as they stood on the wire.
///
/// The bytes lie in one piece, or in two when a frame of more than 4 KiB straddled two reads or was made here. The first
/// piece always holds the length and the letter. They are shared with the read that they came in, so keeping a small
/// part of a frame keeps the whole read in memory: copy what is to stay.
#[derive(Debug, Clone)]
pub struct Frame {
    first: Bytes,
    rest: Bytes,
}

impl Frame {
    /// A frame of our own making. The payload is shared and not copied.
    #[must_use]
    pub fn new(letter: u8, payload: Bytes) -> Self {
        Self { first: Bytes::copy_from_slice(&head(letter, payload.len())), rest: payload }
    }

    /// A frame as it came; `first` holds at least the head.
    pub(super) const fn received(first: Bytes, rest: Bytes) -> Self {
        Self { first, rest }
    }

    /// The same frame in memory of its own, made by `copy` from the pieces.
    #[must_use]
    pub fn copied(&self, copy: impl FnOnce(&[&[u8]]) -> Bytes) -> Self {
        Self { first: copy(&[&self.first, &self.rest]), rest: Bytes::new() }
    }

    /// The letter.
    #[must_use]
    pub fn letter(&self) -> u8 {
        self.first[HEAD - 1]
    }

    /// The number of payload bytes.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.first.len() + self.rest.len() - HEAD
    }

    /// The wire bytes in order, length field included; the second piece is usually empty.
    #[must_use]
    pub const fn wire(&self) -> [&Bytes; 2] {
        [&self.first, &self.rest]
    }

    /// The payload in order, shared and not copied; the second piece is usually empty.
    #[must_use]
    pub fn payload(&self) -> [Bytes; 2] {
        [self.first.slice(HEAD..), self.rest.clone()]
    }

    /// The payload in one piece, copied only when it lies in two.
    #[must_use]
    pub fn contiguous(self) -> Bytes {
        let mut first = self.first;
        first.advance(HEAD);
        if self.rest.is_empty() {
            return first;
        }
        let mut joined = BytesMut::with_capacity(first.len() + self.rest.len());
        joined.extend_from_slice(&first);
        joined.extend_from_slice(&self.rest);
        joined.freeze()
    }
}

/// Equal on the wire, however the bytes lie in memory.
impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.payload_len() == other.payload_len()
            && self.first.iter().chain(&self.rest).eq(other.first.iter().chain(&other.rest))
    }
}

impl Eq for Frame {}
