//! What happened, for people.

use millstream_core::machine::Machine;

use super::{SECOND, World};
use crate::peers::mta::MS;
use crate::plan::{End, Frame, Rule};
use crate::show::show;

impl<M: Machine> World<M> {
    pub(super) fn note(&mut self, payload: &[u8], what: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push((self.now, what(), payload[..payload.len().min(101)].to_vec()));
        }
    }

    pub(super) fn note_frame(&mut self, letter: u8, payload: &[u8], way: impl FnOnce() -> String) {
        self.note(payload, || {
            let size =
                if payload.len() > 100 { format!(" ({} bytes)", payload.len()) } else { String::new() };
            format!("{}: {}{size}", way(), char::from(letter))
        });
    }

    pub(super) fn transcript(&self) -> String {
        let Some(log) = &self.log else { return String::new() };
        let mut out = format!(
            "  mark {:?}, parallel {}\n",
            self.scenario.mark.as_ref().map(|name| show(name)),
            self.scenario.parallel
        );
        for (index, plan) in self.scenario.children.iter().enumerate() {
            let rules: String =
                plan.rules.iter().map(|rule| format!("\n      {}", show_rule(rule))).collect();
            out += &format!(
                "  c{index}: fallback {:?}{}{} version {} actions {:#x} protocol {:#x} lists {:?} conditions {:?}{rules}\n",
                plan.fallbacks,
                if plan.evaluation { ", evaluation," } else { "" },
                plan.fault.map_or(String::new(), |fault| format!(", {fault:?},")),
                plan.version,
                plan.actions,
                plan.protocol,
                plan.lists,
                plan.conditions,
            );
        }
        for (at, what, payload) in log {
            let payload = if payload.is_empty() { String::new() } else { format!(" {}", show(payload)) };
            out += &format!("  {:>12.3} ms {what}{payload}\n", (*at - SECOND) as f64 / MS as f64);
        }
        out
    }
}

fn show_rule(rule: &Rule) -> String {
    let frame = |(letter, payload): &Frame| format!("{} {}", char::from(*letter), show(payload));
    let edits: Vec<_> = rule.act.edits.iter().map(frame).collect();
    let end = match &rule.act.end {
        End::Final(reply) => frame(reply),
        End::FinalThenClose(reply) => format!("{}, then closes", frame(reply)),
        End::Bad(bytes) => format!("bad bytes {}", show(bytes)),
        other => format!("{other:?}"),
    };
    let [message, ordinal] =
        [rule.message, rule.ordinal].map(|it| it.map_or("any".into(), |it| it.to_string()));
    format!("message {message}, {} number {ordinal}: {} {end}", char::from(rule.letter), edits.join(", "))
}
