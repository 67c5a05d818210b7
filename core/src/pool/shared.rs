//! What the pools of a process share: a few words for each child. Who keeps them is outside; core knows only the questions.
//! No call may block.

use alloc::sync::Arc;
use core::fmt;

use super::Address;

/// The event loop with this number, below [`MAX_LOOPS`].
pub type LoopIndex = u32;

/// The most event loops that can share their children.
pub const MAX_LOOPS: u32 = 32;

/// What all pools know, by child.
pub trait SharedChildren: Send + Sync + fmt::Debug {
    /// The switch of one address of a child: the same one for all who ask.
    fn switch(&self, child: &Arc<str>, address: &Address) -> Arc<dyn Switch>;

    /// The places of a child: the same ones for all who ask.
    fn places(&self, child: &Arc<str>) -> Arc<dyn Places>;
}

/// The words of one address: see [`breaker`](super::breaker) for what they mean.
pub trait Switch: Send + Sync + fmt::Debug {
    /// The state: 0 while the address is in use.
    fn word(&self) -> u64;

    /// Replaces the state if it still is `from`. Says whether it was.
    fn exchange(&self, from: u64, to: u64) -> bool;

    /// When it was last opened, in milliseconds; 0 for never. It outlives the outage.
    fn since(&self) -> u64;

    /// Moves [`since`](Self::since) on to `milliseconds`, never back.
    fn note_since(&self, milliseconds: u64);

    /// Counts one connection that came to nothing and says how many that are in a row.
    fn strike(&self) -> u32;

    /// A connection came to something: the row begins anew.
    fn forgive(&self);

    /// Counts for people.
    fn count(&self, gauge: Gauge, difference: i32);
}

/// What is counted for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gauge {
    /// Connections that a session has or waits for.
    InUse,
    /// Connections that wait for a session.
    Kept,
}

/// The places of one child: how many connections to it may be in use at a time.
///
/// Two rules make it fair. A loop takes a free place only while no loop has sessions that wait; otherwise its session waits
/// too. A place that is given back while somebody waits is never free: it is handed to one of the loops that wait, each in
/// its turn, which gives it to the session that has waited longest there, or passes it on when none does any more.
pub trait Places: Send + Sync + fmt::Debug {
    /// A session of the loop `own` wants a place, of `limit` in all.
    fn take(&self, own: LoopIndex, limit: u32) -> Taken;

    /// How many places were handed to the loop `own` since it last asked. They are its own now.
    fn collect(&self, own: LoopIndex) -> u32;

    /// A place is no longer needed. Returns the loop that it was handed to, which must be woken.
    #[must_use = "who was given a place must be told"]
    fn give_back(&self, limit: u32) -> Option<LoopIndex>;

    /// No session of the loop `own` waits any more.
    fn leave(&self, own: LoopIndex);

    /// Counts, for people, sessions that wait.
    fn count_waiting(&self, difference: i32);
}

/// What came of [`Places::take`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The place is taken.
    Place,
    /// The session has to wait. When the limit was raised meanwhile, somebody who waits was given a place: this loop.
    Wait(Option<LoopIndex>),
}
