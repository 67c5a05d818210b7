//! An MTA that sends its plan, waits for the answers that it is owed, and writes everything down.

use std::rc::Rc;

use crate::frames::{cut, encode, number};
use crate::mail::{Frame, Text, replies, wants};
use crate::plan::{Exit, MS, MessagePlan, SECOND, SessionPlan};
use crate::town::{Town, show};

/// A command of the MTA and what became of it.
pub(crate) struct Said {
    pub(crate) letter: u8,
    pub(crate) payload: Text,
    pub(crate) owed: bool,
    pub(crate) reply: Option<Frame>,
    pub(crate) edits: Vec<Frame>,
    at: u64,
    /// How many bytes had been sent with it.
    end: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Offer,
    Connect,
    Helo,
    Mail,
    Rcpt(usize),
    Data,
    Header(usize),
    EndOfHeaders,
    Body(usize),
    End,
    Goodbye,
    Done,
}

pub(crate) struct Mta {
    pub(crate) number: u32,
    plan: SessionPlan,
    pub(crate) log: Vec<Said>,
    /// Bytes that the session has not read.
    pub(crate) outbox: Text,
    inbox: Text,
    sent: u64,
    /// What it was asked for; `None` until it was.
    pub(crate) protocol: Option<u32>,
    step: Step,
    part: usize,
    message: usize,
    accepted: usize,
    waits: bool,
    pub(crate) closed: bool,
    next_at: u64,
}

impl Mta {
    pub(crate) fn new(number: u32, plan: SessionPlan, now: u64) -> Self {
        Self {
            number,
            plan,
            log: Vec::new(),
            outbox: Vec::new(),
            inbox: Vec::new(),
            sent: 0,
            protocol: None,
            step: Step::Offer,
            part: 0,
            message: 0,
            accepted: 0,
            waits: false,
            closed: false,
            next_at: now,
        }
    }

    /// How many of its commands the session has read.
    pub(crate) fn taken(&self) -> usize {
        let taken = self.sent - self.outbox.len() as u64;
        self.log.partition_point(|said| said.end <= taken)
    }

    /// Whether it has sent HELO in this session.
    pub(crate) fn has_named(&self) -> bool {
        let part = self.log.iter().rev().take_while(|said| said.letter != b'K');
        part.into_iter().any(|said| said.letter == b'H')
    }

    /// The first command whose answer was still open, as far as the MTA can tell.
    pub(crate) fn open(&self) -> usize {
        self.log.iter().rposition(|said| said.reply.is_some()).map_or(0, |at| at + 1)
    }

    /// Does what it does next. Returns when it wants to be called again.
    pub(crate) fn act(&mut self, town: &mut Town) -> Option<u64> {
        if self.closed {
            return None;
        }
        if self.waits {
            let since = self.log.last().map_or(0, |said| said.at);
            if town.now >= since + self.plan.patience {
                town.note(|| format!("s{} loses its patience", self.number));
                self.closed = true;
                return None;
            }
            assert!(town.now < since + 60 * SECOND, "s{} has waited for an answer for a minute", self.number);
            return Some(since + self.plan.patience.min(60 * SECOND));
        }
        if town.now < self.next_at {
            return Some(self.next_at);
        }
        while !self.waits && self.step != Step::Done {
            self.advance(town);
            let pause = if self.plan.pace == 0 { 0 } else { town.rng.below(self.plan.pace) };
            self.next_at = town.now + pause;
            if pause > MS {
                return Some(self.next_at);
            }
        }
        self.closed |= self.step == Step::Done;
        // Its patience may run out.
        self.waits.then_some(town.now + self.plan.patience.min(60 * SECOND))
    }

    fn advance(&mut self, town: &mut Town) {
        let Some(part) = self.plan.parts.get(self.part).map(Rc::clone) else {
            self.step = Step::Done;
            return;
        };
        let message = part.messages.get(self.message);
        match (self.step, message) {
            (Step::Offer, _) => {
                let numbers = [6, self.plan.actions, 0x1f_ffff].map(u32::to_be_bytes).concat();
                self.step = Step::Connect;
                self.send(town, b'O', numbers, true);
            }
            (Step::Connect, _) => {
                self.macros(b'C', &format!("j\0mx\0{{tag}}\0{}\0", part.host));
                self.step = Step::Helo;
                let payload = [part.host.as_bytes(), b"\x004\0\x19192.0.2.1\0"].concat();
                self.command(town, b'C', payload);
            }
            (Step::Helo, _) => {
                self.step = Step::Mail;
                if let Some(helo) = &part.helo {
                    self.command(town, b'H', format!("{helo}\0").into_bytes());
                }
            }
            (Step::Goodbye | Step::Mail, None) | (Step::Goodbye, _) => self.part_over(town),
            (Step::Done, _) => {}
            (_, Some(message)) => self.advance_message(town, message),
            (step, None) => panic!("{step:?} without a message"),
        }
    }

