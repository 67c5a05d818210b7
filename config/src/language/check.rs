//! What is wrong with rules before they are evaluated: in blocks too, and on paths that are never taken.
//!
//! The kinds that each variable may have are found out by going over a file until nothing is added any more; then each call is
//! compared with the table of methods. Where nothing is known about a receiver, the method must be there on some kind.

use std::sync::Arc;

use super::kinds::{Kind, Kinds};
use super::methods::{self, Method, WithBlock};
use crate::evaluate::objects::{is_property, is_setting, nearest, reads, unknown, unknown_property};
use crate::evaluate::vocabulary::{Takes, Word, no_block, not_for_sessions, unknown_name};
use crate::evaluate::{is_attribute, unknown_attribute};
use crate::problem::{Complaint, Problem};
use crate::rule::{Block, Call, Case, Expr, Kind as Node, Name, Operator};
use crate::source::{Source, Span};
use crate::syntax::File;
use crate::value::Object;

/// Most rounds until the kinds of variables are known; the kinds of those that are not by then are taken as unknown.
const ROUNDS: usize = 8;

/// Checks a file. A statement with something wrong in it becomes invalid; the problems of each statement of the file.
pub(crate) fn check(file: &mut File, source: &Arc<Source>) -> Vec<Vec<Problem>> {
    let mut checker = Checker {
        source: Arc::clone(source),
        kinds: vec![Kinds::NONE; file.all_variables],
        stoppers: 0,
        changed: true,
        reports: false,
        fault: None,
        problems: Vec::new(),
    };
    for _ in 0..ROUNDS {
        if !std::mem::take(&mut checker.changed) {
            break;
        }
        checker.statements(&mut file.statements);
    }
    if checker.changed {
        checker.kinds.fill(Kinds::ANY);
    }
    checker.reports = true;
    let mut problems = Vec::with_capacity(file.statements.len());
    for statement in &mut file.statements {
        checker.statement(statement);
        problems.push(std::mem::take(&mut checker.problems));
    }
    problems
}

struct Checker {
    source: Arc<Source>,
    /// What each variable may be, by its number.
    kinds: Vec<Kinds>,
    /// How many stoppers are around the place.
    stoppers: usize,
    changed: bool,
    reports: bool,
    /// The first thing wrong in this statement.
    fault: Option<Box<Problem>>,
    problems: Vec<Problem>,
}

impl Checker {
    fn statements(&mut self, statements: &mut [Expr]) -> Kinds {
        let mut last = Kinds::of(Kind::Nil);
        for statement in statements {
            last = self.statement(statement);
        }
        last
    }

    fn statement(&mut self, statement: &mut Expr) -> Kinds {
        let around = self.fault.take();
        let kinds = self.expression(statement);
        if let Some(problem) = std::mem::replace(&mut self.fault, around)
            && self.reports
        {
            self.problems.push((*problem).clone());
            statement.kind = Node::Invalid(problem);
        }
        kinds
    }

    /// What an expression may give.
    fn expression(&mut self, expr: &mut Expr) -> Kinds {
        match &mut expr.kind {
            Node::Nil => Kinds::of(Kind::Nil),
            Node::Bool(_) => Kinds::BOOL,
            Node::Int(_) => Kinds::INT,
            Node::Float(_) => Kinds::of(Kind::Float),
            Node::Text(_) => Kinds::TEXT,
            Node::Symbol(_) => Kinds::of(Kind::Symbol),
            Node::Regexp(_) => Kinds::of(Kind::Regexp),
            Node::Constant(object) => Kinds::of(Kind::of_object(*object)),
            Node::Group(_) => Kinds::TEXT.or_nil(),
            Node::LastMatch => Kinds::of(Kind::Match).or_nil(),
            Node::Interpolated(parts) => {
                self.all(parts);
                Kinds::TEXT
            }
            Node::RegexpOf { parts, .. } => {
                self.all(parts);
                Kinds::of(Kind::Regexp)
            }
            Node::Array(elements) => {
                self.all(elements);
                Kinds::ARRAY
            }
            Node::Hash(pairs) => {
                for (key, value) in pairs {
                    self.expression(key);
                    self.expression(value);
                }
                Kinds::of(Kind::Hash)
            }
            Node::Range { from, to, .. } => {
                self.expression(from);
                self.expression(to);
                Kinds::of(Kind::Range)
            }
            Node::Local(place) => match self.kinds[place.number as usize] {
                // Never assigned where this can be known; it is nil then.
                Kinds::NONE => Kinds::ANY,
                kinds => kinds,
            },
            Node::Assign { place, value } => {
                let kinds = self.expression(value);
                self.add(place.number, kinds);
                kinds
            }
            Node::Call(call) => self.call(call, expr.span),
            Node::Update { target, operator, value } => self.update(target, operator, value),
            Node::If { condition, yes, no } => {
                self.expression(condition);
                let mut branch = |branch: &mut Option<Box<Expr>>| {
                    branch.as_deref_mut().map_or(Kinds::of(Kind::Nil), |branch| self.expression(branch))
                };
                branch(yes).and(branch(no))
            }
            Node::Case(case) => self.case(case),
            Node::And(left, right) | Node::Or(left, right) => {
                self.expression(left).and(self.expression(right))
            }
            Node::Not(value) => {
                self.expression(value);
                Kinds::BOOL
            }
            Node::Lambda { block, .. } => {
                self.block(block, &[]);
                Kinds::of(Kind::Proc)
            }
            Node::Jump { value, .. } => {
                if let Some(value) = value {
                    self.expression(value);
                }
                Kinds::ANY
            }
            Node::Sequence(statements) => self.statements(statements),
            Node::Invalid(problem) => {
                if self.reports && self.fault.is_none() {
                    self.fault = Some(problem.clone());
                }
                Kinds::ANY
            }
        }
    }

