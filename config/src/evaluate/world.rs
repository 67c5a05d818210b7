//! What an evaluation is for: a load, or a decision about a session.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use millstream_core::policy::{Answers, ChildSettings, ChildState, Facts, Notes, Why};
use millstream_core::wire::{Stage, bare};
use millstream_detection::Root;

use super::{Evaluator, Result};
use crate::conditions::{Condition, Knobs, natives};
use crate::configuration::Configuration;
use crate::detection::Detected;
use crate::language::address::Address;
use crate::language::procs::Callable;
use crate::language::text::Text;
use crate::load::Message;
use crate::milter::Milter;
use crate::problem::Problem;
use crate::source::Span;
use crate::value::Value;

/// What can be reached besides values.
pub(crate) enum World<'o> {
    Load(Box<Loading<'o>>),
    Session(Situation<'o>),
}

/// A load.
pub(crate) struct Loading<'o> {
    pub(crate) directories: &'o [PathBuf],
    /// Where detectors look.
    pub(crate) root: Root,
    /// What they have said.
    pub(crate) detected: Vec<Detected>,
    pub(crate) configuration: Configuration,
    pub(crate) problems: Vec<Problem>,
    /// What the files have told with `Milter::Logger`.
    pub(crate) messages: Vec<Message>,
    /// The files that are being evaluated.
    pub(crate) files: Vec<Arc<str>>,
    /// The files that were read.
    pub(crate) read: Vec<PathBuf>,
    /// The milters whose blocks are running, each with its number.
    pub(crate) milters: Vec<(u64, Milter)>,
    /// The conditions whose blocks are running.
    pub(crate) conditions: Vec<(u64, Condition)>,
    pub(crate) next_number: u64,
    /// `database.extra_options`, which is changed through `[]=`.
    pub(crate) extra_options: Value,
}

impl Loading<'_> {
    /// Makes a built-in condition one of the configuration's, unless a condition of that name is there.
    pub(crate) fn bring_in(&mut self, name: &str) {
        let conditions = &mut self.configuration.conditions;
        if !conditions.iter().any(|condition| condition.name == name) {
            conditions.extend(natives::make(name));
        }
    }
}

/// What a stopper may look at.
pub(crate) struct Situation<'o> {
    /// The child that it is asked about.
    pub(crate) child: u16,
    pub(crate) stage: Stage,
    pub(crate) facts: &'o Facts<'o>,
    /// For what has to be asked outside.
    pub(crate) answers: &'o Answers,
    pub(crate) notes: &'o mut Notes,
    /// Macros set for the child at this stage: name without braces, value.
    pub(crate) macros: &'o mut Vec<(bytes::Bytes, bytes::Bytes)>,
    /// All children, in chain order.
    pub(crate) children: &'o [ChildSettings],
    /// The stopper that is running.
    pub(crate) from: &'o Why,
    /// What the files have set on the objects of built-in conditions.
    pub(crate) knobs: &'o Arc<Knobs>,
}

impl Situation<'_> {
    pub(crate) fn state(&self, child: u16) -> ChildState {
        self.facts.children.get(usize::from(child)).copied().unwrap_or(ChildState::Gone)
    }

    /// Runs a block of the files.
    pub(crate) fn call(&mut self, callable: &Callable, arguments: &[Value]) -> Result<Value> {
        let again = Situation { notes: &mut *self.notes, macros: &mut *self.macros, ..*self };
        Evaluator::for_session(again).run(callable, arguments, Span { start: 0, end: 0 })
    }

    /// The name of the SMTP client.
    pub(crate) fn host(&self) -> Text {
        self.facts.client.map_or_else(Text::default, |client| Text::of(client.host.clone()))
    }

    /// Where the SMTP client is.
    pub(crate) fn address(&self) -> Address {
        self.facts.client.map_or(Address::Unknown, |client| Address::of(&client.address))
    }

    /// A macro as `child` would see it.
    pub(crate) fn macro_value(&self, child: u16, name: &[u8]) -> Option<Text> {
        let name = bare(name);
        let own = self.macros.iter().find(|(known, _)| child == self.child && known == name);
        let noted = || self.facts.memory.find(&macro_key(child, name));
        if let Some(value) = own.map(|(_, value)| value).or_else(noted) {
            return Some(Text::of(value.clone()));
        }
        self.facts.macros.value(name).map(Text::from)
    }

    /// Sets a macro, by its name without braces, for the child that is decided on.
    pub(crate) fn set_macro(&mut self, name: Bytes, value: Bytes) {
        self.macros.retain(|(known, _)| *known != name);
        self.notes.memory.push((macro_key(self.child, &name), Some(value.clone())));
        self.macros.push((name, value));
    }

    /// Whether the MTA is Postfix: as a word of its own in the macro `v`, in any case.
    pub(crate) fn is_postfix(&self, child: u16) -> bool {
        let Some(version) = self.macro_value(child, b"v") else { return false };
        let is_word =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        version.windows(7).enumerate().any(|(at, part)| {
            part.eq_ignore_ascii_case(b"postfix")
                && !is_word(at.checked_sub(1).and_then(|before| version.get(before)))
                && !is_word(version.get(at + 7))
        })
    }

    /// Whether the sender has logged in.
    pub(crate) fn is_authenticated(&self, child: u16) -> bool {
        [&b"auth_type"[..], b"auth_authen"].into_iter().any(|name| self.macro_value(child, name).is_some())
    }
}

/// Where a macro that was set for a child is kept for later stages.
fn macro_key(child: u16, name: &[u8]) -> Bytes {
    [b"m", &child.to_be_bytes()[..], name].concat().into()
}
