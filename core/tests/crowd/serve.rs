//! A session with its connections: what `runtime-std` does with one (`session.rs`, `connect.rs`, `read.rs`, `write.rs`).

use std::sync::Arc;

use bytes::BytesMut;
use millstream_core::chain::Session;
use millstream_core::event::{Event, Failure};
use millstream_core::machine::{
    Closure, Input, IoError, IoKind, Machine, Output, Peer, Refusal, TRANSMIT_SLICES,
};
use millstream_core::policy::{Environment, Policy};
use millstream_core::pool::{Action, Ticket};
use millstream_core::time::Instant;
use millstream_core::wire::Negotiation;

use crate::event_loop::Context;
use crate::judge::Record;
use crate::mta::Mta;
use crate::town::{Owner, Town};

/// How far a connection is.
#[derive(Debug)]
enum Phase {
    Asked,
    Connecting,
    Connected(Option<Box<Negotiation>>),
    Refused(Refusal),
    Open,
    Flushing(Instant),
}

struct Link {
    peer: Peer,
    phase: Phase,
    connection: Option<usize>,
    since: u64,
}

/// How many inputs a session may have before the others have their turn.
const STEPS: u32 = 16;

pub(crate) struct Served {
    pub(crate) index: u32,
    own: usize,
    machine: Session,
    policy: Arc<dyn Policy>,
    pub(crate) mta: Mta,
    pub(crate) record: Record,
    mta_flush: Option<Instant>,
    mta_open: bool,
    links: Vec<Link>,
    wait: Option<Instant>,
    finished: bool,
}

