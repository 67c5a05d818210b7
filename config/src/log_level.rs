//! The set of log levels, and the text form of it.

use std::fmt;

/// The levels that are logged. Each level is independent of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LogLevel(u16);

/// A text names levels that do not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown flag names: [{}](<MilterLogLevelFlags>)", bracketed(.unknown))]
pub struct LogLevelError {
    /// The unknown names, as written.
    pub unknown: Vec<String>,
}

impl LogLevel {
    /// Nothing said: what is logged is the default set.
    pub const DEFAULT: Self = Self(0);
    /// Nothing is logged.
    pub const NONE: Self = Self(1);
    /// Trouble that ends the program.
    pub const CRITICAL: Self = Self(1 << 1);
    /// Something failed.
    pub const ERROR: Self = Self(1 << 2);
    /// Something is suspicious.
    pub const WARNING: Self = Self(1 << 3);
    /// What an administrator wants to see.
    pub const MESSAGE: Self = Self(1 << 4);
    /// Detail.
    pub const INFO: Self = Self(1 << 5);
    /// Detail for developers.
    pub const DEBUG: Self = Self(1 << 6);
    /// Calls.
    pub const TRACE: Self = Self(1 << 7);
    /// The lines from which statistics are made.
    pub const STATISTICS: Self = Self(1 << 8);
    /// Time measurements.
    pub const PROFILE: Self = Self(1 << 9);
    /// Every level.
    pub const ALL: Self = Self(0b11_1111_1110);

    /// What [`DEFAULT`](Self::DEFAULT) stands for: critical, error, warning, message and statistics.
    pub const DEFAULT_SET: Self =
        Self(Self::CRITICAL.0 | Self::ERROR.0 | Self::WARNING.0 | Self::MESSAGE.0 | Self::STATISTICS.0);

    /// Whether anything of `level` is logged.
    #[must_use]
    pub const fn logs(self, level: Self) -> bool {
        self.effective().0 & level.0 & Self::ALL.0 != 0
    }

    /// The levels themselves: the default set when nothing was said.
    #[must_use]
    pub const fn effective(self) -> Self {
        if self.0 == 0 { Self::DEFAULT_SET } else { self }
    }

    /// Reads names joined by `|`. A sign before the whole text starts from `self` and adds or removes; each name may
    /// carry its own sign.
    ///
    /// # Errors
    ///
    /// [`LogLevelError`] with every unknown name.
    pub fn apply(self, text: &str) -> Result<Self, LogLevelError> {
        let text = text.trim();
        if text.is_empty() || text == "default" {
            return Ok(Self::DEFAULT);
        }
        let (mut bits, whole, names) = match text.strip_prefix(['+', '-']) {
            Some(names) => (self.effective().0, Sign::of(text), names),
            None => (0, Sign::Add, text),
        };
        let mut unknown = Vec::new();
        for written in names.split('|').map(str::trim) {
            let (sign, name) = match written.strip_prefix(['+', '-']) {
                Some(name) => (Sign::of(written), name.trim()),
                None => (whole, written),
            };
            match (bits_of(name), sign) {
                (Some(named), Sign::Add) => bits |= named,
                (Some(named), Sign::Remove) => bits &= !named,
                (None, _) => unknown.push(name.to_owned()),
            }
        }
        if !unknown.is_empty() {
            return Err(LogLevelError { unknown });
        }
        // Everything removed must not turn into "nothing said".
        Ok(if bits == 0 { Self::NONE } else { Self(bits) })
    }
}

#[derive(Debug, Clone, Copy)]
enum Sign {
    Add,
    Remove,
}

impl Sign {
    fn of(text: &str) -> Self {
        if text.starts_with('-') { Self::Remove } else { Self::Add }
    }
}

/// The names in the order in which they are shown.
const NAMES: [(&str, LogLevel); 10] = [
    ("none", LogLevel::NONE),
    ("critical", LogLevel::CRITICAL),
    ("error", LogLevel::ERROR),
    ("warning", LogLevel::WARNING),
    ("message", LogLevel::MESSAGE),
    ("info", LogLevel::INFO),
    ("debug", LogLevel::DEBUG),
    ("trace", LogLevel::TRACE),
    ("statistics", LogLevel::STATISTICS),
    ("profile", LogLevel::PROFILE),
];

fn bits_of(name: &str) -> Option<u16> {
    match name {
        "default" => Some(LogLevel::DEFAULT_SET.0),
        "all" => Some(LogLevel::ALL.0),
        _ => NAMES.iter().find(|(known, _)| *known == name).map(|(_, level)| level.0),
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("default");
        }
        let names: Vec<_> =
            NAMES.iter().filter(|(_, level)| self.0 & level.0 != 0).map(|(name, _)| *name).collect();
        f.write_str(&names.join("|"))
    }
}

fn bracketed(unknown: &[String]) -> String {
    unknown.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join("|")
}
