//! What an MTA says to a milter in one session, as Postfix says it.
//!
//! ```text
//!   offer | MACRO CONNECT | MACRO HELO | MACRO MAIL | ... | MACRO end of message | ABORT ABORT QUIT
//!         ^               ^            ^                                         ^
//!         a turn ends where an answer is waited for; what is not answered goes with what follows
//! ```
//!
//! All of it is made before it is said, so that who says it has little to do but write: a load generator is not to be what is
//! measured.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use millstream_core::wire::facts::letter::{ABORT, QUIT};
use millstream_core::wire::{Negotiation, Protocol, Stage, encode_macros, head};

/// What the frames of a step take beside macros and payload, and those of the end.
const STEP_FRAMES: usize = 24;

/// A session.
#[derive(Debug, Clone)]
pub struct Script {
    offer: Negotiation,
    steps: Vec<Step>,
    /// Its turns after the negotiation that was the last one.
    prepared: RefCell<Option<(Negotiation, Rc<Turns>)>>,
}

/// A command with its macros.
#[derive(Debug, Clone)]
struct Step {
    stage: Stage,
    macros: Bytes,
    payload: Bytes,
}

/// All that is said after a negotiation. A turn is what is sent at once, up to an answer or the end.
#[derive(Debug, Default)]
pub struct Turns {
    wire: Vec<u8>,
    /// Where each ends, and whose answer is waited for; `None` behind the last one.
    ends: Vec<(usize, Option<Stage>)>,
}

impl Turns {
    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of one of them.
    #[must_use]
    pub fn wire(&self, turn: usize) -> &[u8] {
        let start = turn.checked_sub(1).map_or(0, |before| self.ends[before].0);
        &self.wire[start..self.ends[turn].0]
    }

    /// Whose answer is waited for behind one of them; `None` behind the last one.
    #[must_use]
    pub fn awaits(&self, turn: usize) -> Option<Stage> {
        self.ends[turn].1
    }
}

impl Script {
    /// A session that begins with that offer and says nothing yet.
    #[must_use]
    pub const fn new(offer: Negotiation) -> Self {
        Self { offer, steps: Vec::new(), prepared: RefCell::new(None) }
    }

    /// Adds a command. `macros` are names and values, each with its NUL; Postfix says also that there are none. What a
    /// header's value begins with is its own.
    pub fn say(&mut self, stage: Stage, macros: Bytes, payload: Bytes) {
        self.steps.push(Step { stage, macros, payload });
        self.prepared = RefCell::new(None);
    }

    /// What is offered to the milter.
    #[must_use]
    pub const fn offer(&self) -> &Negotiation {
        &self.offer
    }

    /// The commands, as a milter is sent them that wants all of them.
    pub fn commands(&self) -> impl Iterator<Item = (Stage, &[u8])> {
        self.steps.iter().map(|step| (step.stage, &step.payload[..]))
    }

    /// What is said to a milter that has answered this to the offer. The last turn ends the session.
    #[must_use]
    pub fn turns(&self, negotiated: &Negotiation) -> Rc<Turns> {
        let mut prepared = self.prepared.borrow_mut();
        match &*prepared {
            Some((last, turns)) if last == negotiated => Rc::clone(turns),
            _ => {
                let turns = Rc::new(self.prepare(negotiated));
                *prepared = Some((negotiated.clone(), Rc::clone(&turns)));
                turns
            }
        }
    }

    fn prepare(&self, negotiated: &Negotiation) -> Turns {
        let has_spaces = negotiated.protocol.has(Protocol::HEADER_LEADING_SPACE);
        let lengths = self.steps.iter().map(|step| step.macros.len() + step.payload.len() + STEP_FRAMES);
        let mut wire = BytesMut::with_capacity(lengths.sum::<usize>() + STEP_FRAMES);
        let mut ends = Vec::with_capacity(self.steps.len() + 1);
        let mut has_sender = false;
        for Step { stage, macros, payload } in &self.steps {
            if *stage == Stage::Mail && std::mem::replace(&mut has_sender, true) {
                wire.extend_from_slice(&head(ABORT, 0));
            }
            if !negotiated.wants(*stage) {
                continue;
            }
            encode_macros(&mut wire, stage.letter(), macros, negotiated.macro_list(*stage), &[]);
            match payload.iter().position(|byte| *byte == 0) {
                Some(end) if *stage == Stage::Header && has_spaces => {
                    wire.extend_from_slice(&head(stage.letter(), payload.len() + 1));
                    wire.extend_from_slice(&payload[..=end]);
                    wire.extend_from_slice(b" ");
                    wire.extend_from_slice(&payload[end + 1..]);
                }
                _ => {
                    wire.extend_from_slice(&head(stage.letter(), payload.len()));
                    wire.extend_from_slice(payload);
                }
            }
            if negotiated.replies_to(*stage) {
                ends.push((wire.len(), Some(*stage)));
            }
        }
        wire.extend_from_slice(&self.farewell());
        ends.push((wire.len(), None));
        Turns { wire: wire.into(), ends }
    }

