//! Values and blocks as code that gives them again.
//!
//! A block is printed as it stands in its file. The variables around it that it uses are set in a lambda before it, one for
//! each block that they belong to, so that they meet no others:
//!
//! ```text
//!   lambda do
//!     hosts = ["a.example.com"]
//!     condition.define_connect_stopper {|context, host| hosts.include?(host) }
//!   end.call
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::inspect;
use crate::language::check::check;
use crate::language::procs::{Callable, Frame, Variable};
use crate::language::regexp::Regexp;
use crate::language::table::Of;
use crate::rule::captured;
use crate::source::Source;
use crate::syntax::parse;
use crate::value::Value;

/// Why something cannot be written as code: what it is that has no form.
pub(crate) type Lost = String;

pub(crate) type Written = Result<String, Lost>;

/// The lambda or block `callable` as an expression.
pub(crate) fn lambda(callable: &Callable) -> Written {
    in_a_way_that_loads(
        |hides_kinds| Writer::for_callable(callable, hides_kinds).callable(callable, &[]),
        |code| format!("value = {code}\n"),
    )
}

/// The statements that run `call` with the block `callable`, with `indent` before them. `call` begins with the name `receiver`, if
/// there is one.
pub(crate) fn call_with(callable: &Callable, receiver: &str, call: &str, indent: &str) -> Written {
    let around = |code: &str| match receiver {
        "" => code.to_owned(),
        _ => format!("define_applicable_condition(\"\") do |{receiver}|\n{code}end\n"),
    };
    in_a_way_that_loads(|hides_kinds| statements(callable, receiver, call, indent, hides_kinds), around)
}

/// What the check at load knows of a variable is wider in its file, where other values may be assigned, than behind its value alone. So
/// where `write` gives what would be refused `around` it, it is asked again to hide what kind of values there are.
fn in_a_way_that_loads(write: impl Fn(bool) -> Written, around: impl Fn(&str) -> String) -> Written {
    let mut refused = String::new();
    for hides_kinds in [false, true] {
        let code = write(hides_kinds)?;
        let source = Arc::new(Source::new(String::new(), around(&code).into_bytes()));
        let problems = match parse(&source) {
            Ok(mut file) => check(&mut file, &source).into_iter().flatten().collect(),
            Err(problems) => problems,
        };
        match problems.into_iter().next() {
            None => return Ok(code),
            Some(problem) => refused = problem.message,
        }
    }
    Err(format!("a block that is refused where it stands alone: {refused}"))
}

fn statements(callable: &Callable, receiver: &str, call: &str, indent: &str, hides_kinds: bool) -> Written {
    let writer = Writer::for_callable(callable, hides_kinds);
    let mut lines = Lines { text: String::new(), indent: indent.to_owned() };
    let mut call = call.to_owned();
    if !receiver.is_empty() && writer.needed.uses(receiver) {
        // A variable of that name goes before it inside.
        let alias = format!("the_{receiver}");
        lines.push(&format!("{alias} = {receiver}"));
        call = call.replacen(receiver, &alias, 1);
    }
    let mut open = vec![Scope { frame: 0, names: vec![receiver.to_owned()] }];
    let mut ends = Vec::new();
    for frame in writer.scopes(callable, &open) {
        let scope = writer.scope(frame);
        let parameters = scope.parameters(&open);
        lines.push(&format!("lambda do{}", bars(&parameters)));
        ends.push(format!("end.call{}", nils(&parameters)));
        lines.indent.push_str("  ");
        open.push(scope);
        for statement in writer.assignments(frame, &open)? {
            lines.push(&statement);
        }
    }
    writer.check(callable, &open)?;
    lines.push(&format!("{call} {}", text(callable)?));
    for end in ends.iter().rev() {
        lines.indent.truncate(lines.indent.len() - 2);
        lines.push(end);
    }
    Ok(lines.text)
}

struct Lines {
    text: String,
    indent: String,
}

