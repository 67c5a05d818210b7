//! The world itself: a virtual clock, the wires between one machine and its peers, and the rules that always hold.
//!
//! It plays the runtime and the pool. Everything that can happen at a moment is collected, and chance picks one.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use millstream_core::event::{Event, Failure as EventFailure, LimitName, MessageEnd, TimerName};
use millstream_core::machine::{
    Answer, Closure, Input, IoError, IoKind, Machine, Output, Peer, QueryId, Question, Refusal,
};
use millstream_core::policy::{Endpoint, Environment, Policy};
use millstream_core::time::Instant;

use super::child::{ChildEnd, Out, Watch};
use super::coverage::{self, Coverage};
use super::frames::cut;
use super::lost::LOST;
use super::model::{Model, Setting};
use super::mta::{MS, MtaEnd, MtaWatch};
use super::plan::{Bounds, Effect, End, Frame, JoinFault, Progress, Reads, Rule, Said, Scenario, Text};
use super::policy::Scripted;
use super::rng::Rng;
use super::runner::{Child, Seen};
use super::show::show;

const SECOND: u64 = 1_000 * MS;

/// What went wrong in a world, and how it came to that.
pub(crate) struct Failure {
    pub(crate) what: String,
    pub(crate) transcript: String,
    pub(crate) lines: usize,
}

/// What a world did when nothing went wrong.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) coverage: Coverage,
    pub(crate) transcript: String,
}

struct Line {
    peer: Peer,
    /// Bytes on their way to the session, and how they end.
    inward: Text,
    inward_end: Option<Closure>,
    /// Offset in all bytes sent at which each whole answer ends, with what it means to the watch.
    answers: Vec<(u64, bool)>,
    sent: u64,
    delivered: u64,
    /// Bytes on their way from the session.
    outward: Text,
    capacity: usize,
    /// Reassembly of what left the session and of what reached it, for the checks.
    left: Text,
    came: Text,
    owed_at_first: bool,
    ready: [u64; 3],
    flush_by: Option<u64>,
    /// The session has closed it or was told that it is closed.
    over: bool,
    acquiring: Option<(u64, Option<IoKind>)>,
    /// When a byte last left the session for this peer, and when a whole frame of it last came.
    quiet: [u64; 2],
    /// The session gave it up because of time: with which command of the MTA, whether it owed a reply, and which
    /// time it was.
    lost: Option<(usize, bool, u8)>,
    child: Option<ChildEnd>,
    watch: Watch,
}

