//! The world: one session, a scripted MTA and scripted children on a virtual clock, compared with a naive model.
//!
//! | folder or file | what |
//! |---|---|
//! | `plan` | what the MTA and the children of a world do: plain data |
//! | `script` | makes plans from chance |
//! | `sim` | the world: clock, wires, everything that may happen, and what must hold all the time |
//! | `peers` | the MTA and the children, and the rules for what they may be sent |
//! | `record` | what happened: what the MTA was told, what each child saw |
//! | `model` | what must have happened: the children one after another |
//! | `ways` | tries each way in which timing can have decided |
//! | `queue` | what Postfix and Sendmail do with edits |
//! | `seed`, `coverage`, `campaign` | a world, many seeds on all cores, and what they have visited |
//!
//! `WORLD_SEEDS=n` runs n seeds from `WORLD_FROM` (default 0); from a million on every cell of state x input must be visited
//! often. `WORLD_COVERAGE=1` prints how often. A failing seed is replayed with
//! `WORLD_SEED=n cargo test -p millstream-core --test world replay -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a world that is not as it should be is a failed test")]

mod campaign;
mod coverage;
mod frames;
mod lists;
mod model;
mod peers;
mod plan;
mod queue;
mod record;
mod rng;
mod script;
mod seed;
#[path = "../all/message_properties/sendmail.rs"]
mod sendmail;
mod show;
mod sim;
mod ways;

use campaign::{Campaign, number};
use seed::run;

/// From so many seeds on every cell must have been visited often.
const MANY: u64 = 1_000_000;
const OFTEN: u64 = 100;

#[test]
fn the_session_does_what_the_model_says() {
    let from = number("WORLD_FROM").unwrap_or(0);
    let seeds = number("WORLD_SEEDS").unwrap_or(4000);
    let Campaign { coverage, failed } = Campaign::run(from, seeds);
    let thin = coverage.thin(OFTEN);
    if number("WORLD_COVERAGE").is_some() {
        println!("{}\nvisited less than {OFTEN} times: {thin:?}", coverage.table());
    }
    for seed in failed.iter().take(number("WORLD_SHOW").unwrap_or(1) as usize) {
        let report = run(*seed, true);
        println!("{}seed {seed}: {}", report.transcript, report.error.unwrap_or_default());
        println!("WORLD_SEED={seed} cargo test -p millstream-core --test world replay -- --nocapture\n");
    }
    assert!(
        failed.is_empty(),
        "{} of {seeds} seeds failed: {:?}",
        failed.len(),
        &failed[..failed.len().min(50)]
    );
    assert!(coverage.impossible().is_empty(), "visited, although it cannot be: {:?}", coverage.impossible());
    assert!(seeds < MANY || thin.is_empty(), "visited less than {OFTEN} times: {thin:?}");
}

#[test]
fn replay() {
    let Some(seed) = number("WORLD_SEED") else { return };
    let report = run(seed, true);
    match report.error {
        None => println!("{}seed {seed} is fine", report.transcript),
        Some(what) => panic!("\n{}seed {seed}: {what}", report.transcript),
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 0..40 {
        let [one, two] = [run(seed, true), run(seed, true)].map(|report| (report.transcript, report.error));
        assert!(one == two, "seed {seed} went two ways");
    }
}
