//! The joint verdict on a message, and the answer to its end.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::child::Part;
use super::{Decided, Session};
use crate::event::{Event, MessageEnd, Outcome, Verdict};
use crate::policy::Fallback;
use crate::wire::{Edit, Final, Stage};

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

    /// Does what is configured for mail that a child has not seen because it failed: quarantine, and a header.
    fn mark_unfiltered(&mut self) {
        let mut missed: Vec<u8> = Vec::new();
        let mut quarantined = false;
        for (index, child) in self.children.iter().enumerate() {
            if let (Part::Done(Outcome::Failed(fallback), ..), false) = (&child.part, child.evaluation) {
                missed.extend_from_slice(if missed.is_empty() { b"" } else { b", " });
                let name = self.name(index);
                missed.extend(name.bytes().map(|byte| if matches!(byte, b' '..=b'~') { byte } else { b'?' }));
                quarantined |= *fallback == Fallback::Quarantine;
            }
        }
        let policy = Arc::clone(&self.policy);
        let Some(transaction) = &mut self.transaction else { return };
        let mut edits = Vec::new();
        if let Some(name) = policy.unfiltered_header() {
            let view = transaction.content.latest_view();
            let headers = (0..).map_while(|index| transaction.content.header(view, index));
            let copies = headers.filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes())).count();
            let name = Bytes::copy_from_slice(name.as_bytes());
            let delete = |occurrence| Edit::ChangeHeader(occurrence as u32, name.clone(), Bytes::new());
            edits.extend((1..=copies).rev().map(delete));
            if !missed.is_empty() {
                edits.push(Edit::AddHeader(name, Bytes::from(missed.clone())));
            }
        }
        if quarantined {
            edits.push(Edit::Quarantine(Bytes::from([b"not seen by ", &missed[..]].concat())));
        }
        transaction.content.commit(edits, self.answer.actions, false);
    }

    /// Answers the end of message: with a delivering verdict first the changes, then in any case one final reply.
    pub(super) fn answer_end_of_message(&mut self, decided: &Decided) {
        self.command = None;
        self.budget = None;
        self.progress_at = None;
        if decided.verdict.delivers() {
            self.mark_unfiltered();
            let content = self.transaction.as_ref().map(|transaction| &transaction.content);
            for edit in content.map_or_else(Vec::new, |content| content.render(self.answer.actions)) {
                self.tell_header(None, &edit);
                if self.tally.wanted && matches!(edit, Edit::Quarantine(_)) {
                    self.event(Event::Quarantined);
                }
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
