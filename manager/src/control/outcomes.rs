//! How often each child has said what.

use std::sync::Arc;

use millstream_core::event::{ChildReport, MessageReport, Outcome};
use millstream_shared::Tallies;

/// The outcomes by name, in the order in which they are shown.
pub(super) const NAMES: [&str; 9] = [
    "continue",
    "accept",
    "reject",
    "temporary-failure",
    "discard",
    "quarantine",
    "failed",
    "stopped",
    "not-asked",
];

/// For each child how often its part in a message ended how.
#[derive(Debug, Default)]
pub(crate) struct Outcomes(Tallies<Arc<str>, { NAMES.len() }>);

impl Outcomes {
    /// A message has ended. Waits for nobody but another loop that does the same.
    pub(crate) fn count(&self, report: &MessageReport) {
        self.0.count(report.children.iter().filter_map(|child| Some((&child.name, place(child)?))));
    }

    /// Those of one child, in the order of [`NAMES`].
    pub(super) fn of(&self, child: &str) -> [u64; NAMES.len()] {
        self.0.of(child)
    }
}

fn place(child: &ChildReport) -> Option<usize> {
    let name = match &child.outcome {
        Outcome::Absent => return None,
        Outcome::Decided(_) if child.quarantined => "quarantine",
        Outcome::Decided(verdict) => verdict.name(),
        Outcome::Failed(_) => "failed",
        Outcome::Stopped => "stopped",
        Outcome::Aborted => "not-asked",
    };
    NAMES.iter().position(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use millstream_core::event::{MessageEnd, Verdict};
    use millstream_core::wire::Stage;

    use super::*;

    #[test]
    fn every_outcome_of_a_child_is_counted_by_its_name() {
        let child = |outcome, quarantined| ChildReport {
            name: Arc::from("clamav"),
            outcome,
            stage: Stage::EndOfMessage,
            elapsed: Duration::ZERO,
            edits: 0,
            quarantined,
            evaluation: false,
        };
        let report = MessageReport {
            queue_id: Arc::default(),
            sender: Arc::default(),
            recipients: (1, 0),
            body_bytes: 0,
            stage: Stage::EndOfMessage,
            end: MessageEnd::Answered(Verdict::Continue),
            decided_by: None,
            elapsed: Duration::ZERO,
            children: vec![
                child(Outcome::Decided(Verdict::Continue), false),
                child(Outcome::Decided(Verdict::Continue), true),
                child(Outcome::Decided(Verdict::Reject(None)), false),
                child(Outcome::Absent, false),
                child(Outcome::Aborted, false),
            ],
        };
        let outcomes = Outcomes::default();
        outcomes.count(&report);
        outcomes.count(&report);
        assert_eq!(outcomes.of("clamav"), [2, 0, 2, 0, 0, 2, 0, 0, 2]);
        assert_eq!(outcomes.of("another"), [0; 9]);
    }
}
