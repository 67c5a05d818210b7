//! For how long answers hold.

use std::time::Duration;

use millstream_resolver::{Answer, Options, Resolver};
use millstream_tests::name_server::{NameServer, Said};

use crate::common::{address, holds, of, options, records};

/// A time to live of 0 is 0.
fn exact(server: &NameServer) -> Resolver {
    Resolver::new(Options { least_hold: Duration::ZERO, ..options(server) })
}

#[test]
fn an_answer_is_asked_for_once_while_it_holds() {
    let server = NameServer::start();
    server.say("host.test", Said::Addresses(vec![address(1)], 3000));
    let resolver = exact(&server);
    let first = resolver.ask_and_wait(of("host.test."));
    server.say("host.test", Said::Addresses(vec![address(2)], 3000));
    assert_eq!(records(&resolver.ask_and_wait(of("host.test."))), records(&first));
    assert_eq!(server.asked("host.test"), 1);
}

#[test]
fn an_answer_is_asked_for_again_when_it_holds_no_longer() {
    let server = NameServer::start();
    let resolver = exact(&server);
    for last in 1..=3 {
        server.say("host.test", Said::Addresses(vec![address(last)], 0));
        assert_eq!(records(&resolver.ask_and_wait(of("host.test."))), [address(last).to_string()]);
    }
    assert_eq!(server.asked("host.test"), 3);
}

#[test]
fn a_short_time_to_live_is_lengthened_and_a_long_one_cut() {
    let server = NameServer::start();
    server.say("short.test", Said::Addresses(vec![address(1)], 0));
    server.say("long.test", Said::Addresses(vec![address(1)], 500_000));
    let resolver = Resolver::new(Options { least_hold: Duration::from_secs(3000), ..options(&server) });
    for (name, least, most) in [("short.test.", 2000, 3000), ("long.test.", 3000, 3600)] {
        for _ in 0..2 {
            let holds = holds(&resolver.ask_and_wait(of(name))).unwrap().as_secs();
            assert!((least..=most).contains(&holds), "{name} {holds}");
        }
    }
    assert_eq!((server.asked("short.test"), server.asked("long.test")), (1, 1));
}

#[test]
fn that_there_is_nothing_holds_as_the_zone_says() {
    let server = NameServer::start();
    server.say("none.test", Said::NoSuchName(Some(3000)));
    server.say("empty.test", Said::NoData(3000));
    server.say("brief.test", Said::NoSuchName(Some(0)));
    let resolver = exact(&server);
    for name in ["none.test.", "empty.test.", "brief.test."] {
        for _ in 0..2 {
            assert_eq!(resolver.ask_and_wait(of(name)), Answer::Nothing);
        }
    }
    let asked = ["none.test", "empty.test", "brief.test"].map(|name| server.asked(name));
    assert_eq!(asked, [1, 1, 2]);
}

#[test]
fn that_there_is_nothing_holds_a_little_when_the_zone_is_silent() {
    let server = NameServer::start();
    server.say("none.test", Said::NoSuchName(None));
    let resolver = Resolver::new(Options { least_hold: Duration::from_secs(3000), ..options(&server) });
    for _ in 0..2 {
        assert_eq!(resolver.ask_and_wait(of("none.test.")), Answer::Nothing);
    }
    assert_eq!(server.asked("none.test"), 1);
}

#[test]
fn a_failure_does_not_hold() {
    let server = NameServer::start();
    server.say("host.test", Said::Error(2));
    let resolver = Resolver::new(options(&server));
    assert!(matches!(resolver.ask_and_wait(of("host.test.")), Answer::Failed(_)));
    server.say("host.test", Said::Addresses(vec![address(1)], 60));
    assert_eq!(records(&resolver.ask_and_wait(of("host.test."))), ["192.0.2.1"]);
}

/// What is kept is bounded: many other names push one out.
#[test]
fn no_more_answers_are_kept_than_allowed() {
    let server = NameServer::start();
    let resolver = Resolver::new(Options { cached: 4, ..options(&server) });
    let names: Vec<String> = (0..100).map(|number| format!("{number}.test")).collect();
    for name in &names {
        server.say(name, Said::Addresses(vec![address(1)], 3000));
    }
    for _ in 0..2 {
        for name in &names {
            resolver.ask_and_wait(of(&format!("{name}.")));
        }
    }
    let asked: usize = names.iter().map(|name| server.asked(name)).sum();
    assert!(asked >= 190, "{asked}");
}
