//! Evaluates the statements of configuration files.
//!
//! ```text
//!   mod         files, statements, expressions, variables, bounds
//!   vocabulary  what can be called by its bare name: load, define_milter, manager ...
//!   objects     the attributes of manager, log, milter ...
//!   values      the closed table of (kind of value, method)
//! ```
//!
//! A statement that fails is a problem, and evaluation goes on with the next statement of the file or of the
//! `define_milter` block. What depends on a variable that could not be set fails without a second problem.

mod objects;
mod values;
mod vocabulary;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::configuration::{Configuration, Location};
use crate::milter::Milter;
use crate::problem::{Complaint, Problem};
use crate::source::{Source, Span};
use crate::syntax::{Block, Call, Expr, Kind, MAX_FILE, Operator, parse};
use crate::value::Value;

/// Most steps of one load: an expression is one, and copying costs by size. A large real configuration takes some
/// thousands; this many take about a second.
const MAX_STEPS: usize = 2_000_000;

/// Deepest loading of files by files. Three are usual.
const MAX_LOADS: usize = 16;

/// Most problems that are kept.
const MAX_PROBLEMS: usize = 200;

/// Longest text that an expression can make, in bytes.
const MAX_TEXT: usize = 1 << 20;

/// Deepest nesting of arrays and hashes.
const MAX_NESTING: usize = 64;

/// Why an expression has no value.
pub(crate) enum Stop {
    /// Something is wrong.
    Problem(Box<Problem>),
    /// Something is wrong, and it has been reported.
    Reported,
    /// The load takes too many steps; nothing more is evaluated.
    Exhausted,
}

pub(crate) type Result<T> = std::result::Result<T, Stop>;

/// One load.
pub(crate) struct Evaluator<'o> {
    directories: &'o [PathBuf],
    configuration: Configuration,
    problems: Vec<Problem>,
    files: Vec<OpenFile>,
    /// The milters whose blocks are running, each with its number.
    milters: Vec<(u64, Milter)>,
    next_milter: u64,
    /// `database.extra_options`, which is changed through `[]=`.
    extra_options: Value,
    steps: usize,
}

/// A file that is being evaluated.
struct OpenFile {
    source: Source,
    name: Arc<str>,
    /// The innermost block's variables last.
    scopes: Vec<BTreeMap<Arc<str>, Variable>>,
}

#[derive(Clone)]
enum Variable {
    Set(Value),
    /// Its assignment failed, which has been reported.
    Failed,
}

impl<'o> Evaluator<'o> {
    pub(crate) fn new(directories: &'o [PathBuf]) -> Self {
        Self {
            directories,
            configuration: Configuration::default(),
            problems: Vec::new(),
            files: Vec::new(),
            milters: Vec::new(),
            next_milter: 0,
            extra_options: Value::hash(Vec::new()),
            steps: 0,
        }
    }

    /// Evaluates the main file.
    pub(crate) fn main_file(&mut self, path: &Path) {
        let name = path.to_string_lossy().into_owned();
        match read(path) {
            Ok(bytes) => self.text(&name, bytes),
            Err(complaint) => self.report(Problem::of_file(&name, complaint)),
        }
    }

    /// Evaluates `bytes` as the main file.
    pub(crate) fn text(&mut self, name: &str, bytes: Vec<u8>) {
        if let Err(stop) = self.file(name, bytes) {
            self.note(stop);
        }
    }

