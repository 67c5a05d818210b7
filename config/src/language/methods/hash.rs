//! What can be called on hashes.

use super::{Method, on};
use crate::evaluate::{Given, Result};
use crate::language::kinds::{Kind, Kinds};
use crate::value::{Pairs, Value};

const HASH: Kinds = Kinds::of(Kind::Hash);
const ANY: Kinds = Kinds::ANY;
const BOOL: Kinds = Kinds::BOOL;

pub(super) const METHODS: &[Method] = &[
    on(HASH, "[]", &[ANY], ANY, look_up, "the value of a key"),
    on(HASH, "[]=", &[ANY, ANY], ANY, set, "sets the value of a key"),
    on(
        HASH,
        "fetch",
        &[ANY, ANY],
        ANY,
        fetch,
        "the value of a key that must be there, or else the other value",
    )
    .required(1),
    on(HASH, "delete", &[ANY], ANY, delete, "takes a key away and gives its value"),
    on(
        HASH,
        "clear",
        &[],
        HASH,
        |g| {
            changed(g, Vec::clear)?;
            Ok(g.receiver.clone())
        },
        "takes all away",
    ),
    on(HASH, "key?", &[ANY], BOOL, has_key, "whether there is such a key"),
    on(HASH, "has_key?", &[ANY], BOOL, has_key, "the same"),
    on(HASH, "include?", &[ANY], BOOL, has_key, "the same"),
    on(HASH, "member?", &[ANY], BOOL, has_key, "the same"),
    on(HASH, "value?", &[ANY], BOOL, has_value, "whether there is such a value"),
    on(
        HASH,
        "keys",
        &[],
        Kinds::ARRAY,
        |g| {
            let pairs = held(g)?;
            Ok(Value::array(pairs.into_iter().map(|(key, _)| key).collect()))
        },
        "all keys",
    ),
    on(
        HASH,
        "values",
        &[],
        Kinds::ARRAY,
        |g| {
            let pairs = held(g)?;
            Ok(Value::array(pairs.into_iter().map(|(_, value)| value).collect()))
        },
        "all values",
    ),
    on(HASH, "merge", &[HASH], HASH, merge, "another hash with the pairs of both; the second wins"),
    on(HASH, "size", &[], Kinds::INT, |g| Ok(Value::count(held(g)?.len())), "how many pairs there are"),
    on(HASH, "length", &[], Kinds::INT, |g| Ok(Value::count(held(g)?.len())), "the same"),
    on(HASH, "empty?", &[], BOOL, |g| Ok(Value::Bool(held(g)?.is_empty())), "whether there are none"),
    on(HASH, "dup", &[], HASH, |g| held(g).map(Value::hash), "another hash with the same pairs"),
];

fn held(given: &mut Given<'_, '_>) -> Result<Pairs> {
    let pairs = if let Value::Hash(pairs) = given.receiver { pairs.read().clone() } else { Vec::new() };
    given.spend(pairs.len())?;
    Ok(pairs)
}

/// The value of the key that is the first argument.
fn found(given: &mut Given<'_, '_>) -> Result<Option<Value>> {
    let Value::Hash(pairs) = given.receiver else { return Ok(None) };
    let pairs = pairs.read();
    given.spend(pairs.len() / 8)?;
    let key = &given.arguments[0];
    Ok(pairs.iter().find(|(known, _)| known.same_key(key)).map(|(_, value)| value.clone()))
}

fn look_up(given: &mut Given<'_, '_>) -> Result<Value> {
    Ok(found(given)?.unwrap_or(Value::Nil))
}

fn has_key(given: &mut Given<'_, '_>) -> Result<Value> {
    Ok(Value::Bool(found(given)?.is_some()))
}

fn has_value(given: &mut Given<'_, '_>) -> Result<Value> {
    let pairs = held(given)?;
    Ok(Value::Bool(pairs.iter().any(|(_, value)| value.equals(&given.arguments[0]))))
}

fn fetch(given: &mut Given<'_, '_>) -> Result<Value> {
    match (found(given)?, given.arguments.get(1)) {
        (Some(value), _) => Ok(value),
        (None, Some(other)) => Ok(other.clone()),
        (None, None) => Err(given.stop(format!("the hash has no key {}", given.arguments[0].inspect()))),
    }
}

fn changed<T>(given: &mut Given<'_, '_>, change: impl FnOnce(&mut Pairs) -> T) -> Result<T> {
    let Value::Hash(pairs) = given.receiver else { return Err(given.stop("not a hash")) };
    match pairs.write() {
        Some(mut pairs) => Ok(change(&mut pairs)),
        None => Err(given.stop("a hash of the configuration cannot be changed by a session")),
    }
}

fn set(given: &mut Given<'_, '_>) -> Result<Value> {
    let (key, value) = (&given.arguments[0], &given.arguments[1]);
    given.vm.check_nesting(value, Some(given.receiver), given.value_at)?;
    given.vm.note_extra_option(given.receiver, given.at);
    let Value::Hash(pairs) = given.receiver else { return Ok(Value::Nil) };
    if pairs.is_frozen() {
        return Err(given.stop("a hash of the configuration cannot be changed by a session"));
    }
    let mut held = pairs.replace(Vec::new());
    let result = given.vm.put(&mut held, key.clone(), value.clone(), given.at);
    pairs.replace(held);
    result.map(|()| value.clone())
}

fn delete(given: &mut Given<'_, '_>) -> Result<Value> {
    let key = &given.arguments[0];
    let size = held(given)?.len();
    given.spend(size / 8)?;
    let deleted = changed(given, |pairs| {
        let at = pairs.iter().position(|(known, _)| known.same_key(key))?;
        Some(pairs.remove(at).1)
    })?;
    Ok(deleted.unwrap_or(Value::Nil))
}

fn merge(given: &mut Given<'_, '_>) -> Result<Value> {
    let mut pairs = held(given)?;
    let Value::Hash(other) = &given.arguments[0] else { return Ok(Value::Nil) };
    for (key, value) in other.read().clone() {
        given.vm.put(&mut pairs, key, value, given.at)?;
    }
    Ok(Value::hash(pairs))
}
