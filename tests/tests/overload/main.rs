//! More than the manager is allowed, or the machine has: served sessions stay served, the rest wait or get the configured
//! answer, and when there is room again everything goes on without a restart.
//!
//! Where it must be certain that no fallback was answered, the fallback is `reject`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests report by panicking")]

mod crowd;
mod descriptors;
mod disk;
mod log_device;
mod room;
mod silent_child;
mod slow_mta;

use millstream_tests::bench::Bench;
use millstream_tests::holdings::Holdings;

/// More than any of these tests may need: an idle manager has about 10 MiB, and a session some KiB.
const MOST_MEMORY: usize = 96 << 20;

/// It still runs, and has not taken much memory for it.
#[track_caller]
fn assert_bounded(bench: &mut Bench) {
    let process = bench.manager.process();
    assert!(process.ended().is_none(), "it has ended");
    let resident = Holdings::of(process.id()).resident;
    assert!(resident < MOST_MEMORY, "{} KiB", resident >> 10);
    assert!(!bench.manager.log().contains("panic"), "{}", bench.manager.log());
}
