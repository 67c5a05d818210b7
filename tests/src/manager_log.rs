//! What the manager's log is expected to say. The only place that knows how its lines look, and it knows little.

use crate::manager::Manager;
use crate::until::{PATIENCE, until, until_some};

/// Waits for the line about a message: it has the queue id and, as a word, `CHILD=VERDICT@...` with one of `verdicts`
/// (`CHILD(evaluation)=VERDICT@...` for a child in evaluation mode).
///
/// # Panics
/// When there is no such line in time.
#[track_caller]
pub fn expect_message(manager: &Manager, queue_id: &str, child: &str, verdicts: &[&str]) {
    let found = until_some(PATIENCE, || {
        let log = manager.log();
        let lines = log.lines().filter(|line| line.contains(queue_id));
        let mut given = lines.flat_map(|line| line.split(' ')).filter_map(|word| verdict_of(word, child));
        given.any(|verdict| verdicts.contains(&verdict)).then_some(())
    });
    assert!(found.is_some(), "no log line says that {child} answered {verdicts:?} to {queue_id}");
}

/// The verdict in `CHILD=VERDICT@STAGE/TIME`.
fn verdict_of<'a>(word: &'a str, child: &str) -> Option<&'a str> {
    let rest = word.strip_prefix(child)?;
    let rest = rest.strip_prefix("(evaluation)").unwrap_or(rest);
    rest.strip_prefix('=')?.split('@').next()
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
