//! What must hold for any sequence of calls to the pools of a process. Bytes are read as a script: a head that says how
//! many loops there are and how their children are had, then one call after the other.
//!
//! * A request is answered once, with a connection or a refusal, unless it is given up before; nothing is said to others.
//! * Never more connections are in use than there are places, nobody who waits is overtaken in his loop, waits longer than
//!   is configured, or waits while a place is free and no wake-up is under way.
//! * A kept connection is given away once, with what was negotiated on it, to who asks by the same route with the same offer.
//! * What is remembered was said, since the last time that anything spoke against it.
//! * A deadline lies ahead, and not behind anything that is to happen.
//! * When everybody has left, nothing is counted, no place is lost, and in time nothing is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use millstream_core::machine::{IoError, IoKind, Peer, Refusal};
use millstream_core::policy::{ChildIndex, Endpoint, EndpointChoice, Reuse, Route};
use millstream_core::pool::{Action, Address, KeptId, Pool, Ticket};
use millstream_core::service::Notice;
use millstream_core::time::Instant;
use millstream_core::wire::Negotiation;
use millstream_shared::Children;

use super::script::Script;

/// How long busy children are left alone.
const PAUSE: Duration = Duration::from_millis(20);
/// The most connections to one child that one loop keeps.
const MOST_KEPT: usize = 64;

const NAMES: [&str; 2] = ["clamav", "rspamd"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It was told nothing, or that it could not connect there.
    Asking,
    Connecting,
    /// Connected, and that is to be told.
    Connected,
    InUse,
}

#[derive(Debug)]
struct Request {
    on: usize,
    route: Arc<Route>,
    offer: u32,
    fresh: bool,
    stage: Stage,
    /// It was told where to connect to, or given a connection: it has its place, if it needs one.
    granted: bool,
    address: Option<Address>,
    asked: Instant,
    /// When its connection was made.
    born: Instant,
    number: u64,
}

impl Request {
    fn is_limited(&self) -> bool {
        self.route.max_connections > 0
    }

    fn waits(&self) -> bool {
        !self.granted && self.is_limited()
    }
}

struct Kept {
    route: Arc<Route>,
    offer: u32,
    negotiated: Negotiation,
    address: Address,
    born: Instant,
    until: Instant,
}

struct Lab<'a> {
    script: Script<'a>,
    now: Instant,
    shared: Arc<Children>,
    pools: Vec<Pool>,
    stopped: BTreeSet<usize>,
    /// For each name the routes of its reloads, of which the first is in use at the beginning.
    routes: [[Arc<Route>; 2]; 2],
    requests: BTreeMap<Ticket, Request>,
    kept: BTreeMap<(usize, KeptId), Kept>,
    /// What each loop may remember: by name and offer.
    said: BTreeMap<(usize, usize, u32), Negotiation>,
    wakes: BTreeSet<usize>,
    down: BTreeSet<(Arc<str>, Address)>,
    asked: u64,
}

/// Plays a script.
pub(crate) fn pool(data: &[u8]) {
    let mut lab = Lab::new(Script::new(data));
    while !lab.script.is_over() {
        lab.step();
        lab.listen();
        lab.check();
    }
    lab.end();
}

fn offered(number: u32) -> Negotiation {
    Negotiation { version: number, ..Negotiation::default() }
}

fn route(script: &mut Script<'_>, name: &str) -> Arc<Route> {
    let (bits, limit) = (script.byte(), script.byte());
    let unix = |path: &[u8]| Endpoint::Unix(Arc::from(path));
    let tcp = || Endpoint::Tcp([1, 2].map(|port| ([127, 0, 0, 1], port).into()).into());
    let endpoints: Box<[Endpoint]> = match bits & 3 {
        0 => [unix(b"/a")].into(),
        1 => [unix(b"/a"), unix(b"/b")].into(),
        2 => [tcp(), unix(b"/a")].into(),
        _ => [unix(b"/a"), tcp(), Endpoint::Tcp([].into())].into(),
    };
    let choices = [EndpointChoice::Failover, EndpointChoice::RoundRobin, EndpointChoice::LeastBusy];
    let reuse = Reuse { idle: Duration::from_secs(3), age: Duration::from_secs(9) };
    Arc::new(Route {
        name: Arc::from(name),
        endpoints,
        choice: choices[usize::from(bits >> 2 & 3) % 3],
        max_connections: u32::from(limit % 4),
        queue_timeout: Duration::from_millis(if bits & 0x10 == 0 { 2000 } else { 0 }),
        retry_interval: Duration::from_secs(if bits & 0x20 == 0 { 5 } else { 0 }),
        reuse: (bits & 0x40 == 0).then_some(reuse),
    })
}

