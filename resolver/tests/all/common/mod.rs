//! A resolver that knows nothing but the test's name server.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::Ipv4Addr;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use millstream_resolver::{Answer, Family, Options, Question, Resolver};
use millstream_tests::name_server::NameServer;

/// Neither the system's files nor its name servers.
pub(crate) fn options(server: &NameServer) -> Options {
    Options {
        name_servers: vec![server.address()],
        resolv_conf: "/nonexistent/resolv.conf".into(),
        hosts: "/nonexistent/hosts".into(),
        ..Options::default()
    }
}

/// The IPv4 addresses of a name.
pub(crate) fn of(name: &str) -> Question {
    Question::Addresses { name: name.into(), family: Family::V4 }
}

/// What was found, without for how long.
pub(crate) fn records(answer: &Answer) -> Vec<&str> {
    match answer {
        Answer::Found { records, .. } => records.iter().map(|record| &**record).collect(),
        other => panic!("{other:?}"),
    }
}

/// For how long it holds.
pub(crate) fn holds(answer: &Answer) -> Option<Duration> {
    match answer {
        Answer::Found { holds, .. } => *holds,
        other => panic!("{other:?}"),
    }
}

/// Asks without waiting.
pub(crate) fn ask(resolver: &Resolver, question: Question) -> Receiver<Answer> {
    let (answer, answered) = channel();
    resolver.ask(question, Box::new(move |found| answer.send(found).unwrap()));
    answered
}

pub(crate) fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, last)
}
