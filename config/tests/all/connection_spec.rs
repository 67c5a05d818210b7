//! Connection specifications, their addresses and every error text.

use std::net::SocketAddr;

use millstream_config::{ConnectionSpec, SpecError};
use millstream_core::policy::Endpoint;

use crate::common::problem;

fn parse(text: &str) -> ConnectionSpec {
    text.parse().unwrap()
}

#[track_caller]
fn error(text: &str, message: &str) {
    assert_eq!(text.parse::<ConnectionSpec>().unwrap_err().to_string(), message);
    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
    assert_eq!(problem(&format!("manager.connection_spec = \"{quoted}\"")).message, message);
}

fn addresses(endpoint: &Endpoint) -> Vec<SocketAddr> {
    match endpoint {
        Endpoint::Tcp(addresses) => addresses.to_vec(),
        Endpoint::Unix(_) => Vec::new(),
    }
}

#[test]
fn no_colon() {
    error("10025", "spec doesn't have colon: <10025>");
    error("", "spec doesn't have colon: <>");
}

#[test]
fn no_content() {
    error("inet:", "spec doesn't have content: <inet:>");
    error("nonsense:", "spec doesn't have content: <nonsense:>");
}

#[test]
fn unknown_protocol() {
    error("tcp:25", "protocol must be 'unix', 'inet' or 'inet6': <tcp:25>: <tcp>");
    error("INET:25", "protocol must be 'unix', 'inet' or 'inet6': <INET:25>: <INET>");
}

#[test]
fn port_that_is_no_number() {
    error("inet:2x5", "port number has invalid character: <inet:2x5>: <x>");
    error("inet:-1@[nonsense", "port number has invalid character: <inet:-1@[nonsense>: <->");
}

#[test]
fn port_out_of_range() {
    error("inet:65536", "port number should be less than 65536: <inet:65536>: <65536>");
    error(
        "inet6:99999999999999999999",
        "port number should be less than 65536: <inet6:99999999999999999999>: <99999999999999999999>",
    );
}

#[test]
fn missing_bracket() {
    error("inet:25@[127.0.0.1", "']' is missing: <inet:25@[127.0.0.1>: <[127.0.0.1>");
    error("inet:25@[127.0.0.1]x", "']' is missing: <inet:25@[127.0.0.1]x>: <[127.0.0.1]x>");
}

#[test]
fn bad_literal_address() {
    error("inet:25@[::1]", "invalid host address: <inet:25@[::1]>: <::1>");
    error("inet6:25@[127.0.0.1]", "invalid host address: <inet6:25@[127.0.0.1]>: <127.0.0.1>");
    error("inet:25@[]", "invalid host address: <inet:25@[]>: <>");
    error("inet:25@", "invalid host address: <inet:25@>: <>");
}

#[test]
fn the_host_is_checked_before_the_range_of_the_port() {
    error("inet:70000@[x]", "invalid host address: <inet:70000@[x]>: <x>");
}

#[test]
fn a_name_without_address_is_told_where_it_is_set() {
    let found = problem("manager.connection_spec = \"inet:25@no-such-host.invalid\"");
    let start = "invalid host address: <inet:25@no-such-host.invalid>: <no-such-host.invalid>: ";
    assert!(found.message.starts_with(start), "{}", found.message);
    assert_eq!((found.line, found.column), (1, 27));
}

#[test]
fn a_name_of_the_other_family_has_no_address() {
    let error = parse("inet6:25@127.0.0.1").resolve().unwrap_err();
    assert!(matches!(error, SpecError::Resolve { .. }), "{error}");
}

#[test]
fn unix_sockets() {
    assert_eq!(parse("unix:/run/x.sock"), parse("local:/run/x.sock"));
    assert_ne!(parse("unix:/run/x.sock"), parse("unix:/run/y.sock"));
    assert_eq!(parse("unix:/a:b@[c").resolve(), Ok(Endpoint::Unix((*b"/a:b@[c").into())));
}

#[test]
fn without_host_one_listens_everywhere_and_connects_to_loopback() {
    assert_eq!(addresses(&parse("inet:25").bind_addresses().unwrap()), ["0.0.0.0:25".parse().unwrap()]);
    assert_eq!(addresses(&parse("inet6:25").bind_addresses().unwrap()), ["[::]:25".parse().unwrap()]);
    assert_eq!(addresses(&parse("inet:25").resolve().unwrap()), ["127.0.0.1:25".parse().unwrap()]);
    assert_eq!(addresses(&parse("inet6:25").resolve().unwrap()), ["[::1]:25".parse().unwrap()]);
}

#[test]
fn literal_addresses() {
    assert_eq!(addresses(&parse("inet:25@[10.0.0.1]").resolve().unwrap()), ["10.0.0.1:25".parse().unwrap()]);
    assert_eq!(addresses(&parse("inet:25@10.0.0.1").resolve().unwrap()), ["10.0.0.1:25".parse().unwrap()]);
    assert_eq!(addresses(&parse("inet6:25@[::1]").bind_addresses().unwrap()), ["[::1]:25".parse().unwrap()]);
}

#[test]
fn an_empty_port_is_zero() {
    assert_eq!(parse("inet:@[127.0.0.1]"), parse("inet:0@[127.0.0.1]"));
}

#[test]
fn a_specification_is_shown_as_it_was_written() {
    for text in [
        "unix:/a b",
        "local:/a",
        "inet:25",
        "inet:025@[127.0.0.1]",
        "inet:@[127.0.0.1]",
        "inet:25@localhost",
        "inet6:25@[0::1]",
        "inet6:25@ip6-localhost",
    ] {
        let spec = parse(text);
        assert_eq!(spec.to_string(), text);
        assert_eq!(ConnectionSpec::from(spec.place().clone()), spec, "what it means can be written, too");
        assert_eq!(parse(&spec.place().to_string()), spec);
    }
    assert_eq!(parse("local:/a").place().to_string(), "unix:/a");
    assert_eq!(parse("inet:025@[127.0.0.1]").place().to_string(), "inet:25@[127.0.0.1]");
}
