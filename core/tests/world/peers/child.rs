//! A scripted child at the far end of one connection: reads commands, answers from its plan.
//!
//! Like libmilter it does one command after another. What is legal toward it is checked where the session's bytes leave
//! the session ([`Watch`]); what it saw is kept for the model.

use std::collections::VecDeque;
use std::sync::Arc;

use super::plain_connect;
use crate::frames::{cut, encode, number};
use crate::lists::encode_lists;
use crate::peers::mta::MS;
use crate::plan::{
    End, Frame, JoinFault, Joined, Kept, Kind, Macros, Plan, Progress, Text, no_reply_bit, no_send_bit,
};
use crate::record::{DEAD, Seen};

/// The line of the UNKNOWN with which a connection is given back; no MTA sends it.
pub(crate) const NOOP: &[u8] = b"NOOP\0";

/// Something that the child does at a time (milliseconds are added to when it became idle).
enum Emit {
    Bytes(Text),
    /// The last bytes of an answer that was owed.
    Final(Text),
    Close,
    Stall,
}

pub(crate) struct ChildEnd {
    plan: Arc<Plan>,
    pub(crate) joined: Option<Joined>,
    inbox: Text,
    progress: Progress,
    macros: Macros,
    pub(crate) tape: Vec<Seen>,
    todo: VecDeque<(u64, Emit)>,
    /// It will never do anything again.
    pub(crate) dead: bool,
    negotiated: bool,
    /// When it closes whatever it does, and that it has.
    dies_at: Option<u64>,
    pub(crate) died: bool,
    /// What it has read that it must answer.
    asked: usize,
    /// It closes with the first of these commands.
    dies_with: &'static [u8],
    /// How it fails, as its script says.
    pub(crate) fails: Option<Kind>,
    /// It has had its last word on the content of this message.
    over: bool,
}

/// What comes out of a child.
pub(crate) enum Out {
    Bytes { bytes: Text, last: bool },
    Close,
}

