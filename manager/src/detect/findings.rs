//! What became of each candidate.

use millstream_config::{Detected, Found, Loaded, Location, Milter};

use crate::reach::Who;

/// How a candidate stands in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Enabled,
    Disabled,
    /// Something of it is installed, and it is no milter of the configuration.
    NotDefined,
    NotInstalled,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::NotDefined => "not defined",
            Self::NotInstalled => "not installed",
        }
    }
}

/// A milter that was looked for.
#[derive(Debug)]
pub(super) struct Finding<'l> {
    /// The milter's name, or the candidate's where there is none.
    pub(super) name: &'l str,
    pub(super) detected: &'l Detected,
    pub(super) found: Option<&'l Found>,
    /// As the configuration has it in the end.
    pub(super) milter: Option<&'l Milter>,
    pub(super) state: State,
    /// What decided that; the first is what counts.
    pub(super) why: Vec<String>,
    /// Where it listens, as the configuration has it in the end, and who says so.
    pub(super) socket: Option<(String, Option<String>)>,
    /// What is odd about it.
    pub(super) odd: Vec<String>,
}

/// In the order in which they were looked for.
pub(super) fn findings<'l>(loaded: &'l Loaded, who: Option<&Who>) -> Vec<Finding<'l>> {
    let mut findings = Vec::new();
    for detected in &loaded.detected {
        if detected.report.milters.is_empty() {
            findings.push(nothing(detected));
        }
        for found in &detected.report.milters {
            let milter = loaded.configuration.milters.iter().find(|milter| milter.name == found.name);
            findings.push(of(detected, found, milter, who));
        }
    }
    findings
}

fn nothing(detected: &Detected) -> Finding<'_> {
    let report = &detected.report;
    let (state, why) = match &report.left_out {
        Some(reason) => (State::NotDefined, vec![reason.to_string()]),
        None => (State::NotInstalled, Vec::new()),
    };
    Finding {
        name: &detected.candidate,
        detected,
        found: None,
        milter: None,
        state,
        why,
        socket: None,
        odd: report.warnings.iter().map(ToString::to_string).collect(),
    }
}

fn of<'l>(
    detected: &'l Detected,
    found: &'l Found,
    milter: Option<&'l Milter>,
    who: Option<&Who>,
) -> Finding<'l> {
    let refused = detected.refused.iter().filter(|refused| refused.milter == found.name);
    let refused: Vec<_> = refused.map(|refused| refused.text.clone()).collect();
    let milter = milter.filter(|_| detected.applied);
    let (state, why) = match milter {
        None if !detected.applied => {
            (State::NotDefined, vec!["the configuration looks for it and does not apply it".to_owned()])
        }
        None => (State::NotDefined, vec!["the configuration removes it".to_owned()]),
        Some(milter) => {
            let state = if milter.enabled { State::Enabled } else { State::Disabled };
            (state, why(detected, found, milter, &refused))
        }
    };
    let mut odd: Vec<_> = detected.report.warnings.iter().map(ToString::to_string).collect();
    odd.extend(refused.into_iter().filter(|text| !why.contains(text)));
    if let (Some(milter), Some(who), State::Enabled) = (milter, who, state) {
        odd.extend(who.cannot_reach_of(milter).into_iter().map(|unreachable| unreachable.text));
    }
    let socket = milter.map_or_else(
        || found.connection_spec.clone().map(|spec| (spec, by(found))),
        |milter| socket(detected, found, milter),
    );
    Finding { name: &found.name, detected, found: Some(found), milter, state, why, socket, odd }
}

/// What the files say, unless the configuration said otherwise afterwards.
fn why(detected: &Detected, found: &Found, milter: &Milter, refused: &[String]) -> Vec<String> {
    let evidence = found.enabled_by.to_string();
    if let Some(place) = elsewhere(detected, milter, "enabled") {
        return vec![format!("{place}: milter.enabled = {}", milter.enabled), format!("found: {evidence}")];
    }
    if milter.enabled == found.enabled {
        return vec![evidence];
    }
    refused.iter().rev().take(1).cloned().chain([format!("found: {evidence}")]).collect()
}

fn socket(detected: &Detected, found: &Found, milter: &Milter) -> Option<(String, Option<String>)> {
    let specs: Vec<_> = milter.connection_specs.iter().map(ToString::to_string).collect();
    if specs.is_empty() {
        return None;
    }
    let said = match elsewhere(detected, milter, "connection_spec") {
        Some(place) => Some(place.to_string()),
        None => by(found),
    };
    Some((specs.join(", "), said))
}

/// Where the configuration has set a property after it was found.
fn elsewhere<'m>(detected: &Detected, milter: &'m Milter, property: &str) -> Option<&'m Location> {
    milter.locations.get(property).filter(|place| Some(*place) != detected.location.as_ref())
}

fn by(found: &Found) -> Option<String> {
    found.connection_spec_by.as_ref().map(ToString::to_string)
}
