//! `define_applicable_condition` and what its block sets.

use std::sync::Arc;

use super::objects::nearest;
use super::{Evaluator, Result};
use crate::conditions::natives::policies::{self, Policy};
use crate::conditions::{Condition, Stopper, natives};
use crate::language::methods::{STOPPERS, stage_of_stopper};
use crate::language::procs::Callable;
use crate::milter::{AppliedCondition, Milter};
use crate::problem::Complaint;
use crate::source::Span;
use crate::value::Value;

/// What else a condition has.
const ATTRIBUTES: &[&str] = &["name", "description", "data"];

/// Whether a condition has this, for the check at load.
pub(crate) fn is_attribute(method: &str) -> bool {
    ATTRIBUTES.contains(&method.strip_suffix('=').unwrap_or(method)) && method != "name="
}

/// That a condition has no such thing.
pub(crate) fn unknown_attribute(method: &str) -> Complaint {
    let name = method.strip_suffix('=').unwrap_or(method);
    let known = ATTRIBUTES.iter().copied().chain(STOPPERS.iter().map(|(name, ..)| *name));
    let hint = nearest(name, known).map_or_else(
        || {
            let stoppers: Vec<_> = STOPPERS.iter().map(|(name, ..)| *name).collect();
            format!("a condition has description, data, {}", stoppers.join(", "))
        },
        |near| format!("did you mean condition.{near}?"),
    );
    Complaint::with_hint(format!("unknown setting: condition.{name}"), hint)
}

impl Evaluator<'_> {
    /// A condition, merged with an earlier or built-in one of the same name, which it replaces at the end of the list.
    pub(super) fn define_condition(&mut self, name: &str, block: &Callable, at: Span) -> Result<Value> {
        let location = self.location(at);
        let Some(loading) = self.loading() else { return Ok(Value::Nil) };
        let old = loading.configuration.conditions.iter().find(|condition| condition.name == name).cloned();
        let mut condition = old.or_else(|| natives::make(name)).unwrap_or_else(|| Condition::new(name));
        condition.location = location;
        let number = loading.next_number;
        loading.next_number += 1;
        loading.conditions.push((number, condition));
        let result = self.run(block, &[Value::Condition(number)], at);
        let Some(loading) = self.loading() else { return Ok(Value::Nil) };
        let mut count = 0;
        if let Some((_, condition)) = loading.conditions.pop() {
            loading.configuration.conditions.retain(|old| old.name != condition.name);
            loading.configuration.conditions.push(condition);
            count = loading.configuration.conditions.len();
        }
        self.spend(count, at)?;
        result.map(|_| Value::Nil)
    }

    /// A policy; one of the same name is another.
    pub(super) fn define_policy(&mut self, name: &str, block: &Callable, at: Span) -> Result<Value> {
        let Some(loading) = self.loading() else { return Ok(Value::Nil) };
        let policies = &mut Arc::make_mut(&mut loading.configuration.knobs).policies;
        policies.push(Policy::new(name));
        let number = policies.len() - 1;
        self.spend(1 + number / 8, at)?;
        self.run(block, &[Value::Policy(number)], at).map(|_| Value::Nil)
    }

    /// Applies the policies to all milters, at the end of a load.
    pub(super) fn apply_policies(&mut self) {
        let Some(loading) = self.loading() else { return };
        let configuration = &mut loading.configuration;
        if configuration.knobs.policies.is_empty() {
            return;
        }
        configuration.conditions.retain(|condition| condition.name != policies::NAME);
        configuration.conditions.push(policies::condition());
        let is_named = |milter: &Milter| {
            milter.applicable_conditions.iter().any(|applied| applied.name == policies::NAME)
        };
        // What `--show-config` has printed names it already.
        for milter in configuration.milters.iter_mut().filter(|milter| !is_named(milter)) {
            let applied = AppliedCondition { name: policies::NAME.to_owned(), location: None };
            milter.applicable_conditions.push(applied);
        }
    }

    pub(super) fn condition_method(
        &mut self,
        number: u64,
        method: &str,
        arguments: &[Value],
        block: Option<&Callable>,
        at: Span,
        value_at: Span,
    ) -> Result<Value> {
        let location = self.location(at);
        let open = self.loading().and_then(|loading| {
            loading.conditions.iter_mut().find(|(known, _)| *known == number).map(|(_, condition)| condition)
        });
        let Some(condition) = open else {
            let complaint = Complaint::with_hint(
                "the condition is used after its block",
                "set it inside of define_applicable_condition",
            );
            return Err(self.stop(at, complaint));
        };
        if let (Some(stage), [], Some(block)) = (stage_of_stopper(method), arguments, block) {
            let place = location.map_or_else(|| "configuration".into(), |place| place.to_string().into());
            let callable = Arc::new(Callable {
                block: Arc::clone(&block.block),
                frame: Arc::clone(&block.frame),
                is_lambda: false,
            });
            // It takes the place of what is built in.
            condition.native = None;
            condition.stoppers.push(Stopper { stage, callable, place });
            self.hold(&block.frame);
            return Ok(Value::Nil);
        }
        let text = match (method, arguments) {
            ("name", []) => return Ok(Value::text(&condition.name)),
            ("description", []) => condition.description.as_deref(),
            ("data", []) => condition.data.as_deref(),
            ("description=" | "data=", [value @ (Value::Text(_) | Value::Nil)]) => {
                let text = value.to_text().filter(|_| value.is_truthy()).map(|text| text.to_string());
                if method == "data=" {
                    condition.data = text;
                } else {
                    condition.description_location = location.filter(|_| text.is_some());
                    condition.description = text;
                }
                return Ok(value.clone());
            }
            ("description=" | "data=", [value]) => {
                let name = method.trim_end_matches('=');
                let message =
                    format!("condition.{name} should be a string or nil but was {}", value.inspect());
                return Err(self.stop(value_at, Complaint::new(message)));
            }
            _ if stage_of_stopper(method).is_some() => {
                let complaint = Complaint::with_hint(
                    format!("{method} has no block"),
                    format!("write condition.{method} do |context| ... end"),
                );
                return Err(self.stop(at, complaint));
            }
            _ => return Err(self.stop(at, unknown_attribute(method))),
        };
        Ok(text.map_or(Value::Nil, Value::text))
    }
}
