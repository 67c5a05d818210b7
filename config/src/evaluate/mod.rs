//! Evaluates rules: the statements of configuration files at load, and stoppers for each session.
//!
//! ```text
//!   mod         expressions, bounds
//!   calls       method calls, blocks, lambdas
//!   variables   local variables, assignments
//!   world       what can be reached besides values: a load, or a session
//!   files       files and their statements
//!   vocabulary  what can be called by its bare name: load, define_milter ...
//!   objects     the attributes of manager, log, milter ...
//!   conditions  the attributes of a condition
//!   shipped     milter manager's condition files, which are not evaluated
//!   detectors   what is installed, for defaults/*.conf
//!   built_in    defaults/*.conf where no such file is installed
//!   accounts    restrict_accounts_by_list, restrict_accounts_generic
//! ```
//!
//! At load a statement that fails is a problem, and evaluation goes on with the next statement of the file or block. What
//! depends on a variable that could not be set fails without a second problem. For a session the first failure ends the
//! stopper.

mod accounts;
mod built_in;
mod calls;
mod conditions;
mod detectors;
mod files;
pub(crate) mod objects;
mod shipped;
mod variables;
pub(crate) mod vocabulary;
pub(crate) mod world;

use std::sync::Arc;

use millstream_core::machine::Question;
use millstream_core::policy::ChildIndex;

pub(crate) use self::calls::Given;
pub(crate) use self::conditions::{is_attribute, unknown_attribute};
pub(crate) use self::world::{Situation, World};
use crate::configuration::Location;
use crate::language::procs::{Callable, Frame, Heap};
use crate::language::regexp::Regexp;
use crate::language::text::Text;
use crate::problem::{Complaint, Problem};
use crate::rule::{Case, Expr, Jump, Kind};
use crate::source::{Source, Span};
use crate::value::{Range, Value};

/// Most steps of one load: an expression is one, and copying costs by size. A large real configuration takes some
/// thousands; this many take about a second.
const MAX_LOAD_STEPS: usize = 2_000_000;

/// Most steps of one stopper: some milliseconds. A stopper over a list of a thousand patterns takes some thousands.
const MAX_STOPPER_STEPS: usize = 50_000;

/// What making a regular expression costs besides its length: a hundred microseconds and more.
pub(crate) const COMPILING: usize = 2_000;

/// Deepest nesting of expressions, blocks and lambdas at load, on a large stack.
const MAX_LOAD_DEPTH: usize = 5_000;

/// The same in an event loop's thread.
const MAX_STOPPER_DEPTH: usize = 250;

/// Deepest loading of files by files. Three are usual.
const MAX_LOADS: usize = 16;

/// Most problems that are kept.
const MAX_PROBLEMS: usize = 200;

/// Longest text that an expression can make, in bytes.
pub(crate) const MAX_TEXT: usize = 1 << 20;

/// Deepest nesting of arrays and hashes.
const MAX_NESTING: usize = 64;

/// Why an expression has no value.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Something is wrong.
    Problem(Box<Problem>),
    /// Something is wrong, and it has been reported.
    Reported,
    /// The load takes too many steps; nothing more is evaluated.
    Exhausted,
    /// `next`, `break`, `return`
    Jump(Jump, Value),
    /// Answers are needed first.
    Need(Vec<Question>),
    /// Another child's verdict is needed first.
    Await(ChildIndex),
}

pub(crate) type Result<T> = std::result::Result<T, Stop>;

/// One evaluation.
pub(crate) struct Evaluator<'o> {
    pub(crate) world: World<'o>,
    /// The file of what is evaluated, for the places of problems.
    source: Option<Arc<Source>>,
    frame: Option<Arc<Frame>>,
    /// `$~`
    last_match: Value,
    heap: Heap,
    steps: usize,
    max_steps: usize,
    depth: usize,
    max_depth: usize,
}

impl<'o> Evaluator<'o> {
    /// Of a stopper.
    pub(crate) fn for_session(situation: Situation<'o>) -> Self {
        Self {
            max_steps: MAX_STOPPER_STEPS,
            max_depth: MAX_STOPPER_DEPTH,
            ..Self::new(World::Session(situation))
        }
    }

