//! What files set on `s25r`, `remote_network` and the other objects of built-in conditions.

use super::matcher::Matcher;
use super::natives::dnsbl::{self, Dnsbl};
use super::natives::policies::{self, Policy};
use super::natives::remote_network::{self, RemoteNetwork};
use super::natives::s25r::{self, S25r};
use super::natives::stress::{self, Stress};
use super::natives::trust::{self, Trust};
use crate::code::Written;
use crate::language::methods::Method;
use crate::language::procs::Callable;

/// All knobs of a load, as they are without being turned at first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Knobs {
    pub(crate) dnsbl: Dnsbl,
    /// In the order of their definition.
    pub(crate) policies: Vec<Policy>,
    pub(crate) remote_network: RemoteNetwork,
    pub(crate) s25r: S25r,
    pub(crate) stress: Stress,
    pub(crate) trust: Trust,
}

impl Knobs {
    /// The statements that turn them from where they are at first to where they are now.
    pub(crate) fn written(&self) -> Vec<Written> {
        let mut statements = self.dnsbl.written();
        statements.extend(self.remote_network.written());
        statements.extend(self.s25r.written());
        statements.extend(self.stress.written());
        statements.extend(self.trust.written());
        statements.extend(self.policies.iter().map(Policy::written));
        statements
    }

    /// The blocks that sessions run.
    pub(crate) fn callables(&self) -> impl Iterator<Item = &Callable> {
        let of_policies = self.policies.iter().flat_map(Policy::matchers);
        self.s25r.matchers().chain(self.trust.matchers()).chain(of_policies).filter_map(Matcher::callable)
    }
}

/// What can be called on the objects of built-in conditions.
pub(crate) const METHODS: &[&[Method]] = &[
    dnsbl::METHODS,
    policies::METHODS,
    remote_network::METHODS,
    s25r::METHODS,
    stress::METHODS,
    trust::METHODS,
];
