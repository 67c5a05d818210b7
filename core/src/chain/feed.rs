//! The content of a message: onto its timeline at the speed of the MTA, to each child at its own.

use alloc::vec::Vec;

use bytes::Bytes;

use super::child::{Child, Part};
use super::connection::{Link, WINDOW};
use super::policy::Consulted;
use super::transaction::header_limit;
use super::verdict::Joint;
use super::{InHand, Session};
use crate::client::Client;
use crate::event::{LimitName, Outcome};
use crate::message::{Content, ViewId};
use crate::wire::{Chunks, Final, Frame, Protocol, Stage};

/// How many bytes of body are taken from the MTA before the children are shown them.
const TAKE: usize = 16 << 10;

impl Session {
    /// A header came. Nothing is answered where silence was negotiated; else it goes on.
    pub(super) fn header_came(&mut self, name: &[u8], value: &[u8]) {
        self.reply(Final::Continue);
        let Some(transaction) = &mut self.transaction else { return };
        transaction.stage = Stage::Header;
        if transaction.decided.is_some() {
            return;
        }
        let (count, bytes) = (transaction.content.received_headers(), transaction.content.header_bytes());
        match header_limit(count, bytes, name.len() + value.len(), self.policy.limits()) {
            None => transaction.content.receive_header(name, value),
            Some(limit) => self.over_limit(limit),
        }
    }

    pub(super) fn end_of_headers_came(&mut self) {
        self.reply(Final::Continue);
        if let Some(transaction) = &mut self.transaction {
            transaction.stage = Stage::EndOfHeaders;
            transaction.headers_done = true;
            transaction.saw_end_of_headers = true;
        }
    }

    pub(super) fn body_came(&mut self, frame: Frame) {
        self.reply(Final::Continue);
        self.add_body(frame);
    }

    fn add_body(&mut self, frame: Frame) {
        if let Some(content) = self.body_grows(frame.payload_len()) {
            content.receive_body(frame);
        }
    }

    /// Body chunks came that need no answer.
    pub(super) fn chunks_came(&mut self, chunks: Chunks) {
        if let Some(content) = self.body_grows(chunks.payload_len()) {
            content.receive_chunks(chunks);
        }
    }

    /// So many bytes of body came. Returns what they belong to, unless nobody wants them any more.
    fn body_grows(&mut self, bytes: usize) -> Option<&mut Content> {
        let transaction = self.transaction.as_mut()?;
        transaction.stage = Stage::Body;
        transaction.headers_done = true;
        transaction.body_received += bytes as u64;
        transaction.decided.is_none().then_some(&mut transaction.content)
    }

    pub(super) fn end_of_message_came(&mut self, data: Bytes) {
        if !data.is_empty() {
            self.add_body(Frame::new(Stage::Body.letter(), data));
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.stage = Stage::EndOfMessage;
            transaction.headers_done = true;
            transaction.body_done = true;
        }
        self.begin_budget(Stage::EndOfMessage);
        self.command = Some(InHand { stage: Stage::EndOfMessage, payload: Bytes::new() });
        self.unsettled = true;
        let since = self.came_at.unwrap_or(self.now());
        self.progress_at = Some(since + self.policy.limits().progress);
    }

    /// Whether more content may be taken from the MTA: not while what is fed live has not caught up. Where a child
    /// waits for another's changes the message has to be stored anyway, and an MTA is never left unread for long.
    pub(super) fn has_room(&self) -> bool {
        let held = self.transaction.as_ref().map_or(0, |transaction| transaction.content.body_bytes());
        held == 0 || held <= self.most_held()
    }

    /// The most body that may be held when more is taken, in bytes of payload.
    fn most_held(&self) -> usize {
        let Some(transaction) = &self.transaction else { return usize::MAX };
        if transaction.decided.is_some() || transaction.read_on {
            return usize::MAX;
        }
        let limits = self.policy.limits();
        // Past that the file has to catch up first.
        let mut most = limits.body_bytes / 2 * 3;
        if transaction.crowded {
            most = most.min(limits.read_ahead / 2);
        }
        let waits = |child: &Child| child.cursor().is_some_and(|cursor| cursor.view.is_none());
        let keeps = |index| waits(&self.children[index]) || self.keeps_body(index);
        if (0..self.children.len()).any(keeps) { most } else { most.min(limits.read_ahead.saturating_sub(1)) }
    }

