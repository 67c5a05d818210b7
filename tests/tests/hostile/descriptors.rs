//! No descriptors left: the listener pauses, says so, and goes on; no mail slips past its filters meanwhile.

use std::io::ErrorKind;
use std::time::Duration;

use crate::bench::{Bench, LIMIT};
use millstream_tests::holdings::Holdings;
use millstream_tests::mta_side::MtaSide;
use millstream_tests::until::{until_some, until_true};

/// Who connects before the manager has seen that others are gone may still find no descriptor left.
fn let_go(bench: &mut Bench) {
    let process = bench.manager.process().id();
    until_true("descriptors that are free again", || Holdings::of(process).descriptors < 30);
}

#[test]
fn running_out_of_descriptors_is_survived() {
    let Some(mut bench) = Bench::start_with("", Some(&["prlimit", "--nofile=40:40"])) else { return };
    bench.assert_works();
    let before = bench.manager.log().lines().count();
    let process = bench.manager.process().id();

    // Each takes a descriptor, and a second one for its child once it has negotiated.
    let mut open = Vec::new();
    for _ in 0..100 {
        let mut connection =
            MtaSide::connect(&bench.address, Duration::from_secs(1)).expect("the kernel queues it");
        let _ = connection.offer();
        open.push(connection);
    }
    // As many as fit are in; it may also keep a few descriptors for itself.
    let _ = until_some(Duration::from_secs(5), || (Holdings::of(process).descriptors >= 38).then_some(()));
    for connection in open.iter_mut().take(5) {
        // Answered, or closed for want of a descriptor for the child.
        let _ = connection.receive();
    }
    assert!(bench.manager.process().ended().is_none(), "{}", bench.manager.log());
    drop(open);

    let_go(&mut bench);
    bench.assert_works();
    let lines = bench.manager.log().lines().count() - before;
    assert!(lines < 1000, "{lines} log lines about it");
}

/// The child's fallback says accept, but the child is well: a limit of our own never lets mail pass unfiltered.
#[test]
fn running_out_of_descriptors_lets_nothing_pass_unfiltered() {
    let Some(mut bench) = Bench::start_with("", Some(&["prlimit", "--nofile=40:40"])) else { return };
    let mut open: Vec<MtaSide> = Vec::new();
    for _ in 0..60 {
        // The first is served in any case, the last ones wait outside for as long as they are given.
        let limit = if open.is_empty() { LIMIT } else { Duration::from_secs(1) };
        let mut connection = MtaSide::connect(&bench.address, limit).expect("the kernel queues it");
        let _ = connection.offer();
        open.push(connection);
    }

    let mut outcomes = Vec::new();
    for connection in &mut open {
        match connection.take_wishes() {
            Ok(_) => {
                connection.limit(LIMIT);
                outcomes.push(char::from(connection.outcome()));
            }
            // It waits outside, and so do all behind it.
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => outcomes.push('4'),
        }
    }

    let passed = outcomes.iter().filter(|letter| ['c', 'a'].contains(letter)).count();
    let filtered = bench.child.seen().iter().filter(|frame| frame.letter == b'E').count();
    assert!(!outcomes.is_empty());
    assert_eq!(passed, filtered, "messages that passed, and messages that the child has seen: {outcomes:?}");
    drop(open);
    let_go(&mut bench);
    bench.assert_works();
}
