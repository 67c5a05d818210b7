//! The world as the model takes it.

use millstream_core::machine::Machine;

use super::World;
use super::line::index_of;
use crate::model::Model;
use crate::plan::{Bounds, Joined, Kind};
use crate::record::{AGAIN, Child, DEAD, LOST, Lost, Record, Seen, Setting, Stay, complete, repeated};

impl<M: Machine> World<M> {
    /// Compares what happened with what the model says.
    pub(super) fn compare(&mut self) -> Result<(), String> {
        let sessions = self.sessions.load(std::sync::atomic::Ordering::Relaxed).max(1);
        let mut children = Vec::new();
        for (index, plan) in self.scenario.children.iter().enumerate() {
            let mut stays = std::mem::take(&mut self.stays[index]);
            stays.resize(sessions, Stay::default());
            let mut last = 0;
            for line in self.lines.iter_mut().filter(|line| index_of(line.peer) == index) {
                let end = line.child.as_mut().unwrap();
                let stay = &mut stays[line.session - 1];
                stay.joined = stay.joined.take().or(end.joined.take());
                let end_fails = end.fails.is_some();
                let mut tape = std::mem::take(&mut end.tape);
                let replies = if line.unfit { 0 } else { line.watch.replies() };
                count_answers(&mut tape, replies, line.lost, &self.scenario.bounds);
                if std::mem::replace(&mut last, line.session) == line.session {
                    repeated(&mut stay.tape, &mut tape).map_err(|what| format!("child {index} {what}"))?;
                    stay.tape.push(Seen::note(AGAIN, None));
                }
                stay.tape.append(&mut tape);
                if line.cut || line.shut || end_fails {
                    stay.tape.push(Seen::note(DEAD, None));
                }
                if line.lost.is_some() {
                    stay.tape.push(Seen::note(LOST, line.lost));
                }
            }
            children.push(Child { plan: plan.clone(), stays });
        }
        let agreed = self.mta.agreed.as_ref();
        let setting = Setting {
            fallback: self.scenario.fallback,
            mark: self.scenario.mark.clone(),
            parallel: self.scenario.parallel,
            lead: agreed.is_some_and(Joined::leads),
            actions: self.scenario.mta.actions,
        };
        let mut exchanges = std::mem::take(&mut self.mta.exchanges);
        complete(&mut exchanges, &self.scenario.bounds, &self.floods);
        Model::check(&Record { children, setting, exchanges })
    }
}

/// Leaves of the answers those that count: that have reached the session, and are within the limits, of which the session says
/// when all children together are past them.
fn count_answers(tape: &mut [Seen], replies: usize, lost: Option<Lost>, bounds: &Bounds) {
    for seen in tape.iter_mut() {
        seen.answer.take_if(|answer| seen.owes > replies || bounds.forbid(&answer.edits));
    }
    let last = tape.iter_mut().rfind(|seen| !b"AQ".contains(&seen.letter));
    if let Some(last) = last.filter(|_| lost.is_some_and(|lost| lost.kind == Kind::Ours)) {
        last.answer = None;
    }
}
