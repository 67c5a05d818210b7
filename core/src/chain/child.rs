//! One child of a session: its connection, and its part in the command and the message in hand.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::connection::{Connection, Gone, Link};
use super::tally::ChildTally;
use crate::client::Client;
use crate::event::{Outcome, Verdict};
use crate::machine::{Peer, QueryId, Question};
use crate::message::ViewId;
use crate::policy::{Answers, ChildIndex, ChildSettings, Fallback, Policy};
use crate::time::Instant;
use crate::wire::facts::{STAGES, Stage};
use crate::wire::{Actions, Chunks, Edit, Negotiation, Protocol};

/// A child of a session.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) connection: Connection,
    pub(super) step: Step,
    pub(super) part: Part,
    pub(super) evaluation: bool,
    /// It runs beside the others.
    pub(super) independent: bool,
    /// It has finished the message, and its edits wait for those of the children before it.
    pub(super) uncommitted: Option<Uncommitted>,
    /// It had the message put into quarantine.
    pub(super) quarantined: bool,
    /// A bit for each stage at which the policy has something to say.
    watched: u16,
    pub(super) asked: Asked,
    /// It is sent content before it has answered what was sent before.
    pub(super) pipelining: bool,
    busy: Busy,
    pub(super) tally: ChildTally,
}

/// What the policy waits for before it decides on a child.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The look-ups, and the answers so far.
    pub(super) queries: Vec<(QueryId, Question)>,
    pub(super) answers: Answers,
    /// One has come since the policy was asked.
    pub(super) answered: bool,
    /// The child before it whose state is read.
    pub(super) awaited: Option<ChildIndex>,
}

impl Asked {
    /// Whether none of the look-ups was answered since the policy was asked.
    pub(super) const fn waits_for_answer(&self) -> bool {
        !self.queries.is_empty() && !self.answered
    }
}

/// How long a child was waited for in the message in hand.
#[derive(Debug, Default)]
struct Busy {
    /// Since when a reply is awaited.
    since: Option<Instant>,
    before: Duration,
}

/// How far a child is with the command in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// It has not been shown the command.
    Todo,
    /// Its reply is awaited.
    Waiting,
    /// It has no objection, or none that counts.
    Passed,
    /// Its verdict ends the matter, if no child before it has one.
    Decided(Verdict),
}

/// The edits of a child that has finished.
#[derive(Debug)]
pub(super) struct Uncommitted {
    pub(super) edits: Vec<Edit>,
    pub(super) actions: Actions,
    pub(super) leading_space: bool,
}

/// A child's part in the message in hand.
#[derive(Debug)]
pub(super) enum Part {
    /// None: there is no message, or it was not in the session when the message began.
    Out,
    /// It is being shown the message.
    In(Box<Cursor>),
    /// It has finished, or was finished.
    Done(Outcome, Stage, usize),
}

/// A place in the content of a message: the number of the header, the stage, the number of the run of body chunks, and
/// where in it.
pub(super) type Place = (usize, Stage, usize, usize);

/// How far along the message's timeline a child is.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// What it is shown, once its gate was open.
    pub(super) view: Option<ViewId>,
    pub(super) next_header: usize,
    pub(super) past_headers: bool,
    /// The run of body chunks that comes next, by its number, and where in it the first begins that was not shown.
    pub(super) next_run: usize,
    pub(super) next_chunk: usize,
    /// The place in the file of the run that was asked for.
    pub(super) fetching: Option<u64>,
    /// A run that was away, by its number.
    pub(super) fetched: Option<(usize, Chunks)>,
    pub(super) skips_headers: bool,
    pub(super) skips_body: bool,
    /// How many recipients it was shown.
    pub(super) recipients: usize,
    /// The last stage that it was shown.
    pub(super) stage: Option<Stage>,
    /// What it asked for at end of message.
    pub(super) edits: Vec<Edit>,
    pub(super) edit_bytes: usize,
    pub(super) edit_count: usize,
}

impl Cursor {
    /// Where what comes next stands, which is of `stage`.
    pub(super) const fn place(&self, stage: Stage) -> Place {
        match stage {
            Stage::Header | Stage::EndOfHeaders => (self.next_header, stage, 0, 0),
            _ => (self.next_header, stage, self.next_run, self.next_chunk),
        }
    }

    /// It is shown the content from its beginning, the body only if it is `sent_body`.
    pub(super) fn begin_again(&mut self, sent_body: bool) {
        (self.next_header, self.past_headers, self.fetching) = (0, false, None);
        if sent_body {
            (self.next_run, self.next_chunk, self.fetched) = (0, 0, None);
        }
    }

    /// The run that comes next, as it was fetched.
    pub(super) fn fetched(&self) -> Option<&Chunks> {
        let (run, chunks) = self.fetched.as_ref()?;
        (*run == self.next_run).then_some(chunks)
    }

    /// What comes next of the body begins at byte `start` of its run, of `length` bytes.
    pub(super) fn move_to(&mut self, start: usize, length: usize) {
        self.next_chunk = start;
        if start >= length {
            self.next_run += 1;
            self.next_chunk = 0;
            self.fetched = None;
        }
    }
}

