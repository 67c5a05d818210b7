//! Sessions of real MTAs that were recorded in front of the manager, with one milter that agrees to everything, are played to
//! core alone: it answers the same bytes.

#![allow(clippy::unwrap_used, reason = "a test reports by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use millstream_core::chain::Session;
use millstream_core::filter::{Filter, FromMta};
use millstream_core::machine::{Input, Machine as _, Output, Peer, TRANSMIT_SLICES};
use millstream_core::policy::{
    ChildSettings, Endpoint, Environment, Fallback, Limits, Policy, Route, Timeouts,
};
use millstream_core::time::Instant;
use millstream_core::wire::{Command, Final, Negotiation, Protocol};
use millstream_tools::record::{self, Direction};

/// One milter.
#[derive(Debug)]
struct OneChild {
    children: [ChildSettings; 1],
    limits: Limits,
}

impl Policy for OneChild {
    fn children(&self) -> &[ChildSettings] {
        &self.children
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn fallback(&self) -> Fallback {
        Fallback::Accept
    }

    fn lazy_connect(&self) -> bool {
        true
    }
}

/// A session, and the milter behind it.
struct Bench {
    session: Session,
    children: BTreeMap<Peer, Filter>,
    to_mta: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let child = ChildSettings {
            name: Arc::from("agrees"),
            route: Route::to("agrees", Endpoint::Unix(Arc::from(*b"/agrees"))),
            fallback: Fallback::Accept,
            evaluation_mode: false,
            timeouts: Timeouts::default(),
        };
        let policy = OneChild { children: [child], limits: Limits::default() };
        let session = Session::new(Arc::new(policy), Environment::default());
        let mut bench = Self { session, children: BTreeMap::new(), to_mta: Vec::new() };
        bench.handle(Input::Tick);
        bench
    }

    /// Gives an input, and does all that follows from it.
    fn handle(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.session.handle(Instant::ZERO, input);
            loop {
                match self.session.poll_output() {
                    Output::Wait(_) | Output::Finished => break,
                    Output::Acquire { peer, .. } => {
                        self.children.insert(peer, Filter::new(1 << 20));
                        inputs.push(Input::Ready { peer, negotiated: None });
                    }
                    Output::Recall { peer, .. } => inputs.push(Input::Remembered { peer, negotiated: None }),
                    _ => {}
                }
            }
            inputs.extend(self.write());
        }
    }

    /// Carries what is to be written, and what the milter says to it.
    fn write(&mut self) -> Vec<Input> {
        let mut inputs = Vec::new();
        let peers: Vec<Peer> = [Peer::MTA].into_iter().chain(self.children.keys().copied()).collect();
        for peer in peers {
            let mut slices: [&[u8]; TRANSMIT_SLICES] = [&[]; TRANSMIT_SLICES];
            let count = self.session.transmit(peer, &mut slices);
            let bytes = slices[..count].concat();
            if bytes.is_empty() {
                continue;
            }
            inputs.push(Input::Wrote { peer, n: bytes.len() });
            match self.children.get_mut(&peer) {
                None => self.to_mta.extend_from_slice(&bytes),
                Some(filter) => {
                    let data = agree(filter, &bytes);
                    if !data.is_empty() {
                        inputs.insert(0, Input::Received { peer, data });
                    }
                }
            }
        }
        inputs
    }

    /// What is written to the MTA since it was asked last.
    fn answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.to_mta)
    }
}

/// What a milter says that agrees to everything.
fn agree(filter: &mut Filter, bytes: &[u8]) -> BytesMut {
    filter.receive(BytesMut::from(bytes));
    while let Some(said) = filter.poll_command().unwrap() {
        if let FromMta::Command(Command::Negotiate(offer), _) = said {
            let answer = Negotiation { protocol: Protocol::NONE, ..offer };
            filter.negotiate(&answer).unwrap();
        } else if filter.owed().is_some() {
            filter.reply(Final::Continue).unwrap();
        }
    }
    let mut slices: [&[u8]; TRANSMIT_SLICES] = [&[]; TRANSMIT_SLICES];
    let count = filter.transmit(&mut slices);
    let said = BytesMut::from(&slices[..count].concat()[..]);
    filter.wrote(said.len());
    said
}

#[test]
fn a_session_of_postfix() {
    let entries = record::read(include_str!("records/postfix-3.7.txt")).unwrap();
    let mut bench = Bench::new();
    let (mut said, mut expected) = (BytesMut::new(), BytesMut::new());
    let mut answers = 0;
    for entry in entries {
        match entry.direction {
            Direction::ToMilter => record::encode(&entry, &mut said),
            Direction::FromMilter => {
                if !said.is_empty() {
                    bench.handle(Input::Received { peer: Peer::MTA, data: said.split() });
                }
                record::encode(&entry, &mut expected);
                let answered = bench.answers();
                assert_eq!(answered, expected.split(), "at {} s", entry.seconds);
                answers += 1;
            }
        }
    }
    assert_eq!(answers, 11);
}
