//! A body as chunks that are shared and not copied.

use alloc::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::arena::Arena;
use crate::wire::{CHUNK_SIZE, Edit, Frame};

/// Shorter chunks are copied next to each other, so that they do not keep the buffer that they were read into.
const SHARE_FROM: usize = 16 << 10;
/// Places for chunks that are kept while none is held.
const KEEP: usize = 16;

/// The chunks of a body, each a frame ready to be sent.
#[derive(Debug, Default)]
pub struct Body {
    /// The number of the first chunk that is still held.
    first: usize,
    chunks: VecDeque<Frame>,
    held: usize,
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
                self.chunks.push_back(if len < SHARE_FROM {
                    frame.copied(|pieces| self.arena.copy(pieces))
                } else {
                    frame
                });
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
            self.chunks.push_back(Frame::new(b'B', piece));
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

    /// The chunk number `index`, from 0, unless it is not here yet or released.
    #[must_use]
    pub fn chunk(&self, index: usize) -> Option<&Frame> {
        self.chunks.get(index.checked_sub(self.first)?)
    }

    /// Forgets the chunks before `index`.
    pub fn release(&mut self, index: usize) {
        while self.first < index
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.held -= chunk.payload_len();
            self.first += 1;
        }
        if self.chunks.is_empty() && self.chunks.capacity() > KEEP {
            self.chunks = VecDeque::new();
        }
    }

    /// Payload bytes held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held + self.tail.len()
    }

    /// This body as one run of replacements; an empty body is one empty replacement.
    pub fn render(&self) -> impl Iterator<Item = Edit> {
        let empty = self.chunks.is_empty().then(|| Edit::ReplaceBody(Bytes::new()));
        let pieces = self.chunks.iter().flat_map(Frame::payload).filter(|piece| !piece.is_empty());
        empty.into_iter().chain(pieces.map(Edit::ReplaceBody))
    }
}
