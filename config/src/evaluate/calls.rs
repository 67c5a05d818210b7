//! Method calls, blocks and lambdas.

use std::sync::Arc;

use super::{Evaluator, Result, Stop, World};
use crate::conditions::{Knobs, Matcher};
use crate::language::address::Network;
use crate::language::check::{is_joining, not_a_block};
use crate::language::methods;
use crate::language::procs::{Callable, Frame, Variable};
use crate::language::text::Text;
use crate::problem::Complaint;
use crate::rule::{Call, Jump, Name};
use crate::source::Span;
use crate::value::Value;

/// A call of a method in the table.
pub(crate) struct Given<'e, 'o> {
    pub(crate) vm: &'e mut Evaluator<'o>,
    pub(crate) receiver: &'e Value,
    pub(crate) arguments: &'e [Value],
    pub(crate) block: Option<&'e Callable>,
    /// The method's place.
    pub(crate) at: Span,
    /// The place of its argument.
    pub(crate) value_at: Span,
}

impl Given<'_, '_> {
    pub(crate) fn stop(&self, message: impl Into<String>) -> Stop {
        self.vm.stop(self.at, Complaint::new(message))
    }

    pub(crate) fn spend(&mut self, steps: usize) -> Result<()> {
        self.vm.spend(steps, self.at)
    }

    /// The network that the argument number `at` names.
    pub(crate) fn network(&self, at: usize) -> Result<Network> {
        let text = self.text(at).cloned().unwrap_or_default();
        Network::parse(text.as_str()).ok_or_else(|| {
            let message =
                format!("should be an address or a network but was {}", Value::Text(text).inspect());
            let hint = "write \"192.0.2.1\", \"192.0.2.0/24\", \"2001:db8::1\" or \"2001:db8::/32\"";
            self.vm.stop(self.value_at, Complaint::with_hint(message, hint))
        })
    }

    /// What is set on the objects of built-in conditions.
    pub(crate) fn knobs(&self) -> Arc<Knobs> {
        match &self.vm.world {
            World::Load(loading) => Arc::clone(&loading.configuration.knobs),
            World::Session(situation) => Arc::clone(situation.knobs),
        }
    }

    /// The same, to set something.
    pub(crate) fn knobs_to_change(&mut self) -> Result<&mut Knobs> {
        if matches!(self.vm.world, World::Session(_)) {
            return Err(self.stop("settings are made once, when the configuration is loaded"));
        }
        match &mut self.vm.world {
            World::Load(loading) => Ok(Arc::make_mut(&mut loading.configuration.knobs)),
            World::Session(_) => Err(Stop::Reported),
        }
    }

    /// The first argument, or else the block, as what names hosts or the like.
    pub(crate) fn matcher(&mut self) -> Result<Matcher> {
        let of_block = |block: &Callable| {
            Matcher::Block(Arc::new(Callable {
                block: Arc::clone(&block.block),
                frame: Arc::clone(&block.frame),
                is_lambda: false,
            }))
        };
        match (self.arguments.first(), self.block) {
            (None, Some(block)) => {
                self.vm.hold(&block.frame);
                Ok(of_block(block))
            }
            (Some(argument), None) => match Matcher::of(argument) {
                Some(matcher) => Ok(matcher),
                None => Err(self.stop(format!("{} matches nothing", argument.inspect()))),
            },
            _ => Err(self.stop("it needs a string, a regular expression, a lambda, or a block instead")),
        }
    }

    /// Runs the block.
    pub(crate) fn call(&mut self, arguments: &[Value]) -> Result<Value> {
        match self.block {
            Some(block) => self.vm.run(block, arguments, self.at),
            None => Err(self.stop("there is no block")),
        }
    }

