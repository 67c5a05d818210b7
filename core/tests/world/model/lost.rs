//! Children that ran out of time, in the model: the world notes on a child's tape when the session gave it up.

use super::runner::{Runner, Verdict};
use crate::plan::{Effect, Kind};
use crate::record::LOST;

impl Runner<'_> {
    /// Whether its time is over with the exchange in hand and nothing more has reached it.
    pub(crate) fn is_lost(&self) -> bool {
        let mut rest = self.child.tape[self.at..].iter();
        let next = rest.find(|seen| !b"AQ".contains(&seen.letter));
        next.is_some_and(|seen| seen.letter == LOST && seen.payload[..8] <= self.exchange.to_be_bytes()[..])
    }

    /// Which time was over, when that is what its tape says next.
    pub(crate) fn lost_by(&self) -> Option<u8> {
        let mut rest = self.child.tape[self.at..].iter();
        let next = rest.find(|seen| !b"AQ".contains(&seen.letter));
        next.filter(|seen| seen.letter == LOST).map(|seen| seen.payload[9])
    }

    /// It has failed because of time, or is about to.
    pub(crate) fn lost(&mut self, letter: u8, exact: bool) -> Result<Verdict, String> {
        if self.is_lost() {
            self.fail(if self.lost_by() == Some(2) { Kind::Connect } else { Kind::Timeout });
            return Ok(self.fallback(self.failed.unwrap(), letter));
        }
        match exact {
            true => Err(format!("child {} must have been given up at '{}'", self.number, char::from(letter))),
            false => Ok(Verdict::Cut),
        }
    }

    /// Whether the command that it saw last was not answered in time.
    pub(crate) fn was_too_slow(&self) -> bool {
        self.is_lost() && {
            let mut rest = self.child.tape[self.at..].iter();
            rest.find(|seen| seen.letter == LOST).is_some_and(|seen| seen.payload[8] == 1)
        }
    }

    /// Whether something is looked up before it is shown a command of this kind.
    pub(crate) fn looks_up(&self, letter: u8) -> bool {
        let mut conditions = self.child.plan.conditions.iter();
        conditions.any(|it| it.letter == letter && matches!(it.effect, Effect::LookUp { .. }))
    }
}