fn error(kind: IoKind) -> IoError {
    IoError { kind, code: 1 }
}

impl<'a> Lab<'a> {
    fn new(mut script: Script<'a>) -> Self {
        let loops = 1 + script.below(3);
        let shared = Arc::new(Children::new());
        let pools = (0..loops).map(|own| Pool::new(own as u32, shared.clone())).collect();
        let routes = NAMES.map(|name| [0, 1].map(|_| route(&mut script, name)));
        Self {
            script,
            now: Instant::from_nanos(1_000_000_000),
            shared,
            pools,
            stopped: BTreeSet::new(),
            routes,
            requests: BTreeMap::new(),
            kept: BTreeMap::new(),
            said: BTreeMap::new(),
            wakes: BTreeSet::new(),
            down: BTreeSet::new(),
            asked: 0,
        }
    }

    /// A request at one of these stages, by the script.
    fn pick(&mut self, stages: &[Stage]) -> Option<(Ticket, usize)> {
        let found = self.requests.iter().filter(|(_, request)| stages.contains(&request.stage));
        let found: Vec<_> = found.map(|(ticket, request)| (*ticket, request.on)).collect();
        let n = self.script.below(found.len());
        found.get(n).copied()
    }

    fn step(&mut self) {
        match self.script.below(24) {
            0..=6 => self.ask(),
            7..=10 => self.connect(),
            11..=14 => self.use_it(),
            15 => {
                use Stage::{Asking, Connecting, InUse};
                if let Some((ticket, on)) = self.pick(&[Asking, Connecting, InUse]) {
                    self.requests.remove(&ticket);
                    self.pools[on].over(self.now, ticket);
                }
            }
            16 | 17 => {
                let time = [1, 20, 100, 1500, 2000, 5000, 9000, 3_700_000][self.script.below(8)];
                self.pass(Duration::from_millis(time));
            }
            18 => {
                let n = self.script.below(self.kept.len());
                if let Some(&(on, id)) = self.kept.keys().nth(n) {
                    self.pools[on].disturbed(id);
                    self.listen();
                    assert!(!self.kept.contains_key(&(on, id)), "a broken connection is kept");
                }
            }
            19 => self.recall(),
            // What is over, or never was.
            20 => self.stray(),
            21 if self.script.below(8) == 0 => {
                let on = self.script.below(self.pools.len());
                self.stopped.insert(on);
                self.pools[on].stop();
                self.listen();
                assert!(self.kept.keys().all(|(at, _)| *at != on), "kept after the stop");
            }
            _ => self.wake(),
        }
    }

    fn ask(&mut self) {
        let (on, what) = (self.script.below(self.pools.len()), self.script.byte());
        let name = usize::from(what >> 7);
        let route = Arc::clone(&self.routes[name][usize::from(what & 0x70 == 0x70)]);
        // A route that is the same, but read again.
        let route = if what & 8 == 0 { route } else { Arc::new((*route).clone()) };
        let offer =
            2 + u32::from(what & 1) + if what & 6 == 6 { u32::from(self.script.byte() % 16) } else { 0 };
        let fresh = what & 0x16 == 0x10;
        self.asked += 1;
        let mut ticket = Ticket { session: self.asked as u32, peer: Peer::child(ChildIndex(name as u16), 0) };
        if what & 0x1e == 0x1e
            && let Some((again, at)) = self.pick(&[Stage::Asking, Stage::Connecting, Stage::InUse])
            && at == on
        {
            // The one before is over with that.
            ticket = again;
        }
        if self.said.keys().any(|key| key.0 == on && key.1 == name) && !self.is_followed(on, &route) {
            self.said.retain(|key, _| (key.0, key.1) != (on, name));
        }
        let request = Request {
            on,
            route: Arc::clone(&route),
            offer,
            fresh,
            stage: Stage::Asking,
            granted: false,
            address: None,
            asked: self.now,
            born: self.now,
            number: self.asked,
        };
        self.requests.insert(ticket, request);
        self.pools[on].acquire(self.now, ticket, route, offered(offer), fresh);
    }

