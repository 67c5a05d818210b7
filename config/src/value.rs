//! What expressions of the configuration language evaluate to.

use std::cmp::Ordering;
use std::sync::Arc;

use millstream_detection::Detector;

use crate::detection::{self, DETECTORS, Detection};
use crate::inspect;
use crate::language::address::{Address, Network};
use crate::language::kinds::Kind;
use crate::language::procs::Callable;
use crate::language::regexp::{Match, Regexp};
use crate::language::shared::Shared;
use crate::language::table::{Of, Table};
use crate::language::text::Text;
use crate::language::time::Time;

/// A value. Arrays and hashes are shared, as in Ruby: what `<<` appends is seen through every name.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Text),
    Symbol(Text),
    Array(Arc<Shared<Vec<Value>>>),
    Hash(Arc<Shared<Pairs>>),
    Range(Arc<Range>),
    Regexp(Arc<Regexp>),
    Match(Arc<Match>),
    Proc(Arc<Callable>),
    Time(Time),
    /// `manager`, `log` and so on.
    Object(Object),
    /// The milter that a `define_milter` block is given, by its number.
    Milter(u64),
    /// The condition that a `define_applicable_condition` block is given, by its number.
    Condition(u64),
    /// A child as a stopper sees it, by its place in the chain.
    Context(u16),
    Address(Arc<Address>),
    Network(Arc<Network>),
    /// `context.mail_transaction_shelf`
    Shelf,
    /// The policy that a `define_policy` block is given, by its place.
    Policy(usize),
    Table(Arc<Table>),
    /// What `File.open` gives its block.
    File(Arc<File>),
    Detector(Arc<Detection>),
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: Text,
    pub(crate) bytes: Vec<u8>,
}

/// The pairs of a hash in the order in which they were put in.
pub(crate) type Pairs = Vec<(Value, Value)>;

/// `from..to`, `from...to`
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) from: Value,
    pub(crate) to: Value,
    pub(crate) exclusive: bool,
}

/// The objects that have a name: those whose attributes are settings, and the few classes of Ruby.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Object {
    Package,
    Security,
    Log,
    Manager,
    Controller,
    Database,
    /// `Milter::Logger`
    Logger,
    /// `Time`
    TimeClass,
    /// `Regexp`
    RegexpClass,
    /// `Proc`
    ProcClass,
    S25r,
    RemoteNetwork,
    Stress,
    Trust,
    Dnsbl,
    /// `Milter::Manager::PostfixCIDRTable`
    CidrTableClass,
    /// `Milter::Manager::PostfixRegexpTable`
    RegexpTableClass,
    /// `File`
    FileClass,
    /// `DebianDetector` and the others.
    Detector(Detector),
    /// `configuration`, which detectors take.
    Configuration,
    /// `self`, which they take, too.
    Loader,
}

impl Object {
    /// Those whose attributes are settings.
    pub(crate) const ALL: [Self; 6] =
        [Self::Package, Self::Security, Self::Log, Self::Manager, Self::Controller, Self::Database];

    /// Those that turn the knobs of built-in conditions.
    pub(crate) const KNOBS: [Self; 5] =
        [Self::S25r, Self::RemoteNetwork, Self::Stress, Self::Trust, Self::Dnsbl];

    /// Whether stoppers can use it, too.
    pub(crate) fn is_for_sessions(self) -> bool {
        Self::KNOBS.contains(&self)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::S25r => "s25r",
            Self::RemoteNetwork => "remote_network",
            Self::Stress => "stress",
            Self::Trust => "trust",
            Self::Dnsbl => "dnsbl",
            Self::CidrTableClass => "PostfixCIDRTable",
            Self::RegexpTableClass => "PostfixRegexpTable",
            Self::FileClass => "File",
            Self::Detector(detector) => detection::name(detector),
            Self::Configuration => "configuration",
            Self::Loader => "self",
            Self::Package => "package",
            Self::Security => "security",
            Self::Log => "log",
            Self::Manager => "manager",
            Self::Controller => "controller",
            Self::Database => "database",
            Self::Logger => "Milter::Logger",
            Self::TimeClass => "Time",
            Self::RegexpClass => "Regexp",
            Self::ProcClass => "Proc",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::named_ones().find(|object| object.name() == name)
    }

    /// Those with a bare name.
    pub(crate) fn named_ones() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().chain(Self::KNOBS).chain([Self::Configuration])
    }

    /// What a constant stands for.
    pub(crate) fn constant(name: &str) -> Option<Self> {
        // The files of milter manager are evaluated within this.
        let name = name.strip_prefix("Milter::Manager::").unwrap_or(name);
        [
            Self::Logger,
            Self::TimeClass,
            Self::RegexpClass,
            Self::ProcClass,
            Self::CidrTableClass,
            Self::RegexpTableClass,
            Self::FileClass,
        ]
        .into_iter()
        .chain(DETECTORS.map(|(_, detector)| Self::Detector(detector)))
        .find(|object| object.name() == name)
    }
}

