//! The core's own monotonic time.
//!
//! No machine reads a clock: every input comes with the time at which it happened.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A point on a monotonic clock, in nanoseconds since an origin that the runtime chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);

    /// Later than every deadline.
    pub const NEVER: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`, zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// A gap between two calls longer than this means that the whole machine was paused, not that the peers were slow.
const PAUSE: Duration = Duration::from_secs(2);
/// What peers are given to catch up after a pause before due timers fire.
const GRACE: Duration = Duration::from_secs(1);

/// A clock that never goes back and forgives a pause of the process.
///
/// A suspended virtual machine or a stopped process would otherwise find every timer due at once and fail every
/// child, although their replies lie unread in the sockets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    now: Option<Instant>,
    grace_until: Option<Instant>,
}

impl Clock {
    /// Moves to `now` (never back). `expected` is when the machine had asked to be called at the latest: being called
    /// much later than that is a pause.
    pub fn advance(&mut self, now: Instant, expected: Option<Instant>) -> Instant {
        let last = self.now.unwrap_or(now);
        let now = now.max(last);
        self.now = Some(now);
        if expected.is_some_and(|due| now.since(due.max(last)) > PAUSE) {
            self.grace_until = Some(now + GRACE);
        }
        now
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now.unwrap_or_default()
    }

    /// When a timer set for `deadline` really fires.
    #[must_use]
    pub fn fires_at(&self, deadline: Instant) -> Instant {
        self.grace_until.map_or(deadline, |grace| deadline.max(grace))
    }

    /// Whether a timer set for `deadline` has fired.
    #[must_use]
    pub fn is_due(&self, deadline: Instant) -> bool {
        self.fires_at(deadline) <= self.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(n: u64) -> Instant {
        Instant::from_nanos(n * 1_000_000_000)
    }

    #[test]
    fn time_never_goes_back() {
        let mut clock = Clock::default();
        clock.advance(secs(10), None);
        assert_eq!(clock.advance(secs(3), None), secs(10));
    }

    #[test]
    fn a_paused_process_gives_its_peers_a_second() {
        let mut clock = Clock::default();
        clock.advance(secs(1), None);
        clock.advance(secs(60), Some(secs(8)));
        assert!(!clock.is_due(secs(8)));
        clock.advance(secs(61), Some(secs(61)));
        assert!(clock.is_due(secs(8)));
    }

    #[test]
    fn a_timer_that_is_served_in_time_has_no_grace() {
        let mut clock = Clock::default();
        clock.advance(secs(1), None);
        clock.advance(secs(8), Some(secs(8)));
        assert!(clock.is_due(secs(8)));
    }
}
