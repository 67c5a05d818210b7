//! The world as the model takes it.

use millstream_core::machine::Machine;

use super::World;
use crate::model::Model;
use crate::record::{Child, LOST, Lost, Seen, Setting};

/// How many ways of how it may have been are tried.
const WAYS: usize = 500;

impl<M: Machine> World<M> {
    /// Compares what happened with what the model says. Where nobody but the session knows with which command it gave a
    /// child up, one of those that can have been must fit.
    pub(super) fn compare(&mut self) -> Result<(), String> {
        // Child, place on its tape, possible times.
        let mut open: Vec<(usize, usize, Vec<Lost>)> = Vec::new();
        let mut children = Vec::new();
        for (index, plan) in self.scenario.children.iter().enumerate() {
            let mut child = Child { plan: plan.clone(), joined: None, tape: Vec::new() };
            let own = self
                .lines
                .iter_mut()
                .filter(|line| line.peer.child_index().is_some_and(|it| usize::from(it.0) == index));
            for (number, line) in own.enumerate() {
                let end = line.child.as_mut().unwrap();
                if number > 0 {
                    child.tape.push(Seen::note(b'K', None));
                }
                child.joined = child.joined.or(end.joined.take());
                child.tape.append(&mut end.tape);
                if let Some(first) = line.lost.first() {
                    open.push((index, child.tape.len(), line.lost.clone()));
                    child.tape.push(Seen::note(LOST, Some(*first)));
                }
            }
            children.push(child);
        }
        let agreed = self.mta.agreed.as_ref().map_or(0, |agreed| agreed.protocol);
        let setting = Setting {
            fallback: self.scenario.fallback,
            mark: self.scenario.mark.clone(),
            parallel: self.scenario.parallel,
            bounds: self.scenario.bounds,
            body_floods: self.floods.clone(),
            rejected: agreed & 0x800 != 0,
            lead: agreed & 0x10_0000 != 0,
            actions: self.scenario.mta.actions,
        };
        let ways = open.iter().map(|(_, _, times)| times.len()).product::<usize>().min(WAYS);
        let mut first = None;
        for mut way in 0..ways {
            for (child, at, times) in &open {
                children[*child].tape[*at].lost = Some(times[way % times.len()]);
                way /= times.len();
            }
            let Err(what) = Model::check(&children, &setting, &self.mta.exchanges) else { return Ok(()) };
            first.get_or_insert(what);
        }
        first.map_or(Ok(()), Err)
    }
}
