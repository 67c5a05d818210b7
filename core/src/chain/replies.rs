//! What children send.

use alloc::boxed::Box;
use alloc::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::Session;
use super::child::{Part, Step, Uncommitted};
use super::connection::{Gone, Link};
use super::mta::MtaKind;
use crate::client::FromMilter;
use crate::event::{Event, Failure, Outcome, Status, Verdict};
use crate::machine::Closure;
use crate::message::{Committed, needed_action};
use crate::wire::{Actions, Edit, Fault, Final, Stage};

/// Pieces of a body replacement from this size on stay where they were read.
const SHARE_BODY_FROM: usize = 16 << 10;

impl Session {
    pub(super) fn child_received(&mut self, index: usize, data: BytesMut) {
        if let Some(client) = self.children[index].connection.client_mut() {
            client.receive(data);
            self.read_child(index);
        }
    }

    /// The child closed its connection, or it broke. After an end of its own choice that is nothing new.
    pub(super) fn child_closed(&mut self, index: usize, why: Closure) {
        // What it sent before it closed counts.
        self.read_child(index);
        match &self.children[index].connection.link {
            Link::Connecting | Link::Negotiating(_) | Link::Up(_) => {
                if !self.replace_dead(index) {
                    self.fail_child(index, Failure::Closed(why));
                }
            }
            Link::None | Link::Recalling | Link::Remembered | Link::Gone(_) => {}
        }
    }

    /// Takes in everything that a child has sent.
    pub(super) fn read_child(&mut self, index: usize) {
        loop {
            let connection = &mut self.children[index].connection;
            let Some(client) = connection.client_mut() else { return };
            let owed = client.owed();
            let reply = client.poll_reply();
            let has_lost_count = client.has_lost_count();
            // Also behind a reply that is swallowed the next has its own time.
            if client.owed() < owed || !matches!(reply, Ok(None)) {
                connection.timer = None;
            }
            connection.prove();
            let reply = match reply {
                Ok(None) if has_lost_count => return self.leave_connection(index),
                Ok(None) => return,
                Ok(Some(reply)) => reply,
                Err(fault) => return self.fail_child(index, Failure::Protocol(Box::new(fault))),
            };
            match reply {
                FromMilter::Negotiated => self.child_negotiated(index),
                FromMilter::Progress => {}
                FromMilter::Edit(edit) => self.edit_came(index, &edit),
                FromMilter::Final(stage, reply) => self.verdict_came(index, stage, reply),
            }
        }
    }

    /// Keeps an edit until the child's final reply. Small ones are copied, so that they do not pin a read buffer.
    fn edit_came(&mut self, index: usize, edit: &Edit) {
        let limits = *self.policy.limits();
        let collected = self.children.iter().filter_map(|child| Some(child.cursor()?.edit_bytes));
        let committed =
            self.transaction.as_ref().map_or(0, |transaction| transaction.content.replaced_bytes());
        let others = collected.sum::<usize>() + committed;
        let Some(cursor) = self.children[index].cursor_mut() else { return };
        let edit = compact(edit);
        let bytes = size(&edit);
        cursor.edit_bytes += bytes;
        cursor.edit_count += usize::from(!matches!(edit, Edit::ReplaceBody(_)));
        cursor.edits.push(edit);
        if let Some(transaction) = &mut self.transaction {
            transaction.edit_bytes += bytes;
        }
        let too_much = |what, limit| Fault::TooMuch { what, limit };
        let fault = if cursor.edit_count > limits.edits {
            Some(too_much("edits", limits.edits))
        } else if others + bytes > limits.edit_bytes {
            Some(too_much("bytes of edits", limits.edit_bytes))
        } else {
            None
        };
        if let Some(fault) = fault {
            self.fail_child(index, Failure::Protocol(Box::new(fault)));
        }
    }

