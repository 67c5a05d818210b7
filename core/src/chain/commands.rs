//! Commands of the MTA, and the joint answer to those that it waits for.

use alloc::boxed::Box;
use alloc::sync::Arc;

use bytes::Bytes;

use super::child::{Child, Part, Step};
use super::connection::{Gone, Link};
use super::mta::MtaKind;
use super::policy::Consulted;
use super::transaction::{Transaction, header_limit};
use super::{Decided, InHand, Session};
use crate::client::Client;
use crate::event::{Event, Failure, LimitName, MessageEnd, Outcome, Verdict};
use crate::filter::{FromMta, Peeked};
use crate::message::Content;
use crate::policy::Fallback;
use crate::wire::facts::letter;
use crate::wire::{
    ClientAddress, Command, ConnectInfo, Fault, Final, Negotiation, Protocol, Stage, first_string,
};

impl Session {
    /// Takes the next command of the MTA, if one is here and may be taken, at most `frames` with those of the content before
    /// it: these are only put on the timeline, and the children are shown them before anything else happens. Returns
    /// whether anything was done.
    pub(super) fn next_command(&mut self, frames: &mut usize) -> bool {
        let mut grown = false;
        while *frames > 0 && self.command.is_none() && self.has_room() {
            if !self.filter.has_input() {
                self.came_at = None;
                return grown;
            }
            let taken = match self.filter.letter_ahead() {
                Some(b'L' | letter::MACRO) => self.take_headers(frames),
                Some(b'B') => self.take_body(frames),
                _ => false,
            };
            if !taken {
                let came = self.filter.poll_command();
                *frames -= usize::from(!matches!(came, Ok(None)));
                match came {
                    Ok(None) => {
                        self.came_at = None;
                        return grown;
                    }
                    Ok(Some(FromMta::Body(frame))) => self.body_came(frame),
                    other => {
                        if grown {
                            self.concerns_all = true;
                            self.advance_content();
                        }
                        return self.other_came(other);
                    }
                }
            }
            grown = true;
            if self.is_full() {
                break;
            }
        }
        grown
    }

    /// Takes the headers that are here into the message, and macros that say nothing new: Postfix sends the same before
    /// every header and body chunk. What is not that simple is left. Returns whether there were any.
    fn take_headers(&mut self, frames: &mut usize) -> bool {
        let transaction = self.transaction.as_mut().filter(|transaction| transaction.decided.is_none());
        let Some(transaction) = transaction else { return false };
        let limits = self.policy.limits();
        let macro_bytes = self.macros.bytes();
        let (mut count, mut headers) = (0, false);
        let mut receiving = transaction.content.receive_headers(self.filter.came());
        for peeked in self.filter.peek().take(*frames) {
            match peeked {
                Peeked::Header(header) => {
                    let len = header.name.len() + header.value.len();
                    if header_limit(receiving.count(), receiving.bytes(), len, limits).is_some() {
                        break;
                    }
                    receiving.header(&header);
                    headers = true;
                }
                Peeked::Macros { frame, letter, pairs }
                    if Stage::of_letter(letter).is_some_and(Stage::is_content)
                        && self.macros.get(letter).is_some_and(|known| known == pairs)
                        && macro_bytes + pairs.len() <= limits.macro_bytes =>
                {
                    receiving.pass(frame.len());
                }
                Peeked::Macros { .. } => break,
            }
            count += 1;
        }
        let bytes = receiving.seen();
        drop(receiving);
        if headers {
            transaction.stage = Stage::Header;
        }
        self.filter.pass(bytes, headers);
        *frames -= count;
        count > 0
    }

    /// Takes the body chunks that are here, as many as may be taken at once. Returns whether there were any.
    fn take_body(&mut self, frames: &mut usize) -> bool {
        let Some((chunks, count)) = self.filter.take_body(*frames, self.body_room()) else { return false };
        *frames -= count;
        self.chunks_came(chunks);
        true
    }

