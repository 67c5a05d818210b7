//! What can be written in a configuration file, by feature: snippets, each with what the manager does with it.
//!
//! The features are files beside this one. In them
//!
//! ```text
//! ## What the snippet is for
//! manager.max_connections = 200          the main file
//! #file more.conf                        from here on that file
//! #> manager.max_connections = 200       what is expected, see expectation.rs
//! ```
//!
//! A snippet without `#> problem` lines must load, with the messages and problems that are written there and no others;
//! what `--show-config` prints of it must load again to the same.

mod complete;
mod expectation;
mod script;
mod snippet;

use snippet::Snippet;

/// The snippets of a file.
fn snippets(file: &str) -> Vec<Snippet> {
    let path = format!("{}/tests/all/yardstick/{file}.conf", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    snippet::parse(file, &text)
}

/// Runs all snippets of a file and tells all that is not as expected.
#[track_caller]
fn hold(file: &str) {
    let snippets = snippets(file);
    assert!(!snippets.is_empty());
    let failures: Vec<_> = snippets.iter().flat_map(expectation::check).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// A test for each file, and the list of the files.
macro_rules! features {
    ($($name:ident)*) => {
        const FEATURES: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            hold(stringify!($name));
        })*
    };
}

features! {
    settings_system
    settings_log
    settings_manager
    settings_sessions
    settings_others
    files
    milters
    milters_failing
    milters_connecting
    milters_again
    values
    flow
    regular_expressions
    stoppers
    context
    conditions
    built_in
    restrict_accounts
    tables
    policies
    problems
}
