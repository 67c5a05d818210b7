//! The `rc.conf` files.

use std::collections::BTreeMap;

use crate::root::Unread;
use crate::setting::{Setting, joined, numbered};
use crate::survey::Survey;

/// How many files of a directory `rc.conf.d/NAME` are read.
const MAX_FILES: usize = 64;

/// The variables that `rc.conf` files set. A line counts when it begins with the name; the last one wins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conf {
    settings: BTreeMap<String, Setting>,
}

impl Conf {
    /// Reads those of the service `name`: `files`, and then a file `name`, or the files of a directory `name`, in each of
    /// `directories`.
    pub(crate) fn read(survey: &mut Survey<'_>, files: &[&str], directories: &[&str], name: &str) -> Self {
        let mut conf = Self::default();
        for file in files {
            conf.read_file(survey, file);
        }
        // What could lead elsewhere is no name of a service.
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return conf;
        }
        for directory in directories {
            let path = format!("{directory}/{name}");
            match survey.root().names(&path) {
                Ok(names) if !names.is_empty() => {
                    for file in names.iter().take(MAX_FILES) {
                        conf.read_file(survey, &format!("{path}/{file}"));
                    }
                }
                Ok(_) | Err(Unread::Missing) => conf.read_file(survey, &path),
                Err(Unread::Odd(reason)) => {
                    survey.unread(&path, &reason);
                }
            }
        }
        conf
    }

    /// What `variable` is set to, which may be nothing.
    pub(crate) fn get(&self, variable: &str) -> Option<&Setting> {
        self.settings.get(variable)
    }

    fn read_file(&mut self, survey: &mut Survey<'_>, path: &str) {
        let Some(text) = survey.read(path) else { return };
        let mut open = None;
        for (number, line) in joined(numbered(&text), "") {
            let Some((name, rest)) = line.split_once('=') else { continue };
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                continue;
            }
            match first_word(rest) {
                Some(value) => {
                    self.settings.insert(name.to_owned(), Setting::new(value, path, number, &line));
                }
                None => open = open.or(Some((number, name.to_owned()))),
            }
        }
        if let Some((number, name)) = open {
            let text = format!(
                "the value of {name} was expected, and a quote is not closed; the line does not count"
            );
            survey.warn(path, Some(number), text);
        }
    }
}

/// The value of an assignment: the word behind it with its quotes resolved, empty when none stands there; `None` when a quote is not
/// closed.
fn first_word(rest: &str) -> Option<String> {
    if rest.starts_with(|c: char| c.is_whitespace() || c == '#') {
        return Some(String::new());
    }
    let mut words = shlex::Shlex::new(rest);
    let word = words.next();
    if word.is_none() && words.had_error {
        return None;
    }
    // Another command may follow. No value that is looked for ends so.
    Some(word.unwrap_or_default().trim_end_matches(';').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_word_of_a_shell() {
        for (rest, expected) in [
            ("YES", Some("YES")),
            ("YES;", Some("YES")),
            ("'/x'; export foo_socket", Some("/x")),
            ("yes # on", Some("yes")),
            ("\"/x\" # c", Some("/x")),
            ("\"-p /x -u y\"# c", Some("-p /x -u y#")),
            ("'a b'", Some("a b")),
            ("\"${d}/x\"", Some("${d}/x")),
            ("", Some("")),
            ("# nothing", Some("")),
            (" YES", Some("")),
            ("\"open", None),
        ] {
            assert_eq!(first_word(rest).as_deref(), expected, "{rest}");
        }
    }
}