    /// A child has ended its turn.
    fn verdict_came(&mut self, index: usize, stage: Stage, reply: Final) {
        let skips = reply == Final::Skip;
        let verdict = verdict(reply);
        if stage.is_content() {
            if let Some(cursor) = self.children[index].cursor_mut() {
                cursor.skips_headers |= skips && stage == Stage::Header;
                cursor.skips_body |= skips && stage == Stage::Body;
            }
            if stage == Stage::EndOfMessage || verdict != Verdict::Continue {
                self.finish_part(index, stage, verdict);
            }
            return;
        }
        let verdict = match (stage, verdict) {
            // There is nothing to throw away yet: Postfix logs it and goes on.
            (Stage::Connect | Stage::Helo | Stage::Unknown, Verdict::Discard) => Verdict::Continue,
            (_, verdict) => verdict,
        };
        let child = &mut self.children[index];
        if verdict != Verdict::Continue && stage != Stage::Unknown {
            child.tally.note(stage, Status::of(&verdict));
        }
        let decides = !verdict.delivers() && !child.evaluation;
        child.step = if decides { Step::Decided(verdict.clone()) } else { Step::Passed };
        match (stage, verdict) {
            (_, Verdict::Continue) | (Stage::Unknown, _) => {}
            (Stage::Connect | Stage::Helo, _) => {
                self.quit_child(index, Gone::Left);
            }
            (Stage::Rcpt, Verdict::Reject(_) | Verdict::TemporaryFailure(_)) => {}
            (_, verdict) => {
                self.children[index].part = Part::Done(Outcome::Decided(verdict), stage, 0);
                self.unsettled = true;
            }
        }
    }

    /// A child's verdict on the content, with which its part is over.
    fn finish_part(&mut self, index: usize, stage: Stage, verdict: Verdict) {
        self.unsettled = true;
        let child = &mut self.children[index];
        let Part::In(cursor) = core::mem::replace(&mut child.part, Part::Out) else { return };
        let mut quarantined = false;
        if stage == Stage::EndOfMessage && verdict.delivers() && !child.evaluation {
            let negotiated =
                child.up().map(|client| (client.negotiated().actions, client.negotiated().protocol));
            if let Some((actions, protocol)) = negotiated {
                quarantined = actions.has(Actions::QUARANTINE)
                    && cursor.edits.iter().any(|edit| matches!(edit, Edit::Quarantine(_)));
                child.uncommitted = Some(Uncommitted {
                    edits: cursor.edits,
                    actions,
                    leading_space: protocol.has(crate::wire::Protocol::HEADER_LEADING_SPACE),
                });
            }
        }
        child.part = Part::Done(Outcome::Decided(verdict), stage, 0);
        child.quarantined = quarantined;
        // Postfix asks no further milter once one has quarantined a message, Sendmail does.
        if quarantined && self.mta_kind() == MtaKind::Postfix {
            self.overrule_behind(index);
        }
        self.commit_finished();
        if self.children[index].decisive().is_some() {
            self.abort_behind(index);
        }
    }

    /// Commits the edits of every child that has finished, as far as all that stand before it have, too.
    pub(super) fn commit_finished(&mut self) {
        for index in 0..self.children.len() {
            let child = &mut self.children[index];
            // One on trial that has not begun is shown what those before it have made of the message, and no more.
            if let Part::In(cursor) = &child.part
                && (!child.evaluation || cursor.view.is_none())
            {
                return;
            }
            let Some(finished) = child.uncommitted.take() else { continue };
            let independent = child.independent;
            let rights = finished.actions;
            for edit in finished.edits.iter().filter(|edit| rights.has_any(needed_action(edit))) {
                self.tell_header(Some(index), edit);
            }
            let Some(transaction) = &mut self.transaction else { return };
            let asked = finished.edits.len();
            let Uncommitted { edits, actions, leading_space } = finished;
            let committed = if independent {
                transaction.content.commit_beside(edits, actions, leading_space)
            } else {
                Committed { applied: transaction.content.commit(edits, actions, leading_space), overlaps: 0 }
            };
            if let Part::Done(_, _, edits) = &mut self.children[index].part {
                *edits = committed.applied;
            }
            let name = self.name(index);
            if committed.applied < asked {
                let edit = "change to the message";
                let reason = "the milter has not negotiated the right to it";
                self.event(Event::EditIgnored { name: name.clone(), edit, reason });
            }
            if committed.overlaps > 0 {
                self.event(Event::EditsOverlap { name, headers: committed.overlaps });
            }
        }
    }

