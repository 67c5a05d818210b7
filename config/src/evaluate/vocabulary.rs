//! What can be called by its bare name.

use std::path::Path;

use super::files::missing;
use super::objects::nearest;
use super::{Evaluator, MAX_LOADS, Result, Stop, World, built_in};
use crate::language::kinds::{Kind, Kinds};
use crate::language::methods::WithBlock;
use crate::language::procs::Callable;
use crate::milter::Milter;
use crate::problem::Complaint;
use crate::rule::Call;
use crate::source::Span;
use crate::value::{Object, Value};

/// A bare name that is a call.
pub(crate) struct Word {
    pub(crate) name: &'static str,
    pub(crate) takes: Takes,
    pub(crate) block: WithBlock,
    /// What its block is given.
    pub(crate) block_gets: &'static [Kinds],
    pub(crate) gives: Kinds,
    pub(crate) says: &'static str,
}

/// What stands in parentheses behind a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    Text,
    /// Nothing, or the options of `restrict_accounts_generic`.
    Options,
    /// Accounts, and options behind them.
    Accounts,
}

impl Takes {
    /// For the page.
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Text => "(STRING)",
            Self::Options => "(condition_name: STRING, milters: ARRAY)",
            Self::Accounts => "(STRING or REGEXP, ..., condition_name: STRING, milters: ARRAY)",
        }
    }
}

const fn word(name: &'static str, takes: Takes, gives: Kinds, says: &'static str) -> Word {
    Word { name, takes, block: WithBlock::Never, block_gets: &[], gives, says }
}

const fn definition(name: &'static str, block_gets: &'static [Kinds], says: &'static str) -> Word {
    let gives = Kinds::of(Kind::Nil);
    Word { name, takes: Takes::Text, block: WithBlock::Always, block_gets, gives, says }
}

const NIL: Kinds = Kinds::of(Kind::Nil);

/// All of them; the objects of settings are names, too.
pub(crate) const WORDS: &[Word] = &[
    word(
        "load",
        Takes::Text,
        Kinds::BOOL,
        "evaluates the files that a path means; it is a problem when there are none",
    ),
    word("load_if_exist", Takes::Text, Kinds::BOOL, "the same; `false` when there are none"),
    word(
        "load_default",
        Takes::Nothing,
        Kinds::BOOL,
        "evaluates `defaults/PLATFORM.conf`, which defines the milters that are installed",
    ),
    definition("define_milter", &[Kinds::of(Kind::Milter)], "defines a milter, or changes one"),
    word("remove_milter", Takes::Text, NIL, "takes a milter away"),
    word("defined_milters", Takes::Nothing, Kinds::ARRAY, "the names of the milters so far, in order"),
    definition(
        "define_applicable_condition",
        &[Kinds::of(Kind::Condition)],
        "defines a condition, or adds to one",
    ),
    definition(
        "define_policy",
        &[Kinds::of(Kind::Policy)],
        "says which milters see the mail of which clients",
    ),
    word(
        "restrict_accounts_by_list",
        Takes::Accounts,
        NIL,
        "milters see only messages all of whose recipients are among these",
    ),
    Word {
        takes: Takes::Options,
        ..definition(
            "restrict_accounts_generic",
            &[Kinds::of(Kind::Context), Kinds::TEXT],
            "the same with a block that is asked about each recipient",
        )
    },
];

impl Word {
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        WORDS.iter().find(|word| word.name == name)
    }

    /// What is wrong with so many arguments and a block or none.
    pub(crate) fn complaint(&self, count: usize, block: bool) -> Option<Complaint> {
        let name = self.name;
        let message = match (self.takes, count) {
            (Takes::Nothing, 1..) => format!("{name} takes no arguments"),
            (Takes::Text, 0 | 2..) => format!("{name} takes 1 argument but got {count}"),
            (Takes::Options, 2..) => format!("{name} takes its options only but got {count} arguments"),
            (Takes::Accounts, 0) => format!("{name} needs accounts"),
            _ if block && self.block == WithBlock::Never => match self.takes {
                Takes::Nothing => format!("{name} takes no arguments"),
                _ => format!("{name} takes no block"),
            },
            _ => return None,
        };
        Some(Complaint::new(message))
    }
}

