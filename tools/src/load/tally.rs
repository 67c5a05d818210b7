//! What became of the mails of a run, and what they took.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Three digits of a time are kept, from a microsecond to an hour.
const SHORTEST: u64 = 1_000;
const LONGEST: u64 = 3_600_000_000_000;
/// As many different replies are kept for each kind of failure; a queue id in them makes each a new one.
const MOST_TEXTS: usize = 1_000;
/// As many of the slowest mails are kept.
pub const SLOWEST: usize = 10;

/// What became of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It was taken.
    Passed,
    /// 4xx.
    TemporaryFailure(String),
    /// 5xx.
    Rejected(String),
    /// It was not decided, or not for its own sake: its kind in a word, and what happened.
    Error(&'static str, String),
}

/// A mail that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its file, when it has one.
    pub name: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// What it took.
    pub took: Duration,
}

/// Counts, and the times of mails that were decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    /// Mails, whatever became of them.
    pub mails: u64,
    /// 4xx.
    pub temporary_failures: u64,
    /// 5xx.
    pub rejects: u64,
    /// Neither taken nor refused.
    pub errors: u64,
    /// The longest time.
    pub max: Duration,
    /// The shortest.
    pub min: Duration,
    /// All together.
    pub sum: Duration,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            mails: 0,
            temporary_failures: 0,
            rejects: 0,
            errors: 0,
            max: Duration::ZERO,
            min: Duration::MAX,
            sum: Duration::ZERO,
        }
    }
}

impl Counts {
    fn add(&mut self, fate: &Fate, took: Duration) {
        self.mails += 1;
        match fate {
            Fate::Passed => {}
            Fate::TemporaryFailure(_) => self.temporary_failures += 1,
            Fate::Rejected(_) => self.rejects += 1,
            Fate::Error(..) => {
                self.errors += 1;
                return;
            }
        }
        self.max = self.max.max(took);
        self.min = self.min.min(took);
        self.sum += took;
    }

    /// Mails that were taken or refused.
    #[must_use]
    pub const fn decided(&self) -> u64 {
        self.mails - self.errors
    }

    /// The shortest time, or zero without any.
    #[must_use]
    pub fn least(&self) -> Duration {
        if self.decided() == 0 { Duration::ZERO } else { self.min }
    }

    /// The mean of all times, or zero without any.
    #[must_use]
    pub fn average(&self) -> Duration {
        match self.decided() {
            0 => Duration::ZERO,
            decided => self.sum.div_f64(decided as f64),
        }
    }
}

/// All of a run.
#[derive(Debug, Clone)]
pub struct Tally {
    /// From the beginning.
    pub total: Counts,
    /// Since it was asked for last.
    pub lately: Counts,
    /// Nanoseconds of mails that were decided.
    pub times: Histogram<u64>,
    /// The slowest that have a name, the slowest first.
    pub slowest: Vec<(Duration, String)>,
    /// The names of those that were rejected.
    pub rejected: Vec<String>,
    /// The names of those that failed temporarily.
    pub temporarily_failed: Vec<String>,
    /// How often each reply came.
    pub temporary_failure_texts: Texts,
    /// How often each reply came.
    pub reject_texts: Texts,
    /// How often each error was.
    pub error_texts: Texts,
}

/// Texts, and how often each was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    counts: BTreeMap<String, u64>,
    /// Those for which there was no room.
    pub others: u64,
}

impl Texts {
    /// Counts one; whether it is the first of its kind.
    fn add(&mut self, text: &str) -> bool {
        if let Some(count) = self.counts.get_mut(text) {
            *count += 1;
            return false;
        }
        if self.counts.len() == MOST_TEXTS {
            self.others += 1;
            return false;
        }
        self.counts.insert(text.to_owned(), 1);
        true
    }

    /// All, the most frequent first.
    #[must_use]
    pub fn by_count(&self) -> Vec<(&str, u64)> {
        let mut texts: Vec<_> = self.counts.iter().map(|(text, count)| (text.as_str(), *count)).collect();
        texts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        texts
    }
}

impl Tally {
    /// Nothing yet.
    ///
    /// # Errors
    ///
    /// Never, with the bounds that it has.
    pub fn new() -> Result<Self, hdrhistogram::CreationError> {
        Ok(Self {
            total: Counts::default(),
            lately: Counts::default(),
            times: Histogram::new_with_bounds(SHORTEST, LONGEST, 3)?,
            slowest: Vec::new(),
            rejected: Vec::new(),
            temporarily_failed: Vec::new(),
            temporary_failure_texts: Texts::default(),
            reject_texts: Texts::default(),
            error_texts: Texts::default(),
        })
    }

