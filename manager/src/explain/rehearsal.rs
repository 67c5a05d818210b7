//! A live session without sockets: the core's own, between an MTA and milters that agree to everything.
//!
//! ```text
//!   Mail ──> MTA (core's Client) ──bytes──> Session (under a Witness) ──bytes──> milters (core's Filters)
//!                                              │ questions
//!                                              └──> the resolver, or what the command line tells
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::{Bytes, BytesMut};
use millstream_core::chain::Session;
use millstream_core::client::{Client, FromMilter};
use millstream_core::filter::{Filter, FromMta};
use millstream_core::machine::{Answer, Input, Machine, Output, Peer, QueryId, Question, TRANSMIT_SLICES};
use millstream_core::policy::{Environment, Limits, Policy};
use millstream_core::time::Instant;
use millstream_core::wire::{
    Actions, CHUNK_SIZE, Command, Final, Frame, HEAD, Negotiation, Protocol, Stage, VERSION_MAX,
};
use millstream_mail::Header;

use super::mail::Mail;
use super::options::Macro;

/// Asks for the answer to a question, and gives it to what it is handed, at once or from another thread.
pub(super) type Ask<'o> = &'o dyn Fn(&Question, Box<dyn FnOnce(Answer) + Send>);

/// What happened besides decisions.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// Stages that were said.
    pub(super) said: Vec<Stage>,
    /// What was looked up, in the order of the answers.
    pub(super) answers: Vec<(Question, Answer)>,
}

/// Passes `mail` through a session under `policy`.
///
/// # Errors
///
/// The two ends of the core do not understand each other.
pub(super) fn rehearse(policy: Arc<dyn Policy>, mail: &Mail, ask: Ask<'_>) -> Result<Course, String> {
    let environment = Environment { unix_seconds: mail.unix_seconds, sessions: mail.sessions };
    let offer = Negotiation {
        version: VERSION_MAX,
        actions: Actions::ALL,
        protocol: Protocol::ALL,
        macro_lists: Vec::new(),
    };
    let frame = Limits::default().frame;
    let (answer, answered) = channel();
    let mut rehearsal = Rehearsal {
        session: Session::new(policy, environment),
        mta: Client::new(frame, &offer),
        milters: Vec::new(),
        spilled: Vec::new(),
        ask,
        answer,
        answered,
        waiting: Vec::new(),
        course: Course::default(),
    };
    rehearsal.handle(Input::Tick)?;
    rehearsal.reply()?;
    rehearsal.pass(mail)?;
    Ok(rehearsal.course)
}

struct Rehearsal<'o> {
    session: Session,
    mta: Client,
    /// A connection that is over stays: nothing comes from it any more.
    milters: Vec<(Peer, Filter)>,
    spilled: Vec<u8>,
    ask: Ask<'o>,
    answer: Sender<(QueryId, Answer)>,
    answered: Receiver<(QueryId, Answer)>,
    waiting: Vec<(QueryId, Question)>,
    course: Course,
}

/// Time stands still: nothing runs out while a person waits for name servers.
const NOW: Instant = Instant::ZERO;

