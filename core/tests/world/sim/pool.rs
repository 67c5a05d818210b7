//! The pool of a world: connections to children, also kept ones, and what it remembers of their negotiations.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use millstream_core::machine::{Input, IoKind, Machine, Peer};
use millstream_core::policy::{Endpoint, Route};
use millstream_core::wire::{Actions, Negotiation, Protocol};

use super::World;
use super::line::{Line, index_of, name};
use crate::lists::{encode_lists, list_stage};
use crate::peers::child::ChildEnd;
use crate::peers::child_watch::Watch;
use crate::peers::mta::MS;
use crate::plan::{JoinFault, Joined, Kept, Known, Plan};
use crate::record::Stay;

impl<M: Machine> World<M> {
    /// What a child answered in an earlier session: of this world, or before.
    pub(super) fn recall(&mut self, peer: Peer, offer: &Negotiation) {
        let index = index_of(peer);
        self.offer = numbers(offer);
        let plan = &self.scenario.children[index];
        let mut joined = plan.joins(self.offer);
        if plan.known == Known::Wrong {
            // It wants body, or does not.
            joined.protocol ^= 0x10;
        }
        let first = self.stays[index].is_empty();
        self.stays[index].push(Stay::default());
        let known = (first && plan.known != Known::Nothing).then(|| in_core(&joined));
        let negotiated = self.memory.get(&index).cloned().or(known);
        self.note(b"", || format!("pool -> S: {} is remembered: {}", name(peer), negotiated.is_some()));
        if let Some(negotiated) = &negotiated {
            self.memory.insert(index, negotiated.clone());
            let joined = Some(joined_of(negotiated));
            *self.stay_now(index) = Stay { joined, remembered: true, tape: Vec::new() };
        }
        self.recalled.push(Input::Remembered { peer, negotiated: negotiated.map(Box::new) });
    }

    /// The number of the session for which a child is asked for now: late connections are recalled first.
    pub(super) fn session_of(&self, index: usize) -> usize {
        match self.scenario.lazy {
            true => self.stays[index].len(),
            false => self.sessions.load(Ordering::Relaxed),
        }
    }

    /// What a child is in the session that the MTA has now.
    fn stay_now(&mut self, index: usize) -> &mut Stay {
        let session = self.session_of(index);
        let stays = &mut self.stays[index];
        stays.resize(session, Stay::default());
        stays.last_mut().unwrap()
    }

    pub(super) fn acquire(&mut self, peer: Peer, route: &Route, offer: &Negotiation, fresh: bool) {
        let index = index_of(peer);
        let Some(plan) = self.scenario.children.get(index).cloned() else {
            return self.fail("the session acquires the MTA".into());
        };
        if route.endpoints[0] != Endpoint::Unix(format!("/run/c{index}").into_bytes().into()) {
            return self.fail(format!("{} has another endpoint", name(peer)));
        }
        self.offer = numbers(offer);
        self.stay_now(index);
        let session = self.stays[index].len();
        let mut before = None;
        for at in 0..self.lines.len() {
            let line = &self.lines[at];
            if line.peer == peer {
                return self.fail(format!("{} acquired twice", name(peer)));
            }
            if line.peer.slot == peer.slot {
                let gives_back = plan.kept != Kept::No && line.session < session;
                if !line.over && line.flush_by.is_none() && !gives_back {
                    return self.fail(format!("{} acquired while another connection is open", name(peer)));
                }
                before = (line.session == session).then_some(at);
                if line.over || line.flush_by.is_some() {
                    self.hang_up(at);
                }
            }
        }
        // Another one in the same session: the last was kept and is dead, its replies cannot be counted any more, or it is
        // still busy with the end of a message that was decided without it.
        // Or it may still know the HELO of another client than this, which sends none.
        let known = self.stays[index].last().and_then(|stay| stay.joined.clone());
        let wants_helo = known.clone().unwrap_or_else(|| plan.joins(self.offer)).wants(b'H');
        let stale = wants_helo && self.has_come(b"M") && !self.has_come(b"H");
        let mut replaces = false;
        if let Some(line) = before.map(|at| &self.lines[at]) {
            // The end of a message that did not leave the session any more.
            let dropped = line.cut && self.has_come(b"E");
            let left = line.watch.may_be_uncounted || line.watch.is_at_end() || dropped;
            let dead = line.kept && line.quiet[1] == 0;
            replaces = fresh && dead && !line.shut;
            let doubtful = line.kept && self.begins_without_helo();
            if !(left || doubtful || fresh && dead) || fresh && !(dead || stale) {
                return self.fail(format!("{} acquired again for no reason", name(peer)));
            }
        } else if fresh && !stale {
            return self.fail(format!("{} must be a fresh connection", name(peer)));
        }
        let is_remembered = self.stays[index].last().is_some_and(|stay| stay.remembered);
        let wanted = |letter: &u8| known.as_ref().is_none_or(|known| known.wants(*letter));
        let wanted: Vec<u8> = b"CHMRTLNBEU".iter().copied().filter(wanted).collect();
        let sent = &self.mta.exchanges[..self.mta_at.map_or(0, |at| at + 1)];
        let mut of_session = sent.split(|it| it.letter == b'K').nth(session - 1).unwrap_or(&[]).iter();
        if is_remembered && !of_session.any(|it| wanted.contains(&it.letter)) {
            return self.fail(format!("{} is connected for nothing", name(peer)));
        }
        self.note(b"", || {
            let [actions, protocol] = [offer.actions.0, offer.protocol.0];
            let fresh = if fresh { " afresh" } else { "" };
            format!("S: acquire {}{fresh} offering {} {actions:#x} {protocol:#x}", name(peer), offer.version)
        });
        let mut plan = plan;
        if session <= plan.fault_from {
            plan = Arc::new(Plan { fault: None, ..Plan::clone(&plan) });
        }
        if before.is_some() {
            plan = Arc::new(plan.told_again());
        }
        // Only such are ever kept.
        let joined = plan.joins(self.offer);
        let kept = joined.version == 6 && joined.protocol & 0x10_0000 == 0;
        let kept = kept && !fresh && plan.kept != Kept::No && plan.fault.is_none() && self.rng.chance(70);
        let failure = match plan.fault {
            Some(JoinFault::Exhausted) => Some(IoKind::Exhausted),
            Some(JoinFault::Refused) => Some(*self.rng.pick(&[
                IoKind::Busy,
                IoKind::NameNotFound,
                IoKind::Other,
                IoKind::Refused,
                IoKind::NotFound,
                IoKind::Denied,
                IoKind::Unreachable,
                IoKind::TimedOut,
            ])),
            _ => None,
        };
        let when = match plan.fault {
            Some(JoinFault::Hang) => u64::MAX,
            _ => self.now + plan.joins_after * MS,
        };
        let capacity = self.capacity();
        let watch = Watch::new(plan.pipelining, plan.kept != Kept::No);
        let mut line = Line::new(peer, Some(ChildEnd::new(plan)), capacity, watch);
        line.acquiring = Some((when, failure));
        (line.session, line.kept, line.replaces) = (session, kept, replaces);
        line.watch.again = before.is_some();
        self.lines.push(line);
    }

