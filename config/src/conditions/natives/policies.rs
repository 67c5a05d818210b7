//! `define_policy`, and the condition `Policy` that comes of it: which milters see the mail of which clients, senders and
//! recipients.
//!
//! A milter that a policy names sees what fits all that the policy says; one that some policy does not name is stopped at DATA.

use std::sync::Arc;

use millstream_core::wire::Stage;

use super::Native;
use crate::code::Written;
use crate::conditions::Condition;
use crate::conditions::matcher::{MATCHERS, Matcher};
use crate::evaluate::{Given, Result, Situation};
use crate::inspect;
use crate::language::address::{Address, Network};
use crate::language::kinds::{Kind, Kinds};
use crate::language::methods::{Method, on};
use crate::language::text::Text;
use crate::value::Value;

/// The condition's name and description.
pub(crate) const NAME: &str = "Policy";
const DESCRIPTION: &str = "Apply policies defined by define_policy";

/// What a `define_policy` says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Policy {
    pub(crate) name: String,
    milters: Vec<String>,
    matchers: [Option<Matcher>; 5],
}

/// What a policy may look at, in the order of its matchers.
const FIELDS: [&str; 5] = ["host", "address", "fqdn", "from", "recipient"];

impl Policy {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    pub(in crate::conditions) fn written(&self) -> Written {
        let milters: Vec<_> = self.milters.iter().map(|name| inspect::string(name)).collect();
        let mut text = format!("define_policy({}) do |policy|\n", inspect::string(&self.name));
        text.push_str(&format!("  policy.milters = [{}]\n", milters.join(", ")));
        for (field, matcher) in FIELDS.iter().zip(&self.matchers) {
            if let Some(matcher) = matcher {
                text.push_str(&format!("  policy.{field} = {}\n", matcher.written()?));
            }
        }
        Ok(text + "end")
    }

    pub(in crate::conditions) fn matchers(&self) -> impl Iterator<Item = &Matcher> {
        self.matchers.iter().flatten()
    }

    /// Whether a milter that it names is stopped.
    fn stops(&self, situation: &mut Situation<'_>) -> Result<bool> {
        let [host, address, fqdn, from, recipient] = &self.matchers;
        let facts = situation.facts;
        match situation.stage {
            Stage::Connect => {
                if host.is_none() && address.is_none() {
                    return Ok(false);
                }
                let (name, place) = (situation.host(), situation.address());
                Ok(!(fits(host, &[name], situation)? || fits_address(address, &place, situation)?))
            }
            Stage::Helo => {
                Ok(fqdn.is_some() && !fits(fqdn, &[Text::from(facts.helo.unwrap_or_default())], situation)?)
            }
            Stage::Mail => Ok(from.is_some() && !fits(from, &both_forms(facts.sender), situation)?),
            Stage::Rcpt => {
                Ok(recipient.is_some() && !fits(recipient, &both_forms(facts.recipient), situation)?)
            }
            _ => Ok(false),
        }
    }
}

/// An address with and without angle brackets.
fn both_forms(address: Option<&[u8]>) -> [Text; 2] {
    let whole = address.unwrap_or_default();
    let bare = whole.strip_prefix(b"<").and_then(|inner| inner.strip_suffix(b">")).unwrap_or(whole);
    [Text::from(whole), Text::from(bare)]
}

