//! Whether the SMTP client is still there while the MTA waits for an answer: nobody needs one that takes half a minute, such as a
//! milter that delays on purpose, when who is to get it has gone.
//!
//! The MTA does not look before it has its answer. Its end of the client's connection stands in the kernel's table, which is asked
//! like a resolver. Only what that table has said of this client counts: a client that was never in it may be connected to
//! another machine.

use core::net::SocketAddr;
use core::time::Duration;

use super::child::Step;
use super::connection::Gone;
use super::{Decided, Life, Session};
use crate::event::{Event, Verdict};
use crate::machine::{Answer, Output, QueryId, Question};
use crate::time::Instant;
use crate::wire::ClientAddress;

/// Until the first look, if that is not to come sooner: a client that leaves without a word is not in the table any more, and
/// missed only if it was seen there.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// What is known of the client's connection.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// When to look next.
    pub(super) due: Option<Instant>,
    /// The look that is under way.
    query: Option<QueryId>,
    /// It was in the table.
    seen: bool,
}

impl Session {
    /// Sets the time of the next look: there is one while the MTA waits for an answer.
    pub(super) fn retime_presence(&mut self) {
        if self.command.is_none() || self.life != Life::Running || self.refused.is_some() {
            self.presence.due = None;
        } else if self.presence.due.is_none()
            && self.presence.query.is_none()
            && let Some(check) = self.policy.client_check()
            && self.client_end().is_some()
        {
            let pause = if self.presence.seen { check.interval } else { check.interval.min(FIRST_LOOK) };
            self.presence.due = Some(self.now() + pause);
        }
    }

    /// The client's end of its connection, as far as the MTA has told it.
    fn client_end(&self) -> Option<SocketAddr> {
        match self.client.as_deref()?.address {
            ClientAddress::Ip(address, port) if port != 0 => Some((address.to_canonical(), port).into()),
            _ => None,
        }
    }

    /// Looks, when it is time.
    pub(super) fn look_for_client(&mut self) {
        self.presence.due = None;
        let Some(client) = self.client_end() else { return };
        let query = QueryId(self.next_query);
        self.next_query = self.next_query.wrapping_add(1);
        self.presence.query = Some(query);
        self.outputs.push_back(Output::LookUp { query, question: Question::State(client) });
    }

    /// Takes the answer to a look. Returns whether it was one.
    pub(super) fn client_looked_for(&mut self, query: QueryId, answer: &Answer) -> bool {
        if self.presence.query != Some(query) {
            return false;
        }
        self.presence.query = None;
        let is_gone = match answer {
            Answer::Found(states) if states.iter().any(|state| &**state == Question::ESTABLISHED) => {
                self.presence.seen = true;
                false
            }
            Answer::Found(_) => true,
            Answer::Nothing => self.presence.seen,
            Answer::Failed => false,
        };
        if is_gone && self.command.is_some() && self.refused.is_none() {
            self.client_has_gone();
        }
        true
    }

    /// The MTA is answered at once, and the children are let go.
    fn client_has_gone(&mut self) {
        let Some(check) = self.policy.client_check() else { return };
        let started = self.started.unwrap_or(self.now());
        let elapsed = self.now().since(started);
        self.event(Event::ClientGone { elapsed, answered: check.fallback });
        let verdict = Verdict::from(check.fallback);
        if verdict.delivers() {
            self.abort_from(0);
        } else {
            let decided = Decided { verdict, by: None };
            self.refused = Some(decided.clone());
            self.decide(decided);
        }
        for index in 0..self.children.len() {
            let child = &mut self.children[index];
            if matches!(child.step, Step::Todo | Step::Waiting) {
                child.step = Step::Passed;
            }
            self.quit_child(index, Gone::Left);
        }
        self.unsettled = true;
    }
}