    /// Whether the pool would remember anything by this route, as far as can be seen.
    fn is_followed(&self, on: usize, route: &Arc<Route>) -> bool {
        (0..40).any(|offer| self.pools[on].recall(route, &offered(offer)).is_some())
    }

    fn connect(&mut self) {
        let Some((ticket, on)) = self.pick(&[Stage::Connecting]) else { return };
        let request = self.requests.get_mut(&ticket).expect("it was picked");
        let (now, pool) = (self.now, &mut self.pools[on]);
        let kind = match self.script.below(12) {
            0 => IoKind::Refused,
            1 => IoKind::TimedOut,
            2 | 3 => IoKind::Busy,
            4 => IoKind::Exhausted,
            5 => {
                let name = Arc::clone(&request.route.name);
                pool.unwell(now, ticket, error(IoKind::TimedOut));
                return self.forget_said(on, &name);
            }
            _ => {
                (request.stage, request.born) = (Stage::Connected, now);
                return pool.connected(now, ticket);
            }
        };
        (request.stage, request.address) = (Stage::Asking, None);
        let name = Arc::clone(&request.route.name);
        pool.failed(now, ticket, error(kind));
        if !matches!(kind, IoKind::Busy | IoKind::Exhausted) {
            self.forget_said(on, &name);
        }
    }

    fn forget_said(&mut self, on: usize, name: &str) {
        self.said.retain(|key, _| key.0 != on || NAMES[key.1] != name);
    }

