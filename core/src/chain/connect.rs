//! Connections to children: only for who is shown something, given back where the next session can use them.
//!
//! ```text
//!   None --> Recalling --unknown--> Connecting --> Negotiating --> Up
//!                 |                  ^       |                      |
//!                 +--> Remembered ---+       +------- kept ---------+--> Gone, its client among those that take their leave
//!                      shown something wanted
//! ```
//!
//! A child whose answer to the offer is remembered is in the session without a connection: conditions may stop it, the
//! session may end, and it was never connected. What it answers when it is connected after all has to be the same, since
//! the MTA was answered on the strength of it. So its first commands go with the offer (`milter.pipelining`): it is `Up`
//! although it has not answered, and what it has to answer is still `expected`. It is not shown content before it has.

use alloc::boxed::Box;

use bytes::Bytes;

use super::child::{Child, Part, Step};
use super::connection::{Gone, Link, Origin};
use super::told::Said;
use super::{Life, Session};
use crate::client::{Client, FromMilter};
use crate::event::Failure;
use crate::machine::{Output, Peer};
use crate::policy::ChildIndex;
use crate::time::Instant;
use crate::wire::facts::{CommandFact, Protocol, STAGES};
use crate::wire::{Actions, Final, Negotiation, Stage};

/// A connection of which leave was taken.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) peer: Peer,
    pub(super) client: Box<Client>,
    /// It is given back once the child has taken that; else it is done with when what is queued is written.
    pub(super) gives_back: bool,
    /// Until when.
    pub(super) by: Instant,
}

impl Session {
    /// Asks for every child: what it answered before, or a connection to it.
    pub(super) fn ask_for_children(&mut self) {
        let lazy = self.policy.lazy_connect();
        for index in 0..self.children.len() {
            if !lazy {
                self.acquire(index, false);
                continue;
            }
            self.children[index].connection.link = Link::Recalling;
            let route = self.policy.children()[index].route.clone();
            let peer = self.children[index].connection.peer;
            self.outputs.push_back(Output::Recall { peer, route, offer: self.offer.clone() });
        }
    }

    /// What a child answered when it was last asked, if that is known.
    pub(super) fn child_remembered(&mut self, index: usize, negotiated: Option<Box<Negotiation>>) {
        let connection = &mut self.children[index].connection;
        if !matches!(connection.link, Link::Recalling) {
            return;
        }
        match negotiated {
            Some(negotiated) => {
                connection.expected = Some(negotiated);
                connection.link = Link::Remembered;
            }
            None => self.acquire(index, false),
        }
    }

    /// Asks for a connection to a child, a `fresh` one when the last was dead or might be taken for another client's.
    pub(super) fn acquire(&mut self, index: usize, fresh: bool) {
        let fresh = fresh || self.is_without_helo(index);
        self.children[index].connection.ask();
        self.outputs.push_back(Output::Acquire {
            peer: self.children[index].connection.peer,
            route: self.policy.children()[index].route.clone(),
            offer: self.offer.clone(),
            fresh,
        });
    }

    /// A child's connection is there.
    pub(super) fn child_ready(&mut self, index: usize, negotiated: Option<Box<Negotiation>>) {
        let connection = &mut self.children[index].connection;
        if !matches!(connection.link, Link::Connecting) {
            return;
        }
        let limit = self.policy.limits().frame;
        connection.touched = true;
        if let Some(negotiated) = negotiated {
            connection.origin = Origin::Unproven;
            connection.link = Link::Up(Box::new(Client::resumed(limit, *negotiated)));
            return self.child_up(index, false);
        }
        if let Some(expected) = self.foreseen(index) {
            let client = Client::expecting(limit, &self.offer, expected.clone());
            self.children[index].connection.link = Link::Up(Box::new(client));
            return self.tell_missed(index);
        }
        let client = Client::new(limit, &self.offer);
        self.children[index].connection.link = Link::Negotiating(Box::new(client));
    }

    /// What a child will answer to the offer, where nobody has to wait for that: the MTA was answered on the strength of it.
    /// In place of a kept connection that was dead it is waited for: the milter was perhaps started anew, with other terms.
    fn foreseen(&self, index: usize) -> Option<&Negotiation> {
        let child = &self.children[index];
        let is_bound = self.filter.owed() != Some(Stage::Negotiate);
        let may_differ = child.connection.origin == Origin::Replacement;
        let goes_ahead = is_bound && child.pipelining && !may_differ && self.is_provided_for(index);
        child.connection.expected.as_deref().filter(|_| goes_ahead)
    }

    /// A child has negotiated on a fresh connection.
    pub(super) fn child_negotiated(&mut self, index: usize) {
        let connection = &mut self.children[index].connection;
        let (client, is_told) = match core::mem::replace(&mut connection.link, Link::None) {
            Link::Negotiating(client) => (client, false),
            Link::Up(client) => (client, true),
            other => {
                connection.link = other;
                return;
            }
        };
        let negotiated = Box::new(client.negotiated().clone());
        self.outputs.push_back(Output::Learned { peer: connection.peer, negotiated });
        connection.link = Link::Up(client);
        self.child_up(index, is_told);
    }

