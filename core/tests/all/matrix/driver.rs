//! A session with everything around it, one step at a time: no chance, no clock, no wires. What can be moved is moved at
//! once and in full; time passes only when nothing else can happen.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use millstream_core::chain::Session;
use millstream_core::event::Event;
use millstream_core::machine::{Closure, Input, IoError, IoKind, Machine, Output, Peer, Refusal};
use millstream_core::policy::{
    ChildIndex, ChildSettings, Endpoint, Environment, Fallback, Limits, Policy, Route, StaticPolicy, Timeouts,
};
use millstream_core::time::Instant;

/// Letter and payload.
pub(crate) type Frame = (u8, Vec<u8>);

pub(crate) fn encode((letter, payload): &Frame) -> Vec<u8> {
    let length = payload.len() as u32 + 1;
    [&length.to_be_bytes()[..], &[*letter], payload].concat()
}

pub(crate) fn frame(letter: u8, payload: impl AsRef<[u8]>) -> Frame {
    (letter, payload.as_ref().to_vec())
}

pub(crate) fn negotiation(version: u32, actions: u32, protocol: u32) -> Frame {
    frame(b'O', [version, actions, protocol].map(u32::to_be_bytes).concat())
}

/// Takes the first whole frame out of `bytes`.
fn cut(bytes: &mut Vec<u8>) -> Option<Frame> {
    let length = u32::from_be_bytes(bytes.get(..4)?.try_into().unwrap()) as usize;
    assert!(length > 0, "the session sends an empty frame");
    if bytes.len() < 4 + length {
        return None;
    }
    let frame = (bytes[4], bytes[5..4 + length].to_vec());
    bytes.drain(..4 + length);
    Some(frame)
}

/// What a child does when it is sent something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Say {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing, for as long as it takes.
    Nothing,
    /// It hangs up.
    Close,
    /// What an ordinary milter does: `c` where a reply is owed.
    Usual,
}

impl Say {
    pub(crate) fn frames(frames: impl IntoIterator<Item = Frame>) -> Self {
        Self::Bytes(frames.into_iter().flat_map(|frame| encode(&frame)).collect())
    }

    pub(crate) fn letter(letter: u8) -> Self {
        Self::frames([frame(letter, [])])
    }

    pub(crate) fn reply(text: &str) -> Self {
        Self::frames([frame(b'y', [text.as_bytes(), b"\0"].concat())])
    }
}

type Script = Box<dyn FnMut(&Frame) -> Say>;

/// A child milter and its settings.
pub(crate) struct Kid {
    pub(crate) settings: ChildSettings,
    /// The connection is refused.
    pub(crate) refuses: bool,
    pub(crate) actions: u32,
    pub(crate) protocol: u32,
    /// Behind the numbers of its negotiation.
    pub(crate) lists: Vec<u8>,
    script: Script,
    /// Everything that it was sent on all its connections.
    pub(crate) seen: Vec<Frame>,
    /// Which of these it answered with a verdict that ends the message for it.
    pub(crate) ended: Vec<usize>,
    wire: Vec<u8>,
    says: VecDeque<Say>,
    peer: Option<Peer>,
}

impl Kid {
    /// One that answers `c` to everything but what `script` says.
    pub(crate) fn new(script: impl FnMut(&Frame) -> Say + 'static) -> Self {
        let limit = Duration::from_secs(2);
        Self {
            settings: ChildSettings {
                name: Arc::from("child"),
                route: Route::to("child", Endpoint::Unix(Arc::from(*b"/child"))),
                fallback: Fallback::Accept,
                evaluation_mode: false,
                timeouts: Timeouts {
                    connection: limit,
                    writing: limit,
                    reading: limit,
                    end_of_message: limit,
                },
            },
            refuses: false,
            actions: 0xff,
            protocol: 0,
            lists: Vec::new(),
            script: Box::new(script),
            seen: Vec::new(),
            ended: Vec::new(),
            wire: Vec::new(),
            says: VecDeque::new(),
            peer: None,
        }
    }

    pub(crate) fn usual() -> Self {
        Self::new(|_| Say::Usual)
    }

    pub(crate) fn fallback(mut self, fallback: Fallback) -> Self {
        self.settings.fallback = fallback;
        self
    }

    pub(crate) fn evaluation(mut self, evaluation: bool) -> Self {
        self.settings.evaluation_mode = evaluation;
        self
    }

    pub(crate) fn protocol(mut self, protocol: u32) -> Self {
        self.protocol = protocol;
        self
    }

