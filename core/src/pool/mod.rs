//! The connections to the children, one pool for each event loop.
//!
//! A session asks for a connection; the pool says what to do about it. The pool is pure, as machines are: the runtime
//! connects, keeps sockets, wakes other loops, and tells what became of that. Every call is followed by
//! [`Pool::poll`] until there is nothing more.
//!
//! ```text
//!             all addresses down
//!   acquire ----------------------> Refused(Down)
//!      |  no place free                     time over
//!      +----------------------> waiting ----------------> Refused(Full)
//!      |                           | a place is handed over
//!      +---------------------------+--> kept connection that fits ---------------> Ready, negotiated
//!                                  +--> Connect(address) --connected-------------> Ready, fresh
//!                                          ^    |
//!                                          |    +--failed: its breaker opens, the next address or endpoint
//!                                          |    +--failed, none left-------------> Refused(Failed)
//!                                          +----+--busy, none left: after a pause, from the first again
//!
//!   Ready ... over (place free)    or    released (place free, kept) ... Ready again, Close when it is of no use any more
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `breaker` | when an address is down, and who tries it again |
//! | `shared` | the words that the pools of a process share |
//! | `child` | endpoints, kept connections and memory of one child in this loop |
//! | `lease` | one request and its way through the addresses |
//! | `state` | how it all stands, for people |
//!
//! What a pool holds is bounded by what asks it: a request for each connection of a session, as many kept connections as
//! were in use at once, eight remembered answers for a child, a child for each name in the last hour.

mod address;
pub mod breaker;
mod child;
mod lease;
pub mod shared;
mod state;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

pub use address::Address;
pub use state::AddressState;

use crate::machine::{IoError, IoKind, Peer, Refusal};
use crate::policy::Route;
use crate::service::Notice;
use crate::time::Instant;
use crate::wire::Negotiation;
use breaker::Standing;
use child::{Child, Kept};
use lease::{Candidate, Lease, Search, Stage};
use shared::{LoopIndex, SharedChildren, Taken};

/// How long busy children are left alone before they are asked again.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// How long a child that nobody asks for is known.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// Names a request, and the connection that comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    /// The session, as its runtime counts them.
    pub session: u32,
    /// The connection, as the session calls it.
    pub peer: Peer,
}

/// Names a connection without a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeptId(pub u64);

/// What to do next. One for a ticket that is over meanwhile is ignored, but a kept connection is closed then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Connect to this address, then call [`Pool::connected`] or [`Pool::failed`].
    Connect {
        /// For whom.
        ticket: Ticket,
        /// Where.
        address: Address,
    },
    /// Tell the session that it has a connection.
    Ready {
        /// For whom.
        ticket: Ticket,
        /// It is this one; `None`: the one that was just connected.
        kept: Option<KeptId>,
        /// What is negotiated on a kept one.
        negotiated: Option<Box<Negotiation>>,
    },
    /// Tell the session that it cannot have one. The ticket is over.
    Refused {
        /// For whom.
        ticket: Ticket,
        /// Why.
        why: Refusal,
    },
    /// Close a connection that is of no use any more.
    Close {
        /// Which one.
        kept: KeptId,
    },
    /// Have [`Pool::woken`] called on another event loop.
    Wake {
        /// Which loop.
        event_loop: LoopIndex,
    },
    /// Tell the program.
    Notice(Notice),
}

/// The connections of one event loop to all children.
#[derive(Debug)]
pub struct Pool {
    own: LoopIndex,
    shared: Arc<dyn SharedChildren>,
    children: BTreeMap<Arc<str>, Child>,
    leases: BTreeMap<Ticket, Lease>,
    /// The children of kept connections.
    kept: BTreeMap<KeptId, Arc<str>>,
    timers: BTreeSet<(Instant, Timer)>,
    actions: VecDeque<Action>,
    /// Children of which this loop was handed places.
    handed: VecDeque<Arc<str>>,
    next_number: u64,
    stopping: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A request has waited long enough.
    Request(Ticket),
    /// A connection was kept long enough.
    Kept(KeptId),
}

