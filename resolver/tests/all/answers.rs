//! What a name server says, and what is made of it.

use std::time::Duration;

use millstream_resolver::{Answer, Failure, Family, Options, Question, Resolver};
use millstream_tests::name_server::{NameServer, Said};

use crate::common::{address, holds, of, options, records};

fn one(said: Said) -> (NameServer, Resolver) {
    let server = NameServer::start();
    server.say("host.test", said);
    let resolver = Resolver::new(options(&server));
    (server, resolver)
}

#[test]
fn addresses_are_found_in_their_order() {
    let (_server, resolver) = one(Said::Addresses(vec![address(2), address(1)], 60));
    let answer = resolver.ask_and_wait(of("host.test."));
    assert_eq!(records(&answer), ["192.0.2.2", "192.0.2.1"]);
    let holds = holds(&answer).unwrap();
    assert!(holds > Duration::from_secs(5) && holds <= Duration::from_secs(60), "{holds:?}");
}

#[test]
fn the_name_of_an_address_is_found() {
    let server = NameServer::start();
    server.say("7.2.0.192.in-addr.arpa", Said::Name("client.test".to_owned(), 60));
    let resolver = Resolver::new(options(&server));
    let answer = resolver.ask_and_wait(Question::Names(address(7).into()));
    assert_eq!(records(&answer), ["client.test"]);
}

#[test]
fn a_name_without_such_records_and_no_name_are_nothing() {
    for said in [Said::NoData(60), Said::NoSuchName(Some(60)), Said::NoSuchName(None)] {
        let (_server, resolver) = one(said.clone());
        assert_eq!(resolver.ask_and_wait(of("host.test.")), Answer::Nothing, "{said:?}");
    }
    let (_server, resolver) = one(Said::Addresses(vec![address(1)], 60));
    let question = Question::Addresses { name: "host.test.".into(), family: Family::V6 };
    assert_eq!(resolver.ask_and_wait(question), Answer::Nothing);
}

#[test]
fn what_cannot_be_a_name_is_nothing() {
    let (_server, resolver) = one(Said::Silence);
    for wrong in ["a..b.", &"x".repeat(64), &"x.".repeat(200)] {
        assert_eq!(resolver.ask_and_wait(of(wrong)), Answer::Nothing, "{wrong}");
    }
}

#[test]
fn an_error_of_the_name_server_is_no_answer() {
    for (code, words) in [(2, "Server Failure"), (5, "Query Refused")] {
        let (_server, resolver) = one(Said::Error(code));
        let answer = resolver.ask_and_wait(of("host.test."));
        assert_eq!(answer, Answer::Failed(Failure::Refused(words.to_owned())));
    }
}

#[test]
fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let many: Vec<_> = (1..=100).map(address).collect();
    let (server, resolver) = one(Said::Addresses(many, 60));
    server.truncate();
    assert_eq!(records(&resolver.ask_and_wait(of("host.test."))).len(), 100);
    assert_eq!(server.asked_by_stream("host.test"), 1);
}

#[test]
fn a_name_server_that_says_nothing_fails_in_the_time_limit() {
    let (server, _) = one(Said::Silence);
    let limit = Duration::from_millis(200);
    let resolver = Resolver::new(Options { time_limit: limit, ..options(&server) });
    let answer = resolver.ask_and_wait(of("host.test."));
    assert_eq!(answer, Answer::Failed(Failure::TimedOut(limit)));
    assert!(server.asked("host.test") > 0);
    // The next question has its own.
    server.say("host.test", Said::Addresses(vec![address(1)], 60));
    assert_eq!(records(&resolver.ask_and_wait(of("host.test."))), ["192.0.2.1"]);
}

#[test]
fn a_name_server_that_is_not_there_fails() {
    // Nobody listens at what was somebody's port.
    let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = NameServer::start();
    let limit = Duration::from_secs(1);
    let resolver = Resolver::new(Options { name_servers: vec![gone], time_limit: limit, ..options(&server) });
    assert!(matches!(resolver.ask_and_wait(of("host.test.")), Answer::Failed(_)));
}

#[test]
fn a_second_name_server_answers_for_one_that_fails() {
    for said in [Said::Error(2), Said::Error(5), Said::Silence] {
        let (failing, _) = one(said.clone());
        let (good, _) = one(Said::Addresses(vec![address(1)], 60));
        let servers = vec![failing.address(), good.address()];
        let resolver = Resolver::new(Options { name_servers: servers, ..options(&failing) });
        assert_eq!(records(&resolver.ask_and_wait(of("host.test."))), ["192.0.2.1"], "{said:?}");
    }
}
