//! `S25R`: whether the client's name looks like that of an end user's machine, which sends no mail of its own; and `s25r`, which
//! has the lists. The rules are those of the Selective SMTP Rejection method.

use std::sync::{Arc, LazyLock};

use millstream_core::wire::Stage;

use super::Native;
use crate::code::Written;
use crate::conditions::matcher::{MATCHERS, Matcher, Run, any};
use crate::evaluate::{Given, Result, Situation};
use crate::language::address::Address;
use crate::language::kinds::{Kind, Kinds};
use crate::language::methods::{Method, on};
use crate::language::text::Text;
use crate::value::Value;

/// Names of large mailers that look like those of end users.
const WHITE: &[&str] = &[
    r"\.google\.com\z",
    r"\.obsmtp\.com\z",
    r"\.smtp-out\.amazonses\.com\z",
    r"\.slack\.com\z",
    r"\.mg\.gitlab\.com\z",
    r"\.sendgrid\.net\z",
];

/// Names of end users' machines, and whether their case counts for nothing. `unknown` and `[ADDRESS]` are no names.
const BLACK: &[(&str, bool)] = &[
    (r"\Aunknown\z", false),
    (r"\A\[.+\]\z", false),
    (r"\A[^.]*\d[^\d.]+\d.*\.", false),
    (r"\A[^.]*\d{5}", false),
    (r"\A(?:[^.]+\.)?\d[^.]*\.[^.]+\..+\.[a-z]", true),
    (r"\A[^.]*\d\.[^.]*\d-\d", false),
    (r"\A[^.]*\d\.[^.]*\d\.[^.]+\..+\.", false),
    (r"\A(?:dhcp|dialup|ppp|[achrsvx]?dsl)[^.]*\d", true),
];

/// Compiled for the first client that is looked at, once for the process.
static SHIPPED_WHITE: LazyLock<Vec<Matcher>> =
    LazyLock::new(|| WHITE.iter().filter_map(|source| Matcher::regexp(source, false)).collect());

static SHIPPED_BLACK: LazyLock<Vec<Matcher>> = LazyLock::new(|| {
    BLACK.iter().filter_map(|(source, ignore_case)| Matcher::regexp(source, *ignore_case)).collect()
});

/// The lists of the files, behind those above.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct S25r {
    white: Vec<Matcher>,
    black: Vec<Matcher>,
    only_ipv4: bool,
}

impl Default for S25r {
    fn default() -> Self {
        Self { white: Vec::new(), black: Vec::new(), only_ipv4: true }
    }
}

impl S25r {
    pub(in crate::conditions) fn written(&self) -> Vec<Written> {
        let add = |method: &'static str| {
            move |matcher: &Matcher| Ok(format!("s25r.{method}({})", matcher.written()?))
        };
        let only = (!self.only_ipv4).then(|| Ok("s25r.only_check_ipv4 = false".to_owned()));
        let white = self.white.iter().map(add("add_whitelist"));
        only.into_iter().chain(white).chain(self.black.iter().map(add("add_blacklist"))).collect()
    }

    /// IPv6 machines have few names that the rules were made for, so that such clients are white.
    fn is_white(&self, host: &Text, address: &Address, run: Run<'_>) -> Result<bool> {
        if self.only_ipv4 && !matches!(address, Address::Inet(address, _) if address.is_ipv4()) {
            return Ok(true);
        }
        any(SHIPPED_WHITE.iter().chain(&self.white), host, run)
    }

    fn is_black(&self, host: &Text, run: Run<'_>) -> Result<bool> {
        any(SHIPPED_BLACK.iter().chain(&self.black), host, run)
    }

    pub(in crate::conditions) fn matchers(&self) -> impl Iterator<Item = &Matcher> {
        self.white.iter().chain(&self.black)
    }
}

/// The condition: only those that are black and not white go on.
#[derive(Debug)]
pub(super) struct EndUsers;

