//! Many questions at a time.

use std::time::Duration;

use millstream_resolver::{Answer, Failure, Options, Resolver};
use millstream_tests::name_server::{NameServer, Said};

use crate::common::{address, ask, of, options, records};

fn server(names: &[&str]) -> NameServer {
    let server = NameServer::start();
    for name in names {
        server.say(name, Said::Addresses(vec![address(1)], 0));
    }
    server
}

#[test]
fn equal_questions_are_one() {
    let server = server(&["same.test", "other.test"]);
    server.hold("same.test");
    let resolver = Resolver::new(Options { least_hold: Duration::ZERO, ..options(&server) });
    let answers: Vec<_> = (0..10).map(|_| ask(&resolver, of("same.test."))).collect();
    // Asked behind them: all have been looked at.
    resolver.ask_and_wait(of("other.test."));
    server.release();
    for answer in answers {
        assert_eq!(records(&answer.recv().unwrap()), ["192.0.2.1"]);
    }
    assert_eq!(server.asked("same.test"), 1);
    // It is over: the next one is another.
    resolver.ask_and_wait(of("same.test."));
    assert_eq!(server.asked("same.test"), 2);
}

#[test]
fn what_is_under_way_is_bounded() {
    let server = server(&["a.test", "b.test", "c.test"]);
    server.hold("a.test");
    server.hold("b.test");
    let resolver = Resolver::new(Options { in_flight: 2, ..options(&server) });
    let held = [ask(&resolver, of("a.test.")), ask(&resolver, of("b.test."))];
    assert_eq!(resolver.ask_and_wait(of("c.test.")), Answer::Failed(Failure::Busy));
    // One more of the same costs nothing.
    let same = ask(&resolver, of("a.test."));
    server.release();
    for answer in held.iter().chain([&same]) {
        assert_eq!(records(&answer.recv().unwrap()), ["192.0.2.1"]);
    }
    assert_eq!(records(&resolver.ask_and_wait(of("c.test."))), ["192.0.2.1"]);
}

#[test]
fn a_slow_question_keeps_no_other_waiting() {
    let server = server(&["slow.test", "fast.test"]);
    server.hold("slow.test");
    let resolver = Resolver::new(options(&server));
    let slow = ask(&resolver, of("slow.test."));
    assert_eq!(records(&resolver.ask_and_wait(of("fast.test."))), ["192.0.2.1"]);
    assert!(slow.try_recv().is_err());
    server.release();
    assert_eq!(records(&slow.recv().unwrap()), ["192.0.2.1"]);
}

#[test]
fn with_the_resolver_its_questions_end() {
    let server = server(&["slow.test"]);
    server.hold("slow.test");
    let resolver = Resolver::new(options(&server));
    let slow = ask(&resolver, of("slow.test."));
    drop(resolver);
    assert!(slow.recv().is_err(), "dropped unanswered");
}

#[cfg(target_os = "linux")]
#[test]
fn there_is_no_thread_before_the_first_question() {
    let threads = || {
        std::fs::read_dir("/proc/self/task")
            .unwrap()
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
            .filter(|name| name.trim() == "dns")
            .count()
    };
    // The other tests have threads of their own, so this one looks from a process of its own.
    if std::env::var_os("ALONE").is_none() {
        let this = std::env::current_exe().unwrap();
        let name = "crowd::there_is_no_thread_before_the_first_question";
        let alone =
            std::process::Command::new(this).args(["--exact", name]).env("ALONE", "1").output().unwrap();
        let told = String::from_utf8_lossy(&alone.stdout);
        assert!(alone.status.success() && told.contains("1 passed"), "{told}");
        return;
    }
    let server = server(&["host.test"]);
    let resolver = Resolver::new(options(&server));
    assert_eq!(threads(), 0);
    resolver.ask_and_wait(of("host.test."));
    assert_eq!(threads(), 1);
}
