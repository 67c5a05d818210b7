//! What a configuration says and hardly means is told, with its place.

use millstream_config::{About, Warning};

use crate::common::good;

/// The warnings about a milter with these properties, its name and place left out of each: all are in line 3.
#[track_caller]
fn told(settings: &str, property: &str, expected: &[&str]) {
    let source = format!(
        "{settings}\ndefine_milter(\"clamav\") do |m|\n  {property}\n  m.connection_spec = \"inet:1\"\nend"
    );
    let warnings: Vec<_> = good(&source).warnings().iter().map(Warning::to_string).collect();
    let expected: Vec<_> = expected.iter().map(|text| format!("test.conf:3: {text}")).collect();
    assert_eq!(warnings, expected);
}

#[test]
fn a_time_limit_above_what_the_mta_waits_for_a_command() {
    for property in ["connection_timeout", "writing_timeout", "reading_timeout"] {
        told(
            "",
            &format!("m.{property} = 60.5"),
            &[&format!(
                "milter.{property} of \"clamav\" is 60.5 s, but the MTA is answered after 27 s behind Postfix and 7 s \
                 behind others"
            )],
        );
        told("", &format!("m.{property} = 6"), &[]);
    }
}

#[test]
fn a_time_limit_above_what_the_mta_waits_for_the_end_of_a_message() {
    told(
        "",
        "m.end_of_message_timeout = 300",
        &["milter.end_of_message_timeout of \"clamav\" is 300 s, but the MTA is answered after 297 s"],
    );
    told("", "m.end_of_message_timeout = 296", &[]);
}

#[test]
fn waiting_for_a_connection_longer_than_the_mta_waits() {
    told(
        "",
        "m.max_connections = 5; m.queue_timeout = 10",
        &[
            "milter.queue_timeout of \"clamav\" is 10 s, but the MTA is answered after 27 s behind Postfix and 7 s \
           behind others",
        ],
    );
    told("", "m.max_connections = 5; m.queue_timeout = 7", &[]);
    told("manager.command_time_limit = 4", "m.max_connections = 5", &[]);
}

#[test]
fn what_does_nothing_as_the_rest_is() {
    let nothing = |property: &str, needs: &str| {
        let name = property.split(' ').next().unwrap();
        told(
            "",
            &format!("m.{property}"),
            &[&format!("milter.{name} of \"clamav\" does nothing without {needs}")],
        );
    };
    let list =
        "several sockets in milter.connection_spec; the addresses of a host name are tried in their order";
    nothing("endpoint_choice = :round_robin", list);
    nothing("queue_timeout = 2", "milter.max_connections");
    nothing("queue_timeout = 60", "milter.max_connections");
    nothing("reuse_idle_time = 5", "milter.reuse_connections = true");
    nothing("reuse_age = 5", "milter.reuse_connections = true");
    told("", "m.endpoint_choice = \"failover\"; m.queue_timeout = 5; m.reuse_age = 3600", &[]);
    told("", "m.reuse_connections = true; m.reuse_idle_time = 5; m.reuse_age = 5", &[]);
}

#[test]
fn a_socket_that_is_named_twice() {
    let of = |specs: &str| {
        let source = format!(
            "define_milter(\"a\") do |m|\n  m.connection_spec = {specs}\n  m.endpoint_choice = :least_busy\nend"
        );
        good(&source).warnings().iter().map(Warning::to_string).collect::<Vec<_>>()
    };
    assert_eq!(of("%w(unix:/a unix:/b)"), [""; 0]);
    assert_eq!(
        of("%w(inet:5 unix:/b inet:5@[127.0.0.1])"),
        ["test.conf:2: milter \"a\" has the socket inet:5@[127.0.0.1] twice"]
    );
}

#[test]
fn a_time_limit_above_that_of_the_manager() {
    told("manager.command_time_limit = 20", "m.reading_timeout = 20", &[]);
    told(
        "manager.command_time_limit = 20",
        "m.reading_timeout = 21",
        &[
            "milter.reading_timeout of \"clamav\" is 21 s, but the MTA is answered after 20 s (manager.command_time_limit)",
        ],
    );
    told("manager.message_time_limit = 600", "m.end_of_message_timeout = 500", &[]);
    told(
        "manager.message_time_limit = 60",
        "m.end_of_message_timeout = 90",
        &["milter.end_of_message_timeout of \"clamav\" is 90 s, but the MTA is answered after 60 s \
           (manager.message_time_limit)"],
    );
}

#[test]
fn a_default_is_no_warning_even_where_it_is_written_down() {
    told("", "m.connection_timeout = 297", &[]);
    let shown = good("define_milter(\"a\") {|m| m.connection_spec = \"inet:1\" }").show();
    assert_eq!(good(&shown).warnings(), []);
}

#[test]
fn two_milters_with_one_socket() {
    let pair = |first: &str, second: &str| {
        let source = format!(
            "define_milter(\"a\") {{|m| m.connection_spec = %w({first}) }}\n\
             define_milter(\"b\") {{|m| m.connection_spec = %w({second}) }}"
        );
        good(&source).warnings().iter().map(Warning::to_string).collect::<Vec<_>>()
    };
    let same = ["test.conf:2: milter \"b\" has the socket of \"a\": it is asked twice"];
    assert_eq!(pair("unix:/run/a", "local:/run/a"), same);
    assert_eq!(pair("inet:7357", "inet:7357@[127.0.0.1]"), same);
    assert_eq!(pair("inet6:7357@[::1]", "inet6:7357"), same);
    assert_eq!(pair("unix:/c unix:/run/a", "unix:/run/a unix:/d"), same);
    assert_eq!(pair("unix:/c unix:/a", "unix:/b unix:/d"), [""; 0]);
    // Once for each milter, with the first that has one of its sockets.
    let three = "%w(a b c).each {|n| define_milter(n) {|m| m.connection_spec = %w(unix:/x unix:/y) } }";
    let told: Vec<_> = good(three).warnings().iter().map(|warning| warning.about.clone()).collect();
    assert_eq!(told, vec![About::SameSocket { as_of: "a".to_owned() }; 2]);
    assert_eq!(pair("inet:7357", "inet6:7357"), [""; 0]);
    assert_eq!(pair("inet:7357", "inet:7358"), [""; 0]);
}

#[test]
fn a_disabled_milter_is_not_told() {
    told("", "m.enabled = false; m.reading_timeout = 60", &[]);
    let source = "define_milter(\"a\") {|m| m.connection_spec = \"inet:1\"; m.enabled = false }\n\
                  define_milter(\"b\") {|m| m.connection_spec = \"inet:1\" }";
    assert_eq!(good(source).warnings(), []);
}

#[test]
fn a_milter_that_lets_mail_pass_is_a_note_and_no_warning() {
    let notes = |body: &str| {
        let configuration = good(&format!("define_milter(\"a\") do |m|\n  {body}\nend"));
        assert_eq!(configuration.warnings(), []);
        configuration.notes().iter().map(Warning::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        notes("m.description = \"d\""),
        ["test.conf:1: mail passes without milter \"a\" when it fails (fallback_status is accept)"]
    );
    assert_eq!(
        notes("m.fallback_status = :accept; m.fallback_status_at_timeout = :reject"),
        [
            "test.conf:2: mail passes without milter \"a\" when it fails (fallback_status is accept, at connect, \
          protocol_error, close)"
        ]
    );
    assert_eq!(notes("m.evaluation_mode = true"), [""; 0]);
    assert_eq!(notes("m.enabled = false"), [""; 0]);
    assert_eq!(notes("m.fallback_status = :quarantine"), [""; 0]);
}
