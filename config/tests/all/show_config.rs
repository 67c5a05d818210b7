//! The text of `--show-config`.

use crate::common::{Directory, good, listed, text};

const LOCAL: &str = r##"security.effective_user = "filter"
log.level = "error|info"

manager.connection_spec = "inet:10025@localhost"
manager.unix_socket_mode = 0600
manager.maintenance_interval = nil
manager.packet_buffer_size = 4096

database.type = "sqlite3"









define_milter("tagger") do |milter|
  milter.connection_spec = "unix:/run/tagger.sock"
  milter.applicable_conditions = []
  milter.command = "/usr/local/bin/start tagger"
  milter.command_options = ["start", "a b", "--x=1"]
  milter.reading_timeout = 15.0
  milter.fallback_status = :temporary_failure
end

define_milter("scanner") do |milter|
  milter.connection_spec = "inet:3310@[127.0.0.1]"
  milter.applicable_conditions = nil
  milter.enabled = false
  milter.evaluation_mode = true
end

define_milter("tagger") do |milter|
  milter.description = "Adds \"X-Tag\""
end
"##;

/// The worked example of the specification, without conditions, with the merged fallback status and the remembered
/// place of `packet_buffer_size`, with an event loop that is the program's to choose, and with the settings of our own behind those of `manager` and of each milter: without
/// the lines of [`OURS`] and the comments before them it is the example. `LOCAL` stands for the path of the file.
const EXPECTED: &str = r##"# default
package.platform = "unknown"
# default
package.options = nil

# default
security.privilege_mode = false
# LOCAL:1
security.effective_user = "filter"
# default
security.effective_group = nil

# LOCAL:2
log.level = "error|info"
# default
log.path = nil
# default
log.use_syslog = true
# default
log.syslog_facility = "mail"

# LOCAL:4
manager.connection_spec = "inet:10025@localhost"
# LOCAL:5
manager.unix_socket_mode = 0600
# default
manager.unix_socket_group = nil
# default
manager.remove_unix_socket_on_create = true
# default
manager.remove_unix_socket_on_close = true
# default
manager.daemon = false
# default
manager.pid_file = nil
# default
manager.maintenance_interval = nil
# default
manager.suspend_time_on_unacceptable = 5
# default
manager.max_connections = 0
# default
manager.max_file_descriptors = 0
# default
manager.custom_configuration_directory = nil
# default
manager.fallback_status = "accept"
# default
manager.fallback_status_at_disconnect = "temporary-failure"
# default
manager.event_loop_backend = nil
# default
manager.n_workers = 0
# LOCAL:7
manager.packet_buffer_size = 4096
# default
manager.connection_check_interval = 0
# default
manager.chunk_size = 65535
# default
manager.max_pending_finished_sessions = 0
# default
manager.event_loop_fallback = true
# default
manager.use_io_uring = true
# default
manager.recipients = "in-order"
# default
manager.unfiltered_header = nil
# default
manager.command_time_limit = nil
# default
manager.message_time_limit = nil
# default
manager.max_recipients = 50000
# default
manager.max_envelope_size = 8388608
# default
manager.max_headers = 50000
# default
manager.max_header_size = 16777216
# default
manager.max_body_memory = 4194304
# default
manager.max_body_file = 1073741824
# default
manager.max_total_body_memory = 1073741824
# default
manager.max_total_body_file = 8589934592
# default
manager.max_message_time = 7200.0
# default
manager.max_macro_size = 262144
# default
manager.max_edits = 10000
# default
manager.max_edit_size = 67108864
# default
manager.mta_greeting_timeout = 300.0
# default
manager.mta_idle_timeout = 7210.0
# default
manager.mta_writing_timeout = 300.0
# default
manager.lazy_connect = true
# default
manager.resolve_interval = 60
# default
manager.name_servers = nil

# default
controller.connection_spec = nil
# default
controller.unix_socket_mode = 0660
# default
controller.unix_socket_group = nil
# default
controller.remove_unix_socket_on_create = true
# default
controller.remove_unix_socket_on_close = true

# LOCAL:9
database.type = "sqlite3"
# default
database.name = nil
# default
database.host = nil
# default
database.port = nil
# default
database.path = nil
# default
database.user = nil
# default
database.password = nil

# LOCAL:28
define_milter("scanner") do |milter|
  # LOCAL:29
  milter.connection_spec = "inet:3310@[127.0.0.1]"
  # default
  milter.description = nil
  # LOCAL:31
  milter.enabled = false
  # default
  milter.fallback_status = "accept"
  # LOCAL:32
  milter.evaluation_mode = true
  milter.applicable_conditions = [
  ]
  # default
  milter.command = nil
  # default
  milter.command_options = nil
  # default
  milter.user_name = nil
  # default
  milter.connection_timeout = 297.0
  # default
  milter.writing_timeout = 7.0
  # default
  milter.reading_timeout = 7.0
  # default
  milter.end_of_message_timeout = 297.0
  # default
  milter.fallback_status_at_connect = nil
  # default
  milter.fallback_status_at_timeout = nil
  # default
  milter.fallback_status_at_protocol_error = nil
  # default
  milter.fallback_status_at_close = nil
  # default
  milter.independent = false
  # default
  milter.endpoint_choice = "failover"
  # default
  milter.max_connections = 0
  # default
  milter.queue_timeout = 5.0
  # default
  milter.retry_interval = 5.0
  # default
  milter.reuse_connections = false
  # default
  milter.reuse_idle_time = 60.0
  # default
  milter.reuse_age = 3600.0
  # default
  milter.pipelining = true