    /// It is known what a child negotiates. One that `is_told` already has to be what it was taken for, since that was
    /// meant for no other.
    fn child_up(&mut self, index: usize, is_told: bool) {
        let connection = &mut self.children[index].connection;
        let expected = connection.expected.take();
        let Some(terms) = connection.terms() else { return };
        let is_bound = self.filter.owed() != Some(Stage::Negotiate);
        let differs = expected.is_some_and(|expected| *expected != *terms);
        if is_bound && (differs || !self.is_provided_for(index)) {
            return self.fail_child(index, Failure::Renegotiated);
        }
        if !is_told {
            self.tell_missed(index);
        }
    }

    /// Tells a child what it would have been told before, had it been there.
    fn tell_missed(&mut self, index: usize) {
        // What is in hand it is shown like any other, and was told of an earlier one of the kind.
        let in_hand = self.command.as_ref().map(|command| command.stage);
        let next = in_hand.filter(|_| self.children[index].step == Step::Todo);
        for stage in [Stage::Connect, Stage::Helo, Stage::Mail, Stage::Rcpt, Stage::Data] {
            let extra = self.children[index].connection.told.at(stage).filter(|_| next != Some(stage));
            let Some(extra) = extra.map(<[_]>::to_vec) else { continue };
            self.send_macros(index, stage.letter(), &extra);
            let payload = match stage {
                Stage::Connect => &self.connect,
                Stage::Helo => &self.helo,
                // Who was not connected then did not want them.
                _ => continue,
            };
            if let (Some(payload), Some(client)) = (payload, self.children[index].connection.up_mut())
                && client.wants(stage)
            {
                client.repeat(stage, payload);
            }
        }
        self.say_again(index);
    }

    /// Sends a child what it was sent of the message in hand on the connection before, which was dead.
    fn say_again(&mut self, index: usize) {
        let connection = &mut self.children[index].connection;
        let said = connection.told.take_said();
        let Some(client) = connection.up_mut() else { return };
        for Said { stage, payload, macros, extra } in &said {
            if !macros.is_empty() || !extra.is_empty() {
                client.macros(stage.letter(), macros, extra);
            }
            if client.wants(*stage) {
                client.repeat(*stage, payload);
            }
        }
    }

    /// Whether the MTA sends all that a child wants, waits for what it says to that, and lets it change what it may. It was
    /// answered without a child that failed in the session before QUIT_NC, and for what each one was then.
    fn is_provided_for(&self, index: usize) -> bool {
        let child = &self.children[index];
        let Some(terms) = child.terms() else { return true };
        let agreed = |bit: Option<Protocol>| bit.is_some_and(|bit| self.answer.protocol.has(bit));
        let is_sent = |fact: &CommandFact| {
            !agreed(fact.no_send) || !terms.wants(fact.stage) && !child.is_watched(fact.stage)
        };
        let is_heard = |fact: &CommandFact| {
            let counts = !child.evaluation && !fact.stage.is_content() && agreed(fact.no_reply);
            !counts || !terms.wants(fact.stage) || !terms.replies_to(fact.stage)
        };
        let asks = if child.evaluation { Actions::NONE } else { terms.actions };
        let rights = self.answer.actions.with(Actions::MACRO_LISTS);
        rights.has(asks) && STAGES.iter().all(|fact| is_sent(fact) && is_heard(fact))
    }

    /// Keeps in mind what a child was told, or would have been told of macros, for the connection on which it has to be
    /// told: another one, where this one turns out to be of no use.
    pub(super) fn note_told(&mut self, index: usize, stage: Stage, extra: &[(Bytes, Bytes)]) {
        let Child { connection, part, .. } = &mut self.children[index];
        let may_be_dead = connection.is_unproven() && matches!(part, Part::In(_));
        if stage <= Stage::Helo || stage <= Stage::Data && matches!(connection.link, Link::Remembered) {
            connection.told.note(stage, extra);
        } else if let Some(command) = self.command.as_ref().filter(|_| may_be_dead) {
            let macros = self.macros.get(stage.letter()).cloned().unwrap_or_default();
            let (payload, extra) = (command.payload.clone(), extra.to_vec());
            // Twice the bytes that it may have without its macros.
            let most = self.policy.limits().envelope_bytes.saturating_mul(2);
            connection.told.say(Said { stage, payload, macros, extra }, most);
        }
    }

    /// This connection is of no use any more although nobody has failed: it is closed, and the child is connected again when
    /// it is to be shown something.
    pub(super) fn leave_connection(&mut self, index: usize) {
        let connection = &mut self.children[index].connection;
        if connection.up().is_some() {
            self.outputs.push_back(Output::Close { peer: connection.peer, flush_by: None });
            connection.lose();
        }
    }