impl Rehearsal<'_> {
    /// Says what is told of the mail, up to where every milter is out of it.
    fn pass(&mut self, mail: &Mail) -> Result<(), String> {
        let connect = Command::Connect(mail.client.clone());
        if !self.say(Stage::Connect, &mail.connect_macros, &connect)? {
            return Ok(());
        }
        if let Some(helo) = &mail.helo {
            let helo = Command::Helo(helo.clone().into());
            if !self.say(Stage::Helo, &mail.helo_macros, &helo)? {
                return Ok(());
            }
        }
        let Some(sender) = &mail.sender else { return Ok(()) };
        let sender = Command::Mail(format!("{sender}\0").into());
        if !self.say(Stage::Mail, &mail.mail_macros, &sender)? {
            return Ok(());
        }
        for recipient in &mail.recipients {
            let recipient = Command::Rcpt(format!("{recipient}\0").into());
            if !self.say(Stage::Rcpt, &mail.rcpt_macros, &recipient)? {
                return Ok(());
            }
        }
        if mail.recipients.is_empty() || !self.say(Stage::Data, &mail.data_macros, &Command::Data)? {
            return Ok(());
        }
        let Some(message) = &mail.message else { return Ok(()) };
        for Header { name, value } in &message.headers {
            self.begin(Stage::Header);
            if self.mta.wants(Stage::Header) {
                self.mta.header(name, value);
            }
            if !self.reply()? {
                return Ok(());
            }
        }
        if !self.say(Stage::EndOfHeaders, &mail.end_of_header_macros, &Command::EndOfHeaders)? {
            return Ok(());
        }
        for chunk in message.body.chunks(CHUNK_SIZE) {
            self.begin(Stage::Body);
            if self.mta.wants(Stage::Body) {
                self.mta.body(&Frame::new(Stage::Body.letter(), Bytes::copy_from_slice(chunk)));
            }
            if !self.reply()? {
                return Ok(());
            }
        }
        let end = Command::EndOfMessage(Bytes::new());
        self.say(Stage::EndOfMessage, &mail.end_of_message_macros, &end).map(drop)
    }

    /// Says `command`. Gives whether the MTA goes on with the message: it does not when nobody is in it any more.
    fn say(&mut self, stage: Stage, macros: &[Macro], command: &Command) -> Result<bool, String> {
        self.begin(stage);
        let pair = |set: &Macro| [set.name.as_bytes(), b"\0", set.value.as_bytes(), b"\0"].concat();
        let macros: Vec<u8> = macros.iter().flat_map(pair).collect();
        if !macros.is_empty() {
            self.mta.macros(stage.letter(), &macros, &[]);
        }
        if self.mta.wants(stage) {
            let mut frame = BytesMut::new();
            command.encode(&mut frame);
            self.mta.command(stage, &frame[HEAD..]);
        }
        self.reply()
    }

    fn begin(&mut self, stage: Stage) {
        if self.course.said.last() != Some(&stage) {
            self.course.said.push(stage);
        }
    }

    /// Moves everything until the MTA is owed nothing more. Gives whether it goes on.
    fn reply(&mut self) -> Result<bool, String> {
        self.move_all()?;
        while self.mta.awaits().is_some() {
            match self.mta.poll_reply().map_err(|fault| fault.to_string())? {
                Some(FromMilter::Final(_, Final::Continue) | FromMilter::Negotiated) => {}
                Some(FromMilter::Final(..)) => return Ok(false),
                Some(FromMilter::Edit(_) | FromMilter::Progress) => {}
                None => return Err("the session does not answer the MTA".to_owned()),
            }
        }
        Ok(true)
    }

    /// Moves bytes and answers until nothing moves any more.
    fn move_all(&mut self) -> Result<(), String> {
        loop {
            let inputs = self.carry()?;
            if !inputs.is_empty() {
                for input in inputs {
                    self.handle(input)?;
                }
            } else if !self.waiting.is_empty() {
                let (query, answer) = self.answered.recv().map_err(|error| error.to_string())?;
                if let Some(at) = self.waiting.iter().position(|(known, _)| *known == query) {
                    let (_, question) = self.waiting.swap_remove(at);
                    self.course.answers.push((question, answer.clone()));
                }
                self.handle(Input::Answered { query, answer })?;
            } else {
                return Ok(());
            }
        }
    }

    /// Carries the bytes that wait at each end to the other one.
    fn carry(&mut self) -> Result<Vec<Input>, String> {
        let mut inputs = Vec::new();
        let data = written(|slices| self.mta.transmit(slices));
        if !data.is_empty() {
            self.mta.wrote(data.len());
            inputs.push(Input::Received { peer: Peer::MTA, data });
        }
        let data = written(|slices| self.session.transmit(Peer::MTA, slices));
        if !data.is_empty() {
            inputs.push(Input::Wrote { peer: Peer::MTA, n: data.len() });
            self.mta.receive(data);
        }
        for (peer, milter) in &mut self.milters {
            let peer = *peer;
            let data = written(|slices| self.session.transmit(peer, slices));
            if !data.is_empty() {
                inputs.push(Input::Wrote { peer, n: data.len() });
                milter.receive(data);
                agree(milter)?;
            }
            let data = written(|slices| milter.transmit(slices));
            if !data.is_empty() {
                milter.wrote(data.len());
                inputs.push(Input::Received { peer, data });
            }
        }
        Ok(inputs)
    }

    fn handle(&mut self, input: Input) -> Result<(), String> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.session.handle(NOW, input);
            loop {
                match self.session.poll_output() {
                    // Before anything else happens.
                    Output::Recall { peer, .. } => {
                        inputs.push_front(Input::Remembered { peer, negotiated: None });
                        break;
                    }
                    Output::Acquire { peer, .. } => {
                        self.milters.push((peer, Filter::new(Limits::default().frame)));
                        inputs.push_back(Input::Ready { peer, negotiated: None });
                    }
                    Output::LookUp { query, question } => {
                        let answer = self.answer.clone();
                        let give = move |given| drop(answer.send((query, given)));
                        (self.ask)(&question, Box::new(give));
                        self.waiting.push((query, question));
                    }
                    Output::SpillAppend { file, data } => {
                        data.iter().for_each(|data| self.spilled.extend_from_slice(data));
                        inputs.push_back(Input::SpillAppended { file, length: self.spilled.len() as u64 });
                    }
                    Output::SpillRead { file, offset, length } => {
                        let start = offset as usize;
                        let data = self.spilled.get(start..start + length);
                        let data = Bytes::copy_from_slice(data.ok_or("a body is read past its end")?);
                        inputs.push_back(Input::SpillRead { file, offset, data });
                    }
                    Output::SpillDrop { .. } => self.spilled.clear(),
                    Output::Wait(Some(until)) if until <= NOW => {
                        inputs.push_back(Input::Tick);
                        break;
                    }
                    Output::Wait(_) | Output::Finished => break,
                    Output::Event(_)
                    | Output::Learned { .. }
                    | Output::Unwell { .. }
                    | Output::Release { .. }
                    | Output::Close { .. } => {}
                }
            }
        }
        Ok(())
    }
}

/// Answers everything that came with consent.
fn agree(milter: &mut Filter) -> Result<(), String> {
    let misuse = |misuse: millstream_core::filter::Misuse| misuse.to_string();
    while let Some(command) = milter.poll_command().map_err(|fault| fault.to_string())? {
        match command {
            FromMta::Command(Command::Negotiate(offer), _) => {
                let answer = Negotiation { protocol: Protocol::NONE, macro_lists: Vec::new(), ..offer };
                milter.negotiate(&answer).map_err(misuse)?;
            }
            _ if milter.owed().is_some() => milter.reply(Final::Continue).map_err(misuse)?,
            _ => {}
        }
    }
    Ok(())
}

fn written<'a>(transmit: impl FnOnce(&mut [&'a [u8]]) -> usize) -> BytesMut {
    let mut slices = [&b""[..]; TRANSMIT_SLICES];
    let count = transmit(&mut slices);
    slices[..count].concat().as_slice().into()
}
