//! Sessions of real MTAs that were recorded in front of the manager with one milter (`records/`) are played to core alone, with a milter
//! that says the same: core answers the same bytes. A further record needs only to lie there.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use millstream_core::chain::Session;
use millstream_core::filter::{Filter, FromMta};
use millstream_core::machine::{Input, Machine as _, Output, Peer, TRANSMIT_SLICES};
use millstream_core::policy::{
    ChildSettings, Endpoint, Environment, Fallback, Limits, Policy, Route, Timeouts,
};
use millstream_core::time::Instant;
use millstream_core::wire::{Command, Edit, Final, Negotiation, Protocol, Reply, Stage};
use millstream_tools::record::{self, Direction, Entry};

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

/// What a milter says to the commands of a stage, one after another: its edits and its verdict.
type Words = BTreeMap<Stage, VecDeque<(Vec<Edit>, Final)>>;

/// What the milter of a record has said.
fn words(entries: &[Entry]) -> Words {
    let mut words = Words::new();
    let (mut asked, mut edits) = (Stage::Negotiate, Vec::new());
    for entry in entries {
        match entry.direction {
            Direction::ToMilter => asked = Stage::of_letter(entry.letter).unwrap_or(asked),
            Direction::FromMilter => match Reply::decode(entry.letter, entry.payload.clone().into()).unwrap()
            {
                Reply::Edit(edit) => edits.push(edit),
                Reply::Final(verdict) => {
                    let said = (std::mem::take(&mut edits), verdict);
                    words.entry(asked).or_default().push_back(said);
                }
                Reply::Negotiate(_) | Reply::Progress => {}
            },
        }
    }
    words
}

/// A session, and the milter behind it.
struct Bench {
    session: Session,
    children: BTreeMap<Peer, Filter>,
    words: Words,
    to_mta: Vec<u8>,
}

impl Bench {
    fn new(words: Words) -> Self {
        let child = ChildSettings {
            name: Arc::from("child"),
            route: Route::to("child", Endpoint::Unix(Arc::from(*b"/child"))),
            fallback: Fallback::Accept,
            evaluation_mode: false,
            timeouts: Timeouts::default(),
        };
        let policy = OneChild { children: [child], limits: Limits::default() };
        let session = Session::new(Arc::new(policy), Environment::default());
        let mut bench = Self { session, children: BTreeMap::new(), words, to_mta: Vec::new() };
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
                    let data = answer(filter, &mut self.words, &bytes);
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

/// What the milter says. It is asked about more than the MTA was, and has nothing against that.
fn answer(filter: &mut Filter, words: &mut Words, bytes: &[u8]) -> BytesMut {
    filter.receive(BytesMut::from(bytes));
    while let Some(said) = filter.poll_command().unwrap() {
        if let FromMta::Command(Command::Negotiate(offer), _) = said {
            let answer = Negotiation { protocol: Protocol::NONE, ..offer };
            filter.negotiate(&answer).unwrap();
        } else if let Some(stage) = filter.owed() {
            let next = words.get_mut(&stage).and_then(VecDeque::pop_front);
            let (edits, verdict) = next.unwrap_or((Vec::new(), Final::Continue));
            edits.into_iter().for_each(|edit| filter.edit(edit).unwrap());
            filter.reply(verdict).unwrap();
        }
    }
    let mut slices: [&[u8]; TRANSMIT_SLICES] = [&[]; TRANSMIT_SLICES];
    let count = filter.transmit(&mut slices);
    let said = BytesMut::from(&slices[..count].concat()[..]);
    filter.wrote(said.len());
    said
}

/// How often core has answered as the record has it.
fn replay(name: &str, entries: &[Entry]) -> usize {
    let mut bench = Bench::new(words(entries));
    let (mut said, mut expected) = (BytesMut::new(), BytesMut::new());
    let mut answers = 0;
    for (index, entry) in entries.iter().enumerate() {
        match entry.direction {
            Direction::ToMilter => record::encode(entry, &mut said),
            Direction::FromMilter => record::encode(entry, &mut expected),
        }
        let turns = entries.get(index + 1).is_none_or(|next| next.direction != entry.direction);
        match entry.direction {
            Direction::ToMilter if turns => {
                bench.handle(Input::Received { peer: Peer::MTA, data: said.split() });
            }
            Direction::FromMilter if turns => {
                assert_eq!(bench.answers(), expected.split(), "{name}, at {} s", entry.seconds);
                answers += 1;
            }
            _ => {}
        }
    }
    assert!(bench.answers().is_empty(), "{name}: more is said than there is in the record");
    answers
}

#[test]
fn sessions_of_postfix() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/records");
    let mut answers = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let entries = record::read(&fs::read_to_string(file.path()).unwrap()).unwrap();
        answers.insert(name.clone(), replay(&name, &entries));
    }
    // Two messages that pass; one that is edited and held; a recipient refused twice; two messages refused at their end.
    let expected = [
        ("postfix-3.7-edited.txt", 7),
        ("postfix-3.7-recipient.txt", 8),
        ("postfix-3.7-refused.txt", 12),
        ("postfix-3.7.txt", 11),
    ];
    for (name, count) in expected {
        assert_eq!(answers.get(name), Some(&count), "{name}");
    }
}
