//! What names a host, a domain, a sender: a string, a regular expression, or a block that is asked.

use std::sync::Arc;

use crate::code::{self, Written};
use crate::evaluate::Result;
use crate::inspect;
use crate::language::kinds::{Kind, Kinds};
use crate::language::procs::Callable;
use crate::language::regexp::{Options, Regexp};
use crate::language::text::Text;
use crate::value::Value;

/// What can be made one, besides a block.
pub(crate) const MATCHERS: Kinds = Kinds::TEXT.with(Kind::Regexp).with(Kind::Proc);

/// One of a list.
#[derive(Debug, Clone)]
pub(crate) enum Matcher {
    /// Exactly this.
    Text(Text),
    /// Where this is found.
    Regexp(Arc<Regexp>),
    /// Where this gives a true value.
    Block(Arc<Callable>),
}

/// Who runs a block for a matcher.
pub(crate) type Run<'r> = &'r mut dyn FnMut(&Callable, &[Value]) -> Result<Value>;

impl Matcher {
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(Self::Text(text.clone())),
            Value::Regexp(regexp) => Some(Self::Regexp(Arc::clone(regexp))),
            Value::Proc(callable) => Some(Self::Block(Arc::clone(callable))),
            _ => None,
        }
    }

    /// A regular expression that is known to be one.
    pub(crate) fn regexp(source: &str, ignore_case: bool) -> Option<Self> {
        let options = Options { ignore_case, ..Options::default() };
        Some(Self::Regexp(Arc::new(Regexp::new(source, options).ok()?)))
    }

    pub(crate) fn fits(&self, text: &Text, run: Run<'_>) -> Result<bool> {
        match self {
            Self::Text(own) => Ok(own == text),
            Self::Regexp(regexp) => Ok(regexp.is_match(text)),
            Self::Block(block) => Ok(run(block, &[Value::Text(text.clone())])?.is_truthy()),
        }
    }

    /// The expression that gives it.
    pub(crate) fn written(&self) -> Written {
        match self {
            Self::Text(text) => Ok(inspect::bytes(text)),
            Self::Regexp(regexp) => Ok(code::regexp(regexp)),
            Self::Block(callable) => code::lambda(callable),
        }
    }

    pub(crate) fn callable(&self) -> Option<&Callable> {
        if let Self::Block(callable) = self { Some(callable) } else { None }
    }
}

/// Whether one of them fits; the rest is not asked then.
pub(crate) fn any<'m>(
    matchers: impl IntoIterator<Item = &'m Matcher>,
    text: &Text,
    run: Run<'_>,
) -> Result<bool> {
    for matcher in matchers {
        if matcher.fits(text, run)? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Regexp(a), Self::Regexp(b)) => a.inspect() == b.inspect(),
            (Self::Block(a), Self::Block(b)) => code::lambda(a) == code::lambda(b),
            _ => false,
        }
    }
}
