//! From Ruby's tree to rules: the closed table of constructs.
//!
//! A statement with something unsupported in it becomes [`Kind::Invalid`], and the others stand.
//!
//! ```text
//!   mod       statements and expressions
//!   calls     method calls, blocks, lambdas, assignments to methods
//!   literals  numbers, strings, regular expressions
//!   scopes    local variables, and where a jump may lead
//! ```

mod calls;
mod literals;
mod scopes;

use std::sync::Arc;

use lib_ruby_parser::{Loc, Node, nodes};

use self::scopes::Scopes;
pub(super) use self::scopes::Use;
use super::unsupported::describe;
use crate::problem::{Complaint, Problem};
use crate::rule::{Arm, Case, Expr, Jump, Kind, Operator, Place};
use crate::source::{Source, Span};
use crate::value::Object;

/// The deepest nesting of expressions and blocks. Real files have less than ten levels.
const MAX_DEPTH: usize = 100;

pub(super) struct Lowering<'s> {
    source: &'s Arc<Source>,
    depth: usize,
    scopes: Scopes,
}

/// A file's statements and variables.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) statements: Vec<Expr>,
    /// How many variables the file itself has.
    pub(crate) variables: usize,
    /// How many variables there are, those of blocks included.
    pub(crate) all_variables: usize,
}

type Lowered<T> = Result<T, Box<Problem>>;

impl<'s> Lowering<'s> {
    pub(super) fn new(source: &'s Arc<Source>) -> Self {
        Self { source, depth: 0, scopes: Scopes::default() }
    }

    /// The statements of a whole file.
    pub(super) fn file(mut self, root: Option<&Node>) -> File {
        self.scopes.enter(Use::File);
        let statements = self.statements(root);
        let variables = self.scopes.leave();
        File { statements, variables, all_variables: self.scopes.count() }
    }

    fn statements(&mut self, body: Option<&Node>) -> Vec<Expr> {
        match body {
            None => Vec::new(),
            Some(Node::Begin(group)) if group.begin_l.is_none() => {
                group.statements.iter().map(|node| self.statement(node)).collect()
            }
            Some(node) => vec![self.statement(node)],
        }
    }

    fn statement(&mut self, node: &Node) -> Expr {
        let depth = self.depth;
        self.expression(node).unwrap_or_else(|problem| {
            self.depth = depth;
            Expr { kind: Kind::Invalid(problem), span: span(node.expression()) }
        })
    }

    fn expression(&mut self, node: &Node) -> Lowered<Expr> {
        if self.depth >= MAX_DEPTH {
            let complaint = Complaint::with_hint(
                format!("nested too deep: more than {MAX_DEPTH} levels"),
                "keep the parts in variables",
            );
            return Err(self.problem(*node.expression(), complaint));
        }
        self.depth += 1;
        let kind = self.kind(node);
        self.depth -= 1;
        Ok(Expr { kind: kind?, span: span(node.expression()) })
    }

