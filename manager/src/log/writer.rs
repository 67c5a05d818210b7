//! Where lines go: standard output or a file, and syslog.
//!
//! Both may fail for a while and are used again without being told: a full disk has room again, the syslog daemon is
//! restarted. What they did not take meanwhile is counted, and told in the next line that they take.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::process;
use std::time::{Duration, Instant};

use millstream_config::{Log, LogLevel};
use syslog::{Facility, Formatter3164, LoggerBackend};

use super::Line;

/// How long a syslog that cannot be reached is left alone: each try costs system calls, for every line.
const SYSLOG_RETRY: Duration = Duration::from_secs(1);

/// Writes lines to all their places.
pub(super) struct Writer {
    settings: Log,
    output: Output,
    syslog: Syslog,
}

impl Writer {
    /// Opens what `settings` name.
    ///
    /// # Errors
    ///
    /// The log file cannot be opened. A syslog that cannot be reached is told on the other output instead.
    pub(super) fn open(settings: &Log) -> io::Result<Self> {
        let output = Output::new(open_output(settings)?);
        let mut writer = Self { settings: settings.clone(), output, syslog: Syslog::default() };
        writer.open_syslog();
        Ok(writer)
    }

    fn open_syslog(&mut self) {
        self.syslog = Syslog::default();
        if self.settings.use_syslog
            && let Err(error) = self.syslog.open(&self.settings)
        {
            self.output.remark(&format!("[log][syslog] not reachable, logging without it: {error}"));
        }
    }

    /// Applies changed settings; a file that cannot be opened leaves the old one in place.
    pub(super) fn configure(&mut self, settings: &Log) {
        if *settings == self.settings {
            return;
        }
        let path_changed = settings.path != self.settings.path;
        self.settings = settings.clone();
        if path_changed {
            self.reopen();
        }
        self.open_syslog();
    }

    /// Opens the log file anew.
    pub(super) fn reopen(&mut self) {
        match open_output(&self.settings) {
            Ok(file) => (self.output.file, self.output.torn) = (file, false),
            Err(error) => self.remark(&format!("[log][reopen] the old log file stays in use: {error}")),
        }
    }

    pub(super) fn write(&mut self, line: &Line) {
        self.output.write(line);
        if self.settings.use_syslog
            && let Some(remark) = self.syslog.write(line, &self.settings)
        {
            self.output.remark(&remark);
        }
    }

    /// Writes a line of the log's own.
    pub(super) fn remark(&mut self, text: &str) {
        self.write(&Line::now(LogLevel::WARNING, text.to_owned()));
    }
}

/// Standard output or a file.
struct Output {
    file: File,
    /// Lines that it has not taken since it last took one.
    lost: u64,
    /// Only a part of the last line is in it.
    torn: bool,
}

impl Output {
    const fn new(file: File) -> Self {
        Self { file, lost: 0, torn: false }
    }

    fn remark(&mut self, text: &str) {
        self.write(&Line::now(LogLevel::WARNING, text.to_owned()));
    }

    fn write(&mut self, line: &Line) {
        if self.lost > 0 {
            let text = format!("[log] {} lines were lost: the log could not be written", self.lost);
            if self.put(&Line::now(LogLevel::WARNING, text)).is_ok() {
                self.lost = 0;
            }
        }
        if self.lost > 0 || self.put(line).is_err() {
            self.lost += 1;
        }
    }

