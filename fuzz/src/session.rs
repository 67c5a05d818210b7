//! What must hold for any sequence of things that can happen to a session. Bytes are read as a script: a head that says who
//! takes part, then one operation after the other.
//!
//! * No panic, and the session comes to rest after every input.
//! * The MTA gets exactly one final reply for a command that owes one, changes only at end of message, nothing else.
//! * Every byte stream that leaves is made of whole frames of the protocol.
//! * What waits to be written stays within a small multiple of what came in.
//! * An MTA that keeps to the protocol is answered in time, whatever the children do: at the end time passes until it is.
//! * Nothing is sent on a connection that was given back, nor taken from it, and no reply is owed on it then.
//! * A child has one connection, besides those of which leave was taken. A fresh one is asked for only when a kept one died, or
//!   for a message without HELO.
//! * When the MTA has closed, the session is over soon, and holds nothing any more of what all sessions share.
//!
//! What came later than the first scripts of the corpus is chosen by a bit that those leave off.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use millstream_core::chain::Session;
use millstream_core::machine::{
    Answer, Closure, Input, IoError, IoKind, Machine, Output, Peer, QueryId, Question, Refusal, SpillId,
};
use millstream_core::policy::{
    Answers, ChildIndex, ChildSettings, ChildState, Decision, Effects, Endpoint, Environment, Facts,
    Fallback, Limits, Notes, Policy, Recipients, Reuse, Route, StaticPolicy, Timeouts, Why,
};
use millstream_core::reserve::{Reserve, Room};
use millstream_core::time::Instant;
use millstream_core::wire::{Negotiation, Protocol, Stage};

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
    more: More,
}

/// What is in no script without the bit for it.
#[derive(Debug, Clone, Copy, Default)]
struct More {
    on: bool,
    /// See the constants.
    bits: u8,
    /// The stages at which conditions are asked.
    watched: u16,
    /// What they say, four bits for each.
    says: [u8; 4],
    /// Which of its questions the reserve answers with no.
    full: u8,
}

const LAZY: u8 = 0x01;
const REUSE: u8 = 0x02;
const RESERVE: u8 = 0x04;
const MESSAGE_TIME: u8 = 0x08;
const CONDITIONS: u8 = 0x10;
/// And the two bits above, for the other children.
const PIPELINING: u8 = 0x20;

impl More {
    fn of(script: &mut Script<'_>) -> Self {
        let bits = script.byte();
        let mut more = Self { on: true, bits, ..Self::default() };
        if more.has(CONDITIONS) {
            more.watched = u16::from_be_bytes([script.byte(), script.byte()]);
            more.says = [0; 4].map(|_| script.byte());
        }
        if more.has(RESERVE) {
            more.full = script.byte();
        }
        more
    }

    fn has(self, bit: u8) -> bool {
        self.bits & bit != 0
    }
}

/// What all sessions share, with somebody else who uses it up now and then.
#[derive(Debug)]
struct Crowd {
    full: u8,
    asked: AtomicU64,
    taken: [AtomicU64; 2],
}

impl Reserve for Crowd {
    fn take(&self, room: Room, bytes: u64, limit: u64) -> bool {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let taken = &self.taken[usize::from(room == Room::Files)];
        let fits = self.full & 1 << (asked % 8) == 0 && taken.load(Ordering::Relaxed) + bytes <= limit;
        if fits {
            taken.fetch_add(bytes, Ordering::Relaxed);
        }
        fits
    }

    fn give_back(&self, room: Room, bytes: u64) {
        let taken = self.taken[usize::from(room == Room::Files)].fetch_sub(bytes, Ordering::Relaxed);
        assert!(taken >= bytes, "more is given back than was taken");
    }
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

    fn lazy_connect(&self) -> bool {
        self.more.has(LAZY)
    }

    fn pipelining(&self, child: ChildIndex) -> bool {
        self.more.has(PIPELINING << child.0)
    }

    fn watches(&self, _: ChildIndex, stage: Stage) -> bool {
        self.more.watched & 1 << stage as u16 != 0
    }