    /// A message without HELO, for a child that wants that: on a connection that had an earlier session it may still know
    /// the HELO of that one, as rspamd does (`docs/children.md`).
    pub(super) fn is_without_helo(&self, index: usize) -> bool {
        let wants_helo = self.children[index].terms().is_some_and(|terms| terms.wants(Stage::Helo));
        self.transaction.is_some() && self.helo.is_none() && wants_helo
    }

    /// A kept connection turned out to be dead before the child said anything on it: once more on a fresh one, where all
    /// that the child was told can be told again, and the content is shown from its beginning. Returns whether it can.
    pub(super) fn replace_dead(&mut self, index: usize) -> bool {
        let child = &mut self.children[index];
        if !child.connection.is_replaceable() {
            return false;
        }
        let wants_body = child.terms().is_some_and(|terms| terms.wants(Stage::Body));
        if let Some(cursor) = child.cursor_mut() {
            cursor.begin_again(wants_body);
        }
        if let Some(command) = self.command.as_ref().filter(|_| child.step == Step::Waiting) {
            child.take_back(command.stage);
        }
        child.connection.lose();
        self.acquire(index, true);
        self.children[index].connection.origin = Origin::Replacement;
        true
    }

    /// Takes leave of a child. Returns until when what is queued for it may be written.
    pub(super) fn quit_child(&mut self, index: usize, why: Gone) -> Option<Instant> {
        let settings = &self.policy.children()[index];
        let by = self.now() + settings.timeouts.writing;
        let reuse = settings.route.reuse.is_some();
        let child = &mut self.children[index];
        child.forget_asked();
        let peer = child.connection.peer;
        let gives_back = match child.connection.end(why) {
            Link::Up(mut client) => {
                client.abort();
                let gives_back = reuse && client.can_begin_again();
                if gives_back {
                    client.quit_nc();
                } else {
                    client.quit();
                }
                if gives_back || client.unwritten() > 0 {
                    self.leaving.push(Leaving { peer, client, gives_back, by });
                }
                gives_back
            }
            Link::Connecting | Link::Negotiating(_) => {
                self.outputs.push_back(Output::Close { peer, flush_by: None });
                return None;
            }
            Link::Recalling | Link::Remembered => return None,
            other @ (Link::None | Link::Gone(_)) => {
                child.connection.link = other;
                return None;
            }
        };
        if !gives_back {
            self.outputs.push_back(Output::Close { peer, flush_by: Some(by) });
        }
        Some(by)
    }

    /// A connection of which leave was taken.
    pub(super) fn leaving(&mut self, peer: Peer) -> Option<&mut Leaving> {
        self.leaving.iter_mut().find(|leaving| leaving.peer == peer)
    }

    /// Gives back what can be given back, and lets go of what was written or took too long.
    pub(super) fn settle_leaving(&mut self) {
        let clock = &self.clock;
        let runs = self.life == Life::Running;
        let outputs = &mut self.outputs;
        self.leaving.retain_mut(|leaving| {
            let peer = leaving.peer;
            let client = &mut leaving.client;
            let late = clock.is_due(leaving.by);
            if !leaving.gives_back {
                // A session that ends waits for all of them at once.
                return client.unwritten() > 0 && !(late && runs);
            }
            // Whatever it says is the reply to UNKNOWN: after a verdict libmilter ignores QUIT_NC.
            match client.poll_reply() {
                Ok(None | Some(FromMilter::Final(_, Final::Continue))) => {}
                Ok(Some(_)) | Err(_) => {
                    outputs.push_back(Output::Close { peer, flush_by: None });
                    return false;
                }
            }
            // The rest of what is half here, or stands behind the reply, would be the next session's first answer.
            if client.can_begin_again() && client.unwritten() == 0 {
                let negotiated = Box::new(client.negotiated().clone());
                outputs.push_back(Output::Release { peer, negotiated });
                return false;
            }
            if late {
                outputs.push_back(Output::Close { peer, flush_by: None });
            }
            !late
        });
    }

    /// QUIT_NC: the MTA begins another session on this connection. What the children answered is asked for anew.
    pub(super) fn begin_again(&mut self) {
        self.end_transaction(crate::event::MessageEnd::Aborted, Stage::Mail);
        self.tell_end();
        for index in 0..self.children.len() {
            self.quit_child(index, Gone::Left);
            let peer = self.children[index].connection.peer;
            let mut fresh = Child::new(&*self.policy, ChildIndex(index as u16));
            fresh.connection.peer = peer.next();
            self.children[index] = fresh;
        }
        self.macros = crate::wire::Macros::default();
        self.lost_macros = None;
        self.client = None;
        self.connect = None;
        self.helo = None;
        if !self.children.is_empty() {
            self.refused = None;
        }
        self.ask_for_children();
    }
}
