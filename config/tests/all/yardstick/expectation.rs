//! What a snippet can be expected to do.
//!
//! ```text
//! #> manager.pid_file = "/p"             --show-config prints this line; behind it may stand `# line 1`, `# default`
//! #> scanner: milter.enabled = false     or this one, in the block of this milter
//! #> milters: scanner clamav             these are enabled, in this order
//! #> core has max_connections: 5         what core is given (limits and the like), in Rust's words
//! #> core scanner has reading: 3s        what core is given for this milter
//! #> core refuses 1: must set ...        why core is given nothing
//! #> problem 1:9: unknown setting: ...   a problem: FILE:LINE:COLUMN, without FILE in the main file
//! #> hint did you mean ...               the hint of the problem above
//! #> warning 3: ...                      what is hardly meant or has no effect, all of it
//! #> log info loading                    a message of the load, or of the stage above it
//! ```
//!
//! The rest are the lines of a session, see script.rs.

use std::fmt::Write as _;

use millstream_config::{Configuration, Loaded};
use millstream_core::policy::{ChildIndex, Endpoint, FailureKind, Policy, Route};

use super::script::Script;
use super::snippet::{Expected, MAIN, Snippet};
use crate::common::{Directory, listed, no_directories};

/// What is not as expected.
pub(crate) fn check(snippet: &Snippet) -> Vec<String> {
    let files: Vec<_> = snippet.files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let directory = Directory::new(&files);
    let mut check = Check { loaded: directory.load(), directory, failures: Vec::new(), snippet };
    check.all();
    check.failures
}

struct Check<'s> {
    loaded: Loaded,
    directory: Directory,
    failures: Vec<String>,
    snippet: &'s Snippet,
}

