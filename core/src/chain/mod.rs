//! The session: one MTA in front, N children behind, one joint answer.
//!
//! ```text
//!                 +---------------------------- Session -----------------------------+
//!    MTA <-----> Filter --- command in hand --- steps of each child ---> Client <-----> child
//!                 |         message timeline --- cursor of each child --> Client <-----> child
//!                 +------------------------------------------------------------------+
//! ```
//!
//! Two kinds of work:
//!
//! * **Commands that the MTA waits for** (CONNECT, HELO, MAIL, RCPT, DATA, UNKNOWN). One is in hand at a time. Each child
//!   has a `Step` for it; the answer is settled as soon as the children's answers, looked at in chain
//!   order, allow only one (`commands.rs`).
//! * **Content** (headers, end of headers, body). It is put on the message's timeline at the speed of the MTA and
//!   nothing is answered; each child has a cursor and is fed as far as its gate lets it (`feed.rs`). The verdict comes
//!   with end of message (`verdict.rs`).
//!
//! Which child may go how far is decided in `gate.rs` alone.

mod child;
mod commands;
mod connect;
mod connection;
mod failure;
mod feed;
mod gate;
mod mta;
mod negotiate;
mod policy;
mod presence;
mod replies;
mod report;
mod situation;
mod spill;
mod tally;
mod told;
mod transaction;
mod verdict;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::event::{Event, Failure, TimerName, Verdict};
use crate::filter::Filter;
use crate::machine::{Closure, Input, Machine, Output, Peer};
use crate::policy::{ChildIndex, Environment, Memory, Policy};
use crate::reserve::{Reserve, Share};
use crate::situation::Situation;
use crate::time::{Clock, Instant};
use crate::wire::{ConnectInfo, Macros, Negotiation, Stage};

use child::Child;
use connect::Leaving;
use connection::{Gone, Link};
use mta::MtaKind;
use presence::Presence;
use tally::Tally;
use transaction::Transaction;

/// How many frames of the MTA are looked at in one call; the rest follows in the next.
const FRAMES_PER_CALL: usize = 256;

/// One MTA connection and the children behind it.
#[derive(Debug)]
pub struct Session {
    policy: Arc<dyn Policy>,
    environment: Environment,
    /// The time of the first input, to which [`Environment::unix_seconds`] belongs.
    started: Option<Instant>,
    /// What conditions have noted.
    memory: Memory,
    clock: Clock,
    filter: Filter,
    children: Box<[Child]>,
    /// Connections of which leave was taken and on which something is still to be done.
    leaving: Vec<Leaving>,
    /// What the MTA offered.
    offered: Negotiation,
    /// What is offered to the children.
    offer: Negotiation,
    /// What the MTA was answered.
    answer: Negotiation,
    macros: Macros,
    /// The stage whose macros were too long to keep although no message was open that could end with that.
    lost_macros: Option<Stage>,
    /// The MTA was asked for its version for our own sake, and what it said.
    asks_version: bool,
    told_kind: Option<MtaKind>,
    client: Option<Box<ConnectInfo>>,
    /// Whether it is still there.
    presence: Presence,
    /// The payloads of CONNECT and HELO.
    connect: Option<Bytes>,
    helo: Option<Bytes>,
    /// A verdict on the whole connection, with which everything is answered from now on.
    refused: Option<Decided>,
    /// The command that the MTA waits for.
    command: Option<InHand>,
    transaction: Option<Box<Transaction>>,
    mta_timer: Option<(TimerName, Instant)>,
    /// Until when the answer that the MTA waits for must be there, and how long that was.
    budget: Option<(Instant, Duration)>,
    /// When the first of what the MTA has sent came, as far as it was not answered since and not all of it is done with.
    came_at: Option<Instant>,
    progress_at: Option<Instant>,
    /// When the MTA will have been left unread for too long.
    unread_until: Option<Instant>,
    /// Its part of what all sessions may keep.
    share: Share,
    outputs: VecDeque<Output>,
    next_query: u32,
    next_spill: u32,
    /// Frames of the MTA wait although nothing is missing to look at them.
    more: bool,
    life: Life,
    tally: Tally,
    /// The part of a child in the message, or what is known about the message, has changed.
    unsettled: bool,
    /// Something has happened that may concern every child, and not only the one whose connection it is.
    concerns_all: bool,
    /// The last input has given nothing to write to anybody.
    added_nothing: bool,
    /// The first time at which something is due.
    deadline: Option<Instant>,
    /// What was last told with [`Output::Wait`].
    waits_until: Option<Instant>,
}

