//! What the sessions came to.

use std::collections::BTreeMap;
use std::fmt;

use crate::plan::{Break, Plan};
use crate::visit::Outcome;

/// Counts of sessions. Each is in exactly one of them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    answers: BTreeMap<char, usize>,
    broken_off: usize,
    /// Of those where nothing was to go wrong: all, and how many had the answer `t`, since a milter was gone.
    plain: (usize, usize),
}

impl Tally {
    /// # Panics
    /// When the outcome is none that the plan allows.
    pub(crate) fn count(&mut self, number: usize, plan: &Plan, outcome: &Outcome) {
        match outcome {
            Outcome::Answered(answer) => {
                assert!(plan.allows(*answer), "session {number}: {:?} to {plan:?}", char::from(*answer));
                *self.answers.entry(char::from(*answer)).or_default() += 1;
                if plan.is_plain() {
                    self.plain.0 += 1;
                    self.plain.1 += usize::from(*answer == b't');
                }
            }
            Outcome::BrokenOff => {
                let broken = plan.broken.is_some_and(|(_, how)| how != Break::Abort);
                assert!(broken, "session {number}: {plan:?}");
                self.broken_off += 1;
            }
            Outcome::Lost(error) => panic!("session {number}: {error}, {plan:?}"),
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (answer, count) in other.answers {
            *self.answers.entry(answer).or_default() += count;
        }
        self.broken_off += other.broken_off;
        self.plain.0 += other.plain.0;
        self.plain.1 += other.plain.1;
    }

    /// All sessions have ended in some way, of each kind there were some, and milters that are gone cost less than half of
    /// them their answer.
    ///
    /// # Panics
    /// When it is not so.
    pub(crate) fn check(&self, count: usize) {
        assert_eq!(self.answers.values().sum::<usize>() + self.broken_off, count, "{self}");
        assert!("crtyad".chars().all(|answer| self.answers.contains_key(&answer)), "{self}");
        assert!(self.broken_off > count / 20, "{self}");
        assert!(self.plain.1 * 2 < self.plain.0, "{self}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (answer, count) in &self.answers {
            write!(f, "{count} {answer}, ")?;
        }
        let (plain, without) = self.plain;
        write!(
            f,
            "{} broken off; of {plain} plain ones {without} met a milter that was gone",
            self.broken_off
        )
    }
}
