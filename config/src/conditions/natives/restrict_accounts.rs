//! `Restrict Accounts`: the milter sees a message only when every recipient is in a set, given as a list or by a block.
//!
//! A recipient outside of it is not shown, and noted for the message: the milter is stopped at DATA then.

use std::sync::Arc;

use bytes::Bytes;
use millstream_core::wire::Stage;

use super::Native;
use crate::code::{self, Written};
use crate::conditions::Condition;
use crate::conditions::matcher::{Matcher, any};
use crate::evaluate::{self, Situation};
use crate::inspect;
use crate::language::procs::Callable;
use crate::language::text::Text;
use crate::value::Value;

const DESCRIPTION: &str = "Restrict milters to specified accounts";

/// The macro that marks a message with another recipient, which stoppers can read.
const MARK: &[u8] = b"have-not-restricted-account";

/// Who is in the set.
#[derive(Debug)]
pub(crate) enum Accounts {
    /// Recipients without angle brackets.
    List(Vec<Matcher>),
    /// Asked with the context and the recipient with its brackets.
    Block(Arc<Callable>),
}

/// A condition of this name.
pub(crate) fn condition(name: &str, accounts: Accounts) -> Condition {
    Condition {
        description: Some(DESCRIPTION.to_owned()),
        native: Some(Arc::new(accounts)),
        ..Condition::new(name)
    }
}

impl Accounts {
    /// The call that makes the condition `name` of them, and applies it to no milter.
    pub(crate) fn written(&self, name: &str) -> Written {
        let options = format!("condition_name: {}, milters: []", inspect::string(name));
        match self {
            Self::List(accounts) => {
                let accounts: Result<Vec<_>, _> = accounts.iter().map(Matcher::written).collect();
                let arguments: Vec<_> = accounts?.into_iter().chain([options]).collect();
                Ok(format!("restrict_accounts_by_list({})\n", arguments.join(", ")))
            }
            Self::Block(block) => {
                code::call_with(block, "", &format!("restrict_accounts_generic({options})"), "")
            }
        }
    }

    fn include(&self, recipient: &[u8], situation: &mut Situation<'_>) -> evaluate::Result<bool> {
        match self {
            Self::List(accounts) => {
                let inner = recipient.strip_prefix(b"<").and_then(|inner| inner.strip_suffix(b">"));
                let bare = Text::from(inner.unwrap_or(recipient));
                any(accounts, &bare, &mut |block, arguments| situation.call(block, arguments))
            }
            Self::Block(block) => {
                let arguments = [Value::Context(situation.child), Value::bytes(recipient)];
                Ok(situation.call(block, &arguments)?.is_truthy())
            }
        }
    }
}

impl Native for Accounts {
    fn watches(&self, stage: Stage) -> bool {
        matches!(stage, Stage::Rcpt | Stage::Data)
    }

    fn stops(&self, situation: &mut Situation<'_>) -> evaluate::Result<bool> {
        if situation.stage == Stage::Data {
            return Ok(situation.macro_value(situation.child, MARK).is_some_and(|mark| &mark[..] == b"true"));
        }
        let recipient = situation.facts.recipient.unwrap_or_default();
        let outside = !self.include(recipient, situation)?;
        if outside {
            situation.set_macro(Bytes::from_static(MARK), Bytes::from_static(b"true"));
        }
        Ok(outside)
    }

    fn callable(&self) -> Option<&Callable> {
        if let Self::Block(block) = self { Some(block) } else { None }
    }

    fn accounts(&self) -> Option<&Accounts> {
        Some(self)
    }
}