/// A command that the MTA waits for, or that its children have not all seen.
#[derive(Debug)]
struct InHand {
    stage: Stage,
    payload: Bytes,
}

/// A verdict, and the child whose it is.
#[derive(Debug, Clone)]
struct Decided {
    verdict: Verdict,
    by: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    /// What is queued is still written until this time.
    Closing(Instant),
    Finished,
}

impl Session {
    /// A session for a connection that was just accepted. It keeps `policy` until its end.
    #[must_use]
    pub fn new(policy: Arc<dyn Policy>, environment: Environment) -> Self {
        let count = policy.children().len();
        let children = (0..count).map(|index| Child::new(&*policy, ChildIndex(index as u16))).collect();
        let filter = Filter::new(policy.limits().frame);
        Self {
            policy,
            environment,
            started: None,
            memory: Memory::default(),
            clock: Clock::default(),
            filter,
            children,
            leaving: Vec::new(),
            offered: Negotiation::default(),
            offer: Negotiation::default(),
            answer: Negotiation::default(),
            macros: Macros::default(),
            lost_macros: None,
            asks_version: false,
            told_kind: None,
            client: None,
            presence: Presence::default(),
            connect: None,
            helo: None,
            refused: None,
            command: None,
            transaction: None,
            mta_timer: None,
            budget: None,
            came_at: None,
            progress_at: None,
            unread_until: None,
            share: Share::default(),
            outputs: VecDeque::new(),
            next_query: 0,
            next_spill: 0,
            more: false,
            life: Life::Running,
            tally: Tally::default(),
            unsettled: false,
            concerns_all: true,
            added_nothing: false,
            deadline: None,
            waits_until: None,
        }
    }

    /// Counts what it keeps with `reserve`, so that all sessions together stay within their limits.
    #[must_use]
    pub fn with_reserve(mut self, reserve: Arc<dyn Reserve>) -> Self {
        self.share = Share::of(reserve);
        self
    }