    /// The end of a session that a message was begun in: Postfix takes back what is there whenever it forgets a sender, and
    /// when it forgets the name of HELO.
    #[must_use]
    pub fn farewell(&self) -> Vec<u8> {
        let has = |stage| self.steps.iter().any(|step| step.stage == stage);
        let aborts = usize::from(has(Stage::Mail)) + usize::from(has(Stage::Helo));
        let mut wire = head(ABORT, 0).repeat(aborts);
        wire.extend_from_slice(&head(QUIT, 0));
        wire
    }
}

#[cfg(test)]
mod tests {
    use millstream_core::wire::{Actions, VERSION_MAX};

    use super::*;

    const MACROS: Bytes = Bytes::from_static(b"i\x001\0j\0x\0");

    fn script(stages: &[Stage]) -> Script {
        let protocol = Protocol::ALL;
        let offer =
            Negotiation { version: VERSION_MAX, actions: Actions::ALL, protocol, macro_lists: Vec::new() };
        let mut script = Script::new(offer);
        for stage in stages {
            let payload: &[u8] = if *stage == Stage::Header { b"To\0x\0" } else { b"x" };
            script.say(*stage, MACROS, Bytes::from_static(payload));
        }
        script
    }

    fn answer(protocol: Protocol) -> Negotiation {
        Negotiation { version: VERSION_MAX, protocol, ..Negotiation::default() }
    }

    /// The letters of the frames, a turn a word.
    fn letters(script: &Script, protocol: Protocol) -> String {
        let turns = script.turns(&answer(protocol));
        let of_turn = |turn| {
            let mut left = turns.wire(turn);
            let mut letters = String::new();
            while let Some((length, rest)) = left.split_first_chunk::<4>() {
                letters.push(char::from(rest[0]));
                left = &rest[u32::from_be_bytes(*length) as usize..];
            }
            letters
        };
        (0..turns.count()).map(of_turn).collect::<Vec<_>>().join(" ")
    }

    use Stage::{Body, Connect, Data, EndOfHeaders, EndOfMessage, Header, Helo, Mail, Rcpt};

    const MESSAGE: [Stage; 7] = [Mail, Rcpt, Data, Header, EndOfHeaders, Body, EndOfMessage];

    #[test]
    fn sessions_end_as_those_of_postfix_do() {
        // Each as milter-trace has recorded it behind Postfix 3.7.
        assert_eq!(letters(&script(&[Connect]), Protocol::NONE), "DC Q");
        assert_eq!(letters(&script(&[Connect, Helo]), Protocol::NONE), "DC DH AQ");
        assert_eq!(letters(&script(&[Connect, Helo, Mail]), Protocol::NONE), "DC DH DM AAQ");
        let all = [&[Connect, Helo][..], &MESSAGE, &MESSAGE].concat();
        let expected = "DC DH DM DR DT DL DN DB DE ADM DR DT DL DN DB DE AAQ";
        assert_eq!(letters(&script(&all), Protocol::NONE), expected);
    }

    #[test]
    fn what_is_not_answered_goes_with_what_follows_and_what_is_not_wanted_is_left_out() {
        let all = [&[Connect, Helo][..], &MESSAGE].concat();
        let silent = Protocol::NO_REPLY.with(Protocol::NO_HELO).with(Protocol::NO_BODY);
        assert_eq!(letters(&script(&all), silent), "DCDMDRDTDLDNDE AAQ");
        assert_eq!(letters(&script(&[Connect]), silent), "DCQ");
    }

    #[test]
    fn a_milter_gets_the_macros_and_the_spaces_that_it_has_asked_for() {
        let macro_lists = vec![(Stage::Connect, Bytes::from_static(b"j {x}"))];
        let negotiated = Negotiation { macro_lists, ..answer(Protocol::HEADER_LEADING_SPACE) };
        let turns = script(&[Connect, Header]).turns(&negotiated);
        assert_eq!(turns.wire(0), b"\0\0\0\x06DCj\0x\0\0\0\0\x02Cx");
        assert!(turns.wire(1).ends_with(b"\0\0\0\x07LTo\0 x\0"), "{:?}", turns.wire(1));
        assert_eq!([0, 1, 2].map(|turn| turns.awaits(turn)), [Some(Connect), Some(Header), None]);
    }
}