end

# LOCAL:35
define_milter("tagger") do |milter|
  # LOCAL:20
  milter.connection_spec = "unix:/run/tagger.sock"
  # LOCAL:36
  milter.description = "Adds \"X-Tag\""
  # default
  milter.enabled = true
  # LOCAL:25
  milter.fallback_status = "temporary-failure"
  # default
  milter.evaluation_mode = false
  milter.applicable_conditions = [
  ]
  # LOCAL:22
  milter.command = "/usr/local/bin/start tagger"
  # LOCAL:23
  milter.command_options = "start a\\ b --x\\=1"
  # default
  milter.user_name = nil
  # default
  milter.connection_timeout = 297.0
  # default
  milter.writing_timeout = 7.0
  # LOCAL:24
  milter.reading_timeout = 15.0
  # default
  milter.end_of_message_timeout = 297.0
  # default
  milter.fallback_status_at_connect = nil
  # default
  milter.fallback_status_at_timeout = nil
  # default
  milter.fallback_status_at_protocol_error = nil
  # default
  milter.fallback_status_at_close = nil
  # default
  milter.independent = false
  # default
  milter.endpoint_choice = "failover"
  # default
  milter.max_connections = 0
  # default
  milter.queue_timeout = 5.0
  # default
  milter.retry_interval = 5.0
  # default
  milter.reuse_connections = false
  # default
  milter.reuse_idle_time = 60.0
  # default
  milter.reuse_age = 3600.0
  # default
  milter.pipelining = true
end
"##;

#[test]
fn the_worked_example_byte_for_byte() {
    let directory = Directory::new(&[
        (
            "milter-manager.conf",
            "# -*- ruby -*-\npackage.platform = \"unknown\"\nload_default\nload_if_exist(\"milter-manager.local.conf\")\n",
        ),
        ("milter-manager.local.conf", LOCAL),
    ]);
    let loaded = directory.load();
    assert!(loaded.problems.is_empty(), "{}", listed(&loaded.problems));
    let expected = EXPECTED.replace("LOCAL", &directory.file("milter-manager.local.conf"));
    assert_eq!(loaded.configuration.show(), expected);
}

/// How the settings that milter manager does not have begin.
const OURS: &[&str] = &[
    "manager.event_loop_fallback",
    "manager.use_io_uring",
    "manager.recipients",
    "manager.unfiltered_header",
    "manager.command_time_limit",
    "manager.message_time_limit",
    "manager.max_recipients",
    "manager.max_envelope_size",
    "manager.max_headers",
    "manager.max_header_size",
    "manager.max_body_memory",
    "manager.max_body_file",
    "manager.max_total_body_memory",
    "manager.max_total_body_file",
    "manager.max_message_time",
    "manager.max_macro_size",
    "manager.max_edits",
    "manager.max_edit_size",
    "manager.mta_greeting_timeout",
    "manager.mta_idle_timeout",
    "manager.mta_writing_timeout",
    "manager.lazy_connect",
    "manager.resolve_interval",
    "manager.name_servers",
    "milter.fallback_status_at_connect",
    "milter.fallback_status_at_timeout",
    "milter.fallback_status_at_protocol_error",
    "milter.fallback_status_at_close",
    "milter.independent",
    "milter.endpoint_choice",
    "milter.max_connections",
    "milter.queue_timeout",
    "milter.retry_interval",
    "milter.reuse_connections",
    "milter.reuse_idle_time",
    "milter.reuse_age",
    "milter.pipelining",
];

#[test]
fn settings_of_our_own_stand_behind_those_of_milter_manager() {
    let shown = good("define_milter(\"x\") {|m| }").show();
    let settings =
        shown.lines().map(str::trim_start).filter_map(|line| line.split_once(" = ")).map(|(key, _)| key);
    let group = |key: &str| key.split_once('.').map(|(group, _)| group.to_owned());
    let mut ours = Vec::new();
    for key in settings {
        match ours.last() {
            _ if OURS.contains(&key) => ours.push(key),
            Some(last) => assert_ne!(group(key), group(last), "{key} stands behind {last}"),
            None => {}
        }
    }
    assert_eq!(ours, OURS);
}

