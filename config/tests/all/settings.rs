//! Every setting can be set, is shown with the place where it was set, and refuses what does not fit.

use std::time::Duration;

use millstream_config::{EventLoopBackend, LogLevel};
use millstream_core::limits::Limits;
use millstream_core::policy::{ClientCheck, Fallback};

use crate::common::{good, problem, shown};

#[track_caller]
fn set(key: &str, value: &str, expected: &str) {
    let configuration = good(&format!("\n{key} = {value}\n"));
    let (comment, line) = shown(&configuration, key);
    assert_eq!(line, format!("{key} = {expected}"));
    assert_eq!(comment, "# test.conf:2");
}

#[track_caller]
fn refused(line: &str, message: &str) {
    assert_eq!(problem(line).message, message);
}

#[test]
fn package_settings_keep_no_location() {
    let configuration = good("package.platform = \"pkgsrc\"\npackage.options = \"prefix=/usr/pkg\"");
    assert_eq!(shown(&configuration, "package.platform").0, "# default");
    assert_eq!(shown(&configuration, "package.platform").1, "package.platform = \"pkgsrc\"");
    assert_eq!(shown(&configuration, "package.options").1, "package.options = \"prefix=/usr/pkg\"");
}

#[test]
fn package_options_can_be_a_hash_and_are_read_as_one() {
    let configuration = good(
        "package.options = {\"prefix\" => \"/usr/pkg\", :rcddir => \"/etc/rc.d\"}\n\
         manager.pid_file = package.options[\"rcddir\"] + \"/pid\"",
    );
    assert_eq!(configuration.package.options.as_deref(), Some("prefix=/usr/pkg,rcddir=/etc/rc.d"));
    assert_eq!(configuration.manager.pid_file.as_deref(), Some("/etc/rc.d/pid"));
}

#[test]
fn security_settings() {
    set("security.privilege_mode", "true", "true");
    set("security.privilege_mode", "\"true\"", "true");
    set("security.privilege_mode", "false", "false");
    set("security.effective_user", "\"filter\"", "\"filter\"");
    set("security.effective_group", "'mail'", "\"mail\"");
    refused(
        "security.privilege_mode = \"yes\"",
        "security.privilege_mode should be one of [true, false] but was \"yes\"",
    );
}

#[test]
fn log_settings() {
    set("log.level", "\"error|info\"", "\"error|info\"");
    set("log.level", ":all", "\"critical|error|warning|message|info|debug|trace|statistics|profile\"");
    set("log.path", "\"-\"", "\"-\"");
    set("log.use_syslog", "true", "true");
    set("log.syslog_facility", "\"local3\"", "\"local3\"");
    set("log.syslog_facility", ":LOCAL3", "\"local3\"");
    let found = problem("log.syslog_facility = \"maill\"");
    assert!(found.message.starts_with("log.syslog_facility should be one of [\"auth\", "), "{found}");
}

#[test]
fn log_settings_back_at_their_default_have_no_location() {
    let configuration = good(
        "log.level = \"info\"\nlog.level = \"default\"\nlog.use_syslog = false\n\
         log.syslog_facility = \"mail\"\nlog.path = \"/x\"\nlog.path = nil",
    );
    for key in ["log.level", "log.use_syslog", "log.syslog_facility", "log.path"] {
        assert_eq!(shown(&configuration, key).0, "# default", "{key}");
    }
    assert_eq!(configuration.log.level, LogLevel::DEFAULT);
}

#[test]
fn manager_texts_and_specs() {
    set("manager.connection_spec", "\"inet:10026\"", "\"inet:10026\"");
    set("manager.connection_spec", "\"inet6:1@[::1]\"", "\"inet6:1@[::1]\"");
    set("manager.unix_socket_group", "\"postfix\"", "\"postfix\"");
    set("manager.pid_file", "\"/run/m.pid\"", "\"/run/m.pid\"");
    set("manager.custom_configuration_directory", "\"/var/lib/m\"", "\"/var/lib/m\"");
    refused("manager.pid_file = 5", "manager.pid_file should be a string or nil but was 5");
    refused(
        "manager.connection_spec = 5",
        "manager.connection_spec should be a connection specification in a string, or nil but was 5",
    );
}

