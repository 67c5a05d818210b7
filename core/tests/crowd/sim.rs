//! One crowd, from the first client to the last connection that is closed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use millstream_core::machine::Peer;
use millstream_core::policy::{ChildIndex, Route};
use millstream_core::pool::{Action, Ticket};
use millstream_core::wire::Negotiation;
use millstream_shared::Children;

use crate::coverage::Coverage;
use crate::event_loop::EventLoop;
use crate::plan::SECOND;
use crate::policy::Configured;
use crate::rng::Rng;
use crate::town::{Do, Town};

/// What a crowd did, and what was wrong with it.
pub(crate) struct Report {
    pub(crate) error: Option<String>,
    pub(crate) coverage: Coverage,
    /// Empty unless it was asked for.
    pub(crate) transcript: String,
}

/// Long after the last session, and the last time limit.
const END: u64 = 400 * SECOND;

pub(crate) fn run(seed: u64, with_transcript: bool) -> Report {
    let mut town = Town::new(Rng::new(seed), with_transcript);
    let caught = catch_unwind(AssertUnwindSafe(|| Crowd::new(&town).live(&mut town)));
    let error = caught.err().map(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?").to_string()
    });
    let mut transcript = town.log.unwrap_or_default().join("\n");
    transcript.push('\n');
    Report { error, coverage: town.coverage, transcript }
}

struct Crowd {
    shared: Arc<Children>,
    loops: Vec<EventLoop>,
    reloads: usize,
    turns: u64,
}

impl Crowd {
    fn new(town: &Town) -> Self {
        let shared = Arc::new(Children::new());
        let policy = Configured::of(&town.plan, 0);
        let event_loop = |own| EventLoop::new(own, &shared, Arc::clone(&policy));
        let loops = (0..town.plan.loops).map(event_loop).collect();
        Self { shared, loops, reloads: 0, turns: 0 }
    }

    fn live(mut self, town: &mut Town) {
        while let Some(what) = town.next(END) {
            self.perform(town, what);
        }
        for event_loop in &self.loops {
            let left = event_loop.sessions.iter().flatten().map(|session| session.mta.number);
            let left: Vec<u32> = left.collect();
            assert!(left.is_empty(), "sessions have no end: {left:?}");
            event_loop.check_end(town);
            assert_eq!(event_loop.deadline(), None, "a pool waits for something");
        }
        self.check_counts(town);
        let open = town.connections.iter().filter(|connection| !connection.closed).count();
        assert_eq!(open, 0, "connections are left open");
        self.check_places(town);
    }

    fn perform(&mut self, town: &mut Town, what: Do) {
        match what {
            Do::Arrive(number) => {
                let on = town.plan.sessions[number].on;
                self.loops[on].accept(town, number);
            }
            Do::Turn(own) => {
                let wakes = self.loops[own].turn(town);
                self.wake(town, &wakes);
                self.turns += 1;
                if self.turns.is_multiple_of(16) {
                    self.check_counts(town);
                }
                self.watch_places(town);
            }
            Do::Mta(own, index, number) => {
                let session = self.loops[own].session(index).filter(|session| session.mta.number == number);
                let Some(session) = session else { return };
                let before = session.mta.outbox.len();
                let next = session.mta.act(town);
                if session.mta.outbox.len() > before || session.mta.closed {
                    town.noted[own].push(index);
                    town.call(own);
                }
                if let Some(at) = next {
                    town.at(at.max(town.now + 1), what);
                }
            }
            Do::Change(number) => town.change(number),
            Do::Connected(id) => town.connected(id),
            Do::Child(id) => town.child(id),
            Do::Spoil(id, says) => town.spoil(id, says),
            Do::Reload => {
                self.reloads += 1;
                town.note(|| "the configuration is read anew".into());
                let policy = Configured::of(&town.plan, self.reloads);
                self.loops.iter_mut().for_each(|event_loop| event_loop.reload(Arc::clone(&policy)));
            }
            Do::Stop => {
                town.note(|| "everything stops".into());
                for own in 0..self.loops.len() {
                    let wakes = self.loops[own].stop(town);
                    self.wake(town, &wakes);
                }
            }
        }
    }

    fn wake(&mut self, town: &mut Town, wakes: &[usize]) {
        for &own in wakes {
            self.loops[own].woken = true;
            town.call(own);
        }
    }

    /// The gauges that people see say what is.
    fn check_counts(&self, town: &mut Town) {
        for state in self.shared.states() {
            let child = crate::desk::number(&state.child);
            let waiting = town.ledger.waiting(child);
            let standing = town.ledger.of(child, &state.address);
            assert_eq!(i64::from(state.in_use), standing.in_use, "connections in use at {}", state.address);
            assert_eq!(state.waiting as usize, waiting, "requests that wait for {}", state.child);
            assert_eq!(state.outage.is_some(), standing.down, "whether {} is down", state.address);
        }
    }

    fn watch_places(&self, town: &mut Town) {
        if town.plan.reloads.is_empty() {
            for child in 0..town.plan.children.len() {
                let limit = town.plan.children[child].routes[0].max_connections;
                town.ledger.check_places(child, limit, town.now);
            }
        }
    }

    /// All places are free again, at an address that was never down.
    fn check_places(&mut self, town: &mut Town) {
        for child in 0..town.plan.children.len() {
            assert_eq!(town.ledger.held(child), 0, "places of c{child} are taken");
            let limit = 7;
            let route = Arc::new(Route {
                max_connections: limit,
                ..(*Route::to(
                    &format!("c{child}"),
                    millstream_core::policy::Endpoint::Unix(Arc::from(&b"/new"[..])),
                ))
                .clone()
            });
            town.plan.children[child].routes.push(route.clone());
            for session in 0..limit {
                let peer = Peer::child(ChildIndex(child as u16), 0);
                let ticket = Ticket { session: 1_000_000 + session, peer };
                let desk = self.loops[0].desk();
                desk.acquire(town, ticket, route.clone(), Negotiation::default(), false);
                let said = desk.said.pop_back();
                assert!(
                    matches!(said, Some(Action::Connect { .. })),
                    "a place of c{child} is lost: {said:?}"
                );
            }
        }
    }
}
