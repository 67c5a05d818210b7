//! The words of one address of a child.

use millstream_core::pool::shared::{Gauge, Switch};

use crate::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// Whether an address is down, and what is counted of it.
///
/// The state is one word, and who changes it by compare-exchange made the change. What is read with it (`since`) is
/// written before it: hence release and acquire. The rest are counts that nothing hangs on.
#[derive(Debug)]
pub struct Breaker {
    word: AtomicU64,
    since: AtomicU64,
    strikes: AtomicU32,
    in_use: AtomicI32,
    kept: AtomicI32,
}

impl Breaker {
    /// Closed.
    #[must_use]
    pub fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            since: AtomicU64::new(0),
            strikes: AtomicU32::new(0),
            in_use: AtomicI32::new(0),
            kept: AtomicI32::new(0),
        }
    }

    /// What was counted.
    #[must_use]
    pub fn counted(&self, gauge: Gauge) -> u32 {
        u32::try_from(self.of(gauge).load(Ordering::Relaxed)).unwrap_or_default()
    }

    const fn of(&self, gauge: Gauge) -> &AtomicI32 {
        match gauge {
            Gauge::InUse => &self.in_use,
            Gauge::Kept => &self.kept,
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new()
    }
}

impl Switch for Breaker {
    fn word(&self) -> u64 {
        self.word.load(Ordering::Acquire)
    }

    fn exchange(&self, from: u64, to: u64) -> bool {
        self.word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn since(&self) -> u64 {
        self.since.load(Ordering::Acquire)
    }

    fn note_since(&self, milliseconds: u64) {
        self.since.fetch_max(milliseconds, Ordering::AcqRel);
    }

    fn strike(&self) -> u32 {
        let before =
            self.strikes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_add(1)));
        before.unwrap_or_else(|n| n).saturating_add(1)
    }

    fn forgive(&self) {
        // It is zero nearly always, and reading leaves the word in every loop's cache.
        if self.strikes.load(Ordering::Relaxed) != 0 {
            self.strikes.store(0, Ordering::Relaxed);
        }
    }

    fn count(&self, gauge: Gauge, difference: i32) {
        self.of(gauge).fetch_add(difference, Ordering::Relaxed);
    }
}
