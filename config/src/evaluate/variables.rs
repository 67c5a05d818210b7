//! Local variables and assignments.

use std::sync::Arc;

use super::{Evaluator, Result, Stop, World};
use crate::language::procs::{Frame, Variable};
use crate::problem::Complaint;
use crate::rule::{Expr, Kind, Operator, Place};
use crate::source::Span;
use crate::value::Value;

impl Evaluator<'_> {
    /// The frame of what is running.
    pub(super) fn current_frame(&mut self) -> Arc<Frame> {
        Arc::clone(self.frame.get_or_insert_with(|| Frame::new(0, None)))
    }

    pub(super) fn local(&mut self, place: &Place) -> Result<Value> {
        let frame = self.frame.as_ref().and_then(|frame| frame.at(place.depth));
        let Some(frame) = frame else { return Ok(Value::Nil) };
        match frame.variables.read().get(usize::from(place.slot)) {
            Some(Variable::Set(value)) => Ok(value.clone()),
            Some(Variable::Failed) => Err(Stop::Reported),
            // The parser knows it, so the statement that sets it was not evaluated, for whatever reason.
            Some(Variable::Unset) | None => match &self.world {
                World::Load(loading) if !loading.problems.is_empty() => Err(Stop::Reported),
                _ => Ok(Value::Nil),
            },
        }
    }

    /// Sets a variable. One that failed is remembered so.
    pub(super) fn assign(&mut self, place: &Place, result: &Result<Value>, at: Span) -> Result<()> {
        let variable = match result {
            Ok(value) => Variable::Set(value.clone()),
            Err(_) => Variable::Failed,
        };
        let frame = self.frame.as_ref().and_then(|frame| frame.at(place.depth)).cloned();
        let Some(frame) = frame else { return Ok(()) };
        let Some(mut variables) = frame.variables.write() else {
            let complaint = Complaint::with_hint(
                format!("a variable of the configuration cannot be changed by a session: {}", place.name),
                "`context.mail_transaction_shelf[\"key\"] = value` keeps a value for the message",
            );
            return Err(self.stop(at, complaint));
        };
        if let Some(slot) = variables.get_mut(usize::from(place.slot)) {
            *slot = variable;
        }
        Ok(())
    }

    /// `target OPERATOR= value`. The parts of the target are evaluated once.
    pub(super) fn update(&mut self, target: &Expr, operator: &Operator, value: &Expr) -> Result<Value> {
        match &target.kind {
            Kind::Local(place) => {
                let old = match operator {
                    Operator::Or | Operator::And if !self.is_set(place) => Value::Nil,
                    _ => self.local(place)?,
                };
                let new = self.combine(old, operator, target, value);
                self.assign(place, &new, target.span)?;
                new
            }
            Kind::Call(call) => {
                let Some(receiver) = &call.receiver else {
                    return Err(self.stop(target.span, Complaint::new("this cannot be assigned to")));
                };
                let receiver = self.expression(receiver)?;
                let mut arguments = Vec::new();
                for argument in &call.arguments {
                    arguments.push(self.expression(argument)?);
                }
                let old =
                    self.method(&receiver, &call.name, &arguments, None, call.name_span, call.name_span)?;
                let keeps = match operator {
                    Operator::Or => old.is_truthy(),
                    Operator::And => !old.is_truthy(),
                    Operator::Method(_) => false,
                };
                if keeps {
                    return Ok(old);
                }
                let new = self.combine(old, operator, target, value)?;
                arguments.push(new.clone());
                let setter = call.name.setter();
                self.method(&receiver, &setter, &arguments, None, call.name_span, value.span)?;
                Ok(new)
            }
            _ => Err(self.stop(target.span, Complaint::new("this cannot be assigned to"))),
        }
    }

    fn combine(&mut self, old: Value, operator: &Operator, target: &Expr, value: &Expr) -> Result<Value> {
        match operator {
            Operator::Or if old.is_truthy() => Ok(old),
            Operator::And if !old.is_truthy() => Ok(old),
            Operator::Or | Operator::And => self.expression(value),
            Operator::Method(method) => {
                let given = self.expression(value)?;
                self.method(&old, method, &[given], None, target.span, value.span)
            }
        }
    }

    fn is_set(&self, place: &Place) -> bool {
        let frame = self.frame.as_ref().and_then(|frame| frame.at(place.depth));
        frame.is_some_and(|frame| {
            !matches!(frame.variables.read().get(usize::from(place.slot)), None | Some(Variable::Unset))
        })
    }
}