    pub(crate) fn report(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// The configuration and the problems.
    pub(crate) fn finish(mut self) -> (Configuration, Vec<Problem>) {
        self.keep_extra_options();
        (self.configuration, self.problems)
    }

    fn file(&mut self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let start = Span { start: 0, end: 0 };
        self.spend(1 + bytes.len() / 64).map_err(|stop| self.exhausted(start, stop))?;
        let source = Source::new(name.to_owned(), bytes);
        match parse(&source) {
            Err(problems) => {
                problems.into_iter().for_each(|problem| self.report(problem));
                Ok(())
            }
            Ok(statements) => {
                self.files.push(OpenFile { source, name: name.into(), scopes: vec![BTreeMap::new()] });
                let result = self.statements(&statements);
                self.files.pop();
                result
            }
        }
    }

    /// Evaluates all statements, those after a failed one too.
    fn statements(&mut self, statements: &[Expr]) -> Result<()> {
        for statement in statements {
            match self.expression(statement) {
                Err(Stop::Exhausted) => return Err(Stop::Exhausted),
                Err(stop) => self.note(stop),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    fn note(&mut self, stop: Stop) {
        if let Stop::Problem(problem) = stop {
            self.report(*problem);
        }
    }

    fn expression(&mut self, expr: &Expr) -> Result<Value> {
        self.spend(1).map_err(|stop| self.exhausted(expr.span, stop))?;
        match &expr.kind {
            Kind::Nil => Ok(Value::Nil),
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Int(value) => Ok(Value::Int(*value)),
            Kind::Float(value) => Ok(Value::Float(*value)),
            Kind::Text(text) => Ok(Value::Text(text.clone())),
            Kind::Symbol(name) => Ok(Value::Symbol(name.clone())),
            Kind::Interpolated(parts) => self.interpolated(parts),
            Kind::Array(elements) => self.array(elements),
            Kind::Hash(pairs) => self.hash(pairs),
            Kind::Local(name) => self.local(name),
            Kind::Assign { name, value } => {
                let result = self.expression(value);
                self.assign(name, &result);
                result
            }
            Kind::Call(call) => self.call(call, expr.span),
            Kind::Index { receiver, key } => {
                let receiver = self.expression(receiver)?;
                let key_value = self.expression(key)?;
                self.index(&receiver, &key_value, key.span)
            }
            Kind::IndexAssign { receiver, key, value } => {
                let receiver = self.expression(receiver)?;
                let key_value = self.expression(key)?;
                let value = self.expression(value)?;
                self.index_assign(&receiver, &key_value, value, key.span)
            }
            Kind::Update { target, operator, value } => self.update(target, operator, value),
            Kind::Sequence(statements) => match &statements[..] {
                [] => Ok(Value::Nil),
                [before @ .., last] => {
                    self.statements(before)?;
                    self.expression(last)
                }
            },
            Kind::Invalid(problem) => Err(Stop::Problem(problem.clone())),
        }
    }

    fn interpolated(&mut self, parts: &[Expr]) -> Result<Value> {
        let mut text = String::new();
        for part in parts {
            let value = self.expression(part)?;
            let Some(piece) = value.to_text() else {
                let message = format!("{} cannot be put into a string: {}", value.kind(), value.inspect());
                return Err(
                    self.stop(part.span, Complaint::with_hint(message, "use join(\" \") for an array"))
                );
            };
            text.push_str(&piece);
            self.check_length(text.len(), part.span)?;
        }
        Ok(Value::text(&text))
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
        let hash = Value::hash(Vec::new());
        for (key, value) in pairs {
            let key_value = self.expression(key)?;
            let value = self.expression(value)?;
            self.index_assign(&hash, &key_value, value, key.span)?;
        }
        Ok(hash)
    }

    fn local(&mut self, name: &str) -> Result<Value> {
        let scopes = self.files.last().map(|file| &file.scopes[..]).unwrap_or_default();
        match scopes.iter().rev().find_map(|scope| scope.get(name)) {
            Some(Variable::Set(value)) => Ok(value.clone()),
            Some(Variable::Failed) => Err(Stop::Reported),
            // The parser knows it, so the statement that sets it was not evaluated.
            None if !self.problems.is_empty() => Err(Stop::Reported),
            None => Ok(Value::Nil),
        }
    }

    fn assign(&mut self, name: &Arc<str>, result: &Result<Value>) {
        let variable = match result {
            Ok(value) => Variable::Set(value.clone()),
            Err(_) => Variable::Failed,
        };
        let Some(file) = self.files.last_mut() else { return };
        let depth = file.scopes.iter().rposition(|scope| scope.contains_key(name));
        let depth = depth.unwrap_or(file.scopes.len().saturating_sub(1));
        if let Some(scope) = file.scopes.get_mut(depth) {
            scope.insert(name.clone(), variable);
        }
    }

    /// `target OPERATOR= value`. The parts of the target are evaluated once.
    fn update(&mut self, target: &Expr, operator: &Operator, value: &Expr) -> Result<Value> {
        match &target.kind {
            Kind::Local(name) => {
                let old = match operator {
                    Operator::Or if !self.is_set(name) => Value::Nil,
                    _ => self.local(name)?,
                };
                let new = self.combine(old, operator, target, value);
                self.assign(name, &new);
                new
            }
            Kind::Index { receiver, key } => {
                let receiver = self.expression(receiver)?;
                let key_value = self.expression(key)?;
                let old = self.index(&receiver, &key_value, key.span)?;
                let new = self.combine(old, operator, target, value)?;
                self.index_assign(&receiver, &key_value, new, key.span)
            }
            Kind::Call(call) => {
                let Some(receiver) = &call.receiver else { return Err(self.cannot_assign(target)) };
                let receiver = self.expression(receiver)?;
                let old = self.method(&receiver, &call.method, &[], call.name_span, call.name_span)?;
                let keeps = matches!(operator, Operator::Or) && old.is_truthy();
                if keeps {
                    return Ok(old);
                }
                let new = self.combine(old, operator, target, value)?;
                let setter = format!("{}=", call.method);
                self.method(&receiver, &setter, &[new], call.name_span, value.span)
            }
            _ => Err(self.cannot_assign(target)),
        }
    }

    fn combine(&mut self, old: Value, operator: &Operator, target: &Expr, value: &Expr) -> Result<Value> {
        match operator {
            Operator::Or if old.is_truthy() => Ok(old),
            Operator::Or => self.expression(value),
            Operator::Method(method) => {
                let value_given = self.expression(value)?;
                self.method(&old, method, &[value_given], target.span, value.span)
            }
        }
    }

    fn cannot_assign(&self, target: &Expr) -> Stop {
        self.stop(
            target.span,
            Complaint::new(format!("this cannot be assigned to: {}", self.quote(target.span))),
        )
    }

    fn is_set(&self, name: &str) -> bool {
        self.files.last().is_some_and(|file| file.scopes.iter().any(|scope| scope.contains_key(name)))
    }

    fn call(&mut self, call: &Call, span: Span) -> Result<Value> {
        let Some(receiver) = &call.receiver else { return self.bare(call, span) };
        let receiver = self.expression(receiver)?;
        let value_span = call.arguments.first().map_or(call.name_span, |argument| argument.span);
        if let Some(block) = &call.block {
            return self.method_with_block(&receiver, call, block);
        }
        let mut arguments = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments {
            arguments.push(self.expression(argument)?);
        }
        self.method(&receiver, &call.method, &arguments, call.name_span, value_span)
    }

    /// Runs a block with its own variables. Parameters without an argument are nil, as in Ruby.
    fn run_block(&mut self, block: &Block, arguments: &[Value]) -> Result<()> {
        let parameters = block.parameters.iter().enumerate();
        let scope = parameters
            .map(|(at, name)| (name.clone(), Variable::Set(arguments.get(at).cloned().unwrap_or(Value::Nil))))
            .collect();
        let Some(file) = self.files.last_mut() else { return Ok(()) };
        file.scopes.push(scope);
        let result = self.statements(&block.body);
        if let Some(file) = self.files.last_mut() {
            file.scopes.pop();
        }
        result
    }

    fn location(&self, span: Span) -> Option<Location> {
        let file = self.files.last()?;
        Some(Location { file: file.name.clone(), line: file.source.line(span.start) })
    }

    fn stop(&self, span: Span, complaint: Complaint) -> Stop {
        let problem = match self.files.last() {
            Some(file) => file.source.problem(span, complaint),
            None => Problem::of_file("configuration", complaint),
        };
        Stop::Problem(Box::new(problem))
    }

    fn quote(&self, span: Span) -> String {
        self.files.last().map(|file| file.source.quote(span)).unwrap_or_default()
    }

    fn spend(&mut self, steps: usize) -> Result<()> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS { Err(Stop::Exhausted) } else { Ok(()) }
    }

    /// Says once where the steps ran out.
    fn exhausted(&mut self, span: Span, stop: Stop) -> Stop {
        let complaint = Complaint::with_hint(
            format!("the configuration takes more than {MAX_STEPS} steps; the rest is not evaluated"),
            "look for blocks in blocks over long arrays",
        );
        let already = self.problems.iter().any(|problem| problem.message == complaint.message);
        if let (false, Stop::Problem(problem)) = (already, self.stop(span, complaint)) {
            self.report(*problem);
        }
        stop
    }

    fn check_length(&mut self, length: usize, span: Span) -> Result<()> {
        self.spend(length / 64).map_err(|stop| self.exhausted(span, stop))?;
        if length <= MAX_TEXT {
            return Ok(());
        }
        Err(self
            .stop(span, Complaint::new(format!("the text is too long: {length} bytes, at most {MAX_TEXT}"))))
    }

    /// That `value` may go into `container`: not too deep, and not into itself.
    fn check_nesting(&mut self, value: &Value, container: Option<&Value>, span: Span) -> Result<()> {
        match self.nesting(value, container, MAX_NESTING) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let message =
                    format!("arrays and hashes in each other more than {MAX_NESTING} deep, or in themselves");
                Err(self.stop(span, Complaint::new(message)))
            }
            Err(stop) => Err(self.exhausted(span, stop)),
        }
    }

    fn nesting(&mut self, value: &Value, container: Option<&Value>, left: usize) -> Result<bool> {
        self.spend(1)?;
        if values::is_same_container(value, container) || left == 0 {
            return Ok(false);
        }
        match value {
            Value::Array(elements) => {
                for element in elements.borrow().iter() {
                    if !self.nesting(element, container, left - 1)? {
                        return Ok(false);
                    }
                }
            }
            Value::Hash(pairs) => {
                for (_, element) in pairs.borrow().iter() {
                    if !self.nesting(element, container, left - 1)? {
                        return Ok(false);
                    }
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

/// A configuration file's bytes, never more than one too many.
fn read(path: &Path) -> std::result::Result<Vec<u8>, Complaint> {
    let complain = |error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Complaint::new(format!("{} doesn't exist.", path.display())),
        _ => Complaint::new(format!("{} cannot be read: {error}", path.display())),
    };
    if !fs::metadata(path).map_err(|error| complain(&error))?.is_file() {
        return Err(Complaint::new(format!("{} is not a regular file", path.display())));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILE + 1).unwrap_or(u64::MAX);
    let file = fs::File::open(path).map_err(|error| complain(&error))?;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| complain(&error))?;
    Ok(bytes)
}
