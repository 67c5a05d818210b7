//! Host names of milters whose addresses change, vanish and come back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use common::good;
use millstream_config::{Configuration, Hosts, Resolver};
use millstream_core::policy::{Endpoint, Route};

/// The program's resolver is asked when the file is loaded, so the names must be known to it.
const TWO_NAMES: &str = "define_milter(\"m\") {|m| m.connection_spec = [\"inet:5@localhost\", \"inet:6@localhost\", \"unix:/a\"] }";

/// Says what it is told to say, and counts how often it was asked.
#[derive(Debug, Default)]
struct Scripted(Mutex<(Vec<SocketAddr>, u32)>);

impl Scripted {
    fn new(addresses: &[&str]) -> Arc<Self> {
        let scripted = Arc::new(Self::default());
        scripted.say(addresses);
        scripted
    }

    fn say(&self, addresses: &[&str]) {
        self.0.lock().unwrap().0 =
            addresses.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 99)).collect();
    }

    fn asked(&self) -> u32 {
        self.0.lock().unwrap().1
    }
}

impl Resolver for Scripted {
    fn addresses(&self, _host: &str) -> Result<Vec<SocketAddr>, String> {
        let mut state = self.0.lock().unwrap();
        state.1 += 1;
        if state.0.is_empty() { Err("Name or service not known".to_owned()) } else { Ok(state.0.clone()) }
    }
}

fn hosts(resolver: &Arc<Scripted>, configuration: &Configuration) -> Hosts {
    Hosts::new(Arc::<Scripted>::clone(resolver)).of(configuration)
}

fn route(configuration: &Configuration, hosts: &Hosts) -> Route {
    (*configuration.policy_at(hosts).unwrap().children()[0].route).clone()
}

/// The addresses of the first socket.
fn first(configuration: &Configuration, hosts: &Hosts) -> Vec<String> {
    match &route(configuration, hosts).endpoints[0] {
        Endpoint::Tcp(addresses) => addresses.iter().map(ToString::to_string).collect(),
        Endpoint::Unix(_) => Vec::new(),
    }
}

fn changes(hosts: &mut Hosts) -> Vec<String> {
    hosts.look_again().iter().map(ToString::to_string).collect()
}

#[test]
fn a_name_is_looked_up_once_for_all_sockets() {
    let configuration = good(TWO_NAMES);
    let resolver = Scripted::new(&["10.0.0.1", "::1", "10.0.0.1", "10.0.0.2"]);
    let hosts = hosts(&resolver, &configuration);
    assert_eq!(resolver.asked(), 1);
    assert_eq!(first(&configuration, &hosts), ["10.0.0.1:5", "10.0.0.2:5"]);
    let Endpoint::Tcp(second) = &route(&configuration, &hosts).endpoints[1] else { panic!() };
    assert_eq!(second[0], "10.0.0.1:6".parse().unwrap());
}

#[test]
fn what_needs_no_look_up_is_not_looked_up() {
    let configuration = good(
        "define_milter(\"a\") {|m| m.connection_spec = %w(unix:/a inet:5 inet:6@[10.0.0.1] inet6:7) }\n\
         define_milter(\"off\") {|m| m.connection_spec = \"inet:5@localhost\"; m.enabled = false }",
    );
    let resolver = Scripted::new(&[]);
    let hosts = hosts(&resolver, &configuration);
    assert!(hosts.are_fixed());
    assert_eq!(resolver.asked(), 0);
    assert!(configuration.policy_at(&hosts).is_ok());
}

#[test]
fn an_address_without_brackets_does_not_change() {
    let configuration = good("define_milter(\"a\") {|m| m.connection_spec = \"inet:5@10.0.0.1\" }");
    assert!(hosts(&Scripted::new(&["10.0.0.1"]), &configuration).are_fixed());
    assert!(!hosts(&Scripted::new(&["10.0.0.1"]), &good(TWO_NAMES)).are_fixed());
}

