//! The kinds of values, and sets of them: what an expression may give, as far as it is known at load.

use crate::value::Object;

/// A kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Nil,
    Bool,
    Int,
    Float,
    Text,
    Symbol,
    Array,
    Hash,
    Range,
    Regexp,
    Match,
    Proc,
    Time,
    Context,
    Address,
    Network,
    Shelf,
    Milter,
    Condition,
    Package,
    Security,
    Log,
    Manager,
    Controller,
    Database,
    Logger,
    TimeClass,
    RegexpClass,
    ProcClass,
    S25r,
    RemoteNetwork,
    Stress,
    Trust,
    Dnsbl,
    Policy,
    CidrTable,
    RegexpTable,
    File,
    CidrTableClass,
    RegexpTableClass,
    FileClass,
    Detector,
    DetectorClass,
    Configuration,
    Loader,
}

/// In the order of [`Kind`], with the names for messages.
const NAMES: [(Kind, &str); KINDS] = [
    (Kind::Nil, "nil"),
    (Kind::Bool, "true or false"),
    (Kind::Int, "a whole number"),
    (Kind::Float, "a number"),
    (Kind::Text, "a string"),
    (Kind::Symbol, "a symbol"),
    (Kind::Array, "an array"),
    (Kind::Hash, "a hash"),
    (Kind::Range, "a range"),
    (Kind::Regexp, "a regular expression"),
    (Kind::Match, "a match"),
    (Kind::Proc, "a lambda"),
    (Kind::Time, "a time"),
    (Kind::Context, "a context"),
    (Kind::Address, "an address"),
    (Kind::Network, "an IP network"),
    (Kind::Shelf, "mail_transaction_shelf"),
    (Kind::Milter, "a milter"),
    (Kind::Condition, "a condition"),
    (Kind::Package, "package"),
    (Kind::Security, "security"),
    (Kind::Log, "log"),
    (Kind::Manager, "manager"),
    (Kind::Controller, "controller"),
    (Kind::Database, "database"),
    (Kind::Logger, "Milter::Logger"),
    (Kind::TimeClass, "Time"),
    (Kind::RegexpClass, "Regexp"),
    (Kind::ProcClass, "Proc"),
    (Kind::S25r, "s25r"),
    (Kind::RemoteNetwork, "remote_network"),
    (Kind::Stress, "stress"),
    (Kind::Trust, "trust"),
    (Kind::Dnsbl, "dnsbl"),
    (Kind::Policy, "a policy"),
    (Kind::CidrTable, "a table of networks"),
    (Kind::RegexpTable, "a table of regular expressions"),
    (Kind::File, "a file"),
    (Kind::CidrTableClass, "PostfixCIDRTable"),
    (Kind::RegexpTableClass, "PostfixRegexpTable"),
    (Kind::FileClass, "File"),
    (Kind::Detector, "a detector"),
    (Kind::DetectorClass, "a class of detectors"),
    (Kind::Configuration, "configuration"),
    (Kind::Loader, "self"),
];

/// How many there are.
pub(crate) const KINDS: usize = 45;

impl Kind {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(kind, _)| kind)
    }

    pub(crate) fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    pub(crate) fn of_object(object: Object) -> Self {
        match object {
            Object::Package => Self::Package,
            Object::Security => Self::Security,
            Object::Log => Self::Log,
            Object::Manager => Self::Manager,
            Object::Controller => Self::Controller,
            Object::Database => Self::Database,
            Object::Logger => Self::Logger,
            Object::TimeClass => Self::TimeClass,
            Object::RegexpClass => Self::RegexpClass,
            Object::ProcClass => Self::ProcClass,
            Object::S25r => Self::S25r,
            Object::RemoteNetwork => Self::RemoteNetwork,
            Object::Stress => Self::Stress,
            Object::Trust => Self::Trust,
            Object::Dnsbl => Self::Dnsbl,
            Object::CidrTableClass => Self::CidrTableClass,
            Object::RegexpTableClass => Self::RegexpTableClass,
            Object::FileClass => Self::FileClass,
            Object::Detector(_) => Self::DetectorClass,
            Object::Configuration => Self::Configuration,
            Object::Loader => Self::Loader,
        }
    }

    /// The object whose attributes are settings.
    pub(crate) fn settings(self) -> Option<Object> {
        Object::ALL.into_iter().find(|object| Self::of_object(*object) == self)
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Kinds(u64);

impl Kinds {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ANY: Self = Self((1 << KINDS) - 1);
    pub(crate) const NUMBER: Self = Self::of(Kind::Int).with(Kind::Float);
    pub(crate) const TEXT: Self = Self::of(Kind::Text);
    pub(crate) const BOOL: Self = Self::of(Kind::Bool);
    pub(crate) const INT: Self = Self::of(Kind::Int);
    pub(crate) const ARRAY: Self = Self::of(Kind::Array);

    pub(crate) const fn of(kind: Kind) -> Self {
        Self(1 << kind as u64)
    }

    pub(crate) const fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u64)
    }

    pub(crate) const fn without(self, kind: Kind) -> Self {
        Self(self.0 & !(1 << kind as u64))
    }

    pub(crate) const fn or_nil(self) -> Self {
        self.with(Kind::Nil)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u64 != 0
    }

    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::all().filter(move |kind| self.has(*kind))
    }

    /// "a string or nil", for messages.
    pub(crate) fn names(self) -> String {
        if self == Self::ANY {
            return "anything".to_owned();
        }
        let names: Vec<_> = self.iter().map(Kind::name).collect();
        match &names[..] {
            [] => "nothing".to_owned(),
            [only] => (*only).to_owned(),
            [before @ .., last] => format!("{} or {last}", before.join(", ")),
        }
    }
}
