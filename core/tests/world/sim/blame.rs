//! The session gives a child up: it must have a reason. When that was is noted for the model.

use std::sync::Arc;

use millstream_core::event::Failure;
use millstream_core::machine::{IoError, IoKind, Machine, Peer, Refusal};
use millstream_core::wire::Fault;

use super::World;
use super::line::{Line, index_of};
use crate::peers::child::ChildEnd;
use crate::peers::child_watch::Watch;
use crate::plan::{Kind, Plan, Rule, no_reply_bit, no_send_bit};
use crate::record::Lost;

/// The most that keeping one edit costs besides its bytes.
const EDIT: u64 = 256;

impl<M: Machine> World<M> {
    /// The session says that a child has failed.
    pub(super) fn failed(&mut self, child: usize, failure: &Failure) {
        let kind = match failure {
            Failure::Timeout { timer, .. } => return self.timed_out(child, *timer),
            Failure::Protocol(fault) if matches!(**fault, Fault::TooMuch { .. }) => {
                self.check_edits(child);
                return self.given_up(child, Kind::Ours, false);
            }
            Failure::Connect(Refusal::Failed(IoError { kind: IoKind::Exhausted, .. })) => Kind::Ours,
            Failure::Connect(_) => Kind::Connect,
            Failure::Protocol(_) | Failure::Renegotiated => Kind::Protocol,
            Failure::Closed(_) => Kind::Closed,
        };
        // Of an envelope near its limit it is another question whether all of it is kept: macros count there.
        let kept = self.scenario.bounds.envelope_bytes.is_none() && self.keeps_body();
        let last = self.lines.iter().rfind(|line| index_of(line.peer) == child);
        let end = last.and_then(|line| line.child.as_ref());
        let deserved = match failure {
            Failure::Renegotiated => self.is_unfit(child),
            Failure::Closed(_) if end.is_some_and(|end| end.died) => true,
            _ => end.is_some_and(|end| end.fails == Some(kind)),
        };
        if !deserved {
            self.fail(format!("c{child} was given up ({kind:?}) for no reason"));
        } else if kind == Kind::Closed && kept && last.is_some_and(|line| line.kept && line.quiet[1] == 0) {
            self.fail(format!("c{child} is given up, and could have had a fresh connection"));
        }
        self.given_up(child, kind, false);
        if let Some(line) = self.line_of(child).filter(|_| matches!(failure, Failure::Renegotiated)) {
            line.unfit = true;
        }
    }

    /// Whether there is room for all of the body that has come in the message in hand, to show it once more.
    fn keeps_body(&self) -> bool {
        let sent = &self.mta.exchanges[..self.mta_at.map_or(0, |at| at + 1)];
        let message = sent.iter().rev().take_while(|it| it.letter != b'M');
        let body: u64 = message.filter(|it| it.letter == b'B').map(|it| it.payload.len() as u64).sum();
        let bounds = &self.scenario.bounds;
        let in_memory = self.scenario.ration == 0 && bounds.body_bytes.is_none_or(|most| body <= most);
        body == 0 || in_memory
    }

    /// A child is given up for its edits: they may be past the limits.
    fn check_edits(&mut self, child: usize) {
        let bounds = self.scenario.bounds;
        let most = bounds.edit_bytes.unwrap_or(u64::MAX);
        let sizes = |plan: &Arc<Plan>| {
            let size = |rule: &Rule| {
                rule.act.edits.iter().map(|(_, payload)| payload.len() as u64 + EDIT).sum::<u64>()
            };
            plan.rules.iter().map(size).max().unwrap_or(0)
        };
        let alone = self.scenario.children[child].rules.iter().any(|rule| bounds.forbid(&rule.act.edits));
        if !alone && self.scenario.children.iter().map(sizes).sum::<u64>() <= most {
            self.fail(format!("c{child} is given up for edits that are within the limits"));
        }
    }

    /// The MTA is told what it shall not send: nothing that a child which is there wants, and no headers without which the mark
    /// cannot be removed.
    pub(super) fn check_offer(&mut self, protocol: u32) {
        let withheld = |letter: &u8| protocol & no_send_bit(*letter) != 0;
        for child in 0..self.stays.len() {
            let lines = || self.lines.iter().filter(|line| index_of(line.peer) == child);
            let told = lines().filter_map(|line| line.child.as_ref()?.joined.as_ref()).next_back();
            let known = self.stays[child].last().and_then(|stay| stay.joined.as_ref()).or(told);
            let Some(known) = known.filter(|_| lines().all(|line| line.lost.is_none())) else { continue };
            if let Some(letter) = b"CHMRTLNBU".iter().filter(|it| withheld(it)).find(|it| known.wants(**it)) {
                return self
                    .fail(format!("'{}' is not to be sent, and c{child} wants it", char::from(*letter)));
            }
        }
        if self.scenario.mark.is_some() && withheld(&b'L') {
            self.fail("headers are not to be sent, and the mark cannot be removed".into());
        }
    }