    /// Takes a mail; whether it is an error that was not there before.
    pub fn add(&mut self, done: Done) -> bool {
        self.total.add(&done.fate, done.took);
        self.lately.add(&done.fate, done.took);
        let is_decided = !matches!(done.fate, Fate::Error(..));
        if is_decided {
            self.times.saturating_record(u64::try_from(done.took.as_nanos()).unwrap_or(u64::MAX));
        }
        let is_new = match &done.fate {
            Fate::Passed => false,
            Fate::TemporaryFailure(text) => {
                self.temporary_failure_texts.add(text);
                self.temporarily_failed.extend(done.name.clone());
                false
            }
            Fate::Rejected(text) => {
                self.reject_texts.add(text);
                self.rejected.extend(done.name.clone());
                false
            }
            Fate::Error(class, text) => self.error_texts.add(&format!("{class}: {text}")),
        };
        if let Some(name) = done.name.filter(|_| is_decided) {
            let place = self.slowest.partition_point(|(took, _)| *took >= done.took);
            if place < SLOWEST {
                self.slowest.insert(place, (done.took, name));
                self.slowest.truncate(SLOWEST);
            }
        }
        is_new
    }

    /// What was counted since this was asked last.
    pub fn take_lately(&mut self) -> Counts {
        std::mem::take(&mut self.lately)
    }

    /// Within which time that part of the mails was decided.
    #[must_use]
    pub fn within(&self, part: f64) -> Duration {
        Duration::from_nanos(self.times.value_at_quantile(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(name: &str, fate: Fate, milliseconds: u64) -> Done {
        Done { name: Some(name.to_owned()), fate, took: Duration::from_millis(milliseconds) }
    }

    #[test]
    fn errors_have_no_time() {
        let mut tally = Tally::new().unwrap();
        assert_eq!((tally.total.least(), tally.total.average()), (Duration::ZERO, Duration::ZERO));
        tally.add(done("a", Fate::Passed, 100));
        tally.add(done("b", Fate::Rejected("554 no".to_owned()), 300));
        assert!(tally.add(done("c", Fate::Error("timeout", "MAIL".to_owned()), 60_000)));
        assert!(!tally.add(done("d", Fate::Error("timeout", "MAIL".to_owned()), 60_000)));
        assert_eq!((tally.total.mails, tally.total.decided(), tally.total.errors), (4, 2, 2));
        assert_eq!(tally.total.average(), Duration::from_millis(200));
        assert_eq!(tally.total.max, Duration::from_millis(300));
        assert_eq!(tally.error_texts.by_count(), [("timeout: MAIL", 2)]);
        assert_eq!(tally.rejected, ["b"]);
    }

    #[test]
    fn lately_is_since_the_last_time() {
        let mut tally = Tally::new().unwrap();
        tally.add(done("a", Fate::Passed, 1));
        assert_eq!(tally.take_lately().mails, 1);
        tally.add(done("a", Fate::Passed, 2));
        let lately = tally.take_lately();
        assert_eq!((lately.mails, lately.least()), (1, Duration::from_millis(2)));
        assert_eq!(tally.total.mails, 2);
    }

    #[test]
    fn the_slowest_ten_come_first() {
        let mut tally = Tally::new().unwrap();
        for time in [5, 1, 9, 3, 7, 2, 8, 4, 6, 10, 12, 11] {
            tally.add(done(&time.to_string(), Fate::Passed, time));
        }
        let names: Vec<_> = tally.slowest.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["12", "11", "10", "9", "8", "7", "6", "5", "4", "3"]);
    }

    #[test]
    fn percentiles_keep_three_digits() {
        let mut tally = Tally::new().unwrap();
        (1..=1000).for_each(|time| _ = tally.add(done("", Fate::Passed, time)));
        for (part, milliseconds) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0), (0.999, 999.0)] {
            let within = tally.within(part).as_secs_f64() * 1e3;
            assert!((within / milliseconds - 1.0).abs() < 0.002, "{part}: {within}");
        }
    }

    #[test]
    fn replies_with_a_queue_id_each_do_not_fill_the_memory() {
        let mut texts = Texts::default();
        (0..MOST_TEXTS + 5).for_each(|id| _ = texts.add(&format!("451 {id}")));
        assert_eq!((texts.by_count().len(), texts.others), (MOST_TEXTS, 5));
    }
}
