//! The dialogue of an MTA with one milter about one message, without sockets and clock.
//!
//! ```text
//!   negotiate -> CONNECT -> HELO -> MAIL -> RCPT* -> UNKNOWN? -> DATA -> header* -> end of headers -> body* -> end of message
//!        |          |         |      |       |                                                                    |
//!        +----------+---------+------+-------+---- any last word: ABORT, QUIT ------------------------------------+-> QUIT
//! ```
//!
//! What the milter does not want is left out; what it does not answer is not waited for.

use bytes::{Bytes, BytesMut};
use millstream_core::client::{Client, FromMilter};
use millstream_core::wire::{Command, ConnectInfo, Edit, Fault, Final, HEAD, Negotiation, Protocol, Stage};

use crate::FRAME_LIMIT;
use crate::connection::Talk;
use crate::macro_sets::MacroSets;
use crate::mail::Mail;
use crate::outcome::Outcome;

/// As much may wait to be written before the next command is made.
const UNWRITTEN: usize = 256 << 10;

/// All that is to be said.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is offered to the milter.
    pub offer: Negotiation,
    /// The SMTP client.
    pub connect: ConnectInfo,
    /// What it says in HELO.
    pub helo: Vec<u8>,
    /// An SMTP command that the MTA does not know, behind the recipients.
    pub unknown: Option<Vec<u8>>,
    /// The message.
    pub mail: Mail,
    /// The macros of each stage.
    pub macros: MacroSets,
}

/// The command that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Connect,
    Helo,
    Mail,
    Recipient(usize),
    Unknown,
    Data,
    Header(usize),
    EndOfHeaders,
    Body(usize),
    EndOfMessage,
    Quit,
    Nothing,
}

/// A dialogue.
#[derive(Debug)]
pub struct Dialogue {
    plan: Plan,
    client: Client,
    next: Next,
    /// Recipients that the milter has not refused.
    recipients_left: usize,
    outcome: Outcome,
}

