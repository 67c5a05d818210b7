//! What is known of the addresses and places of all children, kept beside the pools by who watches them.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_core::pool::Address;

use crate::plan::MS;

/// An address of a child.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) down: bool,
    /// When it may be tried, as the pools see time: in milliseconds, rounded up.
    pub(crate) next_try: u64,
    /// Since when it is down.
    pub(crate) since: u64,
    /// Connections in a row that came to nothing.
    pub(crate) strikes: u32,
    /// Who tries it again is at it.
    pub(crate) probed: bool,
    /// Connections in use or being made.
    pub(crate) in_use: i64,
}

#[derive(Default)]
pub(crate) struct Ledger {
    standings: BTreeMap<(usize, Address), Standing>,
    /// Places taken of each child, all loops together.
    pub(crate) held: BTreeMap<usize, u32>,
    /// Requests that wait for a place, by loop and child.
    pub(crate) queues: BTreeMap<(usize, usize), usize>,
    /// Since when a place is free although somebody waits.
    idle_since: BTreeMap<usize, u64>,
}

impl Ledger {
    pub(crate) fn of(&mut self, child: usize, address: &Address) -> &mut Standing {
        self.standings.entry((child, address.clone())).or_default()
    }

    /// The addresses of a child.
    pub(crate) fn of_child(&self, child: usize) -> impl Iterator<Item = &Standing> {
        self.standings.iter().filter(move |((known, _), _)| *known == child).map(|(_, standing)| standing)
    }

    pub(crate) fn waiting(&self, child: usize) -> usize {
        self.queues.iter().filter(|((_, known), _)| *known == child).map(|(_, waiting)| waiting).sum()
    }

    pub(crate) fn held(&self, child: usize) -> u32 {
        self.held.get(&child).copied().unwrap_or_default()
    }

    /// A place may be free for a moment, while the loop that it was handed to wakes up.
    pub(crate) fn check_places(&mut self, child: usize, limit: u32, now: u64) {
        if self.waiting(child) == 0 || self.held(child) >= limit {
            self.idle_since.remove(&child);
            return;
        }
        let since = *self.idle_since.entry(child).or_insert(now);
        assert!(now - since < 300 * MS, "a place of c{child} is free, and nobody of those who wait has it");
    }

    /// The address failed, or is being tried again: nobody else may try it for a while.
    pub(crate) fn put_off(&mut self, child: usize, address: &Address, now: u64, retry: Duration) {
        let standing = self.of(child, address);
        standing.next_try = (now + retry.as_nanos() as u64).div_ceil(MS) * MS;
    }
}
