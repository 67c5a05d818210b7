//! `define_milter`, its properties, and what happens when a milter is defined again.

use std::time::Duration;

use millstream_config::Connections;
use millstream_core::policy::{EndpointChoice, FailureKind, Fallback, Timeouts};

use crate::common::{good, problem, text};

fn milter(body: &str) -> millstream_config::Milter {
    good(&format!("define_milter(\"m\") do |milter|\n{body}\nend")).milters.remove(0)
}

#[track_caller]
fn refused(body: &str, message: &str) {
    let found = problem(&format!("define_milter(\"m\") do |milter|\n{body}\nend"));
    assert_eq!(found.message, message);
    assert_eq!(found.line, 2);
}

#[test]
fn an_empty_milter_has_the_defaults() {
    let milter = milter("");
    assert_eq!(milter.name, "m");
    assert_eq!(milter.connection_specs, []);
    assert_eq!(milter.connections, Connections::default());
    assert!(milter.pipelining);
    assert!(milter.enabled && !milter.evaluation_mode);
    assert_eq!(milter.fallback_status, Fallback::Accept);
    assert_eq!(milter.timeouts, Timeouts::default());
}

#[test]
fn every_property_can_be_set() {
    let milter = milter(
        "milter.connection_spec = \"inet:1@[127.0.0.1]\"\nmilter.description = \"d\" + milter.name\n\
         milter.enabled = false\nmilter.fallback_status = \"Reject\"\nmilter.evaluation_mode = true\n\
         milter.applicable_conditions = []\nmilter.command = \"/bin/start\"\nmilter.command_options = \"-a -b\"\n\
         milter.user_name = \"u\"\nmilter.connection_timeout = 1\nmilter.writing_timeout = 2.5\n\
         milter.reading_timeout = 3\nmilter.end_of_message_timeout = 4.0\nmilter.writing_timeout += 1",
    );
    assert_eq!(milter.connection_specs[0].to_string(), "inet:1@[127.0.0.1]");
    assert_eq!(milter.description.as_deref(), Some("dm"));
    assert!(!milter.enabled && milter.evaluation_mode);
    assert_eq!(milter.fallback_status, Fallback::Reject);
    assert_eq!(milter.command.as_deref(), Some("/bin/start"));
    assert_eq!(milter.command_options.as_deref(), Some("-a -b"));
    assert_eq!(milter.user_name.as_deref(), Some("u"));
    assert_eq!(milter.timeouts.connection, Duration::from_secs(1));
    assert_eq!(milter.timeouts.writing, Duration::from_millis(3500));
    assert_eq!(milter.timeouts.reading, Duration::from_secs(3));
    assert_eq!(milter.timeouts.end_of_message, Duration::from_secs(4));
}

#[test]
fn a_milter_can_have_a_fallback_for_each_kind_of_failure() {
    let milter = milter(
        "milter.fallback_status = :quarantine\nmilter.fallback_status_at_connect = \"shutdown\"\n\
         milter.fallback_status_at_timeout = :TEMPORARY_FAILURE\nmilter.fallback_status_at_protocol_error = :discard\n\
         milter.fallback_status_at_close = :reject\nmilter.fallback_status_at_close = nil",
    );
    let fallbacks = FailureKind::ALL.map(|kind| milter.fallback(kind));
    assert_eq!(
        fallbacks,
        [Fallback::Shutdown, Fallback::TemporaryFailure, Fallback::Discard, Fallback::Quarantine]
    );
}

#[test]
fn without_fallbacks_of_its_kinds_a_failure_has_that_of_the_milter() {
    let milter = milter("milter.fallback_status = :reject");
    assert_eq!(FailureKind::ALL.map(|kind| milter.fallback(kind)), [Fallback::Reject; 4]);
}

#[test]
fn how_connections_are_had_can_be_set() {
    let milter = milter(
        "milter.endpoint_choice = :least_busy\nmilter.max_connections = 5\nmilter.queue_timeout = 0.5\n\
         milter.retry_interval = 30\nmilter.reuse_connections = true\nmilter.reuse_idle_time = 20\n\
         milter.reuse_age = 600\nmilter.pipelining = false",
    );
    let expected = Connections {
        endpoint_choice: EndpointChoice::LeastBusy,
        max_connections: 5,
        queue_timeout: Duration::from_millis(500),
        retry_interval: Duration::from_secs(30),
        reuse_connections: true,
        reuse_idle_time: Duration::from_secs(20),
        reuse_age: Duration::from_secs(600),
    };
    assert_eq!(milter.connections, expected);
    assert!(!milter.pipelining);
}

#[test]
fn the_choice_is_a_word_in_any_spelling() {
    let choice =
        |written: &str| milter(&format!("milter.endpoint_choice = {written}")).connections.endpoint_choice;
    assert_eq!(choice("\"failover\""), EndpointChoice::Failover);
    assert_eq!(choice("\"round-robin\""), EndpointChoice::RoundRobin);
    assert_eq!(choice(":ROUND_ROBIN"), EndpointChoice::RoundRobin);
    for wrong in ["\"random\"", "nil", "1"] {
        refused(
            &format!("milter.endpoint_choice = {wrong}"),
            &format!(
                "milter.endpoint_choice should be one of [\"failover\", \"round-robin\", \"least-busy\"] but was {wrong}"
            ),
        );
    }
}

