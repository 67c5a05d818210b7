//! A session with an MTA and children that a test moves by hand: no randomness, no real time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use millstream_core::chain::Session;
use millstream_core::event::Event;
use millstream_core::machine::{
    Answer, Input, IoError, IoKind, Machine, Output, Peer, QueryId, Question, Refusal, TRANSMIT_SLICES,
};
use millstream_core::policy::{
    Answers, ChildIndex, ChildSettings, ClientCheck, Decision, Endpoint, Environment, Facts, FailureKind,
    Fallback, Limits, Notes, Policy, Recipients, Route, Timeouts,
};
use millstream_core::reserve::Reserve;
use millstream_core::time::Instant;
use millstream_core::wire::{
    Actions, Command, Decoder, Edit, Final, Negotiation, Protocol, Reply, Stage, VERSION_MAX,
};

/// What a child answers to a stage; `None`: nothing yet, the test says it later.
pub(crate) type Behaviour = fn(Stage, &[u8]) -> Option<Vec<Reply>>;

/// A decision of the policy under test.
pub(crate) type Decide = fn(ChildIndex, Stage, &Facts<'_>, &Answers) -> Decision;

/// A policy whose every part a test can set.
#[derive(Debug, Clone)]
pub(crate) struct TestPolicy {
    pub(crate) children: Vec<ChildSettings>,
    pub(crate) limits: Limits,
    pub(crate) fallbacks: BTreeMap<&'static str, Fallback>,
    pub(crate) recipients: Recipients,
    pub(crate) independent: Vec<u16>,
    pub(crate) unfiltered_header: Option<&'static str>,
    pub(crate) watched: Vec<Stage>,
    pub(crate) lazy: bool,
    pub(crate) pipelining: bool,
    pub(crate) decide: Decide,
    pub(crate) client_check: Option<ClientCheck>,
    pub(crate) notes: fn(ChildIndex, Stage, &Facts<'_>, &mut Notes),
}

impl Policy for TestPolicy {
    fn children(&self) -> &[ChildSettings] {
        &self.children
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn fallback(&self) -> Fallback {
        Fallback::Accept
    }

    fn fallback_for(&self, child: ChildIndex, kind: FailureKind) -> Fallback {
        let name = match kind {
            FailureKind::Connect => "connect",
            FailureKind::Timeout => "timeout",
            FailureKind::Protocol => "protocol",
            FailureKind::Closed => "closed",
        };
        let configured = self.children[usize::from(child.0)].fallback;
        self.fallbacks.get(name).copied().unwrap_or(configured)
    }

    fn recipients(&self) -> Recipients {
        self.recipients
    }

    fn independent(&self, child: ChildIndex) -> bool {
        self.independent.contains(&child.0)
    }

    fn lazy_connect(&self) -> bool {
        self.lazy
    }

    fn pipelining(&self, _: ChildIndex) -> bool {
        self.pipelining
    }

    fn unfiltered_header(&self) -> Option<&str> {
        self.unfiltered_header
    }

    fn client_check(&self) -> Option<ClientCheck> {
        self.client_check
    }

    fn watches(&self, _: ChildIndex, stage: Stage) -> bool {
        self.watched.contains(&stage)
    }

    fn decide(
        &self,
        child: ChildIndex,
        stage: Stage,
        facts: &Facts<'_>,
        answers: &Answers,
        notes: &mut Notes,
    ) -> Decision {
        (self.notes)(child, stage, facts, notes);
        (self.decide)(child, stage, facts, answers)
    }
}

/// `count` children that answer with a fallback of temporary failure, and nothing else out of the ordinary.
pub(crate) fn policy(count: usize) -> TestPolicy {
    let child = |index: usize| ChildSettings {
        name: Arc::from(format!("child{index}")),
        route: Route::to("child", Endpoint::Unix(Arc::from(*b"/child"))),
        fallback: Fallback::TemporaryFailure,
        evaluation_mode: false,
        timeouts: Timeouts::default(),
    };
    TestPolicy {
        children: (0..count).map(child).collect(),
        limits: Limits::default(),
        fallbacks: BTreeMap::new(),
        recipients: Recipients::InOrder,
        independent: Vec::new(),
        unfiltered_header: None,
        watched: Vec::new(),
        lazy: false,
        pipelining: false,
        client_check: None,
        decide: |_, _, _, _| Decision::Run(millstream_core::policy::Effects::default()),
        notes: |_, _, _, _| {},
    }
}

/// Agrees to everything.
pub(crate) fn agrees(_: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    Some(vec![Reply::Final(Final::Continue)])
}

/// One child as the test sees it.
struct Child {
    peer: Peer,
    behaviour: Behaviour,
    decoder: Decoder,
    seen: Vec<(char, Bytes)>,
    /// The macros that came, with the letter of their command.
    macros: Vec<(u8, String, String)>,
}

/// What a pool knows, and what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// What a child answered to the offer the last time, and when it was asked whether a connection was kept.
    pub(crate) remembered: BTreeMap<usize, Negotiation>,
    pub(crate) kept: Vec<usize>,
    /// Connections of a child close as soon as anything is written to them.
    pub(crate) dead: Vec<usize>,
    /// Children that take no bytes any more.
    pub(crate) stuck: Vec<usize>,
    /// `c` for each connection that was asked for, `f` for a fresh one, with the child.
    pub(crate) asked: Vec<(char, usize)>,
    pub(crate) learned: Vec<usize>,
    pub(crate) unwell: Vec<usize>,
    pub(crate) released: Vec<usize>,
    closed: Vec<usize>,
    finished: bool,
}

/// The session, its MTA and its children.
pub(crate) struct World {
    pub(crate) session: Session,
    now: Instant,
    offer: Negotiation,
    children: Vec<Child>,
    refuse: Vec<usize>,
    pub(crate) pool: Pool,
    mta: Decoder,
    /// What the MTA was told, in order.
    pub(crate) told: Vec<Reply>,
    pub(crate) events: Vec<Event>,
    pub(crate) questions: Vec<(QueryId, Question)>,
    wakes_at: Option<Instant>,
    /// The spill file, or `None` when the disk is full.
    pub(crate) disk: Option<Vec<u8>>,
    /// The most bytes that the file had, and whether it was deleted.
    pub(crate) disk_used: usize,
    pub(crate) disk_dropped: bool,
}

impl World {
    pub(crate) fn new(policy: TestPolicy, behaviours: &[Behaviour]) -> Self {
        let child = |(index, behaviour): (usize, &Behaviour)| Child {
            peer: Peer::child(ChildIndex(index as u16), 0),
            behaviour: *behaviour,
            decoder: Decoder::new(1 << 20),
            seen: Vec::new(),
            macros: Vec::new(),
        };
        Self {
            session: Session::new(Arc::new(policy), Environment::default()),
            now: Instant::ZERO,
            offer: Negotiation {
                version: VERSION_MAX,
                actions: Actions::ALL,
                protocol: Protocol::ALL,
                macro_lists: Vec::new(),
            },
            children: behaviours.iter().enumerate().map(child).collect(),
            refuse: Vec::new(),
            pool: Pool::default(),
            mta: Decoder::new(1 << 20),
            told: Vec::new(),
            events: Vec::new(),
            questions: Vec::new(),
            wakes_at: None,
            disk: Some(Vec::new()),
            disk_used: 0,
            disk_dropped: false,
        }
    }

    /// Counts what it keeps with `reserve`.
    pub(crate) fn counting(mut self, reserve: Arc<dyn Reserve>) -> Self {
        self.session = self.session.with_reserve(reserve);
        self
    }

    /// Tells what only statistics are made of.
    pub(crate) fn with_statistics(mut self) -> Self {
        self.session = self.session.with_statistics(true);
        self
    }

    pub(crate) fn offering(mut self, actions: Actions, protocol: Protocol) -> Self {
        self.offer.actions = actions;
        self.offer.protocol = protocol;
        self
    }

    /// Nobody listens at this child.
    pub(crate) fn refusing(mut self, child: usize) -> Self {
        self.refuse.push(child);
        self
    }

    /// The MTA's offer.
    pub(crate) fn negotiate(&mut self) {
        self.send(&Command::Negotiate(self.offer.clone()));
    }

    /// Negotiates, connects and says HELO. `version` is what the MTA says of itself.
    pub(crate) fn begin(mut self, version: &'static str) -> Self {
        self.negotiate();
        let pairs = Bytes::from([b"v\0", version.as_bytes(), b"\0"].concat());
        self.send(&Command::Macros { letter: b'C', pairs });
        self.raw(b'C', b"client.test\0U");
        self.raw(b'H', b"client.test\0");
        self
    }

    /// A sender, with a macro before it.
    pub(crate) fn mail_with(&mut self, name: &str, value: &str) {
        self.raw(b'D', format!("M{name}\0{value}\0").as_bytes());
        self.mail();
    }

    pub(crate) fn mail(&mut self) {
        self.raw(b'M', b"<a@b.test>\0");
    }

    pub(crate) fn rcpt(&mut self, recipient: &str) {
        self.raw(b'R', format!("{recipient}\0").as_bytes());
    }

    pub(crate) fn header(&mut self, name: &str, value: &str) {
        self.raw(b'L', format!("{name}\0 {value}\0").as_bytes());
    }

    /// Envelope, one header and one chunk of body, up to but without the end.
    pub(crate) fn message(&mut self) {
        self.mail();
        self.rcpt("<c@d.test>");
        self.raw(b'T', b"");
        self.header("Subject", "test");
        self.raw(b'N', b"");
        self.raw(b'B', b"body\r\n");
    }

    pub(crate) fn end(&mut self) {
        self.raw(b'E', b"");
    }

    pub(crate) fn send(&mut self, command: &Command) {
        let mut data = BytesMut::new();
        command.encode(&mut data);
        self.bytes(data);
    }

    pub(crate) fn raw(&mut self, letter: u8, payload: &[u8]) {
        let mut data = BytesMut::from(&millstream_core::wire::head(letter, payload.len())[..]);
        data.extend_from_slice(payload);
        self.bytes(data);
    }

    fn bytes(&mut self, data: BytesMut) {
        self.handle(Input::Received { peer: Peer::MTA, data });
    }

    /// A reply of a child at a time of the test's choice.
    pub(crate) fn reply(&mut self, child: usize, reply: &Reply) {
        self.replies(child, std::slice::from_ref(reply));
    }

    /// Several of them in one read.
    pub(crate) fn replies(&mut self, child: usize, replies: &[Reply]) {
        let mut data = BytesMut::new();
        replies.iter().for_each(|reply| reply.encode(&mut data));
        let peer = self.children[child].peer;
        self.handle(Input::Received { peer, data });
    }

    /// Any input at the present time, with everything that follows from it.
    pub(crate) fn handle(&mut self, input: Input) {
        self.session.handle(self.now, input);
        self.settle();
    }

    pub(crate) fn answer(&mut self, query: QueryId, answer: Answer) {
        self.handle(Input::Answered { query, answer });
    }

    pub(crate) fn close(&mut self, child: usize) {
        let peer = self.children[child].peer;
        self.handle(Input::Closed { peer, why: millstream_core::machine::Closure::Eof });
    }

    /// What a child does from now on.
    pub(crate) fn behave(&mut self, child: usize, behaviour: Behaviour) {
        self.children[child].behaviour = behaviour;
    }

    /// Lets time pass, stopping wherever the session wants to be woken.
    pub(crate) fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(wake) = self.wakes_at.filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            self.handle(Input::Tick);
        }
        self.now = until;
        self.handle(Input::Tick);
    }

    /// Whether the session has closed a connection to a child.
    pub(crate) fn closed(&self, child: usize) -> bool {
        self.pool.closed.contains(&child)
    }

    pub(crate) const fn is_finished(&self) -> bool {
        self.pool.finished
    }

    pub(crate) const fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now.since(Instant::ZERO)
    }

    /// The commands that a child was shown, negotiation and macros left out, as letters.
    pub(crate) fn seen(&self, child: usize) -> String {
        self.children[child].seen.iter().map(|(letter, _)| *letter).collect()
    }

    /// The same, with what came with them.
    pub(crate) fn commands(&self, child: usize) -> &[(char, Bytes)] {
        &self.children[child].seen
    }

    /// The body that a child was shown.
    pub(crate) fn body_seen(&self, child: usize) -> Vec<u8> {
        let chunks = self.children[child].seen.iter().filter(|(letter, _)| *letter == 'B');
        chunks.flat_map(|(_, payload)| payload.to_vec()).collect()
    }

    /// The macros that a child was sent for MAIL.
    pub(crate) fn macros(&self, child: usize) -> Vec<(String, String)> {
        self.macros_for(child, b'M')
    }

    /// The macros that a child was sent for a command.
    pub(crate) fn macros_for(&self, child: usize, letter: u8) -> Vec<(String, String)> {
        let sent = self.children[child].macros.iter().filter(|(of, ..)| *of == letter);
        sent.map(|(_, name, value)| (name.clone(), value.clone())).collect()
    }

    /// All macros that a child was sent: the letter of their command, name, value.
    pub(crate) fn all_macros(&self, child: usize) -> &[(u8, String, String)] {
        &self.children[child].macros
    }

    /// What the MTA was told since this was last asked, as letters.
    pub(crate) fn told_letters(&mut self) -> String {
        std::mem::take(&mut self.told).iter().map(|reply| char::from(reply.letter())).collect()
    }

    /// The edits that the MTA was told since this was last asked.
    pub(crate) fn told_edits(&mut self) -> Vec<Edit> {
        let edit = |reply| match reply {
            Reply::Edit(edit) => Some(edit),
            _ => None,
        };
        std::mem::take(&mut self.told).into_iter().filter_map(edit).collect()
    }

    /// Moves bytes and outputs until nothing moves any more.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            loop {
                match self.session.poll_output() {
                    Output::Wait(at) => {
                        self.wakes_at = at;
                        break;
                    }
                    Output::Finished => {
                        self.pool.finished = true;
                        self.wakes_at = None;
                        break;
                    }
                    Output::Close { peer, .. } if peer != Peer::MTA => {
                        self.pool.closed.push(usize::from(peer.slot) - 1);
                    }
                    Output::Recall { peer, .. } => {
                        let negotiated = self.pool.remembered.get(&(usize::from(peer.slot) - 1));
                        let negotiated = negotiated.cloned().map(Box::new);
                        self.session.handle(self.now, Input::Remembered { peer, negotiated });
                    }
                    Output::Learned { peer, .. } => self.pool.learned.push(usize::from(peer.slot) - 1),
                    Output::Unwell { peer, .. } => self.pool.unwell.push(usize::from(peer.slot) - 1),
                    Output::Release { peer, .. } => {
                        self.pool.released.push(usize::from(peer.slot) - 1);
                    }
                    Output::Acquire { peer, fresh, .. } => {
                        let child = usize::from(peer.slot) - 1;
                        self.pool.asked.push((if fresh { 'f' } else { 'c' }, child));
                        self.children[child].peer = peer;
                        self.children[child].decoder = Decoder::new(1 << 20);
                        let kept = self.pool.kept.contains(&child) && !fresh;
                        let negotiated = self.pool.remembered.get(&child).filter(|_| kept);
                        let input = if self.refuse.contains(&child) {
                            let error = IoError { kind: IoKind::Refused, code: 111 };
                            Input::Refused { peer, why: Refusal::Failed(error) }
                        } else {
                            Input::Ready { peer, negotiated: negotiated.cloned().map(Box::new) }
                        };
                        self.session.handle(self.now, input);
                    }
                    Output::LookUp { query, question } => self.questions.push((query, question)),
                    Output::Event(event) => self.events.push(event),
                    Output::SpillAppend { file, data } => {
                        let input = match &mut self.disk {
                            Some(disk) => {
                                disk.extend_from_slice(&data.concat());
                                self.disk_used = self.disk_used.max(disk.len());
                                Input::SpillAppended { file, length: disk.len() as u64 }
                            }
                            None => {
                                let error = IoError { kind: IoKind::NoSpace, code: 28 };
                                Input::SpillFailed { file, error }
                            }
                        };
                        self.session.handle(self.now, input);
                    }
                    Output::SpillRead { file, offset, length } => {
                        let disk = self.disk.clone().unwrap_or_default();
                        let data = Bytes::from(disk[offset as usize..][..length].to_vec());
                        self.session.handle(self.now, Input::SpillRead { file, offset, data });
                    }
                    Output::SpillDrop { .. } => {
                        self.disk_dropped = true;
                        self.disk = self.disk.take().map(|_| Vec::new());
                    }
                    _ => {}
                }
                moved = true;
            }
            moved |= self.move_bytes(Peer::MTA, None);
            for index in 0..self.children.len() {
                moved |= self.move_bytes(self.children[index].peer, Some(index));
            }
            if !moved {
                return;
            }
        }
    }

    fn move_bytes(&mut self, peer: Peer, child: Option<usize>) -> bool {
        if child.is_some_and(|child| self.pool.stuck.contains(&child)) {
            return false;
        }
        let mut slices = [&b""[..]; TRANSMIT_SLICES];
        let filled = self.session.transmit(peer, &mut slices);
        let data = BytesMut::from(&slices[..filled].concat()[..]);
        if data.is_empty() {
            return false;
        }
        self.session.handle(self.now, Input::Wrote { peer, n: data.len() });
        match child {
            None => {
                self.mta.receive(data);
                while let Some(frame) = self.mta.next_frame().unwrap() {
                    let letter = frame.letter();
                    self.told.push(Reply::decode(letter, frame.contiguous()).unwrap());
                }
            }
            Some(index) if self.pool.dead.contains(&index) && peer.generation == 0 => {
                let why = millstream_core::machine::Closure::Eof;
                self.session.handle(self.now, Input::Closed { peer, why });
            }
            Some(index) => {
                let replies = self.children[index].take(data);
                if !replies.is_empty() {
                    self.session.handle(self.now, Input::Received { peer, data: replies });
                }
            }
        }
        true
    }
}

