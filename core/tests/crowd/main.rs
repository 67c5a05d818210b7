//! The crowd: many sessions at the same time on the pools of two or three loops, with children that come and go.
//!
//! The world (`../world`) drives one session with a pool that is played; `../all/pool` drives pools without sessions. Here both
//! are real, on a virtual clock, and what lies between them is what `runtime-std` does. Children judge mail by what is written
//! in it, so that the right answer to every command is known without a model of how it is come to.
//!
//! | file | what |
//! |---|---|
//! | `plan` | what the clients and the children do: plain data, made from chance |
//! | `mail` | what a child thinks of mail: pure functions |
//! | `town` | the clock, what is going to happen, the children's processes and connections |
//! | `milter`, `mta` | the two ends; a child also looks at whether it is sent a conversation as libmilter takes it |
//! | `event_loop`, `serve` | a loop and a session of it, as in `runtime-std` |
//! | `desk`, `ledger` | the pools, watched: places, queues, breakers, kept connections, whose turn it is |
//! | `judge` | the right answers, and whether who is said to have failed has |
//! | `sim`, `campaign`, `coverage` | a crowd, many of them on all cores, and what they have visited |
//!
//! `CROWD_SEEDS=n` runs n seeds from `CROWD_FROM` (default 0). `CROWD_COVERAGE=1` prints how often each event came in each state
//! of a child. A failing seed is replayed with
//! `CROWD_SEED=n cargo test -p millstream-core --test crowd replay -- --nocapture`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests report by panicking")]

#[path = "../world/campaign.rs"]
mod campaign;
mod coverage;
mod desk;
mod event_loop;
#[path = "../world/frames.rs"]
mod frames;
mod judge;
mod ledger;
mod mail;
mod milter;
mod mta;
mod plan;
mod policy;
#[path = "../world/rng.rs"]
mod rng;
mod serve;
mod sim;
mod town;

use campaign::{Campaign, number};
use sim::run;

#[test]
fn every_session_of_a_crowd_has_the_answers_of_its_children_or_their_fallbacks() {
    let from = number("CROWD_FROM").unwrap_or(0);
    let seeds = number("CROWD_SEEDS").unwrap_or(300);
    let Campaign { coverage, failed } = Campaign::run(from, seeds);
    if number("CROWD_COVERAGE").is_some() {
        println!("{}", coverage.table());
    }
    for seed in failed.iter().take(number("CROWD_SHOW").unwrap_or(1) as usize) {
        let report = run(*seed, true);
        println!("{}seed {seed}: {}", report.transcript, report.error.unwrap_or_default());
        println!("CROWD_SEED={seed} cargo test -p millstream-core --test crowd replay -- --nocapture\n");
    }
    assert!(
        failed.is_empty(),
        "{} of {seeds} seeds failed: {:?}",
        failed.len(),
        &failed[..failed.len().min(50)]
    );
    let [impossible, thin] = [coverage.impossible(), coverage.thin(seeds)];
    assert!(impossible.is_empty(), "visited, although it cannot be: {impossible:?}");
    assert!(thin.is_empty(), "visited too seldom: {thin:?}");
}

#[test]
fn replay() {
    let Some(seed) = number("CROWD_SEED") else { return };
    let report = run(seed, true);
    match report.error {
        None => println!("{}seed {seed} is fine", report.transcript),
        Some(what) => panic!("\n{}seed {seed}: {what}", report.transcript),
    }
}

#[test]
fn the_same_seed_is_the_same_crowd() {
    for seed in 0..20 {
        let [one, two] = [run(seed, true), run(seed, true)].map(|report| (report.transcript, report.error));
        assert!(one == two, "seed {seed} went two ways");
    }
}
