//! The MTA's end of a connection: it faces a milter.
//!
//! A [`Client`] sends only what the milter negotiated, remembers which replies are owed to it, in order, and swallows
//! late replies to commands that were taken back.
//!
//! ```text
//!   offer ---> Negotiated ---> command ---> owed [stage, stage, ...] ---> poll_reply: Final | Edit | Progress
//!                                  ^             |
//!                                  |           abort: what is owed is stale, its replies are swallowed
//!                                  +-------------+
//! ```

use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use crate::conversation::Conversation;
use crate::message::HeaderRun;
use crate::outbox::Outbox;
use crate::wire::facts::{HEAD, Protocol, Stage, letter};
use crate::wire::{Chunks, Culprit, Decoder, Edit, Fault, Final, Frame, Negotiation, Reply};

/// What a milter sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromMilter {
    /// It negotiated; [`Client::negotiated`] tells what.
    Negotiated,
    /// The final reply to the oldest command.
    Final(Stage, Final),
    /// It is still working at end of message.
    Progress,
    /// It wants a change.
    Edit(Edit),
}

/// How many body chunks go to a milter before it has answered the first of them: what it does not want any more after a
/// verdict or SKIP is at most so much.
const BODY_AHEAD: usize = 4;

/// Replies that are owed at once by a milter that is sent a whole message ahead of its answers, mostly.
const OWED: usize = 16;

/// "Continue" on the wire.
const CONTINUE: [u8; HEAD] = [0, 0, 0, 1, b'c'];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owed {
    stage: Stage,
    stale: bool,
}

/// The macros that were last sent for a command that comes many times, so that they are sent again only when they
/// changed.
#[derive(Debug)]
struct Repeated {
    letter: u8,
    set: Vec<u8>,
    extra: Vec<(Bytes, Bytes)>,
}

impl Repeated {
    const fn nothing(letter: u8) -> Self {
        Self { letter, set: Vec::new(), extra: Vec::new() }
    }
}

/// The MTA's end of a connection.
#[derive(Debug)]
pub struct Client {
    decoder: Decoder,
    outbox: Outbox,
    conversation: Conversation,
    offer: Negotiation,
    negotiated: Negotiation,
    owed: VecDeque<Owed>,
    repeated: [Repeated; 3],
    /// A verdict came with commands unanswered behind it.
    lost_count: bool,
    /// It has answered something, if only what was taken back.
    answered: bool,
    fault: Option<Fault>,
}

impl Client {
    /// Begins a conversation by offering `offer` to the milter, from which frames of at most `frame_limit` bytes are
    /// taken.
    #[must_use]
    pub fn new(frame_limit: usize, offer: &Negotiation) -> Self {
        let mut client = Self::bare(frame_limit);
        client.offer.clone_from(offer);
        client.conversation = Conversation::Idle;
        client.outbox.write(|out| offer.encode_frame(out));
        client.owed.push_back(Owed { stage: Stage::Negotiate, stale: false });
        client
    }

    /// The same with a milter that has answered `expected` before: until it answers again, what it wants by that may be sent
    /// behind the offer.
    #[must_use]
    pub fn expecting(frame_limit: usize, offer: &Negotiation, expected: Negotiation) -> Self {
        Self { negotiated: expected, ..Self::new(frame_limit, offer) }
    }

    /// Goes on with a connection on which `negotiated` was agreed before.
    #[must_use]
    pub fn resumed(frame_limit: usize, negotiated: Negotiation) -> Self {
        let mut client = Self::bare(frame_limit);
        client.conversation = Conversation::Idle;
        client.negotiated = negotiated;
        client
    }

    fn bare(frame_limit: usize) -> Self {
        Self {
            decoder: Decoder::new(frame_limit),
            outbox: Outbox::default(),
            conversation: Conversation::Greeting,
            offer: Negotiation::default(),
            negotiated: Negotiation::default(),
            owed: VecDeque::with_capacity(OWED),
            repeated: [b'L', b'B', b'U'].map(Repeated::nothing),
            lost_count: false,
            answered: false,
            fault: None,
        }
    }

    /// What the milter answered to the offer.
    #[must_use]
    pub const fn negotiated(&self) -> &Negotiation {
        &self.negotiated
    }

    /// Whether the milter wants the command of `stage`.
    #[must_use]
    pub fn wants(&self, stage: Stage) -> bool {
        self.negotiated.wants(stage)
    }

    /// Whether the milter answers the command of `stage`.
    #[must_use]
    pub fn replies_to(&self, stage: Stage) -> bool {
        self.negotiated.replies_to(stage)
    }