    fn all(&mut self, expressions: &mut [Expr]) {
        for expression in expressions {
            self.expression(expression);
        }
    }

    fn add(&mut self, number: u32, kinds: Kinds) {
        if let Some(known) = self.kinds.get_mut(number as usize) {
            let new = known.and(kinds);
            self.changed |= new != *known;
            *known = new;
        }
    }

    fn case(&mut self, case: &mut Case) -> Kinds {
        if let Some(subject) = &mut case.subject {
            self.expression(subject);
        }
        let mut kinds = case.otherwise.as_mut().map_or(Kinds::of(Kind::Nil), |other| self.expression(other));
        for arm in &mut case.arms {
            self.all(&mut arm.patterns);
            let body = arm.body.as_mut().map_or(Kinds::of(Kind::Nil), |body| self.expression(body));
            kinds = kinds.and(body);
        }
        kinds
    }

    fn update(&mut self, target: &mut Expr, operator: &mut Operator, value: &mut Expr) -> Kinds {
        let span = target.span;
        // Each part once: updates within updates would double the work with each level.
        let mut parts = None;
        let old = match &mut target.kind {
            Node::Call(call) => {
                let Call { receiver: Some(receiver), arguments, name, name_span, .. } = &mut **call else {
                    return Kinds::ANY;
                };
                let on = self.expression(receiver);
                let arguments: Vec<_> =
                    arguments.iter_mut().map(|argument| (self.expression(argument), argument.span)).collect();
                let old = self.method(on, name, &arguments, false, *name_span, receiver);
                parts = Some((on, arguments));
                old
            }
            _ => self.expression(target),
        };
        let given = self.expression(value);
        let kinds = match operator {
            Operator::Or | Operator::And => old.and(given),
            Operator::Method(name) => self.method(old, name, &[(given, value.span)], false, span, target),
        };
        match (&target.kind, parts) {
            (Node::Local(place), _) => {
                let number = place.number;
                self.add(number, kinds);
            }
            (Node::Call(call), Some((on, mut arguments))) => {
                arguments.push((kinds, value.span));
                if let Some(receiver) = &call.receiver {
                    self.method(on, &call.name.setter(), &arguments, false, call.name_span, receiver);
                }
            }
            _ => {}
        }
        kinds
    }

    fn call(&mut self, call: &mut Call, span: Span) -> Kinds {
        let receiver = call.receiver.as_mut().map(|receiver| self.expression(receiver));
        let arguments: Vec<_> =
            call.arguments.iter_mut().map(|argument| (self.expression(argument), argument.span)).collect();
        let passes = call.pass.as_mut().map(|pass| (self.expression(pass), pass.span));
        let has_block = call.block.is_some() || passes.is_some();
        let gives = match (&mut call.receiver, receiver) {
            (Some(receiver), Some(kinds)) => {
                let name = call.name.clone();
                // `&.` does not call anything on nil.
                let kinds = if call.safe { kinds.without(Kind::Nil) } else { kinds };
                let gives = self.method(kinds, &name, &arguments, has_block, call.name_span, receiver);
                if call.safe { gives.or_nil() } else { gives }
            }
            _ => self.bare(call, &arguments, span),
        };
        if let Some((kinds, at)) = passes
            && !kinds.is_empty()
            && !kinds.meets(PASSED)
        {
            self.wrong(at, not_a_block(&kinds.names()));
        }
        if let Some(block) = &mut call.block
            // What nobody calls needs no further problems.
            && self.fault.is_none()
        {
            let name = &*call.name.text;
            let for_sessions = methods::session_block(name);
            let definition =
                Word::find(name).map(|word| word.block_gets).or_else(|| methods::load_block(name));
            let parameters = for_sessions.or(definition).unwrap_or_default();
            self.stoppers += usize::from(for_sessions.is_some());
            self.block(block, parameters);
            self.stoppers -= usize::from(for_sessions.is_some());
        }
        gives
    }