    /// How much body may be taken at once, in bytes of payload behind which no further chunk begins.
    pub(super) fn body_room(&self) -> usize {
        let held = self.transaction.as_ref().map_or(0, |transaction| transaction.content.body_bytes());
        TAKE.min(self.policy.limits().read_ahead).min(self.most_held().saturating_sub(held))
    }

    /// Whether so much body has come that the children have to be shown it before more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.content.body_bytes() > TAKE)
    }

    /// Feeds every child as far as its gate is open, and answers the end of message once that is possible. Returns whether
    /// the part of any child in the message has changed.
    pub(super) fn advance_content(&mut self) -> bool {
        let mut changed = false;
        let mut all = core::mem::take(&mut self.concerns_all);
        if !all && !self.unsettled && !self.children.iter().any(|child| child.connection.touched) {
            return changed;
        }
        while let Some(transaction) = &self.transaction {
            if transaction.stage.is_content() && transaction.decided.is_none() {
                all |= self.unsettled;
                for index in 0..self.children.len() {
                    if all || self.children[index].connection.touched {
                        self.feed(index);
                    }
                }
                self.release_body();
                self.put_away();
            }
            // What follows from the parts of the children changes only with them; it may let those behind go on.
            if !core::mem::take(&mut self.unsettled) {
                break;
            }
            (all, changed) = (true, true);
            self.commit_finished();
            if let Joint::Certain(decided) = self.joint_verdict() {
                if !decided.verdict.delivers() {
                    self.decide(decided.clone());
                }
                if self.command.as_ref().is_some_and(|command| command.stage == Stage::EndOfMessage) {
                    self.answer_end_of_message(&decided);
                }
            }
        }
        changed
    }

    /// Shows a child what comes next for it, until it has to reply, has caught up, or its gate is closed.
    fn feed(&mut self, index: usize) {
        loop {
            let child = &self.children[index];
            let Some(cursor) = child.cursor().filter(|_| !child.is_coming()) else { return };
            let pipelining = child.pipelining;
            let waits = |client: &Client| client.awaits().is_some() && !pipelining;
            if child.asked.waits_for_answer()
                || child.up().is_some_and(waits)
                || child.connection.is_crowded()
            {
                return;
            }
            if cursor.view.is_none() {
                if self.is_unconcerned(index) {
                    return self.leave_message(index, Outcome::Stopped, Stage::Data);
                }
                if !self.view_is_final(index) {
                    return;
                }
                let view = self.transaction.as_ref().map(|transaction| transaction.content.latest_view());
                // What was held back for one on trial that had not begun can be committed now.
                self.unsettled = true;
                let child = &mut self.children[index];
                let independent = child.independent;
                if let Some(cursor) = child.cursor_mut() {
                    cursor.view = if independent { Some(ViewId::RECEIVED) } else { view };
                }
            }
            let Some(stage) = self.next_for(index) else { return };
            if self.children[index].up().is_some_and(|client| !client.may_send(stage, pipelining)) {
                return self.look_again(index, stage);
            }
            if stage == Stage::Body && self.reads_body(index) && self.fetch(index) {
                return;
            }
            if let Some(cursor) = self.children[index].cursor_mut() {
                cursor.stage = Some(stage);
            }
            if !self.show_content(index, stage) {
                return;
            }
        }
    }

    /// What comes next for a child, `None` when it is not here yet or may not be shown yet.
    fn next_for(&mut self, index: usize) -> Option<Stage> {
        let transaction = self.transaction.as_ref()?;
        let cursor = self.children[index].cursor_mut()?;
        let view = cursor.view?;
        if transaction.content.has_header(view, cursor.next_header) {
            return Some(Stage::Header);
        }
        if !transaction.headers_done {
            return None;
        }
        if !core::mem::replace(&mut cursor.past_headers, true) && transaction.saw_end_of_headers {
            return Some(Stage::EndOfHeaders);
        }
        if transaction.content.has_chunks(view, cursor.next_run) {
            return Some(Stage::Body);
        }
        (transaction.body_done && self.may_end(index)).then_some(Stage::EndOfMessage)
    }

    /// Shows a child what comes next, and what follows of the same kind while nobody has to be asked. Returns whether its
    /// cursor has moved on.
    fn show_content(&mut self, index: usize, stage: Stage) -> bool {
        let child = &self.children[index];
        let Some(place) = child.cursor().map(|cursor| cursor.place(stage)) else { return false };
        let (extra, remarks) = match child.connection.told.again(place) {
            // Its conditions have had their say.
            Some(extra) => (extra.to_vec(), Vec::new()),
            None => match self.consult(index, stage) {
                Consulted::Waits => {
                    self.look_again(index, stage);
                    return false;
                }
                Consulted::Stopped => return false,
                Consulted::Runs(extra, remarks) => (extra, remarks),
            },
        };
        let child = &self.children[index];
        let Some(cursor) = child.cursor() else { return false };
        let skipped =
            cursor.skips_headers && stage == Stage::Header || cursor.skips_body && stage == Stage::Body;
        if !skipped && child.up().is_none() && child.terms().is_some_and(|terms| terms.wants(stage)) {
            self.look_again(index, stage);
            self.acquire(index, false);
            return false;
        }
        self.tell(index, stage, remarks);
        let connection = &mut self.children[index].connection;
        if connection.is_replaceable() {
            connection.told.show(place, &extra);
        }
        if !skipped {
            self.send_macros(index, stage.letter(), &extra);
            if self.send_content(index, stage) {
                return true;
            }
        }
        match stage {
            Stage::Body => self.pass_chunks(index),
            Stage::Header => {
                if let Some(cursor) = self.children[index].cursor_mut() {
                    cursor.next_header += 1;
                }
            }
            _ => {}
        }
        true
    }

    /// A child is not shown the body that comes next: all that is here, or one chunk where its conditions are asked about
    /// each.
    fn pass_chunks(&mut self, index: usize) {
        let watched = self.children[index].is_watched(Stage::Body);
        let run = self.next_run(index).filter(|_| watched).zip(self.children[index].cursor());
        let (end, length) =
            run.map_or((0, 0), |(chunks, cursor)| (chunks.end_of(cursor.next_chunk, 1).0, chunks.wire_len()));
        if let Some(cursor) = self.children[index].cursor_mut() {
            cursor.move_to(end, length);
        }
    }

    /// What comes at `stage` was not shown yet. The end of headers is passed over when it is looked at.
    fn look_again(&mut self, index: usize, stage: Stage) {
        if let Some(cursor) = self.children[index].cursor_mut() {
            cursor.past_headers &= stage != Stage::EndOfHeaders;
        }
    }

    /// Sends a child what comes next, if it wants that. Of headers and body it gets all that is here and that it takes, one
    /// at a time where its conditions are asked about each. Returns whether anything was sent.
    fn send_content(&mut self, index: usize, stage: Stage) -> bool {
        let Some(transaction) = &self.transaction else { return false };
        let child = &mut self.children[index];
        let one_by_one = child.is_watched(stage);
        let (Link::Up(client), Part::In(cursor)) = (&mut child.connection.link, &mut child.part) else {
            return false;
        };
        let Some(view) = cursor.view.filter(|_| client.wants(stage)) else { return false };
        child.connection.touched = true;
        let content = &transaction.content;
        match stage {
            Stage::Header => {
                let goes_on = !one_by_one && (child.pipelining || !client.replies_to(stage));
                let room = if goes_on { WINDOW.saturating_sub(client.unwritten()) } else { 0 };
                cursor.next_header += send_headers(client, content, view, cursor.next_header, room);
            }
            Stage::Body => loop {
                let run = cursor.fetched().or_else(|| content.chunks(view, cursor.next_run));
                let Some(chunks) = run else { break };
                let at_once = !one_by_one && (child.pipelining || !client.replies_to(stage));
                let most = if at_once { usize::MAX } else { 1 };
                let end = client.chunks(chunks, cursor.next_chunk, most);
                let length = chunks.wire_len();
                cursor.move_to(end, length);
                let takes_more = client.unwritten() <= WINDOW && client.may_send(stage, child.pipelining);
                if one_by_one || !takes_more {
                    break;
                }
            },
            stage => {
                client.command(stage, &[]);
            }
        }
        true
    }

    /// Whether a child, or its conditions, will look at body.
    fn reads_body(&self, index: usize) -> bool {
        let child = &self.children[index];
        let wanted =
            child.is_watched(Stage::Body) || child.terms().is_some_and(|terms| terms.wants(Stage::Body));
        wanted && child.cursor().is_some_and(|cursor| !cursor.skips_body)
    }

    /// Whether a child may have to be shown again what it was shown of the body that the MTA sent: its connection was kept
    /// from another session, and it has not answered on it.
    pub(super) fn keeps_body(&self, index: usize) -> bool {
        let child = &self.children[index];
        if !child.connection.is_replaceable() || !child.terms().is_some_and(|terms| terms.wants(Stage::Body))
        {
            return false;
        }
        let view = child.cursor().and_then(|cursor| cursor.view);
        let shows = |content: &Content| view.is_some_and(|view| content.shows_received_body(view));
        self.transaction.as_ref().is_some_and(|transaction| shows(&transaction.content))
    }

    /// Lets go of the runs of body chunks that nobody needs any more.
    pub(super) fn release_body(&mut self) {
        let Some(transaction) = &self.transaction else { return };
        if transaction.content.is_bodyless() {
            return;
        }
        let mut first_needed = usize::MAX;
        for (index, child) in self.children.iter().enumerate() {
            let Some(cursor) = child.cursor() else { continue };
            let reads = self.reads_body(index);
            match cursor.view {
                _ if !reads => {}
                Some(view) if !transaction.content.shows_received_body(view) => {}
                Some(_) if !self.keeps_body(index) => first_needed = first_needed.min(cursor.next_run),
                _ => first_needed = 0,
            }
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.content.release_received_body(first_needed);
        }
    }

    /// Something of this message is past a limit of ours: whatever the children say, it is a temporary failure.
    pub(super) fn over_limit(&mut self, limit: LimitName) {
        let Some(transaction) = &mut self.transaction else { return };
        // What was decided before that stays: nothing of the message is kept any more.
        if transaction.decided.is_none() {
            transaction.over = Some(limit);
            let verdict = crate::event::Verdict::TemporaryFailure(None);
            self.decide(super::Decided { verdict, by: None });
        }
    }

    /// The outcome of the message is certain and is not delivery: the children are let go, what is stored is freed, the
    /// rest is only drained.
    pub(super) fn decide(&mut self, decided: super::Decided) {
        let Some(transaction) = &mut self.transaction else { return };
        if transaction.decided.is_some() {
            return;
        }
        transaction.decided = Some(decided);
        self.unsettled = true;
        transaction.content.release_all();
        self.drop_spill();
        self.share.clear();
        self.abort_from(0);
    }
}

/// Sends the header number `first` of a view, and those behind it that begin at most `room` bytes later, as far as they
/// stand as they came. Returns how many.
fn send_headers(client: &mut Client, content: &Content, view: ViewId, first: usize, room: usize) -> usize {
    let spaced = client.negotiated().protocol.has(Protocol::HEADER_LEADING_SPACE);
    if let Some(headers) = content.header_frames(view, first, room, spaced) {
        client.headers(&headers);
        return headers.count;
    }
    if let Some((name, value)) = content.header(view, first) {
        client.header(name, content.to_child_value(value, spaced));
    }
    1
}