impl Child {
    fn take(&mut self, data: BytesMut) -> BytesMut {
        let mut out = BytesMut::new();
        self.decoder.receive(data);
        while let Some(frame) = self.decoder.next_frame().unwrap() {
            let letter = frame.letter();
            let payload = frame.contiguous();
            if letter == b'O' {
                let (actions, protocol) = match (self.behaviour)(Stage::Negotiate, &payload).as_deref() {
                    Some([Reply::Negotiate(answer), ..]) => (answer.actions, answer.protocol),
                    Some(_) => (Actions::ALL, Protocol::NONE),
                    None => continue,
                };
                let offered = Actions(u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]));
                let answer = Negotiation {
                    version: VERSION_MAX,
                    actions: actions.and(offered).without(Actions::MACRO_LISTS),
                    protocol,
                    macro_lists: Vec::new(),
                };
                Reply::Negotiate(answer).encode(&mut out);
                continue;
            }
            if letter == b'D' {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let pairs = millstream_core::wire::pairs(&payload[1..]);
                self.macros.extend(pairs.map(|(name, value)| (payload[0], text(name), text(value))));
            }
            if letter != b'D' {
                self.seen.push((char::from(letter), payload.clone()));
            }
            let Some(stage) = Stage::of_letter(letter) else { continue };
            for reply in (self.behaviour)(stage, &payload).unwrap_or_default() {
                reply.encode(&mut out);
            }
        }
        out
    }
}

/// A verdict of a child, as its reply.
pub(crate) fn says(reply: Final) -> Option<Vec<Reply>> {
    Some(vec![Reply::Final(reply)])
}

/// A child that only reads the envelope, and has no rights.
pub(crate) fn negotiates(actions: Actions, protocol: Protocol) -> Option<Vec<Reply>> {
    let answer = Negotiation { version: VERSION_MAX, actions, protocol, macro_lists: Vec::new() };
    Some(vec![Reply::Negotiate(answer)])
}
