//! What must hold for any sequence of things that can happen to a session. Bytes are read as a script: a head that says who
//! takes part, then one operation after the other.
//!
//! * No panic, and the session comes to rest after every input.
//! * The MTA gets exactly one final reply for a command that owes one, changes only at end of message, nothing else.
//! * Every byte stream that leaves is made of whole frames of the protocol.
//! * What waits to be written stays within a small multiple of what came in.
//! * An MTA that keeps to the protocol is answered, whatever the children do: at the end time passes until it is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use millstream_core::chain::Session;
use millstream_core::machine::{Closure, Input, IoError, IoKind, Machine, Output, Peer, Refusal, SpillId};
use millstream_core::policy::{
    ChildIndex, ChildSettings, Endpoint, Environment, Fallback, Limits, Policy, Recipients, Route,
    StaticPolicy, Timeouts,
};
use millstream_core::time::Instant;

/// The longest script that is looked at: longer ones only repeat themselves.
const SCRIPT: usize = 4096;

/// Reads a script; zeros behind its end.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken.to_vec()
    }
}

/// A policy with a bit for each thing that is not in every configuration.
#[derive(Debug)]
struct Odd {
    base: StaticPolicy,
    bits: u8,
}

impl Policy for Odd {
    fn children(&self) -> &[ChildSettings] {
        self.base.children()
    }

    fn limits(&self) -> &Limits {
        self.base.limits()
    }

    fn fallback(&self) -> Fallback {
        self.base.fallback()
    }

    fn independent(&self, child: ChildIndex) -> bool {
        self.bits & 1 << child.0 != 0
    }

    fn recipients(&self) -> Recipients {
        if self.bits & 0x10 != 0 { Recipients::Parallel } else { Recipients::InOrder }
    }

    fn unfiltered_header(&self) -> Option<&str> {
        (self.bits & 0x20 != 0).then_some("X-Unfiltered")
    }
}

/// One direction of a connection, cut into frames.
#[derive(Default)]
struct Stream(Vec<u8>);

impl Stream {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole frame; nothing for what no frame can be.
    fn cut(&mut self) -> Option<(u8, Vec<u8>)> {
        let length = u32::from_be_bytes(self.0.get(..4)?.try_into().ok()?) as usize;
        if length == 0 || self.0.len() < 4 + length {
            return None;
        }
        let rest = self.0.split_off(4 + length);
        let frame = std::mem::replace(&mut self.0, rest);
        Some((frame[4], frame[5..].to_vec()))
    }
}

/// A child's end.
struct Kid {
    peer: Option<Peer>,
    acquiring: bool,
    sent: Stream,
    owes: VecDeque<(u8, Vec<u8>)>,
    protocol: u32,
}

struct World<'a> {
    script: Script<'a>,
    session: Session,
    now: Instant,
    waits: Option<Instant>,
    kids: Vec<Kid>,
    /// What the MTA has sent and is not answered, as far as it is whole.
    asked: VecDeque<u8>,
    mta_sent: Stream,
    mta_got: Stream,
    /// What is owed to the MTA at this moment, the bits that were negotiated, the next stage of an honest MTA.
    protocol: Option<u32>,
    stage: usize,
    honest: bool,
    closed: bool,
    finished: bool,
    came: usize,
    /// Spill files, and what is done with them and not told yet.
    files: BTreeMap<u32, Vec<u8>>,
    spilled: VecDeque<Input>,
}

/// The commands of an honest MTA; after the last it goes back to MAIL.
const DIALOGUE: [(u8, &[u8]); 11] = [
    (b'O', b"\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff"),
    (b'C', b"client.example.org\x004\x12\x34203.0.113.7\0"),
    (b'H', b"client.example.org\0"),
    (b'M', b"<sender@example.org>\0SIZE=10\0"),
    (b'R', b"<one@example.org>\0"),
    (b'R', b"<two@example.org>\0"),
    (b'T', b""),
    (b'L', b"Subject\0Hello\0"),
    (b'N', b""),
    (b'B', b"Hello.\r\n"),
    (b'E', b""),
];
const MAIL: usize = 3;

