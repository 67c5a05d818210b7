//! The log: levels, lines, and one writer thread behind a bounded queue.
//!
//! A session only ever puts a line into the queue. When the log device is stuck and the queue full, lines are counted
//! and dropped; the count is logged once there is room again. Nothing waits for a log device.

mod line;
mod writer;

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use millstream_config::{Log, LogLevel};
use millstream_shared::Queue;

pub(crate) use line::printable;
use writer::Writer;

/// Lines that may wait for the log device.
const QUEUE: usize = 4096;
/// How long the end of the program waits for a stuck log device.
const FAREWELL: Duration = Duration::from_secs(2);

/// A line for the log.
#[derive(Debug)]
pub(crate) struct Line {
    level: LogLevel,
    text: String,
    at: jiff::Timestamp,
}

impl Line {
    /// A line with the present time, to the microsecond.
    fn now(level: LogLevel, text: String) -> Self {
        let now = jiff::Timestamp::now();
        let at = jiff::Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
        Self { level, text, at }
    }
}

/// What may be asked of the writer thread.
#[derive(Debug)]
enum Message {
    Line(Line),
    /// Open the log file anew.
    Reopen,
    Configure(Box<Log>),
}

/// The program's end of the log. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Logger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    level: RwLock<LogLevel>,
    queue: Queue<Message>,
}

/// The log as a whole; dropping it writes what is queued.
#[derive(Debug)]
pub(crate) struct LogGuard {
    logger: Logger,
    ended: Receiver<()>,
}

/// Starts the log.
///
/// # Errors
///
/// The log file cannot be opened, or no thread can be started.
pub(crate) fn start(settings: &Log) -> std::io::Result<(Logger, LogGuard)> {
    let (ending, ended) = sync_channel::<()>(1);
    let mut writer = Writer::open(settings)?;
    let shared = Arc::new(Shared { level: RwLock::new(settings.level), queue: Queue::new(QUEUE) });
    let logger = Logger { shared: Arc::clone(&shared) };
    thread::Builder::new().name("log".to_owned()).spawn(move || {
        run(&mut writer, &shared.queue);
        drop(ending);
    })?;
    Ok((logger.clone(), LogGuard { logger, ended }))
}

fn run(writer: &mut Writer, queue: &Queue<Message>) {
    loop {
        let taken = queue.take();
        let over = taken.item.is_none();
        match taken.item {
            Some(Message::Line(line)) => writer.write(&line),
            Some(Message::Reopen) => writer.reopen(),
            Some(Message::Configure(settings)) => writer.configure(&settings),
            None => {}
        }
        if taken.lost > 0 {
            writer.remark(&format!(
                "[log] {} lines were lost: the log device did not take them in time",
                taken.lost
            ));
        }
        if over {
            return;
        }
    }
}

impl Logger {
    /// Logs what `text` makes, if `level` is logged at all.
    pub(crate) fn log(&self, level: LogLevel, text: impl FnOnce() -> String) {
        if !self.logs(level) {
            return;
        }
        self.shared.queue.offer(Message::Line(Line::now(level, text())));
    }

    /// Whether lines of `level` are logged.
    pub(crate) fn logs(&self, level: LogLevel) -> bool {
        self.shared.level.read().unwrap_or_else(PoisonError::into_inner).logs(level)
    }

    pub(crate) fn error(&self, text: impl FnOnce() -> String) {
        self.log(LogLevel::ERROR, text);
    }

    pub(crate) fn warning(&self, text: impl FnOnce() -> String) {
        self.log(LogLevel::WARNING, text);
    }

    pub(crate) fn message(&self, text: impl FnOnce() -> String) {
        self.log(LogLevel::MESSAGE, text);
    }

    pub(crate) fn debug(&self, text: impl FnOnce() -> String) {
        self.log(LogLevel::DEBUG, text);
    }

    /// Applies changed settings.
    pub(crate) fn configure(&self, settings: &Log) {
        *self.shared.level.write().unwrap_or_else(PoisonError::into_inner) = settings.level;
        // A full queue means that the device is stuck; the next reload tries again.
        let _ = self.shared.queue.put(Message::Configure(Box::new(settings.clone())));
    }

    /// Opens the log file anew, after it was moved away.
    pub(crate) fn reopen(&self) {
        let _ = self.shared.queue.put(Message::Reopen);
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.logger.shared.queue.close();
        // What a stuck device has not taken by then is lost with the process.
        let _ = self.ended.recv_timeout(FAREWELL);
    }
}
