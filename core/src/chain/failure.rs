//! Failures of children and of the MTA, and the timers that find them.

use core::time::Duration;

use super::child::{Child, Part, Step};
use super::commands::fallback_step;
use super::connection::{Gone, Link, Timer};
use super::verdict::Joint;
use super::{Life, Session};
use crate::event::{Event, Failure, FallbackReason, LimitName, Outcome, Status, TimerName};
use crate::machine::{IoError, IoKind, Output};
use crate::policy::{ChildIndex, Fallback};
use crate::time::Instant;
use crate::wire::{Actions, Stage};

/// A child that takes so long to take a connection or to answer the offer is not only a little late.
const HUNG: Duration = Duration::from_secs(2);

impl Session {
    /// A child is of no use any more: its fallback is its verdict from now on.
    pub(super) fn fail_child(&mut self, index: usize, failure: Failure) {
        let name = self.name(index);
        let configured = self.policy.fallback_for(ChildIndex(index as u16), failure.kind());
        let (fallback, reason) = match configured {
            // What we lack ourselves never lets mail pass that the child did not see.
            _ if failure.is_ours() => (Fallback::TemporaryFailure, FallbackReason::Ours),
            Fallback::Quarantine if !self.offered.actions.has(Actions::QUARANTINE) => {
                (Fallback::TemporaryFailure, FallbackReason::NoQuarantine)
            }
            _ if configured == self.policy.children()[index].fallback => (configured, FallbackReason::Child),
            _ => (configured, FallbackReason::Kind),
        };
        let stage = self.stage_of(index);
        self.unsettled = true;
        let unwell = self.is_unwell(index, &failure);
        let child = &mut self.children[index];
        child.tally.note(stage, Status::Error);
        let peer = child.connection.peer;
        let refused = matches!(failure, Failure::Connect(_) | Failure::Closed(_));
        if unwell {
            let in_time = !matches!(failure, Failure::Timeout { .. });
            let kind = if in_time { IoKind::Other } else { IoKind::TimedOut };
            self.outputs.push_back(Output::Unwell { peer, error: IoError { kind, code: 0 } });
        }
        let link = child.connection.end(Gone::Failed(fallback));
        let has_connection = matches!(link, Link::Connecting | Link::Negotiating(_) | Link::Up(_));
        child.forget_asked();
        if !refused && has_connection {
            self.outputs.push_back(Output::Close { peer, flush_by: None });
        }
        if matches!(child.part, Part::In(_)) {
            child.part = Part::Done(Outcome::Failed(fallback), stage, 0);
        }
        if let Some(command) = &self.command
            && matches!(child.step, Step::Todo | Step::Waiting)
        {
            child.step = fallback_step(child, command.stage);
        }
        let evaluation = child.evaluation;
        let child = ChildIndex(index as u16);
        self.event(Event::ChildFailed { child, name, stage, failure, fallback, reason, evaluation });
        match self.joint_verdict() {
            // That is the answer to the command in hand, too, although the child had passed it.
            Joint::Certain(decided) if !decided.verdict.delivers() => self.decide(decided),
            _ if self.children[index].decisive().is_some() => self.abort_behind(index),
            _ => {}
        }
    }

    /// Whether a failure says of a child that has said nothing on this connection that it is unwell, and not only that
    /// there was little time left. What ended by itself the pool knows, and kept connections end when a child is restarted.
    fn is_unwell(&self, index: usize, failure: &Failure) -> bool {
        let child = &self.children[index];
        let unheard = child.connection.is_unheard();
        let has_said_nothing = match &child.connection.link {
            Link::Connecting => true,
            Link::Up(_) if child.connection.is_unproven() => true,
            _ => unheard,
        };
        has_said_nothing
            && match failure {
                Failure::Timeout { timer: TimerName::Budget, .. } => {
                    child.connection.timer.is_some_and(|timer| self.now().since(timer.since) >= HUNG)
                }
                Failure::Timeout { .. } => true,
                Failure::Protocol(_) => unheard && !failure.is_ours(),
                _ => false,
            }
    }

    /// What a child is doing, for messages to people.
    pub(super) fn stage_of(&self, index: usize) -> Stage {
        let child = &self.children[index];
        if child.is_coming() {
            return Stage::Negotiate;
        }
        let awaited = child.up().and_then(crate::client::Client::awaits);
        let shown = child.cursor().and_then(|cursor| cursor.stage);
        awaited.or(shown).unwrap_or_else(|| self.stage())
    }

    /// The MTA's end is of no use any more: the session is over.
    pub(super) fn mta_failed(&mut self, failure: Failure) {
        let stage = self.stage();
        self.tally.failed = Some(stage);
        self.event(Event::MtaFailed { stage, failure });
        self.finish();
        self.filter.close();
    }

    /// Sets every timer for what is awaited now, and finds the first time at which something is due.
    pub(super) fn retime(&mut self) {
        let now = self.now();
        self.retime_mta();
        self.retime_presence();
        self.unread_until = match (self.has_room(), self.unread_until) {
            (true, _) => None,
            (false, None) => Some(now + self.policy.limits().unread),
            (false, running) => running,
        };
        let mut first = self.own_deadline();
        for (index, child) in self.children.iter_mut().enumerate() {
            if child.connection.touched {
                child.connection.touched = false;
                child.retime(&self.policy.children()[index], now);
            }
            if let Some(timer) = &child.connection.timer {
                first = first.min(timer.deadline);
            }
        }
        self.deadline = (first < Instant::NEVER).then_some(first);
    }

