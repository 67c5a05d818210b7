//! `Remote Network` and `remote_network`.

use millstream_core::wire::Stage;

use super::visit;
use crate::common::problem;
use crate::common::session::client;

/// Whether a client at `address` is shown the milter.
#[track_caller]
fn is_remote(before: &str, address: &str) -> bool {
    let mut visit = visit("Remote Network", before);
    visit.client = client("host.example.com", address);
    !visit.stops(Stage::Connect)
}

#[test]
fn loopback_private_networks_and_unix_sockets_are_local_and_an_unknown_address_is_no_stranger() {
    for (address, remote) in [
        ("192.0.2.7:25", true),
        ("127.0.0.1:25", false),
        ("127.255.0.1:25", false),
        ("10.9.8.7:25", false),
        ("172.16.0.1:25", false),
        ("172.31.255.255:25", false),
        ("172.32.0.1:25", true),
        ("192.168.3.4:25", false),
        ("169.254.1.1:25", true),
        ("100.64.0.1:25", true),
        ("[::1]:25", false),
        ("[fe80::1]:25", false),
        ("[fc00::1]:25", true),
        ("[2001:db8::1]:25", true),
        ("/run/socket", false),
        ("unknown", false),
    ] {
        assert_eq!(is_remote("", address), remote, "{address}");
    }
}

#[test]
fn what_is_named_as_local_is_local_and_what_is_named_as_remote_comes_first() {
    let before = "remote_network.add_local_address(\"160.29.167.10\")\n\
                  remote_network.add_local_address(\"160.30.0.0/16\")\n\
                  remote_network.add_local_address(\"2001:2f8:c2:201::/64\")\n\
                  remote_network.add_remote_address(\"192.168.0.0/24\")\n\
                  remote_network.add_remote_address(\"160.30.1.1\")";
    for (address, remote) in [
        ("160.29.167.10:25", false),
        ("160.29.167.11:25", true),
        ("160.30.200.1:25", false),
        ("160.30.1.1:25", true),
        ("[2001:2f8:c2:201::fff0]:25", false),
        ("[2001:2f8:c2:202::1]:25", true),
        ("192.168.0.5:25", true),
        ("192.168.1.5:25", false),
        ("unknown", false),
    ] {
        assert_eq!(is_remote(before, address), remote, "{address}");
    }
}

#[test]
fn what_is_no_address_is_a_problem() {
    let found = problem("remote_network.add_local_address(\"example.com\")");
    assert_eq!(
        (found.message.as_str(), found.line, found.column),
        ("should be an address or a network but was \"example.com\"", 1, 34)
    );
    for wrong in ["192.0.2.0/33", "", "192.0.2", "::1/129"] {
        problem(&format!("remote_network.add_remote_address(\"{wrong}\")"));
    }
    assert_eq!(
        problem("remote_network.add_local_addres(\"::1\")").hint.as_deref(),
        Some("did you mean add_local_address?")
    );
}

#[test]
fn a_stopper_cannot_change_it() {
    let source = "define_applicable_condition(\"C\") do |condition|\n  \
                  condition.define_connect_stopper {|context, host, address| remote_network.add_local_address(\"::1\") }\nend";
    let found = problem(source);
    assert_eq!(found.message, "add_local_address cannot be used by a stopper");
}
