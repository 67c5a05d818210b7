//! When mails are sent, and what is wrong with an option.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use super::server::{CONTENT, Server};
use super::{run, send};

#[test]
fn as_many_at_once_as_was_said() {
    // Nobody is answered before four wait.
    let barrier = Arc::new(Barrier::new(4));
    let server = Server::new(move |question| {
        if question == CONTENT {
            barrier.wait();
        }
        None
    });
    assert_eq!(send(&server, &["--n-mails=8", "--n-concurrent-connections=4"]).counts(), [8, 0, 0, 0]);
}

#[test]
fn one_after_the_other_without_it() {
    let running = Arc::new(AtomicUsize::new(0));
    let server = Server::new(move |question| {
        if question.starts_with("MAIL") {
            assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "two at the same time");
        } else if question == CONTENT {
            running.fetch_sub(1, Ordering::SeqCst);
        }
        None
    });
    assert_eq!(send(&server, &["--n-mails=5"]).counts(), [5, 0, 0, 0]);
}

#[test]
fn an_interval_does_not_wait_for_answers() {
    // Nobody is answered before all wait, which they do only if none waits for another.
    let barrier = Arc::new(Barrier::new(3));
    let server = Server::new(move |question| {
        if question == CONTENT {
            barrier.wait();
        }
        None
    });
    assert_eq!(send(&server, &["--n-mails=3", "--interval=0.01s"]).counts(), [3, 0, 0, 0]);
    let server = Server::new(|_| None);
    let ran = send(&server, &["--n-mails=5", "--period=0.5"]);
    assert_eq!(ran.counts(), [5, 0, 0, 0]);
    let elapsed: f64 = ran
        .text
        .lines()
        .find_map(|line| line.strip_prefix(" Elapsed time:"))
        .unwrap()
        .trim_end_matches("(sec)")
        .trim()
        .parse()
        .unwrap();
    // Four pauses of a tenth of a second.
    assert!(elapsed >= 0.4, "{elapsed}");
}

#[test]
fn a_flood_ends_with_its_period() {
    let server = Server::new(|_| None);
    let ran = send(&server, &["--n-mails=1", "--flood=0.3s", "--n-concurrent-connections=2"]);
    let [mails, rest @ ..] = ran.counts();
    assert_eq!(rest, [0, 0, 0]);
    assert!(mails > 1, "{mails}");
    assert_eq!(server.sessions().len() as u64, mails);
}

#[test]
fn an_interrupt_ends_with_the_report() {
    use millstream_tests::until::{PATIENCE, until};
    let server = Server::new(|_| None);
    let to = super::to(&server);
    let mut command = super::command(&to.iter().map(String::as_str).collect::<Vec<_>>());
    let process = command.arg("--flood").spawn().unwrap();
    until(PATIENCE, "mails", || (server.sessions().len() > 3).then_some(()));
    let id = process.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let ran = super::ran(&process.wait_with_output().unwrap());
    assert!(ran.counts()[0] > 0);
    assert_eq!(ran.status, 0);
}

#[test]
fn what_is_wrong_with_an_option_is_said_and_nothing_is_sent() {
    let cases = [
        (&["--period=1", "--interval=2"][..], "--interval: can't use with --period\n"),
        (&["--interval=2", "--period=1"], "--period: can't use with --interval\n"),
        (&["--period=x"], "--period: invalid period format: <x>\n"),
        (&["--interval=1d"], "--interval: invalid period format: <1d>\n"),
        (&["--flood=1.s"], "--flood: invalid period format: <1.s>\n"),
        (&["--interval=0"], "--interval: expected more than no time\n"),
        (&["--period=0s"], "--period: expected more than no time\n"),
        (&["--report-periodically=0"], "--report-periodically: expected more than no time\n"),
        (&["--n-workers=0"], "--n-workers: expected at least 1\n"),
        (&["--from=a@x\r\nDATA"], "--from: expected no control characters: <a@x\\r\\nDATA>\n"),
    ];
    for (options, expected) in cases {
        let ran = run(options);
        assert_eq!((ran.text.as_str(), ran.status), (expected, 1), "{options:?}");
    }
    for (options, part) in [
        (&["--starttls=maybe"][..], "[possible values: auto, always, disable]"),
        (&["--auth-mechanism=auth"], "[possible values: auto, plain, login, cram_md5, cram-md5]"),
        (&["--auth-user=x"], "--auth-password"),
        (&["--milter=unix:/x", "--smtp-port=25"], "cannot be used with"),
        (&["--nonsense"], "unexpected argument"),
    ] {
        let ran = run(options);
        assert_eq!(ran.status, 1);
        assert!(ran.text.contains(part), "{options:?}: {}", ran.text);
    }
    assert!(run(&["-h"]).text.contains("--n-concurrent-connections=N"));
    assert!(run(&["--version"]).text.starts_with("milter-performance-check "));
}

#[test]
fn patience_is_for_each_answer_and_not_for_all_together() {
    let server = Server::new(|_| {
        std::thread::sleep(Duration::from_millis(150));
        None
    });
    assert_eq!(send(&server, &["--n-mails=1", "--reading-timeout=0.6"]).counts(), [1, 0, 0, 0]);
}
