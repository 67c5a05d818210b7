//! Vectors of rc scripts: a tree, and what is found in it.

use std::time::Duration;

use millstream_detection::{Detector, Found, Host, Report, Root, detect};
use millstream_tests::tree::Tree;

/// One row of a table.
pub(crate) struct Vector {
    /// Its number in the specification, or what it shows.
    pub(crate) number: &'static str,
    /// The script that is asked about.
    pub(crate) candidate: &'static str,
    /// What every file of the tree says.
    pub(crate) files: &'static [&'static str],
    /// A line for each milter: name, whether it is enabled, socket, options, and what it adds to the time limits.
    pub(crate) wanted: &'static str,
}

/// Looks at the tree of each vector, with a block that changes nothing.
pub(crate) fn check(detector: Detector, vectors: &[Vector]) {
    for vector in vectors {
        let report = report(detector, vector.candidate, vector.files);
        assert_eq!(written(&report), vector.wanted, "{}", vector.number);
        for found in &report.milters {
            check_evidence(vector, found);
        }
    }
}

/// What `detector` says of `candidate` in a tree.
pub(crate) fn report(detector: Detector, candidate: &str, files: &[&str]) -> Report {
    let tree = Tree::new(&files.join("\n"));
    let host = Host { root: Root::new(tree.path()), ..Host::default() };
    detect(detector, &host, candidate, &mut |_, _| None)
}

/// What a report found, a line for each milter.
pub(crate) fn written(report: &Report) -> String {
    let line = |found: &Found| {
        let enabled = if found.enabled { "enabled" } else { "disabled" };
        let socket = found.connection_spec.as_deref().unwrap_or("-");
        let options = found.command_options.as_deref().unwrap_or("-");
        let tarpit = if found.tarpit == Duration::ZERO {
            String::new()
        } else {
            format!(", {:?} longer", found.tarpit)
        };
        format!("{}: {enabled}, {socket}, {options}{tarpit}", found.name)
    };
    report.milters.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A script is started by itself, and what is said of a milter names a line that says it.
fn check_evidence(vector: &Vector, found: &Found) {
    let number = vector.number;
    assert!(
        found.command.as_ref().is_some_and(|script| script.ends_with(&format!("/rc.d/{}", vector.candidate))),
        "{number}"
    );
    assert_eq!(found.description, None, "{number}");
    assert!(found.enabled_by.path.starts_with('/'), "{number}");
    assert!(!found.enabled || found.enabled_by.line.is_some(), "{number}: {}", found.enabled_by);
    assert_eq!(found.connection_spec.is_some(), found.connection_spec_by.is_some(), "{number}");
    for evidence in found.connection_spec_by.iter().chain([&found.enabled_by]) {
        let Some(line) = evidence.line else { continue };
        let file = vector.files.iter().find_map(|files| {
            let (_, text) = format!("\n{files}")
                .split_once(&format!("\n=== {}\n", evidence.path))
                .map(|(a, b)| (a.len(), b.to_owned()))?;
            Some(text)
        });
        let text = file.unwrap_or_else(|| panic!("{number}: {evidence} is of another tree"));
        let line = text
            .lines()
            .nth(line as usize - 1)
            .unwrap_or_else(|| panic!("{number}: {evidence} is behind the end"));
        let first = line.trim().trim_end_matches('\\').trim();
        assert!(evidence.says.starts_with(first), "{number}: {evidence} is not: {line}");
    }
}
