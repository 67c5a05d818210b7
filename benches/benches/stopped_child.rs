//! A chain of three children of which a condition stops one at CONNECT, against the same chain without the condition and
//! against a chain without that child: with and without lazy connect.
//!
//! The configuration has no conditions yet, so the policy is the bench's own, on `millstream-runtime-std`.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use millstream_benches::child::{self, Wishes};
use millstream_benches::meter::Threads;
use millstream_benches::side::{Side, by_turns, calls_each, ratio};
use millstream_benches::visit::{Ending, Visits};
use millstream_core::chain::Session;
use millstream_core::event::Event;
use millstream_core::policy::{
    Answers, ChildIndex, ChildSettings, Decision, Effects, Endpoint, Environment, Facts, Fallback, Limits,
    Notes, Policy, Route, Timeouts, Why,
};
use millstream_core::service::{Notice, Service, SessionId};
use millstream_core::wire::Stage;
use millstream_runtime_std::{Listener, Options, Server};
use millstream_tests::scratch::Scratch;

const ROUNDS: usize = 9;
const SESSIONS: usize = 200;
/// The child that is stopped.
const STOPPED: ChildIndex = ChildIndex(1);

/// Name, whether the child is there, whether it is stopped, lazy connect. The first is what the others are compared with.
const SIDES: [(&str, bool, bool, bool); 6] = [
    ("three, eager", true, false, false),
    ("three, lazy", true, false, true),
    ("one stopped, eager", true, true, false),
    ("one stopped, lazy", true, true, true),
    ("only two, eager", false, false, false),
    ("only two, lazy", false, false, true),
];

#[derive(Debug)]
struct Stops {
    children: Vec<ChildSettings>,
    limits: Limits,
    stops: bool,
    lazy: bool,
}

impl Policy for Stops {
    fn children(&self) -> &[ChildSettings] {
        &self.children
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn fallback(&self) -> Fallback {
        Fallback::Accept
    }

    fn lazy_connect(&self) -> bool {
        self.lazy
    }

    /// As the configuration's default is.
    fn pipelining(&self, _: ChildIndex) -> bool {
        true
    }

    fn watches(&self, child: ChildIndex, stage: Stage) -> bool {
        self.stops && child == STOPPED && stage == Stage::Connect
    }

    fn decide(&self, child: ChildIndex, stage: Stage, _: &Facts<'_>, _: &Answers, _: &mut Notes) -> Decision {
        if self.watches(child, stage) {
            return Decision::Stop(Why { condition: "trusted".into(), place: "bench:1".into() });
        }
        Decision::Run(Effects::default())
    }
}

/// Sessions under one policy, of which nobody hears.
struct Silent(Arc<Stops>);

impl Service for Silent {
    type Machine = Session;

    fn accept(&self, _: SessionId, environment: Environment) -> Session {
        Session::new(Arc::<Stops>::clone(&self.0), environment)
    }

    fn event(&self, _: SessionId, _: Event) {}

    fn notice(&self, _: Notice) {}
}

fn start(scratch: &Path, index: usize) -> io::Result<(Side, Server)> {
    let (name, there, stops, lazy) = SIDES[index];
    let folder = scratch.join(index.to_string());
    std::fs::create_dir(&folder)?;
    let mut wishes = vec![Wishes::OPENDKIM, Wishes::CLAMAV_MILTER, Wishes::SPAMASS_MILTER];
    if !there {
        wishes.remove(usize::from(STOPPED.0));
    }
    let mut accepted = Vec::new();
    let mut children = Vec::new();
    for (number, wishes) in wishes.into_iter().enumerate() {
        let socket = folder.join(format!("child{number}"));
        accepted.push(child::listen(&socket, wishes)?);
        let endpoint = Endpoint::Unix(Arc::from(socket.as_os_str().as_encoded_bytes()));
        let name = format!("child{number}");
        children.push(ChildSettings {
            route: Route::to(&name, endpoint),
            name: Arc::from(name),
            fallback: Fallback::TemporaryFailure,
            evaluation_mode: false,
            timeouts: Timeouts::default(),
        });
    }
    let socket = folder.join("manager");
    let listener = Listener::Unix(UnixListener::bind(&socket)?);
    let policy = Stops { children, limits: Limits::default(), stops, lazy };
    let service = Arc::new(Silent(Arc::new(policy)));
    let options = Options { loops: 1, ..Options::default() };
    let (threads, server) =
        Threads::started_by(|| millstream_runtime_std::start(vec![listener], service, options))?;
    Ok((Side::in_process(name, &folder, &socket, threads, accepted), server))
}

fn main() -> io::Result<()> {
    println!(
        "for a session, in times of three children without lazy connect; {ROUNDS} rounds: median (least to most)"
    );
    println!(
        "{:8} {:20} {:>22} {:>22} {:>7} {:>12}",
        "ends at", "chain", "time of the manager", "time of all", "calls", "connections"
    );
    let scratch = Scratch::new("stopped");
    let started: io::Result<Vec<_>> = (0..SIDES.len()).map(|index| start(scratch.path(), index)).collect();
    let (sides, servers): (Vec<_>, Vec<_>) = started?.into_iter().unzip();
    let visits = Visits::default();
    for ending in Ending::ALL {
        let run = |socket: &Path| visits.visits(socket, &[ending], SESSIONS);
        let costs = by_turns(&sides, ROUNDS, SESSIONS, run)?;
        for ((side, costs_here), (_, there, stops, lazy)) in sides.iter().zip(&costs).zip(SIDES) {
            let calls = side.calls(run)?;
            let connections =
                costs_here.iter().map(|cost| cost.connections).sum::<f64>() / costs_here.len() as f64;
            println!(
                "{:8} {:20} {:>22} {:>22} {:>7} {connections:>12.2}",
                ending.name(),
                side.name,
                ratio(costs_here, &costs[0], |cost| cost.manager),
                ratio(costs_here, &costs[0], |cost| cost.all),
                calls_each(calls.as_ref(), SESSIONS),
            );
            // All three want CONNECT.
            let expected = if !there || stops && lazy { 2.0 } else { 3.0 };
            assert!((connections - expected).abs() < 1e-3, "{connections} connections instead of {expected}");
        }
    }
    for server in servers {
        server.stop_now();
        let _ = server.join();
    }
    Ok(())
}
