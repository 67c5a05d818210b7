//! The states of units, compared with what `systemctl --root=DIR is-enabled` says of the same files.

#![allow(clippy::unwrap_used)]

use std::env;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::state::{Unit, state};
use crate::detector::Host;
use crate::root::Root;
use crate::survey::Survey;

const INSTALL: &str = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";
const PLAIN: &str = "[Service]\nExecStart=/bin/true\n";
const ALIASED: &str =
    "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\nAlias=foo.service\n";
const ALSO: &str = "[Service]\nExecStart=/bin/true\n[Install]\nAlso=foo.socket\n";

/// A file with a text, or a link to a place.
#[derive(Debug)]
enum Entry {
    File(&'static str, &'static str),
    Link(&'static str, &'static str),
}

use Entry::{File, Link};

const ETC_FOO: &str = "etc/systemd/system/foo.service";
const LIB_FOO: &str = "usr/lib/systemd/system/foo.service";
const WANTS: &str = "etc/systemd/system/multi-user.target.wants/foo.service";
const UNIT: &str = "/usr/lib/systemd/system/foo.service";

/// What is there, what the state of `foo.service` is, and whether it is started.
const TREES: &[(&str, &[Entry], &str, bool)] = &[
    ("no unit", &[], "not-found", false),
    ("a unit", &[File(LIB_FOO, INSTALL)], "disabled", false),
    ("a unit without [Install]", &[File(LIB_FOO, PLAIN)], "static", false),
    ("enabled", &[File(LIB_FOO, INSTALL), Link(WANTS, UNIT)], "enabled", true),
    ("enabled by a link that dangles", &[File(LIB_FOO, INSTALL), Link(WANTS, "/nowhere")], "enabled", true),
    (
        "enabled by a relative link",
        &[File(LIB_FOO, INSTALL), Link(WANTS, "../../../../usr/lib/systemd/system/foo.service")],
        "enabled",
        true,
    ),
    (
        "wanted by another target",
        &[File(LIB_FOO, INSTALL), Link("etc/systemd/system/postfix.service.wants/foo.service", UNIT)],
        "enabled",
        true,
    ),
    (
        "required by another service",
        &[File(LIB_FOO, INSTALL), Link("etc/systemd/system/postfix.service.requires/foo.service", UNIT)],
        "enabled",
        true,
    ),
    ("a static one that is wanted", &[File(LIB_FOO, PLAIN), Link(WANTS, UNIT)], "enabled", true),
    (
        "a static one that its package wants",
        &[
            File(LIB_FOO, PLAIN),
            Link("usr/lib/systemd/system/multi-user.target.wants/foo.service", "../foo.service"),
        ],
        "static",
        true,
    ),
    (
        "one that its package wants",
        &[
            File(LIB_FOO, INSTALL),
            Link("usr/lib/systemd/system/multi-user.target.wants/foo.service", "../foo.service"),
        ],
        "disabled",
        false,
    ),
    (
        "enabled until the next start",
        &[File(LIB_FOO, INSTALL), Link("run/systemd/system/multi-user.target.wants/foo.service", UNIT)],
        "enabled-runtime",
        true,
    ),
    ("masked", &[File(LIB_FOO, INSTALL), Link(ETC_FOO, "/dev/null")], "masked", false),
    (
        "masked and wanted",
        &[File(LIB_FOO, INSTALL), Link(WANTS, UNIT), Link(ETC_FOO, "/dev/null")],
        "masked",
        false,
    ),
    (
        "masked by an empty file",
        &[File(LIB_FOO, INSTALL), Link(WANTS, UNIT), File(ETC_FOO, "")],
        "masked",
        false,
    ),
    (
        "masked until the next start",
        &[File(LIB_FOO, INSTALL), Link(WANTS, UNIT), Link("run/systemd/system/foo.service", "/dev/null")],
        "masked-runtime",
        false,
    ),
    ("masked without a unit", &[Link(ETC_FOO, "/dev/null")], "masked", false),
    ("linked", &[File("opt/foo.service", INSTALL), Link(ETC_FOO, "/opt/foo.service")], "linked", false),
    (
        "linked and enabled",
        &[
            File("opt/foo.service", INSTALL),
            Link(ETC_FOO, "/opt/foo.service"),
            Link(WANTS, "/opt/foo.service"),
        ],
        "enabled",
        true,
    ),
    (
        "linked until the next start",
        &[File("opt/foo.service", INSTALL), Link("run/systemd/system/foo.service", "/opt/foo.service")],
        "linked-runtime",
        false,
    ),
    (
        "an alias of one that is disabled",
        &[File("usr/lib/systemd/system/bar.service", INSTALL), Link(LIB_FOO, "bar.service")],
        "alias",
        false,
    ),
    (
        "an alias of one that is enabled",
        &[
            File("usr/lib/systemd/system/bar.service", INSTALL),
            Link(LIB_FOO, "bar.service"),
            Link(
                "etc/systemd/system/multi-user.target.wants/bar.service",
                "/usr/lib/systemd/system/bar.service",
            ),
        ],
        "alias",
        true,
    ),
    (
        "an alias that enabling has made",
        &[
            File("usr/lib/systemd/system/bar.service", ALIASED),
            Link(ETC_FOO, "/usr/lib/systemd/system/bar.service"),
            Link(
                "etc/systemd/system/multi-user.target.wants/bar.service",
                "/usr/lib/systemd/system/bar.service",
            ),
        ],
        "alias",
        true,
    ),
    (
        "enabled under another name",
        &[File(LIB_FOO, INSTALL), Link("etc/systemd/system/bar.service", UNIT)],
        "indirect",
        true,
    ),
    ("one that names its socket", &[File(LIB_FOO, ALSO)], "indirect", false),
    ("a unit of the administrator", &[File(ETC_FOO, INSTALL)], "disabled", false),
    (
        "a unit of the administrator, enabled",
        &[File(ETC_FOO, INSTALL), Link(WANTS, "../foo.service")],
        "enabled",
        true,
    ),
    (
        "a unit of the administrator, which has no [Install]",
        &[File(ETC_FOO, PLAIN), File(LIB_FOO, INSTALL)],
        "static",
        false,
    ),
    (
        "an installed unit by a drop-in",
        &[File(LIB_FOO, PLAIN), File("etc/systemd/system/foo.service.d/a.conf", INSTALL)],
        "disabled",
        false,
    ),
    (
        "a unit below /usr/local",
        &[File("usr/local/lib/systemd/system/foo.service", INSTALL), Link(WANTS, UNIT)],
        "enabled",
        true,
    ),
    ("a file in place of a link", &[File(LIB_FOO, INSTALL), File(WANTS, INSTALL)], "disabled", false),
];

