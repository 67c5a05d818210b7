//! The joint verdict on a message, and the answer to its end.

use super::child::Part;
use super::{Decided, Session};
use crate::event::{MessageEnd, Verdict};
use crate::wire::{Final, Stage};

/// Whether the verdict on the message can still change.
#[derive(Debug)]
pub(super) enum Joint {
    Open,
    Certain(Decided),
}

impl Session {
    /// The verdict on the message, once the children, looked at in chain order, allow only one: the first decisive
    /// one, or delivery when all have finished.
    pub(super) fn joint_verdict(&self) -> Joint {
        let Some(transaction) = &self.transaction else { return Joint::Open };
        if let Some(decided) = &transaction.decided {
            return Joint::Certain(decided.clone());
        }
        for (index, child) in self.children.iter().enumerate() {
            if let Some(verdict) = child.decisive() {
                return Joint::Certain(Decided { verdict, by: Some(index) });
            }
            if matches!(child.part, Part::In(_)) {
                return Joint::Open;
            }
        }
        Joint::Certain(Decided { verdict: Verdict::Continue, by: None })
    }

    /// Answers the end of message: with a delivering verdict first the changes, then in any case one final reply.
    pub(super) fn answer_end_of_message(&mut self, decided: &Decided) {
        self.command = None;
        self.budget = None;
        self.progress_at = None;
        if decided.verdict.delivers()
            && let Some(transaction) = &self.transaction
        {
            for edit in transaction.content.render(self.answer.actions) {
                if self.filter.edit(edit).is_err() {
                    debug_assert!(false, "an edit that the filter refuses");
                    return self.finish();
                }
            }
        }
        self.reply(Final::from(&decided.verdict));
        self.end_transaction(MessageEnd::Answered(decided.verdict.clone()), Stage::Mail);
    }
}
