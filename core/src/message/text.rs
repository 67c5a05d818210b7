//! The text of headers: their frames one behind the other, in blocks that can be sent from where they lie.

use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

/// Room that the first header makes, in bytes: enough for all of an ordinary message.
const FIRST: usize = 4096;
/// The most room that is made ahead of what comes.
const AHEAD: usize = 256 << 10;
/// A block is worth sharing from this size on; a shorter one is copied where it is full.
const CLOSE_FROM: usize = 4096;
/// Places for closed blocks that the first makes.
const BLOCKS: usize = 16;

/// Frames one behind the other. Places are bytes from the beginning; a frame lies in one block.
#[derive(Debug, Default)]
pub(super) struct Text {
    closed: Vec<Block>,
    /// Where the open block begins.
    start: usize,
    open: BytesMut,
}

#[derive(Debug)]
struct Block {
    start: usize,
    bytes: Bytes,
}

/// What lies from some place on to the end of its block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch<'a> {
    pub(super) bytes: &'a [u8],
    /// The block, where it is closed.
    pub(super) block: Option<&'a Bytes>,
}

impl Text {
    /// Where the next frame begins.
    pub(super) fn end(&self) -> usize {
        self.start + self.open.len()
    }

    /// Appends a whole frame, or more of them, in pieces: [room](Self::make_room) was made for all.
    #[inline]
    pub(super) fn append(&mut self, piece: &[u8]) {
        self.open.extend_from_slice(piece);
    }

    /// Makes room for frames of so many bytes in one block.
    #[inline]
    pub(super) fn make_room(&mut self, more: usize) {
        if self.open.capacity() - self.open.len() < more {
            self.make_block(more);
        }
    }

    #[cold]
    fn make_block(&mut self, more: usize) {
        if self.open.len() >= CLOSE_FROM {
            self.close();
        }
        let ahead = (2 * self.end()).clamp(FIRST, AHEAD);
        let mut open = BytesMut::with_capacity(ahead.max(self.open.len() + more));
        open.extend_from_slice(&self.open);
        self.open = open;
    }

    /// What came from `place` on was all that came at once: where that is much, it can be shared from now on.
    pub(super) fn close_behind(&mut self, place: usize) {
        if self.end() - place.max(self.start) >= CLOSE_FROM {
            self.close();
        }
    }

    fn close(&mut self) {
        if self.closed.is_empty() {
            self.closed.reserve(BLOCKS);
        }
        let block = Block { start: self.start, bytes: self.open.split().freeze() };
        self.start += block.bytes.len();
        self.closed.push(block);
    }

    /// The `len` bytes at `place`, of one frame.
    pub(super) fn get(&self, place: usize, len: usize) -> &[u8] {
        &self.from(place).bytes[..len]
    }

    /// What lies from `place` on.
    pub(super) fn from(&self, place: usize) -> Stretch<'_> {
        if place >= self.start {
            return Stretch { bytes: &self.open[place - self.start..], block: None };
        }
        let behind = self.closed.partition_point(|block| block.start <= place);
        let Block { start, bytes } = &self.closed[behind - 1];
        Stretch { bytes: &bytes[place - start..], block: Some(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of so many bytes that differs from those before and behind.
    fn frame(number: usize, len: usize) -> Vec<u8> {
        (0..len).map(|at| (number * 7 + at) as u8).collect()
    }

    #[test]
    fn every_frame_is_found_where_it_was_put_and_lies_in_one_block() {
        let mut text = Text::default();
        let sizes = [1, 4000, 95, 96, 97, 5000, 1, 4095, 1, 4096, 300_000, 20].repeat(3);
        let mut places = Vec::new();
        for (number, len) in sizes.iter().enumerate() {
            places.push(text.end());
            let frame = frame(number, *len);
            let (one, other) = frame.split_at(len / 3);
            text.make_room(*len);
            text.append(one);
            text.append(other);
            if number % 5 == 0 {
                text.close_behind(places[number]);
            }
        }
        assert_eq!(text.end(), sizes.iter().sum::<usize>());
        for (number, (place, len)) in places.into_iter().zip(sizes).enumerate() {
            assert!(text.get(place, len) == frame(number, len), "{number}");
        }
    }

    #[test]
    fn what_is_large_can_be_shared() {
        let mut text = Text::default();
        for len in [CLOSE_FROM, CLOSE_FROM - 1] {
            let place = text.end();
            text.make_room(len);
            text.append(&alloc::vec![b'a'; len]);
            text.close_behind(place);
        }
        let closed = text.from(10);
        assert_eq!((closed.bytes.len(), closed.block.map(Bytes::len)), (CLOSE_FROM - 10, Some(CLOSE_FROM)));
        let open = text.from(CLOSE_FROM);
        assert_eq!((open.bytes.len(), open.block), (CLOSE_FROM - 1, None));
    }
}
