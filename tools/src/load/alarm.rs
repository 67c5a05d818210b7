//! Wakes a poll between two milliseconds.

use std::io;
use std::time::Duration;

use mio::{Registry, Token};

/// Rings at an interval. Linux has no time limit of a poll below a millisecond, and sessions at a fixed rate would begin in bursts;
/// elsewhere the poll's own limit is fine enough.
#[derive(Debug)]
pub(super) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: std::os::fd::OwnedFd,
}

#[cfg(target_os = "linux")]
impl Alarm {
    /// One that wakes `registry`'s poll with `token`.
    pub(super) fn every(interval: Duration, registry: &Registry, token: Token) -> io::Result<Self> {
        use std::os::fd::AsRawFd as _;

        use rustix::time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
            timerfd_settime,
        };

        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let interval = Timespec {
            tv_sec: i64::try_from(interval.as_secs()).unwrap_or(i64::MAX),
            // No time at all would be no alarm.
            tv_nsec: i64::from(interval.subsec_nanos()).max(i64::from(interval.as_secs() == 0)),
        };
        let times = Itimerspec { it_interval: interval, it_value: interval };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
        registry.register(&mut mio::unix::SourceFd(&timer.as_raw_fd()), token, mio::Interest::READABLE)?;
        Ok(Self { timer })
    }

    /// It has rung, and is to ring again.
    pub(super) fn heard(&self) {
        // That it has not rung at all is no harm.
        let _ = rustix::io::read(&self.timer, &mut [0; 8]);
    }
}

#[cfg(not(target_os = "linux"))]
impl Alarm {
    /// One that has nothing to do.
    pub(super) const fn every(_: Duration, _: &Registry, _: Token) -> io::Result<Self> {
        Ok(Self {})
    }

    /// It has not rung.
    pub(super) const fn heard(&self) {}
}
