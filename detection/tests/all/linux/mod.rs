//! Trees of files that a detector looks at, and what it finds, in one line.

#![allow(dead_code, reason = "each platform's tests use a part of it")]

use millstream_detection::{Detector, Found, Host, Improve, Report, Root, detect};
use millstream_tests::tree;

/// Something that a vector has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Has {
    /// The init script.
    Script(&'static str),
    /// Its file in `/etc/default` or `/etc/sysconfig`.
    Default(&'static str),
    /// The systemd unit.
    Unit(&'static str),
    /// The upstart job.
    Job(&'static str),
    /// The link by which the unit is enabled.
    Enabled,
    /// The links of an init script, which start and stop it in runlevels.
    Runlevels,
    /// A file with a text.
    File(&'static str, &'static str),
    /// A program.
    Program(&'static str),
    /// A link to somewhere.
    Link(&'static str, &'static str),
}

/// A row of the specification's table: its number, the candidate, what is there, and what is found.
pub(crate) type Vector = (&'static str, &'static str, &'static [Has], &'static str);

/// A folder with a tree.
pub(crate) struct Tree(tree::Tree);

impl Tree {
    /// The files that `has` tells, for `candidate`; `defaults` is where the platform has the settings of init scripts, `units` its units.
    pub(crate) fn new(has: &[Has], candidate: &str, defaults: &str, units: &str) -> Self {
        let tree = Self(tree::Tree::new("=== /etc/hostname\nexample\n"));
        for has in has {
            match has {
                Has::Script(text) => tree.file(&format!("/etc/init.d/{candidate}"), text),
                Has::Default(text) => tree.file(&format!("{defaults}/{candidate}"), text),
                Has::Unit(text) => {
                    tree.file(
                        &format!("{units}/{candidate}.service"),
                        &format!("{text}\n[Install]\nWantedBy=multi-user.target\n"),
                    );
                }
                Has::Job(text) => tree.file(&format!("/etc/event.d/{candidate}"), text),
                Has::Enabled => tree.link(
                    &format!("/etc/systemd/system/multi-user.target.wants/{candidate}.service"),
                    &format!("{units}/{candidate}.service"),
                ),
                Has::Runlevels => {
                    for level in 0..=6 {
                        let link = if (2..=5).contains(&level) { "S80" } else { "K20" };
                        tree.link(
                            &format!("/etc/rc{level}.d/{link}{candidate}"),
                            &format!("../init.d/{candidate}"),
                        );
                    }
                }
                Has::File(path, text) => tree.file(path, text),
                Has::Program(path) => tree.0.add(&format!("=== {path} (run)\n")),
                Has::Link(path, target) => tree.link(path, target),
            }
        }
        tree
    }

    /// Asks a detector about it.
    pub(crate) fn detect(&self, detector: Detector, candidate: &str) -> Report {
        self.improved(candidate, detector, &mut |_, _| None)
    }

    /// The same, with somebody who may know a better socket.
    pub(crate) fn improved(&self, candidate: &str, detector: Detector, improve: Improve<'_>) -> Report {
        let host = Host { root: Root::new(self.0.path()), ..Host::default() };
        detect(detector, &host, candidate, improve)
    }

    fn file(&self, path: &str, text: &str) {
        self.0.write(path, text);
    }

    fn link(&self, path: &str, target: &str) {
        self.0.add(&format!("=== {path} -> {target}\n"));
    }
}

/// What is found, as the specification's tables have it: whether it is enabled, its socket, the command unless that is the script, the
/// description, and for how long it keeps clients waiting.
pub(crate) fn shown(report: &Report) -> String {
    if report.milters.is_empty() {
        return "not defined".to_owned();
    }
    report.milters.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn one(found: &Found) -> String {
    let mut shown = format!("{}, {}", found.enabled, found.connection_spec.as_deref().unwrap_or("–"));
    let script = format!("/etc/init.d/{}", found.name);
    if found.command.as_ref() != Some(&script) || found.command_options.as_deref() != Some("start") {
        let part = |part: &Option<String>| part.clone().unwrap_or("–".to_owned());
        shown += &format!(", {} {}", part(&found.command), part(&found.command_options));
    }
    if let Some(description) = &found.description {
        shown += &format!(", {description:?}");
    }
    if !found.tarpit.is_zero() {
        shown += &format!(", tarpit {}", found.tarpit.as_secs());
    }
    // Whatever is said is said by something.
    assert!(!found.enabled_by.path.is_empty());
    assert_eq!(found.connection_spec.is_some(), found.connection_spec_by.is_some());
    shown
}

/// Checks each of `vectors`.
pub(crate) fn check(vectors: &[Vector], detector: Detector, defaults: &str, units: &str) {
    for (number, candidate, has, expected) in vectors {
        let tree = Tree::new(has, candidate, defaults, units);
        let report = tree.detect(detector, candidate);
        assert_eq!(shown(&report), *expected, "{number}: {report:#?}");
        assert!(report.milters.iter().all(|found| found.name == *candidate), "{number}");
    }
}