    /// Something else than content, before which the children have been shown all of that.
    fn other_came(&mut self, came: Result<Option<FromMta>, Fault>) -> bool {
        match came {
            Ok(Some(FromMta::Command(command, payload))) => self.command_came(command, &payload),
            Ok(_) => {}
            Err(fault) => {
                self.mta_failed(Failure::Protocol(Box::new(fault)));
                return false;
            }
        }
        true
    }

    fn command_came(&mut self, command: Command, payload: &[u8]) {
        match command {
            Command::Negotiate(offer) => self.offered(offer),
            Command::Macros { letter, pairs } => self.macros_came(letter, &pairs),
            Command::Connect(info) => {
                self.client = Some(Box::new(owned(&info)));
                self.connect = Some(Bytes::copy_from_slice(payload));
                self.begin(Stage::Connect, payload);
            }
            Command::Helo(_) => {
                self.end_transaction(MessageEnd::Aborted, Stage::Mail);
                self.helo = Some(Bytes::copy_from_slice(payload));
                self.begin(Stage::Helo, payload);
            }
            Command::Mail(_) => {
                self.end_transaction(MessageEnd::Aborted, Stage::Rcpt);
                self.begin_transaction(payload);
                self.begin(Stage::Mail, payload);
            }
            Command::Rcpt(_) => self.recipient_came(payload),
            Command::Data => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.stage = Stage::Data;
                }
                self.begin(Stage::Data, payload);
            }
            Command::Unknown(_) => self.begin(Stage::Unknown, payload),
            Command::Header { name, value } => self.header_came(&name, &value),
            Command::EndOfHeaders => self.end_of_headers_came(),
            // Comes as its frame.
            Command::Body(_) => {}
            Command::EndOfMessage(data) => self.end_of_message_came(data),
            Command::Abort => self.end_transaction(MessageEnd::Aborted, Stage::Mail),
            Command::Quit => self.finish(),
            Command::QuitNc => self.begin_again(),
        }
    }

    fn macros_came(&mut self, letter: u8, pairs: &[u8]) {
        let mut own = None;
        if self.asks_version && letter == Stage::Helo.letter() {
            // The children did not ask for it, and would not be sent it by the MTA itself.
            let (version, theirs) = crate::wire::take_macro(pairs, b"v");
            self.told_kind = version.map(MtaKind::of_version);
            own = Some(theirs);
        }
        let pairs = own.as_deref().unwrap_or(pairs);
        if self.macros.bytes() + pairs.len() <= self.policy.limits().macro_bytes {
            self.macros.set(letter, pairs);
        } else if self.transaction.is_some() {
            self.over_limit(LimitName::MacroBytes);
        } else {
            self.lost_macros = self.lost_macros.or(Stage::of_letter(letter));
        }
    }

    fn begin_transaction(&mut self, payload: &[u8]) {
        let sender = Bytes::copy_from_slice(first_string(payload));
        let leading_space = self.answer.protocol.has(Protocol::HEADER_LEADING_SPACE);
        let rules = self.mta_kind().header_rules();
        let content = Content::new(leading_space).with_rules(rules);
        let ends_by = self.now() + self.policy.limits().message_time;
        let mut transaction = Box::new(Transaction::new(sender, self.now(), ends_by, content));
        transaction.envelope_bytes = payload.len();
        transaction.decided.clone_from(&self.refused);
        self.transaction = Some(transaction);
        self.memory.begin_message();
        self.unsettled = true;
        let now = self.now();
        for child in &mut self.children {
            let elapsed = child.take_elapsed(now);
            child.tally.wait(elapsed);
            child.part = match (&child.connection.link, child.fallback()) {
                // One that is still coming will be shown the message when it is there.
                (Link::Gone(_), Some(fallback)) => Part::Done(Outcome::Failed(fallback), Stage::Mail, 0),
                (Link::Gone(Gone::Stopped(stage)), _) => Part::Done(Outcome::Stopped, *stage, 0),
                (Link::None | Link::Gone(_), _) => Part::Out,
                _ => Part::In(Box::default()),
            };
        }
        // Children and conditions would take what is missing for something that the MTA has not said.
        if let Some(stage) = self.lost_macros {
            self.over_limit(LimitName::MacroBytes);
            // Those of the connection will be missing the next time, too.
            self.lost_macros = Some(stage).filter(|stage| *stage <= Stage::Helo);
        }
    }

    fn recipient_came(&mut self, payload: &[u8]) {
        let limits = *self.policy.limits();
        if let Some(transaction) = &mut self.transaction {
            transaction.stage = Stage::Rcpt;
            transaction.envelope_bytes += payload.len();
            let count = transaction.recipients_accepted + transaction.recipients_refused;
            if count >= limits.recipients {
                self.over_limit(LimitName::Recipients);
            } else if transaction.envelope_bytes > limits.envelope_bytes {
                self.over_limit(LimitName::EnvelopeBytes);
            }
        }
        self.begin(Stage::Rcpt, payload);
    }

    /// Takes a command in hand.
    fn begin(&mut self, stage: Stage, payload: &[u8]) {
        self.begin_budget(stage);
        self.command = Some(InHand { stage, payload: Bytes::copy_from_slice(payload) });
        for child in &mut self.children {
            child.step = Step::Todo;
            // What was asked for a command that is over is of no interest; what is asked for the content goes on.
            if stage != Stage::Unknown {
                child.forget_asked();
            }
        }
    }

    /// Shows the command in hand to the children whose gate is open, and answers the MTA once its answer is certain.
    #[inline]
    pub(super) fn advance_command(&mut self) {
        let stage = self.command.as_ref().map(|command| command.stage);
        if let Some(stage) = stage.filter(|stage| *stage != Stage::EndOfMessage) {
            self.advance_step(stage);
        }
    }

    fn advance_step(&mut self, stage: Stage) {
        if let Some(decided) = self.decided_before(stage) {
            return self.answer(stage, &decided);
        }
        for index in 0..self.children.len() {
            if matches!(self.children[index].step, Step::Todo) && self.may_step(index, stage) {
                self.show(index, stage);
            }
        }
        if let Some(decided) = self.joint_step(stage) {
            self.answer(stage, &decided);
        }
    }

    /// What was decided about the connection or the message before this command came.
    fn decided_before(&self, stage: Stage) -> Option<Decided> {
        let in_message = matches!(stage, Stage::Mail | Stage::Rcpt | Stage::Data);
        let message = self.transaction.as_ref().filter(|_| in_message);
        let decided = self.refused.as_ref().or_else(|| message?.decided.as_ref())?;
        match decided.verdict {
            // There is nothing to throw away yet.
            Verdict::Discard if !in_message => Some(Decided { verdict: Verdict::Continue, by: None }),
            _ => Some(decided.clone()),
        }
    }

    /// Shows the command in hand to one child, unless it has to wait or has no part in it.
    fn show(&mut self, index: usize, stage: Stage) {
        let child = &self.children[index];
        if child.is_coming() {
            return;
        }
        let Some(terms) = child.terms() else {
            self.children[index].step = fallback_step(child, stage);
            return;
        };
        let in_message = matches!(stage, Stage::Rcpt | Stage::Data) && !matches!(child.part, Part::In(_));
        if in_message || self.is_hidden(index, stage) {
            self.children[index].step = Step::Passed;
            return;
        }
        let wants = terms.wants(stage);
        match child.up().and_then(Client::awaits) {
            None => {}
            // It is still busy with the end of a message whose outcome was certain without it: nobody waits for that.
            Some(Stage::EndOfMessage) => self.leave_connection(index),
            // It will answer the offer as it did before, and that is all that it owes.
            Some(Stage::Negotiate) if child.up().is_some_and(|client| client.owed() == 1) => {}
            // A reply to something that was taken back is still to come.
            Some(_) => return,
        }
        if self.children[index].connection.is_kept() && self.is_without_helo(index) {
            self.leave_connection(index);
        }
        if stage == Stage::Data && self.is_unconcerned(index) {
            self.leave_message(index, Outcome::Stopped, stage);
            self.children[index].step = Step::Passed;
            return;
        }
        let (extra, remarks) = match self.consult(index, stage) {
            Consulted::Waits => return,
            Consulted::Stopped => {
                self.children[index].step = Step::Passed;
                return;
            }
            Consulted::Runs(extra, remarks) => (extra, remarks),
        };
        if wants && self.children[index].up().is_none() {
            return self.acquire(index, false);
        }
        self.tell(index, stage, remarks);
        self.note_told(index, stage, &extra);
        self.send_macros(index, stage.letter(), &extra);
        let Some(command) = &self.command else { return };
        let child = &mut self.children[index];
        if let Some(cursor) = child.cursor_mut() {
            cursor.stage = Some(stage);
            cursor.recipients += usize::from(stage == Stage::Rcpt);
        }
        let waits =
            wants && child.connection.up_mut().is_some_and(|client| client.command(stage, &command.payload));
        child.step = if waits { Step::Waiting } else { Step::Passed };
    }

    /// Whether a child was shown none of the recipients that the message has: it has nothing to do with it.
    pub(super) fn is_unconcerned(&self, index: usize) -> bool {
        let accepted = self.transaction.as_ref().map_or(0, |transaction| transaction.recipients_accepted);
        accepted > 0 && self.children[index].cursor().is_some_and(|cursor| cursor.recipients == 0)
    }

    /// Sends a child the macros for the command `letter`, before the content also when it is not sent that command: it may
    /// ask for them later, and Postfix sends them, too.
    pub(super) fn send_macros(&mut self, index: usize, letter: u8, extra: &[(Bytes, Bytes)]) {
        let set = self.macros.get(letter);
        if set.is_none() && extra.is_empty() {
            return;
        }
        let Some(client) = self.children[index].connection.up_mut() else { return };
        let wanted = Stage::of_letter(letter).is_none_or(|stage| client.wants(stage) || !stage.is_content());
        if wanted {
            client.macros(letter, set.map_or(&[], |set| set), extra);
        }
    }

    /// Postfix shows recipients that it has refused itself to those who ask for them.
    fn recipient_is_rejected(&self) -> bool {
        self.answer.protocol.has(Protocol::REJECTED_RECIPIENTS)
            && self.macros.value(b"rcpt_mailer") == Some(b"error")
    }

    /// Whether the command in hand is such a recipient, and the child did not ask for those.
    pub(super) fn is_hidden(&self, index: usize, stage: Stage) -> bool {
        let wants_none = |terms: &Negotiation| !terms.protocol.has(Protocol::REJECTED_RECIPIENTS);
        stage == Stage::Rcpt
            && self.recipient_is_rejected()
            && self.children[index].terms().is_some_and(wants_none)
    }

    /// The answer to the command in hand, as soon as the children's steps in chain order allow only one.
    fn joint_step(&self, stage: Stage) -> Option<Decided> {
        // Who stays in the message or session has to be heard to the end, since what it says may concern only itself.
        let stays = matches!(stage, Stage::Rcpt | Stage::Unknown);
        if stays && self.children.iter().any(|child| child.step == Step::Waiting) {
            return None;
        }
        for (index, child) in self.children.iter().enumerate() {
            match &child.step {
                Step::Todo | Step::Waiting => return None,
                Step::Decided(verdict) => {
                    return Some(Decided { verdict: verdict.clone(), by: Some(index) });
                }
                Step::Passed => {}
            }
        }
        let nobody_left = match stage {
            _ if self.policy.unfiltered_header().is_some() => false,
            Stage::Connect | Stage::Helo => self.children.iter().all(is_out),
            Stage::Mail | Stage::Rcpt | Stage::Data => self
                .children
                .iter()
                .all(|child| !matches!(child.part, Part::In(_)) && !child.failure_counts()),
            _ => false,
        };
        let verdict = if nobody_left { Verdict::Accept } else { Verdict::Continue };
        Some(Decided { verdict, by: None })
    }

    /// Answers the command in hand and draws the consequences.
    fn answer(&mut self, stage: Stage, decided: &Decided) {
        let Some(command) = self.command.take() else { return };
        self.budget = None;
        self.reply(Final::from(&decided.verdict));
        // A recipient that the MTA has refused stays refused whatever is answered.
        let rejected_before = stage == Stage::Rcpt && self.recipient_is_rejected();
        if let Some(transaction) = &mut self.transaction
            && stage == Stage::Rcpt
        {
            match decided.verdict.delivers() && !rejected_before {
                true => transaction.recipients_accepted += 1,
                false => transaction.recipients_refused += 1,
            }
        }
        if self.refused.is_none() {
            self.tally.answered(stage, &decided.verdict);
        }
        if decided.verdict.delivers() {
            if let Some(transaction) = &mut self.transaction {
                transaction.accepted |= decided.verdict == Verdict::Accept;
            }
            return;
        }
        let recipient = (stage == Stage::Rcpt).then(|| Arc::from(first_string(&command.payload)));
        let by = decided.by.map(|index| self.name(index));
        self.event(Event::Answered { stage, verdict: decided.verdict.clone(), by, recipient });
        match stage {
            Stage::Connect | Stage::Helo => {
                self.refused = Some(decided.clone());
                for index in 0..self.children.len() {
                    self.quit_child(index, Gone::Left);
                }
            }
            Stage::Unknown => {}
            Stage::Rcpt if decided.verdict != Verdict::Discard => {}
            _ => self.decide(decided.clone()),
        }
    }

    /// A final reply to the MTA, where one is owed.
    pub(super) fn reply(&mut self, reply: Final) {
        if self.filter.owed().is_none() {
            return;
        }
        self.came_at = None;
        if self.filter.reply(reply).is_err() {
            debug_assert!(false, "a verdict that the stage does not have");
            self.finish();
        }
    }

    pub(super) fn name(&self, index: usize) -> Arc<str> {
        self.policy.children()[index].name.clone()
    }
}