#[test]
fn limits_of_connections_have_their_ranges() {
    for wrong in ["-1", "1.5", "4294967296", "\"5\""] {
        refused(
            &format!("milter.max_connections = {wrong}"),
            &format!(
                "milter.max_connections should be a whole number from 0 to 4294967295, or nil but was {wrong}"
            ),
        );
    }
    assert_eq!(
        milter("milter.max_connections = 5\nmilter.max_connections = nil").connections.max_connections,
        0
    );
    for key in ["queue_timeout", "retry_interval", "reuse_idle_time", "reuse_age"] {
        for wrong in ["0", "-1", "31536001", "nil", "\"5\""] {
            refused(
                &format!("milter.{key} = {wrong}"),
                &format!(
                    "milter.{key} should be a number of seconds above 0 and at most 31536000 but was {wrong}"
                ),
            );
        }
    }
}

#[test]
fn a_milter_can_have_several_sockets() {
    let texts = |body: &str| {
        let milter = milter(body);
        milter.connection_specs.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        texts("milter.connection_spec = [\"unix:/a\", \"local:/b\", \"inet:05\"]"),
        ["unix:/a", "local:/b", "inet:05"]
    );
    assert_eq!(texts("milter.connection_spec = [\"unix:/a\"]"), ["unix:/a"]);
    assert_eq!(
        texts("milter.connection_spec = %w(unix:/a unix:/b)\nmilter.connection_spec += [\"unix:/c\"]"),
        ["unix:/a", "unix:/b", "unix:/c"]
    );
    // What was there counts no more.
    assert_eq!(
        texts("milter.connection_spec = [\"unix:/a\", \"unix:/b\"]\nmilter.connection_spec = \"unix:/c\""),
        ["unix:/c"]
    );
    assert_eq!(
        texts("milter.connection_spec = [\"unix:/a\", \"unix:/b\"]\nmilter.connection_spec = nil"),
        [""; 0]
    );
}

#[test]
fn a_list_of_sockets_that_is_none() {
    refused(
        "milter.connection_spec = []",
        "milter.connection_spec should name at least one socket but was []",
    );
    refused(
        "milter.connection_spec = [\"unix:/a\", nil]",
        "milter.connection_spec should have connection specifications in strings but has nil",
    );
    refused(
        "milter.connection_spec = 5",
        "milter.connection_spec should be a connection specification in a string, an array of them, or nil but was 5",
    );
    refused(
        "milter.connection_spec = [\"unix:/a\", \"tcp:1\"]",
        "protocol must be 'unix', 'inet' or 'inet6': <tcp:1>: <tcp>",
    );
    let many = format!("%w({})", "unix:/a ".repeat(101));
    refused(
        &format!("milter.connection_spec = {many}"),
        "milter.connection_spec should name at most 100 sockets but has 101",
    );
    let kept = text(
        "define_milter(\"m\") do |m|\n  m.connection_spec = [\"unix:/a\"]\n  m.connection_spec = []\nend",
    );
    assert_eq!(kept.configuration.milters[0].connection_specs.len(), 1);
}

#[test]
fn options_in_an_array_are_escaped_for_a_shell() {
    let milter = milter("milter.command_options = [\"start\", \"a b\", \"--x=1\", \"\", \"it's\"]");
    assert_eq!(milter.command_options.as_deref(), Some("start a\\ b --x\\=1 '' it\\'s"));
}

#[test]
fn options_can_be_nil() {
    assert_eq!(milter("milter.command_options = \"a\"\nmilter.command_options = nil").command_options, None);
}

#[test]
fn wrong_kinds_and_ranges() {
    refused("milter.enabled = 1", "milter.enabled should be true or false but was 1");
    refused(
        "milter.reading_timeout = -1",
        "milter.reading_timeout should be a number of seconds above 0 and at most 31536000 but was -1",
    );
    refused(
        "milter.reading_timeout = 0",
        "milter.reading_timeout should be a number of seconds above 0 and at most 31536000 but was 0",
    );
    refused(
        "milter.reading_timeout = 1e300",
        "milter.reading_timeout should be a number of seconds above 0 and at most 31536000 but was 1.0e+300",
    );
    refused(
        "milter.command_options = [1]",
        "milter.command_options should be an array of strings but was [1]",
    );
    refused("milter.name = \"x\"", "unknown setting: milter.name");
    refused("milter.conection_spec = \"x\"", "unknown setting: milter.conection_spec");
    refused(
        "milter.fallback_status = \"default\"",
        "milter.fallback_status should be one of [\"accept\", \"reject\", \"temporary-failure\", \"discard\", \"quarantine\", \"shutdown\"] but was \"default\"",
    );
    refused(
        "milter.fallback_status = nil",
        "milter.fallback_status should be one of [\"accept\", \"reject\", \"temporary-failure\", \"discard\", \"quarantine\", \"shutdown\"] but was nil",
    );
    refused(
        "milter.fallback_status_at_close = :hold",
        "milter.fallback_status_at_close should be one of [\"accept\", \"reject\", \"temporary-failure\", \"discard\", \"quarantine\", \"shutdown\"] but was :hold",
    );
    refused(
        "milter.connection_spec = \"tcp:1\"",
        "protocol must be 'unix', 'inet' or 'inet6': <tcp:1>: <tcp>",
    );
}