#[test]
fn units_are_enabled_as_systemctl_says() {
    let has_systemctl = available("units_are_enabled_as_systemctl_says");
    let top = env::temp_dir().join(format!("millstream-units-{}", std::process::id()));
    for (number, (what, tree, expected, is_started)) in TREES.iter().enumerate() {
        let directory = top.join(number.to_string());
        grow(&directory, tree);
        let (state, by) = read(&directory);
        assert_eq!(state, *expected, "{what}: {by}");
        assert_eq!(unit(&directory).is_started, *is_started, "{what}: {by}");
        if has_systemctl {
            assert_eq!(is_enabled(&directory), *expected, "systemctl: {what}");
        }
    }
    fs::remove_dir_all(top).unwrap();
}

/// The state of `foo.service`, and what says so.
fn read(directory: &Path) -> (String, String) {
    let unit = unit(directory);
    (unit.state.to_string(), unit.by.to_string())
}

fn unit(directory: &Path) -> Unit {
    let host = Host { root: Root::new(directory), ..Host::default() };
    let mut improve = |_: &str, _: Option<&str>| None;
    let mut survey = Survey::new(&host, "foo", &mut improve);
    state(&mut survey, "foo.service")
}

/// How many trees are made up; `UNIT_TREES` says another number.
const MADE_UP: u64 = 60;