impl Dialogue {
    /// Begins with the offer.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let client = Client::new(FRAME_LIMIT, &plan.offer);
        let recipients_left = plan.mail.recipients.len();
        Self { plan, client, next: Next::Connect, recipients_left, outcome: Outcome::default() }
    }

    /// What came of it.
    #[must_use]
    pub fn into_outcome(self) -> (Mail, Outcome) {
        (self.plan.mail, self.outcome)
    }

    fn hear(&mut self, reply: FromMilter) {
        match reply {
            FromMilter::Negotiated => {
                self.outcome.negotiated = self.client.negotiated().clone();
                for (stage, list) in &self.outcome.negotiated.macro_lists {
                    self.plan.macros.set_listed(*stage, list);
                }
            }
            FromMilter::Progress => {}
            FromMilter::Edit(Edit::Quarantine(reason)) => self.outcome.quarantine = Some(reason.to_vec()),
            FromMilter::Edit(edit) => self.outcome.edits.push(edit),
            FromMilter::Final(stage, verdict) => self.take(stage, &verdict),
        }
        self.advance();
    }

    /// Takes the answer to a command.
    fn take(&mut self, stage: Stage, verdict: &Final) {
        self.outcome.answers.push((stage, answer_name(verdict)));
        let refuses = matches!(verdict, Final::Reject | Final::TemporaryFailure | Final::ReplyCode(_));
        match verdict {
            // Some recipients may have been refused, the message is not.
            Final::Continue if stage == Stage::EndOfMessage => self.outcome.conclude(verdict),
            Final::Continue => {}
            Final::Skip if stage == Stage::Body => self.next = Next::EndOfMessage,
            Final::Skip => {}
            _ if refuses && stage == Stage::Rcpt => {
                self.recipients_left -= 1;
                self.outcome.conclude(verdict);
                if self.recipients_left == 0 {
                    self.leave();
                }
            }
            _ => {
                self.outcome.conclude(verdict);
                self.leave();
            }
        }
    }

    /// Takes the message back, if there is one, and ends.
    fn leave(&mut self) {
        self.client.abort();
        self.client.quit();
        self.next = Next::Nothing;
    }

    /// Says what can be said now.
    fn advance(&mut self) {
        while self.client.awaits().is_none() && self.client.unwritten() < UNWRITTEN {
            let next = self.next;
            match next {
                Next::Connect => {
                    self.next = Next::Helo;
                    let command = Command::Connect(self.plan.connect.clone());
                    self.say(Stage::Connect, &payload(&command));
                }
                Next::Helo => {
                    self.next = Next::Mail;
                    let helo = with_nul(&self.plan.helo);
                    self.say(Stage::Helo, &helo);
                }
                Next::Mail => {
                    self.next = Next::Recipient(0);
                    let sender = with_nul(&self.plan.mail.sender);
                    self.say(Stage::Mail, &sender);
                }
                Next::Recipient(index) => match self.plan.mail.recipients.get(index).cloned() {
                    Some(recipient) => {
                        self.next = Next::Recipient(index + 1);
                        self.plan.macros.set(Stage::Rcpt, b"rcpt_addr", &recipient);
                        self.say(Stage::Rcpt, &with_nul(&recipient));
                    }
                    None => self.next = Next::Unknown,
                },
                Next::Unknown => {
                    self.next = Next::Data;
                    if let Some(unknown) = self.plan.unknown.take() {
                        self.say(Stage::Unknown, &with_nul(&unknown));
                    }
                }
                Next::Data => {
                    self.next = Next::Header(0);
                    self.say(Stage::Data, b"");
                }
                Next::Header(index) => match self.plan.mail.headers.get(index) {
                    Some(header) => {
                        self.next = Next::Header(index + 1);
                        let spaced = self.client.negotiated().protocol.has(Protocol::HEADER_LEADING_SPACE);
                        let space: &[u8] = if spaced { b" " } else { b"" };
                        let text = [&header.name[..], b"\0", space, &header.value, b"\0"].concat();
                        self.say(Stage::Header, &text);
                    }
                    None => self.next = Next::EndOfHeaders,
                },
                Next::EndOfHeaders => {
                    self.next = Next::Body(0);
                    self.say(Stage::EndOfHeaders, b"");
                }
                Next::Body(index) => match self.plan.mail.body.get(index).cloned() {
                    Some(piece) => {
                        self.next = Next::Body(index + 1);
                        self.say(Stage::Body, &piece);
                    }
                    None => self.next = Next::EndOfMessage,
                },
                Next::EndOfMessage => {
                    self.next = Next::Quit;
                    self.say(Stage::EndOfMessage, b"");
                }
                Next::Quit => {
                    self.client.quit();
                    self.next = Next::Nothing;
                }
                Next::Nothing => return,
            }
        }
    }

    /// Sends a command with its macros, if the milter wants it.
    fn say(&mut self, stage: Stage, payload: &[u8]) {
        if !self.client.wants(stage) {
            return;
        }
        let macros = self.plan.macros.pairs(stage);
        if !macros.is_empty() {
            self.client.macros(stage.letter(), &macros, &[]);
        }
        self.client.command(stage, payload);
    }
}

impl Talk for Dialogue {
    fn awaits(&self) -> Option<Stage> {
        self.client.awaits()
    }

    fn is_over(&self) -> bool {
        self.next == Next::Nothing && self.client.unwritten() == 0
    }

    fn transmit<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        self.client.transmit(slices)
    }

    fn wrote(&mut self, n: usize) {
        self.client.wrote(n);
        self.advance();
    }

    fn receive(&mut self, data: BytesMut) -> Result<(), Fault> {
        self.client.receive(data);
        while self.next != Next::Nothing {
            match self.client.poll_reply() {
                Ok(Some(reply)) => self.hear(reply),
                Ok(None) => break,
                // Core knows no such word of a milter behind a filter; milter manager has one for it.
                Err(Fault::Reply { stage, came: b'f', .. }) => {
                    self.outcome.answers.push((stage, "connection-failure"));
                    self.outcome.conclude(&Final::ConnectionFailure);
                    self.leave();
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }
}

/// The name of an answer, as the original has it.
const fn answer_name(verdict: &Final) -> &'static str {
    match verdict {
        Final::Continue => "continue",
        Final::Accept => "accept",
        Final::Discard => "discard",
        Final::Reject => "reject",
        Final::TemporaryFailure => "temporary-failure",
        Final::ReplyCode(_) => "reply-code",
        Final::Skip => "skip",
        Final::Shutdown => "shutdown",
        Final::ConnectionFailure => "connection-failure",
    }
}

fn with_nul(text: &[u8]) -> Vec<u8> {
    [text, b"\0"].concat()
}

/// What stands in the frame of a command.
fn payload(command: &Command) -> Bytes {
    let mut frame = BytesMut::new();
    command.encode(&mut frame);
    frame.split_off(HEAD).freeze()
}
