//! The log: levels, lines, and one writer thread behind a bounded queue.
//!
//! A session only ever puts a line into the queue. When the log device is stuck and the queue full, lines are counted
//! and dropped; the count is logged once there is room again. Nothing waits for a log device.

mod line;
mod writer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use millstream_config::{Log, LogLevel};

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
    End,
}

/// The program's end of the log. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Logger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    level: RwLock<LogLevel>,
    queue: SyncSender<Message>,
    lost: AtomicU64,
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
    let (queue, lines) = sync_channel(QUEUE);
    let (ending, ended) = sync_channel::<()>(1);
    let mut writer = Writer::open(settings)?;
    let shared = Arc::new(Shared { level: RwLock::new(settings.level), queue, lost: AtomicU64::new(0) });
    let logger = Logger { shared: Arc::clone(&shared) };
    thread::Builder::new().name("log".to_owned()).spawn(move || {
        run(&mut writer, &lines, &shared.lost);
        drop(ending);
    })?;
    Ok((logger.clone(), LogGuard { logger, ended }))
}

fn run(writer: &mut Writer, lines: &Receiver<Message>, lost: &AtomicU64) {
    while let Ok(message) = lines.recv() {
        match message {
            Message::Line(line) => writer.write(&line),
            Message::Reopen => writer.reopen(),
            Message::Configure(settings) => writer.configure(&settings),
            Message::End => return,
        }
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let text = format!("[log] {missing} lines were lost: the log device did not take them in time");
            writer.remark(&text);
        }
    }
}

impl Logger {
    /// Logs what `text` makes, if `level` is logged at all.
    pub(crate) fn log(&self, level: LogLevel, text: impl FnOnce() -> String) {
        if !self.logs(level) {
            return;
        }
        let line = Line::now(level, text());
        if let Err(TrySendError::Full(_)) = self.shared.queue.try_send(Message::Line(line)) {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
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
        let _ = self.shared.queue.try_send(Message::Configure(Box::new(settings.clone())));
    }

    /// Opens the log file anew, after it was moved away.
    pub(crate) fn reopen(&self) {
        let _ = self.shared.queue.try_send(Message::Reopen);
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let mut end = Message::End;
        let patience = std::time::Instant::now() + FAREWELL;
        while let Err(TrySendError::Full(back)) = self.logger.shared.queue.try_send(end) {
            if std::time::Instant::now() >= patience {
                return;
            }
            end = back;
            thread::sleep(Duration::from_millis(10));
        }
        // What a stuck device has not taken by then is lost with the process.
        let _ = self.ended.recv_timeout(FAREWELL);
    }
}
