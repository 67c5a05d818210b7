//! What all sessions share, of which the others have so much that now and then nothing is left.

use std::sync::atomic::{AtomicU64, Ordering};

use millstream_core::reserve::{Reserve, Room};

/// Says no to so many percent of what is asked for.
#[derive(Debug)]
pub(crate) struct Rationed {
    pub(super) percent: u64,
    chance: AtomicU64,
    pub(super) taken: AtomicU64,
    /// How often it said no.
    pub(super) refused: AtomicU64,
}

impl Rationed {
    pub(super) fn new(percent: u64, seed: u64) -> Self {
        let [taken, refused] = [0, 0].map(AtomicU64::new);
        Self { percent, chance: AtomicU64::new(seed), taken, refused }
    }
}

impl Reserve for Rationed {
    fn take(&self, _: Room, bytes: u64, _: u64) -> bool {
        let next = self.chance.load(Ordering::Relaxed).wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        self.chance.store(next, Ordering::Relaxed);
        let given = (next >> 33) % 100 >= self.percent;
        let count = if given { &self.taken } else { &self.refused };
        count.fetch_add(if given { bytes } else { 1 }, Ordering::Relaxed);
        given
    }

    fn give_back(&self, _: Room, bytes: u64) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}