    /// The letters that it was sent, macros left out.
    pub(crate) fn letters(&self) -> String {
        self.seen.iter().map(|(letter, _)| char::from(*letter)).filter(|letter| *letter != 'D').collect()
    }

    fn take(&mut self, bytes: &[u8]) {
        self.wire.extend_from_slice(bytes);
        while let Some(frame) = cut(&mut self.wire) {
            let say = match (self.script)(&frame) {
                Say::Usual => self.usually(&frame),
                say => say,
            };
            if let Say::Bytes(bytes) = &say {
                let letter = bytes.get(4).copied().unwrap_or_default();
                let ends: &[u8] = match frame.0 {
                    b'R' => b"ad",
                    b'M' | b'T' | b'L' | b'N' | b'B' => b"adrty4",
                    _ => b"",
                };
                if ends.contains(&letter) {
                    self.ended.push(self.seen.len());
                }
            }
            self.seen.push(frame);
            self.says.push_back(say);
        }
    }

    fn usually(&self, (letter, offer): &Frame) -> Say {
        let silent = match letter {
            b'O' => {
                let number = |at: usize| u32::from_be_bytes(offer[at..at + 4].try_into().unwrap());
                let version = number(0);
                let (_, mut answer) =
                    negotiation(version, self.actions & number(4), self.protocol & number(8));
                answer.extend_from_slice(&self.lists);
                return Say::frames([(b'O', answer)]);
            }
            b'D' | b'A' | b'Q' | b'K' => return Say::Nothing,
            b'C' => 0x1000,
            b'H' => 0x2000,
            b'M' => 0x4000,
            b'R' => 0x8000,
            b'T' => 0x1_0000,
            b'U' => 0x2_0000,
            b'L' => 0x80,
            b'N' => 0x4_0000,
            b'B' => 0x8_0000,
            _ => 0,
        };
        if self.protocol & silent != 0 { Say::Nothing } else { Say::letter(b'c') }
    }
}

/// A session, its MTA and its children.
pub(crate) struct Driver {
    session: Session,
    now: Instant,
    waits: Option<Instant>,
    wire: Vec<u8>,
    /// Frames to the MTA that nobody has looked at yet.
    pub(crate) answers: VecDeque<Frame>,
    pub(crate) kids: Vec<Kid>,
    pub(crate) events: Vec<Event>,
    pub(crate) closed: bool,
    pub(crate) finished: bool,
}

impl Driver {
    pub(crate) fn new(kids: Vec<Kid>) -> Self {
        Self::with(kids, Limits::default(), Fallback::Accept)
    }

    pub(crate) fn with(kids: Vec<Kid>, limits: Limits, fallback: Fallback) -> Self {
        Self::over(kids, |policy| Arc::new(StaticPolicy { limits, fallback, ..policy }))
    }

    /// With a policy made from that of the children's settings.
    pub(crate) fn over(kids: Vec<Kid>, policy: impl FnOnce(StaticPolicy) -> Arc<dyn Policy>) -> Self {
        let children = kids.iter().enumerate().map(|(index, kid)| {
            let mut settings = kid.settings.clone();
            settings.name = Arc::from(format!("c{index}"));
            settings
        });
        let policy = policy(StaticPolicy { children: children.collect(), ..StaticPolicy::default() });
        let mut driver = Self {
            session: Session::new(policy, Environment::default()),
            now: Instant::from_nanos(1_000_000_000),
            waits: None,
            wire: Vec::new(),
            answers: VecDeque::new(),
            kids,
            events: Vec::new(),
            closed: false,
            finished: false,
        };
        driver.handle(Input::Tick);
        driver
    }

    /// The MTA sends a frame, and everything that follows from it without waiting happens.
    pub(crate) fn send(&mut self, frame: &Frame) {
        self.send_bytes(&encode(frame));
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        assert!(self.session.wants_input(Peer::MTA) || self.finished || self.closed, "the MTA is not read");
        self.handle(Input::Received { peer: Peer::MTA, data: BytesMut::from(bytes) });
        self.settle();
    }

    /// A child says something by itself.
    pub(crate) fn say(&mut self, kid: usize, say: Say) {
        self.kids[kid].says.push_back(say);
        self.settle();
    }

    /// Everything that can happen happens, without any time passing.
    pub(crate) fn settle(&mut self) {
        for _ in 0..10_000 {
            let written = self.write();
            self.drain();
            let moved = self.deliver() || written;
            let due = self.waits.is_some_and(|at| at <= self.now) && !self.finished;
            if due {
                self.handle(Input::Tick);
            }
            if !moved && !due {
                return;
            }
        }
        panic!("the session never comes to rest");
    }

