//! milter manager's own condition files, where a configuration loads them.

use std::path::Path;
use std::sync::Arc;

use millstream_core::policy::RemarkLevel;

use super::{Evaluator, Result};
use crate::conditions::natives;
use crate::conditions::shipped::{Content, Shipped};
use crate::configuration::Location;
use crate::load::Message;
use crate::problem::Complaint;
use crate::source::{Source, Span};

/// Most lines that a problem lists.
const MOST: usize = 20;

impl Evaluator<'_> {
    /// Whether `path` means only files of milter manager that are not here: what they define is there without them.
    pub(super) fn serves_missing(&mut self, path: &str, at: Span) -> bool {
        let meant = Shipped::meant_by(path);
        for shipped in &meant {
            self.bring_in_file(shipped, None);
        }
        self.say_served(&meant.iter().map(|shipped| shipped.name).collect::<Vec<_>>(), at);
        !meant.is_empty()
    }

    /// Whether the file at `path` is one of milter manager's, so that it is served and not evaluated. That it was edited is a
    /// problem.
    pub(super) fn serves(&mut self, path: &Path, bytes: &[u8]) -> Result<Option<&'static str>> {
        let Some(shipped) = Shipped::at(path) else { return Ok(None) };
        let source = || Source::new(path.to_string_lossy().into_owned(), bytes.to_vec());
        match shipped.content(bytes) {
            Content::Own => Ok(None),
            Content::Original(_) => {
                self.bring_in_file(shipped, Some(&source()));
                Ok(Some(shipped.name))
            }
            Content::Edited(lines) => {
                // Who names its conditions gets no further problems.
                self.bring_in_file(shipped, Some(&source()));
                self.report(source().problem(first(&lines), edited(shipped, &lines, &source())));
                Ok(Some(shipped.name))
            }
        }
    }

    /// Tells the log which files are not evaluated.
    pub(super) fn say_served(&mut self, names: &[&str], at: Span) {
        if names.is_empty() {
            return;
        }
        let files: Vec<_> = names.iter().map(|name| format!("{name}.conf")).collect();
        let text = format!("[condition] built in, so that these are not evaluated: {}", files.join(", "));
        let location = self.location(at);
        if let Some(loading) = self.loading() {
            loading.messages.push(Message { level: RemarkLevel::Message, text, location });
        }
    }

    /// Makes what a file defines the configuration's, with its places in the file.
    fn bring_in_file(&mut self, shipped: &Shipped, source: Option<&Source>) {
        let Some(loading) = self.loading() else { return };
        for name in natives::of_file(shipped.name) {
            let is_new = !loading.configuration.conditions.iter().any(|condition| condition.name == name);
            loading.bring_in(name);
            let (Some(source), Some(condition), true) =
                (source, loading.configuration.conditions.last_mut(), is_new)
            else {
                continue;
            };
            let file: Arc<str> = source.name.as_str().into();
            let place = |line| Some(Location { file: Arc::clone(&file), line });
            if let Some((defined, described)) = places(source, name) {
                condition.location = place(defined);
                condition.description_location = described.and_then(place);
            }
        }
    }
}

/// The lines in which a condition is defined and described.
fn places(source: &Source, name: &str) -> Option<(u32, Option<u32>)> {
    let quoted = format!("\"{name}\"");
    let text = String::from_utf8_lossy(source.bytes()).into_owned();
    let mut lines = (1..).zip(text.lines());
    let (defined, _) =
        lines.find(|(_, line)| line.contains("define_applicable_condition") && line.contains(&quoted))?;
    let described = lines.find(|(_, line)| line.contains("description")).map(|(number, _)| number);
    Some((defined, described))
}

fn first(lines: &[(usize, usize)]) -> Span {
    lines.first().map_or(Span { start: 0, end: 0 }, |(start, end)| Span { start: *start, end: *end })
}

fn edited(shipped: &Shipped, lines: &[(usize, usize)], source: &Source) -> Complaint {
    let name = shipped.name;
    let what = match lines {
        [] => "lines of it are missing or in another order".to_owned(),
        lines => {
            let numbers: Vec<_> =
                lines.iter().take(MOST).map(|(start, _)| source.line(*start).to_string()).collect();
            let more = if lines.len() > MOST { " and more" } else { "" };
            let (word, verb) = if lines.len() == 1 { ("line", "is") } else { ("lines", "are") };
            format!("{word} {}{more} {verb} in no release of it", numbers.join(", "))
        }
    };
    Complaint::with_hint(
        format!("{name}.conf of milter manager was edited and cannot be evaluated: {what}"),
        "its conditions are built in: write the changes into milter-manager.local.conf (docs/conditions.md has the knobs), and \
         remove the file or restore it",
    )
}
