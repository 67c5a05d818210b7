//! The lines of a unit file.

use crate::setting::{Setting, numbered};

/// A line of a unit file or drop-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `Service`, as in `[Service]`.
    pub(crate) section: String,
    /// What stands before the `=`.
    pub(crate) key: String,
    /// What stands behind it, continued lines joined by a blank.
    pub(crate) value: Setting,
}

/// The entries of the file at `path`. What is neither a section, a comment nor an entry is passed over, as systemd does.
pub(crate) fn entries(path: &str, text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut section = String::new();
    // The lines that are joined, and the number of the first.
    let mut joined: Option<(u32, String)> = None;
    for (number, line) in numbered(text) {
        let line = line.trim_start();
        if line.starts_with(['#', ';']) {
            continue;
        }
        let (first, mut whole) = joined.take().unwrap_or((number, String::new()));
        if let Some(part) = line.strip_suffix('\\') {
            whole.push_str(part);
            whole.push(' ');
            joined = Some((first, whole));
            continue;
        }
        whole.push_str(line);
        take(&mut entries, &mut section, path, first, &whole);
    }
    if let Some((first, whole)) = joined {
        take(&mut entries, &mut section, path, first, &whole);
    }
    entries
}

fn take(entries: &mut Vec<Entry>, section: &mut String, path: &str, number: u32, line: &str) {
    let line = line.trim();
    if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
        name.clone_into(section);
    } else if let Some((key, value)) = line.split_once('=') {
        let value = Setting::new(value.trim(), path, number, line);
        entries.push(Entry { section: section.clone(), key: key.trim().to_owned(), value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_comments_passed_over() {
        let text = "; x\n[Unit]\nDescription = Foo D \n\n[Service]\nExecStart=/bin/foo \\\n# in between\n  -c C\nodd\nKey=\\";
        let read: Vec<_> = entries("/u", text)
            .into_iter()
            .map(|entry| (entry.section, entry.key, entry.value.value, entry.value.by.line))
            .collect();
        let expected = [
            ("Unit", "Description", "Foo D", Some(3)),
            ("Service", "ExecStart", "/bin/foo  -c C", Some(6)),
            ("Service", "Key", "", Some(10)),
        ];
        let expected = expected.map(|(a, b, c, line)| (a.to_owned(), b.to_owned(), c.to_owned(), line));
        assert_eq!(read, expected);
    }
}