    /// Time passes up to the next deadline of the session. Returns whether there is one.
    pub(crate) fn wait(&mut self) -> bool {
        match self.waits.filter(|_| !self.finished) {
            Some(at) => {
                self.now = self.now.max(at);
                self.handle(Input::Tick);
                self.settle();
                true
            }
            None => false,
        }
    }

    /// The answer that the MTA waits for: everything up to the first final reply, PROGRESS left out. Time passes until it
    /// is here. Nothing may follow it.
    pub(crate) fn answer(&mut self) -> Vec<Frame> {
        let mut answer = Vec::new();
        for _ in 0..1000 {
            while let Some(frame) = self.answers.pop_front() {
                let last = b"Ocardty4sf".contains(&frame.0);
                if frame.0 != b'p' {
                    answer.push(frame);
                }
                if last {
                    assert_eq!(self.answers, [], "a second answer");
                    return answer;
                }
            }
            assert!(!self.closed, "the session closes instead of an answer");
            assert!(self.wait(), "no answer will ever come");
        }
        panic!("no answer comes: {answer:?}");
    }

    /// Sends a frame and gives its answer.
    pub(crate) fn ask(&mut self, letter: u8, payload: impl AsRef<[u8]>) -> Vec<Frame> {
        assert_eq!(self.answers, [], "an answer before the question");
        self.send(&frame(letter, payload));
        self.answer()
    }

    fn handle(&mut self, input: Input) {
        self.session.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.session.poll_output() {
                Output::Wait(at) => {
                    self.waits = at;
                    return;
                }
                Output::Finished => {
                    self.finished = true;
                    return;
                }
                Output::Event(event) => self.events.push(event),
                Output::Acquire { peer, .. } => {
                    let ChildIndex(index) = peer.child_index().unwrap();
                    let kid = &mut self.kids[usize::from(index)];
                    kid.peer = Some(peer);
                    kid.wire.clear();
                    kid.says.clear();
                    let error = IoError { kind: IoKind::Refused, code: 111 };
                    let input = match kid.refuses {
                        true => Input::Refused { peer, why: Refusal::Failed(error) },
                        false => Input::Ready { peer, negotiated: None },
                    };
                    self.session.handle(self.now, input);
                }
                Output::Close { peer: Peer::MTA, .. } => {
                    self.write();
                    self.closed = true;
                }
                Output::Close { peer, .. } => {
                    self.write();
                    let kid = self.kids.iter_mut().find(|kid| kid.peer == Some(peer));
                    if let Some(kid) = kid {
                        kid.peer = None;
                        kid.says.clear();
                    }
                }
                Output::Learned { .. } | Output::Unwell { .. } => {}
                other => panic!("{other:?} is not expected"),
            }
        }
    }

    /// Writes everything that waits to be written.
    fn write(&mut self) -> bool {
        let mut moved = false;
        let peers = std::iter::once(Peer::MTA).chain(self.kids.iter().filter_map(|kid| kid.peer));
        for peer in peers.collect::<Vec<_>>() {
            loop {
                let mut slices: [&[u8]; 8] = [&[]; 8];
                let filled = self.session.transmit(peer, &mut slices);
                let bytes = slices[..filled].concat();
                if bytes.is_empty() {
                    break;
                }
                moved = true;
                self.session.handle(self.now, Input::Wrote { peer, n: bytes.len() });
                match self.kids.iter_mut().find(|kid| kid.peer == Some(peer)) {
                    Some(kid) => kid.take(&bytes),
                    None => self.wire.extend_from_slice(&bytes),
                }
            }
        }
        while let Some(frame) = cut(&mut self.wire) {
            self.answers.push_back(frame);
        }
        moved
    }

    /// Delivers what the children have said.
    fn deliver(&mut self) -> bool {
        let mut moved = false;
        for index in 0..self.kids.len() {
            while let Some(say) = self.kids[index].says.pop_front() {
                let Some(peer) = self.kids[index].peer else { break };
                moved = true;
                match say {
                    Say::Bytes(bytes) => {
                        let data = BytesMut::from(&bytes[..]);
                        self.handle(Input::Received { peer, data });
                    }
                    Say::Close => {
                        self.handle(Input::Closed { peer, why: Closure::Eof });
                        self.kids[index].peer = None;
                    }
                    Say::Nothing | Say::Usual => {}
                }
            }
        }
        moved
    }
}
