//! The end of a message: what each child did, and a clean table for the next one.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Session;
use super::child::Part;
use crate::event::{ChildReport, Event, MessageEnd, MessageReport, Outcome, Verdict};
use crate::policy::Fallback;
use crate::wire::Stage;

impl Session {
    /// Ends the message in hand, if there is one: the children in it are told, everything of it is forgotten, macros
    /// from the stage `forget` on included.
    pub(super) fn end_transaction(&mut self, end: MessageEnd, forget: Stage) {
        self.drop_spill();
        self.share.clear();
        if let Some(transaction) = self.transaction.take() {
            let decided = transaction.decided.clone();
            let end = match (transaction.over, &decided, end) {
                (Some(limit), ..) => MessageEnd::OverLimit(limit),
                (None, Some(decided), _) => MessageEnd::Answered(decided.verdict.clone()),
                (None, None, end) => end,
            };
            let refused = transaction.recipients_accepted == 0 && transaction.recipients_refused > 0;
            let count = self.children.len();
            let children: Vec<_> = (0..count).map(|index| self.report_child(index, refused)).collect();
            let quarantined = children.iter().any(|child| child.quarantined);
            self.tally.end_message(&end, transaction.stage, quarantined, refused || transaction.accepted);
            // Nobody objects, and nobody wanted to see more: the MTA needs not tell what becomes of it.
            let end = match end {
                MessageEnd::Aborted | MessageEnd::Disconnected if transaction.accepted => {
                    MessageEnd::Answered(Verdict::Accept)
                }
                end => end,
            };
            self.event(Event::Message(Box::new(MessageReport {
                queue_id: Arc::from(self.macros.value(b"i").unwrap_or_default()),
                sender: Arc::from(&transaction.sender[..]),
                recipients: (transaction.recipients_accepted, transaction.recipients_refused),
                body_bytes: transaction.body_received,
                stage: transaction.stage,
                end,
                decided_by: decided.and_then(|decided| decided.by).map(|index| self.name(index)),
                elapsed: self.now().since(transaction.started),
                children,
            })));
            for child in &mut self.children {
                if matches!(child.part, Part::In(_))
                    && let Some(client) = child.connection.up_mut()
                {
                    client.abort();
                }
                child.part = Part::Out;
                child.uncommitted = None;
                child.quarantined = false;
                child.forget_asked();
                child.connection.told.forget_from(Stage::Mail);
            }
        }
        self.macros.forget_from(forget);
    }

    fn report_child(&mut self, index: usize, refused: bool) -> ChildReport {
        let now = self.now();
        let name = self.name(index);
        let child = &mut self.children[index];
        let (outcome, stage, edits) = match &child.part {
            Part::Out => (Outcome::Absent, Stage::Mail, 0),
            Part::In(cursor) => (Outcome::Aborted, cursor.stage.unwrap_or(Stage::Mail), 0),
            Part::Done(outcome, stage, edits) => (outcome.clone(), *stage, *edits),
        };
        let elapsed = child.take_elapsed(now);
        let quarantined =
            child.quarantined || !child.evaluation && outcome == Outcome::Failed(Fallback::Quarantine);
        child.tally.end_message(&outcome, stage, quarantined, refused);
        child.tally.wait(elapsed);
        ChildReport { name, outcome, stage, elapsed, edits, quarantined, evaluation: child.evaluation }
    }
}