impl Line {
    fn new(peer: Peer, child: Option<ChildEnd>, capacity: usize) -> Self {
        Self {
            peer,
            inward: Vec::new(),
            inward_end: None,
            answers: Vec::new(),
            sent: 0,
            delivered: 0,
            outward: Vec::new(),
            capacity,
            left: Vec::new(),
            came: Vec::new(),
            owed_at_first: false,
            ready: [0; 3],
            flush_by: None,
            over: false,
            acquiring: None,
            quiet: [0; 2],
            lost: None,
            child,
            watch: Watch::new(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Do {
    Deliver(usize),
    Write(usize),
    Arrive(usize),
    Child(usize),
    Connect(usize),
    Mta,
    Spill,
    Answer(usize),
    Stop,
    Tick,
}

type Entry = (u64, String, Text);

/// One session and everything around it.
pub(crate) struct World<M> {
    rng: Rng,
    scenario: Scenario,
    machine: M,
    now: u64,
    wait: Option<u64>,
    lines: Vec<Line>,
    mta: MtaEnd,
    mta_watch: MtaWatch,
    finished: bool,
    progress: Vec<Progress>,
    spills: HashMap<u32, Vec<u8>>,
    spilled: Vec<Input>,
    /// Look-ups under way, with the time of their answer.
    questions: Vec<(u64, QueryId, Answer)>,
    /// The number of the MTA's command that came last, and whether the MTA has named itself Postfix.
    mta_at: Option<usize>,
    postfix: bool,
    /// When and as which of its frames the MTA's commands since the last answer came, content aside.
    unanswered: Vec<(u64, usize)>,
    /// When the MTA last sent or took something.
    mta_moved: u64,
    /// Until when nobody may be given up, and when the last pause was.
    grace: u64,
    paused: u64,
    /// It was told to stop before anything had come.
    stopped: bool,
    /// Since when the MTA is not read although it sends content.
    unread: Option<u64>,
    /// With which commands of the MTA a message was over for its body.
    floods: Vec<usize>,
    coverage: Coverage,
    log: Vec<Entry>,
    error: Option<String>,
    ticks_at: (u64, u32),
}

impl<M: Machine> World<M> {
    /// Runs one seed from the connection of the MTA to the end of the session.
    pub(crate) fn run(
        seed: u64,
        make_scenario: impl FnOnce(&mut Rng) -> Scenario,
        make: impl FnOnce(Arc<dyn Policy>, Environment) -> M,
    ) -> Result<Report, Failure> {
        let mut rng = Rng::new(seed);
        let scenario = make_scenario(&mut rng);
        let machine = make(Scripted::of(&scenario), Environment::default());
        let children = scenario.children.len();
        let mut world = Self {
            mta: MtaEnd::new(scenario.mta.clone()),
            rng,
            scenario,
            machine,
            now: SECOND,
            wait: None,
            lines: Vec::new(),
            mta_watch: MtaWatch::new(),
            finished: false,
            progress: vec![Progress::default(); children],
            spills: HashMap::new(),
            spilled: Vec::new(),
            questions: Vec::new(),
            mta_at: None,
            postfix: false,
            unanswered: Vec::new(),
            mta_moved: SECOND,
            grace: 0,
            paused: 0,
            stopped: false,
            unread: None,
            floods: Vec::new(),
            coverage: Coverage::default(),
            log: Vec::new(),
            error: None,
            ticks_at: (0, 0),
        };
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.play()));
        if let Err(panic) = caught {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?");
            world.error = Some(format!("PANIC: {text}"));
        }
        if world.error.is_none() {
            world.error = world.compare().err();
        }
        let transcript = world.transcript();
        match world.error {
            None => Ok(Report { coverage: world.coverage, transcript }),
            Some(what) => Err(Failure { what, transcript, lines: world.log.len() }),
        }
    }

    fn play(&mut self) {
        let capacity = self.capacity();
        let mut line = Line::new(Peer::MTA, None, capacity);
        line.inward = self.mta.offer();
        self.lines.push(line);
        self.handle(Input::Tick);
        for _ in 0..400_000 {
            if self.error.is_some() || (self.finished && self.lines.iter().all(|line| line.over)) {
                break;
            }
            self.step();
        }
        if self.error.is_none() && !self.finished {
            self.error = Some("no end in sight".into());
        }
        for at in 0..self.lines.len() {
            self.hang_up(at);
        }
    }

    fn capacity(&mut self) -> usize {
        *self.rng.pick(&[100, 300, 4096, 65536, 200_000])
    }

    /// One thing happens, or time passes.
    fn step(&mut self) {
        let mut now = Vec::new();
        let mut later: Option<u64> = None;
        let mut offer = |at: u64, what: Do, current: u64| {
            if at <= current {
                now.push(what);
            } else {
                later = Some(later.map_or(at, |known| known.min(at)));
            }
        };
        for (at, line) in self.lines.iter().enumerate() {
            if let Some((when, _)) = line.acquiring {
                offer(when, Do::Connect(at), self.now);
                continue;
            }
            if let Some(due) = line.child.as_ref().and_then(ChildEnd::due).filter(|_| !line.over) {
                offer(due, Do::Child(at), self.now);
            }
            let reads = line.peer != Peer::MTA || self.scenario.mta.reads != Reads::Never;
            if !line.outward.is_empty() && reads {
                offer(line.ready[2], Do::Arrive(at), self.now);
            }
            if line.over {
                continue;
            }
            let readable = !line.inward.is_empty() || line.inward_end.is_some();
            if readable && line.flush_by.is_none() && !self.finished && self.machine.wants_input(line.peer) {
                offer(line.ready[0], Do::Deliver(at), self.now);
            }
            let full = line.outward.len() >= line.capacity;
            if line.flush_by.is_some() || (!full && self.pending(line.peer) > 0) {
                offer(line.ready[1], Do::Write(at), self.now);
            }
        }
        if let Some(due) = self.mta.due().filter(|_| !self.lines[0].over) {
            offer(due, Do::Mta, self.now);
        }
        if !self.spilled.is_empty() {
            offer(self.now, Do::Spill, self.now);
        }
        for (at, (due, ..)) in self.questions.iter().enumerate() {
            offer(*due, Do::Answer(at), self.now);
        }
        if let Some(wait) = self.wait.filter(|_| !self.finished) {
            offer(wait, Do::Tick, self.now);
        }
        if now.is_empty() {
            match later {
                Some(at) => self.now = at,
                None => self.fail("the session hangs: nothing can happen any more".into()),
            }
            return self.check_time();
        }
        let what = *self.rng.pick(&now);
        self.perform(what);
        if self.scenario.pauses && self.rng.below(400) == 0 {
            self.pause();
        }
        if self.error.is_none() && !self.finished {
            match self.rng.below(100) {
                0 => self.handle(Input::Tick),
                1 if self.scenario.stops => self.perform(Do::Stop),
                _ => {}
            }
        }
        if self.rng.chance(3) && self.error.is_none() && !self.finished {
            self.stray();
        }
        self.check_time();
    }

    fn perform(&mut self, what: Do) {
        match what {
            Do::Deliver(at) => self.deliver(at),
            Do::Write(at) => self.write(at),
            Do::Arrive(at) => self.arrive(at),
            Do::Child(at) => {
                let child = self.lines[at].child.as_mut().unwrap();
                let out = child.act(self.now);
                let line = &mut self.lines[at];
                match out {
                    Some(Out::Bytes { bytes, last }) => {
                        line.sent += bytes.len() as u64;
                        line.inward.extend_from_slice(&bytes);
                        line.answers.push((line.sent, last));
                    }
                    Some(Out::Close) => {
                        let reset = Closure::Failed(IoError { kind: IoKind::Reset, code: 104 });
                        line.inward_end = Some(if self.rng.chance(20) { reset } else { Closure::Eof });
                    }
                    None => {}
                }
            }
            Do::Connect(at) => {
                let peer = self.lines[at].peer;
                let (_, failure) = self.lines[at].acquiring.take().unwrap();
                if let Some(kind) = failure {
                    self.lines[at].over = true;
                    let error = IoError { kind, code: 111 };
                    let why = match self.rng.below(4) {
                        0 => Refusal::Down { error, since: Instant::from_nanos(self.now) },
                        1 => Refusal::Full,
                        _ => Refusal::Failed(error),
                    };
                    self.note(&format!("pool -> S: {} refused", name(peer)), b"");
                    self.handle(Input::Refused { peer, why });
                } else {
                    self.note(&format!("pool -> S: {} ready", name(peer)), b"");
                    self.lines[at].child.as_mut().unwrap().connected(self.now);
                    self.handle(Input::Ready { peer, negotiated: None });
                }
            }
            Do::Mta => {
                let bytes = self.mta.act(self.now, &mut self.rng);
                if self.mta.closed {
                    self.note("MTA closes", b"");
                    self.lines[0].inward_end = Some(Closure::Eof);
                }
                self.lines[0].inward.extend_from_slice(&bytes);
            }
            Do::Spill => {
                let input = self.spilled.remove(0);
                self.handle(input);
            }
            Do::Answer(at) => {
                let (_, query, answer) = self.questions.remove(at);
                self.note(&format!("resolver -> S: {answer:?}"), b"");
                self.handle(Input::Answered { query, answer });
            }
            Do::Stop => {
                self.note("S is told to stop", b"");
                let greeting = !self.mta_watch.has_asked();
                self.stopped |= greeting;
                self.handle(Input::Stop);
                if greeting && !self.finished {
                    self.fail("it goes on although it is to stop and has not begun".into());
                }
            }
            Do::Tick => {
                if self.ticks_at.0 == self.now && self.ticks_at.1 > 1000 {
                    self.fail("the session waits for a time that has come, and does nothing".into());
                }
                self.ticks_at = (self.now, if self.ticks_at.0 == self.now { self.ticks_at.1 + 1 } else { 0 });
                self.handle(Input::Tick);
            }
        }
    }

    /// The whole machine stands still for a while, its peers do not.
    fn pause(&mut self) {
        let seconds = self.rng.between(3, 400);
        self.now += seconds * SECOND;
        self.paused = self.now;
        self.note(&format!("a pause of {seconds} s"), b"");
        // Who is late by less than that is just late.
        if self.wait.is_some_and(|wait| wait + 2 * SECOND < self.now) {
            self.grace = self.now + SECOND;
        }
    }

    /// How many of `length` bytes go at once.
    fn portion(&mut self, length: usize) -> usize {
        let most = match self.rng.below(10) {
            0..=2 if length < 2000 => self.rng.between(1, 9) as usize,
            3 | 4 => self.rng.between(1, length as u64) as usize,
            _ => length,
        };
        most.min(length)
    }

    fn latency(&mut self) -> u64 {
        if self.rng.chance(70) { 0 } else { self.rng.below(5 * MS) }
    }

    /// Bytes of a peer, or the end of its connection, reach the session.
    fn deliver(&mut self, at: usize) {
        let peer = self.lines[at].peer;
        if self.lines[at].inward.is_empty() {
            let why = self.lines[at].inward_end.take().unwrap();
            self.lines[at].over = true;
            self.note(&format!("{} -> S: {why}", name(peer)), b"");
            self.handle(Input::Closed { peer, why });
            self.expect_silence(at);
            return;
        }
        let mut n = self.portion(self.lines[at].inward.len());
        let mut data = None;
        if self.rng.chance(50) {
            data = self.machine.read_buffer(peer);
            if let Some(buffer) = &data {
                n = n.min(buffer.capacity() - buffer.len());
                if self.rng.chance(5) {
                    n = 0;
                }
            }
        }
        let mut data = data.unwrap_or_default();
        let bytes: Text = self.lines[at].inward.drain(..n).collect();
        data.extend_from_slice(&bytes);
        self.lines[at].delivered += n as u64;
        if at == 0 {
            self.mta_moved = self.now;
        }
        self.lines[at].ready[0] = self.now + self.latency();
        self.came(at, &bytes);
        self.handle(Input::Received { peer, data });
    }

    /// Keeps the checks up to date with what has reached the session.
    fn came(&mut self, at: usize, bytes: &[u8]) {
        let line = &mut self.lines[at];
        line.came.extend_from_slice(bytes);
        let delivered = line.delivered;
        let mut notes = Vec::new();
        while let Some((letter, payload)) = cut(&mut line.came) {
            if at == 0 {
                let position = self.mta.exchanges.iter().position(|exchange| {
                    exchange.owed && exchange.reply.is_none() && exchange.letter == letter
                });
                if letter != b'O' {
                    let from = self.mta_at.map_or(0, |at| at + 1);
                    let sent = self.mta.exchanges[from..].iter().position(|exchange| !exchange.suppressed);
                    self.mta_at = sent.map(|at| from + at).or(self.mta_at);
                    if b"CHMRTUEAK".contains(&letter) {
                        self.unanswered.push((self.now, self.mta_at.unwrap_or(0)));
                    }
                }
                if letter == b'O' || position.is_some() {
                    self.mta_watch.asked(letter, self.now, self.mta_at.unwrap_or(0));
                }
                match letter {
                    b'K' => self.postfix = false,
                    b'D' if payload[0] == b'C' => {
                        self.postfix = payload.windows(9).any(|part| part == b"v\0Postfix");
                    }
                    _ => {}
                }
            } else {
                line.quiet[1] = self.now;
                // An answer that ends the child's part in the message.
                let ends = b"adrty4".contains(&letter);
                line.watch.note_reply(letter, ends);
            }
            notes.push((letter, payload));
        }
        let done = line.answers.iter().take_while(|(end, _)| *end <= delivered).count();
        for (_, last) in line.answers.drain(..done) {
            if last {
                line.watch.answered(line.child.as_ref().and_then(|child| child.joined.as_ref()));
            }
        }
        let who = name(line.peer);
        for (letter, payload) in notes {
            self.note_frame(&format!("{who} -> S"), letter, &payload);
        }
    }

    /// The session's bytes for a peer leave it.
    fn write(&mut self, at: usize) {
        let peer = self.lines[at].peer;
        let mut slices = vec![&b""[..]; *self.rng.pick(&[1, 2, 32])];
        let filled = self.machine.transmit(peer, &mut slices);
        let all = slices[..filled].concat();
        if all.is_empty() {
            if self.lines[at].flush_by.is_some() {
                self.lines[at].over = true;
                if at > 0 && !self.lines[at].watch.parted() {
                    self.fail(format!("{} closed without QUIT", name(peer)));
                }
            }
            return;
        }
        if self.lines[at].flush_by.is_some_and(|by| by < self.now) {
            self.lines[at].over = true;
            return;
        }
        let ended = self.lines[at].inward_end.is_some()
            || self.lines[at].child.as_ref().is_some_and(|child| child.dead);
        let room = self.lines[at].capacity.saturating_sub(self.lines[at].outward.len());
        if self.lines[at].inward_end.is_some() && self.lines[at].inward.is_empty() && self.rng.chance(30) {
            let why = Closure::Failed(IoError { kind: IoKind::BrokenPipe, code: 32 });
            self.lines[at].over = true;
            if self.lines[at].flush_by.is_none() && !self.finished {
                self.note(&format!("{} -> S: {why}", name(peer)), b"");
                self.handle(Input::Closed { peer, why });
                self.expect_silence(at);
            }
            return;
        }
        let n = self.portion(all.len()).min(room);
        if n == 0 {
            // A flush waits for room.
            self.lines[at].ready[1] = self.now + MS;
            return;
        }
        self.lines[at].quiet[0] = self.now;
        if at == 0 {
            self.mta_moved = self.now;
        }
        self.left(at, &all[..n]);
        if !ended || at > 0 {
            self.lines[at].outward.extend_from_slice(&all[..n]);
        }
        self.lines[at].ready[1] = self.now + self.latency();
        if self.error.is_none() {
            self.handle(Input::Wrote { peer, n });
        }
    }

    /// Checks what has left the session.
    fn left(&mut self, at: usize, bytes: &[u8]) {
        let line = &mut self.lines[at];
        if line.left.is_empty() {
            line.owed_at_first = line.watch.owes();
        }
        line.left.extend_from_slice(bytes);
        loop {
            let line = &mut self.lines[at];
            if line.left.starts_with(&[0; 4]) {
                let what = format!("an empty frame to {}", name(line.peer));
                return self.fail(what);
            }
            let Some((letter, payload)) = cut(&mut line.left) else { return };
            let owed = line.owed_at_first;
            let who = name(line.peer);
            let result = if at == 0 {
                self.mta_watch.frame(letter, &payload, self.now)
            } else {
                line.watch.command(letter, &payload, owed).map_err(|what| format!("to {who}: {what}"))
            };
            let line = &mut self.lines[at];
            line.owed_at_first = line.watch.owes();
            if at == 0 && b"cadrty".contains(&letter) {
                self.unanswered.clear();
            }
            self.note_frame(&format!("S -> {who}"), letter, &payload);
            if let Err(what) = result {
                return self.fail(what);
            }
        }
    }

    fn arrive(&mut self, at: usize) {
        let n = self.portion(self.lines[at].outward.len());
        let bytes: Text = self.lines[at].outward.drain(..n).collect();
        let pace = match self.scenario.mta.reads {
            Reads::Slow(ms) if at == 0 => ms * MS,
            _ => self.latency(),
        };
        self.lines[at].ready[2] = self.now + pace;
        let now = self.now;
        match &mut self.lines[at].child {
            Some(child) => child.arrived(&bytes, now),
            None => {
                self.mta.arrived(&bytes, now, &mut self.rng);
                if let Some(what) = self.mta.complaint.take() {
                    self.fail(what);
                }
            }
        }
    }

    /// The session end of a line is gone: what was written still reaches the peer.
    fn hang_up(&mut self, at: usize) {
        let bytes = std::mem::take(&mut self.lines[at].outward);
        let now = self.now;
        match &mut self.lines[at].child {
            Some(child) => {
                child.arrived(&bytes, now);
                child.ended(now);
            }
            None => self.mta.arrived(&bytes, now, &mut self.rng),
        }
    }

    /// The only door into the session; then everything that it asks for is done.
    fn handle(&mut self, input: Input) {
        if self.finished {
            if matches!(input, Input::Wrote { .. }) {
                self.machine.handle(Instant::from_nanos(self.now), input);
            }
            return;
        }
        let state = self.state();
        self.coverage.note(state, &input);
        self.machine.handle(Instant::from_nanos(self.now), input);
        for round in 0.. {
            if round > 100_000 {
                return self.fail("poll_output never waits".into());
            }
            match self.machine.poll_output() {
                Output::Wait(at) => {
                    self.wait = at.map(Instant::as_nanos);
                    break;
                }
                Output::Finished => {
                    self.finish();
                    break;
                }
                output => self.output(output),
            }
            if self.error.is_some() {
                return;
            }
        }
        for at in 1..self.lines.len() {
            let (peer, open) =
                (self.lines[at].peer, !self.lines[at].over && self.lines[at].acquiring.is_none());
            if open && self.pending(peer) == 0 {
                self.lines[at].watch.idle();
            }
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Acquire { peer, endpoint, offer } => self.acquire(peer, &endpoint, &offer),
            Output::Release { peer, .. } => self.close(peer, Some(self.now + SECOND)),
            Output::Close { peer, flush_by } => self.close(peer, flush_by.map(Instant::as_nanos)),
            Output::LookUp { query, question } => self.look_up(query, &question),
            Output::SpillAppend { file, data } => {
                let stored = self.spills.entry(file.0).or_default();
                data.iter().for_each(|bytes| stored.extend_from_slice(bytes));
                let length = stored.len() as u64;
                self.spilled.push(Input::SpillAppended { file, length });
            }
            Output::SpillRead { file, offset, length } => {
                let stored = &self.spills[&file.0];
                let data = Bytes::copy_from_slice(&stored[offset as usize..offset as usize + length]);
                self.spilled.push(Input::SpillRead { file, offset, data });
            }
            Output::SpillDrop { file } => drop(self.spills.remove(&file.0)),
            Output::Event(event) => match event {
                Event::Message(report) => {
                    self.note(&format!("S: message {:?}", report.end), b"");
                    let body = [LimitName::BodyBytes, LimitName::SpillBytes].map(MessageEnd::OverLimit);
                    if body.contains(&report.end) {
                        self.floods.extend(self.mta_at);
                    }
                }
                Event::Negotiated { .. } => {}
                event => {
                    self.note(&format!("S: {event:?}"), b"");
                    if let Event::ChildFailed {
                        child, failure: EventFailure::Timeout { timer, .. }, ..
                    } = event
                    {
                        self.timed_out(usize::from(child.0), timer);
                    }
                }
            },
            Output::Finished | Output::Wait(_) => {}
        }
    }

    fn look_up(&mut self, query: QueryId, question: &Question) {
        let Question::Addresses(name) = question else {
            return self.fail(format!("a look-up that nothing needs: {question:?}"));
        };
        let (child, condition) = name.split_once('.').unwrap();
        let [child, condition] = [child, condition].map(|text| text.parse::<usize>().unwrap());
        self.note(&format!("S: asks for c{child}"), b"");
        let Effect::LookUp { said, after } = self.scenario.children[child].conditions[condition].effect
        else {
            return self.fail("a look-up of a condition that needs none".into());
        };
        let answer = match said {
            Said::Found => Answer::Found(vec!["127.0.0.2".into()]),
            Said::Nothing => Answer::Nothing,
            Said::Failed => Answer::Failed,
            Said::Never => return,
        };
        self.questions.push((self.now + after * MS, query, answer));
    }

    /// The session says that a child's time is over: it must be, and the model is told with which command.
    fn timed_out(&mut self, child: usize, timer: TimerName) {
        let Some(line) = self
            .lines
            .iter_mut()
            .rfind(|line| line.peer.child_index().is_some_and(|it| usize::from(it.0) == child))
        else {
            return;
        };
        let [_, writing, reading, end] = self.scenario.children[child].timeouts;
        let since = line.quiet[0].max(line.quiet[1]);
        // The command in hand is one that waits for its answer or for which none is owed; its budget ends now.
        let bounds = self.scenario.bounds;
        let ends = |(since, at): &(u64, usize)| {
            let letter = self.mta.exchanges.get(*at).map_or(b'O', |exchange| exchange.letter);
            since + budget(&bounds, letter, self.postfix)
        };
        let offer = (SECOND, 0);
        let first = self.unanswered.iter().map(ends).min().unwrap_or(ends(&offer));
        let number = match self.unanswered.iter().find(|command| ends(command) == self.now) {
            Some((_, number)) if timer == TimerName::Budget => *number,
            _ => self.unanswered.first().map(|(_, number)| *number).or(self.mta_at).unwrap_or(0),
        };
        let (legal, since) = match timer {
            TimerName::Connection => (true, 0),
            TimerName::Writing => (true, line.quiet[0] + writing * SECOND),
            TimerName::Reading => (line.watch.owes(), since + reading * SECOND),
            TimerName::EndOfMessage => (line.watch.owes(), since + end * SECOND),
            _ => (true, first),
        };
        let by = match timer {
            TimerName::Budget => 1,
            TimerName::Connection => 2,
            _ => 0,
        };
        line.lost = Some((number, line.watch.owes(), by));
        if self.now < self.grace {
            self.fail(format!("c{child} is given up within a second after a pause"));
        }
        if !legal || self.now < since {
            self.fail(format!("c{child} is given up too early: {timer}"));
        }
    }

    fn acquire(&mut self, peer: Peer, endpoint: &Endpoint, offer: &millstream_core::wire::Negotiation) {
        let Some(index) = peer.child_index().map(|index| usize::from(index.0)) else {
            return self.fail("the session acquires the MTA".into());
        };
        if *endpoint != Endpoint::Unix(format!("/run/c{index}").into_bytes().into()) {
            return self.fail(format!("{} has another endpoint", name(peer)));
        }
        for at in 0..self.lines.len() {
            if self.lines[at].peer == peer {
                return self.fail(format!("{} acquired twice", name(peer)));
            }
            if self.lines[at].peer.slot == peer.slot {
                if !self.lines[at].over && self.lines[at].flush_by.is_none() {
                    return self.fail(format!("{} acquired while another connection is open", name(peer)));
                }
                self.hang_up(at);
                let child = self.lines[at].child.as_ref().unwrap();
                self.progress[index] = child.progress();
                self.progress[index].see(b'K', 0);
            }
        }
        let note = format!(
            "S: acquire {} offering {} {:#x} {:#x}",
            name(peer),
            offer.version,
            offer.actions.0,
            offer.protocol.0
        );
        self.note(&note, b"");
        let plan = self.scenario.children[index].clone();
        let failure = (plan.fault == Some(JoinFault::Refused)).then(|| {
            *self.rng.pick(&[
                IoKind::Refused,
                IoKind::NotFound,
                IoKind::Denied,
                IoKind::Unreachable,
                IoKind::TimedOut,
            ])
        });
        let when = match plan.fault {
            Some(JoinFault::Hang) => u64::MAX,
            _ => self.now + plan.joins_after * MS,
        };
        let capacity = self.capacity();
        let mut line = Line::new(peer, Some(ChildEnd::new(plan, self.progress[index].clone())), capacity);
        line.acquiring = Some((when, failure));
        self.lines.push(line);
    }

    fn close(&mut self, peer: Peer, flush_by: Option<u64>) {
        self.note(
            &format!("S: close {}{}", name(peer), if flush_by.is_some() { ", flushed" } else { "" }),
            b"",
        );
        let open = |line: &&mut Line| line.peer == peer && !line.over && line.flush_by.is_none();
        let Some(line) = self.lines.iter_mut().find(open) else {
            if peer == Peer::MTA {
                return;
            }
            return self.fail(format!("{} is closed, and closed again", name(peer)));
        };
        if line.acquiring.take().is_some() || flush_by.is_none() {
            line.over = true;
        } else {
            line.flush_by = flush_by;
        }
    }

    fn finish(&mut self) {
        self.note("S: finished", b"");
        self.finished = true;
        for at in 0..self.lines.len() {
            let line = &mut self.lines[at];
            if line.over || line.flush_by.is_some() {
                continue;
            }
            line.over = true;
            if at > 0 {
                let who = name(line.peer);
                self.fail(format!("finished with {who} open"));
            }
        }
        let bounds = &self.scenario.bounds;
        let patience = match () {
            () if !self.mta_watch.has_asked() => bounds.mta_greeting.unwrap_or(300),
            () if self.scenario.mta.reads == Reads::Never => {
                bounds.mta_writing.unwrap_or(300).min(bounds.mta_idle.unwrap_or(7210))
            }
            () if self.scenario.mta.reads != Reads::Usual => {
                bounds.mta_writing.unwrap_or(300).min(bounds.mta_idle.unwrap_or(7210))
            }
            () => bounds.mta_idle.unwrap_or(7210),
        };
        let gone = self.mta.raving || self.mta.quit || self.mta.closed || self.stopped;
        if !gone && self.now < self.mta_moved + patience * SECOND {
            self.fail("finished although the MTA is still there".into());
        }
    }

    fn pending(&self, peer: Peer) -> usize {
        let mut slices = [&b""[..]; 32];
        let filled = self.machine.transmit(peer, &mut slices);
        slices[..filled].iter().map(|slice| slice.len()).sum()
    }

    fn expect_silence(&mut self, at: usize) {
        let peer = self.lines[at].peer;
        if !self.finished && self.pending(peer) > 0 {
            self.fail(format!("bytes for {}, which is closed", name(peer)));
        }
    }

    /// The state of the MTA's conversation, for the count of what was visited.
    fn state(&self) -> usize {
        let owed = self.mta_watch.oldest().map(|(letter, ..)| letter);
        let until = self.mta_at.map_or(0, |at| at + 1);
        let sent = self.mta.exchanges[..until].iter().rev();
        let last = sent.map(|exchange| exchange.letter).find(|letter| !b"DU".contains(letter));
        coverage::state(owed, last, self.mta_watch.has_asked())
    }

    /// An input for a connection that is long gone changes nothing.
    fn stray(&mut self) {
        let gone = |line: &&Line| line.over && line.peer != Peer::MTA && self.pending(line.peer) == 0;
        let gone: Vec<_> = self.lines.iter().filter(gone).map(|line| line.peer).collect();
        if gone.is_empty() || self.wait.is_some_and(|wait| wait <= self.now) {
            return;
        }
        let peer = *self.rng.pick(&gone);
        let input = match self.rng.below(5) {
            0 => Input::Received { peer, data: BytesMut::from(&b"\0\0\0\x01r"[..]) },
            1 => Input::Wrote { peer, n: 3 },
            2 => Input::Closed { peer, why: Closure::Eof },
            3 => Input::Ready { peer, negotiated: None },
            _ => {
                let error = IoError { kind: IoKind::Refused, code: 111 };
                Input::Refused { peer, why: Refusal::Failed(error) }
            }
        };
        let shown =
            |world: &Self| world.lines.iter().map(|line| world.pending(line.peer)).collect::<Vec<_>>();
        let before = shown(self);
        let what = format!("{input:?}");
        let state = self.state();
        self.coverage.note_late(state);
        self.machine.handle(Instant::from_nanos(self.now), input);
        let output = self.machine.poll_output();
        let same = matches!(output, Output::Wait(at) if at.map(Instant::as_nanos) == self.wait);
        if !same || before != shown(self) {
            self.fail(format!(
                "an input for the old {} changed something: {what} gave {output:?}",
                name(peer)
            ));
        }
    }

    /// What must have happened by now.
    fn check_time(&mut self) {
        if self.error.is_some() || self.finished {
            return;
        }
        // An MTA may be left unread for five seconds.
        let slack = 8 * SECOND;
        if let Some((letter, since, last)) = self.mta_watch.oldest() {
            let bound = budget(&self.scenario.bounds, letter, self.postfix) + slack;
            let letter = char::from(letter);
            let since = since.max(self.paused);
            let open = !self.lines[0].over && self.lines[0].flush_by.is_none();
            if self.now > since + bound && open && self.pending(Peer::MTA) == 0 {
                return self.fail(format!("no reply to '{letter}' for {} s", (self.now - since) / SECOND));
            }
            // Sendmail waits 10 s for each reply.
            let progress = 11 * SECOND;
            if letter == 'E'
                && self.now > last.max(self.paused) + progress
                && !self.lines[0].over
                && self.pending(Peer::MTA) == 0
            {
                self.fail(format!("no PROGRESS for {} ms", (self.now - last) / MS));
            }
        }
        self.check_reading();
        for line in self.lines[1..].iter().filter(|line| !line.over && line.flush_by.is_none()) {
            let index = usize::from(line.peer.child_index().unwrap().0);
            let limit = self.scenario.children[index].timeouts.iter().max().unwrap() * SECOND;
            let since = line.quiet[0].max(line.quiet[1]).max(self.paused);
            if line.watch.owes() && self.pending(line.peer) == 0 && self.now > since + limit + slack {
                let what = format!("{} owes a reply for {} s", name(line.peer), (self.now - since) / SECOND);
                return self.fail(what);
            }
        }
    }

    /// An MTA that sends content is not left unread for long; one that is silent is not waited for without end.
    fn check_reading(&mut self) {
        let line = &self.lines[0];
        let content = self.mta_at.is_some_and(|at| b"LNB".contains(&self.mta.exchanges[at].letter));
        let waits = content && !line.inward.is_empty() && !line.over && !self.machine.wants_input(Peer::MTA);
        self.unread = waits.then(|| self.unread.unwrap_or(self.now));
        if self.unread.is_some_and(|since| self.now > since.max(self.paused) + 6 * SECOND) {
            self.fail("the MTA is left unread".into());
        }
        let patience = self
            .scenario
            .bounds
            .mta_idle
            .unwrap_or(7210)
            .max(self.scenario.bounds.mta_greeting.unwrap_or(300));
        let silent = self.mta.silent || self.scenario.mta.mute;
        let since = self.mta_moved.max(self.paused);
        let patience = if self.mta.raving { 0 } else { patience };
        if silent && self.mta_watch.oldest().is_none() && self.now > since + (patience + 60) * SECOND {
            self.fail("a silent MTA is waited for".into());
        }
    }

    fn fail(&mut self, what: String) {
        if self.error.is_none() {
            self.error = Some(what);
        }
    }

    // The comparison with the model.

    fn compare(&mut self) -> Result<(), String> {
        let most_edits = self.scenario.bounds.edits.unwrap_or(u64::MAX);
        let can_hold = self.scenario.mta.actions & 0x20 != 0;
        let mut children = Vec::new();
        for (index, plan) in self.scenario.children.iter().enumerate() {
            let mut child =
                Child { plan: plan.clone(), joined: None, tape: Vec::new(), can_hold, most_edits };
            let own = self
                .lines
                .iter_mut()
                .filter(|line| line.peer.child_index().is_some_and(|it| usize::from(it.0) == index));
            for (number, line) in own.enumerate() {
                let end = line.child.as_mut().unwrap();
                if number > 0 {
                    child.tape.push(Seen { letter: b'K', payload: Vec::new(), macros: Vec::new() });
                }
                child.joined = child.joined.or(end.joined.take());
                child.tape.append(&mut end.tape);
                if let Some((exchange, owed, by)) = line.lost {
                    let payload = [&(exchange as u64).to_be_bytes()[..], &[u8::from(owed), by]].concat();
                    child.tape.push(Seen { letter: LOST, payload, macros: Vec::new() });
                }
            }
            children.push(child);
        }
        let lead = self.mta.agreed.as_ref().is_some_and(|agreed| agreed.protocol & 0x10_0000 != 0);
        let setting = Setting {
            fallback: self.scenario.fallback,
            mark: self.scenario.mark.clone(),
            parallel: self.scenario.parallel,
            bounds: self.scenario.bounds,
            body_floods: self.floods.clone(),
            rejected: self.mta.agreed.as_ref().is_some_and(|agreed| agreed.protocol & 0x800 != 0),
            lead,
            actions: self.scenario.mta.actions,
        };
        Model::check(&children, setting, &self.mta.exchanges)
    }

    // The transcript.

    fn note(&mut self, what: &str, payload: &[u8]) {
        self.log.push((self.now, what.to_owned(), payload[..payload.len().min(101)].to_vec()));
    }

    fn note_frame(&mut self, way: &str, letter: u8, payload: &[u8]) {
        let size = if payload.len() > 100 { format!(" ({} bytes)", payload.len()) } else { String::new() };
        self.note(&format!("{way}: {}{size}", char::from(letter)), payload);
    }

    fn transcript(&self) -> String {
        let mut out = format!(
            "  mark {:?}, parallel {}\n",
            self.scenario.mark.as_ref().map(|name| show(name)),
            self.scenario.parallel
        );
        for (index, plan) in self.scenario.children.iter().enumerate() {
            let rules: String =
                plan.rules.iter().map(|rule| format!("\n      {}", show_rule(rule))).collect();
            out += &format!(
                "  c{index}: fallback {:?}{}{} version {} actions {:#x} protocol {:#x} lists {:?} conditions {:?}{rules}\n",
                plan.fallbacks,
                if plan.evaluation { ", evaluation," } else { "" },
                plan.fault.map_or(String::new(), |fault| format!(", {fault:?},")),
                plan.version,
                plan.actions,
                plan.protocol,
                plan.lists,
                plan.conditions,
            );
        }
        for (at, what, payload) in &self.log {
            let payload = if payload.is_empty() { String::new() } else { format!(" {}", show(payload)) };
            out += &format!("  {:>12.3} ms {what}{payload}\n", (*at - SECOND) as f64 / MS as f64);
        }
        out
    }
}

/// How long the MTA may wait for the answer to a command.
fn budget(bounds: &Bounds, letter: u8, postfix: bool) -> u64 {
    SECOND
        * match (letter, postfix) {
            (b'E', _) => bounds.message_budget.unwrap_or(297),
            (_, true) => bounds.command_budget.unwrap_or(27),
            _ => bounds.command_budget.unwrap_or(7),
        }
}

fn show_rule(rule: &Rule) -> String {
    let frame = |(letter, payload): &Frame| format!("{} {}", char::from(*letter), show(payload));
    let edits: Vec<_> = rule.act.edits.iter().map(frame).collect();
    let end = match &rule.act.end {
        End::Final(reply) => frame(reply),
        End::FinalThenClose(reply) => format!("{}, then closes", frame(reply)),
        End::Bad(bytes) => format!("bad bytes {}", show(bytes)),
        other => format!("{other:?}"),
    };
    let [message, ordinal] =
        [rule.message, rule.ordinal].map(|it| it.map_or("any".into(), |it| it.to_string()));
    format!("message {message}, {} number {ordinal}: {} {end}", char::from(rule.letter), edits.join(", "))
}

fn name(peer: Peer) -> String {
    match peer.child_index() {
        None => "MTA".into(),
        Some(index) if peer.generation == 0 => format!("c{}", index.0),
        Some(index) => format!("c{}#{}", index.0, peer.generation),
    }
}
