//! What sessions cost that end early, and a mix of them: with and without `manager.lazy_connect`, with and without
//! `milter.reuse_connections`, in front of three children that want what real ones want, and of three that want nothing
//! before MAIL.

use std::io;

use millstream_benches::child::Wishes;
use millstream_benches::side::{Side, by_turns, calls_each, ratio};
use millstream_benches::visit::{Ending, Visits};
use millstream_tests::scratch::Scratch;

const ROUNDS: usize = 7;
const SESSIONS: usize = 200;

/// The first is what the others are compared with.
const MANAGERS: [(&str, bool, bool); 4] = [
    ("eager", false, false),
    ("lazy", true, false),
    ("eager, reuse", false, true),
    ("lazy, reuse", true, true),
];

/// Children that a session with this end has to connect, where it connects to no more than that.
fn shown(children: &[Wishes], ending: Ending) -> usize {
    children.iter().filter(|child| !child.protocol.has(ending.unwanted_by())).count()
}

fn measure(name: &str, children: &[Wishes], visits: &Visits) -> io::Result<()> {
    let scratch = Scratch::new("sessions");
    let mut sides = Vec::new();
    for (side, lazy, reuse) in MANAGERS {
        let settings = format!("manager.lazy_connect = {lazy}");
        let child = format!("milter.reuse_connections = {reuse}");
        sides.push(Side::start(scratch.path(), side, children, &settings, &child)?);
    }
    let kinds = Ending::ALL.map(|ending| (ending.name(), vec![ending]));
    for (kind, endings) in kinds.into_iter().chain([("the mix", Ending::MIX.to_vec())]) {
        let run = |sessions| {
            let endings = &endings;
            move |socket: &std::path::Path| visits.visits(socket, endings, sessions)
        };
        let costs = by_turns(&sides, ROUNDS, SESSIONS, run(SESSIONS))?;
        for ((side, costs_here), (_, lazy, reuse)) in sides.iter().zip(&costs).zip(MANAGERS) {
            let calls = side.calls(run(SESSIONS))?;
            let connections =
                costs_here.iter().map(|cost| cost.connections).sum::<f64>() / costs_here.len() as f64;
            println!(
                "{name:12} {kind:8} {:14} {:>22} {:>22} {:>7} {connections:>12.2}",
                side.name,
                ratio(costs_here, &costs[0], |cost| cost.manager),
                ratio(costs_here, &costs[0], |cost| cost.all),
                calls_each(calls.as_ref(), SESSIONS),
            );
            if !reuse {
                let all = |ending: &Ending| if lazy { shown(children, *ending) } else { children.len() };
                let expected = endings.iter().cycle().take(SESSIONS).map(all).sum::<usize>() as f64;
                let made = connections * SESSIONS as f64;
                assert!((made - expected).abs() < 0.5, "{made} connections instead of {expected}");
            }
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    println!(
        "for a session, in times of the same with lazy_connect = false; {ROUNDS} rounds: median (least to most)"
    );
    println!(
        "{:12} {:8} {:14} {:>22} {:>22} {:>7} {:>12}",
        "children", "ends at", "manager", "time of the manager", "time of all", "calls", "connections"
    );
    let visits = Visits::default();
    let real = [Wishes::OPENDKIM, Wishes::CLAMAV_MILTER, Wishes::SPAMASS_MILTER];
    measure("real", &real, &visits)?;
    measure("one early", &[Wishes::SPAMASS_MILTER, Wishes::FROM_MAIL, Wishes::CONTENT], &visits)?;
    measure("from MAIL", &[Wishes::FROM_MAIL, Wishes::FROM_RCPT, Wishes::CONTENT], &visits)
}
