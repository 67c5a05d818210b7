//! The rules of a configuration: our own typed tree of what its files say. The evaluator runs it, at load and for each
//! session; what explains or prints a rule reads it.
//!
//! ```text
//!   bytes ── syntax::parse (lib-ruby-parser) ──> Ruby's tree ── syntax::lower ──> rules ── check ──> rules
//!            problems of syntax                                 constructs        methods, kinds, names
//! ```
//!
//! A rule owns its text, knows the place of everything in it, and has its variables and methods resolved, so that a block
//! can outlive its load.

mod captured;

use std::sync::Arc;

pub(crate) use self::captured::captured;
use crate::language::regexp::{Options, Regexp};
use crate::language::text::Text;
use crate::problem::Problem;
use crate::source::{Source, Span};

/// An expression or statement.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// The closed list of constructs; [`crate::language::nodes`] has their names and examples.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Text),
    Symbol(Text),
    /// `"a#{b}"`, adjacent strings and here documents.
    Interpolated(Vec<Expr>),
    Array(Vec<Expr>),
    Hash(Vec<(Expr, Expr)>),
    /// `from..to`
    Range {
        from: Box<Expr>,
        to: Box<Expr>,
        exclusive: bool,
    },
    Regexp(Arc<Regexp>),
    /// A regular expression with interpolation.
    RegexpOf {
        parts: Vec<Expr>,
        options: Options,
    },
    /// `Time`, `Milter::Logger`
    Constant(crate::value::Object),
    Local(Place),
    Assign {
        place: Place,
        value: Box<Expr>,
    },
    Call(Box<Call>),
    /// `a += b`, `a ||= b`
    Update {
        target: Box<Expr>,
        operator: Operator,
        value: Box<Expr>,
    },
    If {
        condition: Box<Expr>,
        yes: Option<Box<Expr>>,
        no: Option<Box<Expr>>,
    },
    Case(Box<Case>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    /// `lambda { }`, `proc { }`
    Lambda {
        block: Arc<Block>,
        is_lambda: bool,
    },
    /// `$1`
    Group(usize),
    /// `$~`
    LastMatch,
    /// `next`, `break`, `return`
    Jump {
        jump: Jump,
        value: Option<Box<Expr>>,
    },
    Sequence(Vec<Expr>),
    /// A statement with something wrong in it.
    Invalid(Box<Problem>),
}

/// Where a local variable is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) name: Arc<str>,
    /// How many blocks further out.
    pub(crate) depth: u16,
    pub(crate) slot: u16,
    /// Its number within the file, for what is known of its kind.
    pub(crate) number: u32,
}

/// `case subject when patterns then body ... else otherwise end`
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) subject: Option<Expr>,
    pub(crate) arms: Vec<Arm>,
    pub(crate) otherwise: Option<Expr>,
}

/// `when patterns then body`
#[derive(Debug, Clone)]
pub(crate) struct Arm {
    pub(crate) patterns: Vec<Expr>,
    pub(crate) body: Option<Expr>,
}

/// How a block is left before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Jump {
    Next,
    Break,
    Return,
}

/// How `target OPERATOR= value` combines.
#[derive(Debug, Clone)]
pub(crate) enum Operator {
    /// `||=`: only when the target is nil or false.
    Or,
    /// `&&=`: only when it is neither.
    And,
    /// `+=` and the like: the method with this name.
    Method(Name),
}

/// A method call; `a[b]` is one, and an attribute assignment is a call of `name=`.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) receiver: Option<Expr>,
    /// `&.`: nil where the receiver is nil.
    pub(crate) safe: bool,
    pub(crate) name: Name,
    /// The place of the method's name.
    pub(crate) name_span: Span,
    pub(crate) arguments: Vec<Expr>,
    pub(crate) block: Option<Arc<Block>>,
    /// `&value`: a lambda as the block, or nil for none.
    pub(crate) pass: Option<Expr>,
}

/// A method's name, with its number in the table of methods when it is in there.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) text: Arc<str>,
    pub(crate) number: Option<u16>,
}

/// `do |a, b| ... end`
#[derive(Debug)]
pub(crate) struct Block {
    /// The file, for the places of problems at run time.
    pub(crate) source: Arc<Source>,
    /// With the call that it belongs to.
    pub(crate) span: Span,
    /// From its brace or `do` to its end; of `&:name` the symbol.
    pub(crate) braces: Span,
    /// The number of parameters; they are the first variables.
    pub(crate) parameters: Vec<Place>,
    /// How many variables it has, parameters included.
    pub(crate) variables: usize,
    pub(crate) body: Vec<Expr>,
}

impl Name {
    /// `name=`; `[]=` for `[]`.
    pub(crate) fn setter(&self) -> Self {
        let text = format!("{}=", self.text);
        let number = crate::language::methods::number(&text);
        Self { text: text.into(), number }
    }
}