    fn advance_message(&mut self, town: &mut Town, message: &MessagePlan) {
        let letter = match self.step {
            Step::Rcpt(_) => b'R',
            Step::Data => b'T',
            Step::Header(_) => b'L',
            Step::Body(_) => b'B',
            Step::End => b'E',
            _ => b' ',
        };
        if let Some((_, exit)) = message.exit.filter(|(before, _)| *before == letter) {
            return self.exit(town, exit);
        }
        match self.step {
            Step::Mail => {
                self.accepted = 0;
                self.step = Step::Rcpt(0);
                self.macros(b'M', &format!("i\0{}\0", message.sender));
                self.command(town, b'M', format!("{}\0", message.sender).into_bytes());
            }
            Step::Rcpt(at) => match message.recipients.get(at) {
                Some(recipient) => {
                    self.step = Step::Rcpt(at + 1);
                    self.command(town, b'R', format!("{recipient}\0").into_bytes());
                }
                None if self.accepted == 0 => self.exit(town, Exit::Abort),
                None => self.step = Step::Data,
            },
            Step::Data => {
                self.step = Step::Header(0);
                self.command(town, b'T', Vec::new());
            }
            Step::Header(at) => match message.headers.get(at) {
                Some(header) => {
                    self.step = Step::Header(at + 1);
                    self.command(town, b'L', format!("Subject\0{header}\0").into_bytes());
                }
                None => {
                    self.step = Step::EndOfHeaders;
                }
            },
            Step::EndOfHeaders => {
                self.step = Step::Body(0);
                self.command(town, b'N', Vec::new());
            }
            Step::Body(at) => match message.body.get(at) {
                Some(text) => {
                    self.step = Step::Body(at + 1);
                    self.command(town, b'B', text.clone().into_bytes());
                }
                None => self.step = Step::End,
            },
            Step::End => {
                self.next_message();
                self.command(town, b'E', Vec::new());
            }
            other => panic!("{other:?} is no step of a message"),
        }
    }

    fn next_message(&mut self) {
        self.message += 1;
        self.step = Step::Mail;
    }

    fn exit(&mut self, town: &mut Town, exit: Exit) {
        match exit {
            Exit::Abort => {
                self.next_message();
                self.send(town, b'A', Vec::new(), false);
            }
            Exit::Quit => {
                self.step = Step::Done;
                self.send(town, b'Q', Vec::new(), false);
            }
            Exit::Vanish => self.step = Step::Done,
        }
    }

    /// On to the next session on this connection, or to its end. What was sent in silence has to be over with by then, or
    /// nobody could tell to which session it belongs.
    fn part_over(&mut self, town: &mut Town) {
        let last = self.log.iter().rfind(|said| b"CHMRTE".contains(&said.letter));
        let clean = last.is_none_or(|said| said.reply.is_some());
        self.part += 1;
        self.message = 0;
        if clean && self.part < self.plan.parts.len() {
            self.step = Step::Connect;
            self.send(town, b'K', Vec::new(), false);
        } else {
            self.step = Step::Done;
            self.send(town, b'Q', Vec::new(), false);
        }
    }

    fn macros(&mut self, letter: u8, pairs: &str) {
        self.put(&(b'D', [&[letter], pairs.as_bytes()].concat()));
    }

    fn command(&mut self, town: &mut Town, letter: u8, payload: Text) {
        let protocol = self.protocol.unwrap_or_default();
        if letter == b'E' || wants(protocol, letter) {
            self.send(town, letter, payload, letter == b'E' || replies(protocol, letter));
        } else if letter == b'R' {
            self.accepted += 1;
        }
    }

    fn send(&mut self, town: &mut Town, letter: u8, payload: Text, owed: bool) {
        let frame = (letter, payload);
        town.note(|| format!("s{} -> {}", self.number, show(&frame)));
        self.put(&frame);
        let (letter, payload) = frame;
        self.log.push(Said {
            letter,
            payload,
            owed,
            reply: None,
            edits: Vec::new(),
            at: town.now,
            end: self.sent,
        });
        self.waits = owed;
        if letter == b'R' && !owed {
            self.accepted += 1;
        }
    }

    fn put(&mut self, frame: &Frame) {
        let bytes = encode(frame);
        self.sent += bytes.len() as u64;
        self.outbox.extend_from_slice(&bytes);
    }

    /// Bytes of the session.
    pub(crate) fn receive(&mut self, town: &mut Town, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        while let Some(frame) = cut(&mut self.inbox) {
            town.note(|| format!("s{} <- {}", self.number, show(&frame)));
            let said = self.log.last_mut().filter(|_| self.waits).expect("an answer that is not owed");
            match frame.0 {
                b'p' => continue,
                b'O' => self.protocol = Some(number(&frame.1, 8)),
                b'h' => {
                    said.edits.push(frame);
                    continue;
                }
                b'c' | b'a' | b'r' | b't' | b'y' => {}
                _ => panic!("{} is no answer", show(&frame)),
            }
            let (letter, reply) = (said.letter, frame.0);
            said.reply = Some(frame);
            self.waits = false;
            self.next_at = town.now;
            self.answered(town, letter, reply);
        }
    }

    fn answered(&mut self, town: &mut Town, letter: u8, reply: u8) {
        match (letter, reply) {
            (_, b'O') => {}
            (b'R', b'c') => self.accepted += 1,
            (_, b'c') | (b'E', _) => {}
            (b'C' | b'H', _) => self.step = Step::Goodbye,
            (b'R', b'a') => self.next_message(),
            (b'R', _) => {}
            (b'T', b'a') | (b'M', _) => self.next_message(),
            _ => self.exit(town, Exit::Abort),
        }
    }
}
