//! What happened in a world, as the model takes it: what the MTA said and was told, and what each child saw.

mod again;
mod commands;
mod tape;

use std::rc::Rc;
use std::sync::Arc;

use crate::plan::{Answer, Fallback, Frame, Joined, Kind, Plan, SHUTDOWN, Text};
use crate::show::show;
pub(crate) use again::repeated;
pub(crate) use commands::complete;
pub(crate) use tape::Tape;

/// A command of the MTA and what it was told.
pub(crate) struct Exchange {
    pub(crate) letter: u8,
    pub(crate) payload: Text,
    /// Not sent, because the session asked the MTA not to.
    pub(crate) suppressed: bool,
    pub(crate) owed: bool,
    /// Once the world is over: the macros that the MTA gave for it, sorted, and whether its message is past a limit with it.
    pub(crate) macros: Rc<[(Text, Text)]>,
    pub(crate) past_limit: bool,
    /// The same: behind the last answer timing decides how much of what was sent came through.
    pub(crate) certain: bool,
    /// The same: the MTA has said in CONNECT that it is Postfix.
    pub(crate) postfix: bool,
    /// Edits, then the final reply; `None` when the connection ended before.
    pub(crate) reply: Option<Vec<Frame>>,
}

/// All of it.
pub(crate) struct Record {
    pub(crate) children: Vec<Child>,
    pub(crate) setting: Setting,
    pub(crate) exchanges: Vec<Exchange>,
}

/// What the policy and the MTA's offer say.
pub(crate) struct Setting {
    pub(crate) fallback: Fallback,
    /// The header that marks mail which a child did not see.
    pub(crate) mark: Option<Text>,
    /// All children are shown a recipient at once.
    pub(crate) parallel: bool,
    /// Header values come with their leading space.
    pub(crate) lead: bool,
    /// What the MTA can do: edits, and hold a message.
    pub(crate) actions: u32,
}

/// A child as the model knows it.
pub(crate) struct Child {
    pub(crate) plan: Arc<Plan>,
    /// By session.
    pub(crate) stays: Vec<Stay>,
}

/// What a child is in one session, and what it saw there.
#[derive(Clone, Default)]
pub(crate) struct Stay {
    /// What it negotiated; `None` when it never came that far.
    pub(crate) joined: Option<Joined>,
    /// That is what it has answered in an earlier session: it is connected when it is shown something.
    pub(crate) remembered: bool,
    pub(crate) tape: Vec<Seen>,
}

/// A command that a child saw, with the macros that it knew for that command then, sorted.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) letter: u8,
    pub(crate) payload: Text,
    pub(crate) macros: Rc<[(Text, Text)]>,
    /// The how manieth answer of its connection it owes to that; 0 for none.
    pub(crate) owes: usize,
    /// Its answer. Once the world is over, only where that counts: it has reached the session, and is within the limits.
    pub(crate) answer: Option<Answer>,
    /// With the letter [`LOST`].
    pub(crate) lost: Option<Lost>,
}

/// The session gave a child up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lost {
    /// When that may have been: with command number n of the MTA in hand, that is 2n + 1; before it, 2n.
    pub(crate) from: usize,
    pub(crate) until: usize,
    /// Why; the world has checked that it had this reason.
    pub(crate) kind: Kind,
    /// What is configured for that.
    pub(crate) fallback: Fallback,
}

/// The world's own notes on a tape: the session gave this connection up; from here on the child read nothing any more.
pub(crate) const LOST: u8 = b'!';
pub(crate) const DEAD: u8 = b'~';
/// What follows is another connection in the same session.
pub(crate) const AGAIN: u8 = b'+';

impl Seen {
    /// A note of the world's.
    pub(crate) fn note(letter: u8, lost: Option<Lost>) -> Self {
        Self { letter, payload: Text::new(), macros: Rc::default(), owes: 0, answer: None, lost }
    }

    pub(crate) fn is_note(&self) -> bool {
        [LOST, DEAD, AGAIN].contains(&self.letter)
    }
}

impl Exchange {
    pub(crate) fn new(letter: u8, payload: Text, suppressed: bool, owed: bool) -> Self {
        let (macros, past_limit, certain, postfix) = (Rc::default(), false, false, false);
        Self { letter, payload, suppressed, owed, macros, past_limit, certain, postfix, reply: None }
    }

    /// A recipient that the MTA has refused itself, which it shows to those who ask for them.
    pub(crate) fn is_rejected(&self) -> bool {
        let error = |(name, value): &(Text, Text)| name == b"rcpt_mailer" && value == b"error";
        self.letter == b'R' && self.macros.iter().any(error)
    }

    /// Compares the final reply that the MTA got.
    pub(crate) fn told(&self, expected: &Frame) -> Result<(), String> {
        let Some((letter, payload)) = self.reply.as_ref().and_then(|frames| frames.last()) else {
            return Ok(());
        };
        let text = payload.strip_suffix(b"\0").unwrap_or(payload);
        let same_text = expected.1 == text || expected.1 == SHUTDOWN && text.starts_with(SHUTDOWN);
        if expected.0 == *letter && same_text {
            return Ok(());
        }
        let frame = |letter: u8, text: &[u8]| format!("'{}' {}", char::from(letter), show(text));
        let told = frame(*letter, payload);
        Err(format!("the MTA was told {told}, must be {}", frame(expected.0, &expected.1)))
    }
}