    fn decide(
        &self,
        child: ChildIndex,
        stage: Stage,
        facts: &Facts<'_>,
        answers: &Answers,
        _: &mut Notes,
    ) -> Decision {
        let asked = answers.0.len();
        let pick = usize::from(child.0) * 3 + stage as usize * 5 + asked;
        let says = self.more.says[pick / 2 % 4] >> (pick % 2 * 4) & 0xf;
        let other = usize::from(says & 3);
        let pending = facts.children.get(other) == Some(&ChildState::Pending);
        match says {
            1 => Decision::Stop(Why { condition: Arc::from("c"), place: Arc::from("fuzz:1") }),
            2 | 3 if asked < 3 => Decision::Need(
                (asked..=asked + pick % 3)
                    .map(|at| Question::Addresses(format!("{at}.test").into()))
                    .collect(),
            ),
            // For one that is not pending it waits until there is no time left.
            4..=7 if pending || says == 4 => Decision::Await(ChildIndex(other as u16)),
            8 | 9 => Decision::Run(Effects { macros: vec![((&b"j"[..]).into(), (&b"own"[..]).into())] }),
            _ => Decision::Run(Effects::default()),
        }
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
    protocol: u32,
    conn: Option<Conn>,
    /// A kept connection has died, or was left since it has seen the HELO of another client and would see none of this
    /// one, and no other was asked for since.
    kept_died: bool,
    /// What was given back: the offer and what was answered to it.
    kept: Vec<(Negotiation, Negotiation)>,
    /// What it is known to have answered.
    known: Option<Negotiation>,
}

/// One connection to a child.
struct Conn {
    peer: Peer,
    acquiring: bool,
    fresh: bool,
    offer: Negotiation,
    /// What was agreed on, once it was, and what the child is taken to want until then.
    terms: Option<Negotiation>,
    foreseen: Option<Negotiation>,
    /// It was kept from another session; nothing was said on it since, no HELO was sent.
    kept: bool,
    unproven: bool,
    greeted: bool,
    sent: Stream,
    /// The last command that the child was sent.
    last: u8,
    /// What the child takes itself to owe, as far as it cares.
    owes: VecDeque<(u8, Vec<u8>)>,
    /// What it has said, and how many final replies are to come whatever it cares.
    said: Stream,
    owed: i64,
}

impl Conn {
    fn new(peer: Peer, offer: Negotiation, fresh: bool) -> Self {
        Self {
            peer,
            acquiring: true,
            fresh,
            offer,
            terms: None,
            foreseen: None,
            kept: false,
            unproven: false,
            greeted: false,
            sent: Stream::default(),
            last: 0,
            owes: VecDeque::new(),
            said: Stream::default(),
            owed: 0,
        }
    }
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
    /// The MTA has sent HELO in this session; it has begun a message without.
    greeted: bool,
    nameless: bool,
    closed: bool,
    finished: bool,
    came: usize,
    /// Spill files, and what is done with them and not told yet.
    files: BTreeMap<u32, Vec<u8>>,
    spilled: VecDeque<Input>,
    more: More,
    crowd: Arc<Crowd>,
    /// Connections of which leave was taken and that are not over, with their children.
    leaving: Vec<(usize, Conn)>,
    released: BTreeSet<Peer>,
    /// A child that was told of, whose connection has to be closed next.
    unwell: Option<Peer>,
    recalled: VecDeque<Input>,
    queries: Vec<QueryId>,
    /// Since when an answer is owed to the MTA.
    owed_since: Option<Instant>,
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

/// The replies of a child that are not the last to a command.
const IN_BETWEEN: &[u8] = b"phimb+2-eq";

/// The longest time for an answer, with the time for which an MTA may be left unread before.
const ANSWER: Duration = Duration::from_secs(297 + 5);
/// How long what is queued may still be written.
const CLOSING: Duration = Duration::from_secs(7);
/// What is given after a pause of the process, and a little.
const SLACK: Duration = Duration::from_secs(2);

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
            kids.push(Kid { protocol, conn: None, kept_died: false, kept: Vec::new(), known: None });
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
        let mut children: Box<[ChildSettings]> = children.collect();
        let mut limits = Limits {
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
        let bits = script.byte();
        let more = if bits & 0x80 != 0 { More::of(&mut script) } else { More::default() };
        if more.has(REUSE) {
            let reuse = Some(Reuse { idle: Duration::from_secs(60), age: Duration::from_secs(600) });
            for child in &mut children {
                child.route = Arc::new(Route { reuse, ..(*child.route).clone() });
            }
        }
        if more.has(MESSAGE_TIME) {
            limits.message_time = Duration::from_secs(2);
        }
        let base = StaticPolicy { children, limits, fallback: Fallback::Accept };
        let crowd = Arc::new(Crowd { full: more.full, asked: AtomicU64::new(0), taken: Default::default() });
        let session = Session::new(Arc::new(Odd { base, bits, more }), Environment::default());
        let session = if more.has(RESERVE) { session.with_reserve(crowd.clone()) } else { session };
        Self {
            script,
            session,
            now: Instant::from_nanos(1_000_000_000),
            waits: None,
            kids,
            asked: VecDeque::new(),
            mta_sent: Stream::default(),
            mta_got: Stream::default(),
            protocol: None,
            stage: 0,
            honest: true,
            greeted: false,
            nameless: false,
            closed: false,
            finished: false,
            came: 0,
            files: BTreeMap::new(),
            spilled: VecDeque::new(),
            more,
            crowd,
            leaving: Vec::new(),
            released: BTreeSet::new(),
            unwell: None,
            recalled: VecDeque::new(),
            queries: Vec::new(),
            owed_since: None,
        }
    }

