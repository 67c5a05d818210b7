//! What waits to be written to one peer.

use alloc::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// Payloads from this size on are sent from where they lie; smaller ones are copied next to each other. What waits for a
/// child keeps at most as many read buffers in memory as there are such payloads in what may wait, and one more.
const SHARE_FROM: usize = 4096;
/// The same for the first that is sent so, which is mostly the only one: a copy would need a larger buffer than an idle peer
/// keeps.
const SHARE_FIRST_FROM: usize = KEEP;
/// The first buffer for small frames: a command with its macros fits in it.
const FIRST: usize = 256;
/// The largest buffer for small frames that an idle peer keeps.
const KEEP: usize = 1024;
/// The sizes of larger ones: most messages fit into the first, what one read brings into the second.
const SIZES: [usize; 2] = [16 << 10, 80 << 10];

/// Bytes to write, in order. Small frames lie side by side in one buffer, large ones are shared and not copied.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    small: BytesMut,
    /// How many bytes of `small` were written.
    written: usize,
    /// What goes between small frames.
    shared: VecDeque<Shared>,
    len: usize,
}

#[derive(Debug)]
struct Shared {
    /// How many bytes of `small` go before it.
    behind: usize,
    bytes: Bytes,
}

impl Outbox {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Appends whole small frames.
    pub(crate) fn write(&mut self, frames: impl FnOnce(&mut BytesMut)) {
        if self.small.capacity() == 0 {
            self.small.reserve(FIRST);
        }
        let before = self.small.len();
        frames(&mut self.small);
        self.len += self.small.len() - before;
    }

    /// Appends a copy of these bytes.
    pub(crate) fn copy(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.write(|out| out.extend_from_slice(bytes));
    }

    /// Appends bytes that lie elsewhere, as a part of `whole`.
    pub(crate) fn share(&mut self, part: &[u8], whole: &Bytes) {
        let from = if self.shared.is_empty() { SHARE_FIRST_FROM } else { SHARE_FROM };
        match part.len() {
            0 => {}
            len if len < from => self.copy(part),
            len => {
                self.len += len;
                self.shared.push_back(Shared { behind: self.small.len(), bytes: whole.slice_ref(part) });
            }
        }
    }

    /// Makes room in few steps, since a peer that is sent much is sent more.
    fn make_room(&mut self, more: usize) {
        let needed = self.small.len() + more;
        if needed > self.small.capacity() && needed > KEEP {
            let size = SIZES.into_iter().find(|size| *size >= needed).unwrap_or(needed);
            self.small.reserve(size - self.small.len());
        }
    }

    /// Fills `slices` with what is to be written next, and returns how many it filled.
    pub(crate) fn transmit<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        // By far the most usual.
        if self.shared.is_empty()
            && let Some(slot) = slices.first_mut()
        {
            *slot = &self.small[self.written..];
            return usize::from(self.len > 0);
        }
        self.transmit_all(slices)
    }

    /// The same, with what is shared.
    #[inline(never)]
    fn transmit_all<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        let mut from = self.written;
        let shared = self.shared.iter().map(|shared| (shared.behind, &shared.bytes[..]));
        let pieces = shared.chain([(self.small.len(), &[][..])]).flat_map(|(behind, bytes)| {
            let small = &self.small[from..behind];
            from = behind;
            [small, bytes]
        });
        let mut filled = 0;
        for (slot, piece) in slices.iter_mut().zip(pieces.filter(|piece| !piece.is_empty())) {
            *slot = piece;
            filled += 1;
        }
        filled
    }

    /// Forgets the next `n` bytes, which were written. A runtime that says more than there was is taken at what was.
    pub(crate) fn wrote(&mut self, n: usize) {
        if n >= self.len {
            return self.rest();
        }
        self.len -= n;
        let mut n = n;
        while n > 0 {
            let behind = self.shared.front().map_or(self.small.len(), |shared| shared.behind);
            let small = n.min(behind - self.written);
            self.written += small;
            n -= small;
            let Some(Shared { bytes, .. }) = self.shared.front_mut() else { break };
            let taken = n.min(bytes.len());
            bytes.advance(taken);
            n -= taken;
            if bytes.is_empty() {
                self.shared.pop_front();
            }
        }
        if self.written >= SIZES[0] {
            self.small.advance(self.written);
            for shared in &mut self.shared {
                shared.behind -= self.written;
            }
            self.written = 0;
        }
    }

    /// Drops everything that waits.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Nothing waits: takes the buffer back to its beginning, or gives it up when it has grown.
    fn rest(&mut self) {
        self.small.clear();
        self.shared.clear();
        (self.written, self.len) = (0, 0);
        if self.small.capacity() > KEEP {
            self.small = BytesMut::new();
        }
        if self.shared.capacity() > 8 {
            self.shared.shrink_to(8);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn drain(outbox: &mut Outbox, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while outbox.len() > 0 {
            let mut slices = [&b""[..]; 4];
            let filled = outbox.transmit(&mut slices);
            assert!(filled > 0, "something waits and nothing is shown");
            let joined = slices[..filled].concat();
            let taken = step.min(joined.len());
            all.extend_from_slice(&joined[..taken]);
            outbox.wrote(taken);
        }
        all
    }

    #[test]
    fn small_and_shared_bytes_come_out_in_order_however_they_are_written() {
        for step in [1, 3, 1000, 5000, 30_000, 1_000_000] {
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            for round in 0..20u8 {
                let large = Bytes::from(alloc::vec![round; 2 * SHARE_FROM]);
                outbox.write(|out| out.extend_from_slice(&[round, 1, 2]));
                outbox.share(&large, &large);
                outbox.share(b"tiny", &Bytes::new());
                outbox.share(&large[..2000], &large);
                expected.extend_from_slice(&[round, 1, 2]);
                expected.extend_from_slice(&large);
                expected.extend_from_slice(b"tiny");
                expected.extend_from_slice(&large[..2000]);
                if round % 3 == 0 {
                    let some = drain_some(&mut outbox, step);
                    assert_eq!(some, expected[..some.len()]);
                    expected.drain(..some.len());
                }
            }
            assert_eq!(drain(&mut outbox, step), expected);
        }
    }

    fn drain_some(outbox: &mut Outbox, step: usize) -> Vec<u8> {
        let mut slices = [&b""[..]; 2];
        let filled = outbox.transmit(&mut slices);
        let joined = slices[..filled].concat();
        let taken = step.min(joined.len());
        outbox.wrote(taken);
        joined[..taken].to_vec()
    }

    #[test]
    fn of_payloads_of_middle_size_only_one_is_sent_from_where_it_lies() {
        let mut outbox = Outbox::default();
        let middle = Bytes::from(alloc::vec![7; SHARE_FIRST_FROM]);
        outbox.write(|out| out.extend_from_slice(b"head"));
        for _ in 0..5 {
            outbox.share(&middle, &middle);
        }
        assert_eq!(outbox.shared.len(), 1);
        assert_eq!(drain(&mut outbox, 1000), [&b"head"[..], &[7; 5 * SHARE_FIRST_FROM]].concat());
    }

    #[test]
    fn an_idle_peer_keeps_next_to_nothing() {
        let mut outbox = Outbox::default();
        outbox.write(|out| out.extend_from_slice(&[0; 100_000]));
        outbox.wrote(100_000);
        assert!(outbox.small.capacity() <= KEEP);
    }
}
