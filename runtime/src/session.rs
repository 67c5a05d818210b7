//! One machine with its connections.

use millstream_core::machine::{Closure, Input, IoError, IoKind, Machine, Output, Peer};
use millstream_core::service::Service;
use millstream_core::time::Instant;

use crate::context::Context;
use crate::link::{Link, Phase};
use crate::mailbox::{self, Key};
use crate::poller::{Poller, Readiness};
use crate::wire::Wire;

/// How many inputs a session may have in a turn, before the other sessions of the loop have theirs: up to about
/// 1 MiB read, which takes well below a millisecond. Sessions that write together have a few turns in a pass.
const STEPS: u32 = 16;

/// How many inputs are left in a turn.
pub(crate) struct Budget(u32);

impl Budget {
    pub(crate) const fn spend(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0 == 0
    }
}

/// When a session writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writing {
    /// In its turn.
    Now,
    /// After the turns of all sessions, with them.
    Together,
}

/// What a session is after its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It waits for something.
    Idle,
    /// It has more to do at once.
    More,
    /// It may have something to write, and goes on when that is done.
    Writes,
    /// The machine is done and all connections are closed.
    Over,
}

/// One machine with its connections.
pub(crate) struct Session<S: Service, P: Poller> {
    pub(crate) key: Key,
    pub(crate) machine: S::Machine,
    /// The MTA first; a handful, so that looking for one is quick.
    pub(crate) links: Vec<Link<P>>,
    /// How many inputs the machine has had from which something to write may have come.
    pub(crate) inputs: u64,
    /// After how many of them it had nothing to write to anybody.
    pub(crate) silent_at: Option<u64>,
    /// When the machine wants to be called.
    wait: Option<Instant>,
    /// The alarm that is set in the loop's timers.
    pub(crate) alarm: Option<Instant>,
    /// It is in the loop's list of sessions with something to do.
    pub(crate) queued: bool,
    /// It is in the loop's list of sessions with something to write.
    pub(crate) writes: bool,
    finished: bool,
    spilled: bool,
}

impl<S: Service, P: Poller> Session<S, P> {
    /// A session for a connection that was accepted.
    pub(crate) fn new(key: Key, machine: S::Machine, wire: Wire<P>) -> Self {
        let links = vec![Link::new(Peer::MTA, Phase::Open, Some(wire))];
        Self {
            key,
            machine,
            links,
            inputs: 0,
            silent_at: None,
            wait: None,
            alarm: None,
            queued: false,
            writes: false,
            finished: false,
            spilled: false,
        }
    }

    /// Notes what the poller reported about a connection. The turn comes later.
    pub(crate) fn note(&mut self, peer: Peer, readiness: Readiness) {
        let links = self.links.iter_mut().filter(|link| link.peer == peer);
        for wire in links.filter_map(|link| link.wire.as_mut()) {
            wire.note(readiness);
        }
    }

    /// Has the MTA's connection tried, without a report, when nothing was said to anybody yet: nothing that anybody answers can
    /// be read before what is reported. Says whether it is to be tried.
    pub(crate) fn expect_greeting(&mut self) -> bool {
        let [link] = &mut self.links[..] else { return false };
        let is_silent = link.silent_at == Some(self.inputs) && self.inputs == 1;
        if let (true, Some(wire)) = (is_silent, &mut link.wire) {
            wire.note(Readiness { readable: true, ..Readiness::default() });
            return true;
        }
        false
    }

    /// Gives the machine something that did not come from its connections. One that is done wants nothing more.
    pub(crate) fn tell(&mut self, input: Input, cx: &mut Context<S, P>) {
        if !self.finished {
            self.input(input, cx);
        }
    }

    /// Gives the machine an input and does what it asks for.
    pub(crate) fn input(&mut self, input: Input, cx: &mut Context<S, P>) {
        self.machine.handle(cx.now, input);
        if self.drain(cx) || !self.machine.added_nothing() {
            self.inputs += 1;
        }
    }

