//! The world as the model takes it.

use millstream_core::machine::Machine;

use super::World;
use crate::model::Model;
use crate::plan::Kind;
use crate::record::{AGAIN, Child, DEAD, LOST, Lost, Seen, Setting, Terms};

/// How many ways of how it may have been are tried.
const WAYS: usize = 3000;

impl<M: Machine> World<M> {
    /// Compares what happened with what the model says. Where nobody but the session knows with which command it gave a
    /// child up, one of those that can have been must fit.
    pub(super) fn compare(&mut self) -> Result<(), String> {
        // Child, place on its tape, possible times.
        let mut open: Vec<(usize, usize, Vec<Lost>)> = Vec::new();
        let mut children = Vec::new();
        let sessions = self.sessions.load(std::sync::atomic::Ordering::Relaxed);
        for (index, plan) in self.scenario.children.iter().enumerate() {
            let mut terms = std::mem::take(&mut self.terms[index]);
            terms.resize(sessions, Terms::default());
            let mut child = Child { plan: plan.clone(), terms, tape: Vec::new() };
            let own = self
                .lines
                .iter_mut()
                .filter(|line| line.peer.child_index().is_some_and(|it| usize::from(it.0) == index));
            let mut session = 0;
            for line in own {
                let end = line.child.as_mut().unwrap();
                if line.session == session {
                    child.tape.push(Seen::note(AGAIN, None));
                }
                for _ in session.max(1)..line.session {
                    child.tape.push(Seen::note(b'K', None));
                }
                session = line.session;
                let terms = &mut child.terms[session - 1];
                terms.joined = terms.joined.take().or(end.joined.take());
                child.tape.append(&mut end.tape);
                if line.cut {
                    child.tape.push(Seen::note(DEAD, None));
                }
                let owed = end.asked.saturating_sub(line.watch.replies());
                // What is past a limit counts at once, whatever has come behind it.
                let ours = |lost: &Lost| usize::from(lost.kind == Kind::Ours);
                line.lost.iter_mut().for_each(|lost| lost.owed = owed.max(ours(lost)));
                if let Some(first) = line.lost.first() {
                    open.push((index, child.tape.len(), line.lost.clone()));
                    child.tape.push(Seen::note(LOST, Some(*first)));
                }
            }
            for _ in session.max(1)..sessions {
                child.tape.push(Seen::note(b'K', None));
            }
            children.push(child);
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
        // Those that were given up first are varied last, and none that makes no difference yet.
        open.sort_by_key(|(_, _, times)| times.iter().map(|lost| lost.when).min());
        let mut way = vec![0; open.len()];
        let mut first = None;
        for _ in 0..WAYS {
            for ((child, at, times), choice) in open.iter().zip(&way) {
                children[*child].tape[*at].lost = Some(times[*choice]);
            }
            let Err((until, what)) = Model::check(&children, &setting, &self.mta.exchanges) else {
                return Ok(());
            };
            first.get_or_insert(what);
            let matters = |times: &[Lost]| times.iter().any(|lost| lost.when / 2 <= until);
            let next = (0..open.len()).rfind(|n| way[*n] + 1 < open[*n].2.len() && matters(&open[*n].2));
            let Some(next) = next else { break };
            way[next] += 1;
            way[next + 1..].fill(0);
        }
        first.map_or(Ok(()), Err)
    }
}
