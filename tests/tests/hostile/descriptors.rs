//! No descriptors left: the listener pauses, says so once, and goes on.

use std::time::Duration;

use crate::bench::Bench;
use millstream_tests::mta_side::MtaSide;

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
        let _ = connection.send(&millstream_tests::wire::Frame::negotiation(6, 0x1FF, 0x1F_FFFF));
        open.push(connection);
    }
    // Whoever got in is answered or closed; the others wait. All of them go, slowly enough for the manager to notice.
    for connection in &mut open {
        let _ = connection.receive();
    }
    assert!(bench.manager.process().ended().is_none(), "{}", bench.manager.log());
    drop(open);

    bench.assert_works();
    let lines = bench.manager.log().lines().count() - before;
    assert!(lines < 1000, "{lines} log lines about it");
}
