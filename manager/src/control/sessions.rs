//! `--control sessions`: what runs, and whom it waits for.

use std::fmt::Write as _;
use std::time::Duration;

use millstream_core::service::SessionId;
use millstream_core::situation::{Situation, Waiting};
use millstream_core::wire::ClientAddress;
use serde_json::{Value, json};

use super::Form;
use super::desk::Desk;
use super::status::age;
use crate::log::printable;

/// How long the event loops have for their answers; one that is stuck is told of.
const PATIENCE: Duration = Duration::from_secs(2);
/// As many sessions of a loop are told of, the oldest.
const MOST: usize = 1000;

/// What runs, the oldest first.
pub(super) fn tell(desk: &Desk, form: Form) -> String {
    let running = desk.server.sessions();
    let (mut sessions, silent) = desk.server.describe(MOST, PATIENCE);
    sessions.sort_by_key(|(id, _)| *id);
    if form == Form::Json {
        let sessions: Vec<Value> = sessions.iter().map(|(id, situation)| as_json(*id, situation)).collect();
        return json!({ "running": running, "silent_event_loops": silent, "sessions": sessions }).to_string();
    }
    let mut text = format!("{} running\n", crate::count(running as usize, "session"));
    for (id, situation) in &sessions {
        let client = client(situation).unwrap_or_else(|| "a client that is not known yet".to_owned());
        let _ = write!(text, "[{id}] {client}, for {}, at {}", age(situation.age), situation.stage);
        if !situation.queue_id.is_empty() {
            let _ = write!(text, " of {}", printable(&situation.queue_id));
        }
        text.push_str(if situation.waits_for.is_empty() { ": waits for the MTA\n" } else { ":\n" });
        for Waiting { child, stage, since } in &situation.waits_for {
            let _ = writeln!(text, "    waits for {child} at {stage}, for {}", age(*since));
        }
    }
    if (sessions.len() as u64) < u64::from(running) {
        let _ = writeln!(text, "{} more, or just ended", u64::from(running) - sessions.len() as u64);
    }
    if silent > 0 {
        let loops = crate::count(silent, "event loop");
        let _ = writeln!(text, "{loops} gave no answer within {} s", PATIENCE.as_secs());
    }
    text
}

fn client(situation: &Situation) -> Option<String> {
    situation.client.as_ref().map(|client| match &client.address {
        ClientAddress::Ip(address, _) => format!("{} [{address}]", printable(&client.host)),
        ClientAddress::OddIp { text, .. } => format!("{} [{}]", printable(&client.host), printable(text)),
        ClientAddress::Unix(_) | ClientAddress::Unknown => printable(&client.host),
    })
}

fn as_json(id: SessionId, situation: &Situation) -> Value {
    let waits_for = situation.waits_for.iter().map(|Waiting { child, stage, since }| {
        json!({ "child": **child, "stage": stage.name(), "seconds": since.as_secs_f64() })
    });
    json!({
        "session": id.0,
        "client": client(situation),
        "queue_id": (!situation.queue_id.is_empty()).then(|| printable(&situation.queue_id)),
        "stage": situation.stage.name(),
        "seconds": situation.age.as_secs_f64(),
        "waits_for": waits_for.collect::<Vec<_>>(),
    })
}
