//! Thousands of sessions with faults of every kind, after which nothing is left behind: no descriptor, no thread, no memory.
//!
//! How many is a number and not a time: 20,000, or what `MILLSTREAM_SOAK` says. What each does is drawn from its number,
//! so that every run has the same sessions; what is left to chance is which of them meet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests report by panicking")]

mod chance;
mod disturbance;
mod office;
mod plan;
mod tally;
mod visit;

use std::env;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use millstream_tests::bench::folder;
use millstream_tests::holdings::Holdings;
use millstream_tests::until::until_true;

use crate::office::Office;
use crate::plan::Plan;
use crate::tally::Tally;

/// How many MTAs connect at a time.
const CLIENTS: usize = 8;

/// The manager's memory may grow by this part of what it was after the first tenth, and by this much in all cases: what
/// the allocator keeps depends on which sessions have met.
const GROWTH: (usize, usize) = (5, 4 << 20);

#[test]
fn nothing_is_left_behind() {
    let count: usize = env::var("MILLSTREAM_SOAK").map_or(20_000, |text| text.parse().expect("a number"));
    let Some(folder) = folder() else { return };
    let mut office = Office::start(&folder);
    let process = office.bench.manager.process().id();
    // What is made once for good, such as the thread for files, is made by these.
    let mut tally = Tally::default();
    run(&mut office, 0..200, &mut tally);
    office.settle();
    let before = Holdings::of(process);

    run(&mut office, 200..count / 10, &mut tally);
    office.settle();
    let early = Holdings::of(process);
    run(&mut office, count / 10..count, &mut tally);
    office.settle();

    println!("{count} sessions: {tally}");
    tally.check(count);
    let most = early.resident + (early.resident / GROWTH.0).max(GROWTH.1);
    let mut last = before;
    until_true(&format!("as much as before: {before:?}, early {early:?}"), || {
        last = Holdings::of(process);
        (last.descriptors, last.threads) == (before.descriptors, before.threads) && last.resident <= most
    });
    println!("before {before:?}\nearly  {early:?}\nlast   {last:?}");
    assert!(office.bench.manager.process().ended().is_none());
    office.check_log();
}

/// Runs the sessions of these numbers, disturbed now and then.
fn run(office: &mut Office, numbers: std::ops::Range<usize>, tally: &mut Tally) {
    let (next, end) = (AtomicUsize::new(numbers.start), numbers.end);
    let (bench, children) = (&office.bench, &mut office.children);
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut tally = Tally::default();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= end {
                            return tally;
                        }
                        let plan = Plan::of(number);
                        let outcome = visit::run(&plan, &bench.address());
                        tally.count(number, &plan, &outcome);
                    }
                })
            })
            .collect();
        disturbance::go_on(bench, children, &next, end, &|| {
            clients.iter().all(thread::ScopedJoinHandle::is_finished)
        });
        clients.into_iter().map(|client| client.join().expect("all its sessions are in order")).collect()
    });
    tallies.into_iter().for_each(|part| tally.add(part));
}
