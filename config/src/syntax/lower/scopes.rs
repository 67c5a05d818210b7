//! Local variables: each is known by its block and its place in it, before anything is evaluated.

use std::sync::Arc;

use crate::problem::Complaint;
use crate::rule::{Jump, Place};

/// What a block is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::syntax) enum Use {
    File,
    /// `each` and the like: runs within its call.
    Iteration,
    /// `define_milter` and the like.
    Definition,
    Lambda,
    Proc,
    /// Runs for each session.
    Stopper,
}

/// The blocks around a place, the innermost last.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    open: Vec<Scope>,
    count: u32,
}

#[derive(Debug)]
struct Scope {
    use_of: Use,
    variables: Vec<(Arc<str>, u32)>,
}

impl Scopes {
    pub(super) fn enter(&mut self, use_of: Use) {
        self.open.push(Scope { use_of, variables: Vec::new() });
    }

    /// How many variables the innermost block has, which ends.
    pub(super) fn leave(&mut self) -> usize {
        self.open.pop().map_or(0, |scope| scope.variables.len())
    }

    /// How many variables there are.
    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// A variable of the innermost block, new whatever is outside.
    pub(super) fn parameter(&mut self, name: &str) -> Place {
        let number = self.count;
        self.count += 1;
        let slot = self.open.last_mut().map_or(0, |scope| {
            scope.variables.push((name.into(), number));
            scope.variables.len() - 1
        });
        Place { name: name.into(), depth: 0, slot: u16::try_from(slot).unwrap_or(u16::MAX), number }
    }

    /// A variable that is read. The parser has seen it assigned.
    pub(super) fn find(&mut self, name: &str) -> Place {
        self.known(name).unwrap_or_else(|| self.parameter(name))
    }

    /// A variable that is assigned.
    pub(super) fn assigned(&mut self, name: &str) -> Result<Place, Complaint> {
        let Some(place) = self.known(name) else {
            if self.open.last().is_some_and(|scope| scope.variables.len() >= usize::from(u16::MAX)) {
                return Err(Complaint::with_hint("too many variables", "use a hash"));
            }
            return Ok(self.parameter(name));
        };
        let crossed = self.open.iter().rev().take(usize::from(place.depth));
        if crossed.into_iter().any(|scope| scope.use_of == Use::Stopper) {
            return Err(Complaint::with_hint(
                format!("a stopper cannot change a variable from outside of it: {name}"),
                "sessions do not share variables; `context.mail_transaction_shelf[\"key\"] = value` keeps a value for the \
                 message",
            ));
        }
        Ok(place)
    }

    fn known(&self, name: &str) -> Option<Place> {
        self.open.iter().rev().enumerate().find_map(|(depth, scope)| {
            let slot = scope.variables.iter().position(|(known, _)| **known == *name)?;
            Some(Place {
                name: name.into(),
                depth: u16::try_from(depth).unwrap_or(u16::MAX),
                slot: u16::try_from(slot).unwrap_or(u16::MAX),
                number: scope.variables[slot].1,
            })
        })
    }

    /// Whether a jump leads anywhere from here.
    pub(super) fn may_jump(&self, jump: Jump) -> Result<(), Complaint> {
        let innermost = self.open.last().map_or(Use::File, |scope| scope.use_of);
        let in_lambda = || {
            let mut around = self.open.iter().rev().map(|scope| scope.use_of);
            around.find(|use_of| *use_of != Use::Iteration) == Some(Use::Lambda)
        };
        let complaint = match (jump, innermost) {
            (Jump::Next, Use::File) => Complaint::with_hint("`next` outside of a block", "use `if`"),
            (Jump::Next, _) | (Jump::Break, Use::Iteration | Use::Lambda) => return Ok(()),
            (Jump::Break, _) => Complaint::with_hint(
                "`break` leads nowhere from here",
                "use `next`: it ends this block with a value",
            ),
            (Jump::Return, _) if in_lambda() => return Ok(()),
            (Jump::Return, _) => Complaint::with_hint(
                "`return` leads nowhere from here",
                "use `next`, which ends a block with a value; `return` ends a lambda",
            ),
        };
        Err(complaint)
    }
}