/// That a definition lacks its block.
pub(crate) fn no_block(name: &str, shown: &str) -> Complaint {
    let parameter = match name {
        "define_milter" => "milter",
        "define_policy" => "policy",
        "restrict_accounts_generic" => {
            return Complaint::with_hint(
                format!("{name} has no block"),
                format!("write {name} do |context, recipient| ... end"),
            );
        }
        _ => "condition",
    };
    Complaint::with_hint(
        format!("{name}({shown}) has no block"),
        format!("write {name}(\"name\") do |{parameter}| ... end"),
    )
}

/// What loading a file costs besides its size: two thousand files end a load.
pub(super) const LOAD_STEPS: usize = 1_000;

impl Evaluator<'_> {
    /// A call without a receiver.
    pub(super) fn bare(&mut self, call: &Call, span: Span) -> Result<Value> {
        let name = &*call.name.text;
        let quoted = || self.source.as_ref().map(|source| source.quote(span)).unwrap_or_default();
        let object = Object::named(name);
        if matches!(self.world, World::Session(_)) && !object.is_some_and(Object::is_for_sessions) {
            return Err(self.stop(span, not_for_sessions(name)));
        }
        if let Some(object) = object {
            if call.arguments.is_empty() && call.block.is_none() {
                return Ok(Value::Object(object));
            }
            return Err(self.stop(call.name_span, Complaint::new(format!("{name} takes no arguments"))));
        }
        let Some(word) = Word::find(name) else {
            return Err(self.stop(span, unknown_name(name, &quoted())));
        };
        if let Some(complaint) = word.complaint(call.arguments.len(), call.block.is_some()) {
            return Err(self.stop(call.name_span, complaint));
        }
        if matches!(word.takes, Takes::Accounts | Takes::Options) {
            return self.restrict_accounts(call, span);
        }
        let at = call.arguments.first().map_or(call.name_span, |argument| argument.span);
        let text = match call.arguments.first() {
            None => String::new(),
            Some(argument) => match self.expression(argument)? {
                Value::Text(text) if text.is_utf8() => text.to_string(),
                other => {
                    let message =
                        format!("the argument of {name} should be a string but was {}", other.inspect());
                    return Err(self.stop(argument.span, Complaint::new(message)));
                }
            },
        };
        let block = call.block.as_ref().map(|block| Callable {
            block: std::sync::Arc::clone(block),
            frame: self.current_frame(),
            is_lambda: false,
        });
        match (name, block) {
            ("load", _) => self.load(&text, at, true).map(Value::Bool),
            ("load_if_exist", _) => self.load(&text, at, false).map(Value::Bool),
            ("load_default", _) => {
                match self.loading().and_then(|loading| loading.configuration.package.platform.clone()) {
                    Some(platform) => {
                        self.load(&format!("defaults/{platform}.conf"), at, false).map(Value::Bool)
                    }
                    None => Ok(Value::Bool(false)),
                }
            }
            ("define_milter", Some(block)) => self.define_milter(&text, &block, call.name_span, span),
            ("define_applicable_condition", Some(block)) => {
                self.define_condition(&text, &block, call.name_span)
            }
            ("define_policy", Some(block)) => self.define_policy(&text, &block, call.name_span),
            ("remove_milter", _) => {
                if let Some(loading) = self.loading() {
                    loading.configuration.milters.retain(|milter| milter.name != text);
                }
                Ok(Value::Nil)
            }
            ("defined_milters", _) => {
                let milters = self.loading().map(|loading| &loading.configuration.milters);
                Ok(Value::array(
                    milters.into_iter().flatten().map(|milter| Value::text(&milter.name)).collect(),
                ))
            }
            _ => Err(self.stop(span, no_block(name, &Value::text(&text).inspect()))),
        }
    }

    /// Evaluates every file that `path` means. False when there is none and none is required; a required pattern that
    /// matches nothing is the error of a missing file, also the `applicable-conditions/*.conf` of the reference's own
    /// main file.
    fn load(&mut self, path: &str, at: Span, required: bool) -> Result<bool> {
        let files = self.paths_of(path, at, false)?;
        if files.is_empty() {
            if let Some((name, text)) = built_in::file(path) {
                self.may_load(&name, at)?;
                return self.file(&name, text.as_bytes().to_vec()).map(|()| true);
            }
            return match self.serves_missing(path, at) {
                true => Ok(true),
                false if required => Err(self.stop(at, missing(path))),
                false => Ok(false),
            };
        }
        let mut served = Vec::new();
        for file in files {
            match self.load_file(&file, at) {
                Err(Stop::Exhausted) => return Err(Stop::Exhausted),
                // The other files of a pattern are loaded even so.
                Err(stop) => self.note(stop),
                Ok(name) => served.extend(name),
            }
        }
        self.say_served(&served, at);
        Ok(true)
    }

    /// Evaluates a file, or gives the name of one that is served by what is built in.
    fn load_file(&mut self, path: &Path, at: Span) -> Result<Option<&'static str>> {
        let name = path.to_string_lossy().into_owned();
        self.may_load(&name, at)?;
        let bytes = self.read(path).map_err(|complaint| self.stop(at, complaint))?;
        match self.serves(path, &bytes)? {
            Some(name) => Ok(Some(name)),
            None => self.file(&name, bytes).map(|()| None),
        }
    }

    /// That a file is neither loaded by itself nor by too many others, and paid for.
    fn may_load(&mut self, name: &str, at: Span) -> Result<()> {
        let files = self.loading().map_or(&[][..], |loading| &loading.files[..]);
        if files.iter().any(|open| **open == *name) {
            let complaint = Complaint::with_hint(
                format!("{name} loads itself"),
                "each file needs to be loaded once only; remove one of the lines",
            );
            return Err(self.stop(at, complaint));
        }
        if files.len() >= MAX_LOADS {
            let complaint = Complaint::new(format!("files load files more than {MAX_LOADS} deep: {name}"));
            return Err(self.stop(at, complaint));
        }
        self.spend(LOAD_STEPS, at)
    }

    /// A milter, merged with an earlier one of the same name, which it replaces at the end of the list.
    fn define_milter(&mut self, name: &str, block: &Callable, at: Span, span: Span) -> Result<Value> {
        self.define(name, at, span, |vm, number| vm.run(block, &[Value::Milter(number)], at))
    }

    /// The same; `set` is given the number under which the milter can be changed meanwhile.
    pub(super) fn define(
        &mut self,
        name: &str,
        at: Span,
        span: Span,
        set: impl FnOnce(&mut Self, u64) -> Result<Value>,
    ) -> Result<Value> {
        let location = self.location(at);
        let Some(loading) = self.loading() else { return Ok(Value::Nil) };
        let old = loading.configuration.milters.iter().find(|milter| milter.name == name).cloned();
        let mut milter = old.unwrap_or_else(|| Milter::new(name));
        milter.location = location;
        let number = loading.next_number;
        loading.next_number += 1;
        loading.milters.push((number, milter));
        let result = set(self, number);
        let Some(loading) = self.loading() else { return Ok(Value::Nil) };
        if let Some((_, milter)) = loading.milters.pop() {
            for applied in &milter.applicable_conditions {
                loading.bring_in(&applied.name);
            }
            loading.configuration.milters.retain(|old| old.name != milter.name);
            loading.configuration.milters.push(milter);
        }
        let count = loading.configuration.milters.len();
        self.spend(count, span)?;
        result.map(|_| Value::Nil)
    }
}