impl Child {
    pub(super) fn new(policy: &dyn Policy, index: ChildIndex) -> Self {
        let watched = STAGES.iter().filter(|fact| policy.watches(index, fact.stage));
        Self {
            connection: Connection::new(Peer::child(index, 0)),
            step: Step::Passed,
            part: Part::Out,
            evaluation: policy.children()[usize::from(index.0)].evaluation_mode,
            independent: policy.independent(index),
            uncommitted: None,
            quarantined: false,
            watched: watched.fold(0, |bits, fact| bits | 1 << fact.stage as u16),
            asked: Asked::default(),
            pipelining: policy.pipelining(index),
            busy: Busy::default(),
            tally: ChildTally::default(),
        }
    }

    /// A decision was made, or is not needed any more.
    pub(super) fn forget_asked(&mut self) {
        let Asked { queries, answers, answered, awaited } = &mut self.asked;
        queries.clear();
        answers.0.clear();
        (*answered, *awaited) = (false, None);
    }

    pub(super) const fn is_watched(&self, stage: Stage) -> bool {
        self.watched & 1 << stage as u16 != 0
    }

    /// It is to be told the command in hand once more.
    pub(super) fn take_back(&mut self, stage: Stage) {
        self.step = Step::Todo;
        match &mut self.part {
            Part::In(cursor) => {
                cursor.stage = self.connection.told.unsay();
                cursor.recipients -= usize::from(stage == Stage::Rcpt);
            }
            Part::Out | Part::Done(..) => self.connection.told.forget_from(stage),
        }
    }

    /// The conversation with it, while it takes part.
    pub(super) fn up(&self) -> Option<&Client> {
        self.connection.up()
    }

    /// Whether it has to be waited for before anything can be said about it.
    pub(super) const fn is_coming(&self) -> bool {
        self.connection.is_coming()
    }

    /// What it negotiated, as far as it is in the session and that is known.
    pub(super) fn terms(&self) -> Option<&Negotiation> {
        self.connection.terms()
    }

    /// The fallback that is answered for it, when it failed.
    pub(super) const fn fallback(&self) -> Option<Fallback> {
        match self.connection.link {
            Link::Gone(Gone::Failed(fallback)) => Some(fallback),
            _ => None,
        }
    }

    /// Whether it failed in a way that still matters for the mail of this session.
    pub(super) fn failure_counts(&self) -> bool {
        !self.evaluation && self.fallback().is_some_and(|fallback| fallback != Fallback::Accept)
    }

    pub(super) const fn cursor(&self) -> Option<&Cursor> {
        match &self.part {
            Part::In(cursor) => Some(cursor),
            _ => None,
        }
    }

    pub(super) const fn cursor_mut(&mut self) -> Option<&mut Cursor> {
        match &mut self.part {
            Part::In(cursor) => Some(cursor),
            _ => None,
        }
    }

    /// The verdict on the message with which it ends the matter for all.
    pub(super) fn decisive(&self) -> Option<Verdict> {
        match &self.part {
            _ if self.evaluation => None,
            Part::Done(Outcome::Decided(verdict), ..) if !verdict.delivers() => Some(verdict.clone()),
            Part::Done(Outcome::Failed(fallback), ..) if !fallback.passes() => Some((*fallback).into()),
            _ => None,
        }
    }

    /// Whether it may still change what the children behind it are shown.
    pub(super) const fn may_write(&self) -> bool {
        matches!(self.part, Part::In(_)) || self.uncommitted.is_some()
    }

    /// What it may write into the message that the children behind it are shown.
    pub(super) fn writes(&self) -> Actions {
        let rights = Actions::ADD_HEADERS.with(Actions::CHANGE_HEADERS).with(Actions::CHANGE_BODY);
        match (&self.uncommitted, self.terms()) {
            // It may be gone since.
            (Some(finished), _) => finished.actions.and(rights),
            (None, Some(terms)) if !self.evaluation => terms.actions.and(rights),
            _ => Actions::NONE,
        }
    }

    /// What of the message it is shown, as the rights that could change that.
    pub(super) fn reads(&self) -> Actions {
        let Some(terms) = self.terms() else { return Actions::NONE };
        let protocol = terms.protocol;
        let headers = match protocol.has(Protocol::NO_HEADERS) && !self.is_watched(Stage::Header) {
            true => Actions::NONE,
            false => Actions::ADD_HEADERS.with(Actions::CHANGE_HEADERS),
        };
        let body = match protocol.has(Protocol::NO_BODY) && !self.is_watched(Stage::Body) {
            true => Actions::NONE,
            false => Actions::CHANGE_BODY,
        };
        headers.with(body)
    }

    /// Sets the timer for what is awaited now.
    pub(super) fn retime(&mut self, settings: &ChildSettings, now: Instant) {
        self.connection.retime(&settings.timeouts, now);
        let is_busy = self.up().is_some_and(Client::is_busy);
        if is_busy != self.busy.since.is_some() {
            self.busy.note(now, is_busy);
        }
    }

    /// How long the session has waited for it since this was last asked.
    pub(super) fn take_elapsed(&mut self, now: Instant) -> Duration {
        self.busy.note(now, self.busy.since.is_some());
        core::mem::take(&mut self.busy.before)
    }
}

impl Busy {
    /// Adds what has passed, and begins anew if a reply is awaited now.
    fn note(&mut self, now: Instant, is_busy: bool) {
        let since = core::mem::replace(&mut self.since, is_busy.then_some(now));
        self.before += since.map_or(Duration::ZERO, |since| now.since(since));
    }
}
