//! `restrict_accounts_by_list` and `restrict_accounts_generic`: each makes a condition and applies it to milters.

use std::sync::Arc;

use super::vocabulary::no_block;
use super::{Evaluator, Result};
use crate::conditions::Matcher;
use crate::conditions::natives::restrict_accounts::{Accounts, condition};
use crate::language::procs::Callable;
use crate::milter::AppliedCondition;
use crate::problem::Complaint;
use crate::rule::Call;
use crate::source::Span;
use crate::value::{Pairs, Value};

/// Longest name that is made of a list.
const MAX_NAME: usize = 64 << 10;

/// What stands behind the accounts.
#[derive(Default)]
struct Options {
    condition_name: Option<String>,
    milters: Option<Vec<String>>,
}

impl Evaluator<'_> {
    /// Makes the condition, and applies it to the milters of the options, by default to all that are there.
    pub(super) fn restrict_accounts(&mut self, call: &Call, span: Span) -> Result<Value> {
        let mut values = Vec::new();
        for argument in &call.arguments {
            values.push((self.expression(argument)?, argument.span));
        }
        let options = match values.last() {
            Some((Value::Hash(pairs), at)) => {
                let (pairs, at) = (pairs.read().clone(), *at);
                values.pop();
                self.restriction_options(&pairs, at)?
            }
            _ => Options::default(),
        };
        let by_list = &*call.name.text == "restrict_accounts_by_list";
        let (accounts, default_name) = match &call.block {
            None if by_list => self.listed_accounts(values, call.name_span)?,
            Some(block) if !by_list && values.is_empty() => {
                let frame = self.current_frame();
                self.hold(&frame);
                let callable = Callable { block: Arc::clone(block), frame, is_lambda: false };
                (Accounts::Block(Arc::new(callable)), "Restrict Accounts".to_owned())
            }
            Some(_) => {
                let message = "restrict_accounts_generic takes a block and options";
                return Err(self.stop(span, Complaint::new(message)));
            }
            None => return Err(self.stop(span, no_block(&call.name.text, ""))),
        };
        let name = options.condition_name.unwrap_or(default_name);
        self.restrict(&name, accounts, options.milters, call.name_span)
    }

    fn restriction_options(&self, pairs: &Pairs, at: Span) -> Result<Options> {
        let mut options = Options::default();
        for (key, value) in pairs {
            let key = key.to_text().unwrap_or_default().to_string();
            let wrong = |wanted: &str| {
                let message = format!("{key} should be {wanted} but was {}", value.inspect());
                self.stop(at, Complaint::new(message))
            };
            match (key.as_str(), value) {
                (_, Value::Nil) => {}
                ("condition_name", Value::Text(name)) => options.condition_name = Some(name.to_string()),
                ("condition_name", _) => return Err(wrong("a string")),
                ("milters", Value::Array(names)) => {
                    let text = |name: &Value| match name {
                        Value::Text(name) | Value::Symbol(name) => Some(name.to_string()),
                        _ => None,
                    };
                    let names: Option<Vec<_>> = names.read().iter().map(text).collect();
                    options.milters = Some(names.ok_or_else(|| wrong("an array of names"))?);
                }
                ("milters", _) => return Err(wrong("an array of names")),
                _ => {
                    let hint = "there are condition_name and milters";
                    return Err(self.stop(at, Complaint::with_hint(format!("unknown option: {key}"), hint)));
                }
            }
        }
        Ok(options)
    }

    /// The accounts, of which some may be in arrays, and the name that they give the condition.
    fn listed_accounts(&mut self, values: Vec<(Value, Span)>, at: Span) -> Result<(Accounts, String)> {
        let mut listed = Vec::new();
        for (value, span) in values {
            match value {
                Value::Array(elements) => listed.extend(elements.read().iter().map(|it| (it.clone(), span))),
                other => listed.push((other, span)),
            }
        }
        let mut accounts = Vec::with_capacity(listed.len());
        for (value, span) in &listed {
            match Matcher::of(value).filter(|_| !matches!(value, Value::Proc(_))) {
                Some(account) => accounts.push(account),
                None => {
                    let message = format!(
                        "an account should be a string or a regular expression but was {}",
                        value.inspect()
                    );
                    return Err(self.stop(*span, Complaint::new(message)));
                }
            }
        }
        self.spend(listed.len(), at)?;
        let shown = Value::array(listed.into_iter().map(|(value, _)| value).collect()).inspect_all(MAX_NAME);
        Ok((Accounts::List(accounts), format!("Restrict Accounts by List: {shown}")))
    }

    /// Each of the milters is defined again with the condition behind its others, as milter manager does, and so goes to the end
    /// of the list.
    fn restrict(
        &mut self,
        name: &str,
        accounts: Accounts,
        milters: Option<Vec<String>>,
        at: Span,
    ) -> Result<Value> {
        let location = self.location(at);
        let Some(loading) = self.loading() else { return Ok(Value::Nil) };
        let configuration = &mut loading.configuration;
        let all = || configuration.milters.iter().map(|milter| milter.name.clone()).collect();
        let names: Vec<String> = milters.unwrap_or_else(all);
        if let Some(unknown) =
            names.iter().find(|name| !configuration.milters.iter().any(|milter| milter.name == **name))
        {
            let message = format!("unknown milter: {}", Value::text(unknown).inspect());
            return Err(self.stop(at, Complaint::with_hint(message, "define it above this line")));
        }
        let mut condition = condition(name, accounts);
        condition.location.clone_from(&location);
        configuration.conditions.retain(|known| known.name != name);
        configuration.conditions.push(condition);
        for milter_name in &names {
            let Some(at) = configuration.milters.iter().position(|milter| milter.name == *milter_name) else {
                continue;
            };
            let mut milter = configuration.milters.remove(at);
            let applied = AppliedCondition { name: name.to_owned(), location: location.clone() };
            milter.applicable_conditions.push(applied);
            configuration.milters.push(milter);
        }
        self.spend(names.len(), at)?;
        Ok(Value::Nil)
    }
}
