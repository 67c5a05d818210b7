//! Many seeds on all cores, of the world and of the crowd: `run` and `coverage` are the test's own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::coverage::Coverage;
use crate::run;

/// How many seeds a core takes at once.
const BATCH: u64 = 64;

/// What many seeds have shown.
#[derive(Default)]
pub(crate) struct Campaign {
    pub(crate) coverage: Coverage,
    /// The seeds that were not in order, sorted.
    pub(crate) failed: Vec<u64>,
}

impl Campaign {
    pub(crate) fn run(from: u64, seeds: u64) -> Self {
        let next = AtomicU64::new(from);
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut whole = thread::scope(|scope| {
            let workers: Vec<_> =
                (0..cores).map(|_| scope.spawn(|| Self::work(&next, from + seeds))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).reduce(Self::with).unwrap()
        });
        whole.failed.sort_unstable();
        whole
    }

    /// Takes batches until there are no more.
    fn work(next: &AtomicU64, end: u64) -> Self {
        let mut own = Self::default();
        loop {
            let start = next.fetch_add(BATCH, Ordering::Relaxed);
            if start >= end {
                return own;
            }
            for seed in start..end.min(start + BATCH) {
                let report = run(seed, false);
                own.coverage.add(&report.coverage);
                own.failed.extend(report.error.map(|_| seed));
            }
        }
    }

    fn with(mut self, other: Self) -> Self {
        self.coverage.add(&other.coverage);
        self.failed.extend(other.failed);
        self
    }
}

pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
