//! The lines of a unit file.

use crate::setting::{Setting, joined, numbered};

/// The keys that are read; others are passed over.
const KEYS: [(&str, &str); 10] = [
    ("Unit", "Description"),
    ("Service", "ExecStart"),
    ("Service", "Environment"),
    ("Service", "EnvironmentFile"),
    ("Socket", "ListenStream"),
    ("Install", "WantedBy"),
    ("Install", "RequiredBy"),
    ("Install", "UpheldBy"),
    ("Install", "Alias"),
    ("Install", "Also"),
];
/// How many lines of a file are kept.
const MAX_ENTRIES: usize = 2000;

/// A line of a unit file or drop-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `Service`, as in `[Service]`.
    pub(crate) section: &'static str,
    /// What stands before the `=`.
    pub(crate) key: &'static str,
    /// What stands behind it, continued lines joined by a blank.
    pub(crate) value: Setting,
}

/// The entries of the file at `path`. What is neither a section, a comment nor an entry is passed over, as systemd does.
pub(crate) fn entries(path: &str, text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut section = String::new();
    let lines = numbered(text).map(|(number, line)| (number, line.trim_start()));
    for (number, line) in joined(lines.filter(|(_, line)| !line.starts_with(['#', ';'])), " ") {
        take(&mut entries, &mut section, path, number, &line);
    }
    entries
}

fn take(entries: &mut Vec<Entry>, section: &mut String, path: &str, number: u32, line: &str) {
    let line = line.trim();
    if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
        name.clone_into(section);
    } else if let Some((key, value)) = line.split_once('=') {
        let key = key.trim();
        let known = KEYS.into_iter().find(|known| *known == (section.as_str(), key));
        if let Some((section, key)) = known.filter(|_| entries.len() < MAX_ENTRIES) {
            entries.push(Entry { section, key, value: Setting::new(value.trim(), path, number, line) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_comments_passed_over() {
        let text = "; x\n[Unit]\nDescription = Foo D \n\n[Service]\nExecStart=/bin/foo \\\n# in between\n  -c C\nodd\nWantedBy=no\n\
                    Restart=always\nEnvironment=\\";
        let read: Vec<_> = entries("/u", text)
            .into_iter()
            .map(|entry| (entry.section, entry.key, entry.value.value, entry.value.by.line))
            .collect();
        let expected = [
            ("Unit", "Description", "Foo D".to_owned(), Some(3)),
            ("Service", "ExecStart", "/bin/foo  -c C".to_owned(), Some(6)),
            ("Service", "Environment", String::new(), Some(12)),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn no_more_is_kept_than_a_unit_has() {
        let text = format!(
            "[{}]\n{}[Install]\n{}",
            "x".repeat(100_000),
            "a=b\n".repeat(100_000),
            "Alias=x\n".repeat(100_000)
        );
        assert_eq!(entries("/u", &text).len(), MAX_ENTRIES);
    }
}