#[test]
fn a_manager_without_connection_spec_listens_at_the_default() {
    let configuration = good("manager.connection_spec = \"inet:1\"\nmanager.connection_spec = nil");
    assert_eq!(configuration.manager.connection_spec.to_string(), "inet:10025@[127.0.0.1]");
    assert_eq!(shown(&configuration, "manager.connection_spec").0, "# default");
}

#[test]
fn manager_modes() {
    set("manager.unix_socket_mode", "0600", "0600");
    set("manager.unix_socket_mode", "0", "0");
    set("controller.unix_socket_mode", "0o640", "0640");
    set("controller.unix_socket_mode", "0", "00");
    refused(
        "manager.unix_socket_mode = 660",
        "manager.unix_socket_mode should be a whole number from 0 to 0777 but was 660",
    );
    refused(
        "manager.unix_socket_mode = \"0660\"",
        "manager.unix_socket_mode should be a whole number from 0 to 0777 but was \"0660\"",
    );
}

#[test]
fn manager_flags() {
    for key in ["remove_unix_socket_on_create", "remove_unix_socket_on_close", "daemon"] {
        set(&format!("manager.{key}"), "false", "false");
        set(&format!("manager.{key}"), "true", "true");
    }
    refused("manager.daemon = \"yes\"", "manager.daemon should be true or false but was \"yes\"");
    refused("manager.daemon = nil", "manager.daemon should be true or false but was nil");
}

#[test]
fn manager_numbers() {
    for key in [
        "maintenance_interval",
        "suspend_time_on_unacceptable",
        "max_connections",
        "max_file_descriptors",
        "max_pending_finished_sessions",
        "n_workers",
        "packet_buffer_size",
        "connection_check_interval",
        "chunk_size",
    ] {
        set(&format!("manager.{key}"), "77", "77");
    }
    refused(
        "manager.max_connections = \"ten\"",
        "manager.max_connections should be a whole number from 0 to 4294967295, or nil but was \"ten\"",
    );
    refused(
        "manager.max_connections = -1",
        "manager.max_connections should be a whole number from 0 to 4294967295, or nil but was -1",
    );
    refused(
        "manager.n_workers = 1001",
        "manager.n_workers should be a whole number from 0 to 1000, or nil but was 1001",
    );
    refused(
        "manager.n_workers = 1.5",
        "manager.n_workers should be a whole number from 0 to 1000, or nil but was 1.5",
    );
    refused(
        "manager.chunk_size = 0",
        "manager.chunk_size should be a whole number from 1 to 65535, or nil but was 0",
    );
}

#[test]
fn nil_brings_a_number_back_to_its_meaning_and_forgets_the_place() {
    let configuration = good(
        "manager.maintenance_interval = nil\nmanager.suspend_time_on_unacceptable = nil\nmanager.chunk_size = nil\n\
         manager.n_workers = nil",
    );
    assert_eq!(shown(&configuration, "manager.maintenance_interval").1, "manager.maintenance_interval = nil");
    assert_eq!(shown(&configuration, "manager.maintenance_interval").0, "# default");
    assert_eq!(configuration.manager.suspend_time_on_unacceptable, 5);
    assert_eq!(configuration.manager.chunk_size, 65535);
    assert_eq!(configuration.manager.n_workers, 0);
}

#[test]
fn a_too_large_chunk_size_is_clamped() {
    assert_eq!(good("manager.chunk_size = 1_000_000").manager.chunk_size, 65535);
}

#[test]
fn packet_buffer_size_remembers_its_place() {
    set("manager.packet_buffer_size", "4096", "4096");
}

#[test]
fn statuses_are_read_in_any_spelling() {
    set("manager.fallback_status", "\"reject\"", "\"reject\"");
    set("manager.fallback_status", ":temporary_failure", "\"temporary-failure\"");
    set("manager.fallback_status", "\"Temporary_Failure\"", "\"temporary-failure\"");
    set("manager.fallback_status_at_disconnect", ":DISCARD", "\"discard\"");
    assert_eq!(good("manager.fallback_status = :reject").manager.fallback_status, Fallback::Reject);
    refused(
        "manager.fallback_status = \"default\"",
        "manager.fallback_status should be one of [\"accept\", \"reject\", \"temporary-failure\", \"discard\"] but was \"default\"",
    );
    // What a milter can have besides is not for the manager.
    refused(
        "manager.fallback_status = :quarantine",
        "manager.fallback_status should be one of [\"accept\", \"reject\", \"temporary-failure\", \"discard\"] but was :quarantine",
    );
    refused(
        "manager.fallback_status_at_disconnect = :no",
        "manager.fallback_status_at_disconnect should be one of [\"accept\", \"reject\", \"temporary-failure\", \"discard\"] but was :no",
    );
}

