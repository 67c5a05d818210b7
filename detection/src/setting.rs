//! A value with the line that gives it.

use std::borrow::Cow;

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

/// The same, where a line that ends in `\` goes on in the next one of `lines`, behind `between`, and has the number of its first.
pub(crate) fn joined<'t>(
    lines: impl Iterator<Item = (u32, &'t str)>,
    between: &'static str,
) -> impl Iterator<Item = (u32, Cow<'t, str>)> {
    let mut lines = lines;
    std::iter::from_fn(move || {
        let (number, first) = lines.next()?;
        let mut line = Cow::Borrowed(first);
        while line.ends_with('\\') {
            let whole = line.to_mut();
            whole.pop();
            let Some((_, next)) = lines.next() else { break };
            whole.push_str(between);
            whole.push_str(next);
        }
        Some((number, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_on_behind_a_backslash() {
        let text = "a\nb \\\n  c\\\nd\n# e\nf\\";
        let lines: Vec<_> = joined(numbered(text), "").collect();
        assert_eq!(lines, [(1, "a".into()), (2, "b   cd".into()), (5, "# e".into()), (6, "f".into())]);
        let lines: Vec<_> = joined(numbered(text), " ").collect();
        assert_eq!(lines, [(1, "a".into()), (2, "b    c d".into()), (5, "# e".into()), (6, "f".into())]);
    }
}