/// The longest text form of a value in a message, in bytes.
const SHOWN: usize = 200;

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(Text::from(text))
    }

    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self::Text(Text::from(bytes))
    }

    pub(crate) fn array(elements: Vec<Self>) -> Self {
        Self::Array(Arc::new(Shared::new(elements)))
    }

    pub(crate) fn hash(pairs: Pairs) -> Self {
        Self::Hash(Arc::new(Shared::new(pairs)))
    }

    pub(crate) fn count(length: usize) -> Self {
        Self::Int(i64::try_from(length).unwrap_or(i64::MAX))
    }

    /// Neither nil nor false.
    pub(crate) fn is_truthy(&self) -> bool {
        !matches!(self, Self::Nil | Self::Bool(false))
    }

    pub(crate) fn kind_of(&self) -> Kind {
        match self {
            Self::Nil => Kind::Nil,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Float(_) => Kind::Float,
            Self::Text(_) => Kind::Text,
            Self::Symbol(_) => Kind::Symbol,
            Self::Array(_) => Kind::Array,
            Self::Hash(_) => Kind::Hash,
            Self::Range(_) => Kind::Range,
            Self::Regexp(_) => Kind::Regexp,
            Self::Match(_) => Kind::Match,
            Self::Proc(_) => Kind::Proc,
            Self::Time(_) => Kind::Time,
            Self::Object(object) => Kind::of_object(*object),
            Self::Milter(_) => Kind::Milter,
            Self::Condition(_) => Kind::Condition,
            Self::Context(_) => Kind::Context,
            Self::Address(_) => Kind::Address,
            Self::Network(_) => Kind::Network,
            Self::Shelf => Kind::Shelf,
            Self::Policy(_) => Kind::Policy,
            Self::Table(table) => match table.of {
                Of::Networks => Kind::CidrTable,
                Of::Expressions => Kind::RegexpTable,
            },
            Self::File(_) => Kind::File,
            Self::Detector(_) => Kind::Detector,
        }
    }

    /// The kind, for messages: "a string".
    pub(crate) fn kind(&self) -> &'static str {
        self.kind_of().name()
    }

    /// Ruby's `inspect`, cut when long.
    pub(crate) fn inspect(&self) -> String {
        let mut out = String::new();
        self.inspect_into(&mut out, SHOWN);
        if out.len() > SHOWN {
            let end = (0..=SHOWN).rev().find(|at| out.is_char_boundary(*at)).unwrap_or(0);
            out.truncate(end);
            out.push_str("...");
        }
        out
    }

    /// Ruby's `inspect`, a little more than `most` bytes of it at most.
    pub(crate) fn inspect_all(&self, most: usize) -> String {
        let mut out = String::new();
        self.inspect_into(&mut out, most);
        out
    }

    fn inspect_into(&self, out: &mut String, most: usize) {
        if out.len() > most {
            return;
        }
        match self {
            Self::Nil => out.push_str("nil"),
            Self::Bool(value) => out.push_str(&value.to_string()),
            Self::Int(value) => out.push_str(&value.to_string()),
            Self::Float(value) => out.push_str(&inspect::float(*value)),
            Self::Text(text) => out.push_str(&inspect::bytes(text)),
            Self::Symbol(name) => out.push_str(&inspect::symbol(&name.to_string())),
            Self::Object(object) => out.push_str(object.name()),
            Self::Milter(_) => out.push_str("milter"),
            Self::Condition(_) => out.push_str("condition"),
            Self::Context(_) => out.push_str("context"),
            Self::Shelf => out.push_str("mail_transaction_shelf"),
            Self::Policy(_) => out.push_str("policy"),
            Self::Table(_) => out.push_str("table"),
            Self::File(file) => out.push_str(&inspect::bytes(&file.path)),
            Self::Detector(detection) => {
                out.push_str(&format!("the detector of {}", inspect::string(&detection.candidate)));
            }
            Self::Proc(_) => out.push_str("lambda"),
            Self::Regexp(regexp) => out.push_str(&regexp.inspect()),
            Self::Match(found) => out.push_str(&found.inspect()),
            Self::Time(time) => out.push_str(&time.to_string()),
            Self::Address(address) => out.push_str(&address.to_string()),
            Self::Network(network) => out.push_str(&network.inspect()),
            Self::Range(range) => {
                let end = |value: &Self, out: &mut String| {
                    if !matches!(value, Self::Nil) {
                        value.inspect_into(out, most);
                    }
                };
                end(&range.from, out);
                out.push_str(if range.exclusive { "..." } else { ".." });
                end(&range.to, out);
            }
            Self::Array(elements) => {
                out.push('[');
                for (index, element) in elements.read().iter().enumerate() {
                    if out.len() > most {
                        break;
                    }
                    out.push_str(if index > 0 { ", " } else { "" });
                    element.inspect_into(out, most);
                }
                out.push(']');
            }
            Self::Hash(pairs) => {
                out.push('{');
                for (index, (key, value)) in pairs.read().iter().enumerate() {
                    if out.len() > most {
                        break;
                    }
                    out.push_str(if index > 0 { ", " } else { "" });
                    key.inspect_into(out, most);
                    out.push_str("=>");
                    value.inspect_into(out, most);
                }
                out.push('}');
            }
        }
    }

    /// What interpolation and `to_s` give; `None` for what has no sensible text.
    pub(crate) fn to_text(&self) -> Option<Text> {
        match self {
            Self::Nil => Some(Text::default()),
            Self::Text(text) | Self::Symbol(text) => Some(text.clone()),
            Self::Bool(_) | Self::Int(_) | Self::Float(_) => Some(Text::from(&*self.inspect())),
            Self::Regexp(regexp) => Some(Text::from(&*regexp.to_text())),
            Self::Match(found) => Some(found.group(0).unwrap_or_default()),
            Self::Time(time) => Some(Text::from(&*time.to_string())),
            Self::Address(address) => Some(Text::from(&*address.to_string())),
            Self::Network(network) => Some(Text::from(&*network.to_string())),
            _ => None,
        }
    }

    /// Whether two hash keys are the same.
    pub(crate) fn same_key(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) | (Self::Symbol(a), Self::Symbol(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Nil, Self::Nil) => true,
            _ => false,
        }
    }

    /// Ruby's `==`. The nesting of containers is bounded where they are made.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nil, Self::Nil) | (Self::Shelf, Self::Shelf) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(_) | Self::Float(_), Self::Int(_) | Self::Float(_)) => {
                self.compare(other) == Some(Ordering::Equal)
            }
            (Self::Text(a), Self::Text(b)) | (Self::Symbol(a), Self::Symbol(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => {
                Arc::ptr_eq(a, b) || {
                    let (a, b) = (a.read().clone(), b.read().clone());
                    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.equals(b))
                }
            }
            (Self::Hash(a), Self::Hash(b)) => {
                Arc::ptr_eq(a, b) || {
                    let (a, b) = (a.read().clone(), b.read().clone());
                    let has = |key: &Self, value: &Self| {
                        b.iter().any(|(known, held)| known.same_key(key) && value.equals(held))
                    };
                    a.len() == b.len() && a.iter().all(|(key, value)| has(key, value))
                }
            }
            (Self::Range(a), Self::Range(b)) => {
                a.exclusive == b.exclusive && a.from.equals(&b.from) && a.to.equals(&b.to)
            }
            (Self::Regexp(a), Self::Regexp(b)) => a.inspect() == b.inspect(),
            (Self::Match(a), Self::Match(b)) => Arc::ptr_eq(a, b),
            (Self::Proc(a), Self::Proc(b)) => Arc::ptr_eq(a, b),
            (Self::Time(a), Self::Time(b)) => a.seconds == b.seconds,
            (Self::Object(a), Self::Object(b)) => a == b,
            (Self::Milter(a), Self::Milter(b)) | (Self::Condition(a), Self::Condition(b)) => a == b,
            (Self::Context(a), Self::Context(b)) => a == b,
            (Self::Policy(a), Self::Policy(b)) => a == b,
            (Self::Table(a), Self::Table(b)) => Arc::ptr_eq(a, b),
            (Self::File(a), Self::File(b)) => Arc::ptr_eq(a, b),
            (Self::Detector(a), Self::Detector(b)) => Arc::ptr_eq(a, b),
            (Self::Address(a), Self::Address(b)) => a == b,
            (Self::Network(a), Self::Network(b)) => a == b,
            _ => false,
        }
    }

    /// Ruby's `eql?`: whole numbers and others differ.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(_), Self::Float(_)) | (Self::Float(_), Self::Int(_)) => false,
            (Self::Array(a), Self::Array(b)) => {
                let (a, b) = (a.read().clone(), b.read().clone());
                a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.is_same(b))
            }
            _ => self.equals(other),
        }
    }

    /// Ruby's `<=>`; `None` where it gives nil.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Float(b)) => compare_mixed(*a, *b),
            (Self::Float(a), Self::Int(b)) => compare_mixed(*b, *a).map(Ordering::reverse),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) | (Self::Symbol(a), Self::Symbol(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => Some(a.seconds.cmp(&b.seconds)),
            (Self::Array(a), Self::Array(b)) => {
                let (a, b) = (a.read().clone(), b.read().clone());
                for (a, b) in a.iter().zip(&b) {
                    match a.compare(b)? {
                        Ordering::Equal => {}
                        other => return Some(other),
                    }
                }
                Some(a.len().cmp(&b.len()))
            }
            _ => self.equals(other).then_some(Ordering::Equal),
        }
    }
}

/// Exactly, where a conversion of the whole number to a float would round.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "checked by the branches")]
fn compare_mixed(whole: i64, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float >= i64::MAX as f64 {
        return Some(Ordering::Less);
    }
    if float < i64::MIN as f64 {
        return Some(Ordering::Greater);
    }
    let floor = float.floor();
    Some(whole.cmp(&(floor as i64)).then(if float > floor { Ordering::Less } else { Ordering::Equal }))
}