/// That a stopper cannot do what is done at load.
pub(crate) fn not_for_sessions(name: &str) -> Complaint {
    Complaint::with_hint(
        format!("{name} cannot be used by a stopper"),
        "settings are made once, when the configuration is loaded; read them into a variable before the stopper",
    )
}

/// That nobody knows this name; `text` is the whole call.
pub(crate) fn unknown_name(name: &str, text: &str) -> Complaint {
    match name {
        "system" | "exec" | "spawn" | "fork" => Complaint::with_hint(
            format!("running a program is not supported: {text}"),
            "configuration files cannot run programs; write its output as the value",
        ),
        "require" | "require_relative" | "eval" | "instance_eval" => Complaint::with_hint(
            format!("{name} is not supported: {text}"),
            "configuration files are no Ruby programs; use `load` for another configuration file",
        ),
        name if name.contains(['“', '”', '„', '‘', '’', '«', '»']) => Complaint::with_hint(
            format!("unknown name: {text}"),
            "these are no quotes for Ruby: write straight ones, \" or '",
        ),
        name => {
            let words = || WORDS.iter().map(|word| word.name);
            let objects = || Object::named_ones().map(Object::name);
            let hint = nearest(name, words().chain(objects())).map_or_else(
                || {
                    let known: Vec<_> = words().chain(objects()).collect();
                    format!("strings need quotes; the names that can be used are {}", known.join(", "))
                },
                |near| format!("did you mean {near}?"),
            );
            Complaint::with_hint(format!("unknown name: {text}"), hint)
        }
    }
}
