//! What a file sets without effect is told, with its place.

use millstream_config::{Configuration, Overrides, load_str};

use crate::common::{Directory, good};

#[track_caller]
fn told(source: &str, expected: &[&str]) {
    let remarks: Vec<_> = good(source).without_effect().iter().map(ToString::to_string).collect();
    assert_eq!(remarks, expected);
}

#[test]
fn a_setting_is_told_with_its_place() {
    told(
        "\nmanager.maintenance_interval = 5",
        &["test.conf:2: manager.maintenance_interval has no effect yet"],
    );
}

#[test]
fn what_has_an_effect_is_not_told() {
    told("manager.pid_file = \"/p\"\nlog.level = \"all\"\nmanager.max_connections = 5", &[]);
}

#[test]
fn a_value_that_is_the_default_is_not_told() {
    told("manager.daemon = false\nmanager.chunk_size = 1_000_000\ndatabase.name = nil", &[]);
    told("manager.chunk_size = 5\nmanager.chunk_size = 65_535", &[]);
}

#[test]
fn nil_is_told_where_it_is_not_the_default() {
    // `--show-config` has no place for it.
    told(
        "manager.maintenance_interval = nil",
        &["test.conf:1: manager.maintenance_interval has no effect yet"],
    );
}

#[test]
fn settings_without_a_place_in_show_config_are_told_with_it() {
    told("\ndatabase.extra_options[:a] = 1", &["test.conf:2: database.extra_options has no effect yet"]);
}

#[test]
fn a_milter_is_named() {
    told(
        "define_milter(\"a \\\"b\\\"\") do |m|\n  m.command = \"x\"\n  m.enabled = false\nend",
        &[
            "test.conf:2: milter.command of \"a \\\"b\\\"\" has no effect without security.privilege_mode = true",
        ],
    );
    told("security.privilege_mode = true\ndefine_milter(\"a\") { |m| m.command = \"x\" }", &[]);
}

#[test]
fn the_place_is_that_of_the_file_that_was_loaded() {
    let directory = Directory::new(&[
        ("milter-manager.conf", "load \"a.conf\""),
        ("a.conf", "\n\nmanager.maintenance_interval = 5"),
    ]);
    let remarks = directory.load().configuration.without_effect();
    let place = directory.file("a.conf");
    assert_eq!(remarks[0].to_string(), format!("{place}:3: manager.maintenance_interval has no effect yet"));
}

#[test]
fn what_is_read_at_start_waits_for_the_next_one() {
    let started = good("manager.max_connections = 5\nmanager.pid_file = \"/p\"\nlog.level = \"all\"");
    let now = good("\nmanager.max_connections = 6\nmanager.fallback_status = :reject");
    let remarks: Vec<_> = now.waiting_for_restart(&started).iter().map(ToString::to_string).collect();
    assert_eq!(
        remarks,
        [
            "manager.pid_file counts from the next start",
            "test.conf:2: manager.max_connections counts from the next start"
        ]
    );
    assert!(now.waiting_for_restart(&now).is_empty());
}

#[test]
fn the_command_line_decides_what_waits() {
    let overrides = Overrides { connection_spec: Some("inet:9".to_owned()), ..Overrides::default() };
    let options = millstream_config::LoadOptions { overrides, ..crate::common::no_directories() };
    let load = |source: &str| -> Configuration { load_str("test.conf", source, &options).configuration };
    let started = load("manager.connection_spec = \"inet:1\"");
    assert!(load("manager.connection_spec = \"inet:2\"").waiting_for_restart(&started).is_empty());
}
