//! Assignments, the last one of each name.

use std::collections::BTreeMap;

use super::expand;
use crate::setting::{Setting, numbered};

/// How many variables are kept: more than any script or file of settings has.
const MAX_VARIABLES: usize = 5000;

/// What a name may consist of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Capitals, digits and `_`, as Debian's scripts have it.
    Capital,
    /// Lower case too, as Red Hat's and rc scripts have it.
    Any,
}

/// The variables of scripts and of files of `NAME=value` lines. There is no control flow: the last assignment wins, even one in an `if`.
#[derive(Debug, Clone)]
pub(crate) struct Variables {
    names: Names,
    settings: BTreeMap<String, Setting>,
}

impl Variables {
    pub(crate) fn new(names: Names) -> Self {
        Self { names, settings: BTreeMap::new() }
    }

    /// Takes the assignments of the file at `path`, which override those from before. In its values `$name`, in lower case, is
    /// `own_name`, unless the variable is known.
    pub(crate) fn read(&mut self, path: &str, text: &str, own_name: &str) {
        for (number, line) in numbered(text) {
            self.read_line(path, number, line, own_name);
        }
    }

    /// Takes the assignment of one line, if it has one.
    pub(crate) fn read_line(&mut self, path: &str, number: u32, line: &str, own_name: &str) {
        if let Some((name, value)) = assignment(line, self.names) {
            self.set(name, Setting::new(value, path, number, line), own_name);
        }
    }

    /// Assigns `setting`, its quotes taken off and what it names expanded. A parameter of a function (`$1`) is no value, and what was
    /// there stays.
    pub(crate) fn set(&mut self, name: &str, mut setting: Setting, own_name: &str) {
        let value = unquoted(&setting.value);
        if value
            .strip_prefix('$')
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        {
            return;
        }
        if self.settings.len() >= MAX_VARIABLES && !self.settings.contains_key(name) {
            return;
        }
        setting.value = expand(value, |name| self.value(name).or((name == "name").then_some(own_name)));
        self.settings.insert(name.to_owned(), setting);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Setting> {
        self.settings.get(name)
    }

    /// The first of `names` that has a value: an empty one counts as none.
    pub(crate) fn first(&self, names: &[&str]) -> Option<&Setting> {
        names.iter().find_map(|name| self.get(name).filter(|setting| !setting.value.trim().is_empty()))
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        Some(&self.get(name)?.value)
    }
}

/// The first assignment in a line, which may stand anywhere in it, behind a test or in an `if`: its name, and the value with its quotes.
pub(crate) fn assignment(line: &str, names: Names) -> Option<(&str, &str)> {
    let line = without_comment(line);
    let mut from = 0;
    while let Some(at) = line[from..].find('=').map(|at| from + at) {
        from = at + 1;
        let start = line[..at]
            .rfind(|c: char| !is_word(c))
            .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
        let name = &line[start..at];
        let fits = |c: char| {
            c.is_ascii_digit()
                || c.is_ascii_uppercase()
                || c == '_'
                || names == Names::Any && c.is_ascii_lowercase()
        };
        if !name.is_empty() && name.chars().all(fits) {
            return Some((name, first_word(&line[from..])));
        }
    }
    None
}

/// A line up to its first `#`, in quotes too: so it has always been read, and no socket has one.
pub(crate) fn without_comment(line: &str) -> &str {
    line.split_once('#').map_or(line, |(line, _)| line)
}

/// A quoted text with its quotes, else what there is up to a blank.
fn first_word(text: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(end) = text.strip_prefix(quote).and_then(|text| text.find(quote)) {
            return &text[..end + 2];
        }
    }
    let word = &text[..text.find(char::is_whitespace).unwrap_or(text.len())];
    word.trim_end_matches(';')
}

/// A text without one pair of equal quotes around it.
fn unquoted(text: &str) -> &str {
    ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(text)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_assignment_of_a_line_is_found_wherever_it_stands() {
        for (line, names, expected) in [
            ("A=1 SOCKET=/two", Names::Capital, Some(("A", "1"))),
            ("[ -z \"$SOCKET\" ] && SOCKET=local:/x", Names::Capital, Some(("SOCKET", "local:/x"))),
            ("[ \"$a\" = x ] && B='c d' # E=f", Names::Capital, Some(("B", "'c d'"))),
            ("\tif x; then SOCKET=/y; fi", Names::Capital, Some(("SOCKET", "/y"))),
            ("export SOCKET=\"a\"b", Names::Capital, Some(("SOCKET", "\"a\""))),
            ("SOCKET=\"inet:1@h#x\"", Names::Capital, Some(("SOCKET", "\"inet:1@h"))),
            ("lower=1", Names::Capital, None),
            ("lower=1", Names::Any, Some(("lower", "1"))),
            ("mixedUP=1", Names::Capital, None),
            ("éUP=1", Names::Capital, None),
            ("“UP=1", Names::Capital, Some(("UP", "1"))),
            ("# SOCKET=/x", Names::Capital, None),
            ("SOCKET =x", Names::Capital, None),
            ("SOCKET=", Names::Capital, Some(("SOCKET", ""))),
            ("=", Names::Any, None),
        ] {
            assert_eq!(assignment(line, names), expected, "{line}");
        }
    }

    #[test]
    fn later_lines_override_and_know_the_earlier_ones() {
        let mut variables = Variables::new(Names::Any);
        variables.read(
            "/etc/init.d/foo",
            "D=/run/$name\nS=$D/s\n\nS=$1\nO=\"-p $S\"\nO=\"$O -P x\"\n",
            "foo",
        );
        variables.read("/etc/default/foo", "D=/other\n", "foo");
        assert_eq!(variables.value("S"), Some("/run/foo/s"));
        assert_eq!(variables.value("D"), Some("/other"));
        assert_eq!(variables.get("O").unwrap().by.to_string(), "/etc/init.d/foo:6: O=\"$O -P x\"");
        assert_eq!(variables.value("O"), Some("-p /run/foo/s -P x"));
        assert_eq!(variables.first(&["NONE", "S"]).unwrap().by.line, Some(2));
    }

    #[test]
    fn a_file_that_doubles_a_value_on_each_line_stays_small() {
        let mut variables = Variables::new(Names::Any);
        variables.read("/f", &"A=$A$A\n".repeat(1000).replacen("$A$A", "xy", 1), "foo");
        assert!(variables.value("A").unwrap().len() <= 4096);
    }
}