    /// The MTA is waited for while it owes a command or does not read.
    pub(super) fn retime_mta(&mut self) {
        let wanted = if self.life != Life::Running {
            None
        } else if self.filter.unwritten() > 0 {
            Some(TimerName::MtaWriting)
        } else if self.filter.owed().is_some() || self.command.is_some() {
            None
        } else if self.filter.is_greeting() {
            Some(TimerName::MtaGreeting)
        } else {
            Some(TimerName::MtaIdle)
        };
        if wanted != self.mta_timer.map(|(name, _)| name) {
            self.mta_timer = wanted.map(|name| (name, self.now() + self.mta_limit(name)));
        }
    }

    /// How long the MTA may take for that.
    fn mta_limit(&self, name: TimerName) -> Duration {
        let limits = self.policy.limits();
        match name {
            TimerName::MtaGreeting => limits.mta_greeting,
            TimerName::MtaWriting => limits.mta_writing,
            _ => limits.mta_idle,
        }
    }

    /// When something has to happen although no input comes, the time limits of the children aside.
    fn own_deadline(&self) -> Instant {
        let mut first = match self.life {
            Life::Closing(deadline) => deadline,
            _ => Instant::NEVER,
        };
        let mut note = |at: Option<Instant>| {
            if let Some(at) = at {
                first = first.min(at);
            }
        };
        note(self.mta_timer.map(|(_, deadline)| deadline));
        note(self.budget.map(|(deadline, _)| deadline));
        note(self.message_deadline());
        note(self.unread_until);
        note(self.progress_at);
        note(self.presence.due);
        for leaving in self.leaving.iter().filter(|leaving| leaving.gives_back) {
            note(Some(leaving.by));
        }
        first
    }

    /// Until when the message in hand has to be complete, unless its outcome is certain.
    fn message_deadline(&self) -> Option<Instant> {
        let transaction = self.transaction.as_ref().filter(|transaction| transaction.decided.is_none())?;
        Some(transaction.ends_by)
    }

    /// The MTA waits no longer: every child whose answer is still missing has failed.
    fn end_of_budget(&mut self, limit: Duration) {
        let failure = || Failure::Timeout { timer: TimerName::Budget, limit };
        let stage = self.command.as_ref().map(|command| command.stage);
        for index in 0..self.children.len() {
            let child = &self.children[index];
            let missing = match stage {
                None => child.is_coming(),
                Some(Stage::EndOfMessage) => matches!(child.part, Part::In(_)),
                Some(stage) => is_open(child) && has_a_say(child, stage) && !self.is_hidden(index, stage),
            };
            if missing {
                self.fail_child(index, failure());
            }
        }
        // Who stands behind those and is not asked has a part in it all the same: its fallback, its recipients, its
        // conditions. There is no time left for more.
        self.advance_command();
        for index in 0..self.children.len() {
            let is_asked = self.command.as_ref().is_some_and(|command| command.stage != Stage::EndOfMessage);
            if is_asked && is_open(&self.children[index]) {
                self.fail_child(index, failure());
            }
        }
    }

    /// Fires what is due. Returns whether anything was.
    pub(super) fn fire_timers(&mut self) -> bool {
        let mut fired = false;
        let due = self.deadline.is_some_and(|deadline| self.clock.is_due(deadline));
        if self.life != Life::Running || !due {
            return fired;
        }
        for index in 0..self.children.len() {
            if let Some(Timer { name, limit, deadline, .. }) = self.children[index].connection.timer
                && self.clock.is_due(deadline)
            {
                self.fail_child(index, Failure::Timeout { timer: name, limit });
                fired = true;
            }
        }
        if self.unread_until.is_some_and(|deadline| self.clock.is_due(deadline))
            && let Some(transaction) = &mut self.transaction
        {
            transaction.read_on = true;
            fired = true;
        }
        if self.message_deadline().is_some_and(|deadline| self.clock.is_due(deadline)) {
            self.over_limit(LimitName::MessageTime);
            fired = true;
        }
        if let Some((deadline, limit)) = self.budget
            && self.clock.is_due(deadline)
        {
            self.budget = None;
            self.end_of_budget(limit);
            fired = true;
        }
        if self.progress_at.is_some_and(|deadline| self.clock.is_due(deadline)) {
            self.progress_at = Some(self.now() + self.policy.limits().progress);
            // Nothing is lost when the MTA's end does not take it now.
            let _ = self.filter.progress();
            fired = true;
        }
        if self.presence.due.is_some_and(|deadline| self.clock.is_due(deadline)) {
            self.look_for_client();
            fired = true;
        }
        if let Some((name, deadline)) = self.mta_timer
            && self.clock.is_due(deadline)
        {
            let limit = self.mta_limit(name);
            self.mta_failed(Failure::Timeout { timer: name, limit });
            fired = true;
        }
        fired
    }
}

/// Whether a child has not answered the command in hand, or was not shown it.
const fn is_open(child: &Child) -> bool {
    matches!(child.step, Step::Todo | Step::Waiting)
}

/// Whether a child that has not answered the command of `stage` is asked about it at all.
fn has_a_say(child: &Child, stage: Stage) -> bool {
    let in_message = matches!(stage, Stage::Mail | Stage::Rcpt | Stage::Data);
    let takes_part = !in_message || matches!(child.part, Part::In(_));
    let consults = !child.asked.queries.is_empty() || child.asked.awaited.is_some();
    let asked = consults || child.terms().is_some_and(|terms| terms.wants(stage));
    takes_part && (child.is_coming() || asked)
}