fn fits(matcher: &Option<Matcher>, texts: &[Text], situation: &mut Situation<'_>) -> Result<bool> {
    let Some(matcher) = matcher else { return Ok(false) };
    for text in texts {
        if matcher.fits(text, &mut |block, arguments| situation.call(block, arguments))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A string may be an address or a network; the others look at the address as text.
fn fits_address(matcher: &Option<Matcher>, address: &Address, situation: &mut Situation<'_>) -> Result<bool> {
    let Some(network) = address.network() else { return Ok(false) };
    match matcher {
        Some(Matcher::Text(text)) => {
            Ok(Network::parse(text.as_str()).is_some_and(|wanted| wanted.includes(&network)))
        }
        matcher => fits(matcher, &[Text::from(&*network.to_string())], situation),
    }
}

/// The condition.
#[derive(Debug)]
struct Policies;

/// The condition, for a configuration that has policies.
pub(crate) fn condition() -> Condition {
    Condition {
        description: Some(DESCRIPTION.to_owned()),
        native: Some(Arc::new(Policies)),
        ..Condition::new(NAME)
    }
}

impl Native for Policies {
    fn watches(&self, stage: Stage) -> bool {
        matches!(stage, Stage::Connect | Stage::Helo | Stage::Mail | Stage::Rcpt | Stage::Data)
    }

    fn stops(&self, situation: &mut Situation<'_>) -> Result<bool> {
        let knobs = Arc::clone(situation.knobs);
        let name = situation.children.get(usize::from(situation.child)).map(|child| Arc::clone(&child.name));
        let name = name.as_deref().unwrap_or_default();
        for policy in &knobs.policies {
            let is_named = policy.milters.iter().any(|milter| milter == name);
            let stops = if situation.stage == Stage::Data {
                !is_named
            } else {
                is_named && policy.stops(situation)?
            };
            if stops {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

const ON: Kinds = Kinds::of(Kind::Policy);
const MATCHER: Kinds = MATCHERS.or_nil();

pub(in crate::conditions) const METHODS: &[Method] = &[
    on(ON, "name", &[], Kinds::TEXT, name, "its name"),
    on(ON, "milters=", &[Kinds::ARRAY], Kinds::ARRAY, milters, "the names of the milters that it is for")
        .at_load(),
    on(ON, "host=", &[MATCHER], MATCHER, |g| set(g, 0), "the client's name").at_load(),
    on(ON, "address=", &[MATCHER], MATCHER, |g| set(g, 1), "or its address; a string may be a network")
        .at_load(),
    on(ON, "fqdn=", &[MATCHER], MATCHER, |g| set(g, 2), "the argument of HELO").at_load(),
    on(ON, "from=", &[MATCHER], MATCHER, |g| set(g, 3), "the sender, with or without angle brackets")
        .at_load(),
    on(ON, "recipient=", &[MATCHER], MATCHER, |g| set(g, 4), "the recipient, likewise").at_load(),
];

fn policy<'g>(given: &'g mut Given<'_, '_>) -> Result<Option<&'g mut Policy>> {
    let at = if let Value::Policy(at) = given.receiver { *at } else { usize::MAX };
    Ok(given.knobs_to_change()?.policies.get_mut(at))
}

fn name(given: &mut Given<'_, '_>) -> Result<Value> {
    let Value::Policy(at) = given.receiver else { return Ok(Value::Nil) };
    Ok(given.knobs().policies.get(*at).map_or(Value::Nil, |policy| Value::text(&policy.name)))
}

fn milters(given: &mut Given<'_, '_>) -> Result<Value> {
    let value = given.arguments[0].clone();
    let names: Option<Vec<String>> = match &value {
        Value::Array(names) => names
            .read()
            .iter()
            .map(|name| match name {
                Value::Text(name) | Value::Symbol(name) => Some(name.to_string()),
                _ => None,
            })
            .collect(),
        _ => None,
    };
    let Some(names) = names else { return Err(given.stop("policy.milters should be an array of names")) };
    if let Some(policy) = policy(given)? {
        policy.milters = names;
    }
    Ok(value)
}

fn set(given: &mut Given<'_, '_>, field: usize) -> Result<Value> {
    let value = given.arguments[0].clone();
    let matcher = Matcher::of(&value);
    if let Some(Matcher::Text(text)) = &matcher
        && FIELDS[field] == "address"
        && Network::parse(text.as_str()).is_none()
    {
        return Err(given.stop("policy.address should be an address, a network or a regular expression"));
    }
    if let Some(policy) = policy(given)? {
        policy.matchers[field] = matcher;
    }
    Ok(value)
}
