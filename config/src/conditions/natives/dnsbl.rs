//! `DNSBL Listed` and `Not DNSBL Listed`: whether a list in the domain name system has the client's address; and `dnsbl`, which has
//! the lists.
//!
//! All lists are asked at once, and the first that has the address decides. Nobody but the milter waits for them; how long
//! an answer is kept is the resolver's concern.

use std::net::IpAddr;
use std::sync::Arc;

use millstream_core::machine::{Answer, Question};
use millstream_core::policy::Answers;
use millstream_core::wire::Stage;

use super::Native;
use crate::code::Written;
use crate::evaluate::{Given, Result, Situation, Stop, World};
use crate::inspect;
use crate::language::address::{Address, Network};
use crate::language::kinds::{Kind, Kinds};
use crate::language::methods::{Method, on};
use crate::settings::name_servers;
use crate::value::Value;

/// Asked from the start: the zone, and the answers that count.
const SHIPPED: &[(&str, &str)] = &[
    ("zen.spamhaus.org", "127.0.0.10/31"),
    ("dnsbl.sorbs.net", "127.0.0.10"),
    ("bl.spamcop.net", "127.0.0.2"),
    ("b.barracudacentral.org", "127.0.0.2"),
];

/// Longest name of a zone: four numbers and dots are put before it (RFC 1035, 255 bytes in all).
const MAX_DOMAIN: usize = 235;

/// The lists that are asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dnsbl {
    services: Vec<Service>,
}

#[derive(Debug, Clone, PartialEq)]
struct Service {
    domain: Arc<str>,
    /// In what an answer has to be; without it any answer counts.
    expected: Option<Network>,
}

impl Default for Dnsbl {
    fn default() -> Self {
        let service = |(domain, expected): &(&str, &str)| Service {
            domain: (*domain).into(),
            expected: Network::parse(expected),
        };
        Self { services: SHIPPED.iter().map(service).collect() }
    }
}

impl Dnsbl {
    pub(in crate::conditions) fn written(&self) -> Vec<Written> {
        let shipped = Self::default().services;
        let (clear, added) = match self.services.strip_prefix(&shipped[..]) {
            Some(added) => (None, added),
            None => (Some("dnsbl.clear".to_owned()), &self.services[..]),
        };
        let add = |service: &Service| {
            let domain = inspect::string(&service.domain);
            let expected = service.expected.map(|network| format!(", \"{}\"", network.written()));
            format!("dnsbl.add_service({domain}{})", expected.unwrap_or_default())
        };
        clear.into_iter().chain(added.iter().map(add)).map(Ok).collect()
    }

    /// Whether a list has the address. Asks what it needs to know.
    fn is_listed(&self, address: &Address, answers: &Answers) -> Result<bool> {
        let Address::Inet(IpAddr::V4(address), _) = address else { return Ok(false) };
        let [a, b, c, d] = address.octets();
        let question =
            |service: &Service| Question::Addresses(format!("{d}.{c}.{b}.{a}.{}", service.domain).into());
        let mut open = Vec::new();
        for service in &self.services {
            let question = question(service);
            match answers.find(&question) {
                None => open.push(question),
                Some(Answer::Found(found)) if found.iter().any(|answer| service.counts(answer)) => {
                    return Ok(true);
                }
                Some(_) => {}
            }
        }
        if open.is_empty() { Ok(false) } else { Err(Stop::Need(open)) }
    }
}

impl Service {
    fn counts(&self, answer: &str) -> bool {
        self.expected.is_none_or(|expected| Network::parse(answer).is_some_and(|it| expected.includes(&it)))
    }
}

/// Lets those through that are listed (true), or the others.
#[derive(Debug)]
pub(super) struct Listed(pub(super) bool);

impl Native for Listed {
    fn watches(&self, stage: Stage) -> bool {
        stage == Stage::Connect
    }

    fn stops(&self, situation: &mut Situation<'_>) -> Result<bool> {
        Ok(situation.knobs.dnsbl.is_listed(&situation.address(), situation.answers)? != self.0)
    }
}

const ON: Kinds = Kinds::of(Kind::Dnsbl);
const NIL: Kinds = Kinds::of(Kind::Nil);
const ADDRESS: Kinds = Kinds::of(Kind::Address);
const SERVERS: Kinds = Kinds::TEXT.with(Kind::Array);

pub(in crate::conditions) const METHODS: &[Method] = &[
    on(ON, "clear", &[], NIL, clear, "asks no list any more").at_load(),
    on(
        ON,
        "add_service",
        &[Kinds::TEXT, Kinds::TEXT.or_nil()],
        NIL,
        add_service,
        "asks this list as well; with an address or network only such answers count",
    )
    .required(1)
    .at_load(),
    on(ON, "name_server=", &[SERVERS], SERVERS, add_servers, "one more of `manager.name_servers`").at_load(),
    on(ON, "name_servers=", &[SERVERS], SERVERS, add_servers, "some more").at_load(),
    on(
        ON,
        "listed?",
        &[ADDRESS],
        Kinds::BOOL,
        listed,
        "whether a list has this address; waits for the answers",
    ),
];

fn clear(given: &mut Given<'_, '_>) -> Result<Value> {
    given.knobs_to_change()?.dnsbl.services.clear();
    Ok(Value::Nil)
}

fn add_service(given: &mut Given<'_, '_>) -> Result<Value> {
    let domain = given.text(0).cloned().unwrap_or_default();
    let domain = domain.as_str().trim_matches('.');
    let is_name = |domain: &str| {
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        domain.len() <= MAX_DOMAIN && domain.split('.').all(is_label)
    };
    if !is_name(domain) {
        return Err(given.stop("dnsbl.add_service needs the name of a zone, such as \"bl.example.com\""));
    }
    let expected = if given.text(1).is_some() { Some(given.network(1)?) } else { None };
    let service = Service { domain: domain.into(), expected };
    given.knobs_to_change()?.dnsbl.services.push(service);
    Ok(Value::Nil)
}

fn add_servers(given: &mut Given<'_, '_>) -> Result<Value> {
    let value = given.arguments[0].clone();
    let more = name_servers::read("dnsbl.name_servers", &value)
        .map_err(|complaint| given.vm.stop(given.value_at, complaint))?;
    if let World::Load(loading) = &mut given.vm.world {
        loading.configuration.manager.name_servers.extend(more);
    }
    Ok(value)
}

fn listed(given: &mut Given<'_, '_>) -> Result<Value> {
    let Some(Value::Address(address)) = given.arguments.first() else { return Ok(Value::Bool(false)) };
    let knobs = given.knobs();
    given.spend(10 * knobs.dnsbl.services.len())?;
    match &given.vm.world {
        World::Session(situation) => knobs.dnsbl.is_listed(address, situation.answers).map(Value::Bool),
        World::Load(_) => Ok(Value::Bool(false)),
    }
}