/// Commands at any time, legal or not.
const COMMANDS: [(u8, &[u8]); 20] = [
    (b'O', b"\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff"),
    (b'O', b"\0\0\0\x02\0\0\0\x3f\0\0\0\x7f"),
    (b'C', b"\0U"),
    (b'C', b"client.example.org\x006\x12\x34IPv6:2001:db8::1\0"),
    (b'H', b"\0"),
    (b'M', b"<>\0"),
    (b'R', b"<one@example.org>\0NOTIFY=NEVER\0"),
    (b'T', b""),
    (b'L', b"X-A\0 first\0"),
    (b'L', b"\0\0"),
    (b'N', b""),
    (b'B', b""),
    (b'B', b"more\r\n"),
    (b'E', b""),
    (b'E', b"end\0\r\n"),
    (b'A', b""),
    (b'Q', b""),
    (b'K', b""),
    (b'U', b"NONSENSE\0"),
    (b'D', b"Mi\0QUEUE\0{auth_type}\0PLAIN\0"),
];

/// Replies at any time, legal or not.
const REPLIES: [(u8, &[u8]); 24] = [
    (b'c', b""),
    (b'a', b""),
    (b'r', b""),
    (b't', b""),
    (b'd', b""),
    (b's', b""),
    (b'4', b""),
    (b'f', b""),
    (b'p', b""),
    (b'y', b"550 5.7.1 no\0"),
    (b'y', b"451 later\0"),
    (b'y', b"2xx\0"),
    (b'h', b"X-New\0value\0"),
    (b'i', b"\0\0\0\x01X-New\0value\0"),
    (b'm', b"\0\0\0\x01Subject\0other\0"),
    (b'm', b"\0\0\0\x02X-A\0\0"),
    (b'b', b"another body\r\n"),
    (b'+', b"<new@example.org>\0"),
    (b'2', b"<new@example.org>\0NOTIFY=NEVER\0"),
    (b'-', b"<one@example.org>\0"),
    (b'e', b"\0"),
    (b'q', b"why\0"),
    (b'O', b"\0\0\0\x06\0\0\0\0\0\0\0\0"),
    (b'?', b""),
];

fn encode(letter: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32 + 1;
    [&length.to_be_bytes()[..], &[letter], payload].concat()
}

/// The bit with which no reply is owed to a command, 0 where one always is; nothing for what is never replied to.
fn silence(letter: u8) -> Option<u32> {
    Some(match letter {
        b'C' => 0x1000,
        b'H' => 0x2000,
        b'M' => 0x4000,
        b'R' => 0x8000,
        b'T' => 0x1_0000,
        b'U' => 0x2_0000,
        b'L' => 0x80,
        b'N' => 0x4_0000,
        b'B' => 0x8_0000,
        b'O' | b'E' => 0,
        _ => return None,
    })
}

/// Plays a script.
pub(crate) fn session(data: &[u8]) {
    let mut world = World::new(Script(&data[..data.len().min(SCRIPT)]));
    world.handle(Input::Tick);
    while !world.script.0.is_empty() && !world.finished {
        world.step();
    }
    world.end();
}

impl<'a> World<'a> {
    fn new(mut script: Script<'a>) -> Self {
        let count = script.below(4);
        let mut kids = Vec::new();
        let children = (0..count).map(|index| {
            let bits = script.byte();
            let protocol =
                u32::from(script.byte()) << 12 | u32::from(script.byte() & 0x80) | u32::from(bits >> 6) << 4;
            kids.push(Kid {
                peer: None,
                acquiring: false,
                sent: Stream::default(),
                owes: VecDeque::new(),
                protocol,
            });
            let fallbacks = [
                Fallback::Accept,
                Fallback::TemporaryFailure,
                Fallback::Reject,
                Fallback::Discard,
                Fallback::Quarantine,
                Fallback::Shutdown,
            ];
            let second = Duration::from_secs(1);
            ChildSettings {
                name: Arc::from(format!("c{index}")),
                route: Route::to("child", Endpoint::Unix(Arc::from(*b"/child"))),
                fallback: fallbacks[usize::from(bits & 0x1b) % 6],
                evaluation_mode: bits & 4 != 0,
                timeouts: Timeouts {
                    connection: second,
                    writing: second,
                    reading: second,
                    end_of_message: second,
                },
            }
        });
        let children = children.collect();
        let limits = Limits {
            frame: 70_000,
            recipients: 8,
            headers: 16,
            header_bytes: 400,
            body_bytes: [20, 2000][script.below(2)],
            spill_bytes: 200,
            edits: 12,
            macro_bytes: 200,
            read_ahead: [1, 100, 4096][script.below(3)],
            ..Limits::default()
        };
        let base = StaticPolicy { children, limits, fallback: Fallback::Accept };
        let policy = Odd { base, bits: script.byte() };
        Self {
            script,
            session: Session::new(Arc::new(policy), Environment::default()),
            now: Instant::from_nanos(1_000_000_000),
            waits: None,
            kids,
            asked: VecDeque::new(),
            mta_sent: Stream::default(),
            mta_got: Stream::default(),
            protocol: None,
            stage: 0,
            honest: true,
            closed: false,
            finished: false,
            came: 0,
            files: BTreeMap::new(),
            spilled: VecDeque::new(),
        }
    }

