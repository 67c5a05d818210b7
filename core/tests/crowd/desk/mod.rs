//! The pool of one loop, with a watchman beside it: everything that it is told and says is held against what must hold,
//! before the loop does anything about it.

mod hear;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use millstream_core::machine::{IoError, IoKind};
use millstream_core::policy::Route;
use millstream_core::pool::{Action, Address, KeptId, Pool, Ticket};
use millstream_core::time::Instant;
use millstream_core::wire::Negotiation;
use millstream_shared::Children;

use crate::coverage::{Event, State};
use crate::plan::MS;
use crate::town::Town;

#[derive(Debug, Clone, PartialEq)]
enum Stage {
    Asking,
    Connecting(Address),
    InUse(Address, Instant),
}

/// A request as the watchman knows it.
#[derive(Debug)]
struct Lease {
    child: usize,
    route: Arc<Route>,
    offer: Negotiation,
    fresh: bool,
    asked: u64,
    stage: Stage,
    /// It was given a place, if it needs one, and has begun to look for a connection.
    begun: bool,
    probe: Option<Address>,
    answered: bool,
    unwell: bool,
    /// What it has met, by address, since it began anew.
    met: Vec<(Address, IoError)>,
    busy: bool,
}

struct Kept {
    child: usize,
    epoch: u32,
    route: Arc<Route>,
    offer: Negotiation,
    negotiated: Negotiation,
    address: Address,
    born: Instant,
    since: Instant,
}

/// What a loop follows for a child.
struct Followed {
    route: Arc<Route>,
    epoch: u32,
    /// The endpoint that had the last turn, when that is certain.
    turn: Option<usize>,
    /// Who waits for a place, in order.
    queue: VecDeque<Ticket>,
    in_use: BTreeMap<Address, i64>,
    peak: i64,
}

pub(crate) struct Desk {
    own: usize,
    pool: Pool,
    pub(crate) said: VecDeque<Action>,
    leases: BTreeMap<Ticket, Lease>,
    kept: BTreeMap<KeptId, Kept>,
    followed: BTreeMap<usize, Followed>,
    /// When a child last answered an offer, here.
    learned: BTreeMap<usize, Vec<(Negotiation, u64)>>,
    /// What has just failed, and must be told to be down if it was not.
    failing: Option<(usize, Address)>,
    stopping: bool,
}

/// The number of a child, by its name.
pub(crate) fn number(name: &str) -> usize {
    name[1..].parse().unwrap()
}