#[test]
fn defining_again_merges_everything_and_moves_to_the_end() {
    let configuration = good(
        "define_milter(\"a\") do |m|\n  m.connection_spec = \"unix:/a\"\n  m.fallback_status = :temporary_failure\n  \
         m.evaluation_mode = true\n  m.reading_timeout = 20\n  m.command = \"c\"\n  m.command_options = \"o\"\n  \
         m.fallback_status_at_timeout = :reject\n  m.max_connections = 5\n  m.endpoint_choice = :round_robin\nend\n\
         define_milter(\"b\") {|m| }\ndefine_milter(\"a\") {|m| m.description = \"d\" }",
    );
    let names: Vec<_> = configuration.milters.iter().map(|milter| milter.name.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    let a = &configuration.milters[1];
    assert_eq!(a.fallback_status, Fallback::TemporaryFailure);
    assert_eq!(a.fallback(FailureKind::Timeout), Fallback::Reject);
    assert!(a.evaluation_mode);
    assert_eq!(a.timeouts.reading, Duration::from_secs(20));
    assert_eq!(a.connections.max_connections, 5);
    assert_eq!(a.connections.endpoint_choice, EndpointChoice::RoundRobin);
    assert_eq!(a.connection_specs[0].to_string(), "unix:/a");
    assert_eq!((a.command.as_deref(), a.command_options.as_deref()), (Some("c"), Some("o")));
    assert_eq!(a.description.as_deref(), Some("d"));
}

#[test]
fn removing_and_listing() {
    let configuration = good(
        "%w(a b c).each {|n| define_milter(n) {|m| } }\nremove_milter(\"b\")\nremove_milter(\"unknown\")\n\
         database.name = defined_milters.join(\",\")\nremove_milter \"a\"",
    );
    assert_eq!(configuration.database.name.as_deref(), Some("a,c"));
    assert_eq!(configuration.milters.len(), 1);
}

#[test]
fn all_milters_can_be_changed_in_a_loop() {
    let configuration = good(
        "%w(a b).each {|n| define_milter(n) {|m| } }\ndefined_milters.each do |name|\n  \
         define_milter(name) do |milter|\n    milter.evaluation_mode = true\n  end\nend",
    );
    assert!(configuration.milters.iter().all(|milter| milter.evaluation_mode));
}

#[test]
fn conditions_are_never_dropped_in_silence() {
    for body in [
        "milter.applicable_conditions = [\"Remote Network\", \"S26R\"]",
        "milter.applicable_conditions += [\"S26R\"]",
        "milter.add_applicable_condition(\"S26R\")",
    ] {
        let found = problem(&format!("define_milter(\"m\") do |milter|\n{body}\nend"));
        assert!(
            found.message.starts_with("applicable condition should be one of [\"Authenticated\", "),
            "{found}"
        );
        assert!(found.message.contains("\"S26R\""), "{found}");
        assert_eq!(found.hint.as_deref(), Some("did you mean \"S25R\"?"));
    }
}

#[test]
fn a_milter_needs_a_name_and_a_block() {
    assert_eq!(problem("define_milter(\"m\")").message, "define_milter(\"m\") has no block");
    assert_eq!(problem("define_milter {|m| }").message, "define_milter takes 1 argument but got 0");
    assert_eq!(
        problem("define_milter(:m) {|m| }").message,
        "the argument of define_milter should be a string but was :m"
    );
}

#[test]
fn a_milter_cannot_be_changed_after_its_block() {
    let found = problem("x = nil\ndefine_milter(\"m\") {|m| x = m }\nx.enabled = false");
    assert_eq!(found.message, "the milter is used after its block");
}

#[test]
fn all_mistakes_in_a_block_are_told_and_the_rest_is_kept() {
    let loaded = text(
        "define_milter(\"m\") do |milter|\n  milter.enabled = 1\n  milter.x = 2\n  milter.description = \"d\"\n  \
         milter.reading_timeout = if true then :x end\nend",
    );
    let lines: Vec<_> = loaded.problems.iter().map(|problem| (problem.line, problem.column)).collect();
    assert_eq!(lines, [(2, 20), (3, 10), (5, 28)]);
    assert_eq!(loaded.configuration.milters[0].description.as_deref(), Some("d"));
}