impl Pool {
    /// The pool of the event loop `own`, which is below [`shared::MAX_LOOPS`].
    #[must_use]
    pub fn new(own: LoopIndex, shared: Arc<dyn SharedChildren>) -> Self {
        Self {
            own,
            shared,
            children: BTreeMap::new(),
            leases: BTreeMap::new(),
            kept: BTreeMap::new(),
            timers: BTreeSet::new(),
            actions: VecDeque::new(),
            handed: VecDeque::new(),
            next_number: 0,
            stopping: false,
        }
    }

    /// The next thing to do; `None`: nothing until another call or [`deadline`](Self::deadline).
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`tick`](Self::tick).
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|&(at, _)| at)
    }

    /// What the child last answered to this offer.
    #[must_use]
    pub fn recall(&self, route: &Arc<Route>, offer: &Negotiation) -> Option<Negotiation> {
        let child = self.children.get(&route.name).filter(|child| child.follows(route))?;
        child.recall(offer).cloned()
    }

    /// A session wants a connection. It is answered once, with [`Action::Ready`] or [`Action::Refused`], unless it gives up
    /// before ([`over`](Self::over)).
    pub fn acquire(
        &mut self,
        now: Instant,
        ticket: Ticket,
        route: Arc<Route>,
        offer: Negotiation,
        fresh: bool,
    ) {
        self.over(now, ticket);
        self.follow(now, &route);
        let Some(child) = self.children.get_mut(&route.name) else { return };
        if let Some(outage) = child.all_down(now, &route) {
            let why = Refusal::Down { error: outage.error, since: outage.since };
            return self.actions.push_back(Action::Refused { ticket, why });
        }
        child.leases += 1;
        let limited = route.max_connections > 0;
        let mut lease = Lease {
            route,
            offer,
            fresh,
            place: limited,
            stage: Stage::Begun,
            search: Search::default(),
            answered: false,
            unwell: false,
            probe: None,
        };
        if limited && let Taken::Wait(handed) = child.places.take(self.own, child.limit()) {
            self.next_number += 1;
            let until = now + lease.route.queue_timeout;
            lease.place = false;
            lease.stage = Stage::Waiting(self.next_number, until);
            child.queue.insert(self.next_number, ticket);
            child.places.count_waiting(1);
            self.timers.insert((until, Timer::Request(ticket)));
            let name = Arc::clone(&lease.route.name);
            self.leases.insert(ticket, lease);
            self.hand(handed, &name);
        } else {
            self.begin(now, ticket, lease);
        }
        self.settle(now);
    }

    /// The runtime has connected.
    pub fn connected(&mut self, now: Instant, ticket: Ticket) {
        let Some(lease) = self.leases.get_mut(&ticket) else { return };
        if let Stage::Connecting(address) = &lease.stage {
            lease.stage = Stage::InUse(address.clone(), now);
            self.actions.push_back(Action::Ready { ticket, kept: None, negotiated: None });
        }
    }

    /// The runtime could not connect. The next address is tried at once.
    pub fn failed(&mut self, now: Instant, ticket: Ticket, error: IoError) {
        let Some(mut lease) = self.leases.remove(&ticket) else { return };
        let Stage::Connecting(address) = core::mem::replace(&mut lease.stage, Stage::Begun) else {
            self.leases.insert(ticket, lease);
            return;
        };
        if let Some(child) = self.children.get_mut(&lease.route.name) {
            child.exit(&address);
        }
        if !matches!(error.kind, IoKind::Busy | IoKind::Exhausted) {
            self.open(now, &lease.route, &address, error);
            lease.probe = None;
        }
        lease.search.failed(error);
        self.search(now, ticket, lease);
        self.settle(now);
    }

    /// The child has answered the offer: it is up.
    pub fn learned(&mut self, now: Instant, ticket: Ticket, negotiated: Negotiation) {
        let Some(lease) = self.leases.get_mut(&ticket) else { return };
        let Stage::InUse(address, _) = &lease.stage else { return };
        let Some(child) = self.children.get_mut(&lease.route.name) else { return };
        let switch = child.switch(address, &*self.shared);
        switch.forgive();
        lease.answered = true;
        if lease.probe.take_if(|probe| probe == address).is_some()
            && let Some(down_for) = breaker::close(&*switch, now)
        {
            let (child, address) = (Arc::clone(&lease.route.name), address.clone());
            self.actions.push_back(Action::Notice(Notice::ChildUp { child, address, down_for }));
        }
        if child.follows(&lease.route) {
            // Who is told what it says now must not be given a connection on which it said something else.
            let differs = |kept: &Kept| kept.offer == lease.offer && *kept.negotiated != negotiated;
            let dropped = child.drop_kept(differs);
            child.remember(now, &lease.offer, negotiated);
            self.discard(dropped);
        }
    }

    /// The child did not take the connection in time, or took it and did not answer the offer as it should. The connection
    /// goes on until it is [`over`](Self::over).
    pub fn unwell(&mut self, now: Instant, ticket: Ticket, error: IoError) {
        let Some(lease) = self.leases.get_mut(&ticket) else { return };
        let (Stage::InUse(address, _) | Stage::Connecting(address)) = &lease.stage else { return };
        // Once for each connection.
        if core::mem::replace(&mut lease.unwell, true) {
            return;
        }
        lease.answered = true;
        let connecting = matches!(lease.stage, Stage::Connecting(_));
        let Some(child) = self.children.get_mut(&lease.route.name) else { return };
        child.forget();
        let strikes = child.switch(address, &*self.shared).strike();
        if connecting || lease.probe.as_ref() == Some(address) || strikes >= breaker::STRIKES {
            let (route, address) = (Arc::clone(&lease.route), address.clone());
            self.open(now, &route, &address, error);
        }
    }

    /// A connection is given back, with nothing left to write or to read. Returns under which name to keep it; `None`:
    /// close it.
    #[must_use = "a connection that is not kept must be closed"]
    pub fn released(&mut self, now: Instant, ticket: Ticket, negotiated: Box<Negotiation>) -> Option<KeptId> {
        let lease = self.leases.remove(&ticket)?;
        let id = self.keep(now, &lease, negotiated);
        self.forget(&lease);
        self.settle(now);
        id
    }

    /// A request was given up, or its connection is closed. A ticket that is over already is ignored.
    pub fn over(&mut self, now: Instant, ticket: Ticket) {
        if let Some(mut lease) = self.leases.remove(&ticket) {
            self.unqueue(ticket, &mut lease);
            self.forget(&lease);
            self.settle(now);
        }
    }

    /// The child has closed the connection, or it failed; it is [`over`](Self::over) then. Before the child has answered the
    /// offer this counts as [`unwell`](Self::unwell).
    pub fn lost(&mut self, now: Instant, ticket: Ticket, error: IoError) {
        if self.leases.get(&ticket).is_some_and(|lease| !lease.answered) {
            self.unwell(now, ticket, error);
        }
        self.over(now, ticket);
    }

    /// A kept connection has said something, or has ended: [`Action::Close`] follows.
    pub fn disturbed(&mut self, id: KeptId) {
        if let Some(name) = self.kept.get(&id)
            && let Some(child) = self.children.get_mut(name)
        {
            let dropped = child.drop_kept(|kept| kept.id == id);
            self.discard(dropped);
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        while let Some(&(at, timer)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            match timer {
                Timer::Kept(id) => self.disturbed(id),
                Timer::Request(ticket) => self.due(now, ticket),
            }
        }
        self.settle(now);
    }

    /// Another loop has sent [`Action::Wake`].
    pub fn woken(&mut self, now: Instant) {
        let limited = self.children.iter().filter(|(_, child)| child.limited);
        self.handed.extend(limited.map(|(name, _)| Arc::clone(name)));
        self.settle(now);
    }

    /// The process stops: nothing is kept any more.
    pub fn stop(&mut self) {
        self.stopping = true;
        let mut dropped = Vec::new();
        for child in self.children.values_mut() {
            dropped.append(&mut child.drop_kept(|_| true));
        }
        self.discard(dropped);
    }

    /// Sees to it that the child is known, and by this route.
    fn follow(&mut self, now: Instant, route: &Arc<Route>) {
        if let Some(child) = self.children.get_mut(&route.name) {
            child.last_asked = now;
            if !child.follows(route) {
                let dropped = child.change_route(route, &*self.shared);
                self.discard(dropped);
            }
            return;
        }
        self.children.retain(|_, child| !child.is_unused() || now.since(child.last_asked) < FORGOTTEN_AFTER);
        let child = Child::new(self.own, now, route, &*self.shared);
        self.children.insert(Arc::clone(&route.name), child);
    }

    /// A request that has a place, or needs none, looks for a connection.
    fn begin(&mut self, now: Instant, ticket: Ticket, mut lease: Lease) {
        if let Some(child) = self.children.get_mut(&lease.route.name) {
            lease.search = Search::from(child.choose(now, &lease.route));
        }
        self.search(now, ticket, lease);
    }

    /// Looks for a connection from where the request is.
    fn search(&mut self, now: Instant, ticket: Ticket, mut lease: Lease) {
        let Some(child) = self.children.get_mut(&lease.route.name) else { return };
        loop {
            match lease.search.step(&lease.route) {
                Candidate::Endpoint(_) if lease.fresh || !child.follows(&lease.route) => {}
                Candidate::Endpoint(index) => {
                    let kept = child.take_kept(now, &lease.route, index, &lease.offer);
                    let Some(kept) = kept else { continue };
                    if breaker::outage(&*child.switch(&kept.address, &*self.shared)).is_some() {
                        // Another loop has found it down: this one is as good as dead.
                        self.kept.remove(&kept.id);
                        self.timers.remove(&(kept.until, Timer::Kept(kept.id)));
                        self.actions.push_back(Action::Close { kept: kept.id });
                        continue;
                    }
                    child.enter(&kept.address, &*self.shared);
                    self.kept.remove(&kept.id);
                    self.timers.remove(&(kept.until, Timer::Kept(kept.id)));
                    lease.stage = Stage::InUse(kept.address, kept.born);
                    lease.answered = true;
                    self.leases.insert(ticket, lease);
                    let (kept, negotiated) = (Some(kept.id), Some(kept.negotiated));
                    return self.actions.push_back(Action::Ready { ticket, kept, negotiated });
                }
                Candidate::Address(address) => {
                    let switch = child.switch(&address, &*self.shared);
                    if lease.probe.as_ref() != Some(&address) {
                        match breaker::ask(&*switch, now, lease.route.retry_interval) {
                            Standing::Closed => {}
                            Standing::Probe => lease.probe = Some(address.clone()),
                            Standing::Open(outage) => {
                                lease.search.passed(outage.error, outage.since);
                                continue;
                            }
                        }
                    }
                    child.enter(&address, &*self.shared);
                    lease.stage = Stage::Connecting(address.clone());
                    self.leases.insert(ticket, lease);
                    return self.actions.push_back(Action::Connect { ticket, address });
                }
                Candidate::None => break,
            }
        }
        match lease.search.outcome() {
            Some(why) => {
                self.actions.push_back(Action::Refused { ticket, why });
                self.forget(&lease);
            }
            None => {
                let until = now + BUSY_PAUSE;
                lease.stage = Stage::Pausing(until);
                self.timers.insert((until, Timer::Request(ticket)));
                self.leases.insert(ticket, lease);
            }
        }
    }

    /// The time of a request has come.
    fn due(&mut self, now: Instant, ticket: Ticket) {
        let Some(mut lease) = self.leases.remove(&ticket) else { return };
        if let Stage::Waiting(..) = lease.stage {
            self.unqueue(ticket, &mut lease);
            self.actions.push_back(Action::Refused { ticket, why: Refusal::Full });
            self.forget(&lease);
        } else {
            lease.search.again();
            self.search(now, ticket, lease);
        }
    }

    /// An address is down: tells it, if that is new, and forgets what the child said.
    fn open(&mut self, now: Instant, route: &Arc<Route>, address: &Address, error: IoError) {
        let Some(child) = self.children.get_mut(&route.name) else { return };
        child.forget();
        let switch = child.switch(address, &*self.shared);
        let dropped = child.drop_kept(|kept| kept.address == *address);
        self.discard(dropped);
        if breaker::open(&*switch, now, route.retry_interval, error) {
            self.actions.push_back(Action::Notice(Notice::ChildDown {
                child: Arc::clone(&route.name),
                address: address.clone(),
                error,
                next_try: route.retry_interval,
            }));
        }
    }

    /// Keeps a connection if it is worth it.
    fn keep(&mut self, now: Instant, lease: &Lease, negotiated: Box<Negotiation>) -> Option<KeptId> {
        let (Stage::InUse(address, born), Some(reuse)) = (&lease.stage, lease.route.reuse) else {
            return None;
        };
        let until = (now + reuse.idle).min(*born + reuse.age);
        let child = self.children.get_mut(&lease.route.name)?;
        let wanted = child.follows(&lease.route)
            && child.keeps_more()
            && child.recall(&lease.offer).is_none_or(|remembered| *remembered == *negotiated)
            && breaker::outage(&*child.switch(address, &*self.shared)).is_none();
        if self.stopping || until <= now || !wanted {
            return None;
        }
        // It has served a session: what it did not do before was a hiccup.
        child.switch(address, &*self.shared).forgive();
        self.next_number += 1;
        let id = KeptId(self.next_number);
        let (address, offer) = (address.clone(), lease.offer.clone());
        child.keep(Kept { id, address, offer, negotiated, born: *born, until });
        self.kept.insert(id, Arc::clone(&lease.route.name));
        self.timers.insert((until, Timer::Kept(id)));
        Some(id)
    }

    /// Closes kept connections that were taken from their child.
    fn discard(&mut self, dropped: Vec<Kept>) {
        for kept in dropped {
            self.kept.remove(&kept.id);
            self.timers.remove(&(kept.until, Timer::Kept(kept.id)));
            self.actions.push_back(Action::Close { kept: kept.id });
        }
    }

    /// Takes a request out of the queue and off the timers.
    fn unqueue(&mut self, ticket: Ticket, lease: &mut Lease) {
        let until = match lease.stage {
            Stage::Waiting(number, until) => {
                if let Some(child) = self.children.get_mut(&lease.route.name)
                    && child.queue.remove(&number).is_some()
                {
                    child.places.count_waiting(-1);
                    if child.queue.is_empty() {
                        child.places.leave(self.own);
                        // The wake-up for a place may come when the child is forgotten.
                        self.handed.push_back(Arc::clone(&lease.route.name));
                    }
                }
                until
            }
            Stage::Pausing(until) => until,
            _ => return,
        };
        lease.stage = Stage::Begun;
        self.timers.remove(&(until, Timer::Request(ticket)));
    }

    /// A request is over: counts it out and gives its place to who waits.
    fn forget(&mut self, lease: &Lease) {
        let Some(child) = self.children.get_mut(&lease.route.name) else { return };
        child.leases = child.leases.saturating_sub(1);
        if let Stage::Connecting(address) | Stage::InUse(address, _) = &lease.stage {
            child.exit(address);
        }
        if lease.place {
            let handed = child.places.give_back(child.limit());
            self.hand(handed, &lease.route.name);
        }
    }

    /// A place was handed to a loop.
    fn hand(&mut self, to: Option<LoopIndex>, child: &Arc<str>) {
        match to {
            None => {}
            Some(event_loop) if event_loop == self.own => self.handed.push_back(Arc::clone(child)),
            Some(event_loop) => self.actions.push_back(Action::Wake { event_loop }),
        }
    }

    /// Gives the places that were handed to this loop to those who wait here, or passes them on.
    fn settle(&mut self, now: Instant) {
        while let Some(name) = self.handed.pop_front() {
            let Some(child) = self.children.get(&name) else { continue };
            for _ in 0..child.places.collect(self.own) {
                self.serve(now, &name);
            }
        }
    }

    fn serve(&mut self, now: Instant, name: &Arc<str>) {
        let Some(child) = self.children.get_mut(name) else { return };
        let first = child.queue.first_key_value().map(|(_, ticket)| *ticket);
        let Some((ticket, mut lease)) = first.and_then(|ticket| Some((ticket, self.leases.remove(&ticket)?)))
        else {
            let handed = child.places.give_back(child.limit());
            return self.hand(handed, name);
        };
        self.unqueue(ticket, &mut lease);
        lease.place = true;
        self.begin(now, ticket, lease);
    }
}