#[test]
fn units_of_any_tree_are_enabled_as_systemctl_says() {
    if !available("units_of_any_tree_are_enabled_as_systemctl_says") {
        return;
    }
    let top = env::temp_dir().join(format!("millstream-any-units-{}", std::process::id()));
    let trees = env::var("UNIT_TREES").ok().and_then(|trees| trees.parse().ok()).unwrap_or(MADE_UP);
    for seed in 1..=trees {
        let directory = top.join(seed.to_string());
        let tree = made_up(seed);
        grow(&directory, &tree);
        let (state, by) = read(&directory);
        assert_eq!(state, is_enabled(&directory), "seed {seed}: {by}: {tree:#?}");
        fs::remove_dir_all(directory).unwrap();
    }
    fs::remove_dir_all(top).unwrap();
}

/// A tree of a few files and links around `foo.service`.
fn made_up(seed: u64) -> Vec<Entry> {
    const PLACES: [&str; 4] = [
        "etc/systemd/system",
        "run/systemd/system",
        "usr/local/lib/systemd/system",
        "usr/lib/systemd/system",
    ];
    const TEXTS: [&str; 5] = [INSTALL, INSTALL, PLAIN, ALIASED, ALSO];
    const FOLDERS: [&str; 4] =
        ["", "multi-user.target.wants/", "postfix.service.requires/", "foo.service.d/"];
    const NAMES: [&str; 3] = ["foo.service", "foo.service", "bar.service"];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut pick = |of: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % of
    };
    let mut tree: Vec<Entry> = vec![File("opt/foo.service", INSTALL), File("opt/bar.service", INSTALL)];
    let mut taken = Vec::new();
    for _ in 0..2 + pick(5) {
        let path = format!("{}/{}{}", PLACES[pick(4)], FOLDERS[pick(4)], NAMES[pick(3)]);
        if taken.contains(&path) {
            continue;
        }
        taken.push(path.clone());
        let path: &'static str = path.leak();
        const BAR: &str = "/usr/lib/systemd/system/bar.service";
        let is_foo = path.ends_with("foo.service");
        let other = if is_foo { BAR } else { UNIT };
        // A link of a unit's own name to another directory of units is not followed by systemctl 252 with `--root`, but is by systemd; packages
        // have no links to elsewhere.
        let targets = match (path.starts_with("usr"), is_foo) {
            (true, _) => [other, other, other, "/dev/null"],
            (false, true) => [other, other, "/opt/foo.service", "/dev/null"],
            (false, false) => [other, other, "/opt/bar.service", "/dev/null"],
        };
        let in_folder = path.contains(".wants/") || path.contains(".requires/");
        tree.push(match pick(if in_folder { 8 } else { 3 }) {
            0 | 1 => File(path, TEXTS[pick(5)]),
            _ => Link(path, targets[pick(4)]),
        });
    }
    tree
}

/// Whether systemctl is there. It has to be in CI; elsewhere its absence is told past cargo's capture, where `./check` collects it.
fn available(test: &str) -> bool {
    let is_there =
        Command::new("systemctl").arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        let why = format!("SKIPPED: {test}: needs systemctl, which Debian's package systemd has");
        assert!(env::var_os("CI").is_none(), "{why}");
        let _ = io::stderr().lock().write_all(format!("{why}\n").as_bytes());
    }
    is_there
}

fn grow(directory: &Path, tree: &[Entry]) {
    fs::create_dir_all(directory.join("etc/systemd/system")).unwrap();
    for entry in tree {
        let (File(path, _) | Link(path, _)) = entry;
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match entry {
            File(_, text) => fs::write(path, text).unwrap(),
            Link(_, target) => symlink(target, path).unwrap(),
        }
    }
}

fn is_enabled(directory: &Path) -> String {
    let root = format!("--root={}", directory.display());
    let output =
        Command::new("systemctl").args([root.as_str(), "is-enabled", "foo.service"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    // What is not there is an error in systemd up to 253, and a state from then on.
    if said.is_empty() { "not-found".to_owned() } else { said.trim().to_owned() }
}
