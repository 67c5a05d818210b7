//! A session in which a milter is shown what a [`Script`] says.
//!
//! ```text
//!   offer -> turn -> turn -> ... -> farewell
//!     |        |      |                ^
//!     |        +------+-- a last word: ABORT, QUIT; at CONNECT and HELO, and SHUTDOWN before the content: closed at once
//!     +-- core's `Client`, which knows what a milter may answer
//! ```

use std::rc::Rc;

use bytes::BytesMut;
use millstream_core::client::{Client, FromMilter};
use millstream_core::wire::{Culprit, Decoder, Fault, Final, Reply, Stage, WireError};

use super::script::{Script, Turns};
use super::talk::Talk;
use crate::FRAME_LIMIT;

/// By far the most usual answer.
const CONTINUE: &[u8] = b"\0\0\0\x01c";
/// What is expected of a milter.
const ANSWER: &str = "a verdict";

/// One session.
#[derive(Debug)]
pub struct Showing {
    script: Rc<Script>,
    turns: Rc<Turns>,
    saying: Saying,
    /// How much of it is written.
    written: usize,
    decoder: Decoder,
    /// Whether a recipient of the message was taken.
    has_recipient: bool,
    verdict: Final,
    fault: Option<Fault>,
}

#[derive(Debug)]
enum Saying {
    Offer(Box<Client>),
    Turn(usize),
    /// The last words to who wants no more.
    Farewell(Vec<u8>),
    Nothing,
}

impl Showing {
    /// One that begins with the offer.
    #[must_use]
    pub fn new(script: Rc<Script>) -> Self {
        let client = Client::new(FRAME_LIMIT, script.offer());
        Self {
            script,
            turns: Rc::default(),
            saying: Saying::Offer(Box::new(client)),
            written: 0,
            decoder: Decoder::new(FRAME_LIMIT),
            has_recipient: false,
            verdict: Final::Continue,
            fault: None,
        }
    }

    /// What the milter has said last that counts.
    ///
    /// # Errors
    ///
    /// How it has broken the protocol.
    pub fn into_verdict(self) -> Result<Final, Fault> {
        self.fault.map_or(Ok(self.verdict), Err)
    }

    fn awaits(&self) -> Option<Stage> {
        match self.saying {
            Saying::Offer(_) => Some(Stage::Negotiate),
            Saying::Turn(at) => self.turns.awaits(at),
            Saying::Farewell(_) | Saying::Nothing => None,
        }
    }

    fn negotiate(&mut self, data: &[u8]) -> Result<(), Fault> {
        let Saying::Offer(client) = &mut self.saying else { return Ok(()) };
        client.receive(BytesMut::from(data));
        if let Some(FromMilter::Negotiated) = client.poll_reply()? {
            self.turns = self.script.turns(client.negotiated());
            // What came with the answer is one to nothing.
            client.poll_reply()?;
            self.saying = Saying::Turn(0);
        }
        Ok(())
    }

    fn hear(&mut self, data: &[u8]) -> Result<(), Fault> {
        self.decoder.receive(BytesMut::from(data));
        while let Some(stage) = self.awaits() {
            let Some(frame) = self.decoder.next_frame().map_err(wrong)? else { break };
            let letter = frame.letter();
            if !self.transmit().is_empty() {
                let expected = "nothing before the whole command is there";
                return Err(Fault::OutOfTurn { culprit: Culprit::Child, expected, came: letter });
            }
            let expected =
                if stage == Stage::EndOfMessage { "an edit, progress or a verdict" } else { ANSWER };
            match Reply::decode(letter, frame.contiguous()).map_err(wrong)? {
                Reply::Final(verdict) => self.take(stage, verdict),
                Reply::Progress | Reply::Edit(_) if stage == Stage::EndOfMessage => {}
                _ => return Err(Fault::Reply { stage, expected, came: letter }),
            }
        }
        Ok(())
    }

    /// Takes the answer to a command.
    fn take(&mut self, stage: Stage, verdict: Final) {
        let refuses = matches!(verdict, Final::Reject | Final::TemporaryFailure | Final::ReplyCode(_));
        match verdict {
            Final::Continue => {
                match stage {
                    Stage::Rcpt => self.has_recipient = true,
                    Stage::Mail => self.has_recipient = false,
                    // Some recipients may have been refused, the message is not.
                    Stage::EndOfMessage => self.verdict = Final::Continue,
                    _ => {}
                }
                self.proceed();
            }
            Final::Skip => {
                self.proceed();
                while self.awaits() == Some(stage) {
                    self.proceed();
                }
            }
            _ if refuses && stage == Stage::Rcpt => {
                self.verdict = verdict;
                self.proceed();
                if !self.has_recipient && self.awaits() != Some(Stage::Rcpt) {
                    self.leave(stage);
                }
            }
            _ => {
                self.verdict = verdict;
                self.leave(stage);
            }
        }
    }

    fn proceed(&mut self) {
        if let Saying::Turn(at) = self.saying {
            self.saying = Saying::Turn(at + 1);
            self.written = 0;
        }
    }

    /// Ends the session with who has said its last word.
    fn leave(&mut self, stage: Stage) {
        let is_cut = stage <= Stage::Helo || (self.verdict == Final::Shutdown && !stage.is_content());
        self.saying = if is_cut { Saying::Nothing } else { Saying::Farewell(self.script.farewell()) };
        self.written = 0;
    }
}

const fn wrong(error: WireError) -> Fault {
    Fault::Frame { culprit: Culprit::Child, expected: ANSWER, error }
}

impl Talk for Showing {
    fn transmit(&self) -> &[u8] {
        match &self.saying {
            Saying::Offer(client) => {
                let mut slices: [&[u8]; 1] = [b""];
                client.transmit(&mut slices);
                slices[0]
            }
            Saying::Turn(at) => &self.turns.wire(*at)[self.written..],
            Saying::Farewell(wire) => &wire[self.written..],
            Saying::Nothing => b"",
        }
    }

    fn wrote(&mut self, n: usize) {
        match &mut self.saying {
            Saying::Offer(client) => client.wrote(n),
            _ => self.written += n,
        }
        if self.awaits().is_none() && self.transmit().is_empty() {
            self.saying = Saying::Nothing;
        }
    }

    fn receive(&mut self, data: &[u8]) {
        let result = match (&self.saying, self.awaits()) {
            (Saying::Offer(_), _) => self.negotiate(data),
            (_, Some(stage)) if data == CONTINUE && self.decoder.is_empty() && self.transmit().is_empty() => {
                self.take(stage, Final::Continue);
                Ok(())
            }
            _ => self.hear(data),
        };
        self.fault = result.err();
    }

    fn closed(&mut self) -> bool {
        // With its last word a milter may have closed already.
        self.awaits().is_none()
    }

    fn is_decided(&self) -> bool {
        self.fault.is_some() || self.awaits().is_none()
    }

    fn is_over(&self) -> bool {
        self.fault.is_some() || matches!(self.saying, Saying::Nothing)
    }

    fn awaited(&self) -> String {
        match self.awaits() {
            Some(stage) => format!("{stage}: expected an answer"),
            None => "QUIT: expected that it is read".to_owned(),
        }
    }
}
