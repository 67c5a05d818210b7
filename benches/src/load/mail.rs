//! Sessions as Postfix has them.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use millstream_core::wire::facts::letter::{ABORT, MACRO, QUIT};
use millstream_core::wire::{Command, HEAD, Protocol, Stage};

use crate::load::tally::{Checksum, Tally};
use crate::mta::{Demand, Script};
use crate::session;
use crate::visit::{Ending, Visits};

/// What the sessions of a run bring.
#[derive(Debug, Clone)]
pub struct Mail {
    /// What it is called.
    pub name: String,
    script: Script,
    tally: Tally,
}

/// What is sent at once, up to an answer that is owed or the end.
#[derive(Debug)]
pub struct Turn {
    /// All bytes.
    pub wire: Vec<u8>,
    /// Whether an answer is waited for.
    pub is_answered: bool,
}

impl Mail {
    /// Sessions that end there; a message has `headers` headers and `body` bytes of body, and there are `messages`.
    #[must_use]
    pub fn new(name: &str, ending: Ending, messages: usize, headers: usize, body: usize) -> Self {
        let script = Visits::with_message(headers, body).script(ending, messages);
        let tally = tally(&script);
        Self { name: name.to_owned(), script, tally }
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

    /// The negotiation, with Postfix' offer.
    #[must_use]
    pub fn opening() -> Vec<u8> {
        session::offer().to_vec()
    }

    /// What follows when that is what was negotiated. The last one ends the session, as Postfix does: with ABORT when
    /// there was a message.
    #[must_use]
    pub fn turns(&self, protocol: Protocol) -> Rc<[Turn]> {
        let mut turns = Vec::new();
        let mut wire = Vec::new();
        for (stage, bytes) in self.script.steps() {
            match Demand::of(*stage, protocol) {
                Demand::Unsent => continue,
                Demand::Unanswered => wire.extend_from_slice(bytes),
                Demand::Answered => {
                    wire.extend_from_slice(bytes);
                    turns.push(Turn { wire: std::mem::take(&mut wire), is_answered: true });
                }
            }
        }
        let mut last = BytesMut::new();
        if self.script.steps().iter().any(|(stage, _)| *stage >= Stage::Mail) {
            Command::Abort.encode(&mut last);
        }
        Command::Quit.encode(&mut last);
        wire.extend_from_slice(&last);
        turns.push(Turn { wire, is_answered: false });
        turns.into()
    }
}

fn tally(script: &Script) -> Tally {
    let mut tally = Tally { sessions: 1, ..Tally::default() };
    let mut checksum = Checksum::default();
    for (_, wire) in script.steps() {
        let mut left = Bytes::copy_from_slice(wire);
        while let Some(length) = left.first_chunk::<4>() {
            let frame = left.split_to(4 + u32::from_be_bytes(*length) as usize);
            let letter = frame[4];
            if is_counted(letter) {
                checksum.piece(&frame[HEAD..]);
                checksum.command(letter);
                tally.commands += 1;
                tally.bytes += (frame.len() - HEAD) as u64;
            }
        }
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

    #[test]
    fn a_small_mail_has_these_commands() {
        let mail = Mail::small();
        // CONNECT, HELO, MAIL, RCPT, DATA, five headers, end of headers, body, end of message.
        assert_eq!(mail.tally().commands, 13);
        assert_eq!(mail.turns(Protocol::NONE).len(), 14);
    }

    #[test]
    fn who_answers_nothing_is_waited_for_at_the_end_only() {
        let answers_nothing = crate::child::Wishes::RSPAMD.protocol;
        let turns = Mail::small().turns(answers_nothing);
        assert_eq!(turns.iter().filter(|turn| turn.is_answered).count(), 1);
    }

    #[test]
    fn several_messages_are_one_session() {
        let tally = Mail::new("several", Ending::Message, 3, 5, 1024).tally();
        assert_eq!((tally.sessions, tally.commands), (1, 2 + 3 * 11));
    }
}
