//! The configuration as core gets it.

use std::time::Duration;

use millstream_core::policy::{
    ChildIndex, Endpoint, EndpointChoice, FailureKind, Fallback, Limits, Recipients, Reuse, Route,
};

use crate::common::good;

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
    assert_eq!((&*a.name, &*a.route.endpoints), ("a", &[Endpoint::Unix((*b"/a").into())][..]));
    assert_eq!(a.timeouts.reading.as_secs(), 3);
    assert_eq!(
        (&*b.name, &*b.route.endpoints),
        ("b", &[Endpoint::Tcp(["127.0.0.1:5".parse().unwrap()].into())][..])
    );
    assert_eq!((b.fallback, b.evaluation_mode), (Fallback::Discard, true));
    assert_eq!(policy.fallback(), Fallback::Reject);
}

#[test]
fn each_kind_of_failure_has_its_fallback() {
    let configuration = good(
        "define_milter(\"off\") {|m| m.enabled = false; m.fallback_status_at_timeout = :discard }\n\
         define_milter(\"a\") do |m|\n  m.connection_spec = \"unix:/a\"\n  m.fallback_status = :quarantine\n  \
         m.fallback_status_at_connect = :shutdown\n  m.fallback_status_at_close = :reject\nend\n\
         define_milter(\"b\") {|m| m.connection_spec = \"unix:/b\"; m.fallback_status_at_protocol_error = :discard }",
    );
    let policy = configuration.policy().unwrap();
    let of = |child| FailureKind::ALL.map(|kind| policy.fallback_for(ChildIndex(child), kind));
    assert_eq!(of(0), [Fallback::Shutdown, Fallback::Quarantine, Fallback::Quarantine, Fallback::Reject]);
    assert_eq!(of(1), [Fallback::Accept, Fallback::Accept, Fallback::Discard, Fallback::Accept]);
    assert_eq!(of(2), [Fallback::TemporaryFailure; 4]);
}

#[test]
fn by_default_core_decides() {
    let policy = good("").policy().unwrap();
    assert_eq!(policy.limits(), &Limits::default());
    assert_eq!((policy.recipients(), policy.unfiltered_header()), (Recipients::InOrder, None));
    assert!(policy.lazy_connect());
}

#[test]
fn what_is_set_for_sessions_reaches_core() {
    let configuration = good(
        "manager.recipients = :parallel\nmanager.unfiltered_header = \"X-Unfiltered\"\n\
         manager.command_time_limit = 20\nmanager.message_time_limit = 0.5\nmanager.max_recipients = 1\n\
         manager.max_envelope_size = 2\nmanager.max_headers = 3\nmanager.max_header_size = 4\n\
         manager.max_body_memory = 5\nmanager.max_macro_size = 6\nmanager.max_edits = 7\nmanager.max_body_file = 8\nmanager.max_edit_size = 9\n\
         manager.max_total_body_memory = 10\nmanager.max_total_body_file = 11\nmanager.max_message_time = 12\n\
         manager.mta_greeting_timeout = 13\nmanager.mta_idle_timeout = 14\nmanager.mta_writing_timeout = 15",
    );
    let policy = configuration.policy().unwrap();
    let expected = Limits {
        command_budget: Some(Duration::from_secs(20)),
        message_budget: Some(Duration::from_millis(500)),
        recipients: 1,
        envelope_bytes: 2,
        headers: 3,
        header_bytes: 4,
        body_bytes: 5,
        macro_bytes: 6,
        edits: 7,
        spill_bytes: 8,
        edit_bytes: 9,
        total_body_bytes: 10,
        total_spill_bytes: 11,
        message_time: Duration::from_secs(12),
        mta_greeting: Duration::from_secs(13),
        mta_idle: Duration::from_secs(14),
        mta_writing: Duration::from_secs(15),
        ..Limits::default()
    };
    assert_eq!(policy.limits(), &expected);
    assert_eq!(policy.recipients(), Recipients::Parallel);
    assert_eq!(policy.unfiltered_header(), Some("X-Unfiltered"));
}

#[test]
fn how_connections_are_had_is_the_route() {
    let source = "manager.lazy_connect = false\n\
         define_milter(\"plain\") {|m| m.connection_spec = \"unix:/p\" }\n\
         define_milter(\"off\") {|m| m.enabled = false; m.pipelining = true }\n\
         define_milter(\"m\") do |m|\n  m.connection_spec = [\"unix:/a\", \"inet:5\"]\n  \
         m.endpoint_choice = \"round-robin\"\n  m.max_connections = 5\n  m.queue_timeout = 2\n  m.retry_interval = 3\n  \
         m.reuse_connections = true\n  m.reuse_idle_time = 4\n  m.reuse_age = 6\n  m.pipelining = false\nend";
    let policy = good(source).policy().unwrap();
    let [plain, m] = policy.children() else { panic!("two children") };
    assert_eq!(plain.route, Route::to("plain", Endpoint::Unix((*b"/p").into())));
    let expected = Route {
        name: "m".into(),
        endpoints: [Endpoint::Unix((*b"/a").into()), Endpoint::Tcp(["127.0.0.1:5".parse().unwrap()].into())]
            .into(),
        choice: EndpointChoice::RoundRobin,
        max_connections: 5,
        queue_timeout: Duration::from_secs(2),
        retry_interval: Duration::from_secs(3),
        reuse: Some(Reuse { idle: Duration::from_secs(4), age: Duration::from_secs(6) }),
    };
    assert_eq!(*m.route, expected);
    assert_eq!([0, 1, 2].map(|child| policy.pipelining(ChildIndex(child))), [true, false, false]);
    assert!(!policy.lazy_connect());
}

#[test]
fn the_same_file_gives_the_same_routes() {
    let source = "define_milter(\"m\") {|m| m.connection_spec = %w(inet:5@localhost unix:/a); m.reuse_connections = true }";
    let route = |source: &str| (*good(source).policy().unwrap().children()[0].route).clone();
    assert_eq!(route(source), route(source));
    assert_eq!(route(source), route(&format!("{source}\ndefine_milter(\"n\") {{|m| m.enabled = false }}")));
    assert_ne!(route(source), route(&source.replace("reuse_connections = true", "max_connections = 1")));
    // Times of connections that are not kept change nothing.
    let closed = source.replace("reuse_connections = true", "reuse_age = 5");
    assert_eq!(route(&closed), route(&source.replace("; m.reuse_connections = true", "")));
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
