//! Files, and those that they include.

use super::cursor::Cursor;
use super::parser::Parser;
use super::value::{Duplicate, Object};
use crate::survey::Survey;

/// How many files are read for one.
const MAX_FILES: u32 = 32;
/// How many files may include one another in a row.
const MAX_INCLUDED: usize = 8;

/// Reads files for one object.
pub(crate) struct Reader<'r, 's> {
    survey: &'r mut Survey<'s>,
    variables: &'r [(&'r str, &'r str)],
    /// How many files have been read.
    files: u32,
    /// The files that are being read, each included by the one before it.
    open: Vec<String>,
}

/// Reads the file at `path` with all that it includes; of what is at its top only `worker`s are kept. In it the `variables` are known. What
/// cannot be understood is a warning, and what was read before it counts.
pub(crate) fn read(survey: &mut Survey<'_>, path: &str, variables: &[(&str, &str)]) -> Object {
    let mut object = Object::default();
    let mut reader = Reader { survey, variables, files: 0, open: Vec::new() };
    reader.file(path, &mut object, (0, Duplicate::default()), false);
    object
}

impl Reader<'_, '_> {
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|variable| variable.0 == name).map(|variable| variable.1)
    }

    /// Reads the file that `.include(arguments)` names into `object`.
    pub(crate) fn include(&mut self, path: &str, arguments: &str, object: &mut Object, is_inside: bool) {
        let mut priority = 0;
        let mut duplicate = Duplicate::default();
        for argument in arguments.split([';', ',']) {
            let (key, value) = argument.split_once(['=', ':']).unwrap_or((argument, ""));
            let value = value.trim().trim_matches(['"', '\'']);
            match (key.trim(), value) {
                ("priority", number) => priority = number.parse().unwrap_or(0),
                ("duplicate", "merge") => duplicate = Duplicate::Merge,
                ("duplicate", "rewrite") => duplicate = Duplicate::Rewrite,
                // Such files are modules and maps, and never workers.
                ("glob" | "url", "true") | ("key" | "prefix" | "target", _) => return,
                _ => {}
            }
        }
        if path.starts_with('/') {
            self.file(path, object, (priority, duplicate), is_inside);
        }
    }

    fn file(&mut self, path: &str, object: &mut Object, merge: (u8, Duplicate), is_inside: bool) {
        if self.open.len() > MAX_INCLUDED
            || self.files >= MAX_FILES
            || self.open.iter().any(|open| open == path)
        {
            let text = format!(
                "at most {MAX_FILES} files were expected, {MAX_INCLUDED} in one another, and none in itself: it is not read"
            );
            self.survey.warn(path, None, text);
            return;
        }
        self.files += 1;
        let Some(text) = self.survey.read(path) else { return };
        let (priority, duplicate) = merge;
        let mut parser = Parser { path, cursor: Cursor::new(&text), priority, duplicate, values: 0 };
        self.open.push(path.to_owned());
        let read = parser.file(self, object, is_inside);
        self.open.pop();
        if let Err(odd) = read {
            let text = format!("expected: {}; what stands before it counts", odd.expected);
            self.survey.warn(path, Some(odd.line), text);
        }
    }
}
