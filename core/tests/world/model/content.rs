//! Content in the model: one child after another, each shown what those before it have made of the message.

use super::child::{Part, Turn};
use super::{Model, of};
use crate::plan::{Fallback, Frame, Verdict, plain};
use crate::queue::{Message, differ};
use crate::record::Exchange;

impl Model<'_> {
    pub(super) fn end_of_message(&mut self, exchange: &Exchange) -> Result<(), String> {
        let flooded = self.setting.body_floods.contains(&self.at);
        let (decided, expected) = self.run_content(true, self.is_certain() && !flooded)?;
        self.end();
        if flooded && exchange.told(&plain(b't')).is_ok() {
            return Ok(());
        }
        exchange.told(decided.as_ref().unwrap_or(&plain(if flooded { b't' } else { b'c' })))?;
        let Some(edits) = exchange.reply.as_ref().filter(|_| decided.is_none()) else { return Ok(()) };
        let mut queued = self.message.clone();
        queued.apply(edits, self.setting.lead, u32::MAX);
        match queued.delivered() == expected.delivered() {
            true => Ok(()),
            false => Err(differ(&queued, &expected)),
        }
    }

    /// Runs the content through the chain; says who refused, and the message as it became.
    pub(super) fn run_content(
        &mut self,
        ends: bool,
        exact: bool,
    ) -> Result<(Option<Frame>, Message), String> {
        let mut view = self.message.clone();
        // What an unfinished writer before may still change.
        let (mut decided, mut unsettled, mut unfinished) = (None, 0, false);
        // Postfix asks nobody behind a child that has quarantined.
        let (postfix, mut held) = (self.is_postfix(), false);
        for i in 0..self.runners.len() {
            self.dismiss(i);
            let exact = exact && decided.is_none() && !held;
            let turn =
                Turn { exact, read: self.reads(i, b'E'), macros: &self.macros, sender: &self.message.sender };
            let runner = &mut self.runners[i];
            let (evaluation, independent) = (runner.child.plan.evaluation, runner.child.plan.independent);
            let (actions, leads) = (runner.actions(), runner.leads());
            if runner.part == Part::In {
                let reads =
                    if runner.wants(b'L') { 0x11 } else { 0 } | if runner.wants(b'B') { 0x02 } else { 0 };
                let blocked = !independent && unsettled & reads != 0;
                let waits = !evaluation && !independent && (decided.is_some() || unfinished || held);
                let shown = if independent { &self.message } else { &view };
                let shown = if blocked { &Message::default() } else { shown };
                let verdict = runner.feed(shown, ends && !waits && !blocked, &turn).map_err(of(i))?;
                match verdict {
                    _ if runner.failed.is_some() => {}
                    Verdict::Cut if !evaluation => {
                        (unfinished, unsettled) = (true, unsettled | actions & 0x13)
                    }
                    Verdict::Cut => {}
                    Verdict::Refuse(frame) => runner.part = Part::Left(Some(frame)),
                    Verdict::Stopped => runner.leave(),
                    _ => {
                        runner.leave();
                        let edits = std::mem::take(&mut runner.edits);
                        if !evaluation && !held {
                            held = postfix && actions & 0x20 != 0 && edits.iter().any(|edit| edit.0 == b'q');
                            match independent {
                                true => view.apply_beside(&self.message, &edits, leads, actions),
                                false => view.apply(&edits, leads, actions),
                            }
                            continue;
                        }
                    }
                }
            }
            if held {
                runner.part = Part::Left(None);
            }
            decided = decided.or(runner.objection());
        }
        self.mark_unseen(&mut view);
        Ok((decided, view))
    }

    /// What goes on without a child is marked, and held when the child's fallback says so.
    fn mark_unseen(&self, view: &mut Message) {
        let missed = || {
            self.runners.iter().filter(|runner| runner.part == Part::Missed && !runner.child.plan.evaluation)
        };
        let names = missed().map(|runner| format!("c{}", runner.number)).collect::<Vec<_>>().join(", ");
        if let Some(mark) = &self.setting.mark {
            let is_copy = |name: &[u8]| name.eq_ignore_ascii_case(mark);
            let copies = view.headers.iter().filter(|known| known.is_shown() && is_copy(&known.name)).count();
            let delete = |number: usize| [&(number as u32).to_be_bytes()[..], mark, b"\0\0"].concat();
            let mut edits: Vec<Frame> = (1..=copies).rev().map(|number| (b'm', delete(number))).collect();
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
