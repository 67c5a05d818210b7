//! Content in the model: one child after another, each shown what those before it have made of the message.

use super::child::{Part, Runner};
use super::{Model, of};
use crate::plan::{Fallback, Frame, Verdict, plain};
use crate::queue::{Message, differ};
use crate::record::Exchange;

/// Who refused the message, and what became of it.
type Outcome = Result<(Option<Frame>, Message), String>;

impl Model<'_> {
    pub(super) fn end_of_message(&mut self, exchange: &Exchange, over: Option<Frame>) -> Result<(), String> {
        // How far the children came with what was too much is a matter of timing.
        let flooded = over.is_none() && exchange.past_limit && exchange.told(&plain(b't')).is_ok();
        let (decided, expected) = match &over {
            Some(_) => (over, Message::default()),
            None => self.run_content(true, exchange.certain && !flooded)?,
        };
        self.end();
        let (Some(edits), false) = (&exchange.reply, flooded) else { return Ok(()) };
        let mut queued = self.message.clone();
        queued.apply(edits, self.record.setting.lead, u32::MAX);
        match decided {
            Some(verdict) => exchange.told(&verdict),
            None if queued.delivered() != expected.delivered() => Err(differ(&queued, &expected)),
            None => exchange.told(&plain(b'c')),
        }
    }

    /// Runs the content through the chain.
    pub(super) fn run_content(&mut self, ends: bool, exact: bool) -> Outcome {
        let mut view = self.message.clone();
        // Postfix asks nobody behind a child that has quarantined.
        let (postfix, mut held) = (view.sendmail.is_none(), false);
        for i in 0..self.runners.len() {
            let before = &self.runners[..i];
            let decided = before.iter().any(|it| it.objection().is_some());
            let unfinished = before.iter().filter(|it| it.part == Part::In && !it.plan.evaluation);
            let unfinished: Vec<u32> = unfinished.map(|it| it.joined.actions).collect();
            self.prepare(i, b'E', exact && !decided && !held);
            let runner = &mut self.runners[i];
            let (evaluation, independent) = (runner.plan.evaluation, runner.plan.independent);
            let (rights, leads) = (runner.joined.actions, runner.joined.leads());
            if runner.part == Part::In {
                // What an unfinished writer before may still change is not shown.
                let blocked = !independent && unfinished.iter().any(|may| may & runner.joined.reads() != 0);
                let waits = !evaluation && !independent && (decided || held || !unfinished.is_empty());
                let shown = if independent { &self.message } else { &view };
                let shown = if blocked { &Message::default() } else { shown };
                let verdict = runner.feed(shown, ends && !waits && !blocked).map_err(of(i))?;
                let delivers = matches!(verdict, Verdict::Go | Verdict::Skip | Verdict::Accept);
                runner.draw(b'E', verdict);
                if delivers && runner.failed.is_none() && !evaluation && !held {
                    let edits = std::mem::take(&mut runner.edits);
                    held = postfix && rights & 0x20 != 0 && edits.iter().any(|edit| edit.0 == b'q');
                    match independent {
                        true => view.apply_beside(&self.message, &edits, leads, rights),
                        false => view.apply(&edits, leads, rights),
                    }
                }
            }
            if held {
                runner.part = Part::Left(None);
            }
        }
        self.mark_unseen(&mut view);
        Ok((self.runners.iter().find_map(Runner::objection), view))
    }

    /// What goes on without a child is marked, and held when the child's fallback says so.
    fn mark_unseen(&self, view: &mut Message) {
        let missed = |i: &usize| self.runners[*i].part == Part::Missed && !self.runners[*i].plan.evaluation;
        let missed: Vec<usize> = (0..self.runners.len()).filter(missed).collect();
        let names = missed.iter().map(|i| format!("c{i}")).collect::<Vec<_>>().join(", ");
        if let Some(mark) = &self.record.setting.mark {
            view.replace(mark, &names, self.record.setting.actions);
        }
        if missed.iter().any(|i| self.runners[*i].failed == Some(Fallback::Quarantine)) {
            view.quarantine = Some(format!("not seen by {names}").into());
        }
    }
}
