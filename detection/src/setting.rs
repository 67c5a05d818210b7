//! A value with the line that gives it.

use crate::report::Evidence;

/// The longest piece of a line that is shown.
pub(crate) const SHOWN: usize = 160;

/// A value that a file gives, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The value, without what its file puts around it.
    pub(crate) value: String,
    /// The line that says so.
    pub(crate) by: Evidence,
}

impl Setting {
    /// `value`, which `line` (from 1) of the file at `path` gives with the words `says`.
    pub(crate) fn new(value: impl Into<String>, path: &str, line: u32, says: &str) -> Self {
        Self { value: value.into(), by: Evidence::line(path, line, says) }
    }

    /// Another value taken out of this one, by the same line.
    pub(crate) fn with(&self, value: impl Into<String>) -> Self {
        Self { value: value.into(), by: self.by.clone() }
    }
}

impl Evidence {
    /// What a line of a file says; of a long line the beginning.
    pub(crate) fn line(path: &str, line: u32, says: &str) -> Self {
        let says = says.trim();
        let says = match says.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{} ...", &says[..end]),
            None => says.to_owned(),
        };
        Self { path: path.to_owned(), line: Some(line), says }
    }

    /// What is true of a whole file or link.
    pub(crate) fn whole(path: &str, says: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, says: says.into() }
    }
}

/// The lines of a text with their numbers from 1.
pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (u32, &str)> {
    (1..).zip(text.lines())
}