    fn step(&mut self) {
        match self.script.below(20) {
            0..=4 => self.honest_command(),
            5 => {
                let (letter, payload) = COMMANDS[self.script.below(COMMANDS.len())];
                // An ABORT, a macro and a word that the MTA does not know may come at any time between two commands.
                self.honest &= b"AD".contains(&letter) && self.protocol.is_some() && !self.is_owed();
                if letter == b'A' {
                    self.stage = self.stage.min(MAIL);
                }
                self.mta(&encode(letter, payload));
            }
            6 => {
                let n = self.script.below(16);
                let bytes = self.script.take(n);
                self.honest &= bytes.is_empty();
                self.mta(&bytes);
            }
            7..=9 => {
                let kid = self.script.below(3);
                self.usual_reply(kid);
            }
            10 | 11 => {
                let kid = self.script.below(3);
                let (letter, payload) = REPLIES[self.script.below(REPLIES.len())];
                if let Some(kid) = self.kids.get_mut(kid)
                    && !b"phimb+2-eq".contains(&letter)
                {
                    kid.owes.pop_front();
                }
                self.child(kid, &encode(letter, payload));
            }
            12 => {
                let (kid, n) = (self.script.below(3), self.script.below(16));
                let bytes = self.script.take(n);
                self.child(kid, &bytes);
            }
            13 => {
                let (slot, n) = (self.script.below(4), self.script.below(64));
                self.write(slot, n);
            }
            14 | 15 => self.write_all(),
            16 => {
                let millis = [1, 50, 999, 3000, 100_000][self.script.below(5)];
                self.now = self.now + Duration::from_millis(millis);
                self.handle(Input::Tick);
            }
            17 => self.connect(),
            18 => {
                let kid = self.script.below(3);
                if let Some(peer) = self.kids.get_mut(kid).and_then(|kid| kid.peer.take()) {
                    let reset = Closure::Failed(IoError { kind: IoKind::Reset, code: 104 });
                    let why = if self.script.below(2) == 0 { Closure::Eof } else { reset };
                    self.handle(Input::Closed { peer, why });
                }
            }
            _ => match self.script.below(8) {
                0 => {
                    self.honest = false;
                    self.closed = true;
                    self.handle(Input::Closed { peer: Peer::MTA, why: Closure::Eof });
                }
                1 => {
                    self.honest &= self.protocol.is_some();
                    self.handle(Input::Stop);
                }
                2 | 3 => {
                    let file = match self.spilled.pop_front() {
                        Some(Input::SpillAppended { file, .. } | Input::SpillRead { file, .. }) => file,
                        _ => return,
                    };
                    let error = IoError { kind: IoKind::NoSpace, code: 28 };
                    self.handle(Input::SpillFailed { file, error });
                }
                // Of a connection that never was.
                _ => {
                    let peer = Peer { slot: self.script.byte().into(), generation: 77 };
                    self.handle(Input::Received { peer, data: BytesMut::from(&b"stray"[..]) });
                    self.handle(Input::Closed { peer, why: Closure::Eof });
                }
            },
        }
    }

    fn is_owed(&self) -> bool {
        let protocol = self.protocol.unwrap_or(0);
        self.asked.iter().any(|letter| silence(*letter).is_some_and(|bit| protocol & bit == 0))
    }

