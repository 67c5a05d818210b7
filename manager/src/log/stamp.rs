//! The time of a line as it is written: UTC, to the microsecond.

use std::time::{SystemTime, UNIX_EPOCH};

use super::number::put_digits;

/// The second that was written last. Most lines have the same one.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: Option<u64>,
    text: String,
}

impl Stamp {
    /// Adds a time to `line`, without a fraction where there is none.
    pub(super) fn write(&mut self, line: &mut String, at: SystemTime) {
        // A clock that stands before 1970 is one that was not set.
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = since.as_secs();
        if self.second != Some(second) {
            let stamp =
                i64::try_from(second).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
            self.text = stamp.map_or_else(|| second.to_string(), |stamp| stamp.to_string());
            self.second = Some(second);
        }
        line.push_str(self.text.trim_end_matches('Z'));
        let microseconds = since.subsec_micros();
        if microseconds > 0 {
            line.push('.');
            put_digits(line, microseconds.into(), 6);
        }
        line.push('Z');
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_has_microseconds_where_there_are_any() {
        let mut stamp = Stamp::default();
        for (nanoseconds, text) in [
            (1_700_000_000_000_000_000, "2023-11-14T22:13:20Z"),
            (1_700_000_000_069_850_999, "2023-11-14T22:13:20.069850Z"),
            (1_700_000_059_000_001_000, "2023-11-14T22:14:19.000001Z"),
        ] {
            let mut line = String::new();
            stamp.write(&mut line, UNIX_EPOCH + Duration::from_nanos(nanoseconds));
            assert_eq!(line, text);
        }
    }
}
