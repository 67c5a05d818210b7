//! A scripted child at the far end of one connection: reads commands, answers from its plan.
//!
//! Like libmilter it does one command after another. What is legal toward it is checked where the session's bytes leave
//! the session ([`Watch`]); what it saw is kept for the model.

use std::collections::{BTreeMap, VecDeque};

use super::frames::{cut, encode, encode_lists, number, plain_connect};
use super::plan::{End, JoinFault, Joined, Plan, Progress, Text, no_reply_bit, no_send_bit};
use super::postfix::strings;
use super::runner::Seen;

/// Something that the child does at a time (milliseconds are added to when it became idle).
enum Emit {
    Bytes(Text),
    /// The last bytes of an answer that was owed.
    Final(Text),
    Close,
    Stall,
}

pub(crate) struct ChildEnd {
    plan: Plan,
    pub(crate) joined: Option<Joined>,
    inbox: Text,
    progress: Progress,
    macros: BTreeMap<u8, Vec<(Text, Text)>>,
    pub(crate) tape: Vec<Seen>,
    todo: VecDeque<(u64, Emit)>,
    /// It will never do anything again.
    pub(crate) dead: bool,
    negotiated: bool,
    pub(crate) offer: Option<(u32, u32, u32)>,
}

/// What comes out of a child.
pub(crate) enum Out {
    Bytes { bytes: Text, last: bool },
    Close,
}

const MS: u64 = 1_000_000;

impl ChildEnd {
    pub(crate) fn new(plan: Plan, progress: Progress) -> Self {
        Self {
            plan,
            joined: None,
            inbox: Vec::new(),
            progress,
            macros: BTreeMap::new(),
            tape: Vec::new(),
            todo: VecDeque::new(),
            dead: false,
            negotiated: false,
            offer: None,
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// The connection is there.
    pub(crate) fn connected(&mut self, now: u64) {
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
        self.todo.front().filter(|_| !self.dead).map(|(at, _)| *at)
    }

    pub(crate) fn act(&mut self, now: u64) -> Option<Out> {
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
                b'D' => {
                    let texts = if payload.len() > 1 { strings(&payload[1..]) } else { Vec::new() };
                    let bare =
                        |name: &[u8]| name.iter().copied().filter(|byte| !b"{}".contains(byte)).collect();
                    let mut pairs: Vec<(Text, Text)> =
                        texts.chunks(2).map(|pair| (bare(pair[0]), pair[1].to_vec())).collect();
                    pairs.sort();
                    self.macros.insert(payload[0], pairs);
                }
                _ => self.command(letter, payload, now),
            }
        }
    }

    fn negotiate(&mut self, payload: &[u8], now: u64) {
        let (version, actions, protocol) = (number(payload, 0), number(payload, 4), number(payload, 8));
        self.offer = Some((version, actions, protocol));
        let plan = &self.plan;
        let mut answer = Joined {
            version: plan.version.min(version),
            actions: plan.actions & actions,
            protocol: plan.protocol & (protocol | 0xf_f080),
            lists: Vec::new(),
        };
        if answer.actions & 0x100 != 0 {
            answer.lists.clone_from(&plan.lists);
        }
        let frame = |answer: &Joined| {
            let numbers = [answer.version, answer.actions, answer.protocol];
            let numbers = numbers.iter().flat_map(|number| number.to_be_bytes());
            encode(&(b'O', numbers.chain(encode_lists(&answer.lists)).collect()))
        };
        let at = now + plan.usual.pause * MS;
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
        self.tape.push(Seen {
            letter,
            payload,
            macros: self.macros.get(&letter).cloned().unwrap_or_default(),
        });
        // libmilter forgets the macros of later stages when one of these comes.
        const ORDER: &[u8] = b"CHMRTNE";
        if let Some(at) = ORDER.iter().position(|known| *known == letter).filter(|at| *at < 4) {
            ORDER[at + 1..].iter().for_each(|later| drop(self.macros.remove(later)));
        }
        if b"AKQ".contains(&letter) {
            return;
        }
        let protocol = self.joined.as_ref().map_or(0, |joined| joined.protocol);
        let silent = protocol & no_reply_bit(letter) != 0;
        let act = self.plan.act(&place).clone();
        let pause = act.pause * MS;
        let mut at = now;
        if silent {
            if act.end == End::Close {
                self.todo.push_back((at, Emit::Close));
            }
            return;
        }
        for edit in &act.edits {
            at += pause;
            self.todo.push_back((at, Emit::Bytes(encode(edit))));
        }
        at += pause;
        match act.end {
            End::Final(frame) => self.todo.push_back((at, Emit::Final(encode(&frame)))),
            End::FinalThenClose(frame) => {
                self.todo.push_back((at, Emit::Final(encode(&frame))));
                self.todo.push_back((at + pause, Emit::Close));
            }
            End::Close => self.todo.push_back((at, Emit::Close)),
            End::Stall => self.todo.push_back((at, Emit::Stall)),
            End::Bad(bytes) => {
                self.todo.push_back((at, Emit::Bytes(bytes)));
                self.todo.push_back((at, Emit::Stall));
            }
            End::Half { then_close } => {
                self.todo.push_back((at, Emit::Bytes(b"\0\0\0\x06y5".to_vec())));
                self.todo.push_back((at + pause, if then_close { Emit::Close } else { Emit::Stall }));
            }
        }
    }
}