    fn block(&mut self, block: &mut Arc<Block>, parameters: &[Kinds]) {
        // Nobody else has it before it is evaluated.
        let Some(block) = Arc::get_mut(block) else { return };
        for (at, place) in block.parameters.iter().enumerate() {
            let kinds = match parameters {
                [] => Kinds::ANY,
                known => known.get(at).copied().unwrap_or(Kinds::of(Kind::Nil)),
            };
            self.add(place.number, kinds);
        }
        self.statements(&mut block.body);
    }

    /// A call without a receiver.
    fn bare(&mut self, call: &Call, arguments: &[(Kinds, Span)], span: Span) -> Kinds {
        let name = &*call.name.text;
        let known = Object::named(name).map_or(Word::find(name).is_some(), |it| !it.is_for_sessions());
        if known && self.stoppers > 0 {
            self.wrong(span, not_for_sessions(name));
            return Kinds::ANY;
        }
        if let Some(object) = Object::named(name) {
            if !arguments.is_empty() || call.block.is_some() {
                self.wrong(call.name_span, Complaint::new(format!("{name} takes no arguments")));
            }
            return Kinds::of(Kind::of_object(object));
        }
        let Some(word) = Word::find(name) else {
            let complaint = unknown_name(name, &self.source.quote(span));
            self.wrong(span, complaint);
            return Kinds::ANY;
        };
        if let Some(complaint) = word.complaint(arguments.len(), call.block.is_some()) {
            self.wrong(call.name_span, complaint);
        } else if let Some((kinds, at)) = arguments.first()
            && word.takes == Takes::Text
            && !kinds.is_empty()
            && !kinds.has(Kind::Text)
        {
            let text = self.source.quote(*at);
            self.wrong(
                *at,
                Complaint::new(format!("the argument of {name} should be a string but was {text}")),
            );
        } else if word.block == WithBlock::Always && call.block.is_none() {
            let shown = arguments.first().map(|(_, at)| self.source.quote(*at)).unwrap_or_default();
            self.wrong(span, no_block(name, &shown));
        }
        word.gives
    }