    /// Whoever stands behind would not have been asked at all: what he has said meanwhile does not count.
    fn overrule_behind(&mut self, index: usize) {
        self.abort_behind(index);
        for child in &mut self.children[index + 1..] {
            child.uncommitted = None;
            child.quarantined = false;
            if let Part::Done(outcome, ..) = &mut child.part {
                *outcome = Outcome::Aborted;
            }
        }
    }

    /// Whoever stands behind a child that has ended the matter will not be asked: his part is over.
    pub(super) fn abort_behind(&mut self, index: usize) {
        self.abort_from(index + 1);
    }

    /// Ends the part of every child from the one with number `first` on that is still in the message.
    pub(super) fn abort_from(&mut self, first: usize) {
        for index in first..self.children.len() {
            if let Some(cursor) = self.children[index].cursor() {
                let stage = cursor.stage.unwrap_or(Stage::Mail);
                self.leave_message(index, Outcome::Aborted, stage);
            }
        }
    }
}

/// A reply as a verdict.
fn verdict(reply: Final) -> Verdict {
    match reply {
        Final::Continue | Final::Skip => Verdict::Continue,
        Final::Accept => Verdict::Accept,
        Final::Discard => Verdict::Discard,
        Final::Reject => Verdict::Reject(None),
        // A failure of the milter's own is a fault to the client, and does not come here.
        Final::TemporaryFailure | Final::ConnectionFailure => Verdict::TemporaryFailure(None),
        Final::ReplyCode(text) if text.first() == Some(&b'4') => {
            Verdict::TemporaryFailure(Some(Arc::from(&text[..])))
        }
        Final::ReplyCode(text) => Verdict::Reject(Some(Arc::from(&text[..]))),
        Final::Shutdown => Verdict::shutdown(),
    }
}

fn compact(edit: &Edit) -> Edit {
    let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
    let copied = |bytes: &Option<Bytes>| bytes.as_ref().map(copy);
    match edit {
        Edit::ReplaceBody(data) if data.len() >= SHARE_BODY_FROM => Edit::ReplaceBody(data.clone()),
        Edit::ReplaceBody(data) => Edit::ReplaceBody(copy(data)),
        Edit::AddRecipient(address) => Edit::AddRecipient(copy(address)),
        Edit::AddRecipientPar(address, arguments) => Edit::AddRecipientPar(copy(address), copied(arguments)),
        Edit::DeleteRecipient(address) => Edit::DeleteRecipient(copy(address)),
        Edit::AddHeader(name, value) => Edit::AddHeader(copy(name), copy(value)),
        Edit::InsertHeader(index, name, value) => Edit::InsertHeader(*index, copy(name), copy(value)),
        Edit::ChangeHeader(index, name, value) => Edit::ChangeHeader(*index, copy(name), copy(value)),
        Edit::ChangeFrom(sender, arguments) => Edit::ChangeFrom(copy(sender), copied(arguments)),
        Edit::Quarantine(reason) => Edit::Quarantine(copy(reason)),
    }
}

/// What an edit costs to keep, in bytes.
fn size(edit: &Edit) -> usize {
    let payload = match edit {
        Edit::ReplaceBody(data) => data.len(),
        Edit::AddRecipient(text) | Edit::DeleteRecipient(text) | Edit::Quarantine(text) => text.len(),
        Edit::AddRecipientPar(text, more) | Edit::ChangeFrom(text, more) => {
            text.len() + more.as_ref().map_or(0, Bytes::len)
        }
        Edit::AddHeader(name, value)
        | Edit::InsertHeader(_, name, value)
        | Edit::ChangeHeader(_, name, value) => name.len() + value.len(),
    };
    payload + core::mem::size_of::<Edit>()
}
