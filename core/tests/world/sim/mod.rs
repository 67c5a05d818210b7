//! The world itself: a virtual clock, the wires between one machine and its peers, and the rules that always hold.
//!
//! It plays the runtime and the pool. Everything that can happen at a moment is collected, and chance picks one.

mod blame;
mod clock;
mod compare;
mod line;
mod outputs;
mod policy;
mod pool;
mod reserve;
mod stray;
mod transcript;
mod wires;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use millstream_core::machine::{Answer, Closure, Input, IoError, IoKind, Machine, Peer, QueryId, Refusal};
use millstream_core::policy::{Environment, Policy};
use millstream_core::reserve::Reserve;
use millstream_core::time::Instant;
use millstream_core::wire::Negotiation;

use crate::coverage::Coverage;
use crate::peers::child::{ChildEnd, Out};
use crate::peers::child_watch::Watch;
use crate::peers::mta::{MS, MtaEnd};
use crate::peers::mta_watch::MtaWatch;
use crate::plan::{MtaPlan, Reads, Scenario, Text};
use crate::record::Stay;
use crate::rng::Rng;
use line::{Line, index_of, name};
use policy::Scripted;
use pool::in_core;
use reserve::Rationed;

const SECOND: u64 = 1_000 * MS;

/// What a world did, and what was wrong with it.
pub(crate) struct Report {
    pub(crate) error: Option<String>,
    pub(crate) coverage: Coverage,
    /// Empty unless it was asked for.
    pub(crate) transcript: String,
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
    spills: HashMap<u32, Vec<u8>>,
    /// What the files of messages have done, with the time at which that is told.
    spilled: VecDeque<(u64, Input)>,
    broken_files: Vec<u32>,
    /// The file of the message in hand has broken.
    file_broke: bool,
    /// Look-ups under way, with the time of their answer.
    questions: Vec<(u64, QueryId, Answer)>,
    /// The number of the MTA's command that came last, and whether the MTA has named itself Postfix.
    mta_at: Option<usize>,
    postfix: bool,
    /// When and as which of its frames the MTA's commands since the last answer came, content aside.
    unanswered: Vec<(u64, usize)>,
    /// Sessions that the MTA has begun on its connection; by child, what it is in each.
    sessions: Arc<AtomicUsize>,
    stays: Vec<Vec<Stay>>,
    /// What the pool remembers of each child, and what it is to say about that.
    memory: HashMap<usize, Negotiation>,
    recalled: Vec<Input>,
    /// What the children are offered.
    offer: (u32, u32, u32),
    reserve: Arc<Rationed>,
    /// When the MTA last sent something whole, or took something.
    mta_moved: u64,
    /// Until when nobody may be given up, and when the last pause was.
    grace: u64,
    paused: u64,
    /// It was told to stop before anything had come.
    stopped: bool,
    /// Since when the MTA is not read although it sends content.
    unread: Option<u64>,
    /// The same, also while a command is in hand; and until when look-ups for commands may hold one up.
    held: Option<u64>,
    asked: Vec<u64>,
    /// With which commands of the MTA a message was over for its body.
    floods: Vec<usize>,
    /// What can happen now; kept for its room.
    choices: Vec<Do>,
    coverage: Coverage,
    policy: Option<Arc<dyn Policy>>,
    log: Option<Vec<Entry>>,
    error: Option<String>,
    ticks_at: (u64, u32),
}
impl<M: Machine> World<M> {
    /// Runs one seed from the connection of the MTA to the end of the session.
    pub(crate) fn run(
        seed: u64,
        with_transcript: bool,
        make_scenario: impl FnOnce(&mut Rng) -> Scenario,
        make: impl FnOnce(Arc<dyn Policy>, Environment, Arc<dyn Reserve>) -> M,
    ) -> Report {
        let mut rng = Rng::new(seed);
        let mut scenario = make_scenario(&mut rng);
        let steps = std::mem::take(&mut scenario.mta.steps);
        let sessions = Arc::new(AtomicUsize::new(0));
        let policy = Scripted::of(&scenario, Arc::clone(&sessions));
        // What is configured now, which a reload replaces; the session keeps what it began with.
        let used = Arc::downgrade(&policy);
        let reserve = Arc::new(Rationed::new(scenario.ration, rng.next()));
        let machine = make(Arc::clone(&policy), Environment::default(), reserve.clone());
        let mut world = Self {
            mta: MtaEnd::new(MtaPlan { steps, ..scenario.mta.clone() }),
            rng,
            scenario,
            machine,
            now: SECOND,
            wait: None,
            lines: Vec::new(),
            mta_watch: MtaWatch::new(),
            finished: false,
            spills: HashMap::new(),
            spilled: VecDeque::new(),
            broken_files: Vec::new(),
            file_broke: false,
            questions: Vec::new(),
            mta_at: None,
            postfix: false,
            unanswered: Vec::new(),
            sessions,
            stays: Vec::new(),
            memory: HashMap::new(),
            recalled: Vec::new(),
            offer: (0, 0, 0),
            reserve: reserve.clone(),
            mta_moved: SECOND,
            grace: 0,
            paused: 0,
            stopped: false,
            unread: None,
            held: None,
            asked: Vec::new(),
            floods: Vec::new(),
            choices: Vec::new(),
            coverage: Coverage::default(),
            policy: Some(policy),
            log: with_transcript.then(Vec::new),
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
        world.policy = None;
        let transcript = world.transcript();
        let (mut error, coverage) = (world.error, world.coverage);
        drop(world.machine);
        if error.is_none() && used.upgrade().is_some() {
            error = Some("the policy is kept beyond the session".into());
        }
        if error.is_none() && reserve.taken.load(std::sync::atomic::Ordering::Relaxed) > 0 {
            error = Some("room is not given back".into());
        }
        Report { error, coverage, transcript }
    }

    fn play(&mut self) {
        let capacity = self.capacity();
        self.stays = vec![Vec::new(); self.scenario.children.len()];
        let mut line = Line::new(Peer::MTA, None, capacity, Watch::new(false, false));
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
            let unwritten = self.has_pending(self.lines[at].peer);
            self.hang_up(at);
            if let Some(child) = self.lines[at].child.as_mut().filter(|_| unwritten) {
                child.missed_the_rest();
            }
        }
    }

