//! Kept connections to a libmilter child: what a session costs the child and the manager with and without
//! `milter.reuse_connections`.

use std::io;
use std::path::Path;

use millstream_benches::side::{Side, by_turns, calls_each, ratio, ratio_of_sums};
use millstream_benches::visit::{Ending, Visits};
use millstream_tests::scratch::Scratch;

const ROUNDS: usize = 9;
const SESSIONS: usize = 1000;
/// For system calls, which are the same for each.
const COUNTED: usize = 200;

fn main() -> io::Result<()> {
    let scratch = Scratch::new("reuse");
    let mut sides = Vec::new();
    for (name, reuse) in [("new", false), ("reused", true)] {
        let child = format!("milter.reuse_connections = {reuse}");
        let Some(side) = Side::libmilter(scratch.path(), name, "", &child)? else {
            println!("neither gcc with libmilter-dev nor python3-milter is here");
            return Ok(());
        };
        sides.push(side);
    }
    println!("for a session, reused / new; {ROUNDS} rounds: median (least to most), of the child the sum");
    println!(
        "{:8} {:>17} {:>22} {:>22} {:>22} | calls of the child: {:>7} {:>7} | of the manager: {:>7} {:>7}",
        "ends at",
        "time of the child",
        "time of the manager",
        "time of all",
        "on the clock",
        "new",
        "reused",
        "new",
        "reused"
    );
    let visits = Visits::default();
    let kinds = Ending::ALL.map(|ending| (ending.name(), vec![ending]));
    for (kind, endings) in kinds.into_iter().chain([("the mix", Ending::MIX.to_vec())]) {
        let run = |socket: &Path| visits.visits(socket, &endings, SESSIONS);
        let counted = |socket: &Path| visits.visits(socket, &endings, COUNTED);
        let costs = by_turns(&sides, ROUNDS, SESSIONS, run)?;
        let mut calls = Vec::new();
        for side in &sides {
            calls.push(calls_each(side.child_calls(counted)?.as_ref(), COUNTED));
        }
        for side in &sides {
            calls.push(calls_each(side.calls(counted)?.as_ref(), COUNTED));
        }
        println!(
            "{kind:8} {:>17.2} {:>22} {:>22} {:>22} | {:>27} {:>7} | {:>23} {:>7}",
            ratio_of_sums(&costs[1], &costs[0], |cost| cost.child),
            ratio(&costs[1], &costs[0], |cost| cost.manager),
            ratio(&costs[1], &costs[0], |cost| cost.all),
            ratio(&costs[1], &costs[0], |cost| cost.clock),
            calls[0],
            calls[1],
            calls[2],
            calls[3],
        );
    }
    Ok(())
}
