//! A scripted child at the far end of one connection: reads commands, answers from its plan.
//!
//! Like libmilter it does one command after another. What is legal toward it is checked where the session's bytes leave
//! the session ([`Watch`]); what it saw is kept for the model.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use crate::frames::{cut, encode, encode_lists, number, plain_connect};
use crate::peers::mta::MS;
use crate::plan::{End, JoinFault, Joined, Plan, Progress, Text, no_reply_bit};
use crate::queue::strings;
use crate::record::Seen;

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
    macros: BTreeMap<u8, Rc<[(Text, Text)]>>,
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

impl ChildEnd {
    pub(crate) fn new(plan: Arc<Plan>, progress: Progress) -> Self {
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
                    self.macros.insert(payload[0], pairs.into());
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
        let plan = Arc::clone(&self.plan);
        let act = plan.act(&place);
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
