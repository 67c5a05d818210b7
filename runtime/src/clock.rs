//! Core's time: nanoseconds since the server started, the same for all loops.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millstream_core::time::Instant;

/// A clock that never goes back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(std::time::Instant);

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time since the start.
    pub(crate) fn now(self) -> Instant {
        Instant::ZERO + self.0.elapsed()
    }

    /// How long from now until `at`.
    pub(crate) fn until(self, at: Instant) -> Duration {
        at.since(self.now())
    }
}

/// Seconds since 1970, 0 when the system clock is set before that.
pub(crate) fn unix_seconds() -> i64 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
