//! Asking the policy whether a child is shown something, and stopping it where the policy says so.

use alloc::vec::Vec;

use bytes::Bytes;

use super::Session;
use super::child::{Child, Part, Step};
use super::connection::{Gone, Link};
use crate::event::{Event, Outcome, Status, Verdict};
use crate::machine::{Answer, Output, QueryId, Question};
use crate::policy::{ChildIndex, ChildState, Decision, Environment, Facts, Notes, Remark, Why};
use crate::wire::{Stage, first_string};

/// What the policy said, applied.
#[derive(Debug)]
pub(super) enum Consulted {
    /// The child is shown it, with these macros set for it alone. The remarks are told once it really is: who has to be
    /// connected first is consulted again.
    Runs(Vec<(Bytes, Bytes)>, Vec<Remark>),
    /// The child was stopped.
    Stopped,
    /// An answer is awaited.
    Waits,
}

impl Session {
    /// Asks the policy about what comes next for the child number `index` at `stage`, where it has anything to say.
    #[inline]
    pub(super) fn consult(&mut self, index: usize, stage: Stage) -> Consulted {
        if self.children[index].is_watched(stage) {
            self.ask_policy(index, stage)
        } else {
            Consulted::Runs(Vec::new(), Vec::new())
        }
    }

    fn ask_policy(&mut self, index: usize, stage: Stage) -> Consulted {
        let child = &self.children[index];
        let waits_for = |other: ChildIndex| self.is_pending(usize::from(other.0), index, stage);
        if child.asked.waits_for_answer() || child.asked.awaited.is_some_and(waits_for) {
            return Consulted::Waits;
        }
        let mut notes = Notes::default();
        match self.decide_on(index, stage, &mut notes) {
            Decision::Run(effects) => {
                self.keep(stage, notes.memory);
                self.children[index].forget_asked();
                Consulted::Runs(effects.macros, notes.remarks)
            }
            Decision::Stop(why) => {
                self.keep(stage, notes.memory);
                self.tell(index, stage, notes.remarks);
                self.children[index].forget_asked();
                self.stop_child(index, stage, why);
                Consulted::Stopped
            }
            Decision::Await(other) => {
                self.children[index].asked.awaited = Some(other);
                Consulted::Waits
            }
            Decision::Need(questions) => {
                self.ask(index, questions);
                Consulted::Waits
            }
        }
    }

    fn keep(&mut self, stage: Stage, notes: Vec<(Bytes, Option<Bytes>)>) {
        for (key, value) in notes {
            self.memory.note(stage, key, value);
        }
    }

    /// Tells the log what the conditions of a child had to say.
    #[inline]
    pub(super) fn tell(&mut self, index: usize, stage: Stage, remarks: Vec<Remark>) {
        if !remarks.is_empty() {
            self.tell_all(index, stage, remarks);
        }
    }

    fn tell_all(&mut self, index: usize, stage: Stage, remarks: Vec<Remark>) {
        for remark in remarks {
            let (child, name) = (ChildIndex(index as u16), self.name(index));
            self.event(Event::ConditionRemarked { child, name, stage, remark });
        }
    }

    fn decide_on(&self, index: usize, stage: Stage, notes: &mut Notes) -> Decision {
        let state_of = |other: usize| match self.is_pending(other, index, stage) {
            true => ChildState::Pending,
            false => state(&self.children[other]),
        };
        let children: Vec<ChildState> = (0..self.children.len()).map(state_of).collect();
        let payload = self.command.as_ref().map(|command| &command.payload[..]);
        let cursor = self.children[index].cursor();
        let header =
            self.transaction.as_ref().zip(cursor).and_then(|(transaction, cursor)| {
                transaction.content.header(cursor.view?, cursor.next_header)
            });
        let body = if stage == Stage::Body { self.next_chunk(index) } else { None };
        let facts = Facts {
            macros: &self.macros,
            client: self.client.as_deref(),
            helo: self.helo.as_deref().map(first_string),
            sender: self.transaction.as_ref().map(|transaction| &transaction.sender[..]),
            recipient: payload.filter(|_| stage == Stage::Rcpt).map(first_string),
            header: header.filter(|_| stage == Stage::Header),
            body: body.as_deref(),
            children: &children,
            memory: &self.memory,
            environment: self.environment_now(),
        };
        let answers = &self.children[index].asked.answers;
        self.policy.decide(ChildIndex(index as u16), stage, &facts, answers, notes)
    }

