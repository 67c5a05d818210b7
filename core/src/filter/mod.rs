//! The milter's end of a connection: it faces an MTA.
//!
//! A [`Filter`] turns bytes into commands, keeps to the order of the conversation, and knows at every moment whether a
//! reply is owed. It refuses to send one that is not, so that no caller can answer twice or where the MTA expects
//! silence.
//!
//! ```text
//!   receive ---> poll_command ---> command, owed: none | one final reply | (at E) edits, PROGRESS, one final reply
//!                     ^                                     |
//!                     +----------------- reply -------------+
//! ```

use alloc::boxed::Box;

use bytes::{Bytes, BytesMut};

use crate::conversation::Conversation;
use crate::message::HeaderFrame;
use crate::outbox::Outbox;
use crate::wire::facts::{CHUNK_SIZE, HEAD, Protocol, Stage, letter};
use crate::wire::{
    Chunks, Command, Culprit, Decoder, Edit, Fault, Final, Frame, Negotiation, Reply, split_header,
};

/// One command of the MTA.
#[derive(Debug)]
pub enum FromMta {
    /// Anything but body: the command, and its payload as it came.
    Command(Command, Bytes),
    /// A body chunk that was not [taken](Filter::take_body), as the frame that it came in.
    Body(Frame),
}

/// What comes in masses, where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peeked<'a> {
    /// A header that needs no reply.
    Header(HeaderFrame<'a>),
    /// Macros, not checked.
    Macros {
        /// All of it.
        frame: &'a [u8],
        /// The letter of their command.
        letter: u8,
        /// Names and values.
        pairs: &'a [u8],
    },
}

/// The caller asked for something that the protocol does not allow now. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// No reply is owed.
    #[error("a reply that is not owed")]
    NotOwed,
    /// Edits and PROGRESS belong between end of message and its reply.
    #[error("an edit or PROGRESS outside of end of message")]
    NotAtEndOfMessage,
    /// A body replacement must come in one run.
    #[error("a body replacement that was interrupted")]
    BodyInterrupted,
    /// A verdict that this stage does not have.
    #[error("a verdict that this stage does not have")]
    Verdict,
}

/// How far a run of REPLBODY frames has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyRun {
    None,
    Open,
    Over,
}

/// The milter's end of a connection.
#[derive(Debug)]
pub struct Filter {
    decoder: Decoder,
    outbox: Outbox,
    conversation: Conversation,
    connected: bool,
    protocol: Protocol,
    owed: Option<Stage>,
    /// The message was answered before its end: the MTA need not take it back before it begins another.
    answered: bool,
    body_run: BodyRun,
    fault: Option<Fault>,
}

impl Filter {
    /// A fresh connection that takes frames of at most `frame_limit` bytes.
    #[must_use]
    pub fn new(frame_limit: usize) -> Self {
        Self {
            decoder: Decoder::new(frame_limit),
            outbox: Outbox::default(),
            conversation: Conversation::Greeting,
            connected: false,
            protocol: Protocol::NONE,
            owed: None,
            answered: false,
            body_run: BodyRun::None,
            fault: None,
        }
    }

    /// Takes bytes from the MTA.
    pub fn receive(&mut self, data: BytesMut) {
        self.decoder.receive(data);
    }

    /// The buffer of a partial frame, to read its rest into.
    pub fn lend(&mut self) -> Option<BytesMut> {
        self.decoder.lend()
    }

    /// Whether something received has not been looked at yet.
    #[must_use]
    pub fn has_input(&self) -> bool {
        self.decoder.has_input()
    }

    /// The stage whose reply is owed.
    #[must_use]
    pub const fn owed(&self) -> Option<Stage> {
        self.owed
    }

