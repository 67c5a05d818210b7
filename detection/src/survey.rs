//! One detector's look at one candidate: what it reads is noted.

use crate::detector::{Host, Improve};
use crate::report::{Evidence, Found, Looked, Report, Warning};
use crate::root::{Root, Unread};
use crate::setting::{SHOWN, Setting};
use crate::shell::normalise;

/// How many warnings one candidate is good for: an administrator corrects the first ones and looks again.
const MAX_WARNINGS: usize = 50;

/// What a detector reads through.
pub(crate) struct Survey<'a> {
    /// What is looked at.
    pub(crate) host: &'a Host,
    /// The candidate: the name of a script or unit.
    pub(crate) candidate: &'a str,
    improve: Improve<'a>,
    report: Report,
}

/// Where a milter listens.
pub(crate) struct Spec {
    /// As it is defined.
    pub(crate) spec: String,
    /// Which line said that.
    pub(crate) by: Option<Evidence>,
}

impl Spec {
    /// What a milter is defined with: the socket and the line that said it.
    pub(crate) fn parts(spec: Option<Self>) -> (Option<String>, Option<Evidence>) {
        spec.map_or((None, None), |spec| (Some(spec.spec), spec.by))
    }
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
                self.unread(path, &reason);
                None
            }
        }
    }

    /// Notes that a file is there and could not be read.
    pub(crate) fn unread(&mut self, path: &str, reason: &str) {
        self.warn(path, None, format!("cannot be read, and counts as missing: {reason}"));
        if !self.report.unread.iter().any(|unread| unread == path) {
            self.report.unread.push(path.to_owned());
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
        if self.report.warnings.len() < MAX_WARNINGS && !self.report.warnings.contains(&warning) {
            self.report.warnings.push(warning);
        }
    }

    /// The socket of the milter that the detector calls `name`, as it is defined, after who asked for it has had a say. Another
    /// one than was found is said by no line that is known here.
    pub(crate) fn spec(&mut self, name: &str, found: Option<Setting>) -> Option<Spec> {
        let found = found.filter(|found| {
            let why = if found.value.contains(['$', '`']) {
                "is known to a shell only"
            } else if found.value.chars().any(char::is_control) {
                "has a character that no socket's name has"
            } else {
                return true;
            };
            let shown: String = found.value.chars().take(SHOWN).collect();
            let text = format!("a socket was expected, and {shown:?} {why}: it counts as not found");
            self.warn(&found.by.path, found.by.line, text);
            false
        });
        let improved = (self.improve)(name, found.as_ref().map(|found| found.value.as_str()));
        let by = match (&improved, found) {
            (None, Some(found)) => return Some(Spec { spec: normalise(&found.value)?, by: Some(found.by) }),
            (Some(improved), Some(found)) if *improved == found.value => Some(found.by),
            _ => None,
        };
        Some(Spec { spec: normalise(&improved?)?, by })
    }

    /// Notes why what is installed is not defined, where that is what `found` says.
    pub(crate) fn leave_out(&mut self, found: Option<Found>) -> Option<Found> {
        if let Some(found) = found {
            self.leave_out_because(found.enabled_by);
        }
        None
    }

    /// Notes why what is installed is not defined; the first reason counts.
    pub(crate) fn leave_out_because(&mut self, reason: Evidence) {
        self.report.left_out.get_or_insert(reason);
    }

    /// The end.
    pub(crate) fn into_report(self, milters: Vec<Found>) -> Report {
        let left_out = self.report.left_out.filter(|_| milters.is_empty());
        Report { milters, left_out, ..self.report }
    }
}