    /// The next command of an MTA that keeps to the protocol, once everything is answered.
    fn honest_command(&mut self) {
        if !self.honest || self.is_owed() || !self.session.wants_input(Peer::MTA) {
            return;
        }
        let (letter, payload) = DIALOGUE[self.stage];
        self.stage = if self.stage + 1 == DIALOGUE.len() { MAIL } else { self.stage + 1 };
        let unsent = match letter {
            b'C' => 0x1,
            b'H' => 0x2,
            b'M' => 0x4,
            b'R' => 0x8,
            b'B' => 0x10,
            b'L' => 0x20,
            b'N' => 0x40,
            b'T' => 0x200,
            _ => 0,
        };
        if self.protocol.unwrap_or(0) & unsent == 0 {
            self.mta(&encode(letter, payload));
        }
    }

    fn mta(&mut self, bytes: &[u8]) {
        if self.closed || !self.session.wants_input(Peer::MTA) {
            // It is not read; an honest MTA waits.
            self.honest = false;
            return;
        }
        self.came += bytes.len();
        self.mta_sent.push(bytes);
        while let Some((letter, _)) = self.mta_sent.cut() {
            self.asked.push_back(letter);
        }
        let data = match self.session.read_buffer(Peer::MTA) {
            Some(mut buffer) => {
                let room = (buffer.capacity() - buffer.len()).min(bytes.len());
                buffer.extend_from_slice(&bytes[..room]);
                self.handle(Input::Received { peer: Peer::MTA, data: buffer });
                BytesMut::from(&bytes[room..])
            }
            None => BytesMut::from(bytes),
        };
        self.handle(Input::Received { peer: Peer::MTA, data });
    }

    fn child(&mut self, kid: usize, bytes: &[u8]) {
        let Some(peer) = self.kids.get(kid).and_then(|kid| kid.peer).filter(|_| !self.kids[kid].acquiring)
        else {
            return;
        };
        if !self.session.wants_input(peer) {
            return;
        }
        self.came += bytes.len();
        self.handle(Input::Received { peer, data: BytesMut::from(bytes) });
    }

    /// What an ordinary milter replies to the oldest command.
    fn usual_reply(&mut self, index: usize) {
        let Some(kid) = self.kids.get_mut(index) else { return };
        let Some((letter, offer)) = kid.owes.pop_front() else { return };
        let reply = match letter {
            b'O' => {
                let number = |at: usize| u32::from_be_bytes(offer[at..at + 4].try_into().unwrap_or_default());
                let answer = [number(0), number(4), number(8) & kid.protocol];
                kid.protocol = answer[2];
                encode(b'O', &answer.map(u32::to_be_bytes).concat())
            }
            _ => encode(b'c', b""),
        };
        self.child(index, &reply);
    }

    /// The connections that were asked for are there, or not.
    fn connect(&mut self) {
        let refused = self.script.below(8) == 0;
        for index in 0..self.kids.len() {
            let kid = &mut self.kids[index];
            let (Some(peer), true) = (kid.peer, std::mem::take(&mut kid.acquiring)) else { continue };
            if refused {
                kid.peer = None;
                let error = IoError { kind: IoKind::Refused, code: 111 };
                self.handle(Input::Refused { peer, why: Refusal::Failed(error) });
            } else {
                self.handle(Input::Ready { peer, negotiated: None });
            }
        }
    }

    fn handle(&mut self, input: Input) {
        self.session.handle(self.now, input);
        for _ in 0..10_000 {
            match self.session.poll_output() {
                Output::Wait(at) => {
                    self.waits = at;
                    return self.check_bounds();
                }
                Output::Finished => {
                    self.finished = true;
                    return;
                }
                Output::Acquire { peer, .. } => {
                    if let Some(ChildIndex(index)) = peer.child_index() {
                        let kid = &mut self.kids[usize::from(index)];
                        kid.peer = Some(peer);
                        kid.acquiring = true;
                        kid.sent = Stream::default();
                        kid.owes.clear();
                    }
                }
                Output::SpillAppend { file, data } => {
                    let stored = self.files.entry(file.0).or_default();
                    data.iter().for_each(|piece| stored.extend_from_slice(piece));
                    self.spilled.push_back(Input::SpillAppended { file, length: stored.len() as u64 });
                }
                Output::SpillRead { file, offset, length } => {
                    let data = &self.files[&file.0][offset as usize..][..length];
                    self.spilled.push_back(Input::SpillRead { file, offset, data: data.to_vec().into() });
                }
                Output::SpillDrop { file: SpillId(file) } => drop(self.files.remove(&file)),
                Output::Close { peer: Peer::MTA, .. } => {
                    self.write(0, usize::MAX);
                    self.closed = true;
                }
                Output::Close { peer, .. } => {
                    if let Some(kid) = self.kids.iter_mut().find(|kid| kid.peer == Some(peer)) {
                        kid.peer = None;
                    }
                }
                _ => {}
            }
        }
        panic!("the session never comes to rest");
    }

