//! Managers that are compared: the same sessions through each of them by turns, so that what else the machine does hits
//! all alike.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use millstream_tests::process::Process;

use crate::chain::Chain;
use crate::child::{self, Accepted, Wishes};
use crate::figures::Spread;
use crate::libmilter;
use crate::meter::{Threads, process_time};
use crate::visit::{Ending, Visits};

/// What a session costs, in nanoseconds where it is time.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Processor time of the manager.
    pub manager: f64,
    /// That of the child that is a process of its own.
    pub child: f64,
    /// That of all who take part: the MTA, the manager and the children.
    pub all: f64,
    /// On the clock.
    pub clock: f64,
    /// Connections to children.
    pub connections: f64,
}

/// System calls of the manager by name.
pub type Calls = BTreeMap<String, u64>;

/// A manager with its children.
#[derive(Debug)]
pub struct Side {
    /// How it differs.
    pub name: String,
    manager: Threads,
    socket: PathBuf,
    folder: PathBuf,
    /// Of the children in this process.
    accepted: Vec<Accepted>,
    child: Option<Process>,
    /// Kept running; `None` where it is in this process.
    chain: Option<Chain>,
}

impl Side {
    /// The real manager with these children in this process. It has one loop, so that the figures do not depend on which one
    /// has a session, and logs nothing.
    ///
    /// # Errors
    /// When the system does not say what the manager does.
    pub fn start(
        scratch: &Path,
        name: &str,
        children: &[Wishes],
        settings: &str,
        child_settings: &str,
    ) -> io::Result<Self> {
        let folder = scratch.join(name.replace([' ', ','], "-"));
        let accepted = std::cell::RefCell::new(Vec::new());
        let settings = format!("manager.n_workers = 1\nlog.level = \"none\"\n{settings}");
        let chain = Chain::start(&folder, &settings, children.len(), child_settings, |index, socket| {
            // Without it the first session fails.
            accepted.borrow_mut().extend(child::listen(socket, children[index]));
        });
        Self::of(name, folder, chain, accepted.into_inner(), None)
    }

    /// The same with a libmilter child; `None` without libmilter.
    ///
    /// # Errors
    /// When the system does not say what the manager does.
    pub fn libmilter(
        scratch: &Path,
        name: &str,
        settings: &str,
        child_settings: &str,
    ) -> io::Result<Option<Self>> {
        let folder = scratch.join(name.replace([' ', ','], "-"));
        let process = std::cell::RefCell::new(None);
        let settings = format!("manager.n_workers = 1\nlog.level = \"none\"\n{settings}");
        let chain = Chain::start(&folder, &settings, 1, child_settings, |_, socket| {
            *process.borrow_mut() = libmilter::start(&folder, socket);
        });
        let process = process.into_inner();
        if process.is_none() {
            return Ok(None);
        }
        Self::of(name, folder, chain, Vec::new(), process).map(Some)
    }

    fn of(
        name: &str,
        folder: PathBuf,
        mut chain: Chain,
        accepted: Vec<Accepted>,
        child: Option<Process>,
    ) -> io::Result<Self> {
        let socket = chain.socket().to_owned();
        // It listens before its threads run, which they do once a session is served.
        Visits::default().visit(&socket, Ending::Connect)?;
        let manager = Threads::of(chain.process())?;
        Ok(Self { name: name.to_owned(), manager, socket, folder, accepted, child, chain: Some(chain) })
    }

    /// A manager in these threads of this process.
    #[must_use]
    pub fn in_process(
        name: &str,
        folder: &Path,
        socket: &Path,
        manager: Threads,
        accepted: Vec<Accepted>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            manager,
            socket: socket.to_owned(),
            folder: folder.to_owned(),
            accepted,
            child: None,
            chain: None,
        }
    }

    /// Where an MTA connects.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    fn connections(&self) -> f64 {
        self.accepted.iter().map(Accepted::count).sum::<usize>() as f64
    }

    /// Processor time of this process, of the manager where it is another, and of the child.
    fn all(&self) -> io::Result<f64> {
        let manager = if self.chain.is_some() { self.manager.time()? } else { 0.0 };
        let own = std::process::id();
        // Children in this process end a thread with each connection.
        let own = if self.accepted.is_empty() { Threads::of(own)?.time()? } else { process_time(own)? };
        Ok(own + manager + self.child()?)
    }

    fn child(&self) -> io::Result<f64> {
        self.child.as_ref().map_or(Ok(0.0), |child| process_time(child.id()))
    }

    /// What a session costs of `sessions` that `run` passes through the manager's socket.
    ///
    /// # Errors
    /// When `run` fails.
    pub fn cost(&self, sessions: usize, run: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Cost> {
        let now = || -> io::Result<_> {
            Ok((self.manager.time()?, self.child()?, self.all()?, self.connections()))
        };
        let (manager, child, all, connections) = now()?;
        let began = Instant::now();
        run(&self.socket)?;
        let clock = began.elapsed();
        // The manager and the children take leave of each other.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let ended = now()?;
        let each = |difference: f64| difference / sessions as f64;
        Ok(Cost {
            manager: each(ended.0 - manager),
            child: each(ended.1 - child),
            all: each(ended.2 - all),
            clock: each(clock.as_nanos() as f64),
            connections: each(ended.3 - connections),
        })
    }

    /// The manager's system calls; `None` without strace.
    ///
    /// # Errors
    /// When `run` fails.
    pub fn calls(&self, run: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Option<Calls>> {
        self.manager.system_calls(&self.folder, || run(&self.socket))
    }

    /// The child's system calls; `None` without strace, or where it is no process of its own.
    ///
    /// # Errors
    /// When `run` fails.
    pub fn child_calls(&self, run: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Option<Calls>> {
        let Some(child) = &self.child else { return Ok(None) };
        Threads::of(child.id())?.system_calls(&self.folder, || run(&self.socket))
    }

    /// What strace prints about the manager; `None` without strace.
    ///
    /// # Errors
    /// When `run` fails.
    pub fn traced(
        &self,
        options: &[&str],
        run: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<Option<String>> {
        self.manager.traced(&self.folder, options, || run(&self.socket))
    }
}

/// How many calls there were for each of `sessions`; a dash without strace.
#[must_use]
pub fn calls_each(calls: Option<&Calls>, sessions: usize) -> String {
    calls.map_or_else(
        || "-".to_owned(),
        |calls| format!("{:.1}", calls.values().sum::<u64>() as f64 / sessions as f64),
    )
}

/// What each of `sides` costs for the same sessions, by turns, `rounds` times after one that warms up.
///
/// # Errors
/// When a session fails.
pub fn by_turns(
    sides: &[Side],
    rounds: usize,
    sessions: usize,
    run: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<Vec<Vec<Cost>>> {
    let mut costs: Vec<Vec<Cost>> = sides.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for (side, costs) in sides.iter().zip(&mut costs) {
            let cost = side.cost(sessions, &run)?;
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    Ok(costs)
}

/// `of` for all rounds together in times of what it is for `base`: for what is counted too coarsely for one round.
#[must_use]
pub fn ratio_of_sums(costs: &[Cost], base: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    costs.iter().map(&of).sum::<f64>() / base.iter().map(&of).sum::<f64>()
}

/// `of` for each round in times of what it is for `base` in the same round.
#[must_use]
pub fn ratio(costs: &[Cost], base: &[Cost], of: impl Fn(&Cost) -> f64) -> String {
    let ratios = costs.iter().zip(base).map(|(cost, base)| of(cost) / of(base)).collect();
    Spread::of(ratios).map(|spread| spread.to_string()).unwrap_or_default()
}