    /// Whether a child has no part in what the MTA waits for.
    pub(super) fn is_apart(&self, child: usize) -> bool {
        let Some(line) = self.lines.iter().rfind(|line| index_of(line.peer) == child) else { return false };
        let Some(joined) = line.child.as_ref().and_then(|end| end.joined.as_ref()) else { return false };
        let watched = |letter| self.scenario.children[child].conditions.iter().any(|it| it.letter == letter);
        let has_left = |letter| b"RT".contains(&letter) && joined.wants(b'M') && !line.watch.is_in_message();
        let is_apart = |(_, at): &(u64, usize)| {
            let letter = self.mta.exchanges[*at].letter;
            letter != b'E' && !watched(letter) && (has_left(letter) || !joined.wants(letter))
        };
        !self.unanswered.is_empty() && !line.watch.owes() && self.unanswered.iter().all(is_apart)
    }

    /// A child that was remembered and has negotiated otherwise, or that comes back when the MTA was answered without it,
    /// and wants what the MTA was not asked for.
    pub(super) fn is_unfit(&self, child: usize) -> bool {
        let Some(stay) = self.stays[child].last() else { return false };
        let otherwise =
            stay.remembered && stay.joined.as_ref() != Some(&self.scenario.children[child].joins(self.offer));
        otherwise || self.stays[child].len() > 1 && !self.is_provided_for(child)
    }

    /// The MTA, which was answered without it when it failed in the first session, sends what it wants, waits for what it
    /// says, and takes what it may change.
    fn is_provided_for(&self, child: usize) -> bool {
        let plan = &self.scenario.children[child];
        let Some(agreed) = &self.mta.agreed else { return true };
        let known = self.stays[child].last().and_then(|stay| stay.joined.as_ref());
        let last = self.lines.iter().rfind(|line| index_of(line.peer) == child);
        let told = last.and_then(|line| line.child.as_ref()).and_then(|end| end.joined.as_ref());
        let Some(joined) = known.or(told) else { return true };
        let watched = |letter| plan.conditions.iter().any(|condition| condition.letter == letter);
        let is_sent = |letter: &u8| {
            agreed.protocol & no_send_bit(*letter) == 0 || !joined.wants(*letter) && !watched(*letter)
        };
        let is_heard = |letter: &u8| {
            let speaks = joined.wants(*letter) && joined.answers(*letter);
            plan.evaluation || !speaks || agreed.protocol & no_reply_bit(*letter) == 0
        };
        let rights = plan.evaluation || joined.actions & 0xff & !agreed.actions == 0;
        rights && b"CHMRTLNBU".iter().all(is_sent) && b"CHMRTU".iter().all(is_heard)
    }

    /// The session gives up a child: with which command of those that have come since the last answer, only it knows.
    pub(super) fn given_up(&mut self, child: usize, kind: Kind, budget: bool) {
        let until = self.mta_at.map_or(0, |at| 2 * at + 2);
        // Content that came before may not have been looked at.
        let sent = &self.mta.exchanges;
        let content = |first: usize| {
            let before = sent[..first].iter().rev().take_while(|it| b"DLNB".contains(&it.letter)).count();
            (first - before..first).find(|at| sent[*at].letter != b'D').unwrap_or(first)
        };
        let from = self.unanswered.first().map_or(until, |(_, number)| 2 * content(*number) + 1);
        let until = until - usize::from(budget && until > 0);
        let fallback = self.scenario.fallback_for(child, kind);
        let Some(line) = self.line_of(child) else { return };
        line.lost = Some(Lost { from: from.min(until), until, kind, fallback });
    }

    /// The last connection of a child; a note of one that it never had, when there is none in this session. The MTA may have
    /// begun another session before the end of the last is told.
    pub(super) fn line_of(&mut self, child: usize) -> Option<&mut Line> {
        let session = self.stays[child].len();
        let is_its = |line: &Line| index_of(line.peer) == child && line.session == session;
        if !self.lines.iter().any(is_its) {
            let peer = Peer { slot: child as u16 + 1, generation: u16::MAX };
            let end = ChildEnd::new(self.scenario.children[child].clone());
            let mut line = Line::new(peer, Some(end), 0, Watch::new(false, false));
            (line.over, line.session) = (true, session);
            self.lines.push(line);
        }
        self.lines.iter_mut().rfind(|line| is_its(line))
    }
}
