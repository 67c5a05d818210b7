//! Host names of milters whose addresses change, vanish and come back.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use millstream_config::{Addresses, Configuration, Family, Hosts, Resolver};
use millstream_core::policy::{Endpoint, Route};

use crate::common::good;

const TWO_NAMES: &str = "define_milter(\"m\") {|m| m.connection_spec = [\"inet:5@scanner.test\", \"inet:6@scanner.test\", \"unix:/a\"] }";

/// Says what it is told to say, and counts how often it was asked.
#[derive(Debug, Default)]
struct Scripted(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    found: Vec<SocketAddr>,
    hold: Option<Duration>,
    asked: u32,
}

impl Scripted {
    fn new(addresses: &[&str]) -> Arc<Self> {
        let scripted = Arc::new(Self::default());
        scripted.say(addresses);
        scripted
    }

    fn say(&self, addresses: &[&str]) {
        self.0.lock().unwrap().found =
            addresses.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 99)).collect();
    }

    fn asked(&self) -> u32 {
        self.0.lock().unwrap().asked
    }

    fn hold(&self, hold: Option<Duration>) {
        self.0.lock().unwrap().hold = hold;
    }
}

impl Resolver for Scripted {
    fn addresses(&self, _host: &str, _family: Family) -> Result<Addresses, String> {
        let mut state = self.0.lock().unwrap();
        state.asked += 1;
        if state.found.is_empty() {
            return Err("Name or service not known".to_owned());
        }
        Ok(Addresses { found: state.found.clone(), hold: state.hold })
    }
}

fn hosts(resolver: &Arc<Scripted>, configuration: &Configuration) -> Hosts {
    Hosts::new(Arc::<Scripted>::clone(resolver)).of(configuration, Instant::now())
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

/// What the next look-up of a name brings.
fn changes(hosts: &mut Hosts) -> Vec<String> {
    let due = hosts.next_look().unwrap();
    hosts.look_again(due).iter().map(ToString::to_string).collect()
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
         define_milter(\"off\") {|m| m.connection_spec = \"inet:5@scanner.test\"; m.enabled = false }",
    );
    let resolver = Scripted::new(&[]);
    let hosts = hosts(&resolver, &configuration);
    assert_eq!(hosts.next_look(), None);
    assert_eq!(resolver.asked(), 0);
    assert!(configuration.policy_at(&hosts).is_ok());
}

#[test]
fn an_address_without_brackets_does_not_change() {
    let configuration = good("define_milter(\"a\") {|m| m.connection_spec = \"inet:5@10.0.0.1\" }");
    assert_eq!(hosts(&Scripted::new(&["10.0.0.1"]), &configuration).next_look(), None);
    assert_ne!(hosts(&Scripted::new(&["10.0.0.1"]), &good(TWO_NAMES)).next_look(), None);
}

#[test]
fn another_load_tells_what_has_changed_since_the_one_before() {
    let configuration = good(TWO_NAMES);
    let resolver = Scripted::new(&["10.0.0.1"]);
    let mut before = hosts(&resolver, &configuration);
    assert_eq!(before.of(&configuration, Instant::now()).changes_since(&before), []);
    assert_eq!(before.changes_since(&before.of(&good(""), Instant::now())), []);
    resolver.say(&[]);
    assert_eq!(changes(&mut before).len(), 1);
    resolver.say(&["10.0.0.1"]);
    let after = before.of(&configuration, Instant::now()).changes_since(&before);
    assert_eq!(after[0].to_string(), "scanner.test can be looked up again: 10.0.0.1");
    resolver.say(&["10.0.0.2"]);
    let after = before.of(&configuration, Instant::now()).changes_since(&before);
    assert_eq!(after[0].to_string(), "scanner.test: 10.0.0.1 -> 10.0.0.2");
}

#[test]
fn other_addresses_hold_from_then_on() {
    let configuration = good(TWO_NAMES);
    let resolver = Scripted::new(&["10.0.0.1"]);
    let mut hosts = hosts(&resolver, &configuration);
    assert_eq!(changes(&mut hosts), [""; 0]);
    resolver.say(&["10.0.0.2", "10.0.0.3"]);
    assert_eq!(changes(&mut hosts), ["scanner.test: 10.0.0.1 -> 10.0.0.2, 10.0.0.3"]);
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
    assert_eq!(
        route(&configuration, &before.of(&configuration, Instant::now())),
        route(&configuration, &before)
    );
}

#[test]
fn a_name_that_is_lost_keeps_its_addresses_and_is_told_once() {
    let configuration = good(TWO_NAMES);
    let resolver = Scripted::new(&["10.0.0.1"]);
    let mut hosts = hosts(&resolver, &configuration);
    resolver.say(&[]);
    assert_eq!(
        changes(&mut hosts),
        ["scanner.test cannot be looked up, 10.0.0.1 holds on: Name or service not known"]
    );
    assert_eq!(changes(&mut hosts), [""; 0]);
    assert_eq!(first(&configuration, &hosts), ["10.0.0.1:5"]);
    // Only addresses of the other family are none, and nothing new.
    resolver.say(&["::1"]);
    assert_eq!(changes(&mut hosts), [""; 0]);

    resolver.say(&["10.0.0.1"]);
    assert_eq!(changes(&mut hosts), ["scanner.test can be looked up again: 10.0.0.1"]);
    resolver.say(&[]);
    assert_eq!(changes(&mut hosts).len(), 1);
    resolver.say(&["10.0.0.9"]);
    assert_eq!(changes(&mut hosts), ["scanner.test: 10.0.0.1 -> 10.0.0.9"]);
    assert_eq!(changes(&mut hosts), [""; 0]);
}

#[test]
fn without_an_address_at_the_load_there_is_a_problem_at_its_line() {
    let configuration = good(&format!("\n{TWO_NAMES}"));
    let resolver = Scripted::new(&["10.0.0.1"]);
    let before = hosts(&resolver, &configuration);
    resolver.say(&[]);
    // What an earlier load knew does not count.
    let problems = configuration.policy_at(&before.of(&configuration, Instant::now())).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "test.conf:2: <m>: invalid connection spec: invalid host address: <inet:5@scanner.test>: <scanner.test>: Name or service \
         not known\n    hint: write the address in brackets, or correct the host name"
    );
}

