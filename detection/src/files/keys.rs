//! Files whose lines are a key and its value: those of clamav-milter, and of opendkim and its kin.

use crate::setting::{Setting, numbered};
use crate::survey::Survey;

/// How many files one may include in a row.
const MAX_DEPTH: usize = 4;
/// How many files are read for one at most.
const MAX_FILES: usize = 32;

/// What `clamav-milter.conf` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Clamav {
    /// `MilterSocket`.
    pub(crate) socket: Option<Setting>,
    /// The `Example` line, with which clamav-milter refuses to start.
    pub(crate) example: Option<Setting>,
}

/// Reads a `clamav-milter.conf`: of several lines with a key the last one counts.
pub(crate) fn clamav(survey: &mut Survey<'_>, path: &str) -> Clamav {
    let text = survey.read(path).unwrap_or_default();
    let last = |key| settings(path, &text, key).last();
    Clamav {
        socket: last("MilterSocket").filter(|socket| !socket.value.is_empty()),
        example: last("Example"),
    }
}

/// The `Socket` of an `opendkim.conf`, or of a file of its kind: those of opendmarc, dkimpy-milter, pyspf-milter, sid-milter. A file that
/// it includes counts where it does so.
pub(crate) fn opendkim(survey: &mut Survey<'_>, path: &str) -> Option<Setting> {
    let mut read = Vec::new();
    socket(survey, path, &mut read, 0)
}

fn socket(survey: &mut Survey<'_>, path: &str, read: &mut Vec<String>, depth: usize) -> Option<Setting> {
    if depth > MAX_DEPTH || read.len() >= MAX_FILES || read.iter().any(|read| read == path) {
        return None;
    }
    read.push(path.to_owned());
    let text = survey.read(path)?;
    let mut found = None;
    for (number, line) in numbered(&text) {
        let Some((key, value)) = key_and_value(line) else { continue };
        if key.eq_ignore_ascii_case("Socket") && !value.is_empty() {
            found = Some(Setting::new(value, path, number, line));
        } else if key.eq_ignore_ascii_case("Include") && value.starts_with('/') {
            found = socket(survey, value, read, depth + 1).or(found);
        }
    }
    found
}

fn settings<'a>(path: &'a str, text: &'a str, wanted: &'a str) -> impl Iterator<Item = Setting> + 'a {
    numbered(text).filter_map(move |(number, line)| {
        let (key, value) = key_and_value(line)?;
        key.eq_ignore_ascii_case(wanted).then(|| Setting::new(value, path, number, line))
    })
}

/// A line's key, which is one word, and what stands behind it or a `=`, without a comment or quotes around it.
fn key_and_value(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let end = line.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    if key.is_empty() || !(rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || c == '=')) {
        return None;
    }
    let rest = rest.trim_start();
    let value = rest.strip_prefix('=').unwrap_or(rest);
    // Behind a blank, so that a `#` in a name is none.
    let comment = value.find(" #").or_else(|| value.find("\t#"));
    let value = value[..comment.unwrap_or(value.len())].trim();
    let value = if value.starts_with('#') { "" } else { value };
    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    Some((key, bare.unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_key_and_the_rest() {
        for (line, expected) in [
            ("MilterSocket /run/x", Some(("MilterSocket", "/run/x"))),
            ("\tSocket\t\tinet:1@h \t ", Some(("Socket", "inet:1@h"))),
            ("Socket local:/x # here", Some(("Socket", "local:/x"))),
            ("Socket \"local:/x\"\t# here", Some(("Socket", "local:/x"))),
            ("Example", Some(("Example", ""))),
            ("Example # remove this", Some(("Example", ""))),
            ("Socket = inet:8893@localhost", Some(("Socket", "inet:8893@localhost"))),
            ("Socket=inet:8893@localhost", Some(("Socket", "inet:8893@localhost"))),
            ("#Socket x", None),
            ("", None),
            ("milter.socket x", None),
        ] {
            assert_eq!(key_and_value(line), expected, "{line}");
        }
    }
}