    fn new(world: World<'o>) -> Self {
        Self {
            world,
            source: None,
            frame: None,
            last_match: Value::Nil,
            heap: Heap::default(),
            steps: 0,
            max_steps: MAX_LOAD_STEPS,
            depth: 0,
            max_depth: MAX_LOAD_DEPTH,
        }
    }

    pub(crate) fn expression(&mut self, expr: &Expr) -> Result<Value> {
        self.steps += 1;
        if self.steps > self.max_steps {
            return Err(self.exhausted(expr.span));
        }
        if self.depth >= self.max_depth {
            let message = format!("nested too deep: more than {} levels", self.max_depth);
            return Err(self.stop(expr.span, Complaint::new(message)));
        }
        self.depth += 1;
        let result = self.kind(expr);
        self.depth -= 1;
        result
    }

    fn kind(&mut self, expr: &Expr) -> Result<Value> {
        match &expr.kind {
            Kind::Nil => Ok(Value::Nil),
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Int(value) => Ok(Value::Int(*value)),
            Kind::Float(value) => Ok(Value::Float(*value)),
            Kind::Text(text) => Ok(Value::Text(text.clone())),
            Kind::Symbol(name) => Ok(Value::Symbol(name.clone())),
            Kind::Regexp(regexp) => Ok(Value::Regexp(Arc::clone(regexp))),
            Kind::Constant(object) => Ok(Value::Object(*object)),
            Kind::Local(place) => self.local(place),
            Kind::Call(call) => self.call(call, expr.span),
            Kind::If { condition, yes, no } => {
                let branch = if self.expression(condition)?.is_truthy() { yes } else { no };
                branch.as_deref().map_or(Ok(Value::Nil), |branch| self.expression(branch))
            }
            Kind::And(left, right) => {
                let left = self.expression(left)?;
                if left.is_truthy() { self.expression(right) } else { Ok(left) }
            }
            Kind::Or(left, right) => {
                let left = self.expression(left)?;
                if left.is_truthy() { Ok(left) } else { self.expression(right) }
            }
            Kind::Not(value) => Ok(Value::Bool(!self.expression(value)?.is_truthy())),
            Kind::Case(case) => self.case(case),
            Kind::Interpolated(parts) => self.interpolated(parts).map(Value::Text),
            Kind::Array(elements) => self.array(elements),
            Kind::Hash(pairs) => self.hash(pairs),
            Kind::Range { from, to, exclusive } => {
                let (from, to) = (self.expression(from)?, self.expression(to)?);
                self.range(from, to, *exclusive, expr.span)
            }
            Kind::RegexpOf { parts, options } => {
                let source = self.regexp_source(parts)?;
                // Compiling costs far more than a step.
                self.spend(COMPILING + 50 * source.len(), expr.span)?;
                let regexp = Regexp::new(source.as_str(), *options);
                regexp
                    .map(|regexp| Value::Regexp(Arc::new(regexp)))
                    .map_err(|complaint| self.stop(expr.span, complaint))
            }
            Kind::Assign { place, value } => {
                let result = self.expression(value);
                self.assign(place, &result, expr.span)?;
                result
            }
            Kind::Update { target, operator, value } => self.update(target, operator, value),
            Kind::Lambda { block, is_lambda } => {
                let frame = self.current_frame();
                self.heap.hold(&frame);
                let block = Arc::clone(block);
                Ok(Value::Proc(Arc::new(Callable { block, frame, is_lambda: *is_lambda })))
            }
            Kind::Group(at) => Ok(match &self.last_match {
                Value::Match(found) => found.group(*at).map_or(Value::Nil, Value::Text),
                _ => Value::Nil,
            }),
            Kind::LastMatch => Ok(self.last_match.clone()),
            Kind::Jump { jump, value } => {
                let value = value.as_deref().map_or(Ok(Value::Nil), |value| self.expression(value))?;
                Err(Stop::Jump(*jump, value))
            }
            Kind::Sequence(statements) => self.statements(statements),
            Kind::Invalid(problem) => Err(Stop::Problem(problem.clone())),
        }
    }

