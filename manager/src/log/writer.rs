//! Where lines go: standard output or a file, and syslog.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::process;

use millstream_config::{Log, LogLevel};
use syslog::{Facility, Formatter3164, LoggerBackend};

use super::Line;

/// Writes lines to all their places. A place that fails is left out until it is opened anew.
pub(super) struct Writer {
    settings: Log,
    output: Option<Box<dyn Write + Send>>,
    syslog: Option<syslog::Logger<LoggerBackend, Formatter3164>>,
}

impl Writer {
    /// Opens what `settings` name.
    ///
    /// # Errors
    ///
    /// The log file cannot be opened. A syslog that cannot be reached is told on the other output instead.
    pub(super) fn open(settings: &Log) -> io::Result<Self> {
        let mut writer =
            Self { settings: settings.clone(), output: Some(open_output(settings)?), syslog: None };
        writer.open_syslog();
        Ok(writer)
    }

    fn open_syslog(&mut self) {
        self.syslog = None;
        if !self.settings.use_syslog {
            return;
        }
        let formatter = Formatter3164 {
            facility: facility(&self.settings.syslog_facility),
            hostname: None,
            process: "milter-manager".to_owned(),
            pid: process::id(),
        };
        match syslog::unix(formatter) {
            Ok(logger) => self.syslog = Some(logger),
            Err(error) => self.remark(&format!("[log][syslog] not reachable, logging without it: {error}")),
        }
    }

    fn remark(&mut self, text: &str) {
        self.write(&Line::now(LogLevel::WARNING, text.to_owned()));
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
            Ok(output) => self.output = Some(output),
            Err(error) => self.remark(&format!("[log][reopen] the old log file stays in use: {error}")),
        }
    }

    pub(super) fn write(&mut self, line: &Line) {
        if let Some(output) = &mut self.output {
            let result = writeln!(output, "[{}]: {}", line.at, line.text).and_then(|()| output.flush());
            if result.is_err() {
                self.output = None;
            }
        }
        if let Some(syslog) = &mut self.syslog {
            let sent = match line.level {
                LogLevel::CRITICAL => syslog.crit(&line.text),
                LogLevel::ERROR => syslog.err(&line.text),
                LogLevel::WARNING => syslog.warning(&line.text),
                LogLevel::MESSAGE => syslog.notice(&line.text),
                LogLevel::STATISTICS => syslog.notice(format!("[statistics] {}", line.text)),
                LogLevel::INFO => syslog.info(&line.text),
                _ => syslog.debug(&line.text),
            };
            if sent.is_err() {
                self.open_syslog();
            }
        }
    }
}

fn open_output(settings: &Log) -> io::Result<Box<dyn Write + Send>> {
    let path = match settings.path.as_deref() {
        None | Some("-") => return Ok(Box::new(io::stdout())),
        Some(path) => path,
    };
    let file: File = OpenOptions::new().append(true).create(true).open(path).map_err(|error| {
        io::Error::new(error.kind(), format!("failed to set log output path: <{path}>: {error}"))
    })?;
    Ok(Box::new(file))
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
