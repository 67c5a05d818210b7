//! Our own small tree of a configuration file, and how it is made.
//!
//! ```text
//!   bytes ── parse (lib-ruby-parser) ──> Ruby's tree ── lower ──> Expr
//!            problems of syntax                         problems of what is not supported
//! ```
//!
//! The tree owns its text and knows the place of everything in it, so that a block can outlive its load.

mod lower;
mod parse;
mod unsupported;

use std::sync::Arc;

use crate::problem::Problem;
use crate::source::Span;

pub(crate) use parse::{MAX_FILE, parse};

/// An expression or statement.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// The closed list of constructs.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    Symbol(Arc<str>),
    /// `"a#{b}"`, adjacent strings and here documents.
    Interpolated(Vec<Expr>),
    Array(Vec<Expr>),
    Hash(Vec<(Expr, Expr)>),
    Local(Arc<str>),
    Assign {
        name: Arc<str>,
        value: Box<Expr>,
    },
    Call(Box<Call>),
    /// `a[b]`
    Index {
        receiver: Box<Expr>,
        key: Box<Expr>,
    },
    /// `a[b] = c`
    IndexAssign {
        receiver: Box<Expr>,
        key: Box<Expr>,
        value: Box<Expr>,
    },
    /// `a += b`, `a ||= b`
    Update {
        target: Box<Expr>,
        operator: Operator,
        value: Box<Expr>,
    },
    Sequence(Vec<Expr>),
    /// A statement that is not supported: a problem when it is reached.
    Invalid(Box<Problem>),
}

/// How `target OPERATOR= value` combines.
#[derive(Debug, Clone)]
pub(crate) enum Operator {
    /// `||=`: only when the target is nil or false.
    Or,
    /// `+=` and the like: the method with this name.
    Method(Arc<str>),
}

/// A method call; an attribute assignment is a call of `name=`.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) receiver: Option<Expr>,
    pub(crate) method: Arc<str>,
    /// The place of the method's name.
    pub(crate) name_span: Span,
    pub(crate) arguments: Vec<Expr>,
    pub(crate) block: Option<Arc<Block>>,
}

/// `do |a, b| ... end`
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) parameters: Vec<Arc<str>>,
    pub(crate) body: Vec<Expr>,
}