#[test]
fn order_of_recipients() {
    set("manager.recipients", "\"parallel\"", "\"parallel\"");
    set("manager.recipients", ":in_order", "\"in-order\"");
    refused(
        "manager.recipients = \"serial\"",
        "manager.recipients should be one of [\"in-order\", \"parallel\"] but was \"serial\"",
    );
    refused(
        "manager.recipients = nil",
        "manager.recipients should be one of [\"in-order\", \"parallel\"] but was nil",
    );
}

#[test]
fn the_unfiltered_header_is_a_name_that_mail_does_not_come_with() {
    set("manager.unfiltered_header", "\"X-Unfiltered\"", "\"X-Unfiltered\"");
    assert_eq!(good("manager.unfiltered_header = nil").manager.unfiltered_header, None);
    let longest = "x".repeat(64);
    set("manager.unfiltered_header", &format!("\"{longest}\""), &format!("\"{longest}\""));
    for wrong in ["\"\"", "\"X-A:\"", "\"X A\"", "\"X-ü\"", "\"X\\n\"", ":x", "5", &format!("\"x{longest}\"")]
    {
        let found = problem(&format!("manager.unfiltered_header = {wrong}"));
        let expected = "manager.unfiltered_header should be the name of a header, 1 to 64 printable ASCII characters \
                        without a colon, or nil but was ";
        assert!(found.message.starts_with(expected), "{found}");
    }
    refused(
        "manager.unfiltered_header = \"SUBJECT\"",
        "manager.unfiltered_header cannot be \"SUBJECT\": it is removed from mail that comes in",
    );
}

#[test]
fn connecting_to_milters() {
    set("manager.lazy_connect", "false", "false");
    set("manager.lazy_connect", "true", "true");
    refused("manager.lazy_connect = nil", "manager.lazy_connect should be true or false but was nil");
    set("manager.resolve_interval", "300", "300");
    set("manager.resolve_interval", "0", "0");
    set("manager.resolve_interval", "nil", "0");
    for wrong in ["-1", "0.5", "31536001", "\"5\""] {
        refused(
            &format!("manager.resolve_interval = {wrong}"),
            &format!(
                "manager.resolve_interval should be a whole number from 0 to 31536000, or nil but was {wrong}"
            ),
        );
    }
}

#[test]
fn name_servers() {
    set("manager.name_servers", "\"192.0.2.1\"", "\"192.0.2.1\"");
    set("manager.name_servers", "\"192.0.2.1:53\"", "\"192.0.2.1\"");
    set("manager.name_servers", "[\"192.0.2.1:5353\"]", "\"192.0.2.1:5353\"");
    set(
        "manager.name_servers",
        "[\"2001:db8::1\", \"[2001:db8::1]:5353\"]",
        "[\"2001:db8::1\", \"[2001:db8::1]:5353\"]",
    );
    for none in ["nil", "[]"] {
        set("manager.name_servers", none, "nil");
    }
    for (wrong, shown) in [
        ("\"ns.test\"", "\"ns.test\""),
        ("5", "5"),
        ("[\"::1\", nil]", "nil"),
        ("\"192.0.2.1:0\"", "\"192.0.2.1:0\""),
    ] {
        refused(
            &format!("manager.name_servers = {wrong}"),
            &format!("manager.name_servers should be addresses of name servers but has {shown}"),
        );
    }
    refused(
        &format!("manager.name_servers = [{}]", "\"::1\",".repeat(11)),
        "manager.name_servers should name at most 10 name servers but has 11",
    );
}

