//! What can be called on arrays.

use super::elements::{one, some, sorted, span};
use super::{Method, on};
use crate::evaluate::{Given, Result};
use crate::language::kinds::{Kind, Kinds};
use crate::language::text::Text;
use crate::value::Value;

const ARRAY: Kinds = Kinds::ARRAY;
const ANY: Kinds = Kinds::ANY;
const INT: Kinds = Kinds::INT;
const BOOL: Kinds = Kinds::BOOL;

pub(super) const METHODS: &[Method] = &[
    on(
        ARRAY,
        "+",
        &[ARRAY],
        ARRAY,
        |g| combined(g, |a, b| a.iter().chain(b).cloned().collect(), false),
        "one behind the other",
    ),
    on(
        ARRAY,
        "-",
        &[ARRAY],
        ARRAY,
        |g| combined(g, |a, b| a.iter().filter(|x| !has_same(b, x)).cloned().collect(), true),
        "what is not in the other",
    ),
    on(
        ARRAY,
        "&",
        &[ARRAY],
        ARRAY,
        |g| combined(g, |a, b| unique(a.iter().filter(|x| has_same(b, x))), true),
        "what is in both, once",
    ),
    on(
        ARRAY,
        "|",
        &[ARRAY],
        ARRAY,
        |g| combined(g, |a, b| unique(a.iter().chain(b)), true),
        "what is in one of them, once",
    ),
    on(ARRAY, "<<", &[ANY], ARRAY, push, "puts an element behind the last"),
    on(ARRAY, "push", &[ANY], ARRAY, push, "puts elements behind the last").required(0).many(),
    on(ARRAY, "append", &[ANY], ARRAY, push, "the same").required(0).many(),
    on(ARRAY, "concat", &[ARRAY], ARRAY, concat, "puts the elements of another behind the last"),
    on(ARRAY, "unshift", &[ANY], ARRAY, unshift, "puts elements before the first").required(0).many(),
    on(ARRAY, "pop", &[], ANY, |g| taken(g, Vec::pop), "takes the last away"),
    on(
        ARRAY,
        "shift",
        &[],
        ANY,
        |g| taken(g, |all| (!all.is_empty()).then(|| all.remove(0))),
        "takes the first away",
    ),
    on(ARRAY, "delete", &[ANY], ANY, delete, "takes away what equals it"),
    on(
        ARRAY,
        "clear",
        &[],
        ARRAY,
        |g| {
            changed(g, Vec::clear)?;
            Ok(g.receiver.clone())
        },
        "takes all away",
    ),
    on(
        ARRAY,
        "[]",
        &[INT.with(Kind::Range), INT],
        ANY,
        element,
        "an element, or a part by range or place and length",
    )
    .required(1),
    on(ARRAY, "[]=", &[INT, ANY], ANY, set, "puts an element at a place"),
    on(ARRAY, "first", &[INT], ANY, |g| end(g, false), "the first, or so many").required(0),
    on(ARRAY, "last", &[INT], ANY, |g| end(g, true), "the last, or so many").required(0),
    on(ARRAY, "size", &[], INT, |g| Ok(Value::count(count(g))), "how many there are"),
    on(ARRAY, "length", &[], INT, |g| Ok(Value::count(count(g))), "the same"),
    on(ARRAY, "empty?", &[], BOOL, |g| Ok(Value::Bool(count(g) == 0)), "whether there are none"),
    on(ARRAY, "include?", &[ANY], BOOL, include, "whether one equals it"),
    on(ARRAY, "member?", &[ANY], BOOL, include, "the same"),
    on(
        ARRAY,
        "index",
        &[ANY],
        INT.or_nil(),
        index,
        "the number of the first that equals it, or for which the block is true",
    )
    .required(0)
    .maybe_block(),
    on(ARRAY, "join", &[Kinds::TEXT.or_nil()], Kinds::TEXT, join, "as a string, with another between them")
        .required(0),
    on(
        ARRAY,
        "reverse",
        &[],
        ARRAY,
        |g| Ok(Value::array(copied(g)?.into_iter().rev().collect())),
        "backwards",
    ),
    on(ARRAY, "sort", &[], ARRAY, |g| sorted(g).map(Value::array), "in order"),
    on(
        ARRAY,
        "uniq",
        &[],
        ARRAY,
        |g| {
            let all = copied(g)?;
            g.spend(all.len() * all.len() / 8)?;
            Ok(Value::array(unique(all.iter())))
        },
        "each once",
    ),
    on(
        ARRAY,
        "compact",
        &[],
        ARRAY,
        |g| Ok(Value::array(copied(g)?.into_iter().filter(|x| !matches!(x, Value::Nil)).collect())),
        "without nil",
    ),
    on(ARRAY, "flatten", &[], ARRAY, flatten, "arrays in it taken apart"),
    on(ARRAY, "dup", &[], ARRAY, |g| Ok(Value::array(copied(g)?)), "another array with the same elements"),
];

