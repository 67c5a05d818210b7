//! Ordering as a policy: which child may go how far. Nothing else in the chain knows about order.
//!
//! | what | a child waits for |
//! |---|---|
//! | CONNECT, HELO, MAIL, DATA, UNKNOWN | nobody: an ABORT takes MAIL and DATA back |
//! | RCPT | every enforcing child before it, which must have no objection: a recipient cannot be taken back (not with `manager.recipients = "parallel"`) |
//! | a decision that reads another child's verdict | that child, when it stands before |
//! | content | the children before it that may still change what it is shown |
//! | end of message | every enforcing child before it, which must deliver: autolearning, greylists and archives must not see refused mail |
//!
//! No child waits for one in evaluation mode, and such a one waits for nobody's verdict; only the MTA's answer waits for it,
//! within its time limits, since its verdict could not be told otherwise. An independent child
//! (`milter.independent`) waits neither for another's edits nor for another's verdict on the content; its own are in
//! chain order all the same.

use super::Session;
use super::child::{Child, Part, Step};
use crate::event::{Outcome, Verdict};
use crate::policy::Recipients;
use crate::wire::Stage;

impl Session {
    /// Whether the child number `index` may be shown the command in hand.
    pub(super) fn may_step(&self, index: usize, stage: Stage) -> bool {
        let in_order = stage == Stage::Rcpt && self.policy.recipients() == Recipients::InOrder;
        !in_order || self.enforcing_before(index).all(|child| child.step == Step::Passed)
    }

    /// Whether what the child number `index` is shown can no longer change.
    pub(super) fn view_is_final(&self, index: usize) -> bool {
        if self.children[index].independent {
            return true;
        }
        let reads = self.children[index].reads();
        !self.children[..index].iter().any(|child| child.may_write() && child.writes().has_any(reads))
    }

    /// Whether the child number `index` may be told the end of the message.
    pub(super) fn may_end(&self, index: usize) -> bool {
        let child = &self.children[index];
        child.evaluation || child.independent || self.enforcing_before(index).all(delivers)
    }

    /// Whether the state of the child number `other` will still change before the child number `index` has to be shown what
    /// comes at `stage`: a condition that reads it waits. Nobody waits for a child behind, as none does behind an MTA.
    pub(super) fn is_pending(&self, other: usize, index: usize, stage: Stage) -> bool {
        let Some(child) = self.children.get(other).filter(|_| other < index) else { return false };
        match stage.is_content() {
            true => matches!(child.part, Part::In(_)),
            false => matches!(child.step, Step::Todo | Step::Waiting),
        }
    }

    fn enforcing_before(&self, index: usize) -> impl Iterator<Item = &Child> {
        self.children[..index].iter().filter(|child| !child.evaluation)
    }
}

fn delivers(child: &Child) -> bool {
    match &child.part {
        Part::In(_) | Part::Done(Outcome::Aborted, ..) => false,
        Part::Out | Part::Done(Outcome::Stopped | Outcome::Absent, ..) => true,
        Part::Done(Outcome::Decided(verdict), ..) => Verdict::delivers(verdict),
        Part::Done(Outcome::Failed(fallback), ..) => fallback.passes(),
    }
}
