//! What expressions of the configuration language evaluate to.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::inspect;

/// A value. Arrays and hashes are shared, as in Ruby: what `<<` appends is seen through every name.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    Symbol(Arc<str>),
    Array(Rc<RefCell<Vec<Value>>>),
    Hash(Rc<RefCell<Vec<(Value, Value)>>>),
    /// `manager`, `log` and so on.
    Object(Object),
    /// The milter that a `define_milter` block is given, by its number.
    Milter(u64),
}

/// The objects whose attributes are settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Object {
    Package,
    Security,
    Log,
    Manager,
    Controller,
    Database,
}

impl Object {
    pub(crate) const ALL: [Self; 6] =
        [Self::Package, Self::Security, Self::Log, Self::Manager, Self::Controller, Self::Database];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::Security => "security",
            Self::Log => "log",
            Self::Manager => "manager",
            Self::Controller => "controller",
            Self::Database => "database",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|object| object.name() == name)
    }
}

/// The longest text form of a value in a message, in bytes.
const SHOWN: usize = 200;

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn array(elements: Vec<Self>) -> Self {
        Self::Array(Rc::new(RefCell::new(elements)))
    }

    pub(crate) fn hash(pairs: Vec<(Self, Self)>) -> Self {
        Self::Hash(Rc::new(RefCell::new(pairs)))
    }

    /// Neither nil nor false.
    pub(crate) fn is_truthy(&self) -> bool {
        !matches!(self, Self::Nil | Self::Bool(false))
    }

    /// The kind, for messages: "a string".
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "true or false",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::Symbol(_) => "a symbol",
            Self::Array(_) => "an array",
            Self::Hash(_) => "a hash",
            Self::Object(object) => object.name(),
            Self::Milter(_) => "a milter",
        }
    }

    /// Ruby's `inspect`, cut when long.
    pub(crate) fn inspect(&self) -> String {
        let mut out = String::new();
        self.inspect_into(&mut out);
        if out.len() > SHOWN {
            let end = (0..=SHOWN).rev().find(|at| out.is_char_boundary(*at)).unwrap_or(0);
            out.truncate(end);
            out.push_str("...");
        }
        out
    }

    fn inspect_into(&self, out: &mut String) {
        if out.len() > SHOWN {
            return;
        }
        match self {
            Self::Nil => out.push_str("nil"),
            Self::Bool(value) => out.push_str(&value.to_string()),
            Self::Int(value) => out.push_str(&value.to_string()),
            Self::Float(value) => out.push_str(&inspect::float(*value)),
            Self::Text(text) => out.push_str(&inspect::string(text)),
            Self::Symbol(name) => out.push_str(&inspect::symbol(name)),
            Self::Object(object) => out.push_str(object.name()),
            Self::Milter(_) => out.push_str("milter"),
            Self::Array(elements) => {
                out.push('[');
                for (index, element) in elements.borrow().iter().enumerate() {
                    if out.len() > SHOWN {
                        break;
                    }
                    out.push_str(if index > 0 { ", " } else { "" });
                    element.inspect_into(out);
                }
                out.push(']');
            }
            Self::Hash(pairs) => {
                out.push('{');
                for (index, (key, value)) in pairs.borrow().iter().enumerate() {
                    if out.len() > SHOWN {
                        break;
                    }
                    out.push_str(if index > 0 { ", " } else { "" });
                    key.inspect_into(out);
                    out.push_str("=>");
                    value.inspect_into(out);
                }
                out.push('}');
            }
        }
    }

    /// What interpolation and `to_s` give; `None` for what has no sensible text.
    pub(crate) fn to_text(&self) -> Option<String> {
        match self {
            Self::Nil => Some(String::new()),
            Self::Text(text) | Self::Symbol(text) => Some(text.to_string()),
            Self::Bool(_) | Self::Int(_) | Self::Float(_) => Some(self.inspect()),
            _ => None,
        }
    }

    /// Whether two hash keys are the same.
    pub(crate) fn same_key(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) | (Self::Symbol(a), Self::Symbol(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            _ => false,
        }
    }
}
