//! Signals count from the moment that the daemon can be seen.

use millstream_tests::bench::{Bench, folder};
use millstream_tests::until::PATIENCE;

/// How often a daemon is started: whether a signal meets it in its start is up to chance.
const STARTS: usize = 10;

#[test]
fn a_reload_in_the_middle_of_the_start_is_done_after_it() {
    for _ in 0..STARTS {
        let Some(folder) = folder() else { return };
        let bench = Bench::start(&folder, "", "");
        bench.reload("", "");
    }
}

#[test]
fn a_stop_in_the_middle_of_the_start_is_an_orderly_one() {
    for _ in 0..STARTS {
        let Some(folder) = folder() else { return };
        let mut bench = Bench::start(&folder, "", "");
        bench.manager.stop();
        let status = bench.manager.wait(PATIENCE);
        assert!(status.success(), "{status}: {}", bench.manager.log());
        assert!(bench.manager.log().contains("[stop] served"), "{}", bench.manager.log());
        let socket = folder.join("manager").join("manager.sock");
        assert!(!socket.exists(), "its socket is removed");
    }
}