    /// Connects, writes, reads and fires timers until nothing is left to do, others have to have their turn, or there is something
    /// to write together with theirs.
    pub(crate) fn turn(&mut self, mut writing: Writing, cx: &mut Context<S, P>) -> Turn {
        let mut budget = Budget(STEPS);
        let mut knows_all = !P::LAGS;
        loop {
            let mut progress = self.advance(cx, &mut budget);
            match writing {
                Writing::Now => progress |= self.write_links(cx, &mut budget),
                Writing::Together if self.may_write() => return Turn::Writes,
                Writing::Together => {}
            }
            progress |= self.read_links(writing, cx, &mut budget);
            if self.finished && self.links.is_empty() {
                return Turn::Over;
            }
            if !progress {
                // Timers come last: a reply that is here already must not time out.
                if self.wait.is_none_or(|at| at > cx.now) {
                    return Turn::Idle;
                }
                if !std::mem::replace(&mut knows_all, true) {
                    self.look_again();
                    // The next turn would look again.
                    writing = Writing::Now;
                    continue;
                }
                budget.spend();
                self.input(Input::Tick, cx);
            }
            if budget.is_empty() {
                return Turn::More;
            }
        }
    }

    /// Reports may be on their way: each connection is tried as if one had come.
    fn look_again(&mut self) {
        for wire in self.links.iter_mut().filter_map(|link| link.wire.as_mut()) {
            wire.note(Readiness { readable: true, writable: true, ..Readiness::default() });
        }
    }

