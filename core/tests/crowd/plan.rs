//! What happens in a crowd: plain data, made from chance.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use millstream_core::policy::{Endpoint, EndpointChoice, Fallback, Reuse, Route};
use millstream_core::pool::Address;

use crate::rng::Rng;

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1000 * MS;

/// How a child's process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Up,
    /// Its socket is there and nobody listens.
    Refuses,
    /// There is no socket.
    Missing,
    /// Whoever connects waits for ever.
    Hangs,
    /// It takes connections and says nothing any more, as a process that is stopped.
    Mute,
    /// The queue of its listener is full.
    Busy,
}

/// Something that happens to a child's process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) at: u64,
    pub(crate) server: usize,
    pub(crate) mode: Mode,
    /// Its connections end.
    pub(crate) kills: bool,
    /// What it negotiates from then on.
    pub(crate) terms: usize,
}

pub(crate) struct ServerPlan {
    pub(crate) child: usize,
    pub(crate) address: Address,
    /// Connecting takes time, as it does over a network.
    pub(crate) slow: bool,
}

pub(crate) struct ChildPlan {
    /// The route of each configuration, one after another.
    pub(crate) routes: Vec<Arc<Route>>,
    /// The protocol bits that it may answer with.
    pub(crate) terms: [u32; 2],
    /// By kind of failure: connect, timeout, protocol, closed.
    pub(crate) fallbacks: [Fallback; 4],
    pub(crate) pipelining: bool,
    /// How many of a hundred answers take long.
    pub(crate) slow: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The message is taken back.
    Abort,
    /// The client says goodbye.
    Quit,
    /// The connection is just closed.
    Vanish,
}

#[derive(Clone, Debug)]
pub(crate) struct MessagePlan {
    pub(crate) sender: String,
    pub(crate) recipients: Vec<String>,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<String>,
    /// Before the command with this letter it ends in this way.
    pub(crate) exit: Option<(u8, Exit)>,
}

/// What the MTA sends as one milter session.
#[derive(Clone, Debug)]
pub(crate) struct PartPlan {
    pub(crate) host: String,
    pub(crate) helo: Option<String>,
    pub(crate) messages: Vec<MessagePlan>,
}

#[derive(Clone, Debug)]
pub(crate) struct SessionPlan {
    pub(crate) at: u64,
    pub(crate) on: usize,
    pub(crate) actions: u32,
    /// Sessions on one connection, with QUIT_NC between them.
    pub(crate) parts: Vec<Rc<PartPlan>>,
    /// How long it waits for an answer.
    pub(crate) patience: u64,
    /// How long it thinks before a command, at most.
    pub(crate) pace: u64,
}

pub(crate) struct Plan {
    pub(crate) loops: usize,
    pub(crate) lazy: bool,
    pub(crate) servers: Vec<ServerPlan>,
    pub(crate) children: Vec<ChildPlan>,
    pub(crate) sessions: Vec<SessionPlan>,
    pub(crate) changes: Vec<Change>,
    /// When this process has no descriptors left.
    pub(crate) exhausted: Vec<(u64, u64)>,
    pub(crate) reloads: Vec<u64>,
    pub(crate) stop: Option<u64>,
    /// Of a hundred connections, how many break by themselves.
    pub(crate) breaks: u64,
    /// Of a hundred kept connections, how many end or say something by themselves.
    pub(crate) stale: u64,
}

pub(crate) const CONNECTION_TIMEOUT: Duration = Duration::from_millis(4000);
pub(crate) const READING_TIMEOUT: Duration = Duration::from_millis(3000);

