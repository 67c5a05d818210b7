//! Milters that are installed, enabled, disabled and removed while the manager runs: a reload sees it, and a session that runs does
//! not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use millstream_tests::bench::{Bench, folder};
use millstream_tests::counting_child::Child;
use millstream_tests::manager::program;
use millstream_tests::scratch::Scratch;
use millstream_tests::tree::Tree;
use millstream_tests::until::until_true;

const SETTINGS: &str = "load_default\n";

/// A Debian whose only service is this one, enabled or not.
fn service(name: &str, folder: &Scratch, is_enabled: bool) -> String {
    let socket = folder.join(name);
    format!(
        "=== /etc/debian_version\n13.1\n=== /etc/init.d/{name}\n#! /bin/sh\nSOCKET={}\n{}",
        socket.display(),
        switch(name, is_enabled)
    )
}

fn switch(name: &str, is_enabled: bool) -> String {
    format!("=== /etc/default/{name}\nENABLED={}\n", u8::from(is_enabled))
}

/// A manager that looks for milters below `system`.
fn start(folder: &Scratch, system: &Tree) -> Bench {
    let script = format!("exec \"$0\" --root '{}' \"$@\"", system.path().display());
    Bench::start_with(folder, SETTINGS, "", &["sh", "-c", &script])
}

/// The lines of `--show-config` that define a milter or say whether it is enabled.
fn shown(folder: &Scratch, system: &Tree) -> Vec<String> {
    let mut command = Command::new(program());
    command.env_remove("MILTER_MANAGER_CONFIG_DIR").arg("-c").arg(folder.join("manager"));
    let output = command.arg("--root").arg(system.path()).arg("--show-config").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let told =
        text.lines().filter(|line| line.starts_with("define_milter") || line.contains("milter.enabled"));
    told.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn a_reload_sees_what_was_enabled_disabled_installed_and_removed_and_running_sessions_do_not() {
    let Some(folder) = folder() else { return };
    let (dkim, amavis) = ("dkim-filter", "amavisd-new-milter");
    let (first, second) = (Child::agreeing(&folder.join(dkim)), Child::agreeing(&folder.join(amavis)));
    let system = Tree::new(&service(dkim, &folder, false));
    let bench = start(&folder, &system);
    let clients = || (first.clients().len(), second.clients().len());
    let expect = |what: &str, expected: (usize, usize)| {
        until_true(what, || clients() == expected);
    };

    // Nothing is enabled.
    let mut earliest = bench.session();
    earliest.begin().unwrap();
    assert_eq!(
        shown(&folder, &system),
        ["define_milter(\"dkim-filter\") do |milter|", "milter.enabled = false"]
    );

    // One is enabled, the other one installed.
    system.add(&switch(dkim, true));
    system.add(&service(amavis, &folder, true));
    bench.reload(SETTINGS, "");
    let mut between = bench.session();
    between.begin().unwrap();
    expect("both are asked", (1, 1));
    assert_eq!(
        shown(&folder, &system),
        [
            "define_milter(\"dkim-filter\") do |milter|",
            "milter.enabled = true",
            "define_milter(\"amavisd-new-milter\") do |milter|",
            "milter.enabled = true"
        ]
    );

    // One is disabled, the other one removed.
    system.add(&switch(dkim, false));
    fs::remove_dir_all(system.path().join("etc/init.d")).unwrap();
    system.add(&format!("=== /etc/init.d/{dkim}\n#! /bin/sh\nSOCKET={}\n", folder.join(dkim).display()));
    bench.reload(SETTINGS, "");
    assert_eq!(bench.visit("c.example.com"), 'c');
    assert_eq!(
        shown(&folder, &system),
        ["define_milter(\"dkim-filter\") do |milter|", "milter.enabled = false"]
    );
    assert_eq!(clients(), (1, 1), "nobody is asked any more");

    // What began before goes on as it began.
    assert_eq!(earliest.message().unwrap().verdict.letter, b'c');
    assert_eq!(between.message().unwrap().verdict.letter, b'c');
    assert_eq!(
        (first.count(b'E'), second.count(b'E')),
        (1, 1),
        "they see the message of the session between"
    );
    earliest.quit().unwrap();
    between.quit().unwrap();
}

#[test]
fn a_milter_whose_files_can_no_longer_be_read_is_still_asked() {
    let Some(folder) = folder() else { return };
    let name = "dkim-filter";
    let child = Child::agreeing(&folder.join(name));
    let system = Tree::new(&service(name, &folder, true));
    let bench = start(&folder, &system);
    let script = system.path().join("etc/init.d").join(name);
    // Root has read it at the start; who serves cannot.
    fs::set_permissions(&script, fs::Permissions::from_mode(0o600)).unwrap();
    bench.refuse(SETTINGS, "");
    assert_eq!(bench.visit("a.example.com"), 'c');
    assert_eq!(child.clients().len(), 1, "mail does not pass it");
    let log = bench.manager.log();
    assert!(log.contains("/etc/init.d/dkim-filter cannot be read by the user who serves"), "{log}");
    // What it can read, it follows.
    fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).unwrap();
    system.add(&switch(name, false));
    bench.reload(SETTINGS, "");
    assert_eq!(bench.visit("b.example.com"), 'c');
    assert_eq!(child.clients().len(), 1);
}

#[test]
fn nothing_of_another_system_is_started() {
    let Some(folder) = folder() else { return };
    let name = "dkim-filter";
    let mark = folder.join("started");
    let script =
        format!("#! /bin/sh\nSOCKET={}\ntouch {}\n", folder.join("nobody").display(), mark.display());
    let system = Tree::new(&format!(
        "=== /etc/debian_version\n13.1\n=== /etc/init.d/{name} (run)\n{script}{}",
        switch(name, true)
    ));
    let bench = start(&folder, &system);
    // It cannot be connected to, which has the launcher start it where there is one.
    assert_eq!(bench.mail(), 'c');
    assert_eq!(bench.lines(&["[launcher]"]), 0, "{}", bench.manager.log());
    assert!(!mark.exists());
}
