//! The world as the model takes it.

use millstream_core::machine::Machine;

use super::World;
use super::line::index_of;
use crate::model::Model;
use crate::record::{AGAIN, Child, DEAD, LOST, Seen, Setting, Stay, repeated};

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
                let mut tape = std::mem::take(&mut end.tape);
                for seen in tape.iter_mut().filter(|seen| seen.owes <= line.watch.replies()) {
                    seen.owes = 0;
                }
                if std::mem::replace(&mut last, line.session) == line.session {
                    repeated(&mut stay.tape, &mut tape).map_err(|what| format!("child {index} {what}"))?;
                    stay.tape.push(Seen::note(AGAIN, None));
                }
                stay.tape.append(&mut tape);
                if line.cut || line.shut {
                    stay.tape.push(Seen::note(DEAD, None));
                }
                if line.lost.is_some() {
                    stay.tape.push(Seen::note(LOST, line.lost));
                }
            }
            children.push(Child { plan: plan.clone(), stays });
        }
        let agreed = self.mta.agreed.as_ref().map_or((0, 0), |agreed| (agreed.actions, agreed.protocol));
        let setting = Setting {
            fallback: self.scenario.fallback,
            mark: self.scenario.mark.clone(),
            parallel: self.scenario.parallel,
            bounds: self.scenario.bounds,
            body_floods: self.floods.clone(),
            rejected: agreed.1 & 0x800 != 0,
            lead: agreed.1 & 0x10_0000 != 0,
            agreed,
            rationed: self.reserve.percent > 0,
            offer: self.offer,
            actions: self.scenario.mta.actions,
        };
        Model::check(&children, &setting, &self.mta.exchanges)
    }
}
