//! The closed table of what can be called on which kind of value.
//!
//! A row says on what, what it takes, what it gives, and does it. Loading checks calls against the rows as far as kinds are
//! known; evaluation finds the row by the number of the name and the kind of the receiver.

mod any;
mod array;
mod detector;
mod elements;
mod hash;
mod number;
mod regexp;
mod session;
mod substitute;
mod table;
mod text;
mod time;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use millstream_core::wire::Stage;

pub(crate) use self::elements::range_covers;
pub(crate) use self::session::network_includes;
use super::kinds::{KINDS, Kind, Kinds};
use crate::conditions;
use crate::evaluate::{Given, Result};
use crate::problem::Complaint;
use crate::value::Value;

/// A method of a kind of value.
pub(crate) struct Method {
    pub(crate) on: Kinds,
    pub(crate) name: &'static str,
    /// What each argument may be.
    pub(crate) takes: &'static [Kinds],
    /// How many arguments there must be.
    pub(crate) required: usize,
    /// The last argument may come again.
    pub(crate) many: bool,
    pub(crate) block: WithBlock,
    /// Stoppers cannot call it.
    pub(crate) at_load: bool,
    pub(crate) gives: Kinds,
    pub(crate) run: Native,
    pub(crate) says: &'static str,
}

/// What a method does.
pub(crate) type Native = for<'g, 'e, 'o> fn(&'g mut Given<'e, 'o>) -> Result<Value>;

/// Whether a method has a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithBlock {
    Never,
    Maybe,
    Always,
}

/// A row without block whose arguments must all be there.
pub(crate) const fn on(
    kinds: Kinds,
    name: &'static str,
    takes: &'static [Kinds],
    gives: Kinds,
    run: Native,
    says: &'static str,
) -> Method {
    Method {
        on: kinds,
        name,
        takes,
        required: takes.len(),
        many: false,
        block: WithBlock::Never,
        at_load: false,
        gives,
        run,
        says,
    }
}

impl Method {
    /// It changes what sessions share.
    pub(crate) const fn at_load(self) -> Self {
        Self { at_load: true, ..self }
    }

    /// Only the first `required` arguments must be there.
    pub(crate) const fn required(self, required: usize) -> Self {
        Self { required, ..self }
    }

    /// The last argument may come again.
    const fn many(self) -> Self {
        Self { many: true, ..self }
    }

    const fn with_block(self) -> Self {
        Self { block: WithBlock::Always, ..self }
    }

    pub(crate) const fn maybe_block(self) -> Self {
        Self { block: WithBlock::Maybe, ..self }
    }

    /// Whether so many arguments are right.
    pub(crate) fn takes_count(&self, count: usize) -> bool {
        count >= self.required && (self.many || count <= self.takes.len())
    }

    /// What the argument number `at` may be.
    pub(crate) fn takes_at(&self, at: usize) -> Kinds {
        self.takes.get(at).or(self.takes.last()).copied().unwrap_or(Kinds::NONE)
    }

    /// What is wrong with a number of arguments.
    pub(crate) fn count_complaint(&self, count: usize) -> Complaint {
        let most = self.takes.len();
        let takes = match (self.required, self.many) {
            (_, false) if most == 0 => "no arguments".to_owned(),
            (required, false) if required == most => format!("{most} argument{}", plural(most)),
            (required, false) => format!("{required} to {most} arguments"),
            (required, true) => format!("{required} or more arguments"),
        };
        Complaint::new(format!("{} takes {takes} but got {count}", self.name))
    }

    /// What is wrong with a block or its absence.
    pub(crate) fn block_complaint(&self, given: bool) -> Option<Complaint> {
        match (self.block, given) {
            (WithBlock::Never, true) => Some(Complaint::new(format!("{} takes no block", self.name))),
            (WithBlock::Always, false) => Some(Complaint::with_hint(
                format!("{} needs a block", self.name),
                format!("write {} {{|x| ... }}", self.name),
            )),
            _ => None,
        }
    }

