//! The world as the model takes it.

use std::rc::Rc;

use millstream_core::machine::Machine;

use super::World;
use crate::model::{Model, Setting};
use crate::record::{Child, LOST, Seen};

impl<M: Machine> World<M> {
    pub(super) fn compare(&mut self) -> Result<(), String> {
        let most_edits = self.scenario.bounds.edits.unwrap_or(u64::MAX);
        let can_hold = self.scenario.mta.actions & 0x20 != 0;
        let mut children = Vec::new();
        for (index, plan) in self.scenario.children.iter().enumerate() {
            let mut child =
                Child { plan: plan.clone(), joined: None, tape: Vec::new(), can_hold, most_edits };
            let own = self
                .lines
                .iter_mut()
                .filter(|line| line.peer.child_index().is_some_and(|it| usize::from(it.0) == index));
            for (number, line) in own.enumerate() {
                let end = line.child.as_mut().unwrap();
                if number > 0 {
                    child.tape.push(Seen { letter: b'K', payload: Vec::new(), macros: Rc::default() });
                }
                child.joined = child.joined.or(end.joined.take());
                child.tape.append(&mut end.tape);
                if let Some((exchange, owed, by)) = line.lost {
                    let payload = [&(exchange as u64).to_be_bytes()[..], &[u8::from(owed), by]].concat();
                    child.tape.push(Seen { letter: LOST, payload, macros: Rc::default() });
                }
            }
            children.push(child);
        }
        let lead = self.mta.agreed.as_ref().is_some_and(|agreed| agreed.protocol & 0x10_0000 != 0);
        let setting = Setting {
            fallback: self.scenario.fallback,
            mark: self.scenario.mark.clone(),
            parallel: self.scenario.parallel,
            bounds: self.scenario.bounds,
            body_floods: self.floods.clone(),
            rejected: self.mta.agreed.as_ref().is_some_and(|agreed| agreed.protocol & 0x800 != 0),
            lead,
            actions: self.scenario.mta.actions,
        };
        Model::check(&children, setting, &self.mta.exchanges)
    }
}