#[test]
fn what_is_shown_loads_to_the_same() {
    let first = good(
        "package.options = {\"a\" => \"b\"}\nsecurity.privilege_mode = true\nlog.level = \"all\"\nlog.use_syslog = false\n\
         log.path = \"/a \\\"b\\\"\\t\\e\\u200b#{\"#\"}{x}\\\\ü日\"\nmanager.connection_spec = \"local:/run/m\"\n\
         manager.unix_socket_mode = 0\ncontroller.unix_socket_mode = 0\nmanager.maintenance_interval = nil\n\
         manager.fallback_status = :discard\nmanager.event_loop_backend = \"libev\"\ndatabase.port = 5\n\
         manager.recipients = :parallel\nmanager.unfiltered_header = 'X-#{a}'\nmanager.command_time_limit = 27\n\
         manager.message_time_limit = 0.5\nmanager.max_edits = 7\n\
         manager.lazy_connect = false\nmanager.event_loop_fallback = false\nmanager.use_io_uring = false\n\
         manager.resolve_interval = 0\n\
         manager.name_servers = [\"192.0.2.1:5353\", \"::1\"]\n\
         define_milter(\"a \\\"b\\\" \\#{c}\") do |m|\n m.connection_spec = \"inet6:5\"\n m.reading_timeout = 0.25\n \
         m.endpoint_choice = :least_busy\n m.max_connections = 3\n m.queue_timeout = 0.25\n m.reuse_connections = true\n \
         m.connection_timeout = 7.1\n m.command_options = [\"a b\", \"\\n\"]\n m.fallback_status = :quarantine\n \
         m.fallback_status_at_timeout = :shutdown\nend\n\
         define_milter(\"z\") {|m| m.evaluation_mode = true; m.connection_spec = [\"unix:/a \\\"b\", \"inet:5@localhost\"] }",
    );
    let shown = first.show();
    let second = good(&shown);
    let without_comments = |text: &str| {
        text.lines().filter(|line| !line.trim_start().starts_with("# ")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(without_comments(&second.show()), without_comments(&shown));
    assert_eq!(second.manager, first.manager);
    assert_eq!(second.log, first.log);
    assert_eq!(second.package, first.package);
    assert_eq!(second.database, first.database);
    assert_eq!(second.controller, first.controller);
    assert_eq!(second.milters[0].command_options, first.milters[0].command_options);
    assert_eq!(second.milters[0].fallback_status, first.milters[0].fallback_status);
    assert_eq!(second.milters[0].fallback_status_at, first.milters[0].fallback_status_at);
    assert_eq!(second.milters[0].timeouts, first.milters[0].timeouts);
    assert_eq!(second.milters[1].connection_specs, first.milters[1].connection_specs);
    assert_eq!(second.milters[0].connections, first.milters[0].connections);
    assert_eq!(second.milters[0].name, "a \"b\" #{c}");
}

#[test]
fn several_sockets_are_shown_as_a_list_however_long() {
    let shown = |written: &str| {
        let source = format!("\ndefine_milter(\"m\") do |m|\n  m.connection_spec = {written}\nend");
        crate::common::shown(&good(&source), "milter.connection_spec")
    };
    let place = "# test.conf:3".to_owned();
    assert_eq!(
        shown("%w(unix:/a local:/b)"),
        (place.clone(), "milter.connection_spec = [\"unix:/a\", \"local:/b\"]".to_owned())
    );
    assert_eq!(shown("\"unix:/a\""), (place.clone(), "milter.connection_spec = \"unix:/a\"".to_owned()));
    assert_eq!(shown("[\"unix:/a\"]"), (place.clone(), "milter.connection_spec = \"unix:/a\"".to_owned()));
    assert_eq!(shown("nil"), (place, "milter.connection_spec = nil".to_owned()));
    let long: Vec<_> = (0..100).map(|n| format!("\"unix:/run/spamd-{n}\"")).collect();
    let long = format!("[{}]", long.join(", "));
    assert_eq!(shown(&long).1, format!("milter.connection_spec = {long}"));
}

#[test]
fn strings_are_shown_as_ruby_inspects_them() {
    let shown =
        |written: &str| crate::common::shown(&good(&format!("database.name = {written}")), "database.name").1;
    let escapes = r#""\"\\\n\t\r\a\b\v\f\e""#;
    assert_eq!(shown(escapes), format!("database.name = {escapes}"));
    assert_eq!(shown(r#""\x01\x7f""#), r#"database.name = "\u0001\x7F""#);
    assert_eq!(shown(r##"'#{ #$ #@ # '"##), r##"database.name = "\#{ \#$ \#@ # ""##);
    assert_eq!(shown(r#""é 日 '""#), r#"database.name = "é 日 '""#);
    assert_eq!(shown(r#""\u200b \u{e0001}""#), r#"database.name = "\u200B \u{E0001}""#);
}

#[test]
fn the_text_ends_in_one_line_end() {
    let shown = text("").configuration.show();
    assert!(shown.ends_with("database.password = nil\n"), "{shown}");
}

#[test]
fn a_milter_without_properties_shows_where_it_was_defined() {
    let shown = good("\n\ndefine_milter(\"x\") {|m| }").show();
    assert!(shown.contains(
        "\n# test.conf:3\ndefine_milter(\"x\") do |milter|\n  # default\n  milter.connection_spec = nil\n"
    ));
}
