//! What all sessions of a process share: room in memory and in files for bodies and edits.
//!
//! A session takes room in large steps before it keeps something and gives it back when it is done with it, at the latest
//! when it ends. Who counts is outside: core knows only the question.

use alloc::sync::Arc;
use core::fmt;

/// Room is taken in multiples of this many bytes, so that an ordinary message asks once.
pub const STEP: u64 = 64 << 10;

/// Steps that are kept although they are not needed just now.
const KEEP: u64 = 4;

/// Where bytes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Room {
    /// In memory: [`crate::limits::Limits::total_body_bytes`].
    Memory,
    /// In spill files: [`crate::limits::Limits::total_spill_bytes`].
    Files,
}

/// The count of what all sessions of a process keep. Called from every event loop; no call may block.
pub trait Reserve: Send + Sync + fmt::Debug {
    /// Counts `bytes` more, unless that would be more than `limit` in all. Returns whether they were counted.
    fn take(&self, room: Room, bytes: u64, limit: u64) -> bool;

    /// Counts `bytes` less, which were taken before.
    fn give_back(&self, room: Room, bytes: u64);
}

/// The part of one session. It gives everything back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Share {
    reserve: Option<Arc<dyn Reserve>>,
    memory: u64,
    files: u64,
}

impl Share {
    pub(crate) const fn of(reserve: Arc<dyn Reserve>) -> Self {
        Self { reserve: Some(reserve), memory: 0, files: 0 }
    }

    /// Takes or gives back room so that there is enough for `bytes`. Returns whether there is.
    pub(crate) fn fit(&mut self, room: Room, bytes: u64, limit: u64) -> bool {
        let Some(reserve) = &self.reserve else { return true };
        let taken = match room {
            Room::Memory => &mut self.memory,
            Room::Files => &mut self.files,
        };
        let wanted = bytes.next_multiple_of(STEP);
        if wanted > *taken {
            if !reserve.take(room, wanted - *taken, limit) {
                return false;
            }
            *taken = wanted;
        } else if wanted == 0 && *taken > 0 || *taken - wanted > KEEP * STEP {
            reserve.give_back(room, *taken - wanted);
            *taken = wanted;
        }
        true
    }

    /// Bytes in memory for which there is room.
    pub(crate) const fn memory(&self) -> u64 {
        self.memory
    }

    /// Gives everything back.
    pub(crate) fn clear(&mut self) {
        self.fit(Room::Memory, 0, 0);
        self.fit(Room::Files, 0, 0);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.clear();
    }
}