impl Plan {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let rough = !rng.chance(12);
        let length = rng.between(2, 12) * SECOND;
        let mut plan = Self {
            loops: rng.between(2, 3) as usize,
            lazy: rng.chance(50),
            servers: Vec::new(),
            children: Vec::new(),
            sessions: Vec::new(),
            changes: Vec::new(),
            exhausted: Vec::new(),
            reloads: Vec::new(),
            stop: None,
            breaks: if rough && rng.chance(50) { rng.between(1, 40) } else { 0 },
            stale: if rough && rng.chance(50) { rng.between(5, 50) } else { 0 },
        };
        if rng.chance(25) {
            plan.reloads = (0..rng.between(1, 4)).map(|_| rng.below(length)).collect();
        }
        for child in 0..rng.between(1, 3) as usize {
            let child = plan.child(rng, child);
            plan.children.push(child);
        }
        if rough {
            let together = rng.chance(40);
            for server in 0..plan.servers.len() {
                let first =
                    plan.servers.iter().position(|it| it.child == plan.servers[server].child).unwrap();
                if !together || first == server {
                    plan.outages(rng, server, length);
                } else {
                    // All sockets of a child go with its machine.
                    let same = plan.changes.iter().filter(|change| change.server == first);
                    let same: Vec<Change> = same.map(|change| Change { server, ..*change }).collect();
                    plan.changes.extend(same);
                }
            }
            if rng.chance(15) {
                let from = rng.below(length);
                plan.exhausted.push((from, from + rng.between(10, 1500) * MS));
            }
        }
        // Not at any time: while something is going on.
        let near = |rng: &mut Rng, changes: &[Change]| match changes {
            [] => rng.below(length),
            _ => rng.pick(changes).at + rng.below(1500 * MS),
        };
        plan.stop = rng.chance(30).then(|| near(rng, &plan.changes));
        plan.reloads = plan.reloads.iter().map(|_| near(rng, &plan.changes)).collect();
        for number in 0..rng.between(3, 40) as u32 {
            let at = if rng.chance(60) { near(rng, &plan.changes) } else { rng.below(length) };
            let session = plan.session(rng, number, at);
            plan.sessions.push(session);
        }
        plan
    }

    fn child(&mut self, rng: &mut Rng, child: usize) -> ChildPlan {
        let mut endpoints = Vec::new();
        for number in 0..*rng.pick(&[1, 1, 2, 3]) {
            let port = 1000 + child as u16 * 100 + number * 10;
            if rng.chance(50) {
                let path: Arc<[u8]> = Arc::from(format!("/c{child}/{number}").as_bytes());
                self.servers.push(ServerPlan { child, address: Address::Unix(path.clone()), slow: false });
                endpoints.push(Endpoint::Unix(path));
            } else {
                let addresses: Vec<_> =
                    (0..rng.between(1, 2) as u16).map(|n| ([127, 0, 0, 1], port + n).into()).collect();
                for address in &addresses {
                    self.servers.push(ServerPlan { child, address: Address::Tcp(*address), slow: true });
                }
                endpoints.push(Endpoint::Tcp(addresses.into()));
            }
        }
        let route = Route {
            endpoints: endpoints.into(),
            ..(*Route::to(&format!("c{child}"), Endpoint::Tcp(Arc::from([])))).clone()
        };
        let mut routes = vec![Arc::new(settings(rng, &route))];
        for _ in 0..self.reloads.len() {
            let last = routes.last().unwrap();
            // Most reloads change something else: the route is another one, and the same.
            let next = if rng.chance(50) { Route::clone(last) } else { settings(rng, last) };
            routes.push(Arc::new(next));
        }
        let pipelining = rng.chance(50);
        // Who stops half-way with more on its way has to see where the next message begins.
        let optional = if pipelining { 0x37b } else { 0x37f };
        let terms = [0, 1].map(|_| {
            let unwanted = if rng.chance(50) { 0 } else { 30 };
            let silent = *rng.pick(&[0, 0, 20, 100]);
            rng.some_bits(optional, unwanted) | rng.some_bits(0xff080, silent)
        });
        let kinds = [Fallback::Accept, Fallback::TemporaryFailure, Fallback::Reject];
        let usual = *rng.pick(&kinds);
        let fallbacks = [0; 4].map(|_| if rng.chance(80) { usual } else { *rng.pick(&kinds) });
        let slow = if rng.chance(30) { 5 } else { 0 };
        ChildPlan { routes, terms, fallbacks, pipelining, slow }
    }

    /// When a child's process is down, and how.
    fn outages(&mut self, rng: &mut Rng, server: usize, length: u64) {
        let mut at = 0;
        let mut terms = 0;
        if rng.chance(30) {
            return;
        }
        loop {
            at += rng.between(200, 6000) * MS;
            if at > length {
                return;
            }
            let mode = *rng.pick(&[
                Mode::Refuses,
                Mode::Refuses,
                Mode::Missing,
                Mode::Hangs,
                Mode::Hangs,
                Mode::Mute,
                Mode::Mute,
                Mode::Busy,
            ]);
            let kills = matches!(mode, Mode::Refuses | Mode::Missing) && rng.chance(80);
            self.changes.push(Change { at, server, mode, kills, terms });
            at += rng.between(20, 4000) * MS;
            if rng.chance(25) {
                terms = 1 - terms;
            }
            let restarts = kills || rng.chance(20);
            self.changes.push(Change { at, server, mode: Mode::Up, kills: restarts, terms });
        }
    }

    fn session(&self, rng: &mut Rng, number: u32, at: u64) -> SessionPlan {
        let parts = if rng.chance(20) { rng.between(2, 3) } else { 1 };
        let patience = *rng.pick(&[10, 100, 500, 2000]);
        let patience = rng.between(1, patience);
        SessionPlan {
            at,
            on: rng.below(self.loops as u64) as usize,
            actions: if rng.chance(75) { 0x1ff } else { 0xff },
            parts: (0..parts).map(|part| Rc::new(self.part(rng, number, part as u32))).collect(),
            patience: if rng.chance(25) { patience * MS } else { 100 * SECOND },
            pace: *rng.pick(&[0, 0, 2, 20, 400]) * MS,
        }
    }

    fn part(&self, rng: &mut Rng, session: u32, part: u32) -> PartPlan {
        let tag = format!("#{session}.{part}.0#");
        let mut mark = |percent| self.mark(rng, percent);
        let host = format!("{}h{tag}", mark(3));
        let helo = format!("{}e{tag}", mark(3));
        let helo = (!rng.chance(10)).then_some(helo);
        let count = *rng.pick(&[0, 1, 1, 1, 2, 3]);
        let messages = (1..=count).map(|message| self.message(rng, &format!("#{session}.{part}.{message}#")));
        PartPlan { host, helo, messages: messages.collect() }
    }

    fn message(&self, rng: &mut Rng, tag: &str) -> MessagePlan {
        let sender = format!("<{}s{tag}>", self.mark(rng, 8));
        let recipients =
            (0..rng.between(1, 3)).map(|n| format!("<{}r{n}{tag}>", self.mark(rng, 8))).collect();
        let headers = (0..rng.below(6)).map(|_| format!("{}v{tag}", self.mark(rng, 4))).collect();
        let body = (0..rng.below(3)).map(|_| format!("{}b{tag}", self.mark(rng, 4))).collect();
        let exit = rng
            .chance(15)
            .then(|| (*rng.pick(b"RRTLBE"), *rng.pick(&[Exit::Abort, Exit::Quit, Exit::Vanish])));
        MessagePlan { sender, recipients, headers, body, exit }
    }

    /// A verdict of some child, mostly none.
    fn mark(&self, rng: &mut Rng, percent: u64) -> String {
        if !rng.chance(percent) {
            return String::new();
        }
        let letter = *rng.pick(&['r', 'r', 't', 'a']);
        format!("{letter}{}!", rng.below(self.children.len() as u64))
    }
}

fn settings(rng: &mut Rng, route: &Route) -> Route {
    let milliseconds = |rng: &mut Rng, low, high| Duration::from_millis(rng.between(low, high));
    let choices = [EndpointChoice::Failover, EndpointChoice::RoundRobin, EndpointChoice::LeastBusy];
    let reuse = rng
        .chance(60)
        .then(|| Reuse { idle: milliseconds(rng, 100, 3000), age: milliseconds(rng, 500, 8000) });
    Route {
        choice: *rng.pick(&choices),
        max_connections: if rng.chance(50) { rng.between(1, 5) as u32 } else { 0 },
        queue_timeout: milliseconds(rng, 100, 2500),
        retry_interval: milliseconds(rng, 200, 3000),
        reuse,
        ..route.clone()
    }
}