    /// One system call for a line, so that lines of others who write to the same file do not mix with it.
    fn put(&mut self, line: &Line) -> io::Result<()> {
        let begin = if self.torn { "\n" } else { "" };
        let text = format!("{begin}[{}]: {}\n", line.at, line.text);
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The system's log.
#[derive(Default)]
struct Syslog {
    logger: Option<syslog::Logger<LoggerBackend, Formatter3164>>,
    /// Lines that it has not taken since it was last reached.
    lost: u64,
    /// When it was last tried in vain.
    tried: Option<Instant>,
}

impl Syslog {
    fn open(&mut self, settings: &Log) -> Result<(), syslog::Error> {
        let formatter = Formatter3164 {
            facility: facility(&settings.syslog_facility),
            hostname: None,
            process: "milter-manager".to_owned(),
            pid: process::id(),
        };
        self.tried = Some(Instant::now());
        self.logger = Some(syslog::unix(formatter)?);
        Ok(())
    }

    /// Writes a line; says what the other output should tell about it, if anything.
    fn write(&mut self, line: &Line, settings: &Log) -> Option<String> {
        if self.put(line).is_ok() {
            return None;
        }
        let was_reached = self.logger.take().is_some();
        let is_time = self.tried.is_none_or(|tried| tried.elapsed() >= SYSLOG_RETRY);
        // Its daemon may have been restarted, behind the same name.
        if (was_reached || is_time) && self.open(settings).is_ok() && self.put(line).is_ok() {
            let lost = std::mem::take(&mut self.lost);
            return (lost > 0).then(|| format!("[log][syslog] reachable again, {lost} lines were not sent"));
        }
        self.logger = None;
        self.lost += 1;
        was_reached.then(|| "[log][syslog] not reachable any more, logging without it".to_owned())
    }

    fn put(&mut self, line: &Line) -> Result<(), syslog::Error> {
        let Some(logger) = &mut self.logger else {
            return Err(io::Error::from(io::ErrorKind::NotConnected).into());
        };
        match line.level {
            LogLevel::CRITICAL => logger.crit(&line.text),
            LogLevel::ERROR => logger.err(&line.text),
            LogLevel::WARNING => logger.warning(&line.text),
            LogLevel::MESSAGE => logger.notice(&line.text),
            LogLevel::STATISTICS => logger.notice(format!("[statistics] {}", line.text)),
            LogLevel::INFO => logger.info(&line.text),
            _ => logger.debug(&line.text),
        }
    }
}

fn open_output(settings: &Log) -> io::Result<File> {
    let Some(path) = settings.file() else {
        // A handle of our own, without the buffer of the standard library: it would keep what could not be written.
        return Ok(io::stdout().as_fd().try_clone_to_owned()?.into());
    };
    let mut options = OpenOptions::new();
    if fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo()) {
        // Opened for writing alone it would stand still until somebody reads, and be closed to us when they end.
        options.read(true).write(true);
    } else {
        options.append(true).create(true);
    }
    options.open(path).map_err(|error| {
        io::Error::new(error.kind(), format!("failed to set log output path: <{path}>: {error}"))
    })
}

fn facility(name: &str) -> Facility {
    match name.to_ascii_lowercase().as_str() {
        "auth" | "authpriv" => Facility::LOG_AUTHPRIV,
        "cron" => Facility::LOG_CRON,
        "daemon" => Facility::LOG_DAEMON,
        "ftp" => Facility::LOG_FTP,
        "kern" => Facility::LOG_KERN,
        "local0" => Facility::LOG_LOCAL0,
        "local1" => Facility::LOG_LOCAL1,
        "local2" => Facility::LOG_LOCAL2,
        "local3" => Facility::LOG_LOCAL3,
        "local4" => Facility::LOG_LOCAL4,
        "local5" => Facility::LOG_LOCAL5,
        "local6" => Facility::LOG_LOCAL6,
        "local7" => Facility::LOG_LOCAL7,
        "lpr" => Facility::LOG_LPR,
        "news" => Facility::LOG_NEWS,
        "user" => Facility::LOG_USER,
        "uucp" => Facility::LOG_UUCP,
        _ => Facility::LOG_MAIL,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::{Path, PathBuf};

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    fn to(path: &Path) -> Log {
        Log { path: Some(path.display().to_string()), use_syslog: false, ..Log::default() }
    }

    fn fresh(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("millstream-log-{}-{name}", process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    /// `/dev/full` is a disk without room.
    #[cfg(target_os = "linux")]
    #[test]
    fn lines_that_a_full_disk_did_not_take_are_counted_and_told_when_there_is_room() {
        let path = fresh("full");
        let mut writer = Writer::open(&to(Path::new("/dev/full"))).unwrap();
        for _ in 0..3 {
            writer.remark("lost");
        }
        writer.configure(&to(&path));
        writer.remark("first");
        writer.remark("second");
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let lines: Vec<_> = text.lines().filter_map(|line| Some(line.split_once("]: ")?.1)).collect();
        assert_eq!(
            lines,
            ["[log] 3 lines were lost: the log could not be written", "first", "second"],
            "{text}"
        );
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_opened_and_keeps_lines_for_who_comes() {
        let path = fresh("pipe");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let mut writer = Writer::open(&to(&path)).unwrap();
        writer.remark("early");
        let mut reader = File::open(&path).unwrap();
        let mut text = [0; 200];
        let length = reader.read(&mut text).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(text[..length].ends_with(b"]: early\n"), "{}", String::from_utf8_lossy(&text[..length]));
    }
}
