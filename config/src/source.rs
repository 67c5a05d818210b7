//! The text of one configuration file, with places in it.

use crate::problem::{Complaint, Problem};

/// A piece of a file, as byte offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// One file as read.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The path under which it was opened.
    pub(crate) name: String,
    bytes: Vec<u8>,
    line_starts: Vec<usize>,
}

/// The longest piece of source that a message quotes, in characters.
const QUOTE: usize = 60;

/// The longest source line that a problem carries, in characters.
const LINE: usize = 240;

impl Source {
    pub(crate) fn new(name: String, bytes: Vec<u8>) -> Self {
        let mut line_starts = vec![0];
        line_starts
            .extend(bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1));
        Self { name, bytes, line_starts }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes at `span`.
    pub(crate) fn text(&self, span: Span) -> &[u8] {
        let end = span.end.min(self.bytes.len());
        &self.bytes[span.start.min(end)..end]
    }

    /// The line of a byte, counted from 1.
    pub(crate) fn line(&self, offset: usize) -> u32 {
        u32::try_from(self.line_index(offset) + 1).unwrap_or(u32::MAX)
    }

    /// The problem that something is wrong at `span`.
    pub(crate) fn problem(&self, span: Span, complaint: Complaint) -> Problem {
        let offset = span.start.min(self.bytes.len());
        let index = self.line_index(offset);
        let start = self.line_starts[index];
        let column = String::from_utf8_lossy(&self.bytes[start..offset]).chars().count() + 1;
        Problem {
            file: self.name.clone(),
            line: self.line(offset),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            message: complaint.message,
            hint: complaint.hint,
            // A mark far to the right helps nobody.
            source_line: (column <= LINE).then(|| shorten(&self.line_text(index), LINE)),
        }
    }

    /// The source at `span`, its first line only and not too long, for messages.
    pub(crate) fn quote(&self, span: Span) -> String {
        let end = span.end.min(self.bytes.len());
        let text = String::from_utf8_lossy(&self.bytes[span.start.min(end)..end]);
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        if lines.next().is_some() { format!("{} ...", shorten(first, QUOTE)) } else { shorten(first, QUOTE) }
    }

    fn line_index(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    fn line_text(&self, index: usize) -> String {
        let start = self.line_starts[index];
        let end = self.line_starts.get(index + 1).copied().unwrap_or(self.bytes.len());
        String::from_utf8_lossy(&self.bytes[start..end]).trim_end_matches(['\r', '\n']).to_owned()
    }
}

fn shorten(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(length).collect();
    short.push_str(" ...");
    short
}
