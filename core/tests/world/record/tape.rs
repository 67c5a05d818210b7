//! Reading what a child saw, one command after another.

use super::{AGAIN, DEAD, Lost, Seen};
use crate::plan::{Answer, Text};
use crate::show::{show, show_pairs};

/// The place in what a child saw up to which everything is explained.
#[derive(Clone)]
pub(crate) struct Tape<'a> {
    rest: &'a [Seen],
    /// It has seen no more on this connection than what it was told on another before.
    retold: bool,
}

impl<'a> Tape<'a> {
    pub(crate) fn new(seen: &'a [Seen]) -> Self {
        Self { rest: seen, retold: false }
    }

    /// Passes over ABORT and QUIT.
    pub(crate) fn settle(&mut self) {
        self.pass(b"AQ");
    }

    fn pass(&mut self, letters: &[u8]) {
        while let Some((seen, rest)) =
            self.rest.split_first().filter(|(seen, _)| letters.contains(&seen.letter))
        {
            self.retold |= seen.letter == AGAIN;
            self.rest = rest;
        }
    }

    /// What the session gave the child up for, when that is what comes next.
    pub(crate) fn lost(&self) -> Option<Lost> {
        self.rest.iter().find(|seen| !b"AQ~+".contains(&seen.letter)).and_then(|seen| seen.lost)
    }

    /// What was sent in silence may not have reached the child, whether or not the session knows: nothing more was read on
    /// this connection, or on the one before.
    pub(crate) fn is_dead(&self) -> bool {
        let next = self.rest.iter().find(|seen| !b"AQ".contains(&seen.letter));
        self.retold || next.is_some_and(|seen| [DEAD, AGAIN].contains(&seen.letter))
    }

    /// Whether a command of this kind comes next.
    pub(crate) fn is_next(&self, letter: u8) -> bool {
        self.rest.first().is_some_and(|seen| seen.letter == letter)
    }

    /// The sizes of the pieces of body that come next.
    pub(crate) fn bodies(&self) -> Vec<usize> {
        let content = self.rest.iter().take_while(|seen| b"LNB~+".contains(&seen.letter));
        content.filter(|seen| seen.letter == b'B').map(|seen| seen.payload.len()).collect()
    }

    /// Reads this command, and what the child answered that counts.
    pub(crate) fn take(
        &mut self,
        letter: u8,
        payload: &[u8],
        macros: &[(Text, Text)],
    ) -> Result<Option<&'a Answer>, String> {
        let mut there = self.clone();
        // ABORT ends content, and may stand between other commands.
        there.pass(if b"LNBE".contains(&letter) { b"~+" } else { b"A~+" });
        let must = || format!("must see '{}' {}", char::from(letter), show(payload));
        let Some((seen, rest)) = there.rest.split_first() else {
            return Err(must() + ": it saw nothing more");
        };
        if seen.letter != letter || seen.payload != payload {
            let saw = format!("'{}' {}", char::from(seen.letter), show(&seen.payload));
            return Err(format!("{}: it saw {saw}", must()));
        }
        // Nobody looks at macros for these, and nobody takes old ones back.
        let stale = macros.is_empty() && b"LBU".contains(&letter);
        if seen.macros[..] != *macros && !stale {
            let [are, expected] = [&seen.macros, macros].map(show_pairs);
            return Err(format!("{}: its macros are {are}, must be {expected}", must()));
        }
        there.rest = rest;
        there.retold &= b"CH".contains(&letter);
        *self = there;
        Ok(seen.answer.as_ref())
    }

    /// Nothing may be left that is not explained.
    pub(crate) fn end(&self) -> Result<(), String> {
        let explained = |seen: &&Seen| seen.is_note() || b"AQ".contains(&seen.letter);
        let Some(seen) = self.rest.iter().find(|seen| !explained(seen)) else { return Ok(()) };
        Err(format!("saw a '{}' more than it should: {}", char::from(seen.letter), show(&seen.payload)))
    }
}
