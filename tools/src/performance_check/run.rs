//! A run: workers that send, and what is shown meanwhile.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::net::ToSocketAddrs as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{Timestamp, Zoned};
use millstream_core::policy::Endpoint;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::milter::Milter;
use super::options::{Request, Server};
use super::progress::Progress;
use super::report::{self, Run};
use super::sender::Smtp;
use crate::load::driver::{self, Settings};
use crate::load::stream::Target;
use crate::load::tally::{Done, Tally};
use crate::program;

/// How often the progress is shown.
const GLANCE: Duration = Duration::from_millis(100);

/// What the workers have in common.
#[derive(Debug)]
pub(super) struct Shared {
    tally: Mutex<Tally>,
    /// Errors of a kind that was not there before, still to be shown.
    news: Mutex<Vec<String>>,
    statistics: Option<Mutex<BufWriter<File>>>,
    /// The server, as it is called in errors.
    pub(super) server: String,
}

impl Shared {
    fn new(request: &Request, statistics: Option<&Path>) -> Result<Self, String> {
        let open = |path: &Path| {
            let mut file = BufWriter::new(File::create(path)?);
            file.write_all(b"wall clock time,response time,message size\n")?;
            Ok(Mutex::new(file))
        };
        let statistics = statistics.map(|path| {
            open(path)
                .map_err(|error: io::Error| format!("--report-statistics-data: {}: {error}", path.display()))
        });
        Ok(Self {
            tally: Mutex::new(Tally::new().map_err(|error| error.to_string())?),
            news: Mutex::default(),
            statistics: statistics.transpose()?,
            server: match &request.server {
                Server::Smtp(host, port) => format!("{host}:{port}"),
                Server::Milter(spec) => spec.to_string(),
            },
        })
    }

    /// Takes a mail that is done. `size` is that of its message, in bytes.
    pub(super) fn note(&self, done: Done, size: usize) {
        if let Some(file) = &self.statistics {
            let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ");
            // A disk that is full is told at the end, by the flush.
            let _ = writeln!(lock(file), "{now},{:.6},{size}", done.took.as_secs_f64());
        }
        let text = match &done.fate {
            crate::load::tally::Fate::Error(class, text) => Some(format!("{class}: {text}")),
            _ => None,
        };
        if lock(&self.tally).add(done) {
            lock(&self.news).extend(text);
        }
    }

    fn flush(&self) -> io::Result<()> {
        self.statistics.as_ref().map_or(Ok(()), |file| lock(file).flush())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends all mails. An error is a text for standard output.
pub(super) fn run(request: &Request, statistics: Option<&Path>) -> Result<Run, String> {
    let shared = Shared::new(request, statistics)?;
    let stop = program::stop_flag().map_err(|error| format!("signals cannot be heard: {error}"))?;
    raise_descriptor_limit();
    let target = target(&request.server)?;
    let begin = Instant::now();
    let settings = Settings {
        target,
        pace: request.pace,
        until: request.flood.flatten().map(|period| begin + period),
        patience: request.patience,
        stop: &stop,
        #[cfg(feature = "tls")]
        tls: tls(request)?,
    };
    let own_time = own_time();
    let result = thread::scope(|scope| {
        let (ended, ends) = mpsc::channel();
        for _ in 0..request.workers {
            let ended = ended.clone();
            let (settings, shared) = (&settings, &shared);
            scope.spawn(move || {
                // The one that waits is gone only with all workers.
                let _ = ended.send(work(request, settings, shared));
            });
        }
        drop(ended);
        watch(request, &shared, &ends)
    });
    let elapsed = begin.elapsed();
    let own_time = self::own_time().saturating_sub(own_time);
    result.map_err(|error| format!("{}: {error}", shared.server))?;
    shared.flush().map_err(|error| format!("--report-statistics-data: {error}"))?;
    let tally = shared.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Run { tally, elapsed, own_time, workers: request.workers })
}

fn work(request: &Request, settings: &Settings<'_>, shared: &Shared) -> io::Result<()> {
    match &request.server {
        Server::Smtp(..) => driver::run(settings, &mut Smtp::new(request, shared)),
        Server::Milter(_) => driver::run(settings, &mut Milter::new(request, shared)),
    }
}

/// Shows how it goes until all workers have ended.
fn watch(request: &Request, shared: &Shared, ends: &mpsc::Receiver<io::Result<()>>) -> io::Result<()> {
    let mut progress = Progress::new(request.mails(), request.table_interval.is_some());
    if request.table_interval.is_some() {
        program::print(report::table_head().as_bytes());
    }
    let mut row_begin = Instant::now();
    let mut result = Ok(());
    loop {
        let rest = request.table_interval.map(|interval| interval.saturating_sub(row_begin.elapsed()));
        let is_over = match ends.recv_timeout(rest.map_or(GLANCE, |rest| rest.min(GLANCE))) {
            Ok(end) => {
                result = result.and(end);
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        for text in lock(&shared.news).drain(..) {
            progress.tell(&text);
        }
        progress.show(&lock(&shared.tally).total);
        if let Some(interval) = request.table_interval
            && (is_over || row_begin.elapsed() >= interval)
        {
            let counts = lock(&shared.tally).take_lately();
            if !is_over || counts.mails > 0 {
                let time = Zoned::now().strftime("%H:%M:%S").to_string();
                program::print(report::table_row(&time, &counts, row_begin.elapsed()).as_bytes());
            }
            row_begin = Instant::now();
        }
        if is_over {
            progress.end();
            return result;
        }
    }
}

/// The addresses of a server.
fn target(server: &Server) -> Result<Target, String> {
    match server {
        Server::Smtp(host, port) => {
            let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
            let addresses = (bare, *port).to_socket_addrs();
            let addresses: Vec<_> = addresses.map_err(|error| format!("{host}:{port}: {error}"))?.collect();
            match addresses.is_empty() {
                true => Err(format!("{host}:{port}: expected an address, it has none")),
                false => Ok(Target::Tcp(addresses)),
            }
        }
        Server::Milter(spec) => match spec.resolve().map_err(|error| error.to_string())? {
            Endpoint::Unix(path) => Ok(Target::Unix(OsStr::from_bytes(&path).into())),
            Endpoint::Tcp(addresses) => Ok(Target::Tcp(addresses.to_vec())),
        },
    }
}

#[cfg(feature = "tls")]
fn tls(request: &Request) -> Result<Option<crate::load::tls::Config>, String> {
    let Server::Smtp(host, _) = &request.server else { return Ok(None) };
    if request.manners.starttls == crate::smtp::StartTls::Disable {
        return Ok(None);
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    crate::load::tls::Config::new(bare).map(Some).map_err(|error| format!("{host}: {error}"))
}

/// Each connection is a descriptor; as many as may be had without asking anybody. What cannot be raised shows when there are
/// too few.
fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Processor time of this program so far.
fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanoseconds)
}
