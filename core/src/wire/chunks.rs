//! Body chunks one behind the other, as they stood on the wire.

use bytes::Bytes;

use super::decoder::Ahead;
use super::facts::{CHUNK_SIZE, HEAD, Stage};
use super::frame::Frame;

/// One or more body chunks, as the frames that they came in: they are sent on as they are, however many there are.
///
/// All lie in one piece, but for a single chunk that came in two. Like a [`Frame`] they share the read that they came in.
/// A chunk is named by the byte at which its frame begins.
#[derive(Debug, Clone)]
pub struct Chunks {
    first: Bytes,
    rest: Bytes,
    payload: usize,
}

impl From<Frame> for Chunks {
    fn from(frame: Frame) -> Self {
        let [first, rest] = frame.wire().map(Bytes::clone);
        Self { first, rest, payload: frame.payload_len() }
    }
}

impl Chunks {
    /// Whole frames where they lie, with so many bytes of payload in all.
    pub(crate) const fn run(frames: Bytes, payload: usize) -> Self {
        Self { first: frames, rest: Bytes::new(), payload }
    }

    /// Frames that were put away; `None` when these bytes are something else.
    pub(crate) fn read(frames: Bytes) -> Option<Self> {
        let (mut payload, mut end) = (0, 0);
        for frame in Ahead::new(&frames, 1 + CHUNK_SIZE) {
            if frame[HEAD - 1] != Stage::Body.letter() {
                return None;
            }
            payload += frame.len() - HEAD;
            end += frame.len();
        }
        (end == frames.len()).then_some(Self::run(frames, payload))
    }

    /// Bytes of payload in all.
    #[must_use]
    pub const fn payload_len(&self) -> usize {
        self.payload
    }

    /// Bytes on the wire.
    #[must_use]
    pub const fn wire_len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    /// The wire bytes in order; the second piece is usually empty.
    #[must_use]
    pub const fn wire(&self) -> [&Bytes; 2] {
        [&self.first, &self.rest]
    }

    /// Where the chunks from byte `start` on end, at most `most` of them, and how many these are.
    #[must_use]
    pub fn end_of(&self, start: usize, most: usize) -> (usize, usize) {
        if !self.rest.is_empty() {
            return (self.wire_len(), 1);
        }
        let frames = self.frames(start).take(most);
        frames.fold((start, 0), |(end, count), frame| (end + frame.len(), count + 1))
    }

    /// The payload of the chunk at byte `start`, in order; the second piece is usually empty.
    #[must_use]
    pub fn payload_at(&self, start: usize) -> [Bytes; 2] {
        let (end, _) = self.end_of(start, 1);
        [self.first.slice(start + HEAD..end.min(self.first.len())), self.rest.clone()]
    }

    /// The payload of every chunk in order, in pieces.
    pub fn payloads(&self) -> impl Iterator<Item = Bytes> {
        let mut start = 0;
        let pieces = core::iter::from_fn(move || {
            (start < self.wire_len()).then(|| {
                let pieces = self.payload_at(start);
                (start, _) = self.end_of(start, 1);
                pieces
            })
        });
        pieces.flatten().filter(|piece| !piece.is_empty())
    }

    /// The same chunks in memory of their own, made by `copy` from the pieces.
    #[must_use]
    pub fn copied(&self, copy: impl FnOnce(&[&[u8]]) -> Bytes) -> Self {
        Self::run(copy(&[&self.first, &self.rest]), self.payload)
    }

    fn frames(&self, start: usize) -> Ahead<'_> {
        Ahead::new(&self.first[start..], usize::MAX)
    }
}
