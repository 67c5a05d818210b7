//! Method calls, blocks, lambdas, and what is assigned through a method.

use std::sync::Arc;

use lib_ruby_parser::{Loc, Node, nodes};

use super::{Lowered, Lowering, Use, span};
use crate::language::methods;
use crate::problem::Complaint;
use crate::rule::{Block, Call, Expr, Kind, Name, Operator, Place};
use crate::source::Span;
use crate::value::Object;

impl Lowering<'_> {
    pub(super) fn send(&mut self, call: &nodes::Send, node: &Node) -> Lowered<Kind> {
        if let (Some(receiver), "!", []) = (&call.recv, &*call.method_name, &call.args[..]) {
            return Ok(Kind::Not(self.boxed(receiver)?));
        }
        if let Some(Node::BlockPass(pass)) = call.args.last() {
            return self.passed_block(call, pass, node);
        }
        self.call(call).map(|call| Kind::Call(Box::new(call)))
    }

    fn call(&mut self, call: &nodes::Send) -> Lowered<Call> {
        Ok(Call {
            receiver: call.recv.as_deref().map(|node| self.expression(node)).transpose()?,
            safe: false,
            name: name(&call.method_name),
            name_span: span(&call.selector_l.unwrap_or(call.expression_l)),
            arguments: self.all(&call.args)?,
            block: None,
            pass: None,
        })
    }

    pub(super) fn safe_send(&mut self, call: &nodes::CSend) -> Lowered<Kind> {
        Ok(Kind::Call(Box::new(Call {
            receiver: Some(self.expression(&call.recv)?),
            safe: true,
            name: name(&call.method_name),
            name_span: span(&call.selector_l.unwrap_or(call.expression_l)),
            arguments: self.all(&call.args)?,
            block: None,
            pass: None,
        })))
    }

    /// `a[b]`, `a[b] = c`
    pub(super) fn index(
        &mut self,
        receiver: &Node,
        keys: &[Node],
        place: Loc,
        value: Option<&Node>,
    ) -> Lowered<Kind> {
        let receiver = Some(self.expression(receiver)?);
        let mut arguments = self.all(keys)?;
        let name_span = arguments.first().map_or(span(&place), |key| key.span);
        arguments.extend(value.map(|node| self.expression(node)).transpose()?);
        let name = name(if value.is_some() { "[]=" } else { "[]" });
        Ok(Kind::Call(Box::new(Call {
            receiver,
            safe: false,
            name,
            name_span,
            arguments,
            block: None,
            pass: None,
        })))
    }

    /// `/(?<name>...)/ =~ text` makes variables in Ruby.
    pub(super) fn match_into_variables(
        &mut self,
        found: &nodes::MatchWithLvasgn,
        node: &Node,
    ) -> Lowered<Kind> {
        let receiver = self.expression(&found.re)?;
        if let Kind::Regexp(regexp) = &receiver.kind
            && regexp.has_names()
        {
            let complaint = Complaint::with_hint(
                "variables made by a regular expression are not supported",
                "write the text first, `text =~ /(?<name>...)/`, and then `$~[:name]`",
            );
            return Err(self.problem(*node.expression(), complaint));
        }
        Ok(Kind::Call(Box::new(Call {
            receiver: Some(receiver),
            safe: false,
            name: name("=~"),
            name_span: span(&found.operator_l),
            arguments: vec![self.expression(&found.value)?],
            block: None,
            pass: None,
        })))
    }

    pub(super) fn block_call(&mut self, block: &nodes::Block, node: &Node) -> Lowered<Kind> {
        match &*block.call {
            Node::Lambda(_) => {
                Ok(Kind::Lambda { block: self.block(block, Use::Lambda, node)?, is_lambda: true })
            }
            Node::Send(call) => {
                let constant = matches!(call.recv.as_deref(), Some(Node::Const(constant))
                    if constant.scope.is_none() && constant.name == Object::ProcClass.name());
                match (call.recv.is_some(), &*call.method_name, &call.args[..]) {
                    (false, "lambda", []) => {
                        Ok(Kind::Lambda { block: self.block(block, Use::Lambda, node)?, is_lambda: true })
                    }
                    (false, "proc", []) => {
                        Ok(Kind::Lambda { block: self.block(block, Use::Proc, node)?, is_lambda: false })
                    }
                    (true, "new", []) if constant => {
                        Ok(Kind::Lambda { block: self.block(block, Use::Proc, node)?, is_lambda: false })
                    }
                    _ => {
                        // The call first: when nobody knows the method, that is what has to be said.
                        let mut lowered = self.call(call)?;
                        lowered.block = Some(self.block(block, use_of(&call.method_name), node)?);
                        Ok(Kind::Call(Box::new(lowered)))
                    }
                }
            }
            Node::CSend(call) => {
                let lowered = self.safe_send(call)?;
                let Kind::Call(mut lowered) = lowered else { return Err(self.unsupported(node)) };
                lowered.block = Some(self.block(block, Use::Iteration, node)?);
                Ok(Kind::Call(lowered))
            }
            _ => Err(self.unsupported(node)),
        }
    }

    fn block(&mut self, block: &nodes::Block, use_of: Use, node: &Node) -> Lowered<Arc<Block>> {
        self.scopes.enter(use_of);
        let parameters = match block.args.as_deref() {
            None => Ok(Vec::new()),
            Some(Node::Args(list)) => self.parameters(&list.args),
            Some(other) => Err(self.unsupported(other)),
        };
        let body = self.statements(block.body.as_deref());
        let variables = self.scopes.leave();
        Ok(Arc::new(Block {
            source: Arc::clone(self.source),
            span: span(node.expression()),
            braces: Span { start: block.begin_l.begin, end: block.end_l.end },
            parameters: parameters?,
            variables,
            body,
        }))
    }

    fn parameters(&mut self, list: &[Node]) -> Lowered<Vec<Place>> {
        let mut places = Vec::new();
        for node in list {
            match node {
                Node::Arg(argument) => places.push(self.scopes.parameter(&argument.name)),
                Node::Procarg0(only) => match &only.args[..] {
                    [Node::Arg(argument)] => places.push(self.scopes.parameter(&argument.name)),
                    _ => return Err(self.unsupported(node)),
                },
                _ => return Err(self.unsupported(node)),
            }
        }
        Ok(places)
    }

    /// `each(&:name)` is `each {|x| x.name }`; `each(&block)` takes a lambda, but where it would run for sessions.
    fn passed_block(&mut self, call: &nodes::Send, pass: &nodes::BlockPass, node: &Node) -> Lowered<Kind> {
        let given = nodes::Send { args: call.args[..call.args.len() - 1].to_vec(), ..call.clone() };
        let symbol = match pass.value.as_deref() {
            Some(Node::Sym(symbol)) => symbol,
            Some(value) if call.recv.is_some() && methods::session_block(&call.method_name).is_none() => {
                let mut lowered = self.call(&given)?;
                lowered.pass = Some(self.expression(value)?);
                return Ok(Kind::Call(Box::new(lowered)));
            }
            _ => return Err(self.unsupported(node)),
        };
        let symbol_span = span(&symbol.expression_l);
        let method = self.utf8(&symbol.name.raw, symbol.expression_l)?;
        let mut lowered = self.call(&given)?;
        self.scopes.enter(Use::Iteration);
        let place = self.scopes.parameter("element");
        let element = Expr { kind: Kind::Local(place.clone()), span: symbol_span };
        let body = Call {
            receiver: Some(element),
            safe: false,
            name: name(method.as_str()),
            name_span: symbol_span,
            arguments: Vec::new(),
            block: None,
            pass: None,
        };
        let variables = self.scopes.leave();
        lowered.block = Some(Arc::new(Block {
            source: Arc::clone(self.source),
            span: symbol_span,
            braces: symbol_span,
            parameters: vec![place],
            variables,
            body: vec![Expr { kind: Kind::Call(Box::new(body)), span: symbol_span }],
        }));
        Ok(Kind::Call(Box::new(lowered)))
    }

    pub(super) fn update(&mut self, target: &Node, operator: Operator, value: &Node) -> Lowered<Kind> {
        let target = match target {
            Node::IndexAsgn(nodes::IndexAsgn { recv, indexes, value: None, expression_l, .. })
                if indexes.len() == 1 =>
            {
                let kind = self.index(recv, indexes, *expression_l, None)?;
                Box::new(Expr { kind, span: span(expression_l) })
            }
            Node::Index(index) if index.indexes.len() == 1 => self.boxed(target)?,
            Node::Lvasgn(_) => self.boxed(target)?,
            Node::Send(call) if call.recv.is_some() && call.args.is_empty() => self.boxed(target)?,
            _ => return Err(self.unsupported(target)),
        };
        Ok(Kind::Update { target, operator, value: self.boxed(value)? })
    }
}

/// What the block of a method is for.
fn use_of(method: &str) -> Use {
    match method {
        "define_milter" | "define_applicable_condition" | "define_policy" => Use::Definition,
        _ if methods::session_block(method).is_some() => Use::Stopper,
        _ => Use::Iteration,
    }
}

/// A method's name with its number.
pub(super) fn name(text: &str) -> Name {
    Name { text: text.into(), number: methods::number(text) }
}