    /// The command whose reply comes next, `None` when nothing is owed.
    #[must_use]
    pub fn awaits(&self) -> Option<Stage> {
        self.owed.front().map(|owed| owed.stage)
    }

    /// How many replies are owed, those included that will not be told.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    /// Whether the command of `stage` may be sent now: when nothing is owed, or nothing that it could not be sent behind.
    ///
    /// Headers and the end of headers go behind headers, body chunks behind a few of their kind. Whoever has a verdict at the
    /// end of headers or of the message has it before anything stands behind it.
    #[must_use]
    pub fn may_send(&self, stage: Stage, pipelining: bool) -> bool {
        let Some(first) = self.owed.front() else { return true };
        let ahead = match stage {
            Stage::Header | Stage::EndOfHeaders => usize::MAX,
            Stage::Body => BODY_AHEAD,
            _ => 0,
        };
        let behind = if stage == Stage::EndOfHeaders { Stage::Header } else { stage };
        pipelining && !first.stale && first.stage == behind && self.owed.len() < ahead
    }

    /// Whether it is unknown how many replies are still to come: with its verdict libmilter forgets what was sent behind,
    /// other milters answer it. The connection is of no use any more.
    #[must_use]
    pub const fn has_lost_count(&self) -> bool {
        self.lost_count
    }

    /// Whether the milter has answered anything on this connection, if only what was taken back.
    #[must_use]
    pub const fn has_answered(&self) -> bool {
        self.answered
    }

