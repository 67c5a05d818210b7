//! The log: levels, lines, and one writer thread behind a bounded queue.
//!
//! A session only ever puts a line into the queue. When the log device is stuck and the queue full, lines are counted
//! and dropped; the count is logged once there is room again. Nothing waits for a log device.

mod environment;
mod format;
mod journal;
mod line;
mod number;
mod priority;
mod stamp;
mod syslog;
mod text;
mod writer;

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use millstream_config::{Log, LogLevel};
use millstream_shared::{Queue, Taken};

pub(crate) use environment::{Environment, Format};
pub(crate) use line::{About, Line};
pub(crate) use number::{put_milliseconds, put_number, put_seconds};
pub(crate) use text::{printable, put_printable, put_printable_to};
use writer::Writer;

/// Lines that may wait for the log device, beside as many that are being written.
const QUEUE: usize = 4096;
/// Room for so many lines is kept from one write to the next.
const KEPT: usize = 64;
/// How long lines are gathered after some were written. A thread that sleeps is woken by a system call, which takes longer than
/// to make a line, and so does each write; so on a busy server both are for many lines, and a line that comes when none did
/// for a while is written at once.
const PAUSE: Duration = Duration::from_millis(5);
/// How long the end of the program waits for a stuck log device.
const FAREWELL: Duration = Duration::from_secs(2);

/// What may be asked of the writer thread.
#[derive(Debug)]
enum Message {
    Line(Line),
    /// What was said at one time.
    Lines(Vec<Line>),
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
    levels: RwLock<Levels>,
    format: Format,
    queue: Queue<Message>,
}

/// Which levels some log has.
#[derive(Debug, Clone, Copy)]
struct Levels {
    output: LogLevel,
    syslog: LogLevel,
}

impl Levels {
    fn of(settings: &Log, format: &Format) -> Self {
        let syslog = format.syslog_level.filter(|_| settings.use_syslog).unwrap_or(settings.level);
        Self { output: settings.level, syslog }
    }

    const fn logs(self, level: LogLevel) -> bool {
        self.output.logs(level) || self.syslog.logs(level)
    }
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
pub(crate) fn start(settings: &Log, format: Format) -> std::io::Result<(Logger, LogGuard)> {
    let (ending, ended) = sync_channel::<()>(1);
    let mut writer = Writer::open(settings, format)?;
    let levels = RwLock::new(Levels::of(settings, &format));
    let shared = Arc::new(Shared { levels, format, queue: Queue::new(QUEUE) });
    let logger = Logger { shared: Arc::clone(&shared) };
    thread::Builder::new().name("log".to_owned()).spawn(move || {
        run(&mut writer, &shared.queue);
        drop(ending);
    })?;
    Ok((logger.clone(), LogGuard { logger, ended }))
}

fn run(writer: &mut Writer, queue: &Queue<Message>) {
    let (mut messages, mut lines) = (Vec::new(), Vec::new());
    loop {
        let Taken { lost, closed } = queue.take(&mut messages);
        for message in messages.drain(..) {
            match message {
                Message::Line(line) => lines.push(line),
                Message::Lines(more) => lines.extend(more),
                Message::Reopen => {
                    writer.write(&lines);
                    lines.clear();
                    writer.reopen();
                }
                Message::Configure(settings) => {
                    writer.write(&lines);
                    lines.clear();
                    writer.configure(&settings);
                }
            }
        }
        writer.write(&lines);
        lines.clear();
        if lost > 0 {
            writer.remark(&format!("[log] {lost} lines were lost: the log device did not take them in time"));
        }
        if closed {
            return;
        }
        // What a burst of lines has left is given back.
        messages.shrink_to(KEPT);
        lines.shrink_to(KEPT);
        thread::sleep(PAUSE);
    }
}

impl Logger {
    /// Logs what `text` makes, if `level` is logged at all.
    pub(crate) fn log(&self, level: LogLevel, text: impl FnOnce() -> String) {
        self.log_about(level, About::default, text);
    }

    /// The same with what is known about it beside its text.
    pub(crate) fn log_about(
        &self,
        level: LogLevel,
        about: impl FnOnce() -> About,
        text: impl FnOnce() -> String,
    ) {
        if self.logs(level) {
            self.shared.queue.offer(Message::Line(Line::about(level, text(), about())));
        }
    }

    /// Logs lines of one level together, if that is logged: they take one place in the queue.
    pub(crate) fn log_lines(&self, level: LogLevel, lines: impl FnOnce() -> Vec<Line>) {
        if self.logs(level) {
            let lines = lines();
            let count = lines.len() as u64;
            self.shared.queue.offer_as(Message::Lines(lines), count);
        }
    }

    /// Whether lines of `level` are logged.
    pub(crate) fn logs(&self, level: LogLevel) -> bool {
        self.shared.levels.read().unwrap_or_else(PoisonError::into_inner).logs(level)
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
        let levels = Levels::of(settings, &self.shared.format);
        *self.shared.levels.write().unwrap_or_else(PoisonError::into_inner) = levels;
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
