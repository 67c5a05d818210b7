//! What stoppers are given: the context of a child, the client's address, the shelf of the message; and the log.

use std::net::IpAddr;

use bytes::Bytes;
use millstream_core::policy::{ChildIndex, ChildState, Remark, RemarkLevel};
use millstream_core::wire::bare;

use super::{Method, on};
use crate::evaluate::{Given, Result, Situation, Stop, World};
use crate::language::address::{Address, Network};
use crate::language::kinds::{Kind, Kinds};
use crate::load::Message;
use crate::shelf;
use crate::value::{Pairs, Value};

const CONTEXT: Kinds = Kinds::of(Kind::Context);
const ADDRESS: Kinds = Kinds::of(Kind::Address);
const NETWORK: Kinds = Kinds::of(Kind::Network);
const SHELF: Kinds = Kinds::of(Kind::Shelf);
const LOGGER: Kinds = Kinds::of(Kind::Logger);
const TEXT: Kinds = Kinds::TEXT;
const BOOL: Kinds = Kinds::BOOL;
/// What can be kept on the shelf.
const PLAIN: Kinds =
    Kinds::NUMBER.and(TEXT).and(BOOL).with(Kind::Nil).with(Kind::Symbol).with(Kind::Array).with(Kind::Hash);

pub(super) const METHODS: &[Method] = &[
    on(CONTEXT, "name", &[], TEXT, name, "the name of the milter"),
    on(
        CONTEXT,
        "[]",
        &[TEXT.with(Kind::Symbol)],
        TEXT.or_nil(),
        macro_value,
        "the value of a macro, by its name with or without braces",
    ),
    on(
        CONTEXT,
        "[]=",
        &[TEXT.with(Kind::Symbol), TEXT],
        TEXT,
        set_macro,
        "sets a macro that the milter is sent at this stage",
    ),
    on(
        CONTEXT,
        "reject?",
        &[],
        BOOL,
        |g| state(g, ChildState::Rejected),
        "whether that milter has rejected; waits for it",
    ),
    on(
        CONTEXT,
        "temporary_failure?",
        &[],
        BOOL,
        |g| state(g, ChildState::TemporarilyFailed),
        "whether it has asked to try later; waits for it",
    ),
    on(
        CONTEXT,
        "accept?",
        &[],
        BOOL,
        |g| state(g, ChildState::Accepted),
        "whether it has accepted; waits for it",
    ),
    on(
        CONTEXT,
        "discard?",
        &[],
        BOOL,
        |g| state(g, ChildState::Discarded),
        "whether it has discarded; waits for it",
    ),
    on(CONTEXT, "quitted?", &[], BOOL, quitted, "whether it takes no part any more"),
    on(
        CONTEXT,
        "children",
        &[],
        Kinds::of(Kind::Hash),
        children,
        "a hash of the contexts of all enabled milters by their names",
    ),
    on(
        CONTEXT,
        "n_processing_sessions",
        &[],
        Kinds::INT,
        |g| {
            let sessions = situation(g)?.facts.environment.sessions;
            Ok(Value::Int(i64::from(sessions)))
        },
        "how many sessions there were when this one began",
    ),
    on(CONTEXT, "postfix?", &[], BOOL, postfix, "whether the MTA is Postfix, by the macro `v`"),
    on(
        CONTEXT,
        "authenticated?",
        &[],
        BOOL,
        authenticated,
        "whether the macro `auth_type` or `auth_authen` is there",
    ),
    on(
        CONTEXT,
        "mail_transaction_shelf",
        &[],
        SHELF,
        |_| Ok(Value::Shelf),
        "values for the message, which all milters of the session share",
    ),
    on(
        ADDRESS,
        "address",
        &[],
        TEXT.or_nil(),
        |g| Ok(inet(g).map_or(Value::Nil, |(address, _)| Value::text(&address.to_string()))),
        "the IP address; nil of others",
    ),
    on(
        ADDRESS,
        "port",
        &[],
        Kinds::INT.or_nil(),
        |g| Ok(inet(g).map_or(Value::Nil, |(_, port)| Value::Int(i64::from(port)))),
        "the TCP port; nil of others",
    ),
    on(ADDRESS, "path", &[], TEXT.or_nil(), path, "the path of a unix socket; nil of others"),
    on(
        ADDRESS,
        "local?",
        &[],
        BOOL,
        |g| Ok(Value::Bool(address(g).is_some_and(Address::is_local))),
        "loopback, 10/8, 172.16/12, 192.168/16, `::1`, fe80::/10 or a unix socket",
    ),
    on(
        ADDRESS,
        "ipv4?",
        &[],
        BOOL,
        |g| Ok(Value::Bool(inet(g).is_some_and(|(address, _)| address.is_ipv4()))),
        "",
    ),
    on(
        ADDRESS,
        "ipv6?",
        &[],
        BOOL,
        |g| Ok(Value::Bool(inet(g).is_some_and(|(address, _)| address.is_ipv6()))),
        "",
    ),
    on(ADDRESS, "unix?", &[], BOOL, |g| Ok(Value::Bool(matches!(address(g), Some(Address::Unix(_))))), ""),
    on(ADDRESS, "unknown?", &[], BOOL, |g| Ok(Value::Bool(matches!(address(g), Some(Address::Unknown)))), ""),
    on(
        ADDRESS,
        "to_ip_address",
        &[],
        NETWORK.or_nil(),
        to_network,
        "the network of this address alone; nil when there is no IP address",
    ),
    on(
        ADDRESS,
        "pack",
        &[],
        TEXT.or_nil(),
        |g| Ok(address(g).and_then(Address::pack).map_or(Value::Nil, |bytes| Value::bytes(&bytes))),
        "the bytes of the socket address",
    ),
    on(
        NETWORK,
        "include?",
        &[NETWORK.and(TEXT).with(Kind::Address)],
        BOOL,
        |g| Ok(Value::Bool(network_includes(g.receiver, &g.arguments[0]))),
        "whether all of the other is in it",
    ),
    on(NETWORK, "ipv4?", &[], BOOL, |g| Ok(Value::Bool(is_v4(g))), ""),
    on(NETWORK, "ipv6?", &[], BOOL, |g| Ok(Value::Bool(!is_v4(g))), ""),
    on(SHELF, "[]", &[TEXT.with(Kind::Symbol)], PLAIN, shelf_value, "what is kept under a key, or nil"),
    on(
        SHELF,
        "[]=",
        &[TEXT.with(Kind::Symbol), PLAIN],
        PLAIN,
        set_shelf,
        "keeps a value until the next message; what is kept at connect or helo stays for the session",
    ),
    on(
        SHELF,
        "keys",
        &[],
        Kinds::ARRAY,
        |g| Ok(Value::array(shelf(g)?.into_iter().map(|(key, _)| key).collect())),
        "all keys",
    ),
    on(SHELF, "size", &[], Kinds::INT, |g| Ok(Value::count(shelf(g)?.len())), "how many keys there are"),
    on(SHELF, "empty?", &[], BOOL, |g| Ok(Value::Bool(shelf(g)?.is_empty())), "whether nothing is kept"),
    on(
        SHELF,
        "key?",
        &[TEXT.with(Kind::Symbol)],
        BOOL,
        |g| {
            let value = shelf_value(g)?;
            Ok(Value::Bool(!matches!(value, Value::Nil)))
        },
        "whether something is kept under a key",
    ),
    on(
        LOGGER,
        "critical",
        &[TEXT],
        Kinds::NONE.or_nil(),
        |g| log(g, RemarkLevel::Critical),
        "a line for the log",
    ),
    on(LOGGER, "error", &[TEXT], Kinds::NONE.or_nil(), |g| log(g, RemarkLevel::Error), ""),
    on(LOGGER, "warning", &[TEXT], Kinds::NONE.or_nil(), |g| log(g, RemarkLevel::Warning), ""),
    on(LOGGER, "message", &[TEXT], Kinds::NONE.or_nil(), |g| log(g, RemarkLevel::Message), ""),
    on(LOGGER, "info", &[TEXT], Kinds::NONE.or_nil(), |g| log(g, RemarkLevel::Info), ""),
    on(LOGGER, "debug", &[TEXT], Kinds::NONE.or_nil(), |g| log(g, RemarkLevel::Debug), ""),
    on(LOGGER, "trace", &[TEXT], Kinds::NONE.or_nil(), |g| log(g, RemarkLevel::Trace), ""),
    on(LOGGER, "statistics", &[TEXT], Kinds::NONE.or_nil(), |g| log(g, RemarkLevel::Statistics), ""),
    on(LOGGER, "profile", &[TEXT], Kinds::NONE.or_nil(), |g| log(g, RemarkLevel::Profile), ""),
];