#[test]
fn another_load_tells_what_has_changed_since_the_one_before() {
    let configuration = good(TWO_NAMES);
    let resolver = Scripted::new(&["10.0.0.1"]);
    let mut before = hosts(&resolver, &configuration);
    assert_eq!(before.of(&configuration).changes_since(&before), []);
    assert_eq!(before.changes_since(&before.of(&good(""))), []);
    resolver.say(&[]);
    assert_eq!(before.look_again().len(), 1);
    resolver.say(&["10.0.0.1"]);
    let after = before.of(&configuration).changes_since(&before);
    assert_eq!(after[0].to_string(), "localhost can be looked up again: 10.0.0.1");
    resolver.say(&["10.0.0.2"]);
    let after = before.of(&configuration).changes_since(&before);
    assert_eq!(after[0].to_string(), "localhost: 10.0.0.1 -> 10.0.0.2");
}

#[test]
fn other_addresses_hold_from_then_on() {
    let configuration = good(TWO_NAMES);
    let resolver = Scripted::new(&["10.0.0.1"]);
    let mut hosts = hosts(&resolver, &configuration);
    assert_eq!(changes(&mut hosts), [""; 0]);
    resolver.say(&["10.0.0.2", "10.0.0.3"]);
    assert_eq!(changes(&mut hosts), ["localhost: 10.0.0.1 -> 10.0.0.2, 10.0.0.3"]);
    assert_eq!(first(&configuration, &hosts), ["10.0.0.2:5", "10.0.0.3:5"]);
    assert_eq!(changes(&mut hosts), [""; 0]);
}

#[test]
fn the_same_addresses_in_another_order_are_no_change() {
    let configuration = good(TWO_NAMES);
    let resolver = Scripted::new(&["10.0.0.1", "10.0.0.2"]);
    let mut before = hosts(&resolver, &configuration);
    resolver.say(&["10.0.0.2", "10.0.0.1"]);
    assert_eq!(changes(&mut before), [""; 0]);
    // Nor for a reload, whose routes would be others.
    assert_eq!(route(&configuration, &before.of(&configuration)), route(&configuration, &before));
}

#[test]
fn a_name_that_is_lost_keeps_its_addresses_and_is_told_once() {
    let configuration = good(TWO_NAMES);
    let resolver = Scripted::new(&["10.0.0.1"]);
    let mut hosts = hosts(&resolver, &configuration);
    resolver.say(&[]);
    assert_eq!(
        changes(&mut hosts),
        ["localhost cannot be looked up, 10.0.0.1 holds on: Name or service not known"]
    );
    assert_eq!(changes(&mut hosts), [""; 0]);
    assert_eq!(first(&configuration, &hosts), ["10.0.0.1:5"]);
    // Only addresses of the other family are none, and nothing new.
    resolver.say(&["::1"]);
    assert_eq!(changes(&mut hosts), [""; 0]);

    resolver.say(&["10.0.0.1"]);
    assert_eq!(changes(&mut hosts), ["localhost can be looked up again: 10.0.0.1"]);
    resolver.say(&[]);
    assert_eq!(hosts.look_again().len(), 1);
    resolver.say(&["10.0.0.9"]);
    assert_eq!(changes(&mut hosts), ["localhost: 10.0.0.1 -> 10.0.0.9"]);
    assert_eq!(changes(&mut hosts), [""; 0]);
}

#[test]
fn without_an_address_at_the_load_there_is_a_problem_at_its_line() {
    let configuration = good(&format!("\n{TWO_NAMES}"));
    let resolver = Scripted::new(&["10.0.0.1"]);
    let before = hosts(&resolver, &configuration);
    resolver.say(&[]);
    // What an earlier load knew does not count.
    let problems = configuration.policy_at(&before.of(&configuration)).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "test.conf:2: <m>: invalid connection spec: invalid host address: <inet:5@localhost>: <localhost>: Name or service \
         not known\n    hint: write the address in brackets, or correct the host name"
    );
}

#[test]
fn addresses_of_the_other_family_do_not_count() {
    let configuration =
        good("define_milter(\"m\") {|m| m.connection_spec = %w(inet:5@localhost inet:6@localhost) }\n");
    let resolver = Scripted::new(&["10.0.0.1", "fe80::1"]);
    let mut hosts = hosts(&resolver, &configuration);
    resolver.say(&["10.0.0.1", "fe80::2"]);
    assert_eq!(changes(&mut hosts), [""; 0]);
    resolver.say(&["10.0.0.2", "fe80::2"]);
    assert_eq!(changes(&mut hosts).len(), 1);
    assert_eq!(first(&configuration, &hosts), ["10.0.0.2:5"]);
}