#[test]
fn time_limits_of_the_manager() {
    for key in ["manager.command_time_limit", "manager.message_time_limit"] {
        set(key, "27", "27.0");
        set(key, "0.5", "0.5");
        let configuration = good(&format!("{key} = 5\n{key} = nil"));
        assert_eq!(shown(&configuration, key), ("# default".to_owned(), format!("{key} = nil")));
        for wrong in ["0", "-1", "31536001", "\"5\"", "false"] {
            refused(
                &format!("{key} = {wrong}"),
                &format!(
                    "{key} should be a number of seconds above 0 and at most 31536000, or nil but was {wrong}"
                ),
            );
        }
    }
}

/// The settings for the bounds of a session.
const BOUNDS: &[&str] = &[
    "manager.max_recipients",
    "manager.max_envelope_size",
    "manager.max_headers",
    "manager.max_header_size",
    "manager.max_body_memory",
    "manager.max_macro_size",
    "manager.max_edits",
    "manager.max_edit_size",
];

#[test]
fn bounds_of_a_session() {
    for key in BOUNDS {
        set(key, "1", "1");
        set(key, "4294967295", "4294967295");
        for wrong in ["0", "-1", "1.5", "4294967296", "\"5\""] {
            refused(
                &format!("{key} = {wrong}"),
                &format!("{key} should be a whole number from 1 to 4294967295, or nil but was {wrong}"),
            );
        }
    }
}

#[test]
fn the_space_for_bodies_can_be_large_or_none() {
    for key in ["manager.max_body_file", "manager.max_total_body_memory", "manager.max_total_body_file"] {
        set(key, "0", "0");
        set(key, "1024 * 1024 * 1024 * 1024", "1099511627776");
        for wrong in ["-1", "0.5", "\"5\""] {
            refused(
                &format!("{key} = {wrong}"),
                &format!("{key} should be a whole number of bytes, 0 or more, or nil but was {wrong}"),
            );
        }
        let configuration = good(&format!("{key} = 5\n{key} = nil"));
        assert_eq!(configuration.manager.limits, Limits::default());
    }
}

#[test]
fn the_time_of_a_message_and_of_an_mta() {
    for key in [
        "manager.max_message_time",
        "manager.mta_greeting_timeout",
        "manager.mta_idle_timeout",
        "manager.mta_writing_timeout",
    ] {
        set(key, "600", "600.0");
        for wrong in ["0", "-1", "31536001", "\"5\""] {
            refused(
                &format!("{key} = {wrong}"),
                &format!(
                    "{key} should be a number of seconds above 0 and at most 31536000, or nil but was {wrong}"
                ),
            );
        }
        let configuration = good(&format!("{key} = 5\n{key} = nil"));
        assert_eq!(configuration.manager.limits, Limits::default());
    }
}

#[test]
fn nil_brings_a_bound_back_to_its_default() {
    let lines: String = BOUNDS.iter().map(|key| format!("{key} = 5\n{key} = nil\n")).collect();
    let configuration = good(&lines);
    assert_eq!(configuration.manager.limits, Limits::default());
    for key in BOUNDS {
        assert_eq!(shown(&configuration, key).0, "# default", "{key}");
    }
}

#[test]
fn event_loop_backend() {
    set("manager.event_loop_backend", "\"libev\"", "\"libev\"");
    set("manager.event_loop_fallback", "false", "false");
    set("manager.use_io_uring", "false", "false");
    let set_to = |value: &str| good(&format!("manager.event_loop_backend = {value}"));
    for (value, backend, runtime) in [
        ("nil", None, None),
        ("\"std\"", Some(EventLoopBackend::Std), Some(EventLoopBackend::Std)),
        (":smol", Some(EventLoopBackend::Smol), Some(EventLoopBackend::Smol)),
        ("\"Glommio\"", Some(EventLoopBackend::Glommio), Some(EventLoopBackend::Glommio)),
        ("\"glib\"", Some(EventLoopBackend::Glib), None),
        (":libev", Some(EventLoopBackend::Libev), None),
    ] {
        let configuration = set_to(value);
        assert_eq!((configuration.manager.event_loop_backend, configuration.runtime()), (backend, runtime));
    }
    refused(
        "manager.event_loop_backend = \"epoll\"",
        "manager.event_loop_backend should be one of [\"std\", \"smol\", \"glommio\", \"glib\", \"libev\"] but was \"epoll\"",
    );
}

