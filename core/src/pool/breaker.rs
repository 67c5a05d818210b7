//! The breaker of one address: a child that is down costs a session nothing.
//!
//! ```text
//!             connecting fails, or three in a row take the connection and do not negotiate
//!   closed ------------------------------------------------------------------------------> open
//!     ^                                                                                   |    ^
//!     |                                                                  time to try again|    |it fails again
//!     +---- the child answers the offer of that session ---- one session, of one loop <---+----+
//! ```
//!
//! All of it is one word that the loops share: 0 for closed, else when to try again (40 bits of milliseconds), the class
//! of the error (8 bits) and its number (16 bits). Who changes the word by compare-exchange has made the change and tells
//! of it, so that each is told exactly once; who moves the time on has the right to try.
//!
//! Since when it is open stands in a second word, which is only ever moved on, just before the first is set. Two loops that
//! open it at the same moment may so be off by that moment.
//!
//! An open breaker closes when the child has *answered*, not when it lets itself be connected to: the kernel does that for a
//! milter that hangs too, and the log would be full of its coming and going.

use core::time::Duration;

use super::shared::Switch;
use crate::machine::{IoError, IoKind};
use crate::time::Instant;

/// How many connections in a row must come to nothing before the child is taken to be down.
pub const STRIKES: u32 = 3;

/// What an open breaker remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// When it was first seen.
    pub since: Instant,
    /// When the address is tried again.
    pub next_try: Instant,
    /// The last error.
    pub error: IoError,
}

/// Whether an address may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Closed,
    /// Yes, and the one who asked is the only one: everybody waits for what becomes of it.
    Probe,
    /// No.
    Open(Outage),
}

/// What is remembered, `None` while the breaker is closed.
#[must_use]
pub fn outage(switch: &dyn Switch) -> Option<Outage> {
    let word = switch.word();
    (word != CLOSED).then(|| read(word, switch))
}

/// Whether the address may be connected to, as far as can be seen without asking for it.
#[must_use]
pub fn is_usable(switch: &dyn Switch, now: Instant) -> bool {
    let word = switch.word();
    word == CLOSED || next_try(word) <= now
}

/// Asks to connect.
pub fn ask(switch: &dyn Switch, now: Instant, retry: Duration) -> Standing {
    let word = switch.word();
    if word == CLOSED {
        return Standing::Closed;
    }
    let outage = read(word, switch);
    if outage.next_try <= now && switch.exchange(word, encode(now + retry.max(TICK), outage.error)) {
        return Standing::Probe;
    }
    Standing::Open(outage)
}

/// The address is down. Says whether it was up before.
#[must_use = "a change is told once, by the one who made it"]
pub fn open(switch: &dyn Switch, now: Instant, retry: Duration, error: IoError) -> bool {
    let word = encode(now + retry.max(TICK), error);
    loop {
        let before = switch.word();
        if before == CLOSED {
            switch.note_since(milliseconds(now).max(1));
        }
        if switch.exchange(before, word) {
            return before == CLOSED;
        }
    }
}

/// The address is up. Says how long it was down, if it was.
#[must_use = "a change is told once, by the one who made it"]
pub fn close(switch: &dyn Switch, now: Instant) -> Option<Duration> {
    loop {
        let before = switch.word();
        if before == CLOSED {
            return None;
        }
        let since = instant(switch.since());
        if switch.exchange(before, CLOSED) {
            return Some(now.since(since));
        }
    }
}

/// The word of a closed breaker.
const CLOSED: u64 = 0;

/// The resolution of the word.
const TICK: Duration = Duration::from_millis(1);

const NANOS: u64 = 1_000_000;

/// Milliseconds, never more than it is: what is compared with [`Switch::since`].
pub(super) const fn milliseconds(at: Instant) -> u64 {
    at.as_nanos() / NANOS
}

const fn instant(milliseconds: u64) -> Instant {
    Instant::from_nanos(milliseconds.saturating_mul(NANOS))
}

fn encode(next_try: Instant, error: IoError) -> u64 {
    let time = next_try.as_nanos().div_ceil(NANOS).clamp(1, (1 << 40) - 1);
    let kind = KINDS.iter().position(|kind| *kind == error.kind).unwrap_or_default();
    let code = u16::try_from(error.code).unwrap_or_default();
    time << 24 | (kind as u64) << 16 | u64::from(code)
}

const fn next_try(word: u64) -> Instant {
    instant(word >> 24)
}

fn read(word: u64, switch: &dyn Switch) -> Outage {
    let kind = KINDS.get((word >> 16 & 0xff) as usize).copied().unwrap_or(IoKind::Other);
    let error = IoError { kind, code: (word & 0xffff) as i32 };
    Outage { since: instant(switch.since()), next_try: next_try(word), error }
}

/// The numbers of the classes in the word.
const KINDS: [IoKind; 12] = [
    IoKind::Other,
    IoKind::Refused,
    IoKind::NotFound,
    IoKind::Denied,
    IoKind::Busy,
    IoKind::Unreachable,
    IoKind::TimedOut,
    IoKind::Reset,
    IoKind::BrokenPipe,
    IoKind::Exhausted,
    IoKind::NameNotFound,
    IoKind::NoSpace,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_and_time_comes_back_from_the_word() {
        for kind in KINDS {
            let error = IoError { kind, code: 111 };
            let word = encode(instant(987_654_321), error);
            assert_eq!(next_try(word), instant(987_654_321));
            assert_eq!(KINDS[(word >> 16 & 0xff) as usize], kind);
            assert_eq!(word & 0xffff, 111);
        }
    }

    #[test]
    fn a_word_is_never_the_closed_one_and_a_try_never_early() {
        let error = IoError { kind: IoKind::Other, code: 0 };
        assert_ne!(encode(Instant::ZERO, error), CLOSED);
        let at = Instant::from_nanos(1_000_001);
        assert!(next_try(encode(at, error)) >= at);
    }
}