/// Most bytes that all conditions of a session may keep.
const MAX_KEPT: usize = 64 << 10;

/// Longest line for the log, in bytes.
const MAX_LINE: usize = 1 << 10;

fn situation<'g, 'e, 'o>(given: &'g mut Given<'e, 'o>) -> Result<&'g mut Situation<'o>> {
    let outside = matches!(given.vm.world, World::Load(_));
    if outside {
        return Err(given.stop("there is no session here"));
    }
    match &mut given.vm.world {
        World::Session(situation) => Ok(situation),
        World::Load(_) => Err(Stop::Reported),
    }
}

fn child(given: &Given<'_, '_>) -> u16 {
    if let Value::Context(child) = given.receiver { *child } else { u16::MAX }
}

fn name(given: &mut Given<'_, '_>) -> Result<Value> {
    let child = usize::from(child(given));
    Ok(situation(given)?.children.get(child).map_or(Value::Nil, |child| Value::text(&child.name)))
}

fn macro_value(given: &mut Given<'_, '_>) -> Result<Value> {
    let name = given.text(0).cloned().unwrap_or_default();
    let child = child(given);
    Ok(situation(given)?.macro_value(child, &name).map_or(Value::Nil, Value::Text))
}

fn set_macro(given: &mut Given<'_, '_>) -> Result<Value> {
    let name = given.text(0).cloned().unwrap_or_default();
    let value = given.text(1).cloned().unwrap_or_default();
    let own = child(given) == situation(given)?.child;
    if !own {
        return Err(given.stop("a macro can only be set for the milter that the stopper is asked about"));
    }
    if name.is_empty() || [&name, &value].iter().any(|text| text.contains(&0)) {
        return Err(given.stop("a macro needs a name, and no NUL in name and value"));
    }
    let name = Bytes::copy_from_slice(bare(&name));
    check_room(given, name.len() + value.len())?;
    situation(given)?.set_macro(name, value.bytes().clone());
    Ok(Value::Text(value))
}

