//! The world: one session, a scripted MTA and scripted children on a virtual clock, compared with a naive model.
//!
//! `WORLD_COVERAGE=1` prints how often each kind of input came in each state of the MTA's conversation.
//!
//! `WORLD_SEEDS=n` runs n seeds from `WORLD_FROM` (default 0). A failing one is replayed with
//! `WORLD_SEED=n cargo test -p millstream-core --test world replay -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a world that is not as it should be is a failed test")]

#[path = "world/bounds.rs"]
mod bounds;
#[path = "world/child.rs"]
mod child;
#[path = "world/content.rs"]
mod content;
#[path = "world/coverage.rs"]
mod coverage;
#[path = "world/frames.rs"]
mod frames;
#[path = "world/lost.rs"]
mod lost;
#[path = "world/model.rs"]
mod model;
#[path = "world/mta.rs"]
mod mta;
#[path = "world/plan.rs"]
mod plan;
#[path = "world/policy.rs"]
mod policy;
#[path = "world/postfix.rs"]
mod postfix;
#[path = "world/recipients.rs"]
mod recipients;
#[path = "world/rng.rs"]
mod rng;
#[path = "world/runner.rs"]
mod runner;
#[path = "world/script.rs"]
mod script;
#[path = "message_properties/sendmail.rs"]
mod sendmail;
#[path = "world/show.rs"]
mod show;
#[path = "world/sim.rs"]
mod sim;

use millstream_core::chain::Session;

use coverage::Coverage;
use script::{Wildness, scenario};
use sim::{Failure, Report, World};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn run(seed: u64) -> Result<Report, Failure> {
    let wildness = match seed % 50 {
        0 => Wildness::Alone,
        1 => Wildness::Tame,
        _ => Wildness::Full,
    };
    World::run(seed, |rng| scenario(rng, wildness), Session::new)
}

#[test]
fn the_session_does_what_the_model_says() {
    let from = number("WORLD_FROM").unwrap_or(0);
    let mut failures: Vec<(u64, Failure)> = Vec::new();
    let mut coverage = Coverage::default();
    let seeds = number("WORLD_SEEDS").unwrap_or(4000);
    for seed in from..from + seeds {
        match run(seed) {
            Ok(report) => coverage.add(&report.coverage),
            Err(failure) => failures.push((seed, failure)),
        }
    }
    if number("WORLD_COVERAGE").is_some() {
        println!("{}\nvisited less than 100 times: {:?}", coverage.table(), coverage.thin(100));
    }
    failures.sort_by_key(|(seed, failure)| (failure.lines, *seed));
    for (seed, failure) in failures.iter().take(number("WORLD_SHOW").unwrap_or(1) as usize) {
        println!("{}", failure.transcript);
        println!("seed {seed}: {}", failure.what);
        println!("WORLD_SEED={seed} cargo test -p millstream-core --test world replay -- --nocapture\n");
    }
    if number("WORLD_LIST").is_some() {
        for (seed, failure) in &failures {
            println!("FAIL {seed} {} lines: {}", failure.lines, failure.what.lines().next().unwrap_or(""));
        }
    }
    assert!(failures.is_empty(), "{} of {seeds} seeds failed", failures.len());
}

#[test]
fn replay() {
    let Some(seed) = number("WORLD_SEED") else { return };
    match run(seed) {
        Ok(report) => println!("{}seed {seed} is fine", report.transcript),
        Err(failure) => panic!("\n{}seed {seed}: {}", failure.transcript, failure.what),
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 0..40 {
        let [one, two] = [run(seed), run(seed)].map(|outcome| match outcome {
            Ok(report) => report.transcript,
            Err(failure) => failure.transcript + &failure.what,
        });
        assert!(one == two, "seed {seed} went two ways");
    }
}