    /// Evaluates all statements, at load those after a failed one too. The value is the last one's.
    fn statements(&mut self, statements: &[Expr]) -> Result<Value> {
        let mut last = Ok(Value::Nil);
        for statement in statements {
            last = self.expression(statement);
            match (&last, &self.world) {
                (Ok(_), _) => {}
                (Err(Stop::Problem(_) | Stop::Reported), World::Load(_)) => {
                    let failed = std::mem::replace(&mut last, Err(Stop::Reported));
                    failed.err().into_iter().for_each(|stop| self.note(stop));
                }
                (Err(_), _) => return last,
            }
        }
        last
    }

    fn case(&mut self, case: &Case) -> Result<Value> {
        let subject = case.subject.as_ref().map(|subject| self.expression(subject)).transpose()?;
        for arm in &case.arms {
            for pattern in &arm.patterns {
                let value = self.expression(pattern)?;
                let fits = match &subject {
                    Some(subject) => self.fits(&value, subject, pattern.span)?,
                    None => value.is_truthy(),
                };
                if fits {
                    return arm.body.as_ref().map_or(Ok(Value::Nil), |body| self.expression(body));
                }
            }
        }
        case.otherwise.as_ref().map_or(Ok(Value::Nil), |otherwise| self.expression(otherwise))
    }

    fn interpolated(&mut self, parts: &[Expr]) -> Result<Text> {
        let mut text = Vec::new();
        for part in parts {
            let value = self.expression(part)?;
            let Some(piece) = value.to_text() else {
                let message = format!("{} cannot be put into a string: {}", value.kind(), value.inspect());
                return Err(
                    self.stop(part.span, Complaint::with_hint(message, "use join(\" \") for an array"))
                );
            };
            text.extend_from_slice(&piece);
            self.check_length(text.len(), part.span)?;
        }
        Ok(Text::from(text))
    }

    /// A regular expression put into another one keeps its options.
    fn regexp_source(&mut self, parts: &[Expr]) -> Result<Text> {
        self.interpolated(parts)
    }

    fn array(&mut self, elements: &[Expr]) -> Result<Value> {
        let mut values = Vec::with_capacity(elements.len());
        for element in elements {
            let value = self.expression(element)?;
            self.check_nesting(&value, None, element.span)?;
            values.push(value);
        }
        Ok(Value::array(values))
    }

