//! From Ruby's tree to ours: the closed table of constructs.
//!
//! A statement with something unsupported in it becomes [`Kind::Invalid`], and the others stand.

use std::sync::Arc;

use lib_ruby_parser::{Loc, Node, nodes};

use super::unsupported::describe;
use super::{Block, Call, Expr, Kind, Operator};
use crate::problem::{Complaint, Problem};
use crate::source::{Source, Span};

/// The deepest nesting of expressions and blocks. Real files have less than ten levels.
const MAX_DEPTH: usize = 100;

pub(super) struct Lowering<'s> {
    source: &'s Source,
    depth: usize,
}

type Lowered = Result<Expr, Box<Problem>>;

impl<'s> Lowering<'s> {
    pub(super) fn new(source: &'s Source) -> Self {
        Self { source, depth: 0 }
    }

    /// The statements of a whole file.
    pub(super) fn file(mut self, root: Option<&Node>) -> Vec<Expr> {
        self.statements(root)
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
        self.expression(node)
            .unwrap_or_else(|problem| Expr { kind: Kind::Invalid(problem), span: span(node.expression()) })
    }

    fn expression(&mut self, node: &Node) -> Lowered {
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

    fn kind(&mut self, node: &Node) -> Result<Kind, Box<Problem>> {
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
            Node::Array(array) => Kind::Array(self.all(&array.elements)?),
            Node::Hash(hash) => Kind::Hash(self.pairs(&hash.pairs)?),
            Node::Kwargs(hash) => Kind::Hash(self.pairs(&hash.pairs)?),
            Node::Lvar(variable) => Kind::Local(variable.name.as_str().into()),
            Node::Lvasgn(nodes::Lvasgn { name, value: Some(value), .. }) => {
                Kind::Assign { name: name.as_str().into(), value: self.boxed(value)? }
            }
            Node::Lvasgn(variable) => Kind::Local(variable.name.as_str().into()),
            Node::Begin(group) => Kind::Sequence(self.statements_of(&group.statements)?),
            Node::Send(call) => Kind::Call(Box::new(self.call(call)?)),
            Node::Block(block) => self.block_call(block, node)?,
            Node::Index(index) => {
                let [key] = &index.indexes[..] else { return Err(self.unsupported(node)) };
                Kind::Index { receiver: self.boxed(&index.recv)?, key: self.boxed(key)? }
            }
            Node::IndexAsgn(nodes::IndexAsgn { recv, indexes, value: Some(value), .. }) => {
                let [key] = &indexes[..] else { return Err(self.unsupported(node)) };
                Kind::IndexAssign {
                    receiver: self.boxed(recv)?,
                    key: self.boxed(key)?,
                    value: self.boxed(value)?,
                }
            }
            Node::OrAsgn(update) => self.update(&update.recv, Operator::Or, &update.value)?,
            Node::OpAsgn(update) => {
                self.update(&update.recv, Operator::Method(update.operator.as_str().into()), &update.value)?
            }
            _ => return Err(self.unsupported(node)),
        })
    }

    fn call(&mut self, call: &nodes::Send) -> Result<Call, Box<Problem>> {
        Ok(Call {
            receiver: call.recv.as_deref().map(|node| self.expression(node)).transpose()?,
            method: call.method_name.as_str().into(),
            name_span: span(&call.selector_l.unwrap_or(call.expression_l)),
            arguments: self.all(&call.args)?,
            block: None,
        })
    }

    fn block_call(&mut self, block: &nodes::Block, node: &Node) -> Result<Kind, Box<Problem>> {
        let Node::Send(call) = &*block.call else { return Err(self.unsupported(node)) };
        // The call first: when nobody knows the method, that is what has to be said.
        let mut call = self.call(call)?;
        let parameters = match block.args.as_deref() {
            None => Vec::new(),
            Some(Node::Args(list)) => self.parameters(&list.args)?,
            Some(other) => return Err(self.unsupported(other)),
        };
        call.block = Some(Arc::new(Block { parameters, body: self.statements(block.body.as_deref()) }));
        Ok(Kind::Call(Box::new(call)))
    }

    fn parameters(&mut self, list: &[Node]) -> Result<Vec<Arc<str>>, Box<Problem>> {
        let mut names = Vec::new();
        for node in list {
            match node {
                Node::Arg(argument) => names.push(argument.name.as_str().into()),
                Node::Procarg0(only) => match &only.args[..] {
                    [Node::Arg(argument)] => names.push(argument.name.as_str().into()),
                    _ => return Err(self.unsupported(node)),
                },
                _ => return Err(self.unsupported(node)),
            }
        }
        Ok(names)
    }

    fn update(&mut self, target: &Node, operator: Operator, value: &Node) -> Result<Kind, Box<Problem>> {
        let target = match target {
            Node::IndexAsgn(nodes::IndexAsgn { recv, indexes, value: None, expression_l, .. }) => {
                let [key] = &indexes[..] else { return Err(self.unsupported(target)) };
                let kind = Kind::Index { receiver: self.boxed(recv)?, key: self.boxed(key)? };
                Box::new(Expr { kind, span: span(expression_l) })
            }
            Node::Lvasgn(_) | Node::Index(_) => self.boxed(target)?,
            Node::Send(call) if call.recv.is_some() && call.args.is_empty() => self.boxed(target)?,
            _ => return Err(self.unsupported(target)),
        };
        Ok(Kind::Update { target, operator, value: self.boxed(value)? })
    }

    fn statements_of(&mut self, nodes: &[Node]) -> Result<Vec<Expr>, Box<Problem>> {
        match nodes {
            [only] => Ok(vec![self.expression(only)?]),
            many => Ok(many.iter().map(|node| self.statement(node)).collect()),
        }
    }

    fn pairs(&mut self, pairs: &[Node]) -> Result<Vec<(Expr, Expr)>, Box<Problem>> {
        let pair = |node: &Node| match node {
            Node::Pair(pair) => Ok((self.expression(&pair.key)?, self.expression(&pair.value)?)),
            _ => Err(self.unsupported(node)),
        };
        pairs.iter().map(pair).collect()
    }

    fn all(&mut self, nodes: &[Node]) -> Result<Vec<Expr>, Box<Problem>> {
        nodes.iter().map(|node| self.expression(node)).collect()
    }

    fn boxed(&mut self, node: &Node) -> Result<Box<Expr>, Box<Problem>> {
        self.expression(node).map(Box::new)
    }

    /// `0600`, `0o600`, `0x1f`, `0b11`, `0d9`, `1_000`, each with a sign.
    fn integer(&self, written: &str, place: Loc) -> Result<i64, Box<Problem>> {
        let clean: String = written.chars().filter(|c| *c != '_').collect::<String>().to_ascii_lowercase();
        let (sign, digits) = match clean.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", clean.strip_prefix('+').unwrap_or(&clean)),
        };
        let (radix, digits) = match digits.as_bytes() {
            [b'0', b'x', ..] => (16, &digits[2..]),
            [b'0', b'b', ..] => (2, &digits[2..]),
            [b'0', b'o', ..] => (8, &digits[2..]),
            [b'0', b'd', ..] => (10, &digits[2..]),
            [b'0', _, ..] => (8, &digits[1..]),
            _ => (10, digits),
        };
        i64::from_str_radix(&format!("{sign}{digits}"), radix).map_err(|_| {
            let shown = self.source.quote(span(&place));
            self.problem(place, Complaint::new(format!("the number is too large: {shown}")))
        })
    }

    fn float(&self, written: &str, place: Loc) -> Result<f64, Box<Problem>> {
        let clean: String = written.chars().filter(|c| *c != '_').collect();
        clean.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(|| {
            let shown = self.source.quote(span(&place));
            self.problem(place, Complaint::new(format!("the number is too large: {shown}")))
        })
    }

    fn utf8(&self, raw: &[u8], place: Loc) -> Result<Arc<str>, Box<Problem>> {
        std::str::from_utf8(raw).map(Arc::from).map_err(|_| {
            let complaint = Complaint::with_hint(
                "the text is not valid UTF-8",
                "convert the file to UTF-8, or correct the escape",
            );
            self.problem(place, complaint)
        })
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