impl Desk {
    pub(crate) fn new(own: usize, shared: &Arc<Children>) -> Self {
        Self {
            own,
            pool: Pool::new(own as u32, shared.clone()),
            said: VecDeque::new(),
            leases: BTreeMap::new(),
            kept: BTreeMap::new(),
            followed: BTreeMap::new(),
            learned: BTreeMap::new(),
            failing: None,
            stopping: false,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.pool.deadline()
    }

    /// Connections that are kept, and requests that are not over.
    pub(crate) fn left(&self) -> (usize, usize) {
        (self.kept.len(), self.leases.len())
    }

    pub(crate) fn recall(
        &mut self,
        town: &mut Town,
        route: &Arc<Route>,
        offer: &Negotiation,
    ) -> Option<Negotiation> {
        let known = self.pool.recall(route, offer);
        let child = number(&route.name);
        self.visit(town, child, if known.is_some() { Event::Recalled } else { Event::Unknown });
        if known.is_some() {
            let follows = self.followed.get(&child).is_some_and(|followed| followed.route == *route);
            assert!(follows, "what is remembered belongs to another configuration");
            let at = self.learned.get(&child).and_then(|all| all.iter().find(|(known, _)| known == offer));
            let at = at.expect("what was never answered is remembered").1;
            let was_down = town.ledger.of_child(child).any(|it| it.since > at);
            assert!(!was_down, "what is remembered is from before an outage");
        }
        known
    }

    pub(crate) fn acquire(
        &mut self,
        town: &mut Town,
        ticket: Ticket,
        route: Arc<Route>,
        offer: Negotiation,
        fresh: bool,
    ) {
        assert!(!self.leases.contains_key(&ticket), "asked twice");
        let child = number(&route.name);
        self.visit(town, child, if fresh { Event::AskedAfresh } else { Event::Asked });
        let followed = self.followed.entry(child).or_insert_with(|| Followed {
            route: route.clone(),
            epoch: 0,
            turn: None,
            queue: VecDeque::new(),
            in_use: BTreeMap::new(),
            peak: 0,
        });
        if followed.route != route {
            followed.route = route.clone();
            followed.epoch += 1;
            followed.turn = None;
            town.coverage.note(State::of(town, child), Event::Reloaded);
        }
        if route.max_connections > 0 {
            followed.queue.push_back(ticket);
        }
        let lease = Lease {
            child,
            route: route.clone(),
            offer: offer.clone(),
            fresh,
            asked: town.now,
            stage: Stage::Asking,
            begun: route.max_connections == 0,
            probe: None,
            answered: false,
            unwell: false,
            met: Vec::new(),
            busy: false,
        };
        self.leases.insert(ticket, lease);
        self.pool.acquire(town.instant(), ticket, route, offer, fresh);
        self.listen(town);
    }

    pub(crate) fn connected(&mut self, town: &mut Town, ticket: Ticket) {
        self.visit_of(town, ticket, Event::Connected);
        self.pool.connected(town.instant(), ticket);
        self.listen(town);
        let in_use = self.leases.get(&ticket).is_none_or(|lease| matches!(lease.stage, Stage::InUse(..)));
        assert!(in_use, "a connection that is there is not told");
    }

    pub(crate) fn failed(&mut self, town: &mut Town, ticket: Ticket, error: IoError) {
        let event = match error.kind {
            IoKind::Busy => Event::Busy,
            IoKind::Exhausted => Event::Exhausted,
            _ => Event::Refused,
        };
        self.visit_of(town, ticket, event);
        let lease = self.leases.get_mut(&ticket).expect("what is connecting is asked for");
        let Stage::Connecting(address) = std::mem::replace(&mut lease.stage, Stage::Asking) else {
            panic!("not connecting")
        };
        let (child, retry) = (lease.child, lease.route.retry_interval);
        lease.met.push((address.clone(), error));
        lease.busy |= error.kind == IoKind::Busy;
        if event == Event::Refused {
            self.failing = Some((child, address.clone()));
            lease.probe = None;
            town.ledger.put_off(child, &address, town.now, retry);
            town.ledger.of(child, &address).probed = false;
        }
        self.leave(town, child, &address);
        self.pool.failed(town.instant(), ticket, error);
        self.listen(town);
        self.failing = None;
        let down = town.ledger.of(child, &address).down;
        assert!(event != Event::Refused || down, "{address} has failed and is not down");
    }

    pub(crate) fn learned(&mut self, town: &mut Town, ticket: Ticket, negotiated: &Negotiation) {
        self.visit_of(town, ticket, Event::Learned);
        let mut probed = None;
        if let Some(lease) = self.leases.get_mut(&ticket) {
            let Stage::InUse(address, _) = lease.stage.clone() else { panic!("not in use") };
            lease.answered = true;
            let standing = town.ledger.of(lease.child, &address);
            standing.strikes = 0;
            if lease.probe.take_if(|probe| *probe == address).is_some() {
                standing.probed = false;
                probed = Some((lease.child, address));
            }
        }
        self.pool.learned(town.instant(), ticket, negotiated.clone());
        self.listen(town);
        self.note_learned(town.now, ticket, negotiated);
        if let Some((child, address)) = probed {
            let down = town.ledger.of(child, &address).down;
            assert!(!down, "{address} has answered, and is still down");
        }
    }

    /// What it says now is what counts: nobody is given a connection on which it said something else.
    fn note_learned(&mut self, now: u64, ticket: Ticket, negotiated: &Negotiation) {
        let Some(lease) = self.leases.get(&ticket) else { return };
        if self.followed[&lease.child].route != lease.route {
            return;
        }
        let differs = |kept: &Kept| {
            kept.child == lease.child && kept.offer == lease.offer && kept.negotiated != *negotiated
        };
        assert!(!self.kept.values().any(differs), "a connection is kept on which it said something else");
        let all = self.learned.entry(lease.child).or_default();
        all.retain(|(offer, _)| *offer != lease.offer);
        all.push((lease.offer.clone(), now));
    }

    pub(crate) fn unwell(&mut self, town: &mut Town, ticket: Ticket, error: IoError) {
        let expected = self.strike(town, ticket, Event::Unwell);
        self.failing.clone_from(&expected);
        self.pool.unwell(town.instant(), ticket, error);
        self.listen(town);
        self.must_be_down(town, expected);
    }

    /// Counts a connection that came to nothing. Returns the address that must be down then.
    fn strike(&mut self, town: &mut Town, ticket: Ticket, event: Event) -> Option<(usize, Address)> {
        self.visit_of(town, ticket, event);
        let lease = self.leases.get_mut(&ticket)?;
        let (Stage::Connecting(address) | Stage::InUse(address, _)) = lease.stage.clone() else {
            return None;
        };
        if std::mem::replace(&mut lease.unwell, true) {
            return None;
        }
        lease.answered = true;
        let standing = town.ledger.of(lease.child, &address);
        standing.strikes += 1;
        let hangs = matches!(lease.stage, Stage::Connecting(_));
        let probes = lease.probe.as_ref() == Some(&address);
        if !hangs && !probes && standing.strikes < 3 {
            return None;
        }
        town.ledger.put_off(lease.child, &address, town.now, lease.route.retry_interval);
        Some((lease.child, address))
    }

    fn must_be_down(&mut self, town: &mut Town, expected: Option<(usize, Address)>) {
        self.failing = None;
        if let Some((child, address)) = expected {
            assert!(town.ledger.of(child, &address).down, "{address} answers nobody, and is not down");
        }
    }

    pub(crate) fn lost(&mut self, town: &mut Town, ticket: Ticket, error: IoError) {
        let early = self.leases.get(&ticket).is_some_and(|lease| !lease.answered);
        let expected = if early {
            self.strike(town, ticket, Event::LostEarly)
        } else {
            self.visit_of(town, ticket, Event::Lost);
            None
        };
        self.forget(town, ticket);
        self.failing.clone_from(&expected);
        self.pool.lost(town.instant(), ticket, error);
        self.listen(town);
        self.must_be_down(town, expected);
    }

    /// A request is over.
    pub(crate) fn over(&mut self, town: &mut Town, ticket: Ticket) {
        if let Some(lease) = self.leases.get(&ticket) {
            let event = match (&lease.stage, lease.begun) {
                (Stage::Asking, false) => Event::LeftTheQueue,
                (Stage::InUse(..), _) => Event::Over,
                _ => Event::GaveUp,
            };
            self.visit_of(town, ticket, event);
        }
        self.forget(town, ticket);
        self.pool.over(town.instant(), ticket);
        self.listen(town);
    }

    pub(crate) fn released(
        &mut self,
        town: &mut Town,
        ticket: Ticket,
        negotiated: &Negotiation,
    ) -> Option<KeptId> {
        let lease = self.forget(town, ticket);
        let id = self.pool.released(town.instant(), ticket, Box::new(negotiated.clone()));
        if let (Some(id), Some(lease)) = (id, lease) {
            let Stage::InUse(address, born) = lease.stage else { panic!("kept, and never there") };
            let followed = &self.followed[&lease.child];
            assert!(!self.stopping, "kept although the process stops");
            assert_eq!(followed.route, lease.route, "kept for a configuration that is over");
            let standing = town.ledger.of(lease.child, &address);
            assert!(!standing.down, "kept although its address is down");
            standing.strikes = 0;
            self.visit(town, lease.child, Event::Kept);
            let (child, epoch) = (lease.child, self.followed[&lease.child].epoch);
            let kept = Kept {
                child,
                epoch,
                route: lease.route,
                offer: lease.offer,
                negotiated: negotiated.clone(),
                address,
                born,
                since: town.instant(),
            };
            assert!(kept.route.reuse.is_some(), "kept although it is not to be");
            assert!(self.kept.insert(id, kept).is_none(), "kept twice");
            let count = self.kept.values().filter(|kept| kept.child == child).count();
            let peak = self.followed[&child].peak;
            assert!(count as i64 <= peak, "{count} kept, {peak} were in use at most");
        }
        self.listen(town);
        id
    }

    pub(crate) fn disturbed(&mut self, town: &mut Town, id: KeptId) {
        if let Some(kept) = self.kept.get(&id) {
            let child = kept.child;
            self.visit(town, child, Event::Disturbed);
        }
        self.pool.disturbed(id);
        self.listen(town);
        assert!(!self.kept.contains_key(&id), "a connection that has ended is kept");
    }

    pub(crate) fn tick(&mut self, town: &mut Town) {
        let now = town.instant();
        let aged: Vec<usize> =
            self.kept.values().filter(|kept| kept.until() <= now).map(|kept| kept.child).collect();
        for child in aged {
            self.visit(town, child, Event::Aged);
        }
        self.pool.tick(now);
        self.listen(town);
        assert!(self.kept.values().all(|kept| now < kept.until()), "kept longer than it may be");
    }

    pub(crate) fn woken(&mut self, town: &mut Town) {
        let waits: Vec<usize> = self
            .followed
            .iter()
            .filter(|(_, followed)| !followed.queue.is_empty())
            .map(|(child, _)| *child)
            .collect();
        for child in waits {
            self.visit(town, child, Event::Woken);
        }
        self.pool.woken(town.instant());
        self.listen(town);
    }

    pub(crate) fn stop(&mut self, town: &mut Town) {
        for child in 0..town.plan.children.len() {
            self.visit(town, child, Event::Stopped);
        }
        self.stopping = true;
        self.pool.stop();
        self.listen(town);
        assert!(self.kept.is_empty(), "kept although the process stops");
    }

    /// Nobody waits past its time, and no place is free while somebody does.
    pub(crate) fn check_time(&self, now: u64) {
        for lease in self.leases.values().filter(|lease| !lease.begun) {
            let until = lease.asked + lease.route.queue_timeout.as_nanos() as u64;
            assert!(now <= until + 200 * MS, "a request waits in the queue past its time");
        }
    }

    fn visit(&mut self, town: &mut Town, child: usize, event: Event) {
        let state = State::of(town, child);
        town.coverage.note(state, event);
    }

    fn visit_of(&mut self, town: &mut Town, ticket: Ticket, event: Event) {
        if let Some(child) = self.leases.get(&ticket).map(|lease| lease.child) {
            self.visit(town, child, event);
        }
    }

    fn forget(&mut self, town: &mut Town, ticket: Ticket) -> Option<Lease> {
        let lease = self.leases.remove(&ticket)?;
        let followed = self.followed.get_mut(&lease.child).unwrap();
        if !lease.begun {
            followed.queue.retain(|waits| *waits != ticket);
        }
        if let Stage::Connecting(address) | Stage::InUse(address, _) = &lease.stage {
            self.leave(town, lease.child, address);
        }
        if let Some(probe) = &lease.probe {
            town.ledger.of(lease.child, probe).probed = false;
        }
        if lease.begun && lease.route.max_connections > 0 {
            *town.ledger.held.entry(lease.child).or_default() -= 1;
        }
        Some(lease)
    }

    fn enter(&mut self, town: &mut Town, child: usize, address: &Address) {
        let followed = self.followed.get_mut(&child).unwrap();
        *followed.in_use.entry(address.clone()).or_default() += 1;
        followed.peak = followed.peak.max(followed.in_use.values().sum());
        town.ledger.of(child, address).in_use += 1;
    }

    fn leave(&mut self, town: &mut Town, child: usize, address: &Address) {
        *self.followed.get_mut(&child).unwrap().in_use.entry(address.clone()).or_default() -= 1;
        town.ledger.of(child, address).in_use -= 1;
    }
}

impl Kept {
    fn until(&self) -> Instant {
        let reuse = self.route.reuse.unwrap();
        (self.since + reuse.idle).min(self.born + reuse.age)
    }
}
