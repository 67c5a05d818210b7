//! `milter.pipelining`: a message with 5, 20 and 100 headers through one child that answers each of them, on libmilter and
//! in this process.

use std::io;
use std::path::Path;

use millstream_benches::child::Wishes;
use millstream_benches::side::{Side, by_turns, calls_each, ratio};
use millstream_benches::visit::{Ending, Visits};
use millstream_tests::scratch::Scratch;

const ROUNDS: usize = 9;
const SESSIONS: usize = 200;

fn measure(child: &str, sides: &[Side]) -> io::Result<()> {
    for headers in [5, 20, 100] {
        let visits = Visits::with_headers(headers);
        let run = |socket: &Path| visits.visits(socket, &[Ending::Message], SESSIONS);
        let costs = by_turns(sides, ROUNDS, SESSIONS, run)?;
        let mut calls = Vec::new();
        for side in sides {
            calls.push(calls_each(side.calls(run)?.as_ref(), SESSIONS));
            calls.push(calls_each(side.child_calls(run)?.as_ref(), SESSIONS));
        }
        println!(
            "{child:10} {headers:>7} {:>22} {:>22} {:>22} | {:>22} {:>7} | {:>20} {:>7}",
            ratio(&costs[1], &costs[0], |cost| cost.manager),
            ratio(&costs[1], &costs[0], |cost| cost.all),
            ratio(&costs[1], &costs[0], |cost| cost.clock),
            calls[0],
            calls[2],
            calls[1],
            calls[3],
        );
    }
    Ok(())
}

fn main() -> io::Result<()> {
    println!(
        "for a session with a message, pipelined / in lock step; {ROUNDS} rounds: median (least to most)"
    );
    println!(
        "{:10} {:>7} {:>22} {:>22} {:>22} | manager's calls {:>6} {:>7} | child's calls {:>6} {:>7}",
        "child", "headers", "time of the manager", "time of all", "on the clock", "off", "on", "off", "on"
    );
    let scratch = Scratch::new("pipelining");
    let ways = [("off", false), ("on", true)];
    let null: io::Result<Vec<_>> = ways
        .iter()
        .map(|(name, pipelining)| {
            let child = format!("milter.pipelining = {pipelining}");
            Side::start(&scratch.join("null"), name, &[Wishes::ANSWERS], "", &child)
        })
        .collect();
    measure("null", &null?)?;
    let libmilter: io::Result<Option<Vec<_>>> = ways
        .iter()
        .map(|(name, pipelining)| {
            let child = format!("milter.pipelining = {pipelining}");
            Side::libmilter(&scratch.join("libmilter"), name, "", &child).transpose()
        })
        .map(Option::transpose)
        .collect();
    match libmilter? {
        Some(sides) => measure("libmilter", &sides),
        None => {
            println!("neither gcc with libmilter-dev nor python3-milter is here");
            Ok(())
        }
    }
}
