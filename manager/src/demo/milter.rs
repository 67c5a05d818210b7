//! The two built-in milters of the demonstration, as machines on the same runtime as the manager.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use millstream_core::event::Event;
use millstream_core::filter::{Filter, FromMta};
use millstream_core::machine::{Closure, Input, Machine, Output, Peer};
use millstream_core::policy::{Environment, Limits};
use millstream_core::service::{Notice, Service, SessionId};
use millstream_core::time::Instant;
use millstream_core::wire::{Actions, Command, Edit, Final, Negotiation, Protocol, Stage, VERSION_MAX};

/// The text that makes the guard reject a message.
pub(super) const MARKER: &[u8] = b"MILLSTREAM-DEMO-MARKER";
/// The header that the tagger adds.
pub(super) const HEADER: (&str, &str) = ("X-Millstream-Demo", "seen by the tagger");
/// What the guard says to such a message.
pub(super) const REFUSAL: &str = "550 5.7.1 The guard found its marker in the body";

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Adds a header.
    Tagger,
    /// Rejects mail that contains the marker.
    Guard,
}

/// What a milter saw and did, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    pub(super) saw: Vec<Stage>,
    pub(super) did: Vec<String>,
}

/// Makes milters of one kind and keeps their record.
#[derive(Debug)]
pub(super) struct DemoService {
    kind: Kind,
    record: Arc<Mutex<Record>>,
}

impl DemoService {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, record: Arc::default() }
    }

    /// What was seen and done since this was last asked.
    pub(super) fn take_record(&self) -> Record {
        std::mem::take(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Service for DemoService {
    type Machine = DemoMilter;

    fn accept(&self, _: SessionId, _: Environment) -> DemoMilter {
        DemoMilter {
            kind: self.kind,
            record: Arc::clone(&self.record),
            filter: Filter::new(Limits::default().frame),
            found: false,
            tail: Vec::new(),
            outputs: VecDeque::new(),
        }
    }

    fn event(&self, _: SessionId, _: Event) {}

    fn notice(&self, _: Notice) {}
}

/// One connection of a milter.
#[derive(Debug)]
pub(super) struct DemoMilter {
    kind: Kind,
    record: Arc<Mutex<Record>>,
    filter: Filter,
    found: bool,
    /// The end of the body so far, in case the marker straddles two chunks.
    tail: Vec<u8>,
    outputs: VecDeque<Output>,
}

impl DemoMilter {
    fn work(&mut self) {
        loop {
            match self.filter.poll_command() {
                Ok(Some(command)) => self.answer(command),
                Ok(None) => return,
                Err(_) => return self.end(),
            }
        }
    }

    fn answer(&mut self, command: FromMta) {
        let stage = match &command {
            FromMta::Body(_) => Some(Stage::Body),
            FromMta::Command(command, _) => command.stage(),
        };
        if let Some(stage) = stage.filter(|stage| *stage != Stage::Negotiate) {
            self.note(|record| record.saw.push(stage));
        }
        let mut reply = Final::Continue;
        match command {
            FromMta::Command(Command::Negotiate(offer), _) => {
                let wanted = match self.kind {
                    Kind::Tagger => (Actions::ADD_HEADERS, Protocol::NO_BODY),
                    Kind::Guard => (Actions::NONE, Protocol::NO_HEADERS),
                };
                let answer = Negotiation {
                    version: offer.version.min(VERSION_MAX),
                    actions: wanted.0.and(offer.actions),
                    protocol: wanted.1.and(offer.protocol),
                    macro_lists: Vec::new(),
                };
                if self.filter.negotiate(&answer).is_err() {
                    self.end();
                }
                return;
            }
            FromMta::Command(Command::Quit, _) => return self.end(),
            FromMta::Command(Command::Mail(_), _) => {
                self.found = false;
                self.tail.clear();
            }
            FromMta::Body(frame) => self.look_into(&frame.contiguous()),
            FromMta::Command(Command::EndOfMessage(_), _) => reply = self.decide(),
            FromMta::Command(..) => {}
        }
        if self.filter.owed().is_some() && self.filter.reply(reply).is_err() {
            self.end();
        }
    }

    fn look_into(&mut self, chunk: &[u8]) {
        self.tail.extend_from_slice(chunk);
        self.found |= self.tail.windows(MARKER.len()).any(|window| window == MARKER);
        self.tail.drain(..self.tail.len().saturating_sub(MARKER.len() - 1));
    }

    /// The answer to end of message.
    fn decide(&mut self) -> Final {
        match self.kind {
            Kind::Tagger => {
                let (name, value) = HEADER;
                let header = Edit::AddHeader(
                    Bytes::from_static(name.as_bytes()),
                    Bytes::from_static(value.as_bytes()),
                );
                if self.filter.edit(header).is_ok() {
                    self.note(|record| record.did.push(format!("added the header {name}: {value}")));
                }
                Final::Continue
            }
            Kind::Guard if self.found => {
                self.note(|record| record.did.push("rejected the message".to_owned()));
                Final::ReplyCode(Bytes::from_static(REFUSAL.as_bytes()))
            }
            Kind::Guard => {
                self.note(|record| record.did.push("had no objection".to_owned()));
                Final::Continue
            }
        }
    }

    fn note(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn end(&mut self) {
        self.filter.close();
        self.outputs.push_back(Output::Close { peer: Peer::MTA, flush_by: None });
        self.outputs.push_back(Output::Finished);
    }
}

impl Machine for DemoMilter {
    fn handle(&mut self, _: Instant, input: Input) {
        match input {
            Input::Received { data, .. } => self.filter.receive(data),
            Input::Wrote { n, .. } => self.filter.wrote(n),
            Input::Closed { why: Closure::Eof | Closure::Failed(_), .. } | Input::Stop => return self.end(),
            _ => {}
        }
        self.work();
    }

    fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or(Output::Wait(None))
    }

    fn transmit<'a>(&'a self, _: Peer, slices: &mut [&'a [u8]]) -> usize {
        self.filter.transmit(slices)
    }

    fn wants_input(&self, _: Peer) -> bool {
        true
    }

    fn read_buffer(&mut self, _: Peer) -> Option<BytesMut> {
        self.filter.lend()
    }
}