    /// Whether these arguments are right.
    pub(crate) fn accepts(&self, arguments: &[Value], block: bool) -> std::result::Result<(), Complaint> {
        if !self.takes_count(arguments.len()) {
            return Err(self.count_complaint(arguments.len()));
        }
        for (at, argument) in arguments.iter().enumerate() {
            let takes = self.takes_at(at);
            if !takes.has(argument.kind_of()) {
                let names = takes.names();
                let message = format!("{} needs {names} but got {}", self.name, argument.kind());
                return Err(Complaint::new(message));
            }
        }
        self.block_complaint(block).map_or(Ok(()), Err)
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// All rows, in the order of the page.
pub(crate) fn all() -> impl Iterator<Item = &'static Method> {
    [
        any::METHODS,
        text::METHODS,
        substitute::METHODS,
        number::METHODS,
        array::METHODS,
        elements::METHODS,
        hash::METHODS,
        regexp::METHODS,
        time::METHODS,
        session::METHODS,
        table::METHODS,
        detector::METHODS,
    ]
    .into_iter()
    .chain(conditions::METHODS.iter().copied())
    .flatten()
}

type Rows = [Option<&'static Method>; KINDS];

struct Table {
    numbers: BTreeMap<&'static str, u16>,
    rows: Vec<Rows>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { numbers: BTreeMap::new(), rows: Vec::new() };
    for method in all() {
        let number = *table.numbers.entry(method.name).or_insert_with(|| {
            table.rows.push([None; KINDS]);
            u16::try_from(table.rows.len() - 1).unwrap_or(u16::MAX)
        });
        for kind in method.on.iter() {
            // What stands first for all kinds gives way to what a kind has of its own.
            table.rows[usize::from(number)][kind as usize] = Some(method);
        }
    }
    table
});

/// The number of a name that is in the table.
pub(crate) fn number(name: &str) -> Option<u16> {
    TABLE.numbers.get(name).copied()
}

/// The row for the name number `number` on a kind.
pub(crate) fn find(number: u16, kind: Kind) -> Option<&'static Method> {
    TABLE.rows.get(usize::from(number))?[kind as usize]
}

/// The names that can be called on a kind.
pub(crate) fn names_on(kind: Kind) -> impl Iterator<Item = &'static str> {
    all().filter(move |method| method.on.has(kind)).map(|method| method.name)
}

/// The stage of `define_connect_stopper` and the others, with what their blocks are given.
pub(crate) const STOPPERS: &[(&str, Stage, &[Kinds])] = {
    const CONTEXT: Kinds = Kinds::of(Kind::Context);
    const TEXT: Kinds = Kinds::TEXT;
    &[
        ("define_connect_stopper", Stage::Connect, &[CONTEXT, TEXT, Kinds::of(Kind::Address)]),
        ("define_helo_stopper", Stage::Helo, &[CONTEXT, TEXT]),
        ("define_envelope_from_stopper", Stage::Mail, &[CONTEXT, TEXT]),
        ("define_envelope_recipient_stopper", Stage::Rcpt, &[CONTEXT, TEXT]),
        ("define_data_stopper", Stage::Data, &[CONTEXT]),
        ("define_header_stopper", Stage::Header, &[CONTEXT, TEXT, TEXT]),
        ("define_end_of_header_stopper", Stage::EndOfHeaders, &[CONTEXT]),
        ("define_body_stopper", Stage::Body, &[CONTEXT, TEXT]),
        ("define_end_of_message_stopper", Stage::EndOfMessage, &[CONTEXT]),
    ]
};

/// What else has a block that is run for sessions, with what it is given.
const SESSION_BLOCKS: &[(&str, &[Kinds])] = &[
    ("add_whitelist", &[Kinds::TEXT]),
    ("add_blacklist", &[Kinds::TEXT]),
    ("add_envelope_from_domain", &[Kinds::TEXT]),
    ("restrict_accounts_generic", &[Kinds::of(Kind::Context), Kinds::TEXT]),
];

/// What the block of a method is given, if it is one that is run for sessions.
pub(crate) fn session_block(method: &str) -> Option<&'static [Kinds]> {
    let stopper = STOPPERS.iter().find(|(name, ..)| *name == method).map(|(.., gets)| *gets);
    stopper.or_else(|| SESSION_BLOCKS.iter().find(|(name, _)| *name == method).map(|(_, gets)| *gets))
}

/// What the block of a method is given that runs at load, where a checker can tell more by it.
pub(crate) fn load_block(method: &str) -> Option<&'static [Kinds]> {
    const MILTER: &[Kinds] = &[Kinds::of(Kind::Milter)];
    (method == "apply").then_some(MILTER)
}

/// The stage of a stopper by the name of its definition.
pub(crate) fn stage_of_stopper(method: &str) -> Option<Stage> {
    STOPPERS.iter().find(|(name, ..)| *name == method).map(|(_, stage, _)| *stage)
}
