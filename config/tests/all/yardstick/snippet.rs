//! A file of snippets taken apart.

/// A configuration and what is expected of it.
pub(crate) struct Snippet {
    /// What it is for.
    pub(crate) title: String,
    /// Name and text; the first is the main file.
    pub(crate) files: Vec<(String, String)>,
    pub(crate) expected: Vec<Expected>,
}

/// A line that says what is expected.
pub(crate) struct Expected {
    /// The file of snippets and the line in it.
    pub(crate) place: String,
    pub(crate) text: String,
}

pub(crate) const MAIN: &str = "milter-manager.conf";

pub(crate) fn parse(file: &str, text: &str) -> Vec<Snippet> {
    let mut snippets: Vec<Snippet> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let place = format!("{file}.conf:{}", at + 1);
        if let Some(title) = line.strip_prefix("## ") {
            let files = vec![(MAIN.to_owned(), String::new())];
            snippets.push(Snippet { title: title.to_owned(), files, expected: Vec::new() });
            continue;
        }
        let Some(snippet) = snippets.last_mut() else {
            assert!(line.is_empty() || line.starts_with("# "), "{place}: before the first snippet: {line}");
            continue;
        };
        if let Some(text) = line.strip_prefix("#> ") {
            snippet.expected.push(Expected { place, text: text.to_owned() });
        } else if let Some(name) = line.strip_prefix("#file ") {
            snippet.files.push((name.to_owned(), String::new()));
        } else {
            let text = &mut snippet.files.last_mut().unwrap().1;
            text.push_str(line);
            text.push('\n');
        }
    }
    snippets
}