    /// A call of a method. `receiver` is only quoted.
    fn method(
        &mut self,
        on: Kinds,
        name: &Name,
        arguments: &[(Kinds, Span)],
        block: bool,
        at: Span,
        receiver: &Expr,
    ) -> Kinds {
        if on.is_empty() {
            return Kinds::NONE;
        }
        let rows: Vec<&'static Method> = match name.number {
            Some(number) => on.iter().filter_map(|kind| methods::find(number, kind)).collect(),
            None => Vec::new(),
        };
        let mut gives = rows.iter().fold(Kinds::NONE, |gives, row| gives.and(row.gives));
        let own: Vec<Kind> = on.iter().filter(|kind| has_own(*kind, &name.text)).collect();
        gives = own.iter().fold(gives, |gives, kind| gives.and(reads(*kind, &name.text)));
        if rows.is_empty() && own.is_empty() {
            let complaint = self.nobody_has(on, &name.text, arguments, receiver);
            self.wrong(at, complaint);
            return Kinds::ANY;
        }
        if !own.is_empty() {
            return gives;
        }
        if self.stoppers > 0 && rows.iter().all(|row| row.at_load) {
            self.wrong(at, not_for_sessions(&name.text));
            return gives;
        }
        if !rows.iter().any(|row| row.takes_count(arguments.len())) {
            self.wrong(at, rows[0].count_complaint(arguments.len()));
            return gives;
        }
        for (number, (kinds, place)) in arguments.iter().enumerate() {
            let fits = |row: &&Method| row.takes_count(arguments.len()) && row.takes_at(number).meets(*kinds);
            if !kinds.is_empty() && !rows.iter().any(&fits) {
                let complaint = self.does_not_fit(&rows, on, name, number, *kinds, arguments, receiver);
                self.wrong(if is_joining(&name.text) { at } else { *place }, complaint);
                return gives;
            }
        }
        if let Some(complaint) = rows[0].block_complaint(block)
            && rows.iter().all(|row| row.block_complaint(block).is_some())
        {
            self.wrong(at, complaint);
        }
        gives
    }

    fn nobody_has(&self, on: Kinds, name: &str, arguments: &[(Kinds, Span)], receiver: &Expr) -> Complaint {
        let kinds: Vec<Kind> = on.iter().collect();
        if let [only] = kinds[..] {
            let plain = name.strip_suffix('=').unwrap_or(name);
            match (only.settings(), only) {
                (Some(object), _) => return unknown(object, plain),
                (None, Kind::Milter) => return unknown_property(plain),
                (None, Kind::Condition) => return unknown_attribute(name),
                (None, Kind::Configuration) => return raw_configuration(name),
                (None, Kind::Loader) => {
                    let message = format!("`{name}` is not supported on self");
                    return Complaint::with_hint(message, "call it directly, without `self.`");
                }
                _ => {}
            }
        }
        let quoted = self.source.quote(receiver.span);
        if let (true, [(given, place)]) = (is_joining(name), arguments)
            // Two of one kind that cannot be joined have no such method.
            && *given != on
        {
            let argument = self.source.quote(*place);
            return cannot_join(name, on, *given, &quoted, &argument);
        }
        if on == Kinds::ANY {
            let all = methods::all().map(|method| method.name);
            let hint = nearest(name, all).map_or_else(
                || "docs/language.md has the list of what can be called".to_owned(),
                |near| format!("did you mean {near}?"),
            );
            return Complaint::with_hint(format!("`{name}` is not supported: {quoted}.{name}"), hint);
        }
        let known = kinds.iter().flat_map(|kind| methods::names_on(*kind));
        let hint = nearest(name, known).map_or_else(
            || "docs/language.md has the list of what can be called".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        Complaint::with_hint(format!("`{name}` is not supported on {}: {quoted}", on.names()), hint)
    }

    #[allow(clippy::too_many_arguments, reason = "all of it is in the message")]
    fn does_not_fit(
        &self,
        rows: &[&'static Method],
        on: Kinds,
        name: &Name,
        number: usize,
        kinds: Kinds,
        arguments: &[(Kinds, Span)],
        receiver: &Expr,
    ) -> Complaint {
        if let (true, [(_, place)]) = (is_joining(&name.text), arguments) {
            let (left, right) = (self.source.quote(receiver.span), self.source.quote(*place));
            return cannot_join(&name.text, on, kinds, &left, &right);
        }
        let takes = rows.iter().fold(Kinds::NONE, |takes, row| takes.and(row.takes_at(number)));
        Complaint::new(format!("{} needs {} but got {}", name.text, takes.names(), kinds.names()))
    }

    fn wrong(&mut self, span: Span, complaint: Complaint) {
        if self.reports && self.fault.is_none() {
            self.fault = Some(Box::new(self.source.problem(span, complaint)));
        }
    }
}

/// What can be given behind `&`.
const PASSED: Kinds = Kinds::of(Kind::Proc).or_nil();

/// That what stands behind `&` is no block.
pub(crate) fn not_a_block(what: &str) -> Complaint {
    Complaint::new(format!("a lambda or nil is needed behind `&` but it was {what}"))
}

fn raw_configuration(name: &str) -> Complaint {
    Complaint::with_hint(
        format!("configuration.{name} is not supported"),
        "use package, security, log, manager, controller or database",
    )
}

/// Whether both sides of an operator are in its message.
pub(crate) fn is_joining(name: &str) -> bool {
    matches!(name, "+" | "-" | "*" | "<<")
}

fn cannot_join(name: &str, on: Kinds, with: Kinds, left: &str, right: &str) -> Complaint {
    let message = format!("`{name}` cannot join {} and {}: {left} {name} {right}", on.names(), with.names());
    Complaint::with_hint(message, "both sides must be of one kind")
}

/// Whether a kind has the method besides the table: a setting, a property, an attribute.
fn has_own(kind: Kind, name: &str) -> bool {
    match kind {
        Kind::Milter => is_property(name),
        Kind::Condition => is_attribute(name) || methods::stage_of_stopper(name).is_some(),
        _ => kind.settings().is_some_and(|object| is_setting(object, name)),
    }
}
