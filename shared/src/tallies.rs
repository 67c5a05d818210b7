//! Numbers that event loops count up and others read.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::atomic::{Mutex, MutexGuard};

/// For each name so many counts.
///
/// What one call counts is counted in one step: who reads sees all of it or nothing.
#[derive(Debug)]
pub struct Tallies<K, const N: usize>(Mutex<BTreeMap<K, [u64; N]>>);

impl<K: Ord + Clone, const N: usize> Tallies<K, N> {
    /// Nothing has been counted.
    #[must_use]
    pub fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// One more for each name in its count of that number; numbers from `N` on are counted nowhere. Waits for nobody but another that does
    /// the same.
    pub fn count<'k>(&self, what: impl IntoIterator<Item = (&'k K, usize)>)
    where
        K: 'k,
    {
        let mut tallies = self.lock();
        for (name, number) in what {
            if number >= N {
                continue;
            }
            match tallies.get_mut(name) {
                Some(of_name) => of_name[number] += 1,
                None => {
                    let mut of_name = [0; N];
                    of_name[number] = 1;
                    tallies.insert(name.clone(), of_name);
                }
            }
        }
    }

    /// The counts of one name.
    pub fn of<Q: Ord + ?Sized>(&self, name: &Q) -> [u64; N]
    where
        K: Borrow<Q>,
    {
        self.lock().get(name).copied().unwrap_or([0; N])
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, [u64; N]>> {
        // Numbers that are never half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord + Clone, const N: usize> Default for Tallies<K, N> {
    fn default() -> Self {
        Self::new()
    }
}

/// How many of something there were, told once in a while: each is told once.
#[derive(Debug)]
pub struct Rounds(Mutex<Round>);

#[derive(Debug, Default)]
struct Round {
    all: u64,
    told: u64,
    told_at: Option<Instant>,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// How many there were.
    pub all: u64,
    /// How many of them since it was told last.
    pub new: u64,
}

impl Rounds {
    /// There was none.
    #[must_use]
    pub fn new() -> Self {
        Self(Mutex::new(Round::default()))
    }

    /// There was one more at `now`. Says what to tell when it `is_last` for now, or nothing was told for `pause`.
    pub fn one_more(&self, is_last: bool, now: Instant, pause: Duration) -> Option<Told> {
        // Numbers that are never half-written; held for a few instructions.
        let mut round = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        round.all += 1;
        let is_time = round.told_at.is_none_or(|told_at| now.saturating_duration_since(told_at) >= pause);
        if !is_last && !is_time {
            return None;
        }
        let told = Told { all: round.all, new: round.all - round.told };
        (round.told, round.told_at) = (round.all, Some(now));
        Some(told)
    }
}

impl Default for Rounds {
    fn default() -> Self {
        Self::new()
    }
}