    /// The environment as told at the start, with the clock of now.
    fn environment_now(&self) -> Environment {
        let passed = self.started.map_or(0, |started| self.now().since(started).as_secs());
        let unix_seconds = self.environment.unix_seconds.saturating_add_unsigned(passed);
        Environment { unix_seconds, ..self.environment }
    }

    /// Asks what was not asked before.
    fn ask(&mut self, index: usize, questions: Vec<Question>) {
        let asked = &mut self.children[index].asked;
        asked.answered = false;
        for question in questions {
            let is_under_way = asked.queries.iter().any(|(_, known)| *known == question);
            if is_under_way || asked.answers.find(&question).is_some() {
                continue;
            }
            let query = QueryId(self.next_query);
            self.next_query = self.next_query.wrapping_add(1);
            asked.queries.push((query, question.clone()));
            self.outputs.push_back(Output::LookUp { query, question });
        }
    }

    /// The resolver has answered.
    pub(super) fn look_up_answered(&mut self, query: QueryId, answer: Answer) {
        if self.client_looked_for(query, &answer) {
            return;
        }
        for asked in self.children.iter_mut().map(|child| &mut child.asked) {
            if let Some(at) = asked.queries.iter().position(|(known, _)| *known == query) {
                let (_, question) = asked.queries.swap_remove(at);
                asked.answers.0.push((question, answer));
                asked.answered = true;
                return;
            }
        }
    }

    /// Connect, helo: gone for the session. MAIL and later: out of the message. RCPT: only this recipient is hidden.
    fn stop_child(&mut self, index: usize, stage: Stage, why: Why) {
        let name = self.name(index);
        self.event(Event::ChildStopped { child: ChildIndex(index as u16), name, stage, why });
        match stage {
            Stage::Rcpt | Stage::Unknown | Stage::Negotiate => {}
            Stage::Connect | Stage::Helo => {
                self.children[index].tally.note(stage, Status::Stop);
                self.quit_child(index, Gone::Stopped(stage));
            }
            _ => self.leave_message(index, Outcome::Stopped, stage),
        }
    }

    /// Ends a child's part in the message before the message is over.
    pub(super) fn leave_message(&mut self, index: usize, outcome: Outcome, stage: Stage) {
        let child = &mut self.children[index];
        if let Some(client) = child.connection.up_mut() {
            client.abort();
        }
        // It has no part in the command in hand any more; a reply to that will be swallowed with all others.
        child.forget_asked();
        child.connection.told.forget_from(Stage::Mail);
        if matches!(child.step, Step::Todo | Step::Waiting) {
            child.step = Step::Passed;
        }
        child.part = Part::Done(outcome, stage, 0);
        self.unsettled = true;
    }
}

/// How a child's part stands, as conditions of other children may read it.
fn state(child: &Child) -> ChildState {
    let of_verdict = |verdict: &Verdict| match verdict {
        Verdict::Continue | Verdict::Accept => ChildState::Accepted,
        Verdict::Reject(_) => ChildState::Rejected,
        Verdict::TemporaryFailure(_) => ChildState::TemporarilyFailed,
        Verdict::Discard => ChildState::Discarded,
    };
    match (&child.part, &child.connection.link) {
        (Part::Done(Outcome::Decided(verdict), ..), _) => of_verdict(verdict),
        (Part::Done(Outcome::Failed(fallback), ..), _) if fallback.passes() => ChildState::Gone,
        (Part::Done(Outcome::Failed(fallback), ..), _) => of_verdict(&(*fallback).into()),
        (Part::Done(Outcome::Stopped, ..), _) | (_, Link::Gone(Gone::Stopped(_))) => ChildState::Stopped,
        (_, Link::None | Link::Gone(_)) => ChildState::Gone,
        _ => ChildState::Running,
    }
}
