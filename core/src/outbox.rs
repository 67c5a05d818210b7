//! What waits to be written to one peer.

use alloc::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// Payloads from this size on are sent from where they lie; smaller ones are copied next to each other.
const SHARE_FROM: usize = 1024;
/// Half of the largest buffer for small frames that an idle peer keeps.
const KEEP: usize = 512;

/// Bytes to write, in order. Small frames lie side by side in one buffer, large ones are shared and not copied.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Segment>,
    small: BytesMut,
    /// Position in the stream of small bytes at which `small` begins.
    base: u64,
    len: usize,
}

#[derive(Debug)]
enum Segment {
    /// The next small bytes up to this position.
    SmallUntil(u64),
    Shared(Bytes),
}

impl Outbox {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Appends whole small frames.
    pub(crate) fn write(&mut self, frames: impl FnOnce(&mut BytesMut)) {
        let before = self.small.len();
        frames(&mut self.small);
        self.len += self.small.len() - before;
        let end = self.base + self.small.len() as u64;
        match self.queue.back_mut() {
            Some(Segment::SmallUntil(until)) => *until = end,
            _ => self.queue.push_back(Segment::SmallUntil(end)),
        }
    }

    /// Appends bytes that lie elsewhere.
    pub(crate) fn share(&mut self, bytes: &Bytes) {
        if bytes.is_empty() {
        } else if bytes.len() < SHARE_FROM {
            self.write(|out| out.extend_from_slice(bytes));
        } else {
            self.len += bytes.len();
            self.queue.push_back(Segment::Shared(bytes.clone()));
        }
    }

    /// Fills `slices` with what is to be written next, and returns how many it filled.
    pub(crate) fn transmit<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        let mut small_from = 0;
        let mut filled = 0;
        for (slot, segment) in slices.iter_mut().zip(&self.queue) {
            *slot = match segment {
                Segment::SmallUntil(until) => {
                    let end = (until - self.base) as usize;
                    let slice = &self.small[small_from..end];
                    small_from = end;
                    slice
                }
                Segment::Shared(bytes) => bytes,
            };
            filled += 1;
        }
        filled
    }

    /// Forgets the next `n` bytes, which were written. A runtime that says more than there was is taken at what was.
    pub(crate) fn wrote(&mut self, n: usize) {
        let mut n = n.min(self.len);
        self.len -= n;
        while n > 0 {
            let Some(segment) = self.queue.front_mut() else { return };
            let size = match segment {
                Segment::SmallUntil(until) => (*until - self.base) as usize,
                Segment::Shared(bytes) => bytes.len(),
            };
            let taken = n.min(size);
            match segment {
                Segment::SmallUntil(_) => {
                    self.small.advance(taken);
                    self.base += taken as u64;
                }
                Segment::Shared(bytes) => bytes.advance(taken),
            }
            n -= taken;
            if taken == size {
                self.queue.pop_front();
            }
        }
        if self.len == 0 {
            self.rest();
        }
    }

    /// Drops everything that waits.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Nothing waits: takes the buffer back to its beginning, or gives it up when it has grown.
    fn rest(&mut self) {
        self.queue.clear();
        self.base = 0;
        let reclaimed = self.small.try_reclaim(1);
        if !reclaimed || self.small.capacity() > 2 * KEEP {
            self.small = BytesMut::new();
        }
        self.queue.shrink_to(8);
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
        for step in [1, 3, 1000, 5000, 100_000] {
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            for round in 0..20u8 {
                let large = Bytes::from(alloc::vec![round; 2000]);
                outbox.write(|out| out.extend_from_slice(&[round, 1, 2]));
                outbox.share(&large);
                outbox.share(&Bytes::from_static(b"tiny"));
                expected.extend_from_slice(&[round, 1, 2]);
                expected.extend_from_slice(&large);
                expected.extend_from_slice(b"tiny");
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
    fn an_idle_peer_keeps_next_to_nothing() {
        let mut outbox = Outbox::default();
        outbox.write(|out| out.extend_from_slice(&[0; 100_000]));
        outbox.wrote(100_000);
        assert!(outbox.small.capacity() <= 2 * KEEP);
    }
}
