//! The findings as JSON for a program. Names and values are those of the text.

use std::path::Path;

use millstream_config::{Evidence, Loaded};
use serde_json::{Value, json};

use super::findings::Finding;

/// All of it, in one line.
pub(super) fn json(loaded: &Loaded, root: Option<&Path>, findings: &[Finding<'_>]) -> String {
    json!({
        "platform": loaded.configuration.package.platform,
        "root": root.map(|root| root.to_string_lossy()),
        "milters": findings.iter().map(milter).collect::<Vec<_>>(),
    })
    .to_string()
}

fn milter(finding: &Finding<'_>) -> Value {
    let report = &finding.detected.report;
    let conditions = finding.milter.map(|milter| {
        milter.applicable_conditions.iter().map(|applied| applied.name.as_str()).collect::<Vec<_>>()
    });
    let looked = report.looked.iter().map(|looked| json!({"path": looked.path, "is_there": looked.is_there}));
    json!({
        "name": finding.name,
        "candidate": finding.detected.candidate,
        "detector": finding.detected.detector,
        "location": finding.detected.location.as_ref().map(ToString::to_string),
        "state": finding.state.name(),
        "why": finding.why,
        "evidence": finding.found.map(|found| &found.enabled_by).or(report.left_out.as_ref()).map(evidence),
        "connection_spec": finding.socket.as_ref().map(|(socket, _)| socket),
        "connection_spec_by": finding.socket.as_ref().and_then(|(_, by)| by.as_ref()),
        "description": finding.found.and_then(|found| found.description.as_ref()),
        "command": finding.found.and_then(|found| found.command.as_ref()),
        "command_options": finding.found.and_then(|found| found.command_options.as_ref()),
        "applicable_conditions": conditions,
        "looked": looked.collect::<Vec<_>>(),
        "odd": finding.odd,
    })
}

fn evidence(evidence: &Evidence) -> Value {
    json!({"path": evidence.path, "line": evidence.line, "says": evidence.says})
}
