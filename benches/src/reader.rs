//! Reads a stream into a decoder as a runtime does, and forwards what comes out.

use std::ops::Range;

use bytes::BytesMut;
use millstream_core::wire::{Command, Decoder, Frame, WireError};

/// Room for one read, as in `millstream-runtime`.
const READ_SIZE: usize = 72 << 10;

/// What was forwarded.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Forwarded {
    /// Frames.
    pub frames: usize,
    /// Their bytes on the wire.
    pub bytes: usize,
    /// Those of them that do not lie where they were read.
    pub copied: usize,
    /// Reads.
    pub reads: usize,
}

/// A runtime's end of one connection.
#[derive(Debug)]
pub struct Reader {
    decoder: Decoder,
    buffer: BytesMut,
    /// Where bytes were read since the frame under way began.
    read_to: Vec<Range<usize>>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { decoder: Decoder::new(1 << 20), buffer: BytesMut::new(), read_to: Vec::with_capacity(1024) }
    }
}

impl Reader {
    /// Reads `wire` in reads of at most `size` bytes, decodes every command that is not a body chunk, and gives the
    /// bytes of every frame to `forward`.
    ///
    /// # Errors
    ///
    /// `wire` is not a stream of commands.
    pub fn run(
        &mut self,
        wire: &[u8],
        size: usize,
        mut forward: impl FnMut(&[u8]),
    ) -> Result<Forwarded, WireError> {
        let mut done = Forwarded::default();
        let mut left = wire;
        while !left.is_empty() {
            left = self.read(left, size);
            done.reads += 1;
            while let Some(frame) = self.decoder.next_frame()? {
                done.frames += 1;
                for piece in frame.wire() {
                    done.bytes += piece.len();
                    done.copied += self.copied(piece);
                    forward(piece);
                }
                decode(frame)?;
            }
            if self.decoder.is_empty() {
                self.read_to.clear();
            }
        }
        Ok(done)
    }

    /// One read: gives what is left.
    fn read<'a>(&mut self, wire: &'a [u8], size: usize) -> &'a [u8] {
        let (mut buffer, lent) = match self.decoder.lend() {
            Some(lent) => (lent, true),
            None => {
                self.buffer.reserve(READ_SIZE);
                (std::mem::take(&mut self.buffer), false)
            }
        };
        let (now, left) = wire.split_at(size.min(wire.len()).min(buffer.capacity() - buffer.len()));
        let start = buffer.as_ptr() as usize + buffer.len();
        self.read_to.push(start..start + now.len());
        buffer.extend_from_slice(now);
        let data = if lent {
            buffer
        } else {
            self.buffer = buffer;
            self.buffer.split()
        };
        self.decoder.receive(data);
        left
    }

    /// How many bytes of `piece` do not lie where they were read.
    fn copied(&self, piece: &[u8]) -> usize {
        let place = piece.as_ptr() as usize..piece.as_ptr() as usize + piece.len();
        let overlap =
            |read: &Range<usize>| read.end.min(place.end).saturating_sub(read.start.max(place.start));
        piece.len().saturating_sub(self.read_to.iter().map(overlap).sum())
    }
}

/// Body chunks are forwarded unread.
fn decode(frame: Frame) -> Result<(), WireError> {
    if frame.letter() != b'B' {
        std::hint::black_box(Command::decode(frame.letter(), frame.contiguous())?);
    }
    Ok(())
}
