//! One child of a session: its connection, and its part in the command and the message in hand.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::told::Told;
use crate::client::Client;
use crate::event::{Outcome, TimerName, Verdict};
use crate::machine::{Peer, QueryId};
use crate::message::ViewId;
use crate::policy::{Answers, ChildIndex, ChildSettings, Fallback, Policy};
use crate::time::Instant;
use crate::wire::facts::{STAGES, Stage};
use crate::wire::{Actions, Edit, Frame, Negotiation, Protocol};

/// A child is sent content while no more than this waits to be written to it, in bytes.
pub(super) const WINDOW: usize = 128 << 10;

/// A child of a session.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) peer: Peer,
    pub(super) link: Link,
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
    /// The look-up that the policy waits for, and the answers so far.
    pub(super) asking: Option<QueryId>,
    pub(super) answers: Answers,
    /// The child before it whose state the policy waits for.
    pub(super) awaited: Option<ChildIndex>,
    /// What it has to answer to the offer, when the MTA was answered before it was.
    pub(super) expected: Option<Box<Negotiation>>,
    /// The connection was kept from another session, and the child has said nothing on it yet.
    pub(super) unproven: bool,
    /// The connection was kept from another session.
    pub(super) kept: bool,
    pub(super) told: Told,
    /// It is sent content before it has answered what was sent before.
    pub(super) pipelining: bool,
    pub(super) timer: Option<Timer>,
    /// Its connection has changed since its timer was set.
    pub(super) touched: bool,
    /// Since when a reply is awaited, and how long it was awaited before in this message.
    busy_since: Option<Instant>,
    elapsed: Duration,
}

/// A running timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timer {
    pub(super) name: TimerName,
    pub(super) limit: Duration,
    pub(super) since: Instant,
    pub(super) deadline: Instant,
}

/// The connection to a child; `connect.rs` has the picture.
#[derive(Debug)]
pub(super) enum Link {
    /// Not asked for yet.
    None,
    /// What it answered to this offer before was asked for.
    Recalling,
    /// That is known, and it is not connected.
    Remembered,
    /// Asked for.
    Connecting,
    /// The offer was sent.
    Negotiating(Box<Client>),
    /// It takes part.
    Up(Box<Client>),
    /// There is none any more.
    Gone(Gone),
}

/// Why a child is not in the session any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// It accepted the connection, the session is over, or the connection was refused.
    Left,
    /// A condition stopped it.
    Stopped,
    /// It failed, and this is answered instead.
    Failed(Fallback),
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

/// How far along the message's timeline a child is.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// What it is shown, once its gate was open.
    pub(super) view: Option<ViewId>,
    pub(super) next_header: usize,
    pub(super) past_headers: bool,
    pub(super) next_chunk: usize,
    /// The place in the file of the chunk that was asked for.
    pub(super) fetching: Option<u64>,
    /// A chunk that was away, by its number.
    pub(super) fetched: Option<(usize, Frame)>,
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

impl Child {
    pub(super) fn new(policy: &dyn Policy, index: ChildIndex) -> Self {
        let watched = STAGES.iter().filter(|fact| policy.watches(index, fact.stage));
        Self {
            peer: Peer::child(index, 0),
            link: Link::None,
            step: Step::Passed,
            part: Part::Out,
            evaluation: policy.children()[usize::from(index.0)].evaluation_mode,
            independent: policy.independent(index),
            uncommitted: None,
            quarantined: false,
            watched: watched.fold(0, |bits, fact| bits | 1 << fact.stage as u16),
            asking: None,
            answers: Answers::default(),
            awaited: None,
            expected: None,
            unproven: false,
            kept: false,
            told: Told::default(),
            pipelining: policy.pipelining(index),
            timer: None,
            touched: true,
            busy_since: None,
            elapsed: Duration::ZERO,
        }
    }

    /// A decision was made, or is not needed any more.
    pub(super) fn forget_asked(&mut self) {
        self.asking = None;
        self.answers = Answers::default();
        self.awaited = None;
    }

    pub(super) const fn is_watched(&self, stage: Stage) -> bool {
        self.watched & 1 << stage as u16 != 0
    }

    /// The conversation, while bytes may still go to the child.
    pub(super) fn client(&self) -> Option<&Client> {
        match &self.link {
            Link::Negotiating(client) | Link::Up(client) => Some(client),
            Link::None | Link::Recalling | Link::Remembered | Link::Connecting | Link::Gone(_) => None,
        }
    }

