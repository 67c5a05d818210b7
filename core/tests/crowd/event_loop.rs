//! One event loop with its pool and its sessions: what `runtime-std` does, on a clock of our own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use millstream_core::machine::Input;
use millstream_core::policy::Policy;
use millstream_core::pool::{Action, KeptId};
use millstream_core::time::Instant;
use millstream_shared::Children;

use crate::desk::Desk;
use crate::mta::Mta;
use crate::serve::Served;
use crate::town::{Do, Owner, Town};

/// What the sessions of a loop share.
pub(crate) struct Context {
    pub(crate) own: usize,
    pub(crate) desk: Desk,
    /// What the pool has said about others than who asked.
    pub(crate) later: VecDeque<Action>,
    pub(crate) kept: BTreeMap<KeptId, usize>,
}

impl Context {
    pub(crate) fn close_kept(&mut self, town: &mut Town, id: KeptId) {
        if let Some(connection) = self.kept.remove(&id) {
            town.close(connection);
        }
    }
}

pub(crate) struct EventLoop {
    cx: Context,
    pub(crate) sessions: Vec<Option<Box<Served>>>,
    free: Vec<u32>,
    /// Another loop has handed it a place.
    pub(crate) woken: bool,
    stopping: bool,
    /// What is configured now.
    policy: Arc<dyn Policy>,
}

impl EventLoop {
    pub(crate) fn new(own: usize, shared: &Arc<Children>, policy: Arc<dyn Policy>) -> Self {
        let desk = Desk::new(own, shared);
        let cx = Context { own, desk, later: VecDeque::new(), kept: BTreeMap::new() };
        Self { cx, sessions: Vec::new(), free: Vec::new(), woken: false, stopping: false, policy }
    }

    pub(crate) fn reload(&mut self, policy: Arc<dyn Policy>) {
        self.policy = policy;
    }

    /// A client has connected to the MTA.
    pub(crate) fn accept(&mut self, town: &mut Town, number: usize) {
        if self.stopping {
            return;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.sessions.push(None);
            self.sessions.len() as u32 - 1
        });
        let mta = Mta::new(number as u32, town.plan.sessions[number].clone(), town.now);
        let served = Served::new(index, self.cx.own, Arc::clone(&self.policy), mta);
        self.sessions[index as usize] = Some(Box::new(served));
        town.note(|| format!("s{number} begins on loop {}", self.cx.own));
        self.run(town, index, Some(Input::Tick));
        town.at(town.now, Do::Mta(self.cx.own, index, number as u32));
    }

    pub(crate) fn session(&mut self, index: u32) -> Option<&mut Served> {
        self.sessions.get_mut(index as usize)?.as_deref_mut()
    }

    /// One round of the loop. Returns the loops that are to be woken.
    pub(crate) fn turn(&mut self, town: &mut Town) -> Vec<usize> {
        let own = self.cx.own;
        let mut wakes = Vec::new();
        // All that has happened is noted before anybody runs.
        for connection in std::mem::take(&mut town.disturbed[own]) {
            let kept = self.cx.kept.iter().find(|(_, known)| **known == connection);
            if let Some((&id, _)) = kept
                && town.connections[connection].is_noisy()
            {
                self.cx.desk.disturbed(town, id);
            }
        }
        self.obey_pool(town, &mut wakes);
        let mut ready = std::mem::take(&mut town.noted[own]);
        let now = town.instant();
        for session in self.sessions.iter().flatten() {
            if session.deadline().is_some_and(|at| at <= now) {
                ready.push(session.index);
            }
        }
        if std::mem::take(&mut self.woken) {
            self.cx.desk.woken(town);
        }
        if self.cx.desk.deadline().is_some_and(|at| at <= now) {
            self.cx.desk.tick(town);
        }
        self.obey_pool(town, &mut wakes);
        ready.append(&mut town.noted[own]);
        ready.sort_unstable();
        ready.dedup();
        let first = town.rng.below(ready.len().max(1) as u64) as usize;
        ready.rotate_left(first);
        for index in ready {
            self.run(town, index, None);
            self.obey_pool(town, &mut wakes);
        }
        self.cx.desk.check_time(town.now);
        self.arrange(town);
        wakes
    }

    fn arrange(&mut self, town: &mut Town) {
        let sessions = self.sessions.iter().flatten().filter_map(|session| session.deadline());
        if let Some(at) = sessions.chain(self.cx.desk.deadline()).min() {
            town.turn_at(self.cx.own, at.as_nanos().max(town.now + 1));
        }
        if !town.noted[self.cx.own].is_empty() {
            town.call(self.cx.own);
        }
    }

    fn run(&mut self, town: &mut Town, index: u32, input: Option<Input>) {
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_mut) else { return };
        if let Some(input) = input {
            session.tell(town, &mut self.cx, input);
        }
        if session.turn(town, &mut self.cx) {
            let Some(session) = self.sessions[index as usize].take() else { return };
            session.end(town, &mut self.cx);
            self.free.push(index);
        }
        town.call(self.cx.own);
    }

    /// Does what the pool says.
    fn obey_pool(&mut self, town: &mut Town, wakes: &mut Vec<usize>) {
        while let Some(action) = self.cx.later.pop_front().or_else(|| self.cx.desk.said.pop_front()) {
            match action {
                Action::Connect { ticket, .. }
                | Action::Ready { ticket, .. }
                | Action::Refused { ticket, .. } => {
                    let session = self.sessions.get_mut(ticket.session as usize).and_then(Option::as_mut);
                    if let Some(session) = session {
                        session.obey(town, &mut self.cx, action);
                        town.noted[self.cx.own].push(ticket.session);
                    } else if let Action::Ready { kept: Some(id), .. } = action {
                        self.cx.close_kept(town, id);
                    }
                }
                Action::Close { kept } => self.cx.close_kept(town, kept),
                Action::Wake { event_loop } => wakes.push(event_loop as usize),
                Action::Notice(_) => {}
            }
        }
    }

    pub(crate) fn stop(&mut self, town: &mut Town) -> Vec<usize> {
        let mut wakes = Vec::new();
        self.stopping = true;
        self.cx.desk.stop(town);
        self.obey_pool(town, &mut wakes);
        for index in 0..self.sessions.len() as u32 {
            self.run(town, index, Some(Input::Stop));
            self.obey_pool(town, &mut wakes);
        }
        wakes
    }

    /// Nobody is left: no request, and no connection but those that are kept.
    pub(crate) fn check_end(&self, town: &Town) {
        let (kept, leases) = self.cx.desk.left();
        assert_eq!(leases, 0, "requests are left behind");
        assert_eq!(kept, self.cx.kept.len(), "connections are left behind");
        let of_loop = town.connections.iter().filter(|it| !it.closed && it.owner == Owner::Kept(self.cx.own));
        assert_eq!(of_loop.count(), kept, "connections are left behind");
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.cx.desk.deadline()
    }

    /// For tests of what is left: a request from outside all sessions.
    pub(crate) fn desk(&mut self) -> &mut Desk {
        &mut self.cx.desk
    }
}
