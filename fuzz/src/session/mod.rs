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

mod connection;
mod dialogue;
mod outputs;
mod peers;
mod policy;
mod steps;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream_core::chain::Session;
use millstream_core::machine::{Closure, Input, Machine, Peer, QueryId};
use millstream_core::policy::{
    ChildSettings, Endpoint, Environment, Fallback, Limits, Reuse, Route, StaticPolicy, Timeouts,
};
use millstream_core::time::Instant;

use super::script::Script;
use connection::{Conn, Kid, Stream};
use policy::{Crowd, MESSAGE_TIME, More, Odd, RESERVE, REUSE};

/// The longest time for an answer, with the time for which an MTA may be left unread before.
const ANSWER: Duration = Duration::from_secs(297 + 5);
/// How long what is queued may still be written.
const CLOSING: Duration = Duration::from_secs(7);
/// What is given after a pause of the process, and a little.
const SLACK: Duration = Duration::from_secs(2);

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

/// Plays a script.
pub(crate) fn session(data: &[u8]) {
    let mut world = World::new(Script::new(data));
    world.handle(Input::Tick);
    while !world.script.is_over() && !world.finished {
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

    fn handle(&mut self, input: Input) {
        self.session.handle(self.now, input);
        self.drain();
        // Before anything else happens.
        while let Some(remembered) = self.recalled.pop_front() {
            self.session.handle(self.now, remembered);
            self.drain();
        }
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
