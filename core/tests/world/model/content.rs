//! Content in the model: one child after another, each shown what those before it have made of the message.

use super::child::Standing;
use super::{Model, of, past};
use crate::plan::{Fallback, Frame, Verdict, plain};
use crate::queue::{Message, differ};
use crate::record::Exchange;

impl Model<'_> {
    pub(super) fn end_of_message(
        &mut self,
        number: usize,
        exchange: &Exchange,
        exact: bool,
    ) -> Result<(), String> {
        let Some(told) = exchange.reply.as_ref().and_then(|frames| frames.last()) else {
            self.run_content(true, exact)?;
            self.end();
            return Ok(());
        };
        let body = self.setting.rationed || past(self.setting.bounds.body_bytes, self.sizes[4]);
        let flooded = self.flooded || body && self.setting.body_floods.contains(&number) && told.0 == b't';
        let mut queued = self.message.clone();
        let (decided, expected) = self.run_content(true, exact && !flooded)?;
        self.end();
        if flooded && exchange.told(&plain(b't')).is_ok() {
            return Ok(());
        }
        exchange.told(decided.as_ref().unwrap_or(&plain(if flooded { b't' } else { b'c' })))?;
        queued.apply(exchange.reply.as_deref().unwrap_or(&[]), self.setting.lead, u32::MAX);
        match decided.is_none() && queued.delivered() != expected.delivered() {
            true => Err(differ(&queued, &expected)),
            false => Ok(()),
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
            if self.is_unconcerned(i) {
                (self.runners[i].done, self.runners[i].standing) = (true, Standing::Done);
            }
            self.look_at_others(i, b'E');
            let runner = &mut self.runners[i];
            if runner.out || runner.done {
                runner.missed &= !held;
                decided = decided.or(runner.objection.clone().filter(|_| !held));
                continue;
            }
            let (evaluation, independent) = (runner.child.plan.evaluation, runner.child.plan.independent);
            let waits = !evaluation && !independent;
            let blocked = |letter, rights| !independent && runner.wants(letter) && unsettled & rights != 0;
            let may_end = ends && !(waits && (decided.is_some() || unfinished || held));
            let until = match () {
                () if blocked(b'L', 0x11) => 0,
                () if !self.headers_ended && !may_end => b'L',
                () if blocked(b'B', 0x02) => b'N',
                () => {
                    if may_end {
                        b'E'
                    } else {
                        b'B'
                    }
                }
            };
            let shown = if independent { &self.message } else { &view };
            let exact = exact && decided.is_none() && !held;
            let verdict = runner.feed(shown, &self.macros, until, exact).map_err(of(i))?;
            runner.missed = runner.failed.is_some() && !held;
            runner.standing = match &verdict {
                _ if runner.failed.is_some() => runner.standing,
                Verdict::Cut => Standing::Pending,
                Verdict::Refuse(_) => Standing::Refuses,
                _ => Standing::Done,
            };
            let rights = runner.joined().map_or(0, |joined| joined.actions);
            match verdict {
                _ if evaluation || held => {}
                Verdict::Stopped => {}
                Verdict::Refuse(frame) => decided = decided.or(Some(frame)),
                Verdict::Cut => (unfinished, unsettled) = (true, unsettled | rights & 0x13),
                _ => {
                    let edits = std::mem::take(&mut runner.edits);
                    held = postfix && rights & 0x20 != 0 && edits.iter().any(|edit| edit.0 == b'q');
                    match independent {
                        true => view.apply_beside(&self.message, &edits, runner.leads(), rights),
                        false => view.apply(&edits, runner.leads(), rights),
                    }
                }
            }
        }
        self.mark_unseen(&mut view);
        Ok((decided, view))
    }

    /// What goes on without a child is marked, and held when the child's fallback says so.
    fn mark_unseen(&self, view: &mut Message) {
        let missed = || self.runners.iter().filter(|runner| runner.missed && !runner.child.plan.evaluation);
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
