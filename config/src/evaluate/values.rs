//! The closed table of what can be called on values.

use std::rc::Rc;

use super::{Evaluator, Result};
use crate::problem::Complaint;
use crate::source::Span;
use crate::syntax::{Block, Call};
use crate::value::Value;

impl Evaluator<'_> {
    /// `receiver.method(arguments)`. `at` is the method's place, `value_at` that of its argument.
    pub(super) fn method(
        &mut self,
        receiver: &Value,
        method: &str,
        arguments: &[Value],
        at: Span,
        value_at: Span,
    ) -> Result<Value> {
        match (receiver, method, arguments) {
            (Value::Object(object), _, _) => self.object_method(*object, method, arguments, at, value_at),
            (Value::Milter(number), _, _) => self.milter_method(*number, method, arguments, at, value_at),

            (Value::Text(a), "+", [Value::Text(b)]) => {
                self.check_length(a.len() + b.len(), value_at)?;
                Ok(Value::text(&format!("{a}{b}")))
            }
            (_, "to_s", []) if receiver.to_text().is_some() => {
                Ok(Value::text(&receiver.to_text().unwrap_or_default()))
            }
            (Value::Text(name), "to_sym", []) => Ok(Value::Symbol(name.clone())),

            (Value::Array(a), "+", [Value::Array(b)]) => {
                let joined: Vec<_> = a.borrow().iter().chain(b.borrow().iter()).cloned().collect();
                self.spend(joined.len()).map_err(|stop| self.exhausted(at, stop))?;
                Ok(Value::array(joined))
            }
            (Value::Array(elements), "<<" | "push", [element]) => {
                self.check_nesting(element, Some(receiver), value_at)?;
                elements.borrow_mut().push(element.clone());
                Ok(receiver.clone())
            }
            (Value::Array(elements), "size" | "length", []) => Ok(count(elements.borrow().len())),
            (Value::Array(elements), "join", [] | [Value::Text(_)]) => {
                let separator = arguments.first().and_then(Value::to_text).unwrap_or_default();
                let words: Option<Vec<_>> = elements.borrow().iter().map(Value::to_text).collect();
                let Some(words) = words else {
                    return Err(self.stop(at, Complaint::new("join needs an array of plain values")));
                };
                let length = words.iter().map(|word| word.len() + separator.len()).sum();
                self.check_length(length, at)?;
                Ok(Value::text(&words.join(&separator)))
            }
            (Value::Hash(pairs), "size" | "length", []) => Ok(count(pairs.borrow().len())),

            (Value::Int(_) | Value::Float(_), _, _) => self.arithmetic(receiver, method, arguments, at),
            _ => Err(self.no_method(receiver, method, arguments, at)),
        }
    }

    /// `[...].each do |x| ... end`, the only method with a block.
    pub(super) fn method_with_block(
        &mut self,
        receiver: &Value,
        call: &Call,
        block: &Block,
    ) -> Result<Value> {
        if let Value::Object(object) = receiver {
            return Err(self.unknown(*object, &call.method, call.name_span));
        }
        let (Value::Array(elements), "each", []) = (receiver, &*call.method, &call.arguments[..]) else {
            return Err(self.no_method(receiver, &call.method, &[], call.name_span));
        };
        let elements = elements.borrow().clone();
        self.spend(elements.len()).map_err(|stop| self.exhausted(call.name_span, stop))?;
        for element in &elements {
            match element {
                // More than one parameter takes an inner array apart, as in Ruby.
                Value::Array(parts) if block.parameters.len() > 1 => {
                    let parts = parts.borrow().clone();
                    self.run_block(block, &parts)?;
                }
                _ => self.run_block(block, std::slice::from_ref(element))?,
            }
        }
        Ok(receiver.clone())
    }

    pub(super) fn index(&mut self, receiver: &Value, key: &Value, at: Span) -> Result<Value> {
        match (receiver, key) {
            (Value::Hash(pairs), _) => {
                let pairs = pairs.borrow();
                self.spend(pairs.len() / 8).map_err(|stop| self.exhausted(at, stop))?;
                let found = pairs.iter().find(|(known, _)| known.same_key(key));
                Ok(found.map_or(Value::Nil, |(_, value)| value.clone()))
            }
            (Value::Array(elements), Value::Int(index)) => {
                let elements = elements.borrow();
                let length = i64::try_from(elements.len()).unwrap_or(i64::MAX);
                let index = if *index < 0 { index.saturating_add(length) } else { *index };
                let element = usize::try_from(index).ok().and_then(|index| elements.get(index));
                Ok(element.cloned().unwrap_or(Value::Nil))
            }
            _ => Err(self.no_method(receiver, "[]", std::slice::from_ref(key), at)),
        }
    }

    pub(super) fn index_assign(
        &mut self,
        receiver: &Value,
        key: &Value,
        value: Value,
        at: Span,
    ) -> Result<Value> {
        let Value::Hash(pairs) = receiver else {
            return Err(self.no_method(receiver, "[]=", std::slice::from_ref(key), at));
        };
        if !matches!(key, Value::Text(_) | Value::Symbol(_) | Value::Int(_)) {
            let message =
                format!("a key should be a string, a symbol or a whole number but was {}", key.inspect());
            return Err(self.stop(at, Complaint::new(message)));
        }
        self.check_nesting(&value, Some(receiver), at)?;
        self.note_extra_option(receiver, at);
        let mut pairs = pairs.borrow_mut();
        self.spend(pairs.len() / 8).map_err(|stop| self.exhausted(at, stop))?;
        match pairs.iter_mut().find(|(known, _)| known.same_key(key)) {
            Some((_, old)) => *old = value.clone(),
            None => pairs.push((key.clone(), value.clone())),
        }
        Ok(value)
    }

    fn arithmetic(&mut self, receiver: &Value, method: &str, arguments: &[Value], at: Span) -> Result<Value> {
        let result = match (receiver, method, arguments) {
            (Value::Int(a), "-@", []) => a.checked_neg().map(Value::Int),
            (Value::Float(a), "-@", []) => Some(Value::Float(-a)),
            (Value::Int(a), "+", [Value::Int(b)]) => a.checked_add(*b).map(Value::Int),
            (Value::Int(a), "-", [Value::Int(b)]) => a.checked_sub(*b).map(Value::Int),
            (Value::Int(a), "*", [Value::Int(b)]) => a.checked_mul(*b).map(Value::Int),
            (Value::Int(_) | Value::Float(_), "+" | "-" | "*", [Value::Int(_) | Value::Float(_)]) => {
                let (a, b) = (as_float(receiver), as_float(&arguments[0]));
                let result = match method {
                    "+" => a + b,
                    "-" => a - b,
                    _ => a * b,
                };
                Some(result).filter(|result| result.is_finite()).map(Value::Float)
            }
            _ => return Err(self.no_method(receiver, method, arguments, at)),
        };
        result.ok_or_else(|| self.stop(at, Complaint::new("the number is too large")))
    }

    fn no_method(&self, receiver: &Value, method: &str, arguments: &[Value], at: Span) -> super::Stop {
        if let (true, [argument]) = (matches!(method, "+" | "-" | "*" | "<<"), arguments) {
            let message = format!(
                "`{method}` cannot join {} and {}: {} {method} {}",
                receiver.kind(),
                argument.kind(),
                receiver.inspect(),
                argument.inspect()
            );
            return self.stop(at, Complaint::with_hint(message, "both sides must be of one kind"));
        }
        let message = format!("`{method}` is not supported on {}: {}", receiver.kind(), receiver.inspect());
        self.stop(at, Complaint::with_hint(message, "write the resulting value itself"))
    }
}

/// Whether `value` is the very array or hash `container`.
pub(super) fn is_same_container(value: &Value, container: Option<&Value>) -> bool {
    match (value, container) {
        (Value::Array(a), Some(Value::Array(b))) => Rc::ptr_eq(a, b),
        (Value::Hash(a), Some(Value::Hash(b))) => Rc::ptr_eq(a, b),
        _ => false,
    }
}

fn count(length: usize) -> Value {
    Value::Int(i64::try_from(length).unwrap_or(i64::MAX))
}

#[allow(clippy::cast_precision_loss, reason = "Ruby's own conversion")]
fn as_float(value: &Value) -> f64 {
    match value {
        Value::Int(value) => *value as f64,
        Value::Float(value) => *value,
        _ => 0.0,
    }
}