#[test]
fn a_name_is_looked_up_again_when_its_addresses_hold_no_longer() {
    let configuration = good(TWO_NAMES);
    let resolver = Scripted::new(&["10.0.0.1"]);
    resolver.hold(Some(Duration::from_secs(7)));
    let start = Instant::now();
    let mut hosts = Hosts::new(Arc::<Scripted>::clone(&resolver)).of(&configuration, start);
    let due = start + Duration::from_secs(7);
    assert_eq!(hosts.next_look(), Some(due));
    resolver.say(&["10.0.0.2"]);
    assert_eq!(hosts.look_again(due - Duration::from_millis(1)), []);
    assert_eq!(resolver.asked(), 1);

    resolver.hold(Some(Duration::from_secs(3000)));
    assert_eq!(hosts.look_again(due).len(), 1);

    assert_eq!(hosts.next_look(), Some(due + Duration::from_secs(3000)));
    assert_eq!(hosts.look_again(due), []);
    assert_eq!(resolver.asked(), 2);
}

#[test]
fn without_a_time_to_live_and_without_an_answer_the_interval_counts() {
    let configuration = good(&format!("manager.resolve_interval = 9\n{TWO_NAMES}"));
    let resolver = Scripted::new(&["10.0.0.1"]);
    let start = Instant::now();
    let mut hosts = Hosts::new(Arc::<Scripted>::clone(&resolver)).of(&configuration, start);
    let mut due = start;
    for addresses in [&[][..], &["10.0.0.1"], &["10.0.0.2"]] {
        due += Duration::from_secs(9);
        assert_eq!(hosts.next_look(), Some(due));
        resolver.say(addresses);
        assert_eq!(hosts.look_again(due).len(), 1);
    }
}

#[test]
fn an_interval_of_0_means_at_loads_only() {
    let configuration = good(&format!("manager.resolve_interval = 0\n{TWO_NAMES}"));
    let resolver = Scripted::new(&["10.0.0.1"]);
    resolver.hold(Some(Duration::from_secs(7)));
    assert_eq!(hosts(&resolver, &configuration).next_look(), None);
}

#[test]
fn a_milter_that_is_not_used_may_have_any_name() {
    let configuration = good(
        "define_milter(\"off\") {|m| m.connection_spec = \"inet:5@no-such-host.invalid\"; m.enabled = false }",
    );
    assert!(configuration.policy().is_ok());
}

#[test]
fn addresses_of_the_other_family_do_not_count() {
    let configuration =
        good("define_milter(\"m\") {|m| m.connection_spec = %w(inet:5@scanner.test inet:6@scanner.test) }\n");
    let resolver = Scripted::new(&["10.0.0.1", "fe80::1"]);
    let mut hosts = hosts(&resolver, &configuration);
    resolver.say(&["10.0.0.1", "fe80::2"]);
    assert_eq!(changes(&mut hosts), [""; 0]);
    resolver.say(&["10.0.0.2", "fe80::2"]);
    assert_eq!(changes(&mut hosts).len(), 1);
    assert_eq!(first(&configuration, &hosts), ["10.0.0.2:5"]);
}
