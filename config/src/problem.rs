//! What is wrong with a configuration, and where.

use std::fmt;

/// One thing that is wrong with a configuration.
///
/// Shown as `file:line:column: message`, the line itself with a mark below the place, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The path under which the file was opened, or the name given to it.
    pub file: String,
    /// Counted from 1; 0 when the problem is about the whole file.
    pub line: u32,
    /// In characters, counted from 1; 0 when the problem is about the whole file or line.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to write or do instead.
    pub hint: Option<String>,
    /// The line as it stands in the file, without its end; cut when very long, absent when the place is far to the
    /// right in it.
    pub source_line: Option<String>,
}

impl Problem {
    /// A problem with a file as a whole.
    pub(crate) fn of_file(file: &str, complaint: Complaint) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            message: complaint.message,
            hint: complaint.hint,
            source_line: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(line) = &self.source_line {
            write!(f, "\n    {line}")?;
            if self.column > 0 {
                write!(f, "\n    {}^", padding(line, self.column))?;
            }
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n    hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// As wide as what stands before `column`: tabs stay tabs.
fn padding(line: &str, column: u32) -> String {
    let before = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    line.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect()
}

/// What is wrong, before it is known where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// What is wrong.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) hint: Option<String>,
}

impl Complaint {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(crate) fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }
}
