//! The configuration as core gets it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use common::good;
use millstream_core::policy::{Endpoint, Fallback};

#[test]
fn enabled_milters_in_order() {
    let configuration = good(
        "manager.fallback_status = :reject\n\
         define_milter(\"a\") {|m| m.connection_spec = \"unix:/a\"; m.reading_timeout = 3 }\n\
         define_milter(\"off\") {|m| m.enabled = false }\n\
         define_milter(\"b\") {|m| m.connection_spec = \"inet:5\"; m.fallback_status = :discard; m.evaluation_mode = true }",
    );
    let policy = configuration.policy().unwrap();
    let [a, b] = policy.children() else { panic!("two children") };
    assert_eq!((&*a.name, &a.endpoint), ("a", &Endpoint::Unix((*b"/a").into())));
    assert_eq!(a.timeouts.reading.as_secs(), 3);
    assert_eq!((&*b.name, &b.endpoint), ("b", &Endpoint::Tcp(["127.0.0.1:5".parse().unwrap()].into())));
    assert_eq!((b.fallback, b.evaluation_mode), (Fallback::Discard, true));
    assert_eq!(policy.fallback(), Fallback::Reject);
}

#[test]
fn no_milters_are_a_policy_too() {
    assert!(good("").policy().unwrap().children().is_empty());
}

#[test]
fn a_milter_without_connection_spec_is_a_problem_at_its_place() {
    let problems = good("\ndefine_milter(\"a\") {|m| }\ndefine_milter(\"b\") {|m| }").policy().unwrap_err();
    let shown: Vec<_> =
        problems.iter().map(|problem| problem.to_string().lines().next().unwrap().to_owned()).collect();
    assert_eq!(
        shown,
        ["test.conf:2: must set connection spec: a", "test.conf:3: must set connection spec: b"]
    );
}

#[test]
fn a_configuration_can_be_sent_between_threads() {
    fn sendable<T: Send + Sync>(_: &T) {}
    sendable(&good(""));
    sendable(&good("").policy().unwrap());
}
