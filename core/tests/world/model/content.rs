//! Content in the model: one child after another, each shown what those before it have made of the message.

use super::Model;
use super::runner::{Reach, Verdict};
use crate::plan::{Fallback, Frame};
use crate::queue::Message;

impl Model<'_> {
    /// Runs the content through the chain; says who refused, and the message as it became.
    pub(crate) fn content(&mut self, ends: bool, exact: bool) -> Result<(Option<Frame>, Message), String> {
        let mut view = self.message.clone();
        let mut decided = None;
        // What an unfinished writer before may still change.
        let mut unsettled = 0;
        let mut unfinished = false;
        // Postfix asks nobody behind a child that has quarantined.
        let postfix = self.is_postfix();
        let mut held = false;
        for i in 0..self.runners.len() {
            if self.runners[i].out || self.runners[i].done {
                self.runners[i].missed &= !held;
                continue;
            }
            if self.is_unconcerned(i) {
                self.runners[i].done = true;
                continue;
            }
            let evaluation = self.runners[i].child.plan.evaluation;
            let may_end = ends && (evaluation || (decided.is_none() && !unfinished && !held));
            let waits_for = if self.runners[i].wants(b'L') { 0x11 } else { 0 }
                | if self.runners[i].wants(b'B') { 0x02 } else { 0 };
            let blocked = unsettled & waits_for;
            let exact = exact && decided.is_none() && !held;
            let before = self.runners[i].mark();
            let verdict = if blocked & 0x11 != 0 && !exact && self.runners[i].failed.is_none() {
                Verdict::Cut
            } else {
                let headers_ended = self.headers_ended;
                let reach =
                    Reach { headers_ended, body: blocked & 2 == 0, end: may_end && blocked == 0, exact };
                self.runners[i].feed(&view, &self.macros, &reach)?
            };
            if verdict == Verdict::Cut && !self.runners[i].was_cut_off() {
                self.runners[i].back_to(before);
            }
            if held {
                self.runners[i].missed = false;
                continue;
            }
            let Some(joined) = self.runners[i].child.joined.as_ref().filter(|_| !evaluation) else {
                if let (Verdict::Refuse(frame), false) = (verdict, evaluation) {
                    decided = decided.or(Some(frame));
                }
                continue;
            };
            match verdict {
                Verdict::Stopped => {}
                Verdict::Refuse(frame) => decided = decided.or(Some(frame)),
                Verdict::Cut => {
                    unfinished = true;
                    unsettled |= joined.actions & 0x13;
                }
                _ => {
                    let edits = std::mem::take(&mut self.runners[i].edits);
                    held = postfix && joined.actions & 0x20 != 0 && edits.iter().any(|edit| edit.0 == b'q');
                    view.apply(&edits, joined.protocol & 0x10_0000 != 0, joined.actions);
                }
            }
        }
        self.mark_unseen(&mut view);
        Ok((decided, view))
    }

    /// What goes on without a child is marked, and held when the child's fallback says so.
    fn mark_unseen(&self, view: &mut Message) {
        let missed = || self.runners.iter().filter(|runner| runner.missed && !runner.child.plan.evaluation);
        let names: Vec<_> = missed().map(|runner| format!("c{}", runner.number)).collect();
        let names = names.join(", ");
        if let Some(mark) = &self.setting.mark {
            let copies = view.headers.iter().filter(|known| !known.0 && known.1.eq_ignore_ascii_case(mark));
            let delete = |number: usize| [&(number as u32).to_be_bytes()[..], mark, b"\0\0"].concat();
            let mut edits: Vec<Frame> =
                (1..=copies.count()).rev().map(|number| (b'm', delete(number))).collect();
            if !names.is_empty() {
                edits.push((b'h', [mark, &b"\0"[..], names.as_bytes(), b"\0"].concat()));
            }
            view.apply(&edits, false, self.setting.actions);
        }
        if missed().any(|runner| runner.failed == Some(Fallback::Quarantine)) {
            view.quarantine = Some(format!("not seen by {names}").into());
        }
    }
}
