//! Many MTAs in one thread: the load generator of `milter-performance-check --milter`, with a session that is made once.

use std::fs;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use millstream_core::wire::Final;
use millstream_tools::load::driver::{self, Settings};
use millstream_tools::load::script::Script;
use millstream_tools::load::showing::Showing;
use millstream_tools::load::stream::Target;
use millstream_tools::load::talk::{Ended, Source};

use crate::load::mail::Mail;
use crate::load::null_child::Address;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Sessions at the same time beyond which a fixed rate is more than the milter can do.
const MOST_OPEN: u64 = 8000;

/// When sessions begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// So many at the same time, each when the one before it is over.
    Closed(usize),
    /// So many in a second, whatever becomes of those before. The time of one counts from when it was to begin.
    Open(f64),
}

/// When no further session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// After this time.
    Time(Duration),
    /// After so many.
    Sessions(u64),
}

/// What became of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Sessions, all of them complete.
    pub sessions: u64,
    /// From the first to the end of the last.
    pub elapsed: Duration,
    /// Nanoseconds from when each was to begin to its last answer.
    pub latency: Histogram<u64>,
    /// Processor time of this thread.
    pub own_time: Duration,
}

/// Has sessions with the milter at `address`.
///
/// # Errors
/// When a session breaks, has another answer than "continue" or "accept", or gets none; when it cannot keep up with a fixed
/// rate.
pub fn run(address: &Address, mail: &Mail, pace: Pace, length: Length) -> io::Result<Outcome> {
    let stop = AtomicBool::new(false);
    let mut sessions = Sessions {
        script: mail.script(),
        left: match length {
            Length::Time(_) => u64::MAX,
            Length::Sessions(count) => count,
        },
        begun: 0,
        done: 0,
        latency: Histogram::new_with_bounds(1_000, 600_000_000_000, 3).map_err(io::Error::other)?,
        failure: None,
        stop: &stop,
    };
    let own_time = own_time()?;
    let start = Instant::now();
    let target = match address {
        Address::Unix(path) => Target::Unix(path.clone()),
        Address::Tcp(address) => Target::Tcp(vec![*address]),
    };
    let settings = Settings {
        pace: match pace {
            Pace::Closed(connections) => driver::Pace::Concurrent(connections),
            Pace::Open(rate) => driver::Pace::Every(Duration::from_secs_f64(1.0 / rate)),
        },
        until: match length {
            Length::Time(length) => Some(start + length),
            Length::Sessions(_) => None,
        },
        patience: PATIENCE,
        ..Settings::new(target, &stop)
    };
    driver::run(&settings, &mut sessions)?;
    let elapsed = start.elapsed();
    match sessions.failure {
        Some(failure) => Err(failure),
        None => Ok(Outcome {
            sessions: sessions.done,
            elapsed,
            latency: sessions.latency,
            own_time: self::own_time()?.saturating_sub(own_time),
        }),
    }
}

/// Processor time of this thread so far.
fn own_time() -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let spent = text.split_whitespace().next().and_then(|field| field.parse().ok());
    spent.map(Duration::from_nanos).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The same session over and over.
struct Sessions<'a> {
    script: Rc<Script>,
    left: u64,
    begun: u64,
    done: u64,
    latency: Histogram<u64>,
    /// What ends the run.
    failure: Option<io::Error>,
    stop: &'a AtomicBool,
}

impl Sessions<'_> {
    fn fail(&mut self, kind: io::ErrorKind, text: String) {
        self.failure.get_or_insert_with(|| io::Error::new(kind, text));
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Source for Sessions<'_> {
    type Talk = Showing;

    fn next(&mut self) -> Option<Showing> {
        if self.begun - self.done > MOST_OPEN {
            let text = format!("{MOST_OPEN} sessions wait: the rate is more than the milter can do");
            self.fail(io::ErrorKind::Other, text);
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        self.begun += 1;
        Some(Showing::new(Rc::clone(&self.script)))
    }

    fn finished(&mut self, ended: Ended<Showing>) {
        self.done += 1;
        match (ended.broken, ended.talk.into_verdict()) {
            (Some(broken), _) => self.fail(io::ErrorKind::ConnectionAborted, broken.to_string()),
            (None, Err(fault)) => self.fail(io::ErrorKind::InvalidData, fault.to_string()),
            (None, Ok(Final::Continue | Final::Accept)) => {
                self.latency.saturating_record(u64::try_from(ended.took.as_nanos()).unwrap_or(u64::MAX));
            }
            (None, Ok(verdict)) => {
                let text = format!("the milter answers {verdict:?}, expected Continue");
                self.fail(io::ErrorKind::InvalidData, text);
            }
        }
    }
}
