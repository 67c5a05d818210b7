//! No descriptors left: the listener pauses, says so once, and goes on.

use std::time::Duration;

use crate::bench::Bench;
use millstream_tests::mta_side::MtaSide;
use millstream_tests::until::until_some;
use millstream_tests::wire::Frame;

#[test]
fn running_out_of_descriptors_is_survived() {
    let Some(mut bench) = Bench::start_with("", Some(&["prlimit", "--nofile=40:40"])) else { return };
    bench.assert_works();
    let before = bench.manager.log().lines().count();

    // Each takes a descriptor, and a second one for its child once it has negotiated.
    let mut open = Vec::new();
    for _ in 0..100 {
        let mut connection =
            MtaSide::connect(&bench.address, Duration::from_secs(1)).expect("the kernel queues it");
        let _ = connection.send(&Frame::negotiation(6, 0x1FF, 0x1F_FFFF));
        open.push(connection);
    }
    // As many as fit are in; it may also keep a few descriptors for itself.
    let _ = until_some(Duration::from_secs(5), || (descriptors(&mut bench) >= 38).then_some(()));
    for connection in open.iter_mut().take(5) {
        // Answered, or closed for want of a descriptor for the child.
        let _ = connection.receive();
    }
    assert!(bench.manager.process().ended().is_none(), "{}", bench.manager.log());
    drop(open);

    bench.assert_works();
    let lines = bench.manager.log().lines().count() - before;
    assert!(lines < 1000, "{lines} log lines about it");
}

/// How many descriptors the manager has open.
fn descriptors(bench: &mut Bench) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", bench.manager.process().id())).map_or(0, Iterator::count)
}