    fn step(&mut self) {
        match self.script.below(if self.more.on { 32 } else { 20 }) {
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
                if let Some(conn) = self.kids.get_mut(kid).and_then(|kid| kid.conn.as_mut())
                    && !IN_BETWEEN.contains(&letter)
                {
                    conn.owes.pop_front();
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
                if let Some(conn) = self.kids.get_mut(kid).and_then(|kid| kid.conn.take()) {
                    self.hang_up(kid, &conn);
                }
            }
            20..=31 => self.step_of_more(),
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

    /// Closes a connection that was taken out of its place.
    fn hang_up(&mut self, kid: usize, conn: &Conn) {
        self.kids[kid].kept_died |= conn.unproven;
        let reset = Closure::Failed(IoError { kind: IoKind::Reset, code: 104 });
        let why = if self.script.below(2) == 0 { Closure::Eof } else { reset };
        self.handle(Input::Closed { peer: conn.peer, why });
    }

    /// What the first scripts did not know.
    fn step_of_more(&mut self) {
        let (what, kid) = (self.script.below(12), self.script.below(3));
        match what {
            // The rest of a message, with more of it than an ordinary one has.
            0 => {
                for _ in 0..12 {
                    let before = self.stage;
                    self.honest_command();
                    if matches!(DIALOGUE[before].0, b'L' | b'B') && self.stage == before + 1 {
                        (0..self.script.below(7)).for_each(|_| {
                            self.stage = before;
                            self.honest_command();
                        });
                    }
                }
            }
            // Children answer all that they owe, and perhaps more.
            1 | 2 => {
                self.write_all();
                for _ in 0..16 {
                    (0..3).for_each(|kid| self.usual_reply(kid));
                    (0..self.leaving.len()).for_each(|place| self.reply_leaving(place));
                }
                if kid == 2 {
                    self.child(0, &encode(b'c', b""));
                }
            }
            // A verdict on the oldest of many.
            3 => {
                let letter = b"arstds"[self.script.below(6)];
                if let Some(conn) = self.kids.get_mut(kid).and_then(|kid| kid.conn.as_mut()) {
                    conn.owes.pop_front();
                }
                self.child(kid, &encode(letter, b""));
            }
            4 | 5 => self.connect_one(kid),
            // Another session of the same MTA.
            6 => {
                if self.honest
                    && !self.is_owed()
                    && self.protocol.is_some()
                    && self.session.wants_input(Peer::MTA)
                {
                    self.stage = 1;
                    self.mta(&encode(b'K', b""));
                }
            }
            7 => {
                let place = self.script.below(3);
                if self.script.below(4) != 0 {
                    self.reply_leaving(place);
                } else if place < self.leaving.len() {
                    let (kid, conn) = self.leaving.remove(place);
                    self.hang_up(kid, &conn);
                }
            }
            // Whatever a child may say while leave is taken.
            8 => {
                let (place, n) = (self.script.below(3), self.script.below(16));
                let bytes = match n {
                    15 => encode(b'c', b""),
                    14 => encode(b'r', b""),
                    _ => self.script.take(n),
                };
                if place < self.leaving.len() {
                    let (kid, mut conn) = self.leaving.remove(place);
                    let data = self.say(&mut conn, &bytes);
                    self.leaving.insert(place, (kid, conn));
                    data.into_iter().for_each(|input| self.handle(input));
                }
            }
            9 => {
                let found = Answer::Found(vec!["192.0.2.1".into()]);
                let answer = [found, Answer::Nothing, Answer::Failed][self.script.below(3)].clone();
                let query = match self.script.below(4) {
                    // One that was never asked, or is over.
                    3 => QueryId(self.script.byte().into()),
                    _ if self.queries.is_empty() => return,
                    n => self.queries.remove(n % self.queries.len()),
                };
                self.handle(Input::Answered { query, answer });
            }
            // Late words from a connection that is somebody else's now.
            10 => {
                let Some(peer) = self.released.iter().nth(kid).copied() else { return };
                self.handle(Input::Received { peer, data: BytesMut::from(&b"stray"[..]) });
                self.handle(Input::Closed { peer, why: Closure::Eof });
            }
            _ => {
                if let Some(at) = self.waits {
                    self.now = self.now.max(at);
                }
                self.handle(Input::Tick);
            }
        }
    }

    /// One connection that was asked for is there, fresh or kept, or cannot be had for one reason or another.
    fn connect_one(&mut self, index: usize) {
        let what = self.script.below(10);
        let since = self.now;
        let Some(kid) = self.kids.get_mut(index) else { return };
        let Some(conn) = kid.conn.as_mut().filter(|conn| conn.acquiring) else { return };
        let peer = conn.peer;
        let error = |kind| IoError { kind, code: 1 };
        let why = match what {
            0 => Refusal::Down { error: error(IoKind::Refused), since },
            1 => Refusal::Full,
            2 => Refusal::Failed(error(IoKind::Exhausted)),
            _ => {
                conn.acquiring = false;
                let mut negotiated = None;
                if what > 5 && !conn.fresh && self.more.has(REUSE) {
                    let place = kid.kept.iter().rposition(|(offer, _)| *offer == conn.offer);
                    let kept = place.map(|place| kid.kept.remove(place).1);
                    negotiated = Some(kept.unwrap_or_else(|| agreed(&conn.offer, kid.protocol)));
                    conn.terms.clone_from(&negotiated);
                    kid.known.clone_from(&negotiated);
                    (conn.kept, conn.unproven) = (true, true);
                }
                return self.handle(Input::Ready { peer, negotiated: negotiated.map(Box::new) });
            }
        };
        kid.conn = None;
        self.handle(Input::Refused { peer, why });
    }

    /// The child answers the last command on a connection of which leave was taken.
    fn reply_leaving(&mut self, place: usize) {
        if place >= self.leaving.len() {
            return;
        }
        self.write_leaving(place);
        let Some((_, conn)) = self.leaving.get_mut(place) else { return };
        if conn.owes.pop_front().is_some() {
            let (kid, mut conn) = self.leaving.remove(place);
            let data = self.say(&mut conn, &encode(b'c', b""));
            self.leaving.insert(place, (kid, conn));
            data.into_iter().for_each(|input| self.handle(input));
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
            self.greeted = letter == b'H' || self.greeted && letter != b'K';
            self.nameless |= letter == b'M' && !self.greeted;
        }
        if self.is_owed() {
            self.owed_since.get_or_insert(self.now);
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
        let Some(mut conn) = self.kids.get_mut(kid).and_then(|kid| kid.conn.take_if(|conn| !conn.acquiring))
        else {
            return;
        };
        let input = self.say(&mut conn, bytes);
        self.kids[kid].conn = Some(conn);
        input.into_iter().for_each(|input| self.handle(input));
    }

    /// What a child says on a connection, if it is read.
    fn say(&mut self, conn: &mut Conn, bytes: &[u8]) -> Option<Input> {
        if !self.session.wants_input(conn.peer) {
            return None;
        }
        self.came += bytes.len();
        conn.said.push(bytes);
        while let Some((letter, _)) = conn.said.cut() {
            conn.owed -= i64::from(!IN_BETWEEN.contains(&letter));
            conn.unproven = false;
        }
        Some(Input::Received { peer: conn.peer, data: BytesMut::from(bytes) })
    }

    /// What an ordinary milter replies to the oldest command.
    fn usual_reply(&mut self, index: usize) {
        let Some(kid) = self.kids.get_mut(index) else { return };
        let Some(conn) = &mut kid.conn else { return };
        let Some((letter, offer)) = conn.owes.pop_front() else { return };
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
            let Some(conn) = kid.conn.as_mut().filter(|conn| conn.acquiring) else { continue };
            let peer = conn.peer;
            conn.acquiring = false;
            if refused {
                kid.conn = None;
                let error = IoError { kind: IoKind::Refused, code: 111 };
                self.handle(Input::Refused { peer, why: Refusal::Failed(error) });
            } else {
                self.handle(Input::Ready { peer, negotiated: None });
            }
        }
    }

    fn handle(&mut self, input: Input) {
        self.session.handle(self.now, input);
        self.drain();
        // Before anything else happens.
        while let Some(remembered) = self.recalled.pop_front() {
            self.session.handle(self.now, remembered);
            self.drain();
        }
    }

    fn drain(&mut self) {
        for _ in 0..10_000 {
            let output = self.session.poll_output();
            if let Some(peer) = named(&output) {
                assert!(!self.released.contains(&peer), "{output:?} of a connection that was given back");
            }
            match output {
                Output::Wait(at) => {
                    self.waits = at;
                    assert_eq!(self.unwell, None, "a child that is unwell stays connected");
                    return self.check_bounds();
                }
                Output::Finished => {
                    self.finished = true;
                    return;
                }
                Output::Recall { peer, offer, .. } => self.recall(peer, &offer),
                Output::Acquire { peer, offer, fresh, .. } => self.acquire(peer, offer, fresh),
                Output::Learned { peer, negotiated } => {
                    let conn = self.conn(peer).expect("a child on no connection is learned of");
                    assert!(conn.terms.is_none(), "learned twice");
                    conn.terms = Some((*negotiated).clone());
                    let index = usize::from(peer.child_index().expect("the MTA is learned of").0);
                    self.kids[index].known = Some(*negotiated);
                }
                Output::Unwell { peer, .. } => {
                    let silent = |conn: &mut Conn| conn.terms.is_none() || conn.unproven;
                    assert!(self.conn(peer).is_some_and(silent), "nothing ails it");
                    self.unwell = Some(peer);
                }
                Output::Release { peer, negotiated } => self.release(peer, *negotiated),
                Output::LookUp { query, .. } => {
                    assert!(!self.queries.contains(&query), "two look-ups of one number");
                    self.queries.push(query);
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
                    self.unwell.take_if(|unwell| *unwell == peer);
                    if let Some((kid, conn)) = self.forget(peer) {
                        self.kids[kid].kept_died |= conn.kept && !conn.greeted;
                    }
                }
                Output::Event(_) => {}
            }
        }
        panic!("the session never comes to rest");
    }

    /// The connection of this name.
    fn conn(&mut self, peer: Peer) -> Option<&mut Conn> {
        let leaving = self.leaving.iter_mut().map(|(_, conn)| conn);
        let present = self.kids.iter_mut().filter_map(|kid| kid.conn.as_mut());
        present.chain(leaving).find(|conn| conn.peer == peer)
    }

    fn forget(&mut self, peer: Peer) -> Option<(usize, Conn)> {
        for (index, kid) in self.kids.iter_mut().enumerate() {
            if let Some(conn) = kid.conn.take_if(|conn| conn.peer == peer) {
                return Some((index, conn));
            }
        }
        let place = self.leaving.iter().position(|(_, conn)| conn.peer == peer)?;
        Some(self.leaving.remove(place))
    }

    /// What a child is remembered to have said: nothing, the truth, or something that it will not repeat.
    fn recall(&mut self, peer: Peer, offer: &Negotiation) {
        let index = usize::from(peer.child_index().expect("the MTA is not asked for").0);
        let mut truth = agreed(offer, self.kids[index].protocol);
        let negotiated = match self.script.below(5) {
            0 => None,
            4 => {
                truth.protocol = Protocol(truth.protocol.0 ^ u32::from(self.script.byte()) << 12);
                Some(truth)
            }
            _ => Some(truth),
        };
        self.kids[index].known.clone_from(&negotiated);
        self.recalled.push_back(Input::Remembered { peer, negotiated: negotiated.map(Box::new) });
    }

    fn acquire(&mut self, peer: Peer, offer: Negotiation, fresh: bool) {
        let index = usize::from(peer.child_index().expect("the MTA is not asked for").0);
        if let Some(before) = self.kids[index].conn.take() {
            let left = b"KQ".contains(&self.last_command(&before));
            assert!(left, "a second connection of one child is asked for");
            self.leaving.push((index, before));
        }
        let kid = &mut self.kids[index];
        let wanted = kid.kept_died || self.nameless;
        assert!(!fresh || wanted, "a fresh connection is asked for, and no kept one has died");
        kid.kept_died = false;
        let foreseen = kid.known.clone();
        kid.conn = Some(Conn { foreseen, ..Conn::new(peer, offer, fresh) });
    }

    /// The last command that a child has been sent, or will be.
    fn last_command(&self, conn: &Conn) -> u8 {
        let mut slices: [&[u8]; 512] = [&[]; 512];
        let filled = self.session.transmit(conn.peer, &mut slices);
        let mut stream = Stream([&conn.sent.0[..], &slices[..filled].concat()].concat());
        let mut last = conn.last;
        while let Some((letter, _)) = stream.cut() {
            last = letter;
        }
        last
    }

    fn release(&mut self, peer: Peer, negotiated: Negotiation) {
        let (index, conn) = self.forget(peer).expect("a connection that is not there is given back");
        assert!(!conn.acquiring && self.more.has(REUSE), "given back without having been had");
        assert_eq!(conn.terms.as_ref(), Some(&negotiated));
        assert_eq!((conn.last, conn.sent.0.len()), (b'K', 0), "given back before leave was taken");
        assert_eq!((conn.owed, conn.said.0.len()), (0, 0), "given back while a reply is owed or half read");
        self.released.insert(peer);
        self.kids[index].kept.push((conn.offer, negotiated));
    }

    fn check_bounds(&self) {
        for peer in &self.released {
            let mut slices: [&[u8]; 1] = [&[]];
            assert_eq!(self.session.transmit(*peer, &mut slices), 0, "sent after it was given back");
            assert!(!self.session.wants_input(*peer), "read after it was given back");
        }
        let children = self.kids.iter().filter_map(|kid| kid.conn.as_ref());
        let children = children.chain(self.leaving.iter().map(|(_, conn)| conn)).map(|conn| conn.peer);
        for peer in std::iter::once(Peer::MTA).chain(children) {
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
            Some(kid) => match self.kids.get(kid).and_then(|kid| kid.conn.as_ref()) {
                Some(Conn { peer, acquiring: false, .. }) => *peer,
                _ => return,
            },
        };
        let Some(bytes) = self.transmitted(peer, n) else { return };
        match slot.checked_sub(1) {
            None => {
                self.mta_got.push(&bytes);
                while let Some((letter, payload)) = self.mta_got.cut() {
                    self.answered(letter, &payload);
                }
            }
            Some(kid) => {
                let kid = &mut self.kids[kid];
                if let Some(conn) = &mut kid.conn {
                    conn.take(&bytes, kid.protocol);
                }
            }
        }
        self.drain();
    }

    fn write_leaving(&mut self, place: usize) {
        let Some((kid, conn)) = self.leaving.get(place) else { return };
        let protocol = self.kids[*kid].protocol;
        let Some(bytes) = self.transmitted(conn.peer, usize::MAX) else { return };
        self.leaving[place].1.take(&bytes, protocol);
        self.drain();
    }

    /// Takes at most `n` bytes for a peer.
    fn transmitted(&mut self, peer: Peer, n: usize) -> Option<Vec<u8>> {
        let mut slices: [&[u8]; 64] = [&[]; 64];
        let filled = self.session.transmit(peer, &mut slices);
        let mut bytes = slices[..filled].concat();
        bytes.truncate(n);
        if bytes.is_empty() {
            return None;
        }
        self.session.handle(self.now, Input::Wrote { peer, n: bytes.len() });
        Some(bytes)
    }

    fn write_all(&mut self) {
        for slot in 0..=self.kids.len() {
            self.write(slot, usize::MAX);
        }
        for place in (0..self.leaving.len()).rev() {
            self.write_leaving(place);
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
        if !IN_BETWEEN.contains(&letter) {
            self.asked.pop_front();
            if !self.is_owed() {
                self.owed_since = None;
            }
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

    /// An MTA that has kept to the protocol gets what it is owed, however long its children are silent. Then it closes.
    fn end(mut self) {
        let late = self.owed_since.map_or(self.now, |since| self.now.max(since + ANSWER)) + SLACK;
        self.pass(300, |world| {
            world.write_all();
            world.closed || !world.honest || !world.is_owed()
        });
        assert!(self.now <= late || !self.is_owed(), "an answer came too late");
        // Some children go on reading and answering, others do not.
        let listens = self.came.is_multiple_of(2);
        let late = self.now + CLOSING + SLACK;
        if !self.closed {
            self.closed = true;
            self.handle(Input::Closed { peer: Peer::MTA, why: Closure::Eof });
        }
        self.pass(100, |world| {
            if listens {
                world.write_all();
                (0..world.leaving.len()).rev().for_each(|place| world.reply_leaving(place));
                (0..3).for_each(|kid| world.usual_reply(kid));
            }
            false
        });
        assert!(self.finished && self.now <= late, "the session outlives its MTA");
        drop(self.session);
        let left = self.crowd.taken.each_ref().map(|taken| taken.load(Ordering::Relaxed));
        assert_eq!(left, [0, 0], "something of what all share is kept for ever");
    }

    /// Lets time pass from one deadline to the next, for a bounded number of them.
    fn pass(&mut self, rounds: usize, mut until: impl FnMut(&mut Self) -> bool) {
        for _ in 0..rounds {
            if self.finished || until(self) {
                return;
            }
            if let Some(at) = self.waits {
                self.now = self.now.max(at);
            }
            self.handle(Input::Tick);
        }
        panic!("something is due and never done: {:?} is owed", self.asked);
    }
}

impl Conn {
    /// The child is sent something.
    fn take(&mut self, bytes: &[u8], protocol: u32) {
        let agreed = self.terms.as_ref().or(self.foreseen.as_ref()).map_or(0, |terms| terms.protocol.0);
        self.sent.push(bytes);
        while let Some((letter, payload)) = self.sent.cut() {
            assert!(b"OCHMRTULNBEDAQK".contains(&letter), "a child is sent {letter:#x}");
            self.last = letter;
            self.greeted |= letter == b'H';
            let Some(bit) = silence(letter) else { continue };
            self.owed += i64::from(letter == b'O' || bit & agreed == 0);
            if letter == b'O' || bit & protocol == 0 {
                self.owes.push_back((letter, payload));
            }
        }
    }
}

/// What a child that wants this answers to an offer.
fn agreed(offer: &Negotiation, protocol: u32) -> Negotiation {
    Negotiation { protocol: Protocol(offer.protocol.0 & protocol), macro_lists: Vec::new(), ..*offer }
}

/// The child's connection that an output is about, where it is there already.
fn named(output: &Output) -> Option<Peer> {
    match output {
        Output::Recall { peer, .. }
        | Output::Acquire { peer, .. }
        | Output::Learned { peer, .. }
        | Output::Unwell { peer, .. }
        | Output::Release { peer, .. }
        | Output::Close { peer, .. } => Some(*peer),
        _ => None,
    }
}
