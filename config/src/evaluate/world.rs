//! What an evaluation is for: a load, or a decision about a session.

use std::path::PathBuf;
use std::sync::Arc;

use millstream_core::policy::{Answers, ChildSettings, ChildState, Facts, Notes, Why};
use millstream_core::wire::Stage;

use crate::conditions::Condition;
use crate::configuration::Configuration;
use crate::load::Message;
use crate::milter::Milter;
use crate::problem::Problem;
use crate::value::Value;

/// What can be reached besides values.
pub(crate) enum World<'o> {
    Load(Box<Loading<'o>>),
    Session(Situation<'o>),
}

/// A load.
pub(crate) struct Loading<'o> {
    pub(crate) directories: &'o [PathBuf],
    pub(crate) configuration: Configuration,
    pub(crate) problems: Vec<Problem>,
    /// What the files have told with `Milter::Logger`.
    pub(crate) messages: Vec<Message>,
    /// The files that are being evaluated.
    pub(crate) files: Vec<Arc<str>>,
    /// The milters whose blocks are running, each with its number.
    pub(crate) milters: Vec<(u64, Milter)>,
    /// The conditions whose blocks are running.
    pub(crate) conditions: Vec<(u64, Condition)>,
    pub(crate) next_number: u64,
    /// `database.extra_options`, which is changed through `[]=`.
    pub(crate) extra_options: Value,
}

/// What a stopper may look at.
pub(crate) struct Situation<'o> {
    /// The child that it is asked about.
    pub(crate) child: u16,
    pub(crate) stage: Stage,
    pub(crate) facts: &'o Facts<'o>,
    /// For what has to be asked outside.
    #[allow(dead_code, reason = "for native conditions")]
    pub(crate) answers: &'o Answers,
    pub(crate) notes: &'o mut Notes,
    /// Macros set for the child at this stage: name without braces, value.
    pub(crate) macros: &'o mut Vec<(bytes::Bytes, bytes::Bytes)>,
    /// All children, in chain order.
    pub(crate) children: &'o [ChildSettings],
    /// The stopper that is running.
    pub(crate) from: &'o Why,
}

impl Situation<'_> {
    pub(crate) fn state(&self, child: u16) -> ChildState {
        self.facts.children.get(usize::from(child)).copied().unwrap_or(ChildState::Gone)
    }
}
