//! Compact copies of small byte strings, so that a 20-byte macro never pins the buffer that it was read into.

use bytes::{Bytes, BytesMut};

/// The size of the blocks in which copies lie side by side.
const BLOCK: usize = 4096;

/// From this size on a copy has a block of its own.
const ALONE: usize = 1024;

/// Copies byte strings into blocks.
#[derive(Debug, Default)]
pub struct Arena {
    block: BytesMut,
}

impl Arena {
    /// A copy of the pieces, joined.
    pub fn copy(&mut self, pieces: &[&[u8]]) -> Bytes {
        let len = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        if len >= ALONE {
            let mut alone = BytesMut::with_capacity(len);
            for piece in pieces {
                alone.extend_from_slice(piece);
            }
            return alone.freeze();
        }
        if self.block.capacity() < len {
            self.block = BytesMut::with_capacity(BLOCK);
        }
        for piece in pieces {
            self.block.extend_from_slice(piece);
        }
        self.block.split().freeze()
    }
}
