//! The conditions that are programs of our own, by their names.
//!
//! Each row of [`NATIVES`] is a condition that a milter can name without a definition. It becomes one of the configuration's when
//! a milter names it, so that what nobody names costs nothing. What a file calls to turn its knobs changes the
//! [`Knobs`](super::Knobs) of that load. A definition of the same name with stoppers takes its place.

mod authentication;
pub(super) mod dnsbl;
pub(crate) mod policies;
pub(super) mod remote_network;
pub(crate) mod restrict_accounts;
pub(super) mod s25r;
mod sendmail_compatible;
pub(super) mod stress;
pub(super) mod trust;

use std::fmt;
use std::sync::Arc;

use millstream_core::wire::Stage;

use self::restrict_accounts::Accounts;
use super::Condition;
use crate::evaluate::{Result, Situation};
use crate::language::procs::Callable;
use crate::milter::Milter;

/// A condition of our own.
pub(crate) trait Native: fmt::Debug + Send + Sync {
    /// Whether it has anything to say at `stage`.
    fn watches(&self, stage: Stage) -> bool;

    /// Whether the child is stopped at this stage. [`Stop::Need`](crate::evaluate::Stop::Need) and
    /// [`Stop::Await`](crate::evaluate::Stop::Await) ask for what is missing, and the same is asked again once it is there.
    fn stops(&self, situation: &mut Situation<'_>) -> Result<bool>;

    /// The block of the files that it runs.
    fn callable(&self) -> Option<&Callable> {
        None
    }

    /// The accounts to which a call in the files restricts milters.
    fn accounts(&self) -> Option<&Accounts> {
        None
    }
}

/// A condition that can be made.
struct Row {
    name: &'static str,
    /// The file of milter manager that has it, without `.conf`.
    file: &'static str,
    description: &'static str,
    make: fn() -> Arc<dyn Native>,
}

/// All of them, in the order of milter manager's files.
const NATIVES: &[Row] = &[
    Row {
        name: "Authenticated",
        file: "authentication",
        description: "Apply a milter only when sender is authorized",
        make: || Arc::new(authentication::Authenticated(true)),
    },
    Row {
        name: "Unauthenticated",
        file: "authentication",
        description: "Apply a milter only when sender is not authorized",
        make: || Arc::new(authentication::Authenticated(false)),
    },
    Row {
        name: "DNSBL Listed",
        file: "dnsbl",
        description: "Apply a milter only when connected host is listed in DNS-based Blackhole List",
        make: || Arc::new(dnsbl::Listed(true)),
    },
    Row {
        name: "Not DNSBL Listed",
        file: "dnsbl",
        description: "Apply a milter only when connected host is not listed in DNS-based Blackhole List",
        make: || Arc::new(dnsbl::Listed(false)),
    },
    Row {
        name: "Remote Network",
        file: "remote-network",
        description: "Apply milter only if connected from remote network",
        make: || Arc::new(remote_network::FromRemote),
    },
    Row {
        name: "S25R",
        file: "s25r",
        description: "Selective SMTP Rejection",
        make: || Arc::new(s25r::EndUsers),
    },
    Row {
        name: "Sendmail Compatible",
        file: "sendmail-compatible",
        description: "Make a milter depends on Sendmail workable with Postfix",
        make: || Arc::new(sendmail_compatible::FillingIn),
    },
    Row {
        name: stress::NAMES[0],
        file: "stress",
        description: "Define stress=yes macro when stress situation",
        make: || Arc::new(stress::Notify),
    },
    Row {
        name: stress::NAMES[1],
        file: "stress",
        description: "Apply milter only when normal condition",
        make: || Arc::new(stress::Calm),
    },
    Row {
        name: "Trust",
        file: "trust",
        description: "Set {trusted_*}=yes macros for trusted session",
        make: || Arc::new(trust::Telling),
    },
];

/// Whether a milter needs to know how many sessions are stress.
pub(crate) fn need_stress(milters: &[Milter]) -> bool {
    let mut applied = milters.iter().flat_map(|milter| &milter.applicable_conditions);
    applied.any(|applied| stress::NAMES.contains(&&*applied.name))
}

/// The names of all.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    NATIVES.iter().map(|row| row.name)
}

/// The names of those that a file of milter manager has.
pub(crate) fn of_file(file: &str) -> impl Iterator<Item = &'static str> {
    NATIVES.iter().filter(move |row| row.file == file).map(|row| row.name)
}

/// The built-in condition of this name.
pub(crate) fn make(name: &str) -> Option<Condition> {
    let row = NATIVES.iter().find(|row| row.name == name)?;
    Some(Condition {
        description: Some(row.description.to_owned()),
        native: Some((row.make)()),
        ..Condition::new(name)
    })
}