/// That so many bytes more may be kept.
fn check_room(given: &mut Given<'_, '_>, more: usize) -> Result<()> {
    let situation = situation(given)?;
    let noted =
        situation.notes.memory.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len));
    let kept = situation.facts.memory.bytes() + noted.sum::<usize>();
    if kept + more <= MAX_KEPT {
        return Ok(());
    }
    Err(given.stop(format!("macros and shelf of a session are larger than {MAX_KEPT} bytes")))
}

fn state(given: &mut Given<'_, '_>, wanted: ChildState) -> Result<Value> {
    let child = child(given);
    match situation(given)?.state(child) {
        ChildState::Pending => Err(Stop::Await(ChildIndex(child))),
        found => Ok(Value::Bool(found == wanted)),
    }
}

fn quitted(given: &mut Given<'_, '_>) -> Result<Value> {
    let child = child(given);
    let found = situation(given)?.state(child);
    Ok(Value::Bool(matches!(found, ChildState::Stopped | ChildState::Gone)))
}

fn children(given: &mut Given<'_, '_>) -> Result<Value> {
    let all = situation(given)?.children;
    given.spend(all.len())?;
    let pairs = all.iter().zip(0..).map(|(child, at)| (Value::text(&child.name), Value::Context(at)));
    Ok(Value::hash(pairs.collect()))
}

fn postfix(given: &mut Given<'_, '_>) -> Result<Value> {
    let child = child(given);
    Ok(Value::Bool(situation(given)?.is_postfix(child)))
}

