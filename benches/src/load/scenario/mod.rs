//! What is measured.

mod grid;
mod idle;
mod kinds;
mod postfix;
mod rates;

use std::io;
use std::path::Path;
use std::time::Duration;

use millstream_tests::scratch::Scratch;

use crate::load::report::Report;

/// A runtime of the manager.
#[derive(Debug, Clone)]
pub struct Backend {
    /// What it is called.
    pub name: String,
    /// What the manager is told; `None` where it has only this one.
    pub argument: Option<String>,
}

/// What all scenarios need.
#[derive(Debug)]
pub struct Bench {
    scratch: Scratch,
    /// Those that are compared.
    pub backends: Vec<Backend>,
    /// How often everything takes its turn.
    pub rounds: usize,
    /// How long a turn is.
    pub slice: Duration,
    /// How long nobody does anything where that is what is measured.
    pub quiet: Duration,
    /// The most sessions that are open at the same time.
    pub most: usize,
    /// What comes out.
    pub report: Report,
}

/// A scenario: its name on the command line, and what it does.
pub type Scenario = (&'static str, fn(&mut Bench) -> io::Result<()>);

/// All of them, in the order of the report.
pub const ALL: &[Scenario] = &[
    ("grid", grid::run),
    ("program", idle::program),
    ("memory", idle::memory),
    ("beside", idle::beside),
    ("burst", idle::burst),
    ("kinds", kinds::run),
    ("slow", kinds::run_slow),
    ("rates", rates::run),
    ("postfix", postfix::run),
];

impl Bench {
    /// One that has measured nothing yet.
    #[must_use]
    pub fn new(backends: Vec<Backend>, rounds: usize, slice: Duration, quiet: Duration, most: usize) -> Self {
        let (scratch, report) = (Scratch::new("load"), Report::default());
        Self { scratch, backends, rounds, slice, quiet, most, report }
    }

    fn folder(&self) -> &Path {
        self.scratch.path()
    }
}
