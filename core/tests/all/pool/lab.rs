//! A few pools, as of the loops of one process, on a clock of their own.

use std::sync::Arc;
use std::time::Duration;

use millstream_core::machine::{IoError, IoKind, Peer, Refusal};
use millstream_core::policy::{ChildIndex, Endpoint, EndpointChoice, Reuse, Route};
use millstream_core::pool::{Action, Address, KeptId, Pool, Ticket};
use millstream_core::time::Instant;
use millstream_core::wire::Negotiation;
use millstream_shared::Children;

pub(crate) const RETRY: Duration = Duration::from_secs(5);
pub(crate) const QUEUE: Duration = Duration::from_secs(2);
pub(crate) const REFUSED: IoError = IoError { kind: IoKind::Refused, code: 111 };
pub(crate) const BUSY: IoError = IoError { kind: IoKind::Busy, code: 11 };
pub(crate) const EXHAUSTED: IoError = IoError { kind: IoKind::Exhausted, code: 24 };

pub(crate) struct Lab {
    pub(crate) shared: Arc<Children>,
    pub(crate) pools: Vec<Pool>,
    pub(crate) now: Instant,
}

pub(crate) fn unix(path: &str) -> Endpoint {
    Endpoint::Unix(Arc::from(path.as_bytes()))
}

pub(crate) fn at(path: &str) -> Address {
    Address::Unix(Arc::from(path.as_bytes()))
}

pub(crate) fn tcp(ports: &[u16]) -> Endpoint {
    Endpoint::Tcp(ports.iter().map(|port| ([127, 0, 0, 1], *port).into()).collect())
}

pub(crate) fn route(paths: &[&str]) -> Route {
    Route {
        endpoints: paths.iter().map(|path| unix(path)).collect(),
        retry_interval: RETRY,
        queue_timeout: QUEUE,
        ..(*Route::to("clamav", unix("/a"))).clone()
    }
}

pub(crate) fn choosing(choice: EndpointChoice) -> Arc<Route> {
    Arc::new(Route { choice, ..route(&["/a", "/b", "/c"]) })
}

pub(crate) fn limited(max_connections: u32) -> Arc<Route> {
    Arc::new(Route { max_connections, ..route(&["/a"]) })
}

pub(crate) fn reusing() -> Arc<Route> {
    let reuse = Some(Reuse { idle: Duration::from_secs(10), age: Duration::from_secs(25) });
    Arc::new(Route { reuse, ..route(&["/a"]) })
}

pub(crate) fn ticket(session: u32) -> Ticket {
    Ticket { session, peer: Peer::child(ChildIndex(0), 0) }
}

pub(crate) fn offer(version: u32) -> Negotiation {
    Negotiation { version, ..Negotiation::default() }
}

impl Lab {
    pub(crate) fn new(loops: u32) -> Self {
        let shared = Arc::new(Children::new());
        let pools = (0..loops).map(|own| Pool::new(own, shared.clone())).collect();
        Self { shared, pools, now: Instant::from_nanos(1_000_000_000) }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        for pool in &mut self.pools {
            pool.tick(self.now);
        }
    }

    pub(crate) fn ask(&mut self, on: usize, session: u32, route: &Arc<Route>) {
        self.pools[on].acquire(self.now, ticket(session), Arc::clone(route), offer(6), false);
    }

    pub(crate) fn fail(&mut self, on: usize, session: u32, error: IoError) {
        self.pools[on].failed(self.now, ticket(session), error);
    }

    pub(crate) fn over(&mut self, on: usize, session: u32) {
        self.pools[on].over(self.now, ticket(session));
    }

    /// The child takes the connection and answers.
    pub(crate) fn answer(&mut self, on: usize, session: u32) {
        self.pools[on].connected(self.now, ticket(session));
        self.pools[on].learned(self.now, ticket(session), offer(2));
    }

    pub(crate) fn give_back(&mut self, on: usize, session: u32) -> Option<KeptId> {
        self.pools[on].released(self.now, ticket(session), Box::new(offer(2)))
    }

    /// All that a pool says; whom it wakes is woken.
    pub(crate) fn says(&mut self, on: usize) -> Vec<Action> {
        let mut said = Vec::new();
        while let Some(action) = self.pools[on].poll() {
            match action {
                Action::Wake { event_loop } => self.pools[event_loop as usize].woken(self.now),
                other => said.push(other),
            }
        }
        said
    }

    /// A session asks, is told where to connect to, and the child answers. Returns where.
    pub(crate) fn connect(&mut self, on: usize, session: u32, route: &Arc<Route>) -> Address {
        self.ask(on, session, route);
        let said = self.says(on);
        let [Action::Connect { address, .. }] = &said[..] else { panic!("{said:?}") };
        self.answer(on, session);
        self.says(on);
        address.clone()
    }
}

pub(crate) fn connect(session: u32, path: &str) -> Action {
    Action::Connect { ticket: ticket(session), address: at(path) }
}

pub(crate) fn fresh(session: u32) -> Action {
    Action::Ready { ticket: ticket(session), kept: None, negotiated: None }
}

pub(crate) fn refused(session: u32, why: Refusal) -> Action {
    Action::Refused { ticket: ticket(session), why }
}