    /// Whether a reply is owed that will be told.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.owed.iter().any(|owed| !owed.stale)
    }

    /// Whether the milter has seen a part of a message that is not over.
    #[must_use]
    pub const fn in_message(&self) -> bool {
        self.conversation.in_message()
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub const fn unwritten(&self) -> usize {
        self.outbox.len()
    }

    /// Sends the macros that the MTA sent for the command `stage_letter`, as far as the milter listed them. `extra`
    /// were set for this milter alone.
    pub fn macros(&mut self, stage_letter: u8, set: &[u8], extra: &[(Bytes, Bytes)]) {
        if let Some(last) = self.repeated.iter_mut().find(|last| last.letter == stage_letter) {
            if last.set == set && last.extra == extra {
                return;
            }
            set.clone_into(&mut last.set);
            extra.clone_into(&mut last.extra);
        }
        let wanted = Stage::of_letter(stage_letter).and_then(|stage| self.negotiated.macro_list(stage));
        self.outbox.write(|out| crate::wire::encode_macros(out, stage_letter, set, wanted, extra));
    }

    /// Sends the command of `stage` with `payload`. Returns whether a reply is owed.
    pub fn command(&mut self, stage: Stage, payload: &[u8]) -> bool {
        self.outbox.write(|out| {
            out.extend_from_slice(&crate::wire::head(stage.letter(), payload.len()));
            out.extend_from_slice(payload);
        });
        self.sent(stage)
    }

    /// Sends a header. Returns whether a reply is owed.
    pub fn header(&mut self, name: &[u8], value: &[u8]) -> bool {
        self.outbox.write(|out| {
            out.extend_from_slice(&crate::wire::head(b'L', name.len() + value.len() + 2));
            out.extend_from_slice(name);
            out.extend_from_slice(&[0]);
            out.extend_from_slice(value);
            out.extend_from_slice(&[0]);
        });
        self.sent(Stage::Header)
    }

    /// Sends headers as the very frames that they came in. Returns whether replies are owed.
    pub fn headers(&mut self, headers: &HeaderRun<'_>) -> bool {
        match headers.block {
            Some(block) => self.outbox.share(headers.frames, block),
            None => self.outbox.copy(headers.frames),
        }
        self.all_sent(Stage::Header, headers.count)
    }

    /// Sends a body chunk as the very bytes that it came in. Returns whether a reply is owed.
    pub fn body(&mut self, frame: &Frame) -> bool {
        for piece in frame.wire() {
            self.outbox.share(piece, piece);
        }
        self.sent(Stage::Body)
    }

    /// Sends body chunks as the very bytes that they came in: those from byte `start` on, at most `most` and no more than go
    /// ahead of the replies to them. Returns where they end.
    pub fn chunks(&mut self, chunks: &Chunks, start: usize, most: usize) -> usize {
        let ahead = match self.replies_to(Stage::Body) {
            true => BODY_AHEAD.saturating_sub(self.owed.len()).max(1),
            false => usize::MAX,
        };
        let [first, rest] = chunks.wire();
        let (end, count) = match most.min(ahead) {
            // Nobody counts them.
            usize::MAX => (chunks.wire_len(), 1),
            most => chunks.end_of(start, most),
        };
        self.outbox.share(&first[start..end.min(first.len())], first);
        self.outbox.share(rest, rest);
        self.all_sent(Stage::Body, count);
        end
    }

    /// The same for `count` commands of a kind.
    fn all_sent(&mut self, stage: Stage, count: usize) -> bool {
        let owed = self.sent(stage);
        if owed {
            self.owed.extend(core::iter::repeat_n(Owed { stage, stale: false }, count - 1));
        }
        owed
    }

    /// A command was sent. Returns whether a reply is owed.
    fn sent(&mut self, stage: Stage) -> bool {
        let next = self.conversation.after(stage.letter(), self.negotiated.protocol);
        debug_assert!(next.is_some(), "{stage} after {:?}", self.conversation);
        self.conversation = next.unwrap_or(self.conversation);
        if stage <= Stage::Rcpt || stage == Stage::EndOfMessage {
            self.forget_repeated();
        }
        let owed = self.replies_to(stage);
        if owed {
            self.owed.push_back(Owed { stage, stale: false });
        }
        owed
    }

    /// Takes the message back. Replies that are owed for it are swallowed when they come.
    pub fn abort(&mut self) {
        let at_end = Owed { stage: Stage::EndOfMessage, stale: false };
        if self.in_message() || self.owed.back() == Some(&at_end) {
            self.simple(letter::ABORT);
            self.forget_repeated();
        }
        self.give_up();
    }

    /// Ends the conversation.
    pub fn quit(&mut self) {
        for owed in &mut self.owed {
            owed.stale = true;
        }
        if self.conversation != Conversation::Closed {
            self.simple(letter::QUIT);
        }
    }

    /// Whether the connection can be kept for another session: nothing is owed, nothing half read, and the milter has
    /// settled nothing in the negotiation that it may forget with the session. opendkim forgets that values come with
    /// their leading spaces, and then signs what is not delivered.
    #[must_use]
    pub fn can_begin_again(&self) -> bool {
        let Negotiation { version, protocol, .. } = self.negotiated;
        let fits = version >= letter::QUIT_NC_SINCE && !protocol.has(Protocol::HEADER_LEADING_SPACE);
        fits && self.owed.is_empty() && self.decoder.is_empty() && self.fault.is_none()
    }

    /// Ends the conversation and asks the milter to take another on this connection. It has done so when the reply to
    /// UNKNOWN is there, if one is owed, and is not a verdict.
    ///
    /// libmilter takes QUIT_NC only in two of its states, and ignores it in silence in all others. ABORT and UNKNOWN lead
    /// to one of them from everywhere, and are harmless for others (`docs/children.md`). libmilter answers UNKNOWN also
    /// for a milter that does not want it.
    pub fn quit_nc(&mut self) {
        self.simple(letter::ABORT);
        self.command(Stage::Unknown, b"NOOP\0");
        self.simple(letter::QUIT_NC);
        self.forget_repeated();
    }

    /// Sends a command again that the milter was sent on an earlier connection. Its reply, where one is owed, was heard
    /// then and is swallowed.
    pub fn repeat(&mut self, stage: Stage, payload: &[u8]) {
        if self.command(stage, payload)
            && let Some(owed) = self.owed.back_mut()
        {
            owed.stale = true;
        }
    }

    /// No longer cares about what is owed to commands. What the milter negotiates counts also for what comes next.
    pub fn give_up(&mut self) {
        for owed in &mut self.owed {
            owed.stale = owed.stage != Stage::Negotiate;
        }
    }

    /// Macros hold until the message is over, and libmilter forgets those for later commands already with a new
    /// recipient.
    fn forget_repeated(&mut self) {
        for last in self.repeated.iter_mut().filter(|last| !last.set.is_empty() || !last.extra.is_empty()) {
            last.set.clear();
            last.extra.clear();
        }
    }

    fn simple(&mut self, command: u8) {
        self.outbox.write(|out| out.extend_from_slice(&crate::wire::head(command, 0)));
        if let Some(next) = self.conversation.after(command, self.negotiated.protocol) {
            self.conversation = next;
        }
    }

    /// Takes bytes from the milter.
    pub fn receive(&mut self, data: BytesMut) {
        self.decoder.receive(data);
    }

    /// The buffer of a partial frame, to read its rest into.
    pub fn lend(&mut self) -> Option<BytesMut> {
        self.decoder.lend()
    }

    /// The next thing that the milter sent; nothing any more once the [count](Self::has_lost_count) is lost.
    ///
    /// # Errors
    ///
    /// The milter broke the protocol. The same fault is returned from then on.
    pub fn poll_reply(&mut self) -> Result<Option<FromMilter>, Fault> {
        if let Some(stage) = self.take_continue() {
            return Ok(Some(FromMilter::Final(stage, Final::Continue)));
        }
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let result = self.next_reply();
        if let Err(fault) = &result {
            self.fault = Some(*fault);
        }
        result
    }

    /// Takes what comes next if it is "continue" to a command and will be told: by far the most usual, and not worth a frame
    /// of its own.
    fn take_continue(&mut self) -> Option<Stage> {
        let Owed { stage, stale } = *self.owed.front()?;
        let may_go_on = stage != Stage::Negotiate && !stale && !self.lost_count && self.fault.is_none();
        if !may_go_on || self.decoder.ahead().next() != Some(&CONTINUE[..]) {
            return None;
        }
        self.decoder.pass(HEAD);
        self.answered = true;
        self.owed.pop_front();
        Some(stage)
    }

    fn next_reply(&mut self) -> Result<Option<FromMilter>, Fault> {
        loop {
            if self.lost_count || !self.decoder.has_input() {
                return Ok(None);
            }
            let expected = match self.owed.front() {
                None => "nothing, since no reply is owed",
                Some(Owed { stage: Stage::Negotiate, .. }) => "the answer to the negotiation",
                Some(Owed { stage: Stage::EndOfMessage, .. }) => "an edit, progress or a verdict",
                Some(_) => "a verdict",
            };
            let wrong = |error| Fault::Frame { culprit: Culprit::Child, expected, error };
            let Some(frame) = self.decoder.next_frame().map_err(wrong)? else { return Ok(None) };
            let letter = frame.letter();
            let Some(owed) = self.owed.front().copied() else {
                return Err(Fault::OutOfTurn { culprit: Culprit::Child, expected, came: letter });
            };
            let out_of_turn = Fault::Reply { stage: owed.stage, expected, came: letter };
            let event = match Reply::decode(letter, frame.contiguous()).map_err(wrong)? {
                Reply::Negotiate(answer) if owed.stage == Stage::Negotiate => {
                    self.negotiated = self.check(answer)?;
                    FromMilter::Negotiated
                }
                _ if owed.stage == Stage::Negotiate => return Err(out_of_turn),
                Reply::Negotiate(_) | Reply::Final(Final::ConnectionFailure) => return Err(out_of_turn),
                Reply::Final(reply) => FromMilter::Final(owed.stage, reply),
                Reply::Progress if owed.stage == Stage::EndOfMessage => FromMilter::Progress,
                Reply::Edit(edit) if owed.stage == Stage::EndOfMessage => FromMilter::Edit(edit),
                Reply::Progress | Reply::Edit(_) => return Err(out_of_turn),
            };
            self.answered = true;
            if matches!(event, FromMilter::Negotiated | FromMilter::Final(..)) {
                self.owed.pop_front();
            }
            if let FromMilter::Final(stage, reply) = &event {
                self.after_reply(*stage, reply, owed.stale);
            }
            if !owed.stale {
                return Ok(Some(event));
            }
        }
    }

    /// A verdict on the message ends it for this milter, which then waits for the next one.
    fn after_reply(&mut self, stage: Stage, reply: &Final, stale: bool) {
        let goes_on = match (stage, reply) {
            (Stage::Unknown, _) | (_, Final::Continue | Final::Skip) => true,
            (Stage::Rcpt, reply) => !matches!(reply, Final::Accept | Final::Discard),
            _ => false,
        };
        self.lost_count |= !goes_on && stage.is_content() && !self.owed.is_empty();
        if !goes_on && !stale && self.in_message() {
            self.conversation = Conversation::Idle;
        }
    }

    /// An answer must lie within the offer, as Postfix demands. Bits that were not offered and say what is not to be sent
    /// or answered are taken all the same, since rspamd sends them; others that were not offered mean nothing.
    fn check(&self, mut answer: Negotiation) -> Result<Negotiation, Fault> {
        let Negotiation { version, actions, protocol, .. } = self.offer;
        let wrong =
            |what, expected, came| Fault::Negotiation { culprit: Culprit::Child, what, expected, came };
        if answer.version > version || answer.version < crate::wire::VERSION_MIN {
            return Err(wrong("version", version, answer.version));
        }
        if !actions.has(answer.actions) {
            return Err(wrong("actions", actions.0, answer.actions.0));
        }
        let silence = Protocol::NO_SEND.with(Protocol::NO_REPLY).with(Protocol::SKIP);
        answer.protocol = answer.protocol.and(protocol.with(silence));
        Ok(answer)
    }

    /// Fills `slices` with what is to be written next, and returns how many it filled.
    pub fn transmit<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        self.outbox.transmit(slices)
    }

    /// `n` bytes were written.
    pub fn wrote(&mut self, n: usize) {
        self.outbox.wrote(n);
    }
}
