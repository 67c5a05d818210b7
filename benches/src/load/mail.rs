//! Sessions as Postfix has them.

use std::rc::Rc;

use bytes::Bytes;
use millstream_core::wire::facts::letter::{ABORT, MACRO, QUIT};
use millstream_core::wire::{Actions, HEAD, Negotiation, Protocol, Stage, VERSION_MAX};
use millstream_tools::load::script::Script;

use crate::load::tally::{Checksum, Tally};
use crate::visit::{Ending, Visits};

/// What the sessions of a run bring.
#[derive(Debug, Clone)]
pub struct Mail {
    /// What it is called.
    pub name: String,
    script: Rc<Script>,
    tally: Tally,
}

impl Mail {
    /// Sessions that end there; a message has `headers` headers and `body` bytes of body, and there are `messages`.
    #[must_use]
    pub fn new(name: &str, ending: Ending, messages: usize, headers: usize, body: usize) -> Self {
        let script = script(&Visits::with_message(headers, body), ending, messages);
        let tally = tally(&script);
        Self { name: name.to_owned(), script: Rc::new(script), tally }
    }

    /// 5 headers, 1 KiB.
    #[must_use]
    pub fn small() -> Self {
        Self::new("small", Ending::Message, 1, 5, 1 << 10)
    }

    /// 20 headers, 1 MiB.
    #[must_use]
    pub fn big() -> Self {
        Self::new("big", Ending::Message, 1, 20, 1 << 20)
    }

    /// What a child that wants everything is sent of one session.
    #[must_use]
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// What is said, with Postfix' offer.
    #[must_use]
    pub fn script(&self) -> Rc<Script> {
        Rc::clone(&self.script)
    }
}

/// The frames of the other benches, taken apart.
fn script(visits: &Visits, ending: Ending, messages: usize) -> Script {
    let mut script = Script::new(Negotiation {
        version: VERSION_MAX,
        actions: Actions::ALL,
        protocol: Protocol::ALL,
        macro_lists: Vec::new(),
    });
    let mut macros = Bytes::new();
    for (stage, wire) in visits.script(ending, messages).steps() {
        let mut left = Bytes::copy_from_slice(wire);
        while let Some(length) = left.first_chunk::<4>() {
            let frame = left.split_to(4 + u32::from_be_bytes(*length) as usize);
            match frame[4] {
                MACRO => macros = frame.slice(HEAD + 1..),
                // Between two messages the script has it by itself.
                ABORT => {}
                _ => script.say(*stage, std::mem::take(&mut macros), frame.slice(HEAD..)),
            }
        }
    }
    script
}

fn tally(script: &Script) -> Tally {
    let mut tally = Tally { sessions: 1, ..Tally::default() };
    let mut checksum = Checksum::default();
    for (stage, payload) in script.commands() {
        checksum.piece(payload);
        checksum.command(stage.letter());
        tally.commands += 1;
        tally.bytes += payload.len() as u64;
    }
    tally.checksum = checksum.value();
    tally
}

/// Whether a command is the session's own, and not between two neighbours.
#[must_use]
pub fn is_counted(letter: u8) -> bool {
    ![Stage::Negotiate.letter(), MACRO, ABORT, QUIT].contains(&letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many answers are waited for when that is what was negotiated.
    fn answers(mail: &Mail, protocol: Protocol) -> usize {
        let negotiated = Negotiation { version: VERSION_MAX, protocol, ..Negotiation::default() };
        mail.script().turns(&negotiated).count() - 1
    }

    #[test]
    fn a_small_mail_has_these_commands() {
        let mail = Mail::small();
        // CONNECT, HELO, MAIL, RCPT, DATA, five headers, end of headers, body, end of message.
        assert_eq!(mail.tally().commands, 13);
        assert_eq!(answers(&mail, Protocol::NONE), 13);
    }

    #[test]
    fn who_answers_nothing_is_waited_for_at_the_end_only() {
        let answers_nothing = crate::child::Wishes::RSPAMD.protocol;
        assert_eq!(answers(&Mail::small(), answers_nothing), 1);
    }

    #[test]
    fn several_messages_are_one_session() {
        let tally = Mail::new("several", Ending::Message, 3, 5, 1024).tally();
        assert_eq!((tally.sessions, tally.commands), (1, 2 + 3 * 11));
    }
}