    /// When the session must be called although nothing has happened.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.links.iter().filter_map(Link::deadline).chain(self.wait).min()
    }

    /// Closes everything that is left.
    pub(crate) fn close_all(&mut self, cx: &mut Context<S, P>) {
        while !self.links.is_empty() {
            self.remove(self.links.len() - 1, cx);
        }
        if self.spilled {
            cx.spill.forget(self.key.id);
        }
    }

    /// Ends a connection that the machine still has and tells it why.
    pub(crate) fn closed(&mut self, at: usize, why: Closure, cx: &mut Context<S, P>) {
        let peer = self.links[at].peer;
        if peer != Peer::MTA {
            let error = match why {
                Closure::Eof => IoError { kind: IoKind::Reset, code: 0 },
                Closure::Failed(error) => error,
            };
            cx.pool.lost(cx.now, self.ticket(peer), error);
        }
        self.remove(at, cx);
        self.input(Input::Closed { peer, why }, cx);
    }

    /// The place of a connection that the machine has and has not closed.
    pub(crate) fn find_open(&self, peer: Peer) -> Option<usize> {
        self.links.iter().position(|link| link.peer == peer && matches!(link.phase, Phase::Open))
    }

    /// Closes a connection without a word to the machine.
    pub(crate) fn remove(&mut self, at: usize, cx: &mut Context<S, P>) {
        let link = self.links.remove(at);
        if let Some(wire) = link.wire {
            wire.close(cx);
        }
        if link.peer != Peer::MTA {
            cx.pool.over(cx.now, self.ticket(link.peer));
        }
    }

    /// Moves connections on that are not open: being connected, to be told about, or out of time.
    fn advance(&mut self, cx: &mut Context<S, P>, budget: &mut Budget) -> bool {
        let mut progress = false;
        let mut at = 0;
        // What is acquired meanwhile waits for the next round, behind writing and reading.
        for _ in 0..self.links.len() {
            let Some(link) = self.links.get_mut(at) else { break };
            let peer = link.peer;
            match link.phase {
                Phase::Open => at += 1,
                Phase::Flushing(by) => {
                    if by <= cx.now {
                        self.remove(at, cx);
                    } else {
                        at += 1;
                    }
                }
                Phase::Asked => at += 1,
                Phase::Connecting => {
                    self.advance_connect(at, cx);
                    // The machine is told in the next round.
                    progress |= matches!(self.links[at].phase, Phase::Connected(_) | Phase::Refused(_));
                    at += 1;
                }
                Phase::Connected(ref mut negotiated) => {
                    progress = true;
                    budget.spend();
                    let negotiated = negotiated.take();
                    link.phase = Phase::Open;
                    self.input(Input::Ready { peer, negotiated }, cx);
                }
                Phase::Refused(why) => {
                    progress = true;
                    budget.spend();
                    self.remove(at, cx);
                    self.input(Input::Refused { peer, why }, cx);
                }
            }
        }
        progress
    }

    /// Reads once from each link and, where it writes now, writes what comes of it.
    fn read_links(&mut self, writing: Writing, cx: &mut Context<S, P>, budget: &mut Budget) -> bool {
        let mut progress = false;
        let mut at = 0;
        while at < self.links.len() && !budget.is_empty() {
            if self.read_link(at, cx) {
                progress = true;
                budget.spend();
                if writing == Writing::Now {
                    self.write_links(cx, budget);
                }
            }
            at += 1;
        }
        progress
    }

    /// Does what the machine asks for, until it waits. Says whether there was anything.
    fn drain(&mut self, cx: &mut Context<S, P>) -> bool {
        let mut any = false;
        loop {
            match self.machine.poll_output() {
                Output::Recall { peer, route, offer } => {
                    let negotiated = cx.pool.recall(&route, &offer).map(Box::new);
                    self.machine.handle(cx.now, Input::Remembered { peer, negotiated });
                }
                Output::Acquire { peer, route, offer, fresh } => self.acquire(peer, route, offer, fresh, cx),
                Output::Learned { peer, negotiated } => {
                    cx.pool.learned(cx.now, self.ticket(peer), *negotiated);
                    self.obey_pool(cx);
                }
                Output::Unwell { peer, error } => {
                    cx.pool.unwell(cx.now, self.ticket(peer), error);
                    self.obey_pool(cx);
                }
                Output::Release { peer, negotiated, .. } => self.release(peer, negotiated, cx),
                Output::Close { peer, flush_by } => self.close(peer, flush_by, cx),
                Output::LookUp { query, question } => {
                    let reply = mailbox::reply(&cx.mailbox, self.key, query);
                    cx.service.look_up(question, reply);
                }
                Output::SpillAppend { file, data } => {
                    self.spilled = true;
                    cx.spill.append(self.key, file, data, &cx.mailbox);
                }
                Output::SpillRead { file, offset, length } => {
                    cx.spill.read(self.key, file, offset, length, &cx.mailbox);
                }
                Output::SpillDrop { file } => cx.spill.discard(self.key, file),
                Output::Event(event) => cx.service.event(self.key.id, event),
                Output::Finished => {
                    self.finish(cx);
                    return true;
                }
                Output::Wait(at) => {
                    self.wait = at;
                    return any;
                }
            }
            any = true;
        }
    }

    /// The machine closes a connection, or gives up one that it waits for.
    pub(crate) fn close(&mut self, peer: Peer, flush_by: Option<Instant>, cx: &mut Context<S, P>) {
        let mut at = self.links.len();
        while at > 0 {
            at -= 1;
            let link = &mut self.links[at];
            if link.peer != peer {
                continue;
            }
            match (&link.phase, flush_by) {
                (Phase::Open | Phase::Flushing(_), Some(by)) => link.phase = Phase::Flushing(by),
                _ => self.remove(at, cx),
            }
        }
    }

    /// The machine is done: only what it wanted flushed is left.
    fn finish(&mut self, cx: &mut Context<S, P>) {
        self.finished = true;
        self.wait = None;
        let mut at = self.links.len();
        while at > 0 {
            at -= 1;
            if !matches!(self.links[at].phase, Phase::Flushing(_)) {
                self.remove(at, cx);
            }
        }
    }
}