#[test]
fn a_backend_of_milter_manager_is_told_once_and_changes_nothing() {
    let libev = good("manager.event_loop_backend = \"libev\"");
    let told: Vec<_> = libev.without_effect().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "test.conf:1: manager.event_loop_backend names a library of milter manager, which stands for the default here"
        ]
    );
    assert_eq!(libev.waiting_for_restart(&good("")), []);
    let smol = good("manager.event_loop_backend = \"smol\"");
    assert_eq!(smol.without_effect(), []);
    assert_eq!(smol.waiting_for_restart(&libev).len(), 1);
}

#[test]
fn controller_settings() {
    set("controller.connection_spec", "\"unix:/run/c.sock\"", "\"unix:/run/c.sock\"");
    set("controller.unix_socket_group", "\"mail\"", "\"mail\"");
    set("controller.remove_unix_socket_on_create", "false", "false");
    set("controller.remove_unix_socket_on_close", "false", "false");
}

#[test]
fn database_settings_are_remembered() {
    for key in ["type", "name", "host", "path", "user", "password"] {
        set(&format!("database.{key}"), "\"x\"", "\"x\"");
    }
    set("database.port", "3306", "3306");
    let configuration = good("database.extra_options[:reconnect] = true\ndatabase.extra_options[\"n\"] = 5");
    let expected = vec![("reconnect".to_owned(), "true".to_owned()), ("n".to_owned(), "5".to_owned())];
    assert_eq!(configuration.database.extra_options, expected);
}

#[test]
fn a_database_is_never_connected() {
    refused("database.setup", "database.setup is not supported: there is no database connection");
    refused(
        "database.load_models(\"models/*.rb\")",
        "database.load_models is not supported: there is no database connection",
    );
}

#[test]
fn settings_can_be_read() {
    let configuration = good(
        "manager.max_connections = 10\nmanager.max_connections += 5\nmanager.pid_file ||= \"/a\"\n\
         manager.pid_file ||= \"/b\"\nmanager.daemon = manager.remove_unix_socket_on_close?",
    );
    assert_eq!(configuration.manager.max_connections, 15);
    assert_eq!(configuration.manager.pid_file.as_deref(), Some("/a"));
    assert!(configuration.manager.daemon);
}

#[test]
fn an_unknown_setting_gets_the_nearest_known_one_as_hint() {
    let problem = problem("manager.max_conections = 5");
    assert_eq!(problem.message, "unknown setting: manager.max_conections");
    assert_eq!(problem.hint.as_deref(), Some("did you mean manager.max_connections?"));
}

/// `--show-config` has the interval, and no checker.
#[test]
fn the_checker_of_milter_manager_is_an_interval() {
    for (call, expected) in [("", "5"), ("(9)", "9"), (" 12", "12"), ("(nil)", "0")] {
        let configuration = good(&format!("\nmanager.use_netstat_connection_checker{call}\n"));
        let (_, line) = shown(&configuration, "manager.connection_check_interval");
        assert_eq!(line, format!("manager.connection_check_interval = {expected}"));
    }
    refused(
        "manager.use_netstat_connection_checker(\"often\")",
        "manager.connection_check_interval should be a whole number from 0 to 4294967295, or nil but was \"often\"",
    );
    let policy = |source: &str| good(source).policy().unwrap();
    assert_eq!(policy("").client_check(), None);
    let check =
        policy("manager.use_netstat_connection_checker\nmanager.fallback_status_at_disconnect = \"reject\"");
    let expected = ClientCheck { interval: Duration::from_secs(5), fallback: Fallback::Reject };
    assert_eq!(check.client_check(), Some(expected));
}

#[test]
fn what_runs_programs_in_the_manager_is_refused() {
    refused(
        "manager.maintained do\n  x\nend",
        "manager.maintained is not supported: programs that run in the manager",
    );
    refused(
        "manager.report_memory_statistics",
        "manager.report_memory_statistics is not supported: programs that run in the manager",
    );
    refused(
        "manager.define_connection_checker(\"mine\") { |context| true }",
        "manager.define_connection_checker is not supported: the kernel's table of connections is all that is looked at",
    );
}
