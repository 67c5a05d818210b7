//! What the manager's log is expected to say. The only place that knows how its lines look, and it knows little.

use crate::manager::Manager;
use crate::until::{PATIENCE, until};

/// Waits for the line about a message: it has the queue id, the child's name and one of `verdicts` after the name.
///
/// # Panics
/// When there is no such line in time.
#[track_caller]
pub fn expect_message(manager: &Manager, queue_id: &str, child: &str, verdicts: &[&str]) {
    let what = format!("a log line with {queue_id}, {child} and one of {verdicts:?}");
    until(PATIENCE, &what, || {
        manager
            .log()
            .lines()
            .filter(|line| line.contains(queue_id))
            .filter_map(|line| line.split_once(child))
            .any(|(_, rest)| verdicts.iter().any(|verdict| rest.contains(verdict)))
            .then_some(())
    });
}

/// Waits for a line that contains all of `parts`, without regard to case.
///
/// # Panics
/// When there is no such line in time.
#[track_caller]
pub fn expect_line(manager: &Manager, parts: &[&str]) {
    let what = format!("a log line with all of {parts:?}");
    until(PATIENCE, &what, || contains_line(&manager.log(), parts).then_some(()));
}

/// Whether there is a line that contains all of `parts`, without regard to case.
#[must_use]
pub fn contains_line(log: &str, parts: &[&str]) -> bool {
    log.lines().any(|line| {
        let line = line.to_lowercase();
        parts.iter().all(|part| line.contains(&part.to_lowercase()))
    })
}
