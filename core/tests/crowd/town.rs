//! Everything around the event loops: the clock, chance, what is going to happen, and the children with their connections.

use std::collections::BTreeMap;

use millstream_core::machine::{Closure, IoError, IoKind};
use millstream_core::pool::Address;
use millstream_core::time::Instant;

use crate::coverage::Coverage;
use crate::frames::{cut, encode};
use crate::ledger::Ledger;
use crate::mail::Text;
use crate::milter::Milter;
use crate::plan::{MS, Mode, Plan, SECOND};
use crate::rng::Rng;

/// What is going to happen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Do {
    Arrive(usize),
    /// An event loop has its turn.
    Turn(usize),
    /// The MTA of a session of a loop does something.
    Mta(usize, u32, u32),
    Change(usize),
    /// The kernel is done with connecting.
    Connected(usize),
    Child(usize),
    /// A connection that is kept ends, or the child says something on it.
    Spoil(usize, bool),
    Reload,
    Stop,
}

/// Whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Session(usize, u32),
    Kept(usize),
    Nobody,
}

/// What a connection does to its session by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    Close,
    Reset,
    Mute,
    Garbage,
}

/// A connection to a child.
pub(crate) struct Connection {
    pub(crate) server: usize,
    pub(crate) owner: Owner,
    /// Whether the kernel still connects, and what has come of it.
    pub(crate) outcome: Option<Result<(), IoError>>,
    pub(crate) milter: Milter,
    pub(crate) to_us: Text,
    to_child: Text,
    /// Its answer to the offer was read, and how much of `to_child` was sent before.
    pub(crate) heard: bool,
    early: usize,
    /// What is read behind `to_us`.
    pub(crate) end: Option<Closure>,
    /// We have closed it.
    pub(crate) closed: bool,
    /// The child reads no more; it has not read in time; it has ended it, or has sent nonsense.
    mute: bool,
    pub(crate) stood: bool,
    pub(crate) ended: bool,
    pub(crate) garbage: bool,
    acts: bool,
    breaks: Option<(usize, Break)>,
    frames: usize,
}

impl Connection {
    /// There is something to read, or its end.
    pub(crate) const fn is_noisy(&self) -> bool {
        !self.to_us.is_empty() || self.end.is_some()
    }
}

pub(crate) struct Server {
    pub(crate) mode: Mode,
    pub(crate) terms: usize,
}

pub(crate) struct Town {
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) plan: Plan,
    pub(crate) servers: Vec<Server>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) ledger: Ledger,
    pub(crate) coverage: Coverage,
    /// Kept connections that have something to say, by loop.
    pub(crate) disturbed: Vec<Vec<usize>>,
    /// Sessions with something to do, by loop.
    pub(crate) noted: Vec<Vec<u32>>,
    turns: Vec<Option<u64>>,
    agenda: BTreeMap<(u64, u64), Do>,
    number: u64,
    pub(crate) log: Option<Vec<String>>,
}

impl Town {
    pub(crate) fn new(mut rng: Rng, with_log: bool) -> Self {
        let plan = Plan::new(&mut rng);
        let servers = plan.servers.iter().map(|_| Server { mode: Mode::Up, terms: 0 }).collect();
        let mut town = Self {
            now: SECOND,
            rng,
            servers,
            connections: Vec::new(),
            ledger: Ledger::default(),
            coverage: Coverage::default(),
            disturbed: vec![Vec::new(); plan.loops],
            noted: vec![Vec::new(); plan.loops],
            turns: vec![None; plan.loops],
            agenda: BTreeMap::new(),
            number: 0,
            log: with_log.then(Vec::new),
            plan,
        };
        let arrivals: Vec<u64> = town.plan.sessions.iter().map(|session| session.at).collect();
        for (number, at) in arrivals.into_iter().enumerate() {
            town.at(SECOND + at, Do::Arrive(number));
        }
        let changes: Vec<u64> = town.plan.changes.iter().map(|change| change.at).collect();
        for (number, at) in changes.into_iter().enumerate() {
            town.at(SECOND + at, Do::Change(number));
        }
        for at in town.plan.reloads.clone() {
            town.at(SECOND + at, Do::Reload);
        }
        if let Some(at) = town.plan.stop {
            town.at(SECOND + at, Do::Stop);
        }
        town
    }

