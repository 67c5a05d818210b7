//! What the milter has to say about itself: what went wrong, and with `--verbose` what it does.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::process;
use std::sync::{Mutex, PoisonError};

use millstream_config::{Log as Settings, LogLevel};
use millstream_service::ServiceOptions;
use syslog::{Facility, Formatter3164, Logger, LoggerBackend};

use super::NAME;
use crate::program;

/// Where it is said.
pub(super) struct Log {
    level: LogLevel,
    /// Standard output where there is none.
    file: Option<Mutex<File>>,
    syslog: Option<(Formatter3164, Mutex<SystemLog>)>,
}

impl Log {
    /// Opens what the options name.
    pub(super) fn open(options: &ServiceOptions) -> Result<Self, String> {
        let mut settings = Settings { use_syslog: false, ..Settings::default() };
        options.apply_to_log(&mut settings);
        let path = settings.path.as_deref().filter(|path| *path != "-");
        let file = path.map(|path| {
            let opened = OpenOptions::new().append(true).create(true).open(path);
            opened.map(Mutex::new).map_err(|error| format!("--log-path: {path}: {error}"))
        });
        Ok(Self {
            level: settings.level,
            file: file.transpose()?,
            syslog: settings.use_syslog.then(|| system_log(&settings.syslog_facility)).transpose()?,
        })
    }

    /// Something failed.
    pub(super) fn error(&self, text: &str) {
        self.say(LogLevel::ERROR, "ERROR", text);
    }

    /// Something is not as it was asked for.
    pub(super) fn warning(&self, text: &str) {
        self.say(LogLevel::WARNING, "WARNING", text);
    }

    /// Something was done.
    pub(super) fn info(&self, text: &str) {
        self.say(LogLevel::INFO, "INFO", text);
    }

    fn say(&self, level: LogLevel, label: &str, text: &str) {
        if !self.level.logs(level) {
            return;
        }
        match &self.file {
            None => program::print(format!("{label}: {text}\n").as_bytes()),
            Some(file) => {
                let line = format!("{:.6} {label}: {text}\n", jiff::Timestamp::now());
                // A log that cannot be written is no reason to end.
                let _ = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
            }
        }
        if let Some((formatter, logger)) = &self.syslog {
            let mut logger = logger.lock().unwrap_or_else(PoisonError::into_inner);
            if put(&mut logger, level, text).is_err()
                && let Ok(again) = syslog::unix(formatter.clone())
            {
                // Its daemon was started anew, behind the same name.
                *logger = again;
                let _ = put(&mut logger, level, text);
            }
        }
    }
}

type SystemLog = Logger<LoggerBackend, Formatter3164>;

fn system_log(facility: &str) -> Result<(Formatter3164, Mutex<SystemLog>), String> {
    let facility: Facility =
        facility.parse().map_err(|()| format!("--syslog-facility: no such facility: <{facility}>"))?;
    let formatter = Formatter3164 { facility, hostname: None, process: NAME.to_owned(), pid: process::id() };
    let logger = syslog::unix(formatter.clone()).map_err(|error| format!("--syslog: {error}"))?;
    Ok((formatter, Mutex::new(logger)))
}

fn put(logger: &mut SystemLog, level: LogLevel, text: &str) -> Result<(), syslog::Error> {
    match level {
        LogLevel::ERROR => logger.err(text),
        LogLevel::WARNING => logger.warning(text),
        _ => logger.info(text),
    }
}