    fn kind(&mut self, node: &Node) -> Lowered<Kind> {
        Ok(match node {
            Node::Nil(_) => Kind::Nil,
            Node::True(_) => Kind::Bool(true),
            Node::False(_) => Kind::Bool(false),
            Node::Int(int) => Kind::Int(self.integer(&int.value, int.expression_l)?),
            Node::Float(float) => Kind::Float(self.float(&float.value, float.expression_l)?),
            Node::Str(text) => Kind::Text(self.utf8(&text.value.raw, text.expression_l)?),
            Node::Sym(symbol) => Kind::Symbol(self.utf8(&symbol.name.raw, symbol.expression_l)?),
            Node::Dstr(text) => Kind::Interpolated(self.all(&text.parts)?),
            Node::Heredoc(text) => Kind::Interpolated(self.all(&text.parts)?),
            Node::Regexp(regexp) => self.regexp(regexp)?,
            Node::Array(array) => Kind::Array(self.all(&array.elements)?),
            Node::Hash(hash) => Kind::Hash(self.pairs(&hash.pairs)?),
            Node::Kwargs(hash) => Kind::Hash(self.pairs(&hash.pairs)?),
            Node::Irange(range) => self.range(range.left.as_deref(), range.right.as_deref(), false)?,
            Node::Erange(range) => self.range(range.left.as_deref(), range.right.as_deref(), true)?,
            Node::Self_(_) => Kind::Constant(Object::Loader),
            Node::Const(constant) => Kind::Constant(self.constant(constant, node)?),
            Node::Lvar(variable) => Kind::Local(self.scopes.find(&variable.name)),
            Node::Lvasgn(nodes::Lvasgn { name, value: Some(value), .. }) => {
                // The name is there for its own value, too: `x = x`.
                let place = self.assigned(name, node)?;
                Kind::Assign { place, value: self.boxed(value)? }
            }
            Node::Lvasgn(variable) => Kind::Local(self.assigned(&variable.name, node)?),
            Node::Begin(group) => Kind::Sequence(self.statements_of(&group.statements)?),
            Node::KwBegin(group) => Kind::Sequence(self.statements_of(&group.statements)?),
            Node::If(branch) => {
                self.branch(&branch.cond, branch.if_true.as_deref(), branch.if_false.as_deref())?
            }
            Node::IfMod(branch) => {
                self.branch(&branch.cond, branch.if_true.as_deref(), branch.if_false.as_deref())?
            }
            Node::IfTernary(branch) => {
                self.branch(&branch.cond, Some(&branch.if_true), Some(&branch.if_false))?
            }
            Node::Case(case) => Kind::Case(Box::new(self.case(case)?)),
            Node::And(both) => Kind::And(self.boxed(&both.lhs)?, self.boxed(&both.rhs)?),
            Node::Or(either) => Kind::Or(self.boxed(&either.lhs)?, self.boxed(&either.rhs)?),
            Node::NthRef(group) => Kind::Group(group.name.parse().unwrap_or(usize::MAX)),
            Node::BackRef(whole) if whole.name.trim_start_matches('$') == "&" => Kind::Group(0),
            Node::Gvar(variable) if variable.name.trim_start_matches('$') == "~" => Kind::LastMatch,
            Node::Next(jump) => self.jump(Jump::Next, &jump.args, node)?,
            Node::Break(jump) => self.jump(Jump::Break, &jump.args, node)?,
            Node::Return(jump) => self.jump(Jump::Return, &jump.args, node)?,
            Node::Send(call) => self.send(call, node)?,
            Node::CSend(call) => self.safe_send(call)?,
            Node::MatchWithLvasgn(found) => self.match_into_variables(found, node)?,
            Node::Block(block) => self.block_call(block, node)?,
            Node::Index(index) => self.index(&index.recv, &index.indexes, index.expression_l, None)?,
            Node::IndexAsgn(nodes::IndexAsgn { recv, indexes, value: Some(value), expression_l, .. }) => {
                self.index(recv, indexes, *expression_l, Some(value))?
            }
            Node::OrAsgn(update) => self.update(&update.recv, Operator::Or, &update.value)?,
            Node::AndAsgn(update) => self.update(&update.recv, Operator::And, &update.value)?,
            Node::OpAsgn(update) => {
                let operator = Operator::Method(calls::name(&update.operator));
                self.update(&update.recv, operator, &update.value)?
            }
            _ => return Err(self.unsupported(node)),
        })
    }

    fn branch(&mut self, condition: &Node, yes: Option<&Node>, no: Option<&Node>) -> Lowered<Kind> {
        Ok(Kind::If {
            condition: self.boxed(condition)?,
            yes: yes.map(|node| self.boxed(node)).transpose()?,
            no: no.map(|node| self.boxed(node)).transpose()?,
        })
    }

