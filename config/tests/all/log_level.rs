//! The text form of log levels.

use millstream_config::LogLevel;

use crate::common::{good, problem};

fn level(text: &str) -> String {
    LogLevel::DEFAULT.apply(text).unwrap().to_string()
}

#[test]
fn names_are_joined_by_bars_and_shown_in_a_fixed_order() {
    assert_eq!(level("info|error"), "error|info");
    assert_eq!(level(" error | info "), "error|info");
    assert_eq!(level("none"), "none");
}

#[test]
fn nothing_and_default_say_nothing() {
    assert_eq!(level(""), "default");
    assert_eq!(level("default"), "default");
    assert_eq!(LogLevel::DEFAULT.effective().to_string(), "critical|error|warning|message|statistics");
}

#[test]
fn all_is_everything_but_none() {
    assert_eq!(level("all"), "critical|error|warning|message|info|debug|trace|statistics|profile");
}

#[test]
fn a_leading_sign_starts_from_what_there_is() {
    assert_eq!(level("+info"), "critical|error|warning|message|info|statistics");
    assert_eq!(level("-warning|message"), "critical|error|statistics");
    let error = LogLevel::NONE.apply("error").unwrap();
    assert_eq!(error.apply("+info|debug").unwrap().to_string(), "error|info|debug");
}

#[test]
fn each_name_may_carry_a_sign() {
    assert_eq!(level("all|-trace|-profile"), "critical|error|warning|message|info|debug|statistics");
    assert_eq!(level("+info|-statistics"), "critical|error|warning|message|info");
}

#[test]
fn everything_removed_is_none_and_not_default() {
    assert_eq!(level("-all"), "none");
    assert!(!LogLevel::NONE.logs(LogLevel::CRITICAL));
}

#[test]
fn unknown_names_are_listed() {
    let error = LogLevel::DEFAULT.apply("error|loud|quiet").unwrap_err();
    assert_eq!(error.to_string(), "unknown flag names: [<loud>|<quiet>](<MilterLogLevelFlags>)");
    assert_eq!(
        problem("log.level = \"loud\"").message,
        "unknown flag names: [<loud>](<MilterLogLevelFlags>)"
    );
}

#[test]
fn a_sign_in_a_file_starts_from_the_line_before() {
    assert_eq!(good("log.level = \"error\"\nlog.level = \"+info\"").log.level.to_string(), "error|info");
}

#[test]
fn what_is_logged_by_default() {
    assert!(LogLevel::DEFAULT.logs(LogLevel::STATISTICS));
    assert!(!LogLevel::DEFAULT.logs(LogLevel::INFO));
}