fn authenticated(given: &mut Given<'_, '_>) -> Result<Value> {
    let child = child(given);
    Ok(Value::Bool(situation(given)?.is_authenticated(child)))
}

fn address<'g>(given: &'g Given<'_, '_>) -> Option<&'g Address> {
    if let Value::Address(address) = given.receiver { Some(address) } else { None }
}

fn inet(given: &Given<'_, '_>) -> Option<(IpAddr, u16)> {
    if let Some(Address::Inet(address, port)) = address(given) { Some((*address, *port)) } else { None }
}

fn path(given: &mut Given<'_, '_>) -> Result<Value> {
    Ok(if let Some(Address::Unix(path)) = address(given) { Value::Text(path.clone()) } else { Value::Nil })
}

fn to_network(given: &mut Given<'_, '_>) -> Result<Value> {
    let network = address(given).and_then(Address::network);
    Ok(network.map_or(Value::Nil, |network| Value::Network(network.into())))
}

fn is_v4(given: &Given<'_, '_>) -> bool {
    given.receiver.to_text().is_some_and(|text| !text.contains(&b':'))
}

/// Whether `other`, a network, an address or the text of one, is in `network`.
pub(crate) fn network_includes(network: &Value, other: &Value) -> bool {
    let Value::Network(network) = network else { return false };
    let other = match other {
        Value::Network(other) => Some(**other),
        Value::Address(address) => address.network(),
        Value::Text(text) => Network::parse(text.as_str()),
        _ => None,
    };
    other.is_some_and(|other| network.includes(&other))
}

/// Everything on the shelf.
pub(super) fn shelf(given: &mut Given<'_, '_>) -> Result<Pairs> {
    let situation = situation(given)?;
    let mut found: Vec<(Bytes, Bytes)> =
        situation.facts.memory.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    for (key, value) in &situation.notes.memory {
        found.retain(|(known, _)| known != key);
        found.extend(value.clone().map(|value| (key.clone(), value)));
    }
    given.spend(found.len())?;
    let kept = found.iter().filter_map(|(key, value)| {
        let key = key.strip_prefix(b"s")?;
        Some((Value::bytes(key), shelf::decode(value)?))
    });
    Ok(kept.collect())
}

fn shelf_key(given: &Given<'_, '_>) -> Bytes {
    [b"s", &given.text(0).cloned().unwrap_or_default()[..]].concat().into()
}

fn shelf_value(given: &mut Given<'_, '_>) -> Result<Value> {
    let key = shelf_key(given);
    let situation = situation(given)?;
    let noted = situation.notes.memory.iter().rev().find(|(known, _)| *known == key);
    let value = match noted {
        Some((_, value)) => value.clone(),
        None => situation.facts.memory.find(&key).cloned(),
    };
    Ok(value.and_then(|value| shelf::decode(&value)).unwrap_or(Value::Nil))
}

fn set_shelf(given: &mut Given<'_, '_>) -> Result<Value> {
    let key = shelf_key(given);
    let value = given.arguments[1].clone();
    let encoded = match &value {
        Value::Nil => None,
        value => match shelf::encode(value) {
            Some(bytes) => Some(bytes),
            None => {
                let message =
                    "only strings, symbols, numbers, true, false, nil, arrays and hashes can be kept";
                return Err(given.stop(message));
            }
        },
    };
    let size = key.len() + encoded.as_ref().map_or(0, Bytes::len);
    given.spend(size / 8)?;
    check_room(given, size)?;
    situation(given)?.notes.memory.push((key, encoded));
    Ok(value)
}

fn log(given: &mut Given<'_, '_>, level: RemarkLevel) -> Result<Value> {
    let text = given.text(0).cloned().unwrap_or_default();
    let text = text.part(0, text.len().min(MAX_LINE));
    // Lines cost more than steps.
    given.spend(100 + text.len())?;
    let text = text.to_string();
    let location = given.vm.location(given.at);
    match &mut given.vm.world {
        World::Load(loading) => loading.messages.push(Message { level, text, location }),
        World::Session(situation) => {
            let from = situation.from.clone();
            situation.notes.remarks.push(Remark { level, from, text: text.into() });
        }
    }
    Ok(Value::Nil)
}