impl Served {
    pub(crate) fn new(index: u32, own: usize, policy: Arc<dyn Policy>, mta: Mta) -> Self {
        Self {
            index,
            own,
            machine: Session::new(Arc::clone(&policy), Environment::default()),
            record: Record::new(policy.children().len()),
            policy,
            mta,
            mta_flush: None,
            mta_open: true,
            links: Vec::new(),
            wait: None,
            finished: false,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let flushing = self.links.iter().filter_map(|link| match link.phase {
            Phase::Flushing(at) => Some(at),
            _ => None,
        });
        flushing.chain(self.mta_flush).chain(self.wait).min()
    }

    pub(crate) fn tell(&mut self, town: &mut Town, cx: &mut Context, input: Input) {
        if !self.finished {
            self.input(town, cx, input);
        }
    }

    fn input(&mut self, town: &mut Town, cx: &mut Context, input: Input) {
        self.machine.handle(town.instant(), input);
        self.drain(town, cx);
    }

    /// Has its turn. Says whether it is over.
    pub(crate) fn turn(&mut self, town: &mut Town, cx: &mut Context) -> bool {
        let mut steps = STEPS;
        loop {
            let mut progress = self.advance(town, cx);
            progress |= self.write(town, cx);
            progress |= self.read(town, cx);
            if self.finished && self.links.is_empty() && !self.mta_open {
                return true;
            }
            if !progress {
                if self.wait.is_none_or(|at| at > town.instant()) {
                    return false;
                }
                self.input(town, cx, Input::Tick);
            }
            steps -= 1;
            if steps == 0 {
                town.noted[self.own].push(self.index);
                return false;
            }
        }
    }

    fn ticket(&self, peer: Peer) -> Ticket {
        Ticket { session: self.index, peer }
    }

    fn advance(&mut self, town: &mut Town, cx: &mut Context) -> bool {
        let mut progress = false;
        if self.mta_flush.is_some_and(|by| by <= town.instant()) {
            (self.mta_open, self.mta_flush) = (false, None);
        }
        let mut at = 0;
        for _ in 0..self.links.len() {
            let Some(link) = self.links.get_mut(at) else { break };
            let peer = link.peer;
            match link.phase {
                Phase::Open => at += 1,
                Phase::Flushing(by) if by <= town.instant() => self.remove(town, cx, at),
                Phase::Flushing(_) => at += 1,
                Phase::Asked => {
                    self.check_waits(town, at);
                    at += 1;
                }
                Phase::Connecting => {
                    self.advance_connect(town, cx, at);
                    self.check_waits(town, at);
                    progress |= matches!(self.links[at].phase, Phase::Connected(_) | Phase::Refused(_));
                    at += 1;
                }
                Phase::Connected(ref mut negotiated) => {
                    progress = true;
                    let negotiated = negotiated.take();
                    link.phase = Phase::Open;
                    if let Some(negotiated) = &negotiated {
                        self.record.joined(peer, negotiated, &self.mta);
                    }
                    self.input(town, cx, Input::Ready { peer, negotiated });
                }
                Phase::Refused(why) => {
                    progress = true;
                    self.remove(town, cx, at);
                    self.input(town, cx, Input::Refused { peer, why });
                }
            }
        }
        progress
    }

    /// Nobody waits for a connection longer than it may.
    fn check_waits(&self, town: &Town, at: usize) {
        let waited = town.now - self.links[at].since;
        let most = crate::plan::CONNECTION_TIMEOUT.as_nanos() as u64 + 300 * crate::plan::MS;
        assert!(waited < most, "a session waits for a connection past its time");
    }

    fn advance_connect(&mut self, town: &mut Town, cx: &mut Context, at: usize) {
        let link = &mut self.links[at];
        let ticket = Ticket { session: self.index, peer: link.peer };
        let Some(id) = link.connection else { return };
        match town.connections[id].outcome {
            None => return,
            Some(Ok(())) => cx.desk.connected(town, ticket),
            Some(Err(error)) => {
                town.close(id);
                (link.connection, link.phase) = (None, Phase::Asked);
                self.record.met(ticket.peer, error);
                cx.desk.failed(town, ticket, error);
            }
        }
        self.obey_pool(town, cx);
    }

    fn obey_pool(&mut self, town: &mut Town, cx: &mut Context) {
        while let Some(action) = cx.desk.said.pop_front() {
            match action {
                Action::Connect { ticket, .. }
                | Action::Ready { ticket, .. }
                | Action::Refused { ticket, .. }
                    if ticket.session == self.index =>
                {
                    self.obey(town, cx, action);
                }
                other => cx.later.push_back(other),
            }
        }
    }

    /// Does one thing that the pool says about this session.
    pub(crate) fn obey(&mut self, town: &mut Town, cx: &mut Context, action: Action) {
        let owner = Owner::Session(self.own, self.index);
        match action {
            Action::Connect { ticket, address } => {
                let Some(link) = self.asking(ticket.peer) else { return };
                link.phase = Phase::Connecting;
                let child = ticket.peer.child_index().unwrap().0 as usize;
                let server = town.server_at(child, &address);
                match town.connect(server, owner) {
                    Ok(id) => {
                        link.connection = Some(id);
                        let number = self.mta.number;
                        town.note(|| format!("s{number} connects #{id} to {address}"));
                        town.connections[id].milter.serves.push_back(number);
                        self.record.used(ticket.peer, id, false);
                        town.connections[id].milter.foreseen = self.record.terms(ticket.peer);
                        if town.connections[id].outcome.is_some() {
                            cx.desk.connected(town, ticket);
                        }
                    }
                    Err(error) => {
                        link.phase = Phase::Asked;
                        let number = self.mta.number;
                        town.note(|| format!("s{number} cannot connect to {address}: {error}"));
                        self.record.met(ticket.peer, error);
                        cx.desk.failed(town, ticket, error);
                    }
                }
            }
            Action::Ready { ticket, kept: Some(id), negotiated } => {
                let number = self.mta.number;
                let Some(link) = self.asking(ticket.peer) else { return cx.close_kept(town, id) };
                if let Some(connection) = cx.kept.remove(&id) {
                    town.note(|| format!("s{number} is given #{connection}"));
                    town.connections[connection].owner = owner;
                    town.connections[connection].milter.serves.push_back(number);
                    link.connection = Some(connection);
                    link.phase = Phase::Connected(negotiated);
                    self.record.used(ticket.peer, connection, true);
                }
            }
            Action::Ready { ticket, kept: None, negotiated } => {
                if let Some(link) = self.asking(ticket.peer) {
                    link.phase = Phase::Connected(negotiated);
                }
            }
            Action::Refused { ticket, why } => {
                if let Some(link) = self.asking(ticket.peer) {
                    link.phase = Phase::Refused(why);
                }
            }
            Action::Close { .. } | Action::Wake { .. } | Action::Notice(_) => {}
        }
    }

    fn asking(&mut self, peer: Peer) -> Option<&mut Link> {
        let asks =
            |link: &&mut Link| link.peer == peer && matches!(link.phase, Phase::Asked | Phase::Connecting);
        self.links.iter_mut().find(asks)
    }

    fn remove(&mut self, town: &mut Town, cx: &mut Context, at: usize) {
        let link = self.links.remove(at);
        if let Some(id) = link.connection {
            town.close(id);
        }
        cx.desk.over(town, self.ticket(link.peer));
    }

    /// Writes to the MTA and to every child what they take.
    fn write(&mut self, town: &mut Town, cx: &mut Context) -> bool {
        let mut any = false;
        loop {
            let mut progress = false;
            if self.mta_open {
                let bytes = self.pending(Peer::MTA);
                if self.mta.closed {
                    self.mta_open = self.mta_flush.is_none();
                } else if !bytes.is_empty() {
                    self.mta.receive(town, &bytes);
                    town.at(town.now, crate::town::Do::Mta(self.own, self.index, self.mta.number));
                    self.input(town, cx, Input::Wrote { peer: Peer::MTA, n: bytes.len() });
                    progress = true;
                } else if self.mta_flush.is_some() {
                    (self.mta_open, self.mta_flush) = (false, None);
                }
            }
            let mut at = 0;
            while let Some(link) = self.links.get(at) {
                let peer = link.peer;
                progress |= self.write_link(town, cx, at);
                if self.links.get(at).is_some_and(|link| link.peer == peer) {
                    at += 1;
                }
            }
            any |= progress;
            if !progress {
                return any;
            }
        }
    }

    fn pending(&self, peer: Peer) -> Vec<u8> {
        let mut slices: [&[u8]; TRANSMIT_SLICES] = [&[]; TRANSMIT_SLICES];
        let count = self.machine.transmit(peer, &mut slices);
        slices[..count].concat()
    }

    fn write_link(&mut self, town: &mut Town, cx: &mut Context, at: usize) -> bool {
        let link = &self.links[at];
        let (peer, flushing) = (link.peer, matches!(link.phase, Phase::Flushing(_)));
        if !flushing && !matches!(link.phase, Phase::Open) {
            return false;
        }
        let Some(id) = link.connection else { return false };
        let bytes = self.pending(peer);
        if town.connections[id].end.is_some() {
            // Writing fails, or is lost; the end is read in its turn.
            if flushing {
                self.remove(town, cx, at);
            }
            return false;
        }
        if bytes.is_empty() {
            if flushing {
                self.remove(town, cx, at);
            }
            return false;
        }
        let n = town.write(id, &bytes);
        self.input(town, cx, Input::Wrote { peer, n });
        true
    }

    /// Reads once from each of them.
    fn read(&mut self, town: &mut Town, cx: &mut Context) -> bool {
        let mut progress = self.read_mta(town, cx);
        let mut at = 0;
        while at < self.links.len() {
            if self.read_link(town, cx, at) {
                progress = true;
                self.write(town, cx);
            }
            at += 1;
        }
        progress
    }

    fn read_mta(&mut self, town: &mut Town, cx: &mut Context) -> bool {
        if !self.mta_open || self.mta_flush.is_some() || self.finished || !self.machine.wants_input(Peer::MTA)
        {
            return false;
        }
        if self.mta.outbox.is_empty() {
            if self.mta.closed {
                self.mta_open = false;
                self.input(town, cx, Input::Closed { peer: Peer::MTA, why: Closure::Eof });
                return true;
            }
            return false;
        }
        let n = portion(town, self.mta.outbox.len());
        let lent = self.machine.read_buffer(Peer::MTA);
        let data = fill(lent, &mut self.mta.outbox, n);
        self.input(town, cx, Input::Received { peer: Peer::MTA, data });
        true
    }

    fn read_link(&mut self, town: &mut Town, cx: &mut Context, at: usize) -> bool {
        let link = &self.links[at];
        let peer = link.peer;
        let (Phase::Open, Some(id)) = (&link.phase, link.connection) else { return false };
        let connection = &town.connections[id];
        if connection.to_us.is_empty() && connection.end.is_none() || !self.machine.wants_input(peer) {
            return false;
        }
        if connection.to_us.is_empty() {
            let why = town.connections[id].end.unwrap_or(Closure::Eof);
            let error = match why {
                Closure::Eof => IoError { kind: IoKind::Reset, code: 0 },
                Closure::Failed(error) => error,
            };
            cx.desk.lost(town, self.ticket(peer), error);
            self.remove(town, cx, at);
            self.input(town, cx, Input::Closed { peer, why });
            return true;
        }
        let n = portion(town, connection.to_us.len());
        let lent = self.machine.read_buffer(peer);
        let data = fill(lent, &mut town.connections[id].to_us, n);
        self.record.heard(id);
        self.input(town, cx, Input::Received { peer, data });
        true
    }

    /// Does what the machine asks for, until it waits.
    fn drain(&mut self, town: &mut Town, cx: &mut Context) {
        loop {
            match self.machine.poll_output() {
                Output::Recall { peer, route, offer } => {
                    let negotiated = cx.desk.recall(town, &route, &offer).map(Box::new);
                    if let Some(negotiated) = &negotiated {
                        self.record.joined(peer, negotiated, &self.mta);
                    }
                    self.machine.handle(town.instant(), Input::Remembered { peer, negotiated });
                }
                Output::Acquire { peer, route, offer, fresh } => {
                    self.record.asked(peer, fresh, &self.mta);
                    let since = town.now;
                    self.links.push(Link { peer, phase: Phase::Asked, connection: None, since });
                    cx.desk.acquire(town, self.ticket(peer), route, offer, fresh);
                    self.obey_pool(town, cx);
                }
                Output::Learned { peer, negotiated } => {
                    self.record.joined(peer, &negotiated, &self.mta);
                    if let Some(connection) = self.record.connection(peer) {
                        town.connections[connection].heard = true;
                    }
                    cx.desk.learned(town, self.ticket(peer), &negotiated);
                    self.obey_pool(town, cx);
                }
                Output::Unwell { peer, error } => {
                    cx.desk.unwell(town, self.ticket(peer), error);
                    self.obey_pool(town, cx);
                }
                Output::Release { peer, negotiated } => self.release(town, cx, peer, &negotiated),
                Output::Close { peer: Peer::MTA, flush_by } => {
                    self.mta_flush = flush_by.or(Some(town.instant()));
                }
                Output::Close { peer, flush_by } => self.close(town, cx, peer, flush_by),
                Output::Event(Event::ChildFailed { child, failure, fallback, .. }) => {
                    let number = self.mta.number;
                    town.note(|| format!("s{number} c{} fails: {failure} ({fallback})", child.0));
                    self.failed(town, child.0 as usize, &failure, fallback);
                }
                Output::Event(Event::MtaFailed { stage, failure }) => {
                    panic!("the MTA has failed at {stage}: {failure}")
                }
                Output::Event(_) => {}
                Output::Finished => {
                    self.finished = true;
                    self.wait = None;
                    if self.mta_flush.is_none() {
                        self.mta_open = false;
                    }
                    for at in (0..self.links.len()).rev() {
                        if !matches!(self.links[at].phase, Phase::Flushing(_)) {
                            self.remove(town, cx, at);
                        }
                    }
                    return;
                }
                Output::Wait(at) => {
                    self.wait = at;
                    return;
                }
                other => panic!("nobody has asked for this: {other:?}"),
            }
        }
    }

    fn failed(
        &mut self,
        town: &Town,
        child: usize,
        failure: &Failure,
        fallback: millstream_core::policy::Fallback,
    ) {
        let expected = match failure.is_ours() {
            true => millstream_core::policy::Fallback::TemporaryFailure,
            false => {
                self.policy.fallback_for(millstream_core::policy::ChildIndex(child as u16), failure.kind())
            }
        };
        assert_eq!(fallback, expected, "c{child} fails in this way and has another fallback: {failure}");
        self.record.failed(town, child, failure, fallback, &self.mta);
    }

    fn release(&mut self, town: &mut Town, cx: &mut Context, peer: Peer, negotiated: &Negotiation) {
        let open = self.links.iter().position(|link| link.peer == peer && matches!(link.phase, Phase::Open));
        let Some(at) = open else { return self.close(town, cx, peer, None) };
        assert!(self.pending(peer).is_empty(), "given back with something to write");
        let id = self.links[at].connection.unwrap();
        if town.connections[id].is_noisy() {
            return self.close(town, cx, peer, None);
        }
        let ticket = self.ticket(peer);
        if let Some(kept) = cx.desk.released(town, ticket, negotiated) {
            town.note(|| format!("#{id} is kept"));
            self.links[at].connection = None;
            town.connections[id].owner = Owner::Kept(self.own);
            cx.kept.insert(kept, id);
        }
        self.remove(town, cx, at);
    }

    fn close(&mut self, town: &mut Town, cx: &mut Context, peer: Peer, flush_by: Option<Instant>) {
        for at in (0..self.links.len()).rev() {
            let link = &mut self.links[at];
            if link.peer != peer {
                continue;
            }
            match (&link.phase, flush_by) {
                (Phase::Open | Phase::Flushing(_), Some(by)) => link.phase = Phase::Flushing(by),
                _ => self.remove(town, cx, at),
            }
        }
    }

    /// The session is over.
    pub(crate) fn end(mut self, town: &mut Town, cx: &mut Context) {
        while !self.links.is_empty() {
            self.remove(town, cx, self.links.len() - 1);
        }
        let number = self.mta.number;
        town.note(|| format!("s{number} is over"));
        self.record.judge(&self.mta);
    }
}

/// How many of `length` bytes are read at once.
fn portion(town: &mut Town, length: usize) -> usize {
    match town.rng.below(10) {
        0 => town.rng.between(1, length as u64) as usize,
        _ => length,
    }
}

fn fill(lent: Option<BytesMut>, from: &mut Vec<u8>, n: usize) -> BytesMut {
    let n = lent.as_ref().map_or(n, |buffer| n.min(buffer.capacity() - buffer.len()));
    let mut data = lent.unwrap_or_default();
    data.extend(from.drain(..n));
    data
}
