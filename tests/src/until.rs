//! Waiting for a condition instead of for a time.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything that works is given before the test fails. Generous: a loaded machine must not fail a test.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Calls `probe` until it gives something, and fails the test after `limit` with `what` was waited for.
///
/// # Panics
/// When the limit passes.
#[track_caller]
pub fn until<T>(limit: Duration, what: &str, probe: impl FnMut() -> Option<T>) -> T {
    match until_some(limit, probe) {
        Some(found) => found,
        None => panic!("waited {limit:?} in vain for {what}"),
    }
}

/// Calls `probe` until it gives something; nothing when it has not after `limit`.
#[must_use]
pub fn until_some<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = probe();
        if found.is_some() || start.elapsed() > limit {
            return found;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// [`until`] for a condition without a result, with [`PATIENCE`].
///
/// # Panics
/// When the limit passes.
#[track_caller]
pub fn until_true(what: &str, mut condition: impl FnMut() -> bool) {
    until(PATIENCE, what, || condition().then_some(()));
}
