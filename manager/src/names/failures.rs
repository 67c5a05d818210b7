//! Look-ups that fail are told, and not each of them: a name server that is gone fails thousands.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(60);

/// What has failed and was not told yet.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    told: Option<Instant>,
    untold: u64,
}

impl Failures {
    /// One more has failed. It is to be told when this says how many others were not.
    pub(crate) fn one_more(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.told.is_some_and(|told| now.saturating_duration_since(told) < PAUSE) {
            state.untold += 1;
            return None;
        }
        state.told = Some(now);
        Some(std::mem::take(&mut state.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_minute_is_told_with_the_number_of_those_that_were_not() {
        let failures = Failures::default();
        let start = Instant::now();
        assert_eq!(failures.one_more(start), Some(0));
        for second in 1..60 {
            assert_eq!(failures.one_more(start + Duration::from_secs(second)), None);
        }
        assert_eq!(failures.one_more(start + PAUSE), Some(59));
        assert_eq!(failures.one_more(start + PAUSE), None);
        assert_eq!(failures.one_more(start + 3 * PAUSE), Some(1));
    }
}