    /// The argument number `at`, which the table says is a string.
    pub(crate) fn text(&self, at: usize) -> Option<&Text> {
        match self.arguments.get(at) {
            Some(Value::Text(text) | Value::Symbol(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn int(&self, at: usize) -> Option<i64> {
        match self.arguments.get(at) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }
}

impl Evaluator<'_> {
    pub(super) fn call(&mut self, call: &Call, span: Span) -> Result<Value> {
        let Some(receiver) = &call.receiver else { return self.bare(call, span) };
        let receiver = self.expression(receiver)?;
        if call.safe && matches!(receiver, Value::Nil) {
            return Ok(Value::Nil);
        }
        let value_span = call.arguments.last().map_or(call.name_span, |argument| argument.span);
        // Most calls have no argument or one.
        let arguments: &[Value] = match &call.arguments[..] {
            [] => &[],
            [only] => &[self.expression(only)?],
            several => {
                let mut values = Vec::with_capacity(several.len());
                for argument in several {
                    values.push(self.expression(argument)?);
                }
                &values.into_boxed_slice()
            }
        };
        let Some(block) = &call.block else {
            let passed = match &call.pass {
                None => None,
                Some(pass) => match self.expression(pass)? {
                    Value::Nil => None,
                    Value::Proc(callable) => Some(callable),
                    other => return Err(self.stop(pass.span, not_a_block(&other.inspect()))),
                },
            };
            return self.method(
                &receiver,
                &call.name,
                arguments,
                passed.as_deref(),
                call.name_span,
                value_span,
            );
        };
        let callable = Callable { block: Arc::clone(block), frame: self.current_frame(), is_lambda: false };
        match self.method(&receiver, &call.name, arguments, Some(&callable), call.name_span, value_span) {
            Err(Stop::Jump(Jump::Break, value)) => Ok(value),
            other => other,
        }
    }

    /// `receiver.name(arguments) block`. `at` is the method's place, `value_at` that of its last argument.
    pub(crate) fn method(
        &mut self,
        receiver: &Value,
        name: &Name,
        arguments: &[Value],
        block: Option<&Callable>,
        at: Span,
        value_at: Span,
    ) -> Result<Value> {
        let kind = receiver.kind_of();
        if let Some(method) = name.number.and_then(|number| methods::find(number, kind)) {
            if let Err(complaint) = method.accepts(arguments, block.is_some()) {
                if is_joining(&name.text) && matches!(self.world, World::Load(_)) {
                    return Err(self.no_method(receiver, &name.text, arguments, at));
                }
                return Err(self.stop(value_at, complaint));
            }
            return (method.run)(&mut Given { vm: self, receiver, arguments, block, at, value_at });
        }
        match receiver {
            Value::Object(object) if kind.settings().is_some() && block.is_none() => {
                self.object_method(*object, &name.text, arguments, at, value_at)
            }
            Value::Milter(number) if block.is_none() => {
                self.milter_method(*number, &name.text, arguments, at, value_at)
            }
            Value::Condition(number) => {
                self.condition_method(*number, &name.text, arguments, block, at, value_at)
            }
            _ => Err(self.no_method(receiver, &name.text, arguments, at)),
        }
    }

    /// Runs a block or lambda. Parameters without an argument are nil, as in Ruby; a lambda insists on their number.
    pub(crate) fn run(&mut self, callable: &Callable, arguments: &[Value], at: Span) -> Result<Value> {
        let block = &callable.block;
        let count = block.parameters.len();
        if callable.is_lambda && arguments.len() != count {
            let plural = if count == 1 { "" } else { "s" };
            let message = format!("the lambda takes {count} argument{plural} but got {}", arguments.len());
            return Err(self.stop(at, Complaint::new(message)));
        }
        if self.depth >= self.max_depth {
            let message = format!("blocks in each other more than {} deep", self.max_depth);
            return Err(self.stop(at, Complaint::new(message)));
        }
        self.spend(1, at)?;
        let frame = Frame::new(block.variables, Some(Arc::clone(&callable.frame)));
        if count > 0
            && let Some(mut variables) = frame.variables.write()
        {
            let spread = match arguments {
                // More than one parameter takes an array apart.
                [Value::Array(parts)] if count > 1 && !callable.is_lambda => Some(parts.read().clone()),
                _ => None,
            };
            let given = spread.as_deref().unwrap_or(arguments);
            for (at, variable) in variables.iter_mut().enumerate().take(count) {
                *variable = Variable::Set(given.get(at).cloned().unwrap_or(Value::Nil));
            }
        }
        let frame_before = self.frame.replace(frame);
        let same_file = self.source.as_ref().is_some_and(|source| Arc::ptr_eq(source, &block.source));
        let source_before = (!same_file).then(|| self.source.replace(Arc::clone(&block.source)));
        self.depth += 1;
        let result = self.statements(&block.body);
        self.depth -= 1;
        self.frame = frame_before;
        if let Some(before) = source_before {
            self.source = before;
        }
        match result {
            Err(Stop::Jump(Jump::Next, value)) => Ok(value),
            Err(Stop::Jump(Jump::Return | Jump::Break, value)) if callable.is_lambda => Ok(value),
            other => other,
        }
    }

    /// `pattern === value`, as `case` asks.
    pub(crate) fn fits(&mut self, pattern: &Value, value: &Value, at: Span) -> Result<bool> {
        match (pattern, value) {
            (Value::Regexp(regexp), Value::Text(text) | Value::Symbol(text)) => self.find(regexp, text, at),
            (Value::Regexp(_), _) => {
                self.remember_match(Value::Nil);
                Ok(false)
            }
            (Value::Range(range), _) => Ok(methods::range_covers(range, value)),
            (Value::Proc(callable), _) => {
                let callable = Arc::clone(callable);
                Ok(self.run(&callable, std::slice::from_ref(value), at)?.is_truthy())
            }
            (Value::Network(_), _) => Ok(methods::network_includes(pattern, value)),
            _ => Ok(pattern.equals(value)),
        }
    }

    pub(super) fn no_method(&self, receiver: &Value, method: &str, arguments: &[Value], at: Span) -> Stop {
        let kind = receiver.kind();
        if let World::Session(_) = self.world {
            return self.stop(at, Complaint::new(format!("`{method}` is not supported on {kind}")));
        }
        if let (true, [argument]) = (is_joining(method), arguments) {
            let message = format!(
                "`{method}` cannot join {kind} and {}: {} {method} {}",
                argument.kind(),
                receiver.inspect(),
                argument.inspect()
            );
            return self.stop(at, Complaint::with_hint(message, "both sides must be of one kind"));
        }
        let message = format!("`{method}` is not supported on {kind}: {}", receiver.inspect());
        self.stop(at, Complaint::with_hint(message, "docs/language.md has the list"))
    }
}
