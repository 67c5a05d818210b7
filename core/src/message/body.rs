//! A body as chunks that are shared and not copied, and that can be put away.
//!
//! ```text
//!   Here --put_away--> Leaving --put_away_until--> Away
//! ```
//!
//! A chunk that is leaving is still here, until the file has it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::arena::Arena;
use crate::wire::{CHUNK_SIZE, Edit, Frame};

/// Shorter chunks that stay are copied next to each other, so that they do not keep the buffer that they were read into.
const SHARE_FROM: usize = 16 << 10;
/// Places for chunks that are kept while none is held: enough for what is taken at once of chunks from 64 bytes on.
const KEEP: usize = 256;

/// One chunk, a frame ready to be sent.
#[derive(Debug)]
enum Chunk {
    Here(Frame),
    /// On its way to the place in the file.
    Leaving(Frame, Place),
    /// Only in the file.
    Away(Place),
}

/// Where a chunk stands in a file, as the bytes of its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Bytes before it.
    pub offset: u64,
    /// Its bytes.
    pub length: usize,
}

impl Place {
    const fn end(self) -> u64 {
        self.offset + self.length as u64
    }
}

impl Chunk {
    /// Payload bytes in memory.
    fn held(&self) -> usize {
        match self {
            Self::Here(frame) | Self::Leaving(frame, _) => frame.payload_len(),
            Self::Away(_) => 0,
        }
    }
}

/// The chunks of a body.
#[derive(Debug, Default)]
pub struct Body {
    /// The number of the first chunk that is still held.
    first: usize,
    chunks: VecDeque<Chunk>,
    /// How many of these were settled.
    settled: usize,
    held: usize,
    /// Bytes that were put away, or are leaving.
    put_away: u64,
    arena: Arena,
    /// Short pieces of a replacement that wait to be joined.
    tail: BytesMut,
}

impl Body {
    /// Appends a chunk. One that is longer than a milter takes is cut, an empty one is left out: libmilter closes the
    /// connection on either.
    pub fn push(&mut self, frame: Frame) {
        let len = frame.payload_len();
        match len {
            0 => {}
            1..=CHUNK_SIZE => {
                self.held += len;
                self.chunks.push_back(Chunk::Here(frame));
            }
            _ => {
                for piece in frame.payload() {
                    self.push_pieces(piece);
                }
            }
        }
    }

    fn push_pieces(&mut self, mut bytes: Bytes) {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(CHUNK_SIZE));
            self.held += piece.len();
            self.chunks.push_back(Chunk::Here(Frame::new(b'B', piece)));
        }
    }

    /// Appends a piece of a replacement.
    pub fn append(&mut self, piece: Bytes) {
        if piece.len() >= SHARE_FROM {
            self.flush();
            self.push_pieces(piece);
        } else {
            self.tail.extend_from_slice(&piece);
            if self.tail.len() >= CHUNK_SIZE {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let tail = self.tail.split().freeze();
        self.push_pieces(tail);
    }

    /// Ends a replacement: everything appended is a chunk now.
    pub fn seal(&mut self) {
        self.flush();
        self.tail = BytesMut::new();
    }

    /// Whether the chunk number `index`, from 0, has come and was not released.
    #[must_use]
    pub fn has(&self, index: usize) -> bool {
        index.checked_sub(self.first).is_some_and(|place| place < self.chunks.len())
    }

    /// The chunk number `index`, from 0, unless it is not here yet, released or away.
    #[must_use]
    pub fn chunk(&self, index: usize) -> Option<&Frame> {
        match self.chunks.get(index.checked_sub(self.first)?)? {
            Chunk::Here(frame) | Chunk::Leaving(frame, _) => Some(frame),
            Chunk::Away(_) => None,
        }
    }

    /// Where the chunk number `index` is, when it is away.
    #[must_use]
    pub fn away(&self, index: usize) -> Option<Place> {
        match self.chunks.get(index.checked_sub(self.first)?)? {
            Chunk::Away(place) => Some(*place),
            Chunk::Here(_) | Chunk::Leaving(..) => None,
        }
    }

    /// Sends the oldest chunks away until at most `keep` payload bytes stay. Returns what is to be appended to the file.
    pub fn put_away(&mut self, keep: usize) -> Vec<Bytes> {
        let leaving = |chunk: &Chunk| matches!(chunk, Chunk::Leaving(..));
        let mut staying =
            self.held - self.chunks.iter().filter(|chunk| leaving(chunk)).map(Chunk::held).sum::<usize>();
        let mut pieces = Vec::new();
        for chunk in &mut self.chunks {
            if staying <= keep {
                break;
            }
            let Chunk::Here(frame) = chunk else { continue };
            staying -= frame.payload_len();
            let wire = frame.wire();
            let place = Place { offset: self.put_away, length: wire.iter().map(|piece| piece.len()).sum() };
            self.put_away = place.end();
            pieces.extend(wire.into_iter().filter(|piece| !piece.is_empty()).cloned());
            *chunk = Chunk::Leaving(frame.clone(), place);
        }
        pieces
    }

    /// The file has everything up to `length` bytes.
    pub fn put_away_until(&mut self, length: u64) {
        for chunk in &mut self.chunks {
            if let Chunk::Leaving(frame, place) = chunk
                && place.end() <= length
            {
                self.held -= frame.payload_len();
                *chunk = Chunk::Away(*place);
            }
        }
    }

    /// Bytes that were put away.
    #[must_use]
    pub const fn bytes_away(&self) -> u64 {
        self.put_away
    }

    /// Forgets the chunks before `index`.
    pub fn release(&mut self, index: usize) {
        while self.first < index
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.held -= chunk.held();
            self.first += 1;
            self.settled = self.settled.saturating_sub(1);
        }
        if self.chunks.is_empty() && self.chunks.capacity() > KEEP {
            self.chunks = VecDeque::new();
        }
    }

    /// What is held now was not done with at once and will stay for a while.
    pub fn settle(&mut self) {
        for chunk in self.chunks.range_mut(self.settled..) {
            if let Chunk::Here(frame) = chunk
                && frame.payload_len() < SHARE_FROM
            {
                *frame = frame.copied(|pieces| self.arena.copy(pieces));
            }
        }
        self.settled = self.chunks.len();
    }

    /// Payload bytes held in memory.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held + self.tail.len()
    }

    /// This body as one run of replacements; an empty body is one empty replacement.
    pub fn render(&self) -> impl Iterator<Item = Edit> {
        let empty = self.chunks.is_empty().then(|| Edit::ReplaceBody(Bytes::new()));
        let here = self.chunks.iter().filter_map(|chunk| match chunk {
            Chunk::Here(frame) | Chunk::Leaving(frame, _) => Some(frame),
            Chunk::Away(_) => None,
        });
        let pieces = here.flat_map(Frame::payload).filter(|piece| !piece.is_empty());
        empty.into_iter().chain(pieces.map(Edit::ReplaceBody))
    }
}