    pub(crate) fn instant(&self) -> Instant {
        Instant::from_nanos(self.now)
    }

    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(log) = &mut self.log {
            log.push(format!("{:>12.3} {}", now as f64 / MS as f64, text()));
        }
    }

    pub(crate) fn at(&mut self, at: u64, what: Do) {
        self.number += 1;
        self.agenda.insert((at, self.number), what);
    }

    /// The next thing that happens, until `end`. A turn that was put earlier is none any more.
    pub(crate) fn next(&mut self, end: u64) -> Option<Do> {
        loop {
            let (&(at, number), _) = self.agenda.first_key_value()?;
            if at > end {
                return None;
            }
            let what = self.agenda.remove(&(at, number))?;
            if let Do::Turn(event_loop) = what {
                if self.turns[event_loop] != Some(at) {
                    continue;
                }
                self.turns[event_loop] = None;
            }
            self.now = at;
            return Some(what);
        }
    }

    /// A loop has something to do: it has its turn soon, mostly.
    pub(crate) fn call(&mut self, event_loop: usize) {
        let lag = match self.rng.below(100) {
            0 => self.rng.below(40 * MS),
            1..=20 => self.rng.below(2 * MS),
            _ => self.rng.below(MS / 10),
        };
        self.turn_at(event_loop, self.now + lag);
    }

    pub(crate) fn turn_at(&mut self, event_loop: usize, at: u64) {
        if self.turns[event_loop].is_none_or(|known| at < known) {
            self.turns[event_loop] = Some(at);
            self.at(at, Do::Turn(event_loop));
        }
    }

    /// Somebody has to look at a connection.
    fn tell(&mut self, id: usize) {
        match self.connections[id].owner {
            Owner::Session(event_loop, index) => {
                self.noted[event_loop].push(index);
                self.call(event_loop);
            }
            Owner::Kept(event_loop) => {
                self.disturbed[event_loop].push(id);
                self.call(event_loop);
            }
            Owner::Nobody => {}
        }
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        let now = self.now - SECOND;
        self.plan.exhausted.iter().any(|(from, to)| (*from..*to).contains(&now))
    }

    /// The process that listens at an address.
    pub(crate) fn server_at(&self, child: usize, address: &Address) -> usize {
        let found = self.plan.servers.iter().position(|it| it.child == child && it.address == *address);
        found.expect("an address that nobody has configured")
    }

    /// Begins a connection. `None` in its outcome: the kernel is at it.
    pub(crate) fn connect(&mut self, server: usize, owner: Owner) -> Result<usize, IoError> {
        if self.is_exhausted() {
            return Err(IoError { kind: IoKind::Exhausted, code: 24 });
        }
        let slow = self.plan.servers[server].slow;
        let mode = self.servers[server].mode;
        let at_once = !slow || self.rng.chance(30);
        let pends = mode == Mode::Hangs || !at_once;
        if !pends && let Some(error) = failure(mode) {
            return Err(error);
        }
        let child = self.plan.servers[server].child;
        let plan = &self.plan.children[child];
        let terms = plan.terms[self.servers[server].terms];
        let breaks = self.rng.chance(self.plan.breaks).then(|| {
            let how = *self.rng.pick(&[Break::Close, Break::Reset, Break::Mute, Break::Garbage]);
            let frames = if self.rng.chance(60) { 0 } else { self.rng.below(15) };
            (frames as usize, how)
        });
        let id = self.connections.len();
        self.connections.push(Connection {
            server,
            owner,
            outcome: (!pends).then_some(Ok(())),
            milter: Milter::new(child, terms, self.plan.children[child].pipelining),
            to_us: Vec::new(),
            to_child: Vec::new(),
            heard: false,
            early: 0,
            end: None,
            closed: false,
            mute: false,
            stood: false,
            ended: false,
            garbage: false,
            acts: false,
            breaks,
            frames: 0,
        });
        if pends && mode != Mode::Hangs {
            let after = if self.rng.chance(80) { self.rng.below(5 * MS) } else { self.rng.below(1000 * MS) };
            self.at(self.now + after, Do::Connected(id));
        }
        Ok(id)
    }

    pub(crate) fn connected(&mut self, id: usize) {
        let server = self.connections[id].server;
        let mode = self.servers[server].mode;
        if self.connections[id].closed || self.connections[id].outcome.is_some() || mode == Mode::Hangs {
            return;
        }
        // What it negotiates is what it is now.
        let child = self.plan.servers[server].child;
        self.connections[id].milter.terms = self.plan.children[child].terms[self.servers[server].terms];
        self.connections[id].outcome = Some(failure(mode).map_or(Ok(()), Err));
        self.tell(id);
    }

    /// Bytes for a child. Returns how many the socket takes.
    pub(crate) fn write(&mut self, id: usize, bytes: &[u8]) -> usize {
        let n = match self.rng.below(20) {
            0 => self.rng.between(1, bytes.len() as u64) as usize,
            _ => bytes.len(),
        };
        let connection = &mut self.connections[id];
        connection.to_child.extend_from_slice(&bytes[..n]);
        connection.early += if connection.heard { 0 } else { n };
        self.set_off(id);
        n
    }

    fn set_off(&mut self, id: usize) {
        let connection = &mut self.connections[id];
        if connection.acts || connection.closed || connection.end.is_some() {
            return;
        }
        connection.acts = true;
        let slow = self.plan.children[self.plan.servers[connection.server].child].slow;
        let new = self.connections[id].frames == 0;
        let after = match self.rng.below(100) {
            n if n < slow => self.rng.below(400 * MS),
            n if new && n < 15 => self.rng.below(1500 * MS),
            0..=60 => 0,
            _ => self.rng.below(3 * MS),
        };
        self.at(self.now + after, Do::Child(id));
    }

    /// A child reads, and answers.
    pub(crate) fn child(&mut self, id: usize) {
        let server = self.connections[id].server;
        let mode = self.servers[server].mode;
        let connection = &mut self.connections[id];
        connection.acts = false;
        if connection.closed || connection.end.is_some() || connection.mute {
            return;
        }
        if mode == Mode::Mute {
            connection.mute |= !connection.to_child.is_empty();
            connection.stood |= connection.mute;
            return;
        }
        let whole = connection.to_child.len();
        let Some(frame) = cut(&mut connection.to_child) else { return };
        let early = connection.early > 0;
        connection.early = connection.early.saturating_sub(whole - connection.to_child.len());
        connection.frames += 1;
        let due = connection.breaks.filter(|(at, _)| connection.frames > *at);
        if let Some((_, how)) = due {
            return self.break_off(id, how);
        }
        let child = self.plan.servers[server].child;
        let replies = connection.milter.take(&frame, early);
        let parted = connection.milter.parted;
        let bytes: Text = replies.iter().flat_map(encode).collect();
        connection.to_us.extend_from_slice(&bytes);
        let more = !connection.to_child.is_empty();
        self.note(|| {
            let letters: String = replies.iter().map(|(letter, _)| char::from(*letter)).collect();
            format!("c{child} #{id} {} -> {letters}", show(&frame))
        });
        if !bytes.is_empty() {
            self.tell(id);
        }
        if frame.0 == b'K' && parted && self.rng.chance(self.plan.stale) {
            let after = *self.rng.pick(&[0, MS, 20 * MS, 300 * MS]);
            let says = self.rng.chance(30);
            self.at(self.now + after, Do::Spoil(id, says));
        }
        if frame.0 == b'Q' {
            return self.end(id, Closure::Eof, false);
        }
        if more {
            self.set_off(id);
        }
    }

    fn break_off(&mut self, id: usize, how: Break) {
        self.note(|| format!("#{id} breaks: {how:?}"));
        match how {
            Break::Close => self.end(id, Closure::Eof, true),
            Break::Reset => self.end(id, RESET, true),
            Break::Mute => (self.connections[id].mute, self.connections[id].stood) = (true, true),
            Break::Garbage => {
                self.connections[id].garbage = true;
                self.connections[id].to_us.extend_from_slice(&encode(&(b'!', Vec::new())));
                self.tell(id);
            }
        }
    }

    fn end(&mut self, id: usize, why: Closure, is_fault: bool) {
        let connection = &mut self.connections[id];
        if connection.end.is_none() && !connection.closed {
            connection.end = Some(why);
            connection.ended |= is_fault;
            self.tell(id);
        }
    }

    /// A child ends a connection that is kept, or says something on it; also one that has been given away meanwhile.
    pub(crate) fn spoil(&mut self, id: usize, says: bool) {
        let connection = &mut self.connections[id];
        if connection.closed || connection.end.is_some() {
            return;
        }
        self.note(|| format!("#{id} is spoiled: {}", if says { "it says something" } else { "it ends" }));
        if says && matches!(self.connections[id].owner, Owner::Kept(_)) {
            self.connections[id].to_us.extend_from_slice(&encode(&(b'c', Vec::new())));
            return self.tell(id);
        }
        self.end(id, Closure::Eof, true);
    }

    pub(crate) fn change(&mut self, number: usize) {
        let change = self.plan.changes[number];
        self.note(|| format!("{change:?}"));
        self.servers[change.server].mode = change.mode;
        self.servers[change.server].terms = change.terms;
        for id in 0..self.connections.len() {
            let connection = &self.connections[id];
            if connection.server != change.server || connection.closed {
                continue;
            }
            if change.kills && connection.outcome.is_some() {
                let why = if self.rng.chance(50) { Closure::Eof } else { RESET };
                self.end(id, why, true);
            } else if change.mode == Mode::Up {
                // Who stood still goes on.
                if self.connections[id].breaks.is_none_or(|(_, how)| how != Break::Mute) {
                    self.connections[id].mute = false;
                }
                self.set_off(id);
                self.at(self.now, Do::Connected(id));
            }
        }
    }

    /// We close a connection.
    pub(crate) fn close(&mut self, id: usize) {
        self.connections[id].closed = true;
        self.connections[id].owner = Owner::Nobody;
    }
}

const RESET: Closure = Closure::Failed(IoError { kind: IoKind::Reset, code: 104 });

/// What connecting comes to.
fn failure(mode: Mode) -> Option<IoError> {
    match mode {
        Mode::Up | Mode::Mute | Mode::Hangs => None,
        Mode::Refuses => Some(IoError { kind: IoKind::Refused, code: 111 }),
        Mode::Missing => Some(IoError { kind: IoKind::NotFound, code: 2 }),
        Mode::Busy => Some(IoError { kind: IoKind::Busy, code: 11 }),
    }
}

pub(crate) fn show((letter, payload): &(u8, Text)) -> String {
    let text: String = payload
        .iter()
        .map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' })
        .collect();
    format!("{} {text}", char::from(*letter))
}
