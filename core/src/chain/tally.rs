//! What is told about a whole session when it is over: for statistics, where somebody wants them.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::Session;
use super::child::Child;
use crate::event::{ChildEnd, Event, MessageEnd, Outcome, SessionReport, Status, Verdict};
use crate::time::Instant;
use crate::wire::{Edit, Stage};

/// How the session stands so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Somebody wants to be told.
    pub(super) wanted: bool,
    /// The first input, or that behind a QUIT_NC.
    pub(super) began: Option<Instant>,
    /// The last verdict on the connection or a message.
    last: Option<(Stage, Status)>,
    /// The MTA's end has failed at this stage.
    pub(super) failed: Option<Stage>,
}

/// How a child stands so far.
#[derive(Debug, Default)]
pub(super) struct ChildTally {
    last: Option<(Stage, Status)>,
    waited: Duration,
}

impl ChildTally {
    /// Its last verdict, or how its part in the connection or a message ended.
    pub(super) fn note(&mut self, stage: Stage, status: Status) {
        self.last = Some((stage, status));
    }

    /// For how long it was waited for in a message.
    pub(super) fn wait(&mut self, elapsed: Duration) {
        self.waited += elapsed;
    }

    /// How its part in a message ended. One that was cut short by `refused` recipients has said more than that before.
    pub(super) fn end_message(&mut self, outcome: &Outcome, stage: Stage, quarantined: bool, refused: bool) {
        let status = match outcome {
            Outcome::Absent => return,
            // That it failed was noted when it did.
            Outcome::Failed(_) if matches!(self.last, Some((_, Status::Error))) => return,
            Outcome::Aborted if refused => return,
            Outcome::Decided(_) if quarantined => Status::Quarantine,
            Outcome::Decided(verdict) => Status::of(verdict),
            Outcome::Failed(_) => Status::Error,
            Outcome::Stopped => Status::Stop,
            Outcome::Aborted => Status::Abort,
        };
        self.note(stage, status);
    }
}

impl Tally {
    /// An answer to the MTA before the content. What becomes of a command that nobody knows says nothing about mail.
    pub(super) fn answered(&mut self, stage: Stage, verdict: &Verdict) {
        if stage != Stage::Unknown && *verdict != Verdict::Continue {
            self.last = Some((stage, Status::of(verdict)));
        }
    }

    /// How a message ended. One that the MTA did not finish because it was told enough before has its verdict.
    pub(super) fn end_message(&mut self, end: &MessageEnd, stage: Stage, quarantined: bool, settled: bool) {
        let status = match end {
            MessageEnd::Answered(verdict) if verdict.delivers() && quarantined => Status::Quarantine,
            MessageEnd::Answered(verdict) => Status::of(verdict),
            MessageEnd::OverLimit(_) => Status::TemporaryFailure,
            MessageEnd::Aborted | MessageEnd::Disconnected if settled => return,
            MessageEnd::Aborted | MessageEnd::Disconnected => Status::Abort,
        };
        self.last = Some((stage, status));
    }
}

impl Session {
    /// Tells about the session that ends, where somebody wants to know.
    pub(super) fn tell_end(&mut self) {
        if !self.tally.wanted {
            return;
        }
        let now = self.now();
        let stage = self.stage();
        let (last_stage, status) = match (self.tally.failed, self.tally.last) {
            // An end behind a message that was answered takes nothing of that back.
            (Some(stage), None | Some((_, Status::Abort))) => (stage, Status::Error),
            (_, Some(last)) => last,
            // Of no client was told: somebody has looked whether we listen.
            (None, None) if self.client.is_none() => (Stage::Negotiate, Status::Abort),
            (None, None) => (stage, Status::Pass),
        };
        let elapsed = self.tally.began.map_or(Duration::ZERO, |began| now.since(began));
        let names = self.policy.children().iter().map(|settings| settings.name.clone());
        let end = |(child, name): (&mut Child, _)| {
            let (stage, status) = child.tally.last.unwrap_or((stage, Status::Pass));
            let waited = child.tally.waited + child.take_elapsed(now);
            ChildEnd { name, stage, status, elapsed: waited }
        };
        let children = self.children.iter_mut().zip(names).map(end);
        let children = if last_stage == Stage::Negotiate { Vec::new() } else { children.collect() };
        self.event(Event::Ended(Box::new(SessionReport { stage: last_stage, status, elapsed, children })));
        self.tally = Tally { wanted: true, ..Tally::default() };
    }

    /// Tells of a header that a child has written, or that is written into the MTA's message.
    pub(super) fn tell_header(&mut self, by: Option<usize>, edit: &Edit) {
        let (Edit::AddHeader(name, value)
        | Edit::InsertHeader(_, name, value)
        | Edit::ChangeHeader(_, name, value)) = edit
        else {
            return;
        };
        if self.tally.wanted && !value.is_empty() {
            let by = by.map(|index| self.name(index));
            self.event(Event::HeaderAdded { name: name.clone(), value: value.clone(), by });
        }
    }
}
