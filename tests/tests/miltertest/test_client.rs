//! `milter-test-client` alone, with `miltertest` for its MTA.

use std::process::Command;

use millstream_tests::account;
use millstream_tests::process::Process;
use millstream_tests::programs;
use millstream_tests::require;
use millstream_tests::scratch::Scratch;
use millstream_tests::until::{PATIENCE, until_true};

use crate::run::run_script;

/// Runs a script against the program with these options. Returns what that has printed; nothing when this machine cannot run it.
fn told(options: &[&str], script: &str) -> Option<String> {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    if !require::available(&test, &["miltertest"]) {
        return None;
    }
    let scratch = Scratch::new("miltertest-client");
    account::give_to("nobody", scratch.path());
    let socket = scratch.join("milter.sock");
    let mut command = Command::new(programs::ours("milter-test-client"));
    command.arg("-s").arg(&socket).args(options);
    let mut client = Process::start("milter-test-client", &mut command, &scratch.join("output"));
    until_true("it listens", || socket.exists());

    run_script(script, &scratch, &socket, || client.output());

    client.signal("TERM");
    assert!(client.wait(PATIENCE).success());
    assert!(!socket.exists());
    Some(client.output())
}

#[test]
fn it_agrees_to_everything_and_prints_it() {
    let Some(told) = told(&[], "ordinary") else { return };
    let expected = [
        "connect: host=<client.example.org>, address=<inet:",
        "macros:\n  j=mx.test\n",
        "helo: <client.example.org>\n",
        "envelope-from: <<sender@example.org>>\n",
        "envelope-recipient: <<user@example.com>>\nmacros:\n  i=4AbCdEfGhI\n",
        "data\n",
        "header: <Subject: Hello>\n",
        "end-of-header\n",
        "body: <Hello.\r\n>\n",
        "end-of-message\n",
        "finished\n",
    ];
    let mut rest = told.as_str();
    for text in expected {
        let (_, behind) = rest.split_once(text).unwrap_or_else(|| panic!("{text:?} is not in\n{rest}"));
        rest = behind;
    }
}

#[test]
fn it_changes_what_its_options_say() {
    let options = [
        "--add-header",
        "X-First:one",
        "--change-header",
        "1:Subject:changed",
        "--insert-header",
        "1:X-Second:two",
        "--delete-header",
        "1:X-Gone",
        "--replace-body",
        "another body\r\n",
        "--add-recipient",
        "new@example.org",
        "--delete-recipient",
        "user@example.com",
        "--quarantine",
        "why",
    ];
    let _ = told(&options, "edits");
}

#[test]
fn it_answers_what_its_options_say() {
    let options = ["--reply", "envelope-recipient=550 5.1.1 unknown", "--reply", "helo=accept"];
    let _ = told(&options, "client_answers");
}