    fn hash(&mut self, pairs: &[(Expr, Expr)]) -> Result<Value> {
        let mut held = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let key_value = self.expression(key)?;
            let value = self.expression(value)?;
            self.put(&mut held, key_value, value, key.span)?;
        }
        Ok(Value::hash(held))
    }

    /// Puts a pair into a hash.
    pub(crate) fn put(
        &mut self,
        pairs: &mut Vec<(Value, Value)>,
        key: Value,
        value: Value,
        at: Span,
    ) -> Result<()> {
        if !matches!(key, Value::Text(_) | Value::Symbol(_) | Value::Int(_) | Value::Nil | Value::Bool(_)) {
            let message =
                format!("a key should be a string, a symbol or a whole number but was {}", key.inspect());
            return Err(self.stop(at, Complaint::new(message)));
        }
        self.check_nesting(&value, None, at)?;
        self.spend(pairs.len() / 8, at)?;
        match pairs.iter_mut().find(|(known, _)| known.same_key(&key)) {
            Some((_, old)) => *old = value,
            None => pairs.push((key, value)),
        }
        Ok(())
    }

    pub(crate) fn range(&mut self, from: Value, to: Value, exclusive: bool, at: Span) -> Result<Value> {
        let open = |value: &Value| matches!(value, Value::Nil);
        if !open(&from) && !open(&to) && from.compare(&to).is_none() {
            let message = format!("no range from {} to {}", from.inspect(), to.inspect());
            return Err(self.stop(at, Complaint::with_hint(message, "both ends must be of one kind")));
        }
        Ok(Value::Range(Arc::new(Range { from, to, exclusive })))
    }

    /// Looks for `regexp` in `text` and remembers the match.
    pub(crate) fn find(&mut self, regexp: &Regexp, text: &Text, at: Span) -> Result<bool> {
        self.spend(1 + text.len() / 16, at)?;
        self.last_match = regexp.find(text, 0).map_or(Value::Nil, |found| Value::Match(Arc::new(found)));
        Ok(self.last_match.is_truthy())
    }

    pub(crate) fn last_match(&self) -> &Value {
        &self.last_match
    }

    pub(crate) fn remember_match(&mut self, found: Value) {
        self.last_match = found;
    }

    pub(crate) fn location(&self, span: Span) -> Option<Location> {
        let source = self.source.as_ref()?;
        Some(Location { file: source.name.as_str().into(), line: source.line(span.start) })
    }

    pub(crate) fn stop(&self, span: Span, complaint: Complaint) -> Stop {
        let problem = match &self.source {
            Some(source) => source.problem(span, complaint),
            None => Problem::of_file("configuration", complaint),
        };
        Stop::Problem(Box::new(problem))
    }

    /// Pays for work.
    pub(crate) fn spend(&mut self, steps: usize, at: Span) -> Result<()> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > self.max_steps { Err(self.exhausted(at)) } else { Ok(()) }
    }

    /// Says once where the steps ran out.
    fn exhausted(&mut self, span: Span) -> Stop {
        let max = self.max_steps;
        let hint = "look for blocks in blocks over long arrays";
        let World::Load(loading) = &self.world else {
            let message = format!("the stopper takes more than {max} steps");
            return self.stop(span, Complaint::with_hint(message, hint));
        };
        let complaint = Complaint::with_hint(
            format!("the configuration takes more than {max} steps; the rest is not evaluated"),
            hint,
        );
        let already = loading.problems.iter().any(|problem| problem.message == complaint.message);
        if let (false, Stop::Problem(problem)) = (already, self.stop(span, complaint)) {
            self.report(*problem);
        }
        Stop::Exhausted
    }

    pub(crate) fn check_length(&mut self, length: usize, span: Span) -> Result<()> {
        self.spend(length / 64, span)?;
        if length <= MAX_TEXT {
            return Ok(());
        }
        Err(self
            .stop(span, Complaint::new(format!("the text is too long: {length} bytes, at most {MAX_TEXT}"))))
    }

    /// That `value` may go into `container`: not too deep, and not into itself.
    pub(crate) fn check_nesting(
        &mut self,
        value: &Value,
        container: Option<&Value>,
        span: Span,
    ) -> Result<()> {
        if !matches!(value, Value::Array(_) | Value::Hash(_))
            || self.nesting(value, container, MAX_NESTING, span)?
        {
            return Ok(());
        }
        let message =
            format!("arrays and hashes in each other more than {MAX_NESTING} deep, or in themselves");
        Err(self.stop(span, Complaint::new(message)))
    }

    fn nesting(&mut self, value: &Value, container: Option<&Value>, left: usize, at: Span) -> Result<bool> {
        self.spend(1, at)?;
        if is_same_container(value, container) || left == 0 {
            return Ok(false);
        }
        let inner: Vec<Value> = match value {
            Value::Array(elements) => elements.read().clone(),
            Value::Hash(pairs) => pairs.read().iter().map(|(_, value)| value.clone()).collect(),
            _ => return Ok(true),
        };
        for element in &inner {
            if !self.nesting(element, container, left - 1, at)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether `value` is the very array or hash `container`.
pub(crate) fn is_same_container(value: &Value, container: Option<&Value>) -> bool {
    match (value, container) {
        (Value::Array(a), Some(Value::Array(b))) => Arc::ptr_eq(a, b),
        (Value::Hash(a), Some(Value::Hash(b))) => Arc::ptr_eq(a, b),
        _ => false,
    }
}
