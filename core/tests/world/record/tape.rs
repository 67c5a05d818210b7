//! Reading what a child saw, one command after another.

use super::{AGAIN, DEAD, LOST, Lost, Seen};
use crate::plan::{Place, Progress, Text};
use crate::show::{show, show_pairs};

/// The place in what a child saw up to which everything is explained.
#[derive(Clone)]
pub(crate) struct Tape<'a> {
    seen: &'a [Seen],
    at: usize,
    progress: Progress,
    /// It is not the first connection of the session.
    pub(crate) retold: bool,
}

impl<'a> Tape<'a> {
    pub(crate) fn new(seen: &'a [Seen]) -> Self {
        Self { seen, at: 0, progress: Progress::default(), retold: false }
    }

    fn rest(&self) -> &'a [Seen] {
        &self.seen[self.at..]
    }

    /// Passes over ABORT and QUIT.
    pub(crate) fn settle(&mut self) {
        while let Some(seen) = self.rest().first().filter(|seen| b"AQ".contains(&seen.letter)) {
            self.progress.see(seen.letter, 0);
            self.at += 1;
        }
    }

    /// Goes on behind the beginning of connection number `connection`.
    pub(crate) fn next_connection(&mut self, connection: usize) {
        let begun = |tape: &Self| tape.seen[..tape.at].iter().filter(|seen| seen.letter == b'K').count();
        let over = |seen: &Seen| b"AKQ".contains(&seen.letter) || [LOST, DEAD, AGAIN].contains(&seen.letter);
        while begun(self) < connection && self.rest().first().is_some_and(over) {
            self.at += 1;
        }
        (self.progress, self.retold) = (Progress::default(), false);
    }

    /// Why the session gave the child up, when that is what comes next, before it passed command number `exchange`.
    pub(crate) fn lost(&self, exchange: usize) -> Option<Lost> {
        self.lost_with(exchange).filter(|lost| !lost.passed || lost.when < 2 * exchange)
    }

    /// The same, or after it.
    pub(crate) fn lost_with(&self, exchange: usize) -> Option<Lost> {
        let next = self.rest().iter().find(|seen| !b"AQ~+".contains(&seen.letter))?;
        next.lost.filter(|lost| lost.when <= 2 * exchange)
    }

    /// Nothing more reaches the child, whether or not the session knows.
    pub(crate) fn is_dead(&self) -> bool {
        self.rest().iter().find(|seen| !b"AQ".contains(&seen.letter)).is_some_and(|seen| seen.letter == DEAD)
    }

    /// Goes on with another connection in the same session, if it comes next.
    pub(crate) fn again(&mut self) -> bool {
        let passed = self.rest().iter().take_while(|seen| b"AQ~".contains(&seen.letter)).count();
        let is_next = self.rest().get(passed).is_some_and(|seen| seen.letter == AGAIN);
        if is_next {
            self.at += passed + 1;
            (self.progress, self.retold) = (Progress::default(), true);
        }
        is_next
    }

    /// Whether what the child saw up to here ends here. Else it was the beginning of another message.
    pub(crate) fn ends_here(&self) -> bool {
        self.rest().first().is_none_or(|seen| b"AQK!~+".contains(&seen.letter))
    }

    /// Passes over the content that comes next, and says how much of it the child `answers`.
    pub(crate) fn pass_content(&mut self, answers: impl Fn(u8) -> bool) -> usize {
        let from = self.at;
        self.at += self.rest().iter().take_while(|seen| b"LNB".contains(&seen.letter)).count();
        self.seen[from..self.at].iter().filter(|seen| answers(seen.letter)).count()
    }

    /// Whether a command of this kind comes next.
    pub(crate) fn is_next(&self, letter: u8) -> bool {
        self.rest().first().is_some_and(|seen| seen.letter == letter)
    }

    /// The piece of body that comes next, if it is the beginning of `body`.
    pub(crate) fn piece_of(&self, body: &[u8]) -> Option<usize> {
        let next = self.rest().first().filter(|seen| seen.letter == b'B' && !seen.payload.is_empty())?;
        body.starts_with(&next.payload).then_some(next.payload.len())
    }

    /// Reads this command and says where the child's script then is; `None` when it is not there and need not be.
    pub(crate) fn take(
        &mut self,
        letter: u8,
        payload: &[u8],
        macros: &[(Text, Text)],
        exact: bool,
    ) -> Result<Option<Place>, String> {
        let must = || format!("must see '{}' {}", char::from(letter), show(payload));
        let is = |seen: &Seen| seen.letter == letter && seen.payload == payload;
        if !exact {
            // ABORT ends content, and may stand between other commands.
            let passed = if b"LNBE".contains(&letter) { &b""[..] } else { b"A" };
            let next = self.rest().iter().find(|seen| !passed.contains(&seen.letter));
            if !next.is_some_and(is) {
                return Ok(None);
            }
        }
        self.settle();
        let seen = match self.rest().first() {
            Some(seen) if is(seen) => seen,
            Some(seen) => {
                return Err(format!(
                    "{}: it saw '{}' {}",
                    must(),
                    char::from(seen.letter),
                    show(&seen.payload)
                ));
            }
            None => return Err(must() + ": it saw nothing more"),
        };
        // Nobody looks at macros for these, and nobody takes old ones back.
        let stale = macros.is_empty() && b"LBU".contains(&letter);
        if seen.macros[..] != *macros && !stale {
            // The same command of another message, perhaps.
            if !exact {
                return Ok(None);
            }
            let [are, expected] = [&seen.macros, macros].map(show_pairs);
            return Err(format!("{}: its macros are {are}, must be {expected}", must()));
        }
        self.at += 1;
        Ok(Some(self.progress.see(letter, payload.len())))
    }

    /// Nothing may be left that is not explained.
    pub(crate) fn end(&self) -> Result<(), String> {
        let Some(seen) = self.rest().iter().find(|seen| !b"AQK!~+".contains(&seen.letter)) else {
            return Ok(());
        };
        Err(format!("saw a '{}' more than it should: {}", char::from(seen.letter), show(&seen.payload)))
    }
}
