//! Blocks and lambdas with the variables that they can see.

use std::sync::Arc;

use super::shared::Shared;
use crate::rule::Block;
use crate::value::Value;

/// The variables of a file or of one run of a block.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) variables: Shared<Vec<Variable>>,
    /// Those of the block around it.
    pub(crate) outer: Option<Arc<Frame>>,
}

/// A local variable.
#[derive(Debug, Clone, Default)]
pub(crate) enum Variable {
    /// Not assigned yet.
    #[default]
    Unset,
    Set(Value),
    /// Its assignment failed, which has been reported.
    Failed,
}

impl Frame {
    pub(crate) fn new(size: usize, outer: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { variables: Shared::new(vec![Variable::Unset; size]), outer })
    }

    /// The frame `depth` blocks further out.
    pub(crate) fn at(self: &Arc<Self>, depth: u16) -> Option<&Arc<Self>> {
        let mut frame = self;
        for _ in 0..depth {
            frame = frame.outer.as_ref()?;
        }
        Some(frame)
    }
}

/// A block as a value.
#[derive(Debug)]
pub(crate) struct Callable {
    pub(crate) block: Arc<Block>,
    /// Where it was made.
    pub(crate) frame: Arc<Frame>,
    /// It insists on the number of its arguments, and `return` ends it.
    pub(crate) is_lambda: bool,
}

/// Makes everything that can be reached from `callable` unchangeable.
pub(crate) fn freeze(callable: &Callable) {
    let mut pending = vec![Value::Nil];
    freeze_frames(Some(&callable.frame), &mut pending);
    while let Some(value) = pending.pop() {
        match value {
            Value::Array(elements) if elements.freeze() => pending.extend(elements.read().iter().cloned()),
            Value::Hash(pairs) if pairs.freeze() => {
                pending.extend(pairs.read().iter().flat_map(|(key, value)| [key.clone(), value.clone()]));
            }
            Value::Table(table) => {
                table.rules.freeze();
                table.parsed.freeze();
            }
            Value::Proc(callable) => freeze_frames(Some(&callable.frame), &mut pending),
            _ => {}
        }
    }
}

fn freeze_frames(mut frame: Option<&Arc<Frame>>, pending: &mut Vec<Value>) {
    while let Some(this) = frame {
        if !this.variables.freeze() {
            // Those around it are as well.
            return;
        }
        pending.extend(this.variables.read().iter().filter_map(|variable| match variable {
            Variable::Set(value) => Some(value.clone()),
            _ => None,
        }));
        frame = this.outer.as_ref();
    }
}

/// Frames that lambdas hold, which may hold these lambdas: the circles are broken at the end.
#[derive(Debug, Default)]
pub(crate) struct Heap {
    frames: Vec<Arc<Frame>>,
}

impl Heap {
    /// Holds a frame and those around it, but for frozen ones, which another heap holds.
    pub(crate) fn hold(&mut self, frame: &Arc<Frame>) {
        let mut next = Some(frame);
        while let Some(frame) = next.filter(|frame| !frame.variables.is_frozen()) {
            if self.frames.last().is_some_and(|last| Arc::ptr_eq(last, frame)) {
                return;
            }
            self.frames.push(Arc::clone(frame));
            next = frame.outer.as_ref();
        }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        for frame in &self.frames {
            frame.variables.replace(Vec::new());
        }
    }
}

/// The frames of a configuration, as long as it or a policy made of it is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeldFrames(#[allow(dead_code, reason = "kept to be dropped last")] Arc<Heap>);

impl HeldFrames {
    pub(crate) fn of(heap: Heap) -> Self {
        Self(Arc::new(heap))
    }
}

impl PartialEq for HeldFrames {
    /// What is in them is compared as part of the stoppers.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
