//! The conditions that are programs of our own, by their names.
//!
//! Each row of [`NATIVES`] is a condition that is there without being defined. A load makes one with its knobs as they are by
//! default; what a file calls to turn them changes the one of that load. A file may also define a condition of the same
//! name: its stoppers are then asked behind the native part.

use std::fmt;
use std::sync::Arc;

use millstream_core::wire::Stage;

use super::Condition;
use crate::evaluate::{Situation, Stop};

/// A condition of our own, with its knobs as a configuration has set them.
pub(crate) trait Native: fmt::Debug + Send + Sync {
    /// Whether it has anything to say at `stage`.
    fn watches(&self, stage: Stage) -> bool;

    /// Whether the child is stopped at this stage. [`Stop::Need`] and [`Stop::Await`] ask for what is missing, and the same is
    /// asked again once it is there.
    fn stops(&self, situation: &mut Situation<'_>) -> Result<bool, Stop>;
}

/// A name, its description, and how it is made.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) make: fn() -> Arc<dyn Native>,
}

/// All of them.
pub(crate) const NATIVES: &[Row] = &[];

/// The conditions that a load begins with.
pub(crate) fn built_in() -> Vec<Condition> {
    let condition = |row: &Row| Condition {
        description: Some(row.description.to_owned()),
        native: Some((row.make)()),
        ..Condition::new(row.name)
    };
    NATIVES.iter().map(condition).collect()
}
