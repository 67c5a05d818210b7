//! How often a milter is started: one that ends again and again is not started again and again.

use std::time::{Duration, Instant};

/// Between the first two starts.
const FIRST: Duration = Duration::from_secs(5);

/// The longest pause; each is twice as long as the one before.
const MOST: Duration = Duration::from_secs(320);

/// When it was started so long ago, what was before does not count.
const CALM: Duration = Duration::from_secs(900);

/// The starts of one milter.
#[derive(Debug, Default)]
pub(super) struct Pace(Option<(Instant, Duration)>);

impl Pace {
    /// Whether it may be started at `now`, which then counts; else how long that has to wait.
    pub(super) fn start(&mut self, now: Instant) -> Result<(), Duration> {
        let pause = match self.0 {
            Some((last, pause)) if now.saturating_duration_since(last) < CALM => {
                let passed = now.saturating_duration_since(last);
                if passed < pause {
                    return Err(pause - passed);
                }
                (pause * 2).min(MOST)
            }
            _ => FIRST,
        };
        self.0 = Some((now, pause));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_makes_the_pause_longer_until_it_is_calm() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert_eq!(pace.start(now), Ok(()));
            let left = pace.start(now).unwrap_err();
            assert_eq!(pace.start(now + left / 2), Err(left - left / 2));
            pauses.push(left.as_secs());
            now += left;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 320, 320]);
        assert_eq!(pace.start(now + CALM), Ok(()));
        assert_eq!(pace.start(now + CALM), Err(FIRST));
    }
}
