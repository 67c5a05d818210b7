//! How a line of the file or terminal looks: which items it begins with, and its colours.
//!
//! Both are said by the environment alone, as with milter manager.

use std::fmt::Write as _;
use std::process;

use millstream_config::LogLevel;

use super::line::Line;
use super::priority::IDENTITY;
use super::stamp::Stamp;

/// What a line begins with, in the order in which it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Items {
    level: bool,
    domain: bool,
    time: bool,
    name: bool,
    pid: bool,
}

impl Default for Items {
    fn default() -> Self {
        Self { time: true, ..Self::NONE }
    }
}

impl Items {
    const NONE: Self = Self { level: false, domain: false, time: false, name: false, pid: false };

    /// Reads names joined by `|`; with a sign before all, or before each, what is there already is changed.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if matches!(text, "" | "default") {
            return Ok(Self::default());
        }
        let (mut items, adds, names) = match text.strip_prefix(['+', '-']) {
            Some(names) => (Self::default(), text.starts_with('+'), names),
            None => (Self::NONE, true, text),
        };
        for written in names.split('|').map(str::trim) {
            let (adds, name) = match written.strip_prefix(['+', '-']) {
                Some(name) => (written.starts_with('+'), name.trim()),
                None => (adds, written),
            };
            items.set(name, adds)?;
        }
        Ok(items)
    }

    fn set(&mut self, name: &str, to: bool) -> Result<(), String> {
        match name {
            "none" => *self = Self::NONE,
            "all" => *self = Self { level: to, domain: to, time: to, name: to, pid: to },
            "level" => self.level = to,
            "domain" => self.domain = to,
            "time" => self.time = to,
            "name" => self.name = to,
            "pid" => self.pid = to,
            // There is no line of a program behind a line of the log that an administrator could look up.
            "location" => {}
            other => {
                return Err(format!(
                    "unknown item {other:?}; there are: level, domain, time, name, pid, location, none, all, default"
                ));
            }
        }
        Ok(())
    }

    /// A line as it is written, with its end.
    pub(super) fn write(self, text: &mut String, line: &Line, stamp: &mut Stamp, coloured: bool) {
        let begin = text.len();
        // Memory takes everything that is written to it.
        if self.level {
            let _ = write!(text, "[{}]", line.level);
        }
        if self.domain {
            let _ = write!(text, "[{IDENTITY}]");
        }
        if self.time {
            text.push('[');
            stamp.write(text, line.at);
            text.push(']');
        }
        if self.name {
            let _ = write!(text, " [{IDENTITY}]");
        }
        if self.pid {
            let _ = write!(text, "[{}]", process::id());
        }
        if text.len() > begin {
            text.push_str(": ");
        }
        match colour(line.level).filter(|_| coloured) {
            Some(colour) => {
                let _ = writeln!(text, "\x1b[{colour}m{}\x1b[00m", line.text);
            }
            None => {
                text.push_str(&line.text);
                text.push('\n');
            }
        }
    }
}

/// When lines are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Colours {
    /// Where they come to a terminal that has colours.
    #[default]
    Terminal,
    Never,
    Always,
}

impl Colours {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "default" | "" => Ok(Self::Terminal),
            "none" => Ok(Self::Never),
            "console" => Ok(Self::Always),
            other => Err(format!("unknown way {other:?}; there are: default, none, console")),
        }
    }

    /// Whether to colour what goes to `output`, with the terminal that `TERM` names.
    pub(super) fn on(self, output: &impl std::io::IsTerminal, term: &str) -> bool {
        let is_known = matches!(term, "screen" | "linux")
            || ["term", "term-color", "term-256color"].iter().any(|end| term.ends_with(end));
        match self {
            Self::Terminal => is_known && output.is_terminal(),
            Self::Never => false,
            Self::Always => true,
        }
    }
}

/// Foreground and background of a level, as terminals count them.
const fn colour(level: LogLevel) -> Option<&'static str> {
    match level {
        LogLevel::CRITICAL => Some("33;41"),
        LogLevel::ERROR => Some("37;41"),
        LogLevel::WARNING => Some("37;43"),
        LogLevel::MESSAGE => Some("37;42"),
        LogLevel::INFO => Some("37;46"),
        LogLevel::DEBUG => Some("37;44"),
        LogLevel::TRACE => Some("37;45"),
        LogLevel::STATISTICS => Some("34;47"),
        LogLevel::PROFILE => Some("32;40"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn written(items: &str, coloured: bool) -> String {
        let mut line = Line::now(LogLevel::ERROR, "[a] text".to_owned());
        line.at = UNIX_EPOCH + Duration::from_secs(1);
        let mut text = String::new();
        Items::parse(items).unwrap().write(&mut text, &line, &mut Stamp::default(), coloured);
        text.replace(&process::id().to_string(), "PID")
    }

    #[test]
    fn a_line_begins_with_the_items_that_are_asked_for() {
        assert_eq!(written("", false), "[1970-01-01T00:00:01Z]: [a] text\n");
        assert_eq!(written("+level", false), "[error][1970-01-01T00:00:01Z]: [a] text\n");
        assert_eq!(written("pid|name", false), " [milter-manager][PID]: [a] text\n");
        assert_eq!(written("-time", false), "[a] text\n");
        assert_eq!(
            written("all|-pid", false),
            "[error][milter-manager][1970-01-01T00:00:01Z] [milter-manager]: [a] text\n"
        );
        assert!(Items::parse("time|tmie").unwrap_err().contains("\"tmie\""));
    }

    #[test]
    fn only_the_message_is_coloured() {
        assert_eq!(written("level", true), "[error]: \x1b[37;41m[a] text\x1b[00m\n");
    }

    #[test]
    fn a_file_gets_colours_only_when_told() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(!Colours::parse("default").unwrap().on(&file, "xterm"));
        assert!(Colours::parse("console").unwrap().on(&file, "dumb"));
        assert!(Colours::parse("green").is_err());
    }
}