/// Checks what the session sends to one child, as it leaves the session.
pub(crate) struct Watch {
    /// What the child chose, once its answer has reached the session.
    joined: Option<Joined>,
    state: u8,
    /// The last command that wants an answer.
    last: u8,
    in_message: bool,
    /// Its part in the message has ended by its own answer, and the session has had the time to know.
    settled: bool,
    asked: usize,
    answered: usize,
    mds: usize,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self {
            joined: None,
            state: 0,
            last: 0,
            in_message: false,
            settled: true,
            asked: 0,
            answered: 0,
            mds: 65535,
        }
    }

    pub(crate) fn owes(&self) -> bool {
        self.asked > self.answered
    }

    /// A whole answer has reached the session.
    pub(crate) fn answered(&mut self, joined: Option<&Joined>) {
        self.answered += 1;
        if self.joined.is_none() {
            self.joined = joined.cloned();
        }
    }

    /// A frame of the child has reached the session.
    pub(crate) fn note_reply(&mut self, letter: u8, refuses: bool) {
        let ends = (self.state == b'E' && b"cs".contains(&letter))
            || (refuses && self.last != b'R' && self.last != b'U')
            || letter == b'a' && self.last == b'R'
            || letter == b'd' && self.last == b'R';
        if ends {
            if self.in_message {
                // What comes next is as after a message, with or without ABORT.
                self.state = b'E';
            }
            self.in_message = false;
            self.settled = false;
        }
    }

    /// Whether it was told good-bye, as far as one could talk to it.
    pub(crate) fn parted(&self) -> bool {
        self.joined.is_none() || self.state == b'Q'
    }

    /// Nothing is queued for the child.
    pub(crate) fn idle(&mut self) {
        self.settled = true;
    }

    /// A whole frame has left the session; `owed` is whether the child owed a reply when its first byte left.
    pub(crate) fn command(&mut self, letter: u8, payload: &[u8], owed: bool) -> Result<(), String> {
        let name = char::from(letter);
        if letter == b'O' {
            if self.state != 0 {
                return Err("a second negotiation".into());
            }
            self.state = b'O';
            self.asked += 1;
            return Ok(());
        }
        if letter == b'Q' {
            if self.state == b'Q' {
                return Err("a second QUIT".into());
            }
            self.state = b'Q';
            return Ok(());
        }
        let Some(joined) = &self.joined else {
            return Err(format!("'{name}' before the negotiation is done"));
        };
        if owed && !b"AQ".contains(&letter) {
            return Err(format!("'{name}' while a reply is owed"));
        }
        if payload.len() > self.mds && letter == b'B' {
            return Err(format!("a BODY of {} bytes", payload.len()));
        }
        if payload.is_empty() && b"BCHLMRUOD".contains(&letter) {
            return Err(format!("'{name}' without payload"));
        }
        if letter == b'E' && !payload.is_empty() {
            return Err("end of message with data".into());
        }
        if letter == b'D' {
            let listed =
                joined.lists.iter().find(|(listed, names)| *listed == payload[0] && !names.is_empty());
            let texts = if payload.len() > 1 { strings(&payload[1..]) } else { Vec::new() };
            for pair in texts.chunks(2) {
                let bare: Text = pair[0].iter().copied().filter(|byte| !b"{}".contains(byte)).collect();
                if listed.is_some_and(|(_, names)| !names.contains(&bare)) {
                    return Err(format!(
                        "macro {} for '{}', which is not listed",
                        bare.escape_ascii(),
                        char::from(payload[0])
                    ));
                }
            }
            return Ok(());
        }
        let since = match letter {
            b'T' => 4,
            b'U' => 3,
            b'K' => 6,
            _ => 2,
        };
        if b"MH".contains(&letter) && self.in_message {
            return Err(format!("'{name}' inside a message, without ABORT"));
        }
        if joined.version < since || joined.protocol & no_send_bit(letter) != 0 {
            return Err(format!("'{name}', which it does not want"));
        }
        self.transition(letter)?;
        let joined = self.joined.as_ref().unwrap();
        if !b"AK".contains(&letter) && joined.protocol & no_reply_bit(letter) == 0 {
            self.asked += 1;
            self.last = letter;
        }
        Ok(())
    }

    /// Section 8 of the protocol description, with the phases that the child skips passed over.
    fn transition(&mut self, letter: u8) -> Result<(), String> {
        let skipped = |command: u8| {
            let joined = self.joined.as_ref().unwrap();
            joined.protocol & no_send_bit(command) != 0
        };
        let mut here = vec![self.state];
        if self.state == b'O' && (skipped(b'C') || letter == b'U') {
            here.push(b'C');
        }
        if here.iter().any(|state| b"CHAE".contains(state)) && skipped(b'M') {
            here.push(b'M');
        }
        if here.contains(&b'M') && skipped(b'R') {
            here.push(b'R');
        }
        let allowed = |state: &u8| -> &[u8] {
            match state {
                b'O' => b"CUA",
                b'C' | b'H' | b'A' => b"HMUAK",
                b'E' => b"MHAUK",
                b'M' => b"RAUHM",
                b'R' => b"RTLNBEAUHM",
                b'T' => b"LNBEA",
                b'L' => b"LNEA",
                b'N' | b'B' => b"BEA",
                b'K' => b"C",
                _ => b"",
            }
        };
        // EOH not wanted: body follows the headers.
        let body_after_headers = letter == b'B' && b"LT".contains(&self.state) && skipped(b'N');
        let legal = body_after_headers || here.iter().any(|state| allowed(state).contains(&letter));
        if !legal {
            return Err(format!("'{}' after '{}'", char::from(letter), char::from(self.state)));
        }
        match letter {
            b'A' => {
                if !self.in_message && self.settled && !skipped(b'M') {
                    return Err("ABORT without a message".into());
                }
                self.in_message = false;
                self.settled = true;
                self.state = b'A';
            }
            b'U' => {}
            b'E' => self.state = b'E',
            _ => self.state = letter,
        }
        if b"MRTLNBE".contains(&letter) {
            self.in_message = true;
        }
        Ok(())
    }
}