impl Lines {
    fn push(&mut self, line: &str) {
        self.text.push_str(&self.indent);
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// Tells frames apart while they are written.
type FrameId = usize;

fn id(frame: &Arc<Frame>) -> FrameId {
    Arc::as_ptr(frame).addr()
}

/// The variables of a lambda that is open where something is written.
#[derive(Debug, Clone)]
struct Scope {
    frame: FrameId,
    names: Vec<String>,
}

impl Scope {
    /// Those of its names that mean something else outside: as parameters they do not.
    fn parameters(&self, around: &[Self]) -> Vec<String> {
        let is_known = |name: &&String| around.iter().any(|scope| scope.names.contains(name));
        self.names.iter().filter(is_known).cloned().collect()
    }
}

fn bars(parameters: &[String]) -> String {
    if parameters.is_empty() { String::new() } else { format!(" |{}|", parameters.join(", ")) }
}

fn nils(parameters: &[String]) -> String {
    if parameters.is_empty() {
        String::new()
    } else {
        format!("({})", vec!["nil"; parameters.len()].join(", "))
    }
}

/// Which variables of which frames something uses, itself or through the lambdas that they hold.
#[derive(Debug, Default)]
struct Needed(BTreeMap<FrameId, OfFrame>);

/// The variables of a frame that are used, by name, each with its slot.
#[derive(Debug)]
struct OfFrame {
    frame: Arc<Frame>,
    names: BTreeMap<String, u16>,
}

impl Needed {
    fn of_callable(&mut self, callable: &Callable) {
        for used in captured(&callable.block) {
            let Some(frame) = callable.frame.at(used.frames_out) else { continue };
            let new = || OfFrame { frame: Arc::clone(frame), names: BTreeMap::new() };
            let known = self.0.entry(id(frame)).or_insert_with(new);
            if known.names.insert(used.name.to_string(), used.slot).is_none()
                && let Some(Variable::Set(value)) =
                    frame.variables.read().get(usize::from(used.slot)).cloned()
            {
                self.of_value(&value);
            }
        }
    }

    fn of_value(&mut self, value: &Value) {
        match value {
            Value::Proc(callable) => self.of_callable(callable),
            Value::Array(elements) => {
                elements.read().clone().iter().for_each(|element| self.of_value(element));
            }
            Value::Hash(pairs) => pairs.read().clone().iter().for_each(|(_, value)| self.of_value(value)),
            _ => {}
        }
    }

    fn uses(&self, name: &str) -> bool {
        self.0.values().any(|known| known.names.contains_key(name))
    }
}

struct Writer {
    needed: Needed,
    hides_kinds: bool,
}

impl Writer {
    fn for_callable(callable: &Callable, hides_kinds: bool) -> Self {
        let mut needed = Needed::default();
        needed.of_callable(callable);
        Self { needed, hides_kinds }
    }

    /// The frames around `callable` that something is needed of and that are not open yet, the outermost first.
    fn scopes(&self, callable: &Callable, open: &[Scope]) -> Vec<FrameId> {
        let mut frames = Vec::new();
        let mut next = Some(&callable.frame);
        while let Some(frame) = next {
            let is_open = open.iter().any(|scope| scope.frame == id(frame));
            if self.needed.0.contains_key(&id(frame)) && !is_open {
                frames.push(id(frame));
            }
            next = frame.outer.as_ref();
        }
        frames.reverse();
        frames
    }

    fn scope(&self, frame: FrameId) -> Scope {
        let names = self.needed.0.get(&frame).map(|known| known.names.keys().cloned().collect());
        Scope { frame, names: names.unwrap_or_default() }
    }

    /// The statements that set the variables of the innermost open frame. Lambdas come last, since they may use each other.
    fn assignments(&self, frame: FrameId, open: &[Scope]) -> Result<Vec<String>, Lost> {
        let Some(OfFrame { frame, names }) = self.needed.0.get(&frame) else { return Ok(Vec::new()) };
        let variables = frame.variables.read();
        let (mut first, mut last) = (Vec::new(), Vec::new());
        for (name, slot) in names {
            let value = match variables.get(usize::from(*slot)) {
                Some(Variable::Set(value)) => value.clone(),
                _ => Value::Nil,
            };
            let written =
                self.value(&value, open).map_err(|lost| format!("{lost} in the variable {name}"))?;
            let written = if self.hides_kinds { format!("[{written}].first") } else { written };
            if holds_block(&value) {
                first.insert(0, format!("{name} = nil"));
                last.push(format!("{name} = {written}"));
            } else {
                first.push(format!("{name} = {written}"));
            }
        }
        first.append(&mut last);
        Ok(first)
    }

    /// That each variable that `callable` uses means the right one among `open`.
    fn check(&self, callable: &Callable, open: &[Scope]) -> Result<(), Lost> {
        for used in captured(&callable.block) {
            let frame = callable.frame.at(used.frames_out).map(id);
            let named = open.iter().rev().find(|scope| scope.names.iter().any(|name| **name == *used.name));
            if named.map(|scope| scope.frame) != frame {
                return Err(format!("a block whose variable {} has a namesake", used.name));
            }
        }
        Ok(())
    }

    fn callable(&self, callable: &Callable, open: &[Scope]) -> Written {
        let mut open = open.to_vec();
        let (mut before, mut after) = (String::new(), String::new());
        for frame in self.scopes(callable, &open) {
            let scope = self.scope(frame);
            let parameters = scope.parameters(&open);
            open.push(scope);
            before.push_str(&format!("lambda {{{} ", bars(&parameters).trim_start()));
            for statement in self.assignments(frame, &open)? {
                before.push_str(&format!("{statement}; "));
            }
            after.insert_str(0, &format!(" }}.call{}", nils(&parameters)));
        }
        self.check(callable, &open)?;
        let kind = if callable.is_lambda { "lambda" } else { "proc" };
        Ok(format!("{before}{kind} {}{after}", text(callable)?))
    }

    fn value(&self, value: &Value, open: &[Scope]) -> Written {
        let lost = || Err(format!("{} has no form as code", value.kind()));
        match value {
            Value::Nil | Value::Bool(_) | Value::Int(_) => Ok(value.inspect()),
            Value::Float(number) if number.is_nan() => Ok("(0.0 / 0.0)".to_owned()),
            Value::Float(number) if number.is_infinite() => {
                Ok(format!("({}1.0 / 0.0)", if *number < 0.0 { "-" } else { "" }))
            }
            Value::Float(number) => Ok(inspect::float(*number)),
            Value::Text(text) => Ok(inspect::bytes(text)),
            Value::Symbol(name) => Ok(inspect::symbol(&name.to_string())),
            Value::Regexp(regexp) => Ok(self::regexp(regexp)),
            Value::Object(object) => Ok(object.name().to_owned()),
            Value::Range(range) => {
                let (from, to) = (self.value(&range.from, open)?, self.value(&range.to, open)?);
                Ok(format!("({from}{}{to})", if range.exclusive { "..." } else { ".." }))
            }
            Value::Array(elements) => {
                let elements: Result<Vec<_>, _> =
                    elements.read().clone().iter().map(|element| self.value(element, open)).collect();
                Ok(format!("[{}]", elements?.join(", ")))
            }
            Value::Hash(pairs) => {
                let pair = |(key, value): &(Value, Value)| {
                    Ok::<_, Lost>(format!("{} => {}", self.value(key, open)?, self.value(value, open)?))
                };
                let pairs: Result<Vec<_>, _> = pairs.read().clone().iter().map(pair).collect();
                Ok(format!("{{{}}}", pairs?.join(", ")))
            }
            Value::Time(time) => {
                Ok(format!("lambda {{ now = Time.now; now - (now.to_i - {}) }}.call", time.seconds))
            }
            Value::Table(table) => {
                let class = match table.of {
                    Of::Networks => "PostfixCIDRTable",
                    Of::Expressions => "PostfixRegexpTable",
                };
                let mut code = format!("lambda {{ table = Milter::Manager::{class}.new; ");
                for path in table.parsed.read().iter() {
                    let path = inspect::bytes(path);
                    code.push_str(&format!("File.open({path}) {{|file| table.parse(file) }}; "));
                }
                Ok(format!("{code}table }}.call"))
            }
            Value::Proc(callable) => self.callable(callable, open),
            Value::Match(_)
            | Value::Milter(_)
            | Value::Condition(_)
            | Value::Context(_)
            | Value::Address(_)
            | Value::Network(_)
            | Value::Shelf
            | Value::Policy(_)
            | Value::File(_)
            | Value::Detector(_) => lost(),
        }
    }
}

/// Whether `value` is a lambda or has one in it.
fn holds_block(value: &Value) -> bool {
    match value {
        Value::Proc(_) => true,
        Value::Array(elements) => elements.read().iter().any(holds_block),
        Value::Hash(pairs) => pairs.read().iter().any(|(_, value)| holds_block(value)),
        _ => false,
    }
}

/// A regular expression between slashes.
pub(crate) fn regexp(regexp: &Regexp) -> String {
    let shown = regexp.inspect();
    let mut text = String::with_capacity(shown.len());
    let mut characters = shown.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                text.push('\\');
                text.extend(characters.next());
            }
            // What would be interpolation.
            '#' if matches!(characters.peek(), Some('{' | '$' | '@')) => text.push_str("\\#"),
            other => text.push(other),
        }
    }
    text
}

/// A block from its brace or `do` to its end.
fn text(callable: &Callable) -> Written {
    let block = &callable.block;
    let text = std::str::from_utf8(block.source.text(block.braces));
    let text = text.map_err(|_| "a block that is not UTF-8".to_owned())?;
    if let Some(method) = text.strip_prefix(':') {
        return Ok(format!("{{|element| element.{method} }}"));
    }
    // `->(x) { ... }` has its parameters before.
    if !block.source.text(block.span).starts_with(b"->") {
        return Ok(text.to_owned());
    }
    let parameters: Vec<_> = block.parameters.iter().map(|place| place.name.to_string()).collect();
    let (opening, rest) = text.split_at(if text.starts_with("do") { 2 } else { 1 });
    let space = if opening == "do" && !parameters.is_empty() { " " } else { "" };
    Ok(format!("{opening}{space}{}{rest}", bars(&parameters).trim_start()))
}
