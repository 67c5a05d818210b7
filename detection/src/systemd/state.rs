//! What `systemctl is-enabled` would say of a unit.

use std::fmt;

use super::directories::{Fragment, fragment, read};
use super::links::{Links, links};
use super::unit::Entry;
use crate::report::Evidence;
use crate::survey::Survey;

/// The state of a unit's file, in systemctl's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// There is no such unit.
    NotFound,
    /// It cannot be started.
    Masked,
    /// The same, until the next start.
    MaskedRuntime,
    /// The administrator has enabled it.
    Enabled,
    /// The same, until the next start.
    EnabledRuntime,
    /// Its file is elsewhere, and it is not enabled.
    Linked,
    /// The same, until the next start.
    LinkedRuntime,
    /// It is another name of another unit.
    Alias,
    /// It is enabled under another name, or says itself which other unit is to be enabled.
    Indirect,
    /// It cannot be enabled; others pull it in.
    Static,
    /// It could be enabled.
    Disabled,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not-found",
            Self::Masked => "masked",
            Self::MaskedRuntime => "masked-runtime",
            Self::Enabled => "enabled",
            Self::EnabledRuntime => "enabled-runtime",
            Self::Linked => "linked",
            Self::LinkedRuntime => "linked-runtime",
            Self::Alias => "alias",
            Self::Indirect => "indirect",
            Self::Static => "static",
            Self::Disabled => "disabled",
        })
    }
}

/// A unit as its files have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Its name, which is another one than was asked for when that is an alias.
    pub(crate) name: String,
    /// The lines of its file and drop-ins; none when it is masked or not there.
    pub(crate) entries: Vec<Entry>,
    /// What systemctl would say.
    pub(crate) state: State,
    /// Whether it is started with the system: enabled, enabled under another name, or static and pulled in by a link that its package
    /// brings.
    pub(crate) is_started: bool,
    /// What decided that.
    pub(crate) by: Evidence,
}

/// Looks up the unit `name`, which ends in `.service` or `.socket`.
pub(crate) fn state(survey: &mut Survey<'_>, name: &str) -> Unit {
    let without =
        |state, by| Unit { name: name.to_owned(), entries: Vec::new(), state, is_started: false, by };
    let (path, real_name, linked) = match fragment(survey, name) {
        Fragment::Missing => return without(State::NotFound, Evidence::whole(name, "there is no such unit")),
        Fragment::Masked { path } => {
            let state = if path.starts_with("/run/") { State::MaskedRuntime } else { State::Masked };
            return without(state, Evidence::whole(&path, format!("{state}: it cannot be started")));
        }
        Fragment::File { path, name, linked } => (path, name, linked),
    };
    let entries = read(survey, &path, &real_name);
    let aliases = words(&entries, "Alias");
    let names: Vec<String> = [real_name.clone()].into_iter().chain(aliases).collect();
    let root = survey.root();
    let leads_to = linked.as_deref().unwrap_or(&path);
    let own = links(root, &real_name, leads_to, Some(&names));
    let any = links(root, &real_name, leads_to, None);
    let can = |key: &str| !words(&entries, key).is_empty();
    let can_be_enabled = ["WantedBy", "RequiredBy", "UpheldBy", "Alias"].into_iter().any(can);
    let (mut state, is_started, by) = decide(&own, any, &path, can_be_enabled, can("Also"));
    if real_name != name {
        state = State::Alias;
    }
    Unit { name: real_name, entries, state, is_started, by }
}

fn decide(
    own: &Links,
    any: Links,
    path: &str,
    can_be_enabled: bool,
    names_others: bool,
) -> (State, bool, Evidence) {
    let by_link =
        |state: State, link: &str| (state, true, Evidence::whole(link, format!("{state} by this link")));
    let linked =
        |state: State, link: &str| (state, false, Evidence::whole(link, format!("{state}, and not enabled")));
    if let Some(link) = &own.enabled {
        return by_link(State::Enabled, link);
    }
    if let Some(link) = &own.runtime {
        return by_link(State::EnabledRuntime, link);
    }
    if let Some(link) = &own.linked {
        return linked(State::Linked, link);
    }
    if let Some(link) = &own.linked_runtime {
        return linked(State::LinkedRuntime, link);
    }
    if let Some(link) = any.enabled.or(any.runtime) {
        return by_link(State::Indirect, &link);
    }
    let state = match (can_be_enabled, names_others) {
        (true, _) => State::Disabled,
        (false, true) => State::Indirect,
        (false, false) => State::Static,
    };
    match any.shipped.filter(|_| state == State::Static) {
        Some(link) => by_link(state, &link),
        None => {
            (state, false, Evidence::whole(path, format!("{state}: no folder .wants or .requires has it")))
        }
    }
}

/// The words of a key of `[Install]`.
fn words(entries: &[Entry], key: &str) -> Vec<String> {
    let mut words = Vec::new();
    for entry in entries.iter().filter(|entry| entry.section == "Install" && entry.key == key) {
        if entry.value.value.is_empty() {
            words.clear();
        }
        words.extend(entry.value.value.split_whitespace().map(str::to_owned));
    }
    words
}
