//! Random lives of three loops, against what must hold whatever happens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use millstream_core::policy::{EndpointChoice, Reuse, Route};
use millstream_core::pool::{Action, Address, KeptId};
use millstream_core::service::Notice;
use millstream_core::time::Instant;
use proptest::prelude::*;

use super::lab::{BUSY, EXHAUSTED, Lab, QUEUE, REFUSED, RETRY, offer, route, ticket};

const LOOPS: usize = 3;
const LIMIT: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Neither told to connect nor answered.
    Asking,
    Connecting,
    InUse,
}

#[derive(Debug)]
struct Request {
    on: usize,
    stage: Stage,
    address: Option<Address>,
    asked: Instant,
}

struct World {
    lab: Lab,
    route: Arc<Route>,
    requests: BTreeMap<u32, Request>,
    /// In each loop, who asked and was neither told to connect nor answered, in order.
    waiting: [VecDeque<u32>; LOOPS],
    kept: BTreeMap<(usize, KeptId), Address>,
    /// Wake-ups that are under way.
    wakes: BTreeSet<usize>,
    /// What each address was last said to be, and when it was last tried.
    down: BTreeMap<Address, bool>,
    tried: BTreeMap<Address, Instant>,
    next: u32,
}

impl World {
    fn new(choice: EndpointChoice) -> Self {
        let reuse = Some(Reuse { idle: Duration::from_secs(3), age: Duration::from_secs(9) });
        let max_connections = u32::try_from(LIMIT).unwrap();
        Self {
            lab: Lab::new(u32::try_from(LOOPS).unwrap()),
            route: Arc::new(Route { choice, reuse, max_connections, ..route(&["/a", "/b"]) }),
            requests: BTreeMap::new(),
            waiting: Default::default(),
            kept: BTreeMap::new(),
            wakes: BTreeSet::new(),
            down: BTreeMap::new(),
            tried: BTreeMap::new(),
            next: 0,
        }
    }

    fn pick(&self, number: u8, wanted: impl Fn(&Request) -> bool) -> Option<(u32, usize)> {
        let found: Vec<_> = self.requests.iter().filter(|(_, request)| wanted(request)).collect();
        let (session, request) = found.get(usize::from(number) % found.len().max(1))?;
        Some((**session, request.on))
    }

    fn step(&mut self, (what, number, more): (u8, u8, u8)) {
        let now = self.lab.now;
        match what {
            0..=5 => {
                let on = usize::from(number) % LOOPS;
                self.next += 1;
                let request = Request { on, stage: Stage::Asking, address: None, asked: now };
                self.requests.insert(self.next, request);
                self.waiting[on].push_back(self.next);
                let offer = offer(5 + u32::from(more % 2));
                let route = Arc::clone(&self.route);
                self.lab.pools[on].acquire(now, ticket(self.next), route, offer, more > 200);
            }
            6..=11 => {
                let Some((session, on)) = self.pick(number, |request| request.stage == Stage::Connecting)
                else {
                    return;
                };
                match more % 8 {
                    0 | 1 => self.fail(on, session, REFUSED),
                    2 => self.fail(on, session, BUSY),
                    3 => self.fail(on, session, EXHAUSTED),
                    4 => self.lab.pools[on].unwell(now, ticket(session), REFUSED),
                    _ => self.lab.pools[on].connected(now, ticket(session)),
                }
            }
            12..=15 => {
                let Some((session, on)) = self.pick(number, |request| request.stage == Stage::InUse) else {
                    return;
                };
                match more % 8 {
                    0 => self.lab.pools[on].unwell(now, ticket(session), REFUSED),
                    1 => {
                        self.lab.pools[on].lost(now, ticket(session), REFUSED);
                        self.requests.remove(&session);
                    }
                    2 | 3 => self.lab.pools[on].learned(now, ticket(session), offer(2)),
                    _ => {
                        if let Some(id) = self.lab.give_back(on, session) {
                            let address = self.requests[&session].address.clone().unwrap();
                            assert!(self.kept.insert((on, id), address).is_none());
                        }
                        self.requests.remove(&session);
                    }
                }
            }
            16..=18 => {
                let Some((session, on)) = self.pick(number, |_| true) else { return };
                self.lab.over(on, session);
                self.requests.remove(&session);
                self.waiting[on].retain(|waits| *waits != session);
            }
            19 => self.lab.pass(Duration::from_millis(u64::from(more) * 20)),
            20 => {
                let Some((&(on, id), _)) = self.kept.iter().nth(usize::from(number) % self.kept.len().max(1))
                else {
                    return;
                };
                self.lab.pools[on].disturbed(id);
            }
            _ => self.wake(),
        }
    }

    fn fail(&mut self, on: usize, session: u32, error: millstream_core::machine::IoError) {
        let request = self.requests.get_mut(&session).unwrap();
        (request.stage, request.address) = (Stage::Asking, None);
        self.lab.fail(on, session, error);
    }

    fn wake(&mut self) {
        if let Some(on) = self.wakes.pop_first() {
            self.lab.pools[on].woken(self.lab.now);
        }
    }

