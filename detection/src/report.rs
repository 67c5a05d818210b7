//! What a detector says about one candidate.

use std::fmt;
use std::time::Duration;

/// What was found out about one candidate of a defaults file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The milters to define, in order: none when nothing of it is installed, several where a service has profiles.
    pub milters: Vec<Found>,
    /// Why nothing is defined although something of it is installed: a service that is disabled, a script whose program is gone.
    pub left_out: Option<Evidence>,
    /// The files and links that were looked at, in order, those that are not there included.
    pub looked: Vec<Looked>,
    /// What could not be read or understood.
    pub warnings: Vec<Warning>,
    /// Of the files that were looked at those that are there and could not be read, and count as missing: what they say is not known.
    pub unread: Vec<String>,
}

/// A milter to define.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The name under which it is defined: the candidate's, with the profile's behind it where there are profiles.
    pub name: String,
    /// Whether it is to be used.
    pub enabled: bool,
    /// What decided that.
    pub enabled_by: Evidence,
    /// What the package says of it.
    pub description: Option<String>,
    /// The program that starts it.
    pub command: Option<String>,
    /// The words behind that.
    pub command_options: Option<String>,
    /// Where it listens, as `milter.connection_spec` takes it; not found where `None`.
    pub connection_spec: Option<String>,
    /// Which line said that.
    pub connection_spec_by: Option<Evidence>,
    /// How long the milter keeps clients waiting on purpose at most: to be added to the time limits of writing and reading.
    pub tarpit: Duration,
}

/// A place that decided something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The file or link, without the root's directory.
    pub path: String,
    /// The line in it from 1, where it was one.
    pub line: Option<u32>,
    /// What it says, in a few words: `ENABLED=0`, `not linked from multi-user.target.wants`.
    pub says: String,
}

/// A file or link that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// It, without the root's directory.
    pub path: String,
    /// Whether it is there.
    pub is_there: bool,
}

/// Something odd, which concerns only the candidate that was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The file, without the root's directory.
    pub path: String,
    /// The line in it from 1, where it is one.
    pub line: Option<u32>,
    /// What was expected, what came, and what is done instead.
    pub text: String,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        place(f, &self.path, self.line)?;
        write!(f, ": {}", self.says)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        place(f, &self.path, self.line)?;
        write!(f, ": {}", self.text)
    }
}

fn place(f: &mut fmt::Formatter<'_>, path: &str, line: Option<u32>) -> fmt::Result {
    match line {
        Some(line) => write!(f, "{path}:{line}"),
        None => f.write_str(path),
    }
}