/// The step of a child that is not connected: its fallback, where it has failed and that counts at this stage. It does not
/// for the rest of a message with which the child was done before it failed.
pub(super) fn fallback_step(child: &Child, stage: Stage) -> Step {
    let counts = !matches!(stage, Stage::Connect | Stage::Helo | Stage::Unknown);
    let was_done = matches!(stage, Stage::Rcpt | Stage::Data)
        && !matches!(child.part, Part::Done(Outcome::Failed(_), ..));
    match child.fallback() {
        _ if child.evaluation || was_done => Step::Passed,
        None | Some(Fallback::Accept | Fallback::Quarantine) => Step::Passed,
        Some(Fallback::Discard) if !counts => Step::Passed,
        Some(fallback) => Step::Decided(fallback.into()),
    }
}

/// Whether a child has no say in the session any more. The fallback of one that failed may still count at MAIL.
fn is_out(child: &Child) -> bool {
    matches!(child.connection.link, Link::None | Link::Gone(_)) && !child.failure_counts()
}

/// What CONNECT said, copied so that it does not pin the buffer that it was read into.
fn owned(info: &ConnectInfo) -> ConnectInfo {
    let address = match &info.address {
        ClientAddress::Unix(path) => ClientAddress::Unix(Bytes::copy_from_slice(path)),
        ClientAddress::OddIp { family, port, text } => {
            ClientAddress::OddIp { family: *family, port: *port, text: Bytes::copy_from_slice(text) }
        }
        other => other.clone(),
    };
    ConnectInfo { host: Bytes::copy_from_slice(&info.host), address }
}
