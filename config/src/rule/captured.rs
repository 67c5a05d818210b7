//! Which variables of what stands around it a block uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Block, Expr, Kind, Place};

/// A variable that belongs to something around the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Captured {
    pub(crate) name: Arc<str>,
    /// 0: of what the block stands in, 1: of what is around that.
    pub(crate) frames_out: u16,
    pub(crate) slot: u16,
}

/// The variables around `block` that it and the blocks in it use, each once.
pub(crate) fn captured(block: &Block) -> Vec<Captured> {
    let mut search = Search::default();
    search.block(block);
    let captured = |((frames_out, slot), name)| Captured { name, frames_out, slot };
    search.found.into_iter().map(captured).collect()
}

#[derive(Default)]
struct Search {
    /// How many blocks are open, the searched one included.
    depth: u16,
    found: BTreeMap<(u16, u16), Arc<str>>,
}

impl Search {
    fn block(&mut self, block: &Block) {
        self.depth += 1;
        self.all(&block.body);
        self.depth -= 1;
    }

    fn place(&mut self, place: &Place) {
        if let Some(frames_out) = place.depth.checked_sub(self.depth) {
            self.found.entry((frames_out, place.slot)).or_insert_with(|| Arc::clone(&place.name));
        }
    }

    fn all<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) {
        exprs.into_iter().for_each(|expr| self.expr(expr));
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            Kind::Nil
            | Kind::Bool(_)
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::Text(_)
            | Kind::Symbol(_)
            | Kind::Regexp(_)
            | Kind::Constant(_)
            | Kind::Group(_)
            | Kind::LastMatch
            | Kind::Invalid(_) => {}
            Kind::Local(place) => self.place(place),
            Kind::Assign { place, value } => {
                self.place(place);
                self.expr(value);
            }
            Kind::Interpolated(parts) | Kind::Array(parts) | Kind::Sequence(parts) => self.all(parts),
            Kind::RegexpOf { parts, .. } => self.all(parts),
            Kind::Hash(pairs) => self.all(pairs.iter().flat_map(|(key, value)| [key, value])),
            Kind::Range { from, to, .. } => self.all([&**from, &**to]),
            Kind::And(left, right) | Kind::Or(left, right) => self.all([&**left, &**right]),
            Kind::Not(value) => self.expr(value),
            Kind::Update { target, value, .. } => self.all([&**target, &**value]),
            Kind::If { condition, yes, no } => {
                self.expr(condition);
                self.all(yes.as_deref().into_iter().chain(no.as_deref()));
            }
            Kind::Case(case) => {
                self.all(&case.subject);
                for arm in &case.arms {
                    self.all(&arm.patterns);
                    self.all(&arm.body);
                }
                self.all(&case.otherwise);
            }
            Kind::Call(call) => {
                self.all(&call.receiver);
                self.all(&call.arguments);
                self.all(&call.pass);
                if let Some(block) = &call.block {
                    self.block(block);
                }
            }
            Kind::Lambda { block, .. } => self.block(block),
            Kind::Jump { value, .. } => self.all(value.as_deref()),
        }
    }
}
