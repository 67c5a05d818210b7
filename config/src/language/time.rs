//! `Time.now`: the wall clock in the local time zone.

use std::fmt;
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::Zoned;
use jiff::tz::TimeZone;

/// The system's time zone, found out once: evaluation at run time does no input.
static ZONE: LazyLock<TimeZone> = LazyLock::new(TimeZone::system);

/// A moment, to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    /// Since 1970-01-01 UTC.
    pub(crate) seconds: i64,
}

/// The parts of a moment by the local clock.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// 0 is Sunday.
    Weekday,
    /// 1 is the first of January.
    DayOfYear,
}

/// Finds the time zone out, so that it is known before the first session.
pub(crate) fn find_zone() {
    LazyLock::force(&ZONE);
}

impl Time {
    /// By the machine's clock, for what is evaluated at load.
    pub(crate) fn now() -> Self {
        Self { seconds: Timestamp::now().as_second() }
    }

    pub(crate) fn part(self, part: Part) -> i64 {
        let local = self.local();
        match part {
            Part::Year => i64::from(local.year()),
            Part::Month => i64::from(local.month()),
            Part::Day => i64::from(local.day()),
            Part::Hour => i64::from(local.hour()),
            Part::Minute => i64::from(local.minute()),
            Part::Second => i64::from(local.second()),
            Part::Weekday => i64::from(local.weekday().to_sunday_zero_offset()),
            Part::DayOfYear => i64::from(local.day_of_year()),
        }
    }

    fn local(self) -> Zoned {
        // No clock shows a time that does not fit.
        Timestamp::from_second(self.seconds).unwrap_or_default().to_zoned(ZONE.clone())
    }
}

impl fmt::Display for Time {
    /// As Ruby's `Time#to_s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.local().strftime("%Y-%m-%d %H:%M:%S %z"))
    }
}