impl ChildEnd {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        let fails = plan.fault.map(JoinFault::kind);
        Self {
            plan,
            joined: None,
            inbox: Vec::new(),
            progress: Progress::default(),
            macros: Macros::default(),
            tape: Vec::new(),
            todo: VecDeque::new(),
            dead: false,
            negotiated: false,
            dies_at: None,
            died: false,
            asked: 0,
            dies_with: b"",
            fails,
            over: false,
        }
    }

    /// Not all that was meant for it reached it.
    pub(crate) fn missed_the_rest(&mut self) {
        self.tape.push(Seen::note(DEAD, None));
    }

    /// The time between two reads.
    pub(crate) fn pace(&self) -> u64 {
        self.plan.pace * MS
    }

    /// It was negotiated with in an earlier session.
    pub(crate) fn resume(&mut self, joined: Joined, now: u64) {
        (self.joined, self.negotiated) = (Some(joined), true);
        match self.plan.kept {
            Kept::No | Kept::Alive => {}
            Kept::Dead => self.dies_at = Some(now),
            Kept::DiesAt(letters) => self.dies_with = letters,
            Kept::Dies(ms) => self.dies_at = Some(now + ms * MS),
        }
    }

    /// The connection is there.
    pub(crate) fn connected(&mut self, now: u64) {
        self.dies_at = self.plan.dies.map(|ms| now + ms * MS);
        if self.plan.fault == Some(JoinFault::CloseAtOnce) {
            self.todo.push_back((now, Emit::Close));
        }
    }

    pub(crate) fn arrived(&mut self, bytes: &[u8], now: u64) {
        self.inbox.extend_from_slice(bytes);
        self.work(now);
    }

    /// Nothing comes any more: what lies in the inbox is still read.
    pub(crate) fn ended(&mut self, now: u64) {
        loop {
            self.dead |= self.todo.iter().any(|(_, emit)| matches!(emit, Emit::Stall | Emit::Close));
            self.todo.clear();
            let before = self.inbox.len();
            self.work(now);
            if self.dead || before == self.inbox.len() {
                return;
            }
        }
    }

    /// When it does something next.
    pub(crate) fn due(&self) -> Option<u64> {
        let next = self.todo.front().map(|(at, _)| *at);
        next.into_iter().chain(self.dies_at).min().filter(|_| !self.dead)
    }

    pub(crate) fn act(&mut self, now: u64) -> Option<Out> {
        if self.dies_at.is_some_and(|at| at <= now) {
            self.todo.clear();
            (self.dead, self.died) = (true, true);
            self.tape.push(Seen::note(DEAD, None));
            return Some(Out::Close);
        }
        let (_, emit) = self.todo.pop_front()?;
        let out = match emit {
            Emit::Bytes(bytes) => Some(Out::Bytes { bytes, last: false }),
            Emit::Final(bytes) => Some(Out::Bytes { bytes, last: true }),
            Emit::Close => {
                self.dead = true;
                Some(Out::Close)
            }
            Emit::Stall => {
                self.dead = true;
                None
            }
        };
        self.work(now);
        out
    }

    /// Reads commands while it is idle.
    fn work(&mut self, now: u64) {
        while self.todo.is_empty() && !self.dead {
            let Some((letter, payload)) = cut(&mut self.inbox) else { return };
            match letter {
                b'O' => self.negotiate(&payload, now),
                b'D' => self.macros.set(&payload),
                _ => self.command(letter, payload, now),
            }
        }
    }

    fn negotiate(&mut self, payload: &[u8], now: u64) {
        let (version, actions, protocol) = (number(payload, 0), number(payload, 4), number(payload, 8));
        let plan = &self.plan;
        let mut answer = plan.joins((version, actions, protocol));
        let frame = |answer: &Joined| {
            let numbers = [answer.version, answer.actions, answer.protocol];
            let numbers = numbers.iter().flat_map(|number| number.to_be_bytes());
            encode(&(b'O', numbers.chain(encode_lists(&answer.lists)).collect()))
        };
        let at = now + plan.usual.pause * MS;
        self.asked += 1;
        self.negotiated = true;
        match plan.fault {
            None => {
                self.todo.push_back((at, Emit::Final(frame(&answer))));
                self.joined = Some(answer);
            }
            Some(JoinFault::TooHigh) => {
                answer.version = version + 1;
                self.todo.push_back((at, Emit::Final(frame(&answer))));
            }
            Some(JoinFault::TooMuch) => {
                answer.actions = actions | 0x200;
                self.todo.push_back((at, Emit::Final(frame(&answer))));
            }
            Some(JoinFault::Garbage) => {
                self.todo.push_back((at, Emit::Final(b"220 mx.test ESMTP\r\n".to_vec())));
            }
            Some(JoinFault::OtherReply) => {
                self.todo.push_back((at, Emit::Final(encode(&(b'c', Vec::new())))));
            }
            Some(JoinFault::HalfFrame) => {
                self.todo.push_back((at, Emit::Bytes(frame(&answer)[..9].to_vec())));
                self.todo.push_back((at, Emit::Stall));
            }
            Some(_) => self.todo.push_back((at, Emit::Stall)),
        }
    }

    fn command(&mut self, letter: u8, payload: Text, now: u64) {
        let place = self.progress.see(letter, payload.len());
        let payload = if letter == b'C' { plain_connect(&payload) } else { payload };
        if letter == b'K' {
            return;
        }
        let protocol = self.joined.as_ref().map_or(0, |joined| joined.protocol);
        let silent = b"AQ".contains(&letter) || protocol & no_reply_bit(letter) != 0;
        self.asked += usize::from(!silent);
        let plan = Arc::clone(&self.plan);
        let act = plan.act(&place);
        if payload != NOOP {
            let (macros, owes) = (self.macros.get(letter), if silent { 0 } else { self.asked });
            let answer = act.answer().filter(|_| !silent && self.plan.fault.is_none());
            self.tape.push(Seen { letter, payload, macros, owes, answer, lost: None });
        }
        if self.plan.fault.is_some() {
            // That came with the offer.
            return;
        }
        self.macros.came(letter);
        if self.dies_with.contains(&letter) {
            (self.dies_at, self.dies_with) = (Some(now), b"");
            return;
        }
        self.over &= b"LNBE".contains(&letter);
        if b"AQ".contains(&letter) {
            return;
        }
        let pause = act.pause * MS;
        let mut at = now;
        let forgets = self.over && self.plan.forgets && b"LNBE".contains(&letter);
        if self.over && b"LNBE".contains(&letter) {
            if !forgets && !silent {
                self.todo.push_back((now, Emit::Final(encode(&(b'c', Vec::new())))));
            }
            return;
        }
        if silent && act.end != End::Close {
            return;
        }
        self.fails = act.end.failure();
        if silent {
            self.todo.push_back((at, Emit::Close));
            return;
        }
        for edit in &act.edits {
            at += pause;
            self.todo.push_back((at, Emit::Bytes(encode(edit))));
        }
        at += pause;
        let last_word = |frame: &Frame| b"LNB".contains(&letter) && !b"cs".contains(&frame.0);
        // Who is sent nothing of the envelope cannot tell where a message ends.
        let tells = b"MR".iter().any(|letter| protocol & no_send_bit(*letter) == 0);
        self.over |= tells && matches!(&act.end, End::Final(frame) if last_word(frame));
        match &act.end {
            End::Final(frame) => self.todo.push_back((at, Emit::Final(encode(frame)))),
            End::FinalThenClose(frame) => {
                self.todo.push_back((at, Emit::Final(encode(frame))));
                self.todo.push_back((at + pause, Emit::Close));
            }
            End::Close => self.todo.push_back((at, Emit::Close)),
            End::Stall => self.todo.push_back((at, Emit::Stall)),
            End::Bad(bytes) => {
                self.todo.push_back((at, Emit::Bytes(bytes.clone())));
                self.todo.push_back((at, Emit::Stall));
            }
            End::Half { then_close } => {
                self.todo.push_back((at, Emit::Bytes(b"\0\0\0\x06y5".to_vec())));
                self.todo.push_back((at + pause, if *then_close { Emit::Close } else { Emit::Stall }));
            }
        }
    }
}
