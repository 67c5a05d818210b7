//! How many bytes all sessions keep.

use millstream_core::reserve::{Reserve, Room};

use crate::atomic::{AtomicU64, Ordering};

/// The bytes that all sessions of a process keep, in memory and in files.
///
/// Never more is counted than the limit that was given with a [`take`](Reserve::take), whatever is taken meanwhile; each
/// session may have a limit of its own, as during a reload.
#[derive(Debug)]
pub struct Counted {
    memory: AtomicU64,
    files: AtomicU64,
}

impl Counted {
    /// Nothing is kept.
    #[must_use]
    pub fn new() -> Self {
        Self { memory: AtomicU64::new(0), files: AtomicU64::new(0) }
    }

    /// Bytes that are kept now.
    #[must_use]
    pub fn bytes(&self, room: Room) -> u64 {
        self.of(room).load(Ordering::Relaxed)
    }

    const fn of(&self, room: Room) -> &AtomicU64 {
        match room {
            Room::Memory => &self.memory,
            Room::Files => &self.files,
        }
    }
}

impl Default for Counted {
    fn default() -> Self {
        Self::new()
    }
}

impl Reserve for Counted {
    fn take(&self, room: Room, bytes: u64, limit: u64) -> bool {
        // Only the count matters: nothing else is published with it.
        let more = |kept: u64| kept.checked_add(bytes).filter(|sum| *sum <= limit);
        self.of(room).fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, room: Room, bytes: u64) {
        let before = self.of(room).fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "more given back than was taken");
    }
}