    /// Tells at its end how it and each child ended, and which headers were added: [`Event::Ended`],
    /// [`Event::HeaderAdded`], [`Event::Quarantined`]. Nobody is told otherwise.
    #[must_use]
    pub fn with_statistics(mut self, wanted: bool) -> Self {
        self.tally.wanted = wanted;
        self
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Which MTA this is, as far as it has said.
    fn mta_kind(&self) -> MtaKind {
        self.told_kind.unwrap_or_else(|| MtaKind::of(&self.macros))
    }

    /// The MTA waits for the answer to the command of `stage`, or to one behind it: those that it sends in silence share
    /// one budget, since together they hold up what it waits for.
    fn begin_budget(&mut self, stage: Stage) {
        let limit = self.mta_kind().budget(stage, self.policy.limits());
        self.budget = Some((self.came_at.unwrap_or(self.now()) + limit, limit));
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// The child at the other end of `peer`, unless that connection is an old one.
    fn child_of(&self, peer: Peer) -> Option<usize> {
        let index = usize::from(peer.child_index()?.0);
        (self.children.get(index)?.connection.peer == peer).then_some(index)
    }

    fn apply(&mut self, input: Input) {
        // What the MTA sends concerns them once it is taken.
        self.concerns_all |= !matches!(input, Input::Received { .. } | Input::Wrote { .. });
        match input {
            Input::Tick => {}
            input @ (Input::SpillAppended { .. } | Input::SpillRead { .. } | Input::SpillFailed { .. }) => {
                self.spill_input(input);
            }
            Input::Received { peer: Peer::MTA, data } => {
                if !self.filter.has_input() {
                    self.came_at = Some(self.now());
                }
                self.filter.receive(data);
            }
            Input::Received { peer, data } => {
                if let Some(leaving) = self.leaving(peer) {
                    leaving.client.receive(data);
                } else if let Some(index) = self.child_of(peer) {
                    self.child_received(index, data);
                }
            }
            Input::Wrote { peer: Peer::MTA, n } => {
                self.filter.wrote(n);
                self.mta_timer = None;
            }
            Input::Wrote { peer, n } => {
                if let Some(leaving) = self.leaving(peer) {
                    leaving.client.wrote(n);
                } else if let Some(index) = self.child_of(peer) {
                    self.children[index].connection.wrote(n);
                }
            }
            Input::Closed { peer: Peer::MTA, why } => self.mta_closed(why),
            Input::Closed { peer, why } => {
                self.leaving.retain(|leaving| leaving.peer != peer);
                if let Some(index) = self.child_of(peer) {
                    self.child_closed(index, why);
                }
            }
            Input::Remembered { peer, negotiated } => {
                if let Some(index) = self.child_of(peer) {
                    self.child_remembered(index, negotiated);
                }
            }
            Input::Ready { peer, negotiated } => {
                if let Some(index) = self.child_of(peer) {
                    self.child_ready(index, negotiated);
                }
            }
            Input::Refused { peer, why } => {
                if let Some(index) = self.child_of(peer)
                    && matches!(self.children[index].connection.link, Link::Connecting)
                {
                    self.fail_child(index, Failure::Connect(why));
                }
            }
            Input::Answered { query, answer } => self.look_up_answered(query, answer),
            Input::Stop => {
                if self.filter.is_greeting() {
                    self.finish();
                }
            }
        }
    }

    /// Whether more than time limits may follow from an input: that something was written lets a child go on only that
    /// has so much before it that it is sent no more.
    fn leads_on(&self, input: &Input) -> bool {
        match input {
            Input::Wrote { peer, .. } => {
                self.child_of(*peer).is_some_and(|index| self.children[index].connection.is_crowded())
            }
            _ => true,
        }
    }

    /// Does everything that can be done now.
    fn work(&mut self) {
        let mut frames = FRAMES_PER_CALL;
        self.more = false;
        loop {
            self.settle_negotiation();
            self.advance_command();
            if self.advance_content() {
                // What became certain about the message may be the answer to the command in hand.
                self.advance_command();
            }
            if self.life != Life::Running {
                break;
            }
            if frames == 0 {
                self.more = self.filter.has_input();
                break;
            }
            if !self.next_command(&mut frames) {
                break;
            }
            self.concerns_all = true;
        }
        // Only what is whole counts: bytes that never become a command hold no session for ever.
        if frames < FRAMES_PER_CALL && matches!(self.mta_timer, Some((TimerName::MtaIdle, _))) {
            self.mta_timer = None;
        }
    }

    /// Draws the consequences for connections of which leave was taken, for time limits, and for the session's end.
    fn wind_up(&mut self) {
        if !self.leaving.is_empty() {
            self.settle_leaving();
        }
        self.retime();
        self.end_if_closed();
    }

    fn mta_closed(&mut self, why: Closure) {
        if self.life != Life::Running {
            self.filter.close();
            return;
        }
        if !matches!(why, Closure::Eof) {
            let stage = self.stage();
            self.tally.failed = Some(stage);
            self.event(Event::MtaFailed { stage, failure: Failure::Closed(why) });
        }
        self.filter.close();
        self.finish();
    }

    /// The stage at which the session is, for messages to people.
    fn stage(&self) -> Stage {
        match (&self.command, &self.transaction) {
            (Some(command), _) => command.stage,
            (None, Some(transaction)) => transaction.stage,
            (None, None) if self.filter.is_greeting() => Stage::Negotiate,
            (None, None) if self.helo.is_some() => Stage::Helo,
            (None, None) => Stage::Connect,
        }
    }

    /// Ends the session: what is queued may still be written, nothing else is done.
    fn finish(&mut self) {
        if self.life != Life::Running {
            return;
        }
        let disconnected = crate::event::MessageEnd::Disconnected;
        self.end_transaction(disconnected, Stage::Mail);
        self.tell_end();
        self.command = None;
        self.budget = None;
        self.progress_at = None;
        let mut flush_by = self.now() + crate::policy::Timeouts::default().writing;
        for index in 0..self.children.len() {
            if let Some(deadline) = self.quit_child(index, Gone::Left) {
                flush_by = flush_by.max(deadline);
            }
        }
        self.outputs.push_back(Output::Close { peer: Peer::MTA, flush_by: Some(flush_by) });
        self.life = Life::Closing(flush_by);
    }

    fn end_if_closed(&mut self) {
        if let Life::Closing(deadline) = self.life {
            let flushed = self.filter.unwritten() == 0 && self.leaving.is_empty();
            if flushed || self.clock.is_due(deadline) {
                self.life = Life::Finished;
                self.outputs.push_back(Output::Finished);
            }
        }
    }
}

impl Machine for Session {
    fn handle(&mut self, now: Instant, input: Input) {
        if self.life == Life::Finished {
            return;
        }
        self.clock.advance(now, self.waits_until);
        self.started.get_or_insert(now);
        self.tally.began.get_or_insert(now);
        let leads_on = self.leads_on(&input);
        self.apply(input);
        self.added_nothing = !leads_on && self.leaving.is_empty();
        if leads_on {
            self.work();
        }
        self.wind_up();
        if self.fire_timers() {
            self.added_nothing = false;
            self.concerns_all = true;
            self.work();
            self.wind_up();
        }
    }

    fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        if self.outputs.capacity() > 8 {
            self.outputs = VecDeque::new();
        }
        self.waits_until = match self.life {
            Life::Finished => return Output::Finished,
            _ if self.more => Some(self.now()),
            _ => self.deadline.map(|deadline| self.clock.fires_at(deadline)),
        };
        Output::Wait(self.waits_until)
    }

    fn transmit<'a>(&'a self, peer: Peer, slices: &mut [&'a [u8]]) -> usize {
        if peer == Peer::MTA {
            return self.filter.transmit(slices);
        }
        let present = self.child_of(peer).and_then(|index| self.children[index].connection.client());
        let leaving = || {
            let leaving = self.leaving.iter().find(|leaving| leaving.peer == peer);
            leaving.map(|leaving| &*leaving.client)
        };
        present.or_else(leaving).map_or(0, |client| client.transmit(slices))
    }

    fn added_nothing(&self) -> bool {
        self.added_nothing
    }

    fn wants_input(&self, peer: Peer) -> bool {
        if self.leaving.iter().any(|leaving| leaving.peer == peer && leaving.gives_back) {
            return true;
        }
        if self.life != Life::Running {
            return false;
        }
        match self.child_of(peer) {
            Some(index) => matches!(self.children[index].connection.link, Link::Negotiating(_) | Link::Up(_)),
            None if peer == Peer::MTA => !self.filter.has_input() && self.has_room(),
            None => false,
        }
    }

    fn describe(&self, now: Instant) -> Option<Box<Situation>> {
        Some(self.situation(now))
    }

    fn read_buffer(&mut self, peer: Peer) -> Option<BytesMut> {
        if peer == Peer::MTA {
            return self.filter.lend();
        }
        if let Some(leaving) = self.leaving(peer) {
            return leaving.client.lend();
        }
        let index = self.child_of(peer)?;
        self.children[index].connection.client_mut()?.lend()
    }
}