    fn case(&mut self, case: &nodes::Case) -> Lowered<Case> {
        let subject = case.expr.as_deref().map(|node| self.expression(node)).transpose()?;
        let mut arms = Vec::new();
        for node in &case.when_bodies {
            let Node::When(arm) = node else { return Err(self.unsupported(node)) };
            arms.push(Arm {
                patterns: self.all(&arm.patterns)?,
                body: arm.body.as_deref().map(|node| self.expression(node)).transpose()?,
            });
        }
        let otherwise = case.else_body.as_deref().map(|node| self.expression(node)).transpose()?;
        Ok(Case { subject, arms, otherwise })
    }

    fn range(&mut self, from: Option<&Node>, to: Option<&Node>, exclusive: bool) -> Lowered<Kind> {
        let mut end = |node: Option<&Node>| match node {
            Some(node) => self.boxed(node),
            None => Ok(Box::new(Expr { kind: Kind::Nil, span: Span { start: 0, end: 0 } })),
        };
        Ok(Kind::Range { from: end(from)?, to: end(to)?, exclusive })
    }

    fn constant(&self, constant: &nodes::Const, node: &Node) -> Lowered<Object> {
        let name = match constant.scope.as_deref() {
            None => constant.name.clone(),
            Some(Node::Const(scope)) => match scope.scope.as_deref() {
                None => format!("{}::{}", scope.name, constant.name),
                Some(Node::Const(outer)) if outer.scope.is_none() => {
                    format!("{}::{}::{}", outer.name, scope.name, constant.name)
                }
                Some(_) => return Err(self.unsupported(node)),
            },
            Some(_) => return Err(self.unsupported(node)),
        };
        Object::constant(&name).ok_or_else(|| self.unsupported(node))
    }

    fn jump(&mut self, jump: Jump, values: &[Node], node: &Node) -> Lowered<Kind> {
        if let Err(complaint) = self.scopes.may_jump(jump) {
            return Err(self.problem(*node.expression(), complaint));
        }
        let value = match values {
            [] => None,
            [only] => Some(self.boxed(only)?),
            [_, second, ..] => return Err(self.unsupported(second)),
        };
        Ok(Kind::Jump { jump, value })
    }

    /// The place of a variable that is assigned, made where there is none.
    fn assigned(&mut self, name: &str, node: &Node) -> Lowered<Place> {
        self.scopes.assigned(name).map_err(|complaint| self.problem(*node.expression(), complaint))
    }

    fn statements_of(&mut self, nodes: &[Node]) -> Lowered<Vec<Expr>> {
        match nodes {
            [only] => Ok(vec![self.expression(only)?]),
            many => Ok(many.iter().map(|node| self.statement(node)).collect()),
        }
    }

    fn pairs(&mut self, pairs: &[Node]) -> Lowered<Vec<(Expr, Expr)>> {
        let pair = |node: &Node| match node {
            Node::Pair(pair) => Ok((self.expression(&pair.key)?, self.expression(&pair.value)?)),
            _ => Err(self.unsupported(node)),
        };
        pairs.iter().map(pair).collect()
    }

    fn all(&mut self, nodes: &[Node]) -> Lowered<Vec<Expr>> {
        nodes.iter().map(|node| self.expression(node)).collect()
    }

    fn boxed(&mut self, node: &Node) -> Lowered<Box<Expr>> {
        self.expression(node).map(Box::new)
    }

    fn unsupported(&self, node: &Node) -> Box<Problem> {
        let (what, hint) = describe(node);
        let text = self.source.quote(span(node.expression()));
        self.problem(
            *node.expression(),
            Complaint::with_hint(format!("{what} is not supported: {text}"), hint),
        )
    }

    fn problem(&self, place: Loc, complaint: Complaint) -> Box<Problem> {
        Box::new(self.source.problem(span(&place), complaint))
    }
}

fn span(place: &Loc) -> Span {
    Span { start: place.begin, end: place.end }
}