    fn use_it(&mut self) {
        let Some((ticket, on)) = self.pick(&[Stage::InUse]) else { return };
        let (now, what) = (self.now, self.script.byte());
        let pool = &mut self.pools[on];
        match what % 8 {
            0 => {
                pool.unwell(now, ticket, error(IoKind::TimedOut));
            }
            1 => {
                self.requests.remove(&ticket);
                pool.lost(now, ticket, error(IoKind::Reset));
            }
            2 => {
                self.requests.remove(&ticket);
                pool.over(now, ticket);
            }
            3 | 4 => {
                let request = &self.requests[&ticket];
                let negotiated = offered(u32::from(what >> 4));
                pool.learned(now, ticket, negotiated.clone());
                let name = usize::from(*request.route.name == *NAMES[1]);
                self.said.insert((on, name, request.offer), negotiated);
            }
            _ => {
                let request = self.requests.remove(&ticket).expect("it was picked");
                let negotiated = offered(u32::from(what >> 3));
                let Some(id) = pool.released(now, ticket, Box::new(negotiated.clone())) else { return };
                assert!(!self.stopped.contains(&on), "kept after the stop");
                let reuse = request.route.reuse.expect("only where that is wanted");
                let until = (now + reuse.idle).min(request.born + reuse.age);
                let address = request.address.expect("it is connected");
                let (route, offer, born) = (request.route, request.offer, request.born);
                let kept = Kept { route, offer, negotiated, address, born, until };
                assert!(self.kept.insert((on, id), kept).is_none(), "one name for two connections");
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        for on in 0..self.pools.len() {
            if self.pools[on].deadline().is_some_and(|at| at <= self.now) {
                self.pools[on].tick(self.now);
                self.listen();
            }
        }
    }

    /// Nothing that was not said is remembered. What the others have seen, and the ninth offer, is forgotten.
    fn recall(&mut self) {
        let (on, what) = (self.script.below(self.pools.len()), self.script.byte());
        let (name, offer) = (usize::from(what >> 7), 2 + u32::from(what & 0x1f));
        let route = &self.routes[name][usize::from(what >> 6 & 1)];
        let Some(negotiated) = self.pools[on].recall(route, &offered(offer)) else { return };
        assert_eq!(Some(&negotiated), self.said.get(&(on, name, offer)), "never said");
    }

    fn stray(&mut self) {
        let on = self.script.below(self.pools.len());
        let ticket = Ticket { session: u32::MAX, peer: Peer::child(ChildIndex(0), 0) };
        let (now, pool) = (self.now, &mut self.pools[on]);
        let failure = error(IoKind::Refused);
        match self.script.below(8) {
            0 => pool.connected(now, ticket),
            1 => pool.failed(now, ticket, failure),
            2 => pool.learned(now, ticket, offered(2)),
            3 => pool.unwell(now, ticket, failure),
            4 => assert_eq!(pool.released(now, ticket, Box::new(offered(2))), None),
            5 => pool.lost(now, ticket, failure),
            6 => pool.over(now, ticket),
            _ => pool.disturbed(KeptId(u64::MAX)),
        }
        assert_eq!(pool.poll(), None, "said to nobody");
        // A wake-up too many.
        pool.woken(now);
        pool.tick(now);
    }

    fn wake(&mut self) {
        if let Some(on) = self.wakes.pop_first() {
            self.pools[on].woken(self.now);
        }
    }

    /// Hears what all pools say.
    fn listen(&mut self) {
        for on in 0..self.pools.len() {
            for _ in 0..100_000 {
                let Some(action) = self.pools[on].poll() else { break };
                self.hear(on, action);
            }
            assert_eq!(self.pools[on].poll(), None, "a pool never comes to rest");
        }
    }

    /// The request of a loop that something is said to.
    fn told(&mut self, on: usize, ticket: Ticket) -> &mut Request {
        let request = self.requests.get_mut(&ticket).expect("nobody asks");
        assert_eq!(request.on, on);
        request
    }

    fn hear(&mut self, on: usize, action: Action) {
        match action {
            Action::Connect { ticket, address } => {
                self.grant(on, ticket);
                let request = self.told(on, ticket);
                assert_eq!(request.stage, Stage::Asking, "told twice");
                assert!(has(&request.route, &address), "an address of another route");
                (request.stage, request.address) = (Stage::Connecting, Some(address));
            }
            Action::Ready { ticket, kept: None, negotiated } => {
                let request = self.told(on, ticket);
                assert_eq!((request.stage, negotiated), (Stage::Connected, None));
                request.stage = Stage::InUse;
            }
            Action::Ready { ticket, kept: Some(id), negotiated } => {
                self.grant(on, ticket);
                let now = self.now;
                let kept = self.kept.remove(&(on, id)).expect("a connection that is not kept is given away");
                let request = self.told(on, ticket);
                assert_eq!((request.stage, request.fresh), (Stage::Asking, false));
                assert_eq!((&request.route, request.offer), (&kept.route, kept.offer), "it does not fit");
                assert_eq!(negotiated.as_deref(), Some(&kept.negotiated));
                assert!(now < kept.until, "kept for too long");
                request.stage = Stage::InUse;
                (request.address, request.born) = (Some(kept.address), kept.born);
            }
            Action::Refused { ticket, why } => {
                let now = self.now;
                let request = self.told(on, ticket);
                assert_eq!(request.stage, Stage::Asking, "it has a connection");
                match why {
                    Refusal::Full => {
                        assert!(request.waits() && now.since(request.asked) >= request.route.queue_timeout);
                    }
                    Refusal::Down { since, .. } => assert!(since <= now),
                    Refusal::Failed(_) => {}
                }
                self.requests.remove(&ticket);
            }
            Action::Close { kept } => {
                assert!(self.kept.remove(&(on, kept)).is_some(), "closed, and not kept");
            }
            Action::Wake { event_loop } => {
                assert!(event_loop as usize != on && (event_loop as usize) < self.pools.len());
                self.wakes.insert(event_loop as usize);
            }
            Action::Notice(Notice::ChildDown { child, address, .. }) => {
                self.down.insert((child, address));
            }
            Action::Notice(Notice::ChildUp { child, address, .. }) => {
                assert!(self.down.remove(&(child, address)), "it was not down");
            }
            Action::Notice(other) => panic!("{other:?}"),
        }
    }

    /// A request has its place.
    fn grant(&mut self, on: usize, ticket: Ticket) {
        let request = self.told(on, ticket);
        if std::mem::replace(&mut request.granted, true) || !request.is_limited() {
            return;
        }
        let (name, number) = (Arc::clone(&request.route.name), request.number);
        let mut others = self.requests.values().filter(|other| other.route.name == name && other.on == on);
        assert!(others.all(|other| !other.waits() || other.number > number), "a session was overtaken");
    }

    fn check(&self) {
        for name in NAMES {
            let of_name = || self.requests.values().filter(move |request| *request.route.name == *name);
            let holders = of_name().filter(|request| request.granted && request.is_limited()).count() as u32;
            let routes = || self.routes.iter().flatten().filter(move |route| *route.name == *name);
            let limits = || routes().map(|route| route.max_connections).filter(|limit| *limit > 0);
            assert!(holders <= limits().max().unwrap_or(0), "{holders} places");
            let waits = of_name().any(Request::waits);
            let free = holders < limits().min().unwrap_or(0);
            assert!(!waits || !free || !self.wakes.is_empty(), "a place is free, and somebody waits");
        }
        for request in self.requests.values() {
            let deadline = self.pools[request.on].deadline();
            let by = |at: Instant| deadline.is_some_and(|deadline| deadline <= at);
            match request.stage {
                Stage::Asking if request.waits() => {
                    assert!(self.now.since(request.asked) < request.route.queue_timeout.max(PAUSE));
                    assert!(by(request.asked + request.route.queue_timeout), "it waits for ever");
                }
                Stage::Asking => {
                    assert!(request.granted, "it was not looked at");
                    assert!(by(self.now + PAUSE), "busy for ever");
                }
                Stage::Connected => panic!("not told of its connection"),
                Stage::Connecting | Stage::InUse => {}
            }
        }
        for ((on, _), kept) in &self.kept {
            assert!(self.pools[*on].deadline().is_some_and(|at| at <= kept.until), "kept for ever");
        }
        for (on, pool) in self.pools.iter().enumerate() {
            // A queue without time is for the next call.
            let hasty = self.requests.values().any(|one| one.waits() && one.route.queue_timeout.is_zero());
            assert!(hasty || pool.deadline().is_none_or(|at| at > self.now), "a deadline is passed over");
            let kept = self.kept.keys().filter(|(at, _)| *at == on).count();
            assert!(kept <= NAMES.len() * MOST_KEPT, "{kept} connections are kept");
            let idle = self.requests.values().all(|request| request.on != on) && kept == 0;
            assert!(!idle || pool.deadline().is_none(), "nobody is there to wait for");
        }
    }

    /// Everybody leaves, one after another; who waits gets his place then. In time nothing is left.
    fn end(mut self) {
        loop {
            while !self.wakes.is_empty() {
                self.wake();
                self.listen();
            }
            self.check();
            let holder = self.requests.iter().find(|(_, request)| !request.waits());
            let Some((&ticket, &Request { on, .. })) = holder else { break };
            self.requests.remove(&ticket);
            self.pools[on].over(self.now, ticket);
            self.listen();
        }
        assert!(self.requests.is_empty(), "no place was handed over");
        for state in self.shared.states() {
            assert_eq!((state.in_use, state.waiting), (0, 0));
            let kept = self.kept.values();
            let kept = kept.filter(|kept| kept.address == state.address && kept.route.name == state.child);
            assert_eq!(state.kept as usize, kept.count());
        }
        self.pass(Duration::from_secs(60));
        assert!(self.kept.is_empty() && self.pools.iter().all(|pool| pool.deadline().is_none()));
        // As many places as ever are free, at a socket that was never down.
        for (name, [route, _]) in NAMES.into_iter().zip(self.routes.clone()) {
            let endpoints = [Endpoint::Unix(Arc::from(*b"/never-down"))].into();
            let elsewhere = Arc::new(Route { endpoints, ..(*route).clone() });
            for number in 0..route.max_connections {
                let on = number as usize % self.pools.len();
                let ticket = Ticket { session: number, peer: Peer::child(ChildIndex(9), 0) };
                self.pools[on].acquire(self.now, ticket, Arc::clone(&elsewhere), offered(2), false);
                let said = self.pools[on].poll();
                assert!(matches!(said, Some(Action::Connect { .. })), "a place of {name} is lost: {said:?}");
            }
            for number in 0..route.max_connections {
                let ticket = Ticket { session: number, peer: Peer::child(ChildIndex(9), 0) };
                let on = number as usize % self.pools.len();
                self.pools[on].over(self.now, ticket);
            }
        }
    }
}

/// Whether a route leads to this address.
fn has(route: &Route, address: &Address) -> bool {
    route.endpoints.iter().any(|endpoint| match (endpoint, address) {
        (Endpoint::Unix(path), Address::Unix(at)) => path == at,
        (Endpoint::Tcp(all), Address::Tcp(at)) => all.contains(at),
        _ => false,
    })
}