impl Native for EndUsers {
    fn watches(&self, stage: Stage) -> bool {
        stage == Stage::Connect
    }

    fn stops(&self, situation: &mut Situation<'_>) -> Result<bool> {
        let (host, address) = (situation.host(), situation.address());
        let s25r = &Arc::clone(situation.knobs).s25r;
        let mut run = |block: &_, arguments: &[Value]| situation.call(block, arguments);
        Ok(s25r.is_white(&host, &address, &mut run)? || !s25r.is_black(&host, &mut run)?)
    }
}

const ON: Kinds = Kinds::of(Kind::S25r);
const NIL: Kinds = Kinds::of(Kind::Nil);
const ADDRESS: Kinds = Kinds::of(Kind::Address);

pub(in crate::conditions) const METHODS: &[Method] = &[
    on(
        ON,
        "add_whitelist",
        &[MATCHERS],
        NIL,
        |g| add(g, |s25r| &mut s25r.white),
        "hosts that are no end users'",
    )
    .required(0)
    .maybe_block()
    .at_load(),
    on(
        ON,
        "add_blacklist",
        &[MATCHERS],
        NIL,
        |g| add(g, |s25r| &mut s25r.black),
        "hosts that are end users'",
    )
    .required(0)
    .maybe_block()
    .at_load(),
    on(ON, "white?", &[Kinds::TEXT, ADDRESS], Kinds::BOOL, white, "whether the client is on the white list"),
    on(ON, "black?", &[Kinds::TEXT, ADDRESS], Kinds::BOOL, black, "whether it is on the black list"),
    on(
        ON,
        "only_check_ipv4?",
        &[],
        Kinds::BOOL,
        |g| Ok(Value::Bool(g.knobs().s25r.only_ipv4)),
        "whether clients without an IPv4 address are white",
    ),
    on(ON, "only_check_ipv4=", &[Kinds::BOOL], Kinds::BOOL, only_ipv4, "sets that; true by default")
        .at_load(),
    on(ON, "check_only_ipv4=", &[Kinds::BOOL], Kinds::BOOL, only_ipv4, "the same").at_load(),
];

fn add(given: &mut Given<'_, '_>, list: fn(&mut S25r) -> &mut Vec<Matcher>) -> Result<Value> {
    let matcher = given.matcher()?;
    list(&mut given.knobs_to_change()?.s25r).push(matcher);
    Ok(Value::Nil)
}

fn white(given: &mut Given<'_, '_>) -> Result<Value> {
    let (Some(Value::Address(address)), Some(host)) = (given.arguments.get(1), given.text(0).cloned()) else {
        return Ok(Value::Bool(false));
    };
    let knobs = given.knobs();
    given.spend(knobs.s25r.white.len() + WHITE.len())?;
    let at = given.at;
    let mut run = |block: &_, arguments: &[Value]| given.vm.run(block, arguments, at);
    knobs.s25r.is_white(&host, address, &mut run).map(Value::Bool)
}

fn black(given: &mut Given<'_, '_>) -> Result<Value> {
    let Some(host) = given.text(0).cloned() else { return Ok(Value::Bool(false)) };
    let knobs = given.knobs();
    given.spend(knobs.s25r.black.len() + BLACK.len())?;
    let at = given.at;
    let mut run = |block: &_, arguments: &[Value]| given.vm.run(block, arguments, at);
    knobs.s25r.is_black(&host, &mut run).map(Value::Bool)
}

fn only_ipv4(given: &mut Given<'_, '_>) -> Result<Value> {
    let only = given.arguments[0].is_truthy();
    given.knobs_to_change()?.s25r.only_ipv4 = only;
    Ok(Value::Bool(only))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_expression_can_be_compiled() {
        assert_eq!((SHIPPED_WHITE.len(), SHIPPED_BLACK.len()), (WHITE.len(), BLACK.len()));
    }
}