    /// What a child is taken to answer to the offer, where it may be sent its first commands with that: it bears pipelining,
    /// the MTA was answered on the strength of it, and it does not come in place of a connection that was dead.
    pub(super) fn foreseen(&self, at: usize) -> Option<Joined> {
        let line = &self.lines[at];
        let index = index_of(line.peer);
        let plan = &self.scenario.children[index];
        if line.kept || line.replaces || !plan.pipelining || self.mta.agreed.is_none() {
            return None;
        }
        let known = self.stays[index].get(line.session - 1).and_then(|stay| stay.joined.clone());
        known.or_else(|| line.watch.again.then(|| plan.joins(self.offer)))
    }

    /// Whether the MTA has sent one of these in its session.
    pub(super) fn has_come(&self, letters: &[u8]) -> bool {
        let sent = self.mta.exchanges[..self.mta_at.map_or(0, |at| at + 1)].iter().rev();
        let mut session = sent.take_while(|it| it.letter != b'K');
        session.any(|it| letters.contains(&it.letter) && !it.suppressed)
    }

    /// Whether the MTA has sent MAIL before any HELO in its session.
    fn begins_without_helo(&self) -> bool {
        let sent = &self.mta.exchanges[..self.mta_at.map_or(0, |at| at + 1)];
        let session = sent.iter().rposition(|it| it.letter == b'K').map_or(0, |at| at + 1);
        let first = sent[session..].iter().find(|it| b"MH".contains(&it.letter) && !it.suppressed);
        first.is_some_and(|it| it.letter == b'M')
    }

    /// A connection is given back: nothing may be owed or queued on it.
    pub(super) fn release(&mut self, peer: Peer, negotiated: &Negotiation) {
        self.note(b"", || format!("S: gives {} back", name(peer)));
        let queued = self.pending(peer) > 0;
        let same = joined_of(negotiated) == self.scenario.children[index_of(peer)].joins(self.offer);
        let open = |line: &&mut Line| line.peer == peer && !line.over && line.flush_by.is_none();
        let Some(line) = self.lines.iter_mut().find(open) else {
            return self.fail(format!("{} is given back, and not open", name(peer)));
        };
        line.over = true;
        if queued || !same || !line.watch.is_given_back() {
            self.fail(format!("{} is given back, and is of no use", name(peer)));
        }
    }
}

fn numbers(offer: &Negotiation) -> (u32, u32, u32) {
    (offer.version, offer.actions.0, offer.protocol.0)
}

pub(super) fn in_core(joined: &Joined) -> Negotiation {
    let lists = joined.lists.iter().map(|(letter, names)| {
        let list = encode_lists(&[(*letter, names.clone())]);
        (list_stage(*letter), Bytes::copy_from_slice(&list[4..list.len() - 1]))
    });
    Negotiation {
        version: joined.version,
        actions: Actions(joined.actions),
        protocol: Protocol(joined.protocol),
        macro_lists: lists.collect(),
    }
}

fn joined_of(negotiation: &Negotiation) -> Joined {
    let names = |list: &[u8]| {
        let names = list.split(|byte| *byte == b' ').filter(|name| !name.is_empty());
        names.map(|name| name.iter().copied().filter(|byte| !b"{}".contains(byte)).collect()).collect()
    };
    Joined {
        version: negotiation.version,
        actions: negotiation.actions.0,
        protocol: negotiation.protocol.0,
        lists: negotiation.macro_lists.iter().map(|(stage, list)| (stage.letter(), names(list))).collect(),
    }
}
