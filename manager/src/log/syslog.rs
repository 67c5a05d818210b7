//! The system's log, which may go away and come back.

use std::io;
use std::process;
use std::time::{Duration, Instant};

use millstream_config::Log;
use syslog::{Formatter3164, LoggerBackend};

use super::line::Line;
use super::priority::{self, IDENTITY};

/// How long a syslog that cannot be reached is left alone: each try costs system calls, for every line.
const SYSLOG_RETRY: Duration = Duration::from_secs(1);

/// The system's log.
#[derive(Default)]
pub(super) struct Syslog {
    logger: Option<syslog::Logger<LoggerBackend, Formatter3164>>,
    /// Lines that it has not taken since it was last reached.
    lost: u64,
    /// When it was last tried in vain.
    tried: Option<Instant>,
}

impl Syslog {
    /// Opens it anew.
    pub(super) fn open(&mut self, settings: &Log) -> Result<(), syslog::Error> {
        let formatter = Formatter3164 {
            facility: priority::facility(&settings.syslog_facility),
            hostname: None,
            process: IDENTITY.to_owned(),
            pid: process::id(),
        };
        self.tried = Some(Instant::now());
        self.logger = Some(syslog::unix(formatter)?);
        Ok(())
    }

    /// Writes a line; says what the other output should tell about it, if anything.
    pub(super) fn write(&mut self, line: &Line, settings: &Log) -> Option<String> {
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
        let text = priority::message(line);
        match priority::severity(line.level) {
            2 => logger.crit(text),
            3 => logger.err(text),
            4 => logger.warning(text),
            5 => logger.notice(text),
            6 => logger.info(text),
            _ => logger.debug(text),
        }
    }
}