impl Check<'_> {
    fn all(&mut self) {
        self.problems();
        self.warnings();
        if self.loaded.problems.is_empty() {
            self.shown_again();
        }
        let mut failures = Vec::new();
        let mut script = Script::new(&self.loaded, format!("{}/", self.directory.path().display()));
        for expected in &self.snippet.expected {
            let text = &*expected.text;
            let word = text.split(' ').next().unwrap_or_default();
            let found = match word {
                "problem" | "hint" | "warning" => continue,
                "milters:" => is(&format!("milters: {}", enabled(&self.loaded.configuration)), text),
                "core" => self.given_to_core(text),
                _ if text.contains(" = ") && (word.contains('.') || word.ends_with(':')) => self.shows(text),
                _ => script.line(text),
            };
            if let Err(found) = found {
                let title = &self.snippet.title;
                failures.push(format!("{}: {title}: {}\n    but: {found}", expected.place, expected.text));
            }
        }
        if let Err(found) = script.end() {
            failures.push(format!("{}: {found}", self.snippet.title));
        }
        self.failures.append(&mut failures);
    }

    fn lines(&self, word: &str) -> Vec<String> {
        let lines = self.snippet.expected.iter().filter_map(|expected| expected.text.strip_prefix(word));
        lines.map(str::to_owned).collect()
    }

    /// Without the directory and the name of the main file.
    fn short(&self, text: &str) -> String {
        let directory = format!("{}/", self.directory.path().display());
        text.replace(&format!("{directory}{MAIN}:"), "").replace(&directory, "")
    }

    fn problems(&mut self) {
        let problems = &self.loaded.problems;
        let mut found = Vec::new();
        for problem in problems {
            found.push(format!("problem {}", self.short(problem.to_string().lines().next().unwrap())));
            found.extend(problem.hint.as_ref().map(|hint| format!("hint {}", self.short(hint))));
        }
        let about = |expected: &&Expected| {
            expected.text.starts_with("problem ") || expected.text.starts_with("hint ")
        };
        let expected: Vec<_> =
            self.snippet.expected.iter().filter(about).map(|expected| &expected.text).collect();
        // Hints can be left out.
        if !expected.iter().any(|text| text.starts_with("hint ")) {
            found.retain(|text| text.starts_with("problem "));
        }
        if !expected.iter().eq(&found.iter().collect::<Vec<_>>()) {
            self.failures.push(format!("{}: problems\n{}", self.snippet.title, found.join("\n")));
        }
    }

    fn warnings(&mut self) {
        let expected = self.lines("warning ");
        let configuration = &self.loaded.configuration;
        let warnings = configuration.warnings().into_iter().map(|warning| warning.to_string());
        let without_effect = configuration.without_effect().into_iter().map(|remark| remark.to_string());
        let found: Vec<_> = warnings.chain(without_effect).map(|text| self.short(&text)).collect();
        if !expected.is_empty() && expected != found {
            self.failures.push(format!("{}: warnings\n{}", self.snippet.title, found.join("\n")));
        }
    }

    /// What is printed loads again to the same.
    fn shown_again(&mut self) {
        let shown = without_places(&self.loaded.configuration.show());
        let again = millstream_config::load_str("again.conf", &shown, &no_directories());
        if !again.problems.is_empty() {
            self.failures.push(format!("{}: shown\n{}", self.snippet.title, listed(&again.problems)));
        }
        if without_places(&again.configuration.show()) != shown {
            self.failures.push(format!("{}: shown, it loads to another configuration", self.snippet.title));
        }
        let of = |loaded: &Loaded| loaded.configuration.clone().without_locations();
        if of(&again) != of(&self.loaded) {
            self.failures.push(format!("{}: shown, it loads to other values", self.snippet.title));
        }
    }

    fn shows(&self, text: &str) -> Result<(), String> {
        let (text, place) = text.split_once(" # ").unwrap_or((text, ""));
        let shown = self.loaded.configuration.show();
        let (block, line) = match text.split_once(": milter.") {
            Some((name, rest)) => {
                let block = shown.split(&format!("define_milter({name:?})")).nth(1).unwrap_or_default();
                (block.split("\nend").next().unwrap_or_default(), format!("milter.{rest}"))
            }
            None => (&*shown, text.to_owned()),
        };
        let key = line.split(" = ").next().unwrap_or_default();
        let lines: Vec<_> = block.lines().map(str::trim_start).collect();
        let at = lines.iter().position(|shown| shown.starts_with(&format!("{key} = ")));
        let at = at.ok_or("it is not shown")?;
        let comment = self.short(at.checked_sub(1).map_or("", |before| lines[before]));
        let comment = comment.replace("# ", "");
        let found = if comment.parse::<u32>().is_ok() { format!("line {comment}") } else { comment };
        is(lines[at], &line)?;
        if place.is_empty() { Ok(()) } else { is(&found, place) }
    }

    /// `core has X` and `core MILTER has X`
    fn given_to_core(&self, text: &str) -> Result<(), String> {
        let policy = self.loaded.configuration.policy();
        if let Some(wanted) = text.strip_prefix("core refuses ") {
            let problems = policy.err().unwrap_or_default();
            return is(&self.short(listed(&problems).lines().next().unwrap_or_default()), wanted);
        }
        let (whose, wanted) = text.split_once("has ").ok_or("`core has ...`, `core MILTER has ...`")?;
        let policy = policy.map_err(|problems| listed(&problems))?;
        let name = whose.trim_start_matches("core").trim();
        let given = if name.is_empty() {
            let (limits, lazy) = (policy.limits(), policy.lazy_connect());
            format!(
                "{limits:?}, fallback: {:?}, recipients: {:?}, unfiltered_header: {:?}, lazy_connect: {lazy}",
                policy.fallback(),
                policy.recipients(),
                policy.unfiltered_header(),
            )
        } else {
            child(&*policy, name).ok_or("no such milter")?
        };
        if given.contains(wanted) { Ok(()) } else { Err(given) }
    }
}

fn child(policy: &dyn Policy, name: &str) -> Option<String> {
    let at = policy.children().iter().position(|child| &*child.name == name)?;
    let index = ChildIndex(u16::try_from(at).ok()?);
    let child = &policy.children()[at];
    let mut given = format!("{:?}, connects to", Route { endpoints: [].into(), ..(*child.route).clone() });
    for endpoint in &child.route.endpoints {
        match endpoint {
            Endpoint::Unix(path) => write!(given, " unix:{}", String::from_utf8_lossy(path)).unwrap(),
            Endpoint::Tcp(addresses) => write!(given, " {addresses:?}").unwrap(),
        }
    }
    write!(given, ", {:?}, evaluation_mode: {}", child.timeouts, child.evaluation_mode).unwrap();
    for kind in FailureKind::ALL {
        write!(given, ", at {kind:?}: {:?}", policy.fallback_for(index, kind)).unwrap();
    }
    let (independent, pipelining) = (policy.independent(index), policy.pipelining(index));
    write!(given, ", independent: {independent}, pipelining: {pipelining}").unwrap();
    Some(given)
}

fn enabled(configuration: &Configuration) -> String {
    let names: Vec<_> =
        configuration.milters.iter().filter(|milter| milter.enabled).map(|milter| &*milter.name).collect();
    names.join(" ")
}

fn without_places(shown: &str) -> String {
    shown
        .lines()
        .filter(|line| !line.trim_start().starts_with("# "))
        .map(|line| format!("{line}\n"))
        .collect()
}

pub(crate) fn is(found: &str, expected: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(found.to_owned()) }
}