fn held(given: &Given<'_, '_>) -> Vec<Value> {
    if let Value::Array(elements) = given.receiver { elements.read().clone() } else { Vec::new() }
}

fn count(given: &Given<'_, '_>) -> usize {
    if let Value::Array(elements) = given.receiver { elements.read().len() } else { 0 }
}

fn copied(given: &mut Given<'_, '_>) -> Result<Vec<Value>> {
    let all = held(given);
    given.spend(all.len())?;
    Ok(all)
}

fn has(all: &[Value], wanted: &Value) -> bool {
    all.iter().any(|value| value.equals(wanted))
}

fn has_same(all: &[Value], wanted: &Value) -> bool {
    all.iter().any(|value| value.is_same(wanted))
}

fn unique<'v>(values: impl Iterator<Item = &'v Value>) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for value in values {
        if !has_same(&found, value) {
            found.push(value.clone());
        }
    }
    found
}

fn combined(
    given: &mut Given<'_, '_>,
    how: fn(&[Value], &[Value]) -> Vec<Value>,
    compares: bool,
) -> Result<Value> {
    let first = held(given);
    let Value::Array(second) = &given.arguments[0] else { return Ok(Value::Nil) };
    let second = second.read().clone();
    let cost = first.len() + second.len();
    given.spend(if compares { cost + cost * cost / 8 } else { cost })?;
    Ok(Value::array(how(&first, &second)))
}

/// Changes the elements, where they may be.
fn changed<T>(given: &mut Given<'_, '_>, change: impl FnOnce(&mut Vec<Value>) -> T) -> Result<T> {
    let Value::Array(elements) = given.receiver else { return Err(given.stop("not an array")) };
    match elements.write() {
        Some(mut elements) => Ok(change(&mut elements)),
        None => Err(given.stop("an array of the configuration cannot be changed by a session")),
    }
}

fn push(given: &mut Given<'_, '_>) -> Result<Value> {
    for element in given.arguments {
        given.vm.check_nesting(element, Some(given.receiver), given.value_at)?;
    }
    given.spend(given.arguments.len())?;
    let added = given.arguments;
    changed(given, |all| all.extend_from_slice(added))?;
    Ok(given.receiver.clone())
}

fn concat(given: &mut Given<'_, '_>) -> Result<Value> {
    let Value::Array(added) = &given.arguments[0] else { return Ok(Value::Nil) };
    let added = added.read().clone();
    given.spend(added.len())?;
    for element in &added {
        given.vm.check_nesting(element, Some(given.receiver), given.value_at)?;
    }
    changed(given, |all| all.extend(added))?;
    Ok(given.receiver.clone())
}

fn unshift(given: &mut Given<'_, '_>) -> Result<Value> {
    for element in given.arguments {
        given.vm.check_nesting(element, Some(given.receiver), given.value_at)?;
    }
    given.spend(count(given))?;
    let added = given.arguments;
    changed(given, |all| drop(all.splice(0..0, added.iter().cloned())))?;
    Ok(given.receiver.clone())
}

fn taken(given: &mut Given<'_, '_>, take: fn(&mut Vec<Value>) -> Option<Value>) -> Result<Value> {
    given.spend(count(given) / 16)?;
    Ok(changed(given, take)?.unwrap_or(Value::Nil))
}

fn delete(given: &mut Given<'_, '_>) -> Result<Value> {
    given.spend(count(given))?;
    let wanted = &given.arguments[0];
    let deleted = changed(given, |all| {
        let before = all.len();
        all.retain(|element| !element.equals(wanted));
        before != all.len()
    })?;
    Ok(if deleted { wanted.clone() } else { Value::Nil })
}

