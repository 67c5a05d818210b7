//! `--control children`: for each milter of the configuration how it stands, and what it has said.

use std::fmt::Write as _;

use millstream_core::pool::AddressState;
use millstream_core::time::Instant;
use serde_json::{Map, Value, json};

use super::Form;
use super::desk::Desk;
use super::outcomes::NAMES;
use crate::sentences;

/// How the children stand.
pub(super) fn tell(desk: &Desk, form: Form) -> String {
    let configuration = desk.current.configuration();
    let states = desk.server.children();
    let now = desk.server.now();
    let children = configuration.milters.iter().map(|milter| {
        let own = states.iter().filter(|state| *state.child == *milter.name);
        (milter, own.collect::<Vec<_>>(), desk.service.outcomes().of(&milter.name))
    });
    if form == Form::Json {
        let children: Vec<Value> = children
            .map(|(milter, states, outcomes)| {
                let outcomes = NAMES.iter().zip(outcomes).map(|(name, count)| ((*name).to_owned(), count.into()));
                json!({
                    "name": milter.name,
                    "enabled": milter.enabled,
                    "evaluation": milter.evaluation_mode,
                    "connection_specs": milter.connection_specs.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    "sockets": states.iter().map(|state| socket(state, now)).collect::<Vec<_>>(),
                    "messages": outcomes.collect::<Map<_, _>>(),
                })
            })
            .collect();
        return json!({ "children": children }).to_string();
    }
    let mut text = String::new();
    for (milter, states, outcomes) in children {
        let what = match (milter.enabled, milter.evaluation_mode) {
            (false, _) => " (not enabled)",
            (true, true) => " (evaluation)",
            (true, false) => "",
        };
        let _ = writeln!(text, "{}{what}", milter.name);
        for state in &states {
            let _ = writeln!(text, "    {}", sentences::standing(state, now));
        }
        if states.is_empty() {
            let specs: Vec<String> = milter.connection_specs.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "    {}: not asked for by any session yet", specs.join(", "));
        }
        let told = NAMES.iter().zip(outcomes).filter(|(_, count)| *count > 0);
        let told: Vec<String> = told.map(|(name, count)| format!("{count} {name}")).collect();
        let told = if told.is_empty() { "none yet".to_owned() } else { told.join(", ") };
        let _ = writeln!(text, "    messages: {told}");
    }
    if text.is_empty() { "no milters are configured\n".to_owned() } else { text }
}

fn socket(state: &AddressState, now: Instant) -> Value {
    let outage = state.outage.map(|outage| {
        json!({
            "seconds": now.since(outage.since).as_secs(),
            "error": sentences::io_error(outage.error),
            "next_try_in_seconds": outage.next_try.since(now).as_secs(),
        })
    });
    json!({
        "address": state.address.to_string(),
        "up": state.outage.is_none(),
        "down": outage,
        "in_use": state.in_use,
        "kept": state.kept,
        "waiting": state.waiting,
    })
}
