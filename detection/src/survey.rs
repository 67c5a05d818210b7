//! One detector's look at one candidate: what it reads is noted.

use crate::detector::{Host, Improve};
use crate::report::{Found, Looked, Report, Warning};
use crate::root::{Root, Unread};

/// What a detector reads through.
pub(crate) struct Survey<'a> {
    /// What is looked at.
    pub(crate) host: &'a Host,
    /// The candidate: the name of a script or unit.
    pub(crate) candidate: &'a str,
    improve: Improve<'a>,
    report: Report,
}

impl<'a> Survey<'a> {
    pub(crate) fn new(host: &'a Host, candidate: &'a str, improve: Improve<'a>) -> Self {
        Self { host, candidate, improve, report: Report::default() }
    }

    /// The files.
    pub(crate) fn root(&self) -> &'a Root {
        &self.host.root
    }

    /// The text of a file; `None` when there is none, or it cannot be read, which is a warning.
    pub(crate) fn read(&mut self, path: &str) -> Option<String> {
        let read = self.root().read(path);
        self.look(path, read != Err(Unread::Missing));
        match read {
            Ok(text) => Some(text),
            Err(Unread::Missing) => None,
            Err(Unread::Odd(reason)) => {
                self.warn(path, None, format!("cannot be read, and counts as missing: {reason}"));
                None
            }
        }
    }

    /// Whether something is there; a link to nothing is not.
    pub(crate) fn exists(&mut self, path: &str) -> bool {
        let exists = self.root().exists(path);
        self.look(path, exists);
        exists
    }

    /// Notes that `path` was looked at.
    pub(crate) fn look(&mut self, path: &str, is_there: bool) {
        if !self.report.looked.iter().any(|looked| looked.path == path) {
            self.report.looked.push(Looked { path: path.to_owned(), is_there });
        }
    }

    /// Notes something odd.
    pub(crate) fn warn(&mut self, path: &str, line: Option<u32>, text: impl Into<String>) {
        let warning = Warning { path: path.to_owned(), line, text: text.into() };
        if !self.report.warnings.contains(&warning) {
            self.report.warnings.push(warning);
        }
    }

    /// The socket of the milter that the detector calls `name`, after who asked for it has had a say.
    pub(crate) fn improve(&mut self, name: &str, spec: Option<&str>) -> Option<String> {
        (self.improve)(name, spec)
    }

    /// The end.
    pub(crate) fn into_report(self, milters: Vec<Found>) -> Report {
        Report { milters, ..self.report }
    }
}