    pub(super) fn client_mut(&mut self) -> Option<&mut Client> {
        self.touched = true;
        match &mut self.link {
            Link::Negotiating(client) | Link::Up(client) => Some(client),
            Link::None | Link::Recalling | Link::Remembered | Link::Connecting | Link::Gone(_) => None,
        }
    }

    /// Whether so much waits to be written to it that it is sent no more content.
    pub(super) fn is_crowded(&self) -> bool {
        self.client().is_some_and(|client| client.unwritten() > WINDOW)
    }

    /// The conversation with a child that takes part.
    pub(super) fn up(&self) -> Option<&Client> {
        match &self.link {
            Link::Up(client) => Some(client),
            _ => None,
        }
    }

    pub(super) fn up_mut(&mut self) -> Option<&mut Client> {
        self.touched = true;
        match &mut self.link {
            Link::Up(client) => Some(client),
            _ => None,
        }
    }

    /// Whether it has to be waited for before anything can be said about it.
    pub(super) const fn is_coming(&self) -> bool {
        matches!(self.link, Link::None | Link::Recalling | Link::Connecting | Link::Negotiating(_))
    }

    /// What it negotiated, as far as it is in the session and that is known.
    pub(super) fn terms(&self) -> Option<&Negotiation> {
        match &self.link {
            Link::Up(client) => Some(client.negotiated()),
            Link::Remembered | Link::Connecting | Link::Negotiating(_) => self.expected.as_deref(),
            Link::None | Link::Recalling | Link::Gone(_) => None,
        }
    }

    /// Its connection is of no use any more: what was negotiated there is what it has to answer on another.
    pub(super) fn lose_connection(&mut self) {
        let Link::Up(client) = core::mem::replace(&mut self.link, Link::Remembered) else { return };
        self.expected = Some(Box::new(client.negotiated().clone()));
        self.peer = self.peer.next();
        self.unproven = false;
        self.kept = false;
        self.timer = None;
        self.touched = true;
    }

    /// What is known of its connection does not matter any more.
    pub(super) fn forget_connection(&mut self) {
        self.touched = true;
        self.expected = None;
        self.unproven = false;
        self.kept = false;
        self.told.forget_from(Stage::Connect);
    }

    /// It is to be told the command in hand once more.
    pub(super) fn take_back(&mut self, stage: Stage) {
        self.step = Step::Todo;
        match &mut self.part {
            Part::In(cursor) => {
                cursor.stage = self.told.unsay();
                cursor.recipients -= usize::from(stage == Stage::Rcpt);
            }
            Part::Out | Part::Done(..) => self.told.forget_from(stage),
        }
    }

    /// The fallback that is answered for it, when it failed.
    pub(super) const fn fallback(&self) -> Option<Fallback> {
        match self.link {
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
        match self.terms() {
            Some(terms) if !self.evaluation => terms.actions.and(rights),
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

    pub(super) fn wrote(&mut self, n: usize) {
        if let Some(client) = self.client_mut() {
            client.wrote(n);
            self.timer = None;
        }
    }

    /// Sets the timer for what is awaited now. A timer for the same thing runs on.
    pub(super) fn retime(&mut self, settings: &ChildSettings, now: Instant) {
        let timeouts = &settings.timeouts;
        let wanted = match &self.link {
            Link::Connecting => Some((TimerName::Connection, timeouts.connection)),
            Link::Negotiating(client) | Link::Up(client) => match client.awaits() {
                _ if client.unwritten() > 0 => Some((TimerName::Writing, timeouts.writing)),
                Some(Stage::EndOfMessage) => Some((TimerName::EndOfMessage, timeouts.end_of_message)),
                Some(_) => Some((TimerName::Reading, timeouts.reading)),
                None => None,
            },
            Link::None | Link::Recalling | Link::Remembered | Link::Gone(_) => None,
        };
        self.timer = match (wanted, self.timer) {
            (None, _) => None,
            (Some((name, _)), Some(timer)) if timer.name == name => Some(timer),
            (Some((name, limit)), _) => Some(Timer { name, limit, since: now, deadline: now + limit }),
        };
        let busy = self.up().is_some_and(Client::is_busy);
        match (busy, self.busy_since) {
            (true, None) => self.busy_since = Some(now),
            (false, Some(since)) => {
                self.elapsed += now.since(since);
                self.busy_since = None;
            }
            _ => {}
        }
    }

    /// How long the session has waited for it since this was last asked.
    pub(super) fn take_elapsed(&mut self, now: Instant) -> Duration {
        let running = self.busy_since.as_mut().map_or(Duration::ZERO, |since| {
            let running = now.since(*since);
            *since = now;
            running
        });
        core::mem::take(&mut self.elapsed) + running
    }
}