    /// Hears what all pools say and holds it against what they may say.
    fn listen(&mut self) {
        for on in 0..LOOPS {
            while let Some(action) = self.lab.pools[on].poll() {
                self.hear(on, action);
            }
        }
        let in_use = self.requests.values().filter(|request| request.stage != Stage::Asking).count();
        assert!(in_use <= LIMIT, "{in_use} connections in use");
        for session in self.waiting.iter().flatten() {
            let waited = self.lab.now.since(self.requests[session].asked);
            assert!(waited < QUEUE, "a request was forgotten for {waited:?}");
        }
    }

    fn hear(&mut self, on: usize, action: Action) {
        match action {
            Action::Connect { ticket, address } => {
                let now = self.lab.now;
                // One that found the child busy keeps its right to try.
                if self.requests[&ticket.session].asked == now {
                    let before = self.tried.insert(address.clone(), now).unwrap_or_default();
                    let down = self.down.get(&address) == Some(&true);
                    assert!(!down || now.since(before) >= RETRY, "a child that is down was tried too early");
                }
                self.served(on, ticket.session);
                let request = self.requests.get_mut(&ticket.session).unwrap();
                assert_eq!((request.on, request.stage), (on, Stage::Asking));
                (request.stage, request.address) = (Stage::Connecting, Some(address));
            }
            Action::Ready { ticket, kept, .. } => {
                let request = self.requests.get_mut(&ticket.session).unwrap();
                match kept {
                    None => assert_eq!(request.stage, Stage::Connecting),
                    Some(id) => {
                        assert_eq!(request.stage, Stage::Asking);
                        request.address = self.kept.remove(&(on, id));
                        assert!(request.address.is_some(), "a connection that is not kept was given away");
                    }
                }
                request.stage = Stage::InUse;
                self.served(on, ticket.session);
            }
            Action::Refused { ticket, .. } => {
                let request = self.requests.remove(&ticket.session).unwrap();
                assert_eq!(request.stage, Stage::Asking);
                self.waiting[on].retain(|waits| *waits != ticket.session);
            }
            Action::Close { kept } => {
                assert!(self.kept.remove(&(on, kept)).is_some(), "closed twice");
            }
            Action::Wake { event_loop } => {
                self.wakes.insert(event_loop as usize);
            }
            Action::Notice(Notice::ChildDown { address, .. }) => {
                self.tried.insert(address.clone(), self.lab.now);
                assert_ne!(self.down.insert(address, true), Some(true), "told twice");
            }
            Action::Notice(Notice::ChildUp { address, .. }) => {
                assert_eq!(self.down.insert(address, false), Some(true), "told twice");
            }
            Action::Notice(other) => panic!("{other:?}"),
        }
    }

    /// Of those of a loop that wait, the one that waits longest is served.
    fn served(&mut self, on: usize, session: u32) {
        if let Some(place) = self.waiting[on].iter().position(|waits| *waits == session) {
            assert_eq!(place, 0, "a session was overtaken");
            self.waiting[on].pop_front();
        }
    }

    /// Everybody is served in the end, without time passing, and nothing is left.
    fn end(mut self) {
        while !self.requests.is_empty() {
            while !self.wakes.is_empty() {
                self.wake();
                self.listen();
            }
            // Who waits has not been told anything; the others hold places.
            let waits: BTreeSet<u32> = self.waiting.iter().flatten().copied().collect();
            let holder = self.requests.iter().find(|(session, _)| !waits.contains(session));
            let Some((&session, &Request { on, .. })) = holder else {
                assert!(self.requests.is_empty(), "no place was handed over");
                break;
            };
            self.lab.over(on, session);
            self.requests.remove(&session);
            self.listen();
        }
        while !self.wakes.is_empty() {
            self.wake();
            self.listen();
        }
        for state in self.lab.shared.states() {
            assert_eq!((state.in_use, state.waiting), (0, 0));
            let kept = self.kept.values().filter(|address| **address == state.address).count();
            assert_eq!(state.kept as usize, kept);
        }
        self.lab.pass(Duration::from_secs(60));
        self.listen();
        assert_eq!(self.kept.len(), 0);
        assert!(self.lab.pools.iter().all(|pool| pool.deadline().is_none()));
        // All places are free again, for a socket that was never down.
        let elsewhere = Arc::new(Route { max_connections: self.route.max_connections, ..route(&["/c"]) });
        for on in 0..LIMIT {
            let session = 1_000_000 + u32::try_from(on).unwrap();
            self.lab.ask(on, session, &elsewhere);
            assert!(matches!(self.lab.says(on)[..], [Action::Connect { .. }]), "a place is lost");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn places_are_never_exceeded_nobody_is_forgotten_or_overtaken_and_each_change_is_told_once(
        steps in proptest::collection::vec((0u8..24, any::<u8>(), any::<u8>()), 0..300),
        choice in 0..3,
    ) {
        let choices = [EndpointChoice::Failover, EndpointChoice::RoundRobin, EndpointChoice::LeastBusy];
        let mut world = World::new(choices[usize::try_from(choice).unwrap()]);
        for step in steps {
            world.step(step);
            world.listen();
        }
        world.end();
    }
}
