//! What environment variables say about the log.

use std::fs;
use std::process::Command;

use millstream_tests::bench::folder;
use millstream_tests::manager::{Manager, give_to_manager, program};
use millstream_tests::until::{PATIENCE, until_true};

#[test]
fn level_items_and_colours_are_those_of_the_environment() {
    let Some(folder) = folder() else { return };
    let own = folder.join("manager");
    fs::create_dir_all(&own).unwrap();
    give_to_manager(&own);
    let mut command = Command::new(program());
    command
        .env("MILTER_LOG_LEVEL", "debug|message")
        .env("MILTER_LOG_ITEM", "level|name|pid")
        .env("MILTER_LOG_COLORIZE", "console")
        .env("MILTER_LOG_SYSLOG_LEVEL", "nothing");
    let settings = format!(
        "manager.connection_spec = \"unix:{}\"\nlog.level = \"default\"\n",
        own.join("m.sock").display()
    );
    let mut manager = Manager::start_with(&own, &settings, command);
    let begin =
        format!("[message] [milter-manager][{}]: \x1b[37;42m[start] listening at", manager.process().id());
    until_true("its first line", || manager.log().contains(&begin));
    assert!(manager.log().contains("MILTER_LOG_SYSLOG_LEVEL is ignored: unknown flag names: [<nothing>]"));
    manager.stop();
    assert!(manager.wait(PATIENCE).success());
    assert!(!manager.log().contains("[warning]"), "{}", manager.log());
}

#[test]
fn the_file_of_the_environment_is_used_where_the_configuration_names_none() {
    let Some(folder) = folder() else { return };
    let own = folder.join("manager");
    fs::create_dir_all(&own).unwrap();
    give_to_manager(&own);
    let log = own.join("the.log");
    let mut command = Command::new(program());
    command.env("MILTER_LOG_PATH", &log);
    let settings = format!("manager.connection_spec = \"unix:{}\"\n", own.join("m.sock").display());
    let manager = Manager::start_with(&own, &settings, command);
    until_true("its first line", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("[start] listening at"))
    });
    assert_eq!(manager.log(), "");
}