    fn check_bounds(&self) {
        for peer in std::iter::once(Peer::MTA).chain(self.kids.iter().filter_map(|kid| kid.peer)) {
            let mut slices: [&[u8]; 64] = [&[]; 64];
            let filled = self.session.transmit(peer, &mut slices);
            let waiting: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
            assert!(waiting <= 16_384 + 8 * self.came, "{waiting} bytes wait after {} came", self.came);
        }
    }

    /// Writes at most `n` bytes to one peer: 0 is the MTA.
    fn write(&mut self, slot: usize, n: usize) {
        let peer = match slot.checked_sub(1) {
            None if self.closed => return,
            None => Peer::MTA,
            Some(kid) => match self.kids.get(kid) {
                Some(Kid { peer: Some(peer), acquiring: false, .. }) => *peer,
                _ => return,
            },
        };
        let mut slices: [&[u8]; 64] = [&[]; 64];
        let filled = self.session.transmit(peer, &mut slices);
        let mut bytes = slices[..filled].concat();
        bytes.truncate(n);
        if bytes.is_empty() {
            return;
        }
        self.session.handle(self.now, Input::Wrote { peer, n: bytes.len() });
        match slot.checked_sub(1) {
            None => {
                self.mta_got.push(&bytes);
                while let Some((letter, payload)) = self.mta_got.cut() {
                    self.answered(letter, &payload);
                }
            }
            Some(kid) => {
                let kid = &mut self.kids[kid];
                kid.sent.push(&bytes);
                while let Some((letter, payload)) = kid.sent.cut() {
                    assert!(b"OCHMRTULNBEDAQ".contains(&letter), "a child is sent {letter:#x}");
                    if silence(letter).is_some_and(|bit| bit & kid.protocol == 0 || letter == b'O') {
                        kid.owes.push_back((letter, payload));
                    }
                }
            }
        }
    }

    fn write_all(&mut self) {
        for slot in 0..=self.kids.len() {
            self.write(slot, usize::MAX);
        }
        while let Some(done) = self.spilled.pop_front() {
            self.handle(done);
        }
        self.handle(Input::Tick);
    }

    /// A frame has reached the MTA: it must be one that is owed.
    fn answered(&mut self, letter: u8, payload: &[u8]) {
        let protocol = self.protocol.unwrap_or(0);
        while let Some(asked) = self.asked.front()
            && silence(*asked).is_none_or(|bit| protocol & bit != 0)
        {
            self.asked.pop_front();
        }
        let asked = self.asked.front().copied().unwrap_or(b'-');
        let allowed: &[u8] = match asked {
            b'-' => b"",
            b'O' => b"O",
            b'C' | b'H' | b'U' => b"carty",
            b'E' => b"cardtyphimb+2-eq",
            _ => b"cardtys",
        };
        assert!(allowed.contains(&letter), "{} in reply to {}", char::from(letter), char::from(asked));
        if letter == b'O' {
            assert!(payload.len() >= 12, "a short negotiation");
            self.protocol = payload[8..12].try_into().ok().map(u32::from_be_bytes);
        }
        if !b"phimb+2-eq".contains(&letter) {
            self.asked.pop_front();
        }
        // A refused message is taken back; behind a refused connection there is nothing more to say.
        match (asked, letter) {
            (_, b'c' | b'O' | b's' | b'p') | (b'E' | b'U', _) => {}
            (b'R', b'r' | b't' | b'y') => {}
            (b'C' | b'H', _) => self.honest = false,
            (b'M' | b'R' | b'T', _) => self.stage = MAIL,
            _ => {}
        }
    }

    /// An MTA that has kept to the protocol gets what it is owed, however long its children are silent.
    fn end(&mut self) {
        for _ in 0..300 {
            if self.finished || self.closed || !self.honest {
                return;
            }
            self.write_all();
            if !self.is_owed() {
                return;
            }
            if let Some(at) = self.waits {
                self.now = self.now.max(at);
            }
            self.handle(Input::Tick);
        }
        panic!("an answer is owed and never comes: {:?}", self.asked);
    }
}