fn element(given: &mut Given<'_, '_>) -> Result<Value> {
    let Value::Array(elements) = given.receiver else { return Ok(Value::Nil) };
    let elements = elements.read();
    let count = elements.len();
    let part = match (&given.arguments[0], given.int(1)) {
        (Value::Int(at), None) => {
            let at = one(*at, count).map(|(at, _)| at);
            return Ok(at.and_then(|at| elements.get(at)).cloned().unwrap_or(Value::Nil));
        }
        (Value::Int(at), Some(length)) => some(*at, length, count),
        (Value::Range(range), None) => span(range, count),
        _ => None,
    };
    let Some((from, to)) = part else { return Ok(Value::Nil) };
    let part = elements[from..to].to_vec();
    drop(elements);
    given.spend(part.len())?;
    Ok(Value::array(part))
}

fn set(given: &mut Given<'_, '_>) -> Result<Value> {
    let value = &given.arguments[1];
    given.vm.check_nesting(value, Some(given.receiver), given.value_at)?;
    let at = given.int(0).unwrap_or_default();
    let count = count(given);
    let at = match usize::try_from(at) {
        Ok(at) => at,
        Err(_) => match one(at, count) {
            Some((at, _)) => at,
            None => return Err(given.stop(format!("the place {at} is before the first"))),
        },
    };
    given.spend(at.saturating_sub(count))?;
    changed(given, |all| {
        if all.len() <= at {
            all.resize(at + 1, Value::Nil);
        }
        all[at] = value.clone();
    })?;
    Ok(value.clone())
}

fn end(given: &mut Given<'_, '_>, last: bool) -> Result<Value> {
    let Value::Array(elements) = given.receiver else { return Ok(Value::Nil) };
    let all = elements.read();
    let Some(count) = given.int(0) else {
        return Ok(if last { all.last() } else { all.first() }.cloned().unwrap_or(Value::Nil));
    };
    let Ok(count) = usize::try_from(count) else { return Err(given.stop("there cannot be less than 0")) };
    let count = count.min(all.len());
    given.spend(count)?;
    Ok(Value::array(if last { all[all.len() - count..].to_vec() } else { all[..count].to_vec() }))
}

fn include(given: &mut Given<'_, '_>) -> Result<Value> {
    let Value::Array(elements) = given.receiver else { return Ok(Value::Nil) };
    let elements = elements.read();
    given.spend(elements.len() / 4)?;
    Ok(Value::Bool(has(&elements, &given.arguments[0])))
}

fn index(given: &mut Given<'_, '_>) -> Result<Value> {
    if given.arguments.is_empty() && given.block.is_none() {
        return Err(given.stop("it needs a value to look for, or a block"));
    }
    let all = copied(given)?;
    for (at, element) in all.iter().enumerate() {
        let fits = match given.arguments.first() {
            Some(wanted) => element.equals(wanted),
            None => given.call(std::slice::from_ref(element))?.is_truthy(),
        };
        if fits {
            return Ok(Value::count(at));
        }
    }
    Ok(Value::Nil)
}

fn join(given: &mut Given<'_, '_>) -> Result<Value> {
    let separator = given.text(0).cloned().unwrap_or_default();
    let mut out = Vec::new();
    for (at, element) in flat(given)?.into_iter().enumerate() {
        let Some(text) = element.to_text() else {
            return Err(given.stop("join needs an array of plain values"));
        };
        if at > 0 {
            out.extend_from_slice(&separator);
        }
        out.extend_from_slice(&text);
        given.vm.check_length(out.len(), given.at)?;
    }
    Ok(Value::Text(Text::from(out)))
}

fn flatten(given: &mut Given<'_, '_>) -> Result<Value> {
    flat(given).map(Value::array)
}

/// The elements, those of arrays in it instead of the arrays. How deep they are is bounded where they are made.
fn flat(given: &mut Given<'_, '_>) -> Result<Vec<Value>> {
    let mut out = Vec::new();
    let mut pending: Vec<Value> = held(given).into_iter().rev().collect();
    while let Some(value) = pending.pop() {
        given.spend(1)?;
        match value {
            Value::Array(inner) => pending.extend(inner.read().iter().rev().cloned()),
            other => out.push(other),
        }
    }
    Ok(out)
}
