//! One child milter as configured.

use std::collections::BTreeMap;

use millstream_core::policy::{Fallback, Timeouts};

use crate::configuration::Location;
use crate::connection_spec::ConnectionSpec;

/// What `define_milter` says of one milter.
#[derive(Debug, Clone, PartialEq)]
pub struct Milter {
    /// Its name.
    pub name: String,
    /// Where it listens. Without one it cannot be used.
    pub connection_spec: Option<ConnectionSpec>,
    /// What it is.
    pub description: Option<String>,
    /// Whether it is used at all.
    pub enabled: bool,
    /// What is answered when it fails.
    pub fallback_status: Fallback,
    /// Its verdicts and edits are noted and not applied.
    pub evaluation_mode: bool,
    /// The names of the conditions under which it is asked. Always empty yet: a condition is an error.
    pub applicable_conditions: Vec<String>,
    /// The program that starts it.
    pub command: Option<String>,
    /// The program's options, escaped for a shell.
    pub command_options: Option<String>,
    /// As whom the program runs.
    pub user_name: Option<String>,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// Where it was defined last.
    pub location: Option<Location>,
    /// Where a property was given its value, by its name such as `enabled`; absent: it is the default.
    pub locations: BTreeMap<&'static str, Location>,
}

impl Milter {
    /// A milter of which only the name is known.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            connection_spec: None,
            description: None,
            enabled: true,
            fallback_status: Fallback::Accept,
            evaluation_mode: false,
            applicable_conditions: Vec::new(),
            command: None,
            command_options: None,
            user_name: None,
            timeouts: Timeouts::default(),
            location: None,
            locations: BTreeMap::new(),
        }
    }
}