    /// Whether the MTA sent QUIT.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.conversation == Conversation::Closed
    }

    /// Whether nothing has come yet that makes sense.
    #[must_use]
    pub fn is_greeting(&self) -> bool {
        self.conversation == Conversation::Greeting
    }

    /// The commands that come next where they lie, up to the first that does not come in masses or about which there is
    /// anything special: they are [passed](Self::pass) over or polled like any other.
    pub fn peek(&self) -> impl Iterator<Item = Peeked<'_>> {
        let takes_any = self.owed.is_none() && self.fault.is_none();
        let macros = takes_any && self.conversation.in_message();
        let headers =
            takes_any && self.conversation.takes_headers() && self.protocol.has(Protocol::NR_HEADERS);
        self.decoder.ahead().map_while(move |frame| {
            let (head, payload) = frame.split_first_chunk::<HEAD>()?;
            match head[HEAD - 1] {
                b'L' if headers => {
                    let (name, value) = split_header(payload).ok()?;
                    Some(Peeked::Header(HeaderFrame { frame, name, value }))
                }
                letter::MACRO if macros => {
                    let (letter, pairs) = payload.split_first()?;
                    Some(Peeked::Macros { frame, letter: *letter, pairs })
                }
                _ => None,
            }
        })
    }

    /// Passes over commands that [`peek`](Self::peek) has shown, which were taken in: their bytes, and whether there are
    /// headers among them.
    pub fn pass(&mut self, bytes: usize, headers: bool) {
        self.decoder.pass(bytes);
        if headers {
            self.conversation = Conversation::Headers;
        }
    }

    /// What came in and was not taken, as far as whole commands may lie in it.
    #[must_use]
    pub fn came(&self) -> &[u8] {
        self.decoder.ahead().bytes()
    }

    /// The letter of the command that comes next, if it lies whole in what came in.
    #[must_use]
    pub fn letter_ahead(&self) -> Option<u8> {
        self.decoder.ahead().next().map(|frame| frame[HEAD - 1])
    }

    /// The body chunks that come next and need no reply, as many as lie whole one behind the other, with their number: at
    /// most `most`, each of which begins at most `room` bytes of payload behind the first. `None` when what comes next is
    /// anything else, or a chunk about which there is anything special.
    pub fn take_body(&mut self, most: usize, room: usize) -> Option<(Chunks, usize)> {
        let takes_any = self.owed.is_none() && self.fault.is_none();
        if !takes_any || !self.conversation.in_message() || !self.protocol.has(Protocol::NR_BODY) {
            return None;
        }
        let (mut bytes, mut payload, mut count) = (0, 0, 0);
        for frame in self.decoder.ahead().take(most) {
            let chunk = frame.len() - HEAD;
            let is_plain = frame[HEAD - 1] == b'B' && (1..=CHUNK_SIZE).contains(&chunk);
            if !is_plain || payload > room {
                break;
            }
            bytes += frame.len();
            payload += chunk;
            count += 1;
        }
        if count == 0 {
            return None;
        }
        self.conversation = Conversation::Body;
        Some((Chunks::run(self.decoder.take(bytes), payload), count))
    }

    /// The next command. `None` while a reply is owed, and when no whole command is here.
    ///
    /// # Errors
    ///
    /// The MTA broke the protocol. The same fault is returned from then on: nothing after it can be trusted.
    pub fn poll_command(&mut self) -> Result<Option<FromMta>, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.owed.is_some() || !self.decoder.has_input() {
            return Ok(None);
        }
        let result = self.next_command();
        if let Err(fault) = &result {
            self.fault = Some(*fault);
        }
        result
    }

    fn next_command(&mut self) -> Result<Option<FromMta>, Fault> {
        let expected = self.conversation.expected();
        let wrong = |error| Fault::Frame { culprit: Culprit::Mta, expected, error };
        let Some(frame) = self.decoder.next_frame().map_err(wrong)? else { return Ok(None) };
        let letter = frame.letter();
        let out_of_turn = Fault::OutOfTurn { culprit: Culprit::Mta, expected, came: letter };
        let stage = Stage::of_letter(letter);
        if stage.is_none() && self.conversation != Conversation::Greeting && !b"DAQK".contains(&letter) {
            return Err(wrong(crate::wire::WireError::UnknownLetter(letter)));
        }
        let begins_anew = self.answered && matches!(stage, Some(Stage::Mail | Stage::Helo));
        let here = if begins_anew { Conversation::Idle } else { self.conversation };
        let next = here.after(letter, self.protocol).ok_or(out_of_turn)?;
        if stage == Some(Stage::Connect) {
            if self.connected {
                return Err(out_of_turn);
            }
            self.connected = true;
        }
        let command = match letter {
            b'B' => FromMta::Body(frame),
            _ => {
                let payload = frame.contiguous();
                FromMta::Command(Command::decode(letter, payload.clone()).map_err(wrong)?, payload)
            }
        };
        if letter == crate::wire::facts::letter::QUIT_NC {
            self.connected = false;
        }
        self.conversation = next;
        self.answered &= next.in_message() && !begins_anew;
        if let Some(stage) = stage {
            let silent = stage.fact().no_reply.is_some_and(|bit| self.protocol.has(bit));
            self.owed = (!silent).then_some(stage);
        }
        Ok(Some(command))
    }

    /// Answers the negotiation. What it says about replies holds from now on.
    ///
    /// # Errors
    ///
    /// No negotiation is owed.
    pub fn negotiate(&mut self, answer: &Negotiation) -> Result<(), Misuse> {
        if self.owed.take_if(|stage| *stage == Stage::Negotiate).is_none() {
            return Err(Misuse::NotOwed);
        }
        self.protocol = answer.protocol;
        self.outbox.write(|out| answer.encode_frame(out));
        Ok(())
    }

    /// Ends the turn with a final reply.
    ///
    /// # Errors
    ///
    /// No reply is owed, or the verdict does not exist at this stage or, as SKIP, was not negotiated.
    pub fn reply(&mut self, reply: Final) -> Result<(), Misuse> {
        let stage = match self.owed {
            None | Some(Stage::Negotiate) => return Err(Misuse::NotOwed),
            Some(stage) => stage,
        };
        let allowed = match reply {
            Final::Discard => !matches!(stage, Stage::Connect | Stage::Helo | Stage::Unknown),
            Final::Skip => matches!(stage, Stage::Header | Stage::Body) && self.protocol.has(Protocol::SKIP),
            Final::ConnectionFailure | Final::Shutdown => false,
            _ => true,
        };
        if !allowed {
            return Err(Misuse::Verdict);
        }
        self.owed = None;
        self.body_run = BodyRun::None;
        let goes_on = match (stage, &reply) {
            (Stage::Rcpt, Final::Reject | Final::TemporaryFailure | Final::ReplyCode(_))
            | (Stage::Unknown, _) => true,
            (_, reply) => matches!(reply, Final::Continue | Final::Skip),
        };
        self.answered |= !goes_on && self.conversation.in_message();
        self.outbox.write(|out| Reply::Final(reply).encode(out));
        Ok(())
    }

    /// Asks the MTA for a change to the message.
    ///
    /// # Errors
    ///
    /// End of message is not pending, or a run of body replacements was interrupted.
    pub fn edit(&mut self, edit: Edit) -> Result<(), Misuse> {
        if self.owed != Some(Stage::EndOfMessage) {
            return Err(Misuse::NotAtEndOfMessage);
        }
        match (&edit, self.body_run) {
            (Edit::ReplaceBody(_), BodyRun::Over) => return Err(Misuse::BodyInterrupted),
            (Edit::ReplaceBody(_), _) => self.body_run = BodyRun::Open,
            (_, BodyRun::Open) => self.body_run = BodyRun::Over,
            _ => {}
        }
        if let Edit::ReplaceBody(data) = &edit {
            self.outbox.write(|out| out.extend_from_slice(&crate::wire::head(b'b', data.len())));
            self.outbox.share(data, data);
        } else {
            self.outbox.write(|out| Reply::Edit(edit).encode(out));
        }
        Ok(())
    }

    /// Tells the MTA that the answer to end of message needs more time.
    ///
    /// # Errors
    ///
    /// End of message is not pending, or a run of body replacements is open.
    pub fn progress(&mut self) -> Result<(), Misuse> {
        if self.owed != Some(Stage::EndOfMessage) {
            return Err(Misuse::NotAtEndOfMessage);
        }
        if self.body_run == BodyRun::Open {
            return Err(Misuse::BodyInterrupted);
        }
        self.outbox.write(|out| Reply::Progress.encode(out));
        Ok(())
    }

    /// Fills `slices` with what is to be written next, and returns how many it filled.
    pub fn transmit<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        self.outbox.transmit(slices)
    }

    /// `n` bytes were written.
    pub fn wrote(&mut self, n: usize) {
        self.outbox.wrote(n);
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub const fn unwritten(&self) -> usize {
        self.outbox.len()
    }

    /// The connection is gone: nothing will be read or written.
    pub fn close(&mut self) {
        self.conversation = Conversation::Closed;
        self.owed = None;
        self.outbox.clear();
        self.decoder = Decoder::new(0);
    }
}

/// The reply that tells a verdict.
impl From<&crate::event::Verdict> for Final {
    fn from(verdict: &crate::event::Verdict) -> Self {
        use crate::event::Verdict;

        match verdict {
            Verdict::Continue => Self::Continue,
            Verdict::Accept => Self::Accept,
            Verdict::Discard => Self::Discard,
            Verdict::Reject(None) => Self::Reject,
            Verdict::TemporaryFailure(None) => Self::TemporaryFailure,
            Verdict::Reject(Some(text)) | Verdict::TemporaryFailure(Some(text)) => {
                Self::ReplyCode(Bytes::from(Box::<[u8]>::from(&text[..])))
            }
        }
    }
}
