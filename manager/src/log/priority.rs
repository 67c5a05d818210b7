//! What syslog and the journal call a level and a facility.

use std::borrow::Cow;

use millstream_config::LogLevel;
use syslog::Facility;

use super::line::Line;

/// The name of the program in every log.
pub(super) const IDENTITY: &str = "milter-manager";

/// The severity of a level, as a number.
pub(super) const fn severity(level: LogLevel) -> u8 {
    match level {
        LogLevel::CRITICAL => 2,
        LogLevel::ERROR => 3,
        LogLevel::WARNING => 4,
        LogLevel::MESSAGE | LogLevel::STATISTICS => 5,
        LogLevel::INFO => 6,
        _ => 7,
    }
}

/// The text of a line: analysers know statistics by the word before it.
pub(super) fn message(line: &Line) -> Cow<'_, str> {
    if line.level == LogLevel::STATISTICS {
        Cow::Owned(format!("[statistics] {}", line.text))
    } else {
        Cow::Borrowed(&line.text)
    }
}

/// A facility by name; one that nobody knows is mail.
pub(super) fn facility(name: &str) -> Facility {
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

/// The same as the number that the journal has.
pub(super) fn facility_number(name: &str) -> u8 {
    // The library has it where syslog's own line has it, left of the severity.
    (facility(name) as u32 >> 3) as u8
}