    fn capacity(&mut self) -> usize {
        *self.rng.pick(&[100, 300, 4096, 65536, 200_000])
    }

    /// One thing happens, or time passes.
    fn step(&mut self) {
        let mut now = std::mem::take(&mut self.choices);
        now.clear();
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
            if line.flush_by.is_some() || (!full && self.has_pending(line.peer)) {
                offer(line.ready[1], Do::Write(at), self.now);
            }
        }
        if let Some(due) = self.mta.due().filter(|_| !self.lines[0].over) {
            offer(due, Do::Mta, self.now);
        }
        if let Some((due, _)) = self.spilled.front() {
            offer(*due, Do::Spill, self.now);
        }
        for (at, (due, ..)) in self.questions.iter().enumerate() {
            offer(*due, Do::Answer(at), self.now);
        }
        if let Some(wait) = self.wait.filter(|_| !self.finished) {
            offer(wait, Do::Tick, self.now);
        }
        let what = (!now.is_empty()).then(|| *self.rng.pick(&now));
        self.choices = now;
        let Some(what) = what else {
            match later {
                Some(at) => self.now = at,
                None => self.fail("the session hangs: nothing can happen any more".into()),
            }
            return self.check_time();
        };
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
        if self.scenario.reloads && self.policy.is_some() && self.rng.chance(2) {
            self.note(b"", || "the configuration is read anew".into());
            self.policy = None;
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
                        _ if kind == IoKind::Exhausted => Refusal::Failed(error),
                        0 => Refusal::Down { error, since: Instant::from_nanos(self.now) },
                        1 => Refusal::Full,
                        _ => Refusal::Failed(error),
                    };
                    self.note(b"", || format!("pool -> S: {} refused", name(peer)));
                    self.handle(Input::Refused { peer, why });
                } else {
                    self.note(b"", || format!("pool -> S: {} ready", name(peer)));
                    let kept = self.lines[at].kept;
                    let end = self.lines[at].child.as_mut().unwrap();
                    end.connected(self.now);
                    let joined = kept.then(|| self.scenario.children[index_of(peer)].joins(self.offer));
                    if let Some(joined) = &joined {
                        end.resume(joined.clone(), self.now);
                        self.lines[at].watch.resume(joined.clone());
                    }
                    if let Some(known) = self.foreseen(at) {
                        self.lines[at].watch.presume(known);
                    }
                    let negotiated = joined.as_ref().map(|joined| Box::new(in_core(joined)));
                    self.handle(Input::Ready { peer, negotiated });
                }
            }
            Do::Mta => {
                let bytes = self.mta.act(self.now, &mut self.rng);
                if self.mta.closed {
                    self.note(b"", || "MTA closes".into());
                    self.lines[0].inward_end = Some(Closure::Eof);
                }
                self.lines[0].inward.extend_from_slice(&bytes);
            }
            Do::Spill => {
                let (_, input) = self.spilled.pop_front().unwrap();
                if let Input::SpillFailed { file, .. } = &input {
                    self.file_broke |= self.spills.contains_key(&file.0);
                    self.note(b"", || "the file fails".into());
                }
                self.handle(input);
            }
            Do::Answer(at) => {
                let (_, query, answer) = self.questions.remove(at);
                self.note(b"", || format!("resolver -> S: {answer:?}"));
                self.handle(Input::Answered { query, answer });
            }
            Do::Stop => {
                self.note(b"", || "S is told to stop".into());
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

    fn fail(&mut self, what: String) {
        if self.error.is_none() {
            self.error = Some(what);
        }
    }

    /// What waits to be written on each line; `None` where there is more than one look shows.
    fn all_pending(&self) -> Vec<Option<usize>> {
        let of = |peer| {
            let mut slices = [&b""[..]; 32];
            let filled = self.machine.transmit(peer, &mut slices);
            (filled < slices.len()).then(|| slices[..filled].iter().map(|slice| slice.len()).sum())
        };
        self.lines.iter().map(|line| of(line.peer)).collect()
    }

    /// Where an input has added nothing, a runtime asks nobody: all that has changed is what was written, of how much there was.
    fn check_added_nothing(&mut self, written: Option<(Peer, usize, Vec<Option<usize>>)>) {
        let Some((peer, n, before)) = written else {
            return self.fail("an input that may lead on is said to have added nothing".into());
        };
        let after = self.all_pending();
        for ((line, before), after) in self.lines.iter().zip(before).zip(after) {
            let written = if line.peer == peer { n } else { 0 };
            if let (Some(before), Some(after)) = (before, after)
                && after != before.saturating_sub(written)
            {
                let who = name(line.peer);
                return self.fail(format!("{who} had {before} bytes to be sent and now {after}, unsaid"));
            }
        }
    }

    fn pending(&self, peer: Peer) -> usize {
        let mut slices = [&b""[..]; 32];
        let filled = self.machine.transmit(peer, &mut slices);
        slices[..filled].iter().map(|slice| slice.len()).sum()
    }

    /// Whether there is something to write. What is written begins with its first piece, so that one must not be empty.
    fn has_pending(&self, peer: Peer) -> bool {
        let mut slices = [&b""[..]];
        self.machine.transmit(peer, &mut slices) > 0 && !slices[0].is_empty()
    }
}
