//! What happens to the manager and its milters while sessions run.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use millstream_tests::bench::Bench;
use millstream_tests::counting_child::Child;
use millstream_tests::until::until_true;

use crate::office::{SETTINGS, milters};

/// Sessions between two disturbances.
const EVERY: usize = 1_000;
const GONE: usize = 10;

/// In turn a reload and a milter that is killed and started again, for as long as there are sessions.
pub(crate) fn go_on(
    bench: &Bench,
    children: &mut [Child; 2],
    next: &AtomicUsize,
    end: usize,
    done: &dyn Fn() -> bool,
) {
    let sockets: [PathBuf; 2] = [0, 1].map(|n: usize| children[n].socket().to_owned());
    let reached = |number: usize| {
        until_true("the next sessions", || done() || next.load(Ordering::Relaxed) >= number.min(end));
    };
    for turn in 0.. {
        let begin = next.load(Ordering::Relaxed);
        if done() || begin >= end {
            return;
        }
        match turn % 4 {
            0 | 2 => {
                bench.configure(SETTINGS, &milters(&sockets, turn % 4 == 2));
                bench.manager.reload();
            }
            odd => {
                let child = &mut children[odd / 2];
                child.stop();
                reached(begin + GONE);
                child.start();
                // Those that come while it is down cost little, and would be most.
                until_true("the milter to be used again", || bench.mail() == 'c');
            }
        }
        reached(begin + EVERY);
    }
}
