//! What can be called on arrays, ranges, hashes and the shelf alike: repetition and search.

use std::cmp::Ordering;

use super::{Method, on};
use crate::evaluate::{Given, Result, Stop};
use crate::language::kinds::{Kind, Kinds};
use crate::value::{Range, Value};

const ALL: Kinds = Kinds::ARRAY.with(Kind::Range).with(Kind::Hash).with(Kind::Shelf);
const LISTS: Kinds = Kinds::ARRAY.with(Kind::Range);
const RANGE: Kinds = Kinds::of(Kind::Range);
const ANY: Kinds = Kinds::ANY;
const BOOL: Kinds = Kinds::BOOL;
const INT: Kinds = Kinds::INT;
const ARRAY: Kinds = Kinds::ARRAY;

pub(super) const METHODS: &[Method] = &[
    on(ALL, "each", &[], ALL, each, "runs the block with each element").with_block(),
    on(ALL, "each_with_index", &[], ALL, each_with_index, "the same with its number, from 0").with_block(),
    on(ALL, "map", &[], ARRAY, map, "what the block gives for each").with_block(),
    on(ALL, "collect", &[], ARRAY, map, "the same").with_block(),
    on(ALL, "flat_map", &[], ARRAY, flat_map, "the same, arrays taken apart").with_block(),
    on(ALL, "select", &[], ARRAY.with(Kind::Hash), |g| select(g, true), "those for which the block is true")
        .with_block(),
    on(ALL, "filter", &[], ARRAY.with(Kind::Hash), |g| select(g, true), "the same").with_block(),
    on(ALL, "reject", &[], ARRAY.with(Kind::Hash), |g| select(g, false), "those for which it is not")
        .with_block(),
    on(ALL, "find", &[], ANY, find, "the first for which the block is true").with_block(),
    on(ALL, "detect", &[], ANY, find, "the same").with_block(),
    on(
        ALL,
        "any?",
        &[ANY],
        BOOL,
        |g| Ok(Value::Bool(count_true(g, Some(true))? > 0)),
        "whether one is true, fits (`===`), or the block is true for one",
    )
    .required(0)
    .maybe_block(),
    on(ALL, "all?", &[ANY], BOOL, |g| Ok(Value::Bool(count_false(g)? == 0)), "whether that is so for all")
        .required(0)
        .maybe_block(),
    on(
        ALL,
        "none?",
        &[ANY],
        BOOL,
        |g| Ok(Value::Bool(count_true(g, Some(true))? == 0)),
        "whether it is so for none",
    )
    .required(0)
    .maybe_block(),
    on(ALL, "count", &[ANY], INT, count, "how many there are, equal it, or for how many the block is true")
        .required(0)
        .maybe_block(),
    on(ALL, "to_a", &[], ARRAY, |g| Ok(Value::array(elements(g)?)), "as an array"),
    on(ALL, "inject", &[ANY], ANY, inject, "what the block makes of the last result and each element")
        .required(0)
        .with_block(),
    on(ALL, "reduce", &[ANY], ANY, inject, "the same").required(0).with_block(),
    on(ALL, "sort_by", &[], ARRAY, sort_by, "in the order of what the block gives").with_block(),
    on(LISTS, "sum", &[], ANY, sum, "the sum of numbers"),
    on(LISTS, "min", &[], ANY, |g| most(g, Ordering::Less), "the least"),
    on(LISTS, "max", &[], ANY, |g| most(g, Ordering::Greater), "the greatest"),
    on(RANGE, "include?", &[ANY], BOOL, |g| covers(g, true), "whether it is between the ends"),
    on(RANGE, "member?", &[ANY], BOOL, |g| covers(g, true), "the same"),
    on(RANGE, "cover?", &[ANY], BOOL, |g| covers(g, false), "the same, of strings as well"),
    on(RANGE, "first", &[], ANY, |g| Ok(ends(g).0), "where it begins"),
    on(RANGE, "begin", &[], ANY, |g| Ok(ends(g).0), "where it begins"),
    on(RANGE, "last", &[], ANY, |g| Ok(ends(g).1), "where it ends"),
    on(RANGE, "end", &[], ANY, |g| Ok(ends(g).1), "where it ends"),
    on(RANGE, "size", &[], INT, |g| Ok(Value::count(elements(g)?.len())), "how many whole numbers it has"),
];

/// The elements of anything that has some; of a hash pairs.
pub(super) fn elements(given: &mut Given<'_, '_>) -> Result<Vec<Value>> {
    let found = match given.receiver {
        Value::Array(elements) => elements.read().clone(),
        Value::Hash(pairs) => pairs.read().iter().map(pair).collect(),
        Value::Shelf => super::session::shelf(given)?.iter().map(pair).collect(),
        Value::Range(range) => return numbers(given, range),
        _ => Vec::new(),
    };
    given.spend(found.len())?;
    Ok(found)
}

fn pair((key, value): &(Value, Value)) -> Value {
    Value::array(vec![key.clone(), value.clone()])
}

fn numbers(given: &mut Given<'_, '_>, range: &Range) -> Result<Vec<Value>> {
    let (Value::Int(from), Value::Int(to)) = (&range.from, &range.to) else {
        return Err(given.stop("only a range of whole numbers has elements"));
    };
    let to = if range.exclusive { to.saturating_sub(1) } else { *to };
    let count = to.saturating_sub(*from).saturating_add(1).max(0);
    given.spend(usize::try_from(count).unwrap_or(usize::MAX))?;
    Ok((*from..=to).map(Value::Int).collect())
}

/// Whether `value` is between the ends of a range.
pub(crate) fn range_covers(range: &Range, value: &Value) -> bool {
    let above = match (&range.from, value) {
        (Value::Nil, _) => true,
        (from, value) => from.compare(value).is_some_and(Ordering::is_le),
    };
    let below = match (&range.to, value) {
        (Value::Nil, _) => true,
        (to, value) if range.exclusive => value.compare(to).is_some_and(Ordering::is_lt),
        (to, value) => value.compare(to).is_some_and(Ordering::is_le),
    };
    above && below && !matches!(value, Value::Nil)
}

fn ends(given: &Given<'_, '_>) -> (Value, Value) {
    match given.receiver {
        Value::Range(range) => (range.from.clone(), range.to.clone()),
        _ => (Value::Nil, Value::Nil),
    }
}

fn covers(given: &mut Given<'_, '_>, only_numbers: bool) -> Result<Value> {
    let Value::Range(range) = given.receiver else { return Ok(Value::Bool(false)) };
    if only_numbers && (matches!(range.from, Value::Text(_)) || matches!(range.to, Value::Text(_))) {
        return Err(given.stop("of a range of strings only cover? is supported"));
    }
    Ok(Value::Bool(range_covers(range, &given.arguments[0])))
}

/// At load one element after another, also behind one whose statements failed.
fn each(given: &mut Given<'_, '_>) -> Result<Value> {
    let mut failed = false;
    for element in elements(given)? {
        match given.call(&[element]) {
            Err(Stop::Reported) => failed = true,
            other => drop(other?),
        }
    }
    if failed { Err(Stop::Reported) } else { Ok(given.receiver.clone()) }
}

fn each_with_index(given: &mut Given<'_, '_>) -> Result<Value> {
    let mut failed = false;
    for (at, element) in elements(given)?.into_iter().enumerate() {
        match given.call(&[element, Value::count(at)]) {
            Err(Stop::Reported) => failed = true,
            other => drop(other?),
        }
    }
    if failed { Err(Stop::Reported) } else { Ok(given.receiver.clone()) }
}

fn map(given: &mut Given<'_, '_>) -> Result<Value> {
    let mut results = Vec::new();
    for element in elements(given)? {
        let value = given.call(&[element])?;
        given.vm.check_nesting(&value, None, given.at)?;
        results.push(value);
    }
    Ok(Value::array(results))
}

fn flat_map(given: &mut Given<'_, '_>) -> Result<Value> {
    let mut results = Vec::new();
    for element in elements(given)? {
        match given.call(&[element])? {
            Value::Array(inner) => {
                let inner = inner.read().clone();
                given.spend(inner.len())?;
                results.extend(inner);
            }
            other => results.push(other),
        }
    }
    Ok(Value::array(results))
}

fn select(given: &mut Given<'_, '_>, wanted: bool) -> Result<Value> {
    let mut chosen = Vec::new();
    for element in elements(given)? {
        if given.call(std::slice::from_ref(&element))?.is_truthy() == wanted {
            chosen.push(element);
        }
    }
    if matches!(given.receiver, Value::Hash(_)) {
        let pairs = chosen.iter().filter_map(|pair| match pair {
            Value::Array(pair) => match &pair.read()[..] {
                [key, value] => Some((key.clone(), value.clone())),
                _ => None,
            },
            _ => None,
        });
        return Ok(Value::hash(pairs.collect()));
    }
    Ok(Value::array(chosen))
}

fn find(given: &mut Given<'_, '_>) -> Result<Value> {
    for element in elements(given)? {
        if given.call(std::slice::from_ref(&element))?.is_truthy() {
            return Ok(element);
        }
    }
    Ok(Value::Nil)
}

/// Whether an element counts: it fits the argument, the block is true for it, or it is true itself.
fn counts(given: &mut Given<'_, '_>, element: &Value) -> Result<bool> {
    match (given.arguments.first(), given.block) {
        (Some(pattern), _) => given.vm.fits(pattern, element, given.at),
        (None, Some(_)) => Ok(given.call(std::slice::from_ref(element))?.is_truthy()),
        (None, None) => Ok(element.is_truthy()),
    }
}

/// How many count, up to the first when that is enough.
fn count_true(given: &mut Given<'_, '_>, enough: Option<bool>) -> Result<usize> {
    let mut count = 0;
    for element in elements(given)? {
        if counts(given, &element)? {
            count += 1;
            if enough == Some(true) {
                break;
            }
        }
    }
    Ok(count)
}

/// 1 as soon as one does not count.
fn count_false(given: &mut Given<'_, '_>) -> Result<usize> {
    for element in elements(given)? {
        if !counts(given, &element)? {
            return Ok(1);
        }
    }
    Ok(0)
}

fn count(given: &mut Given<'_, '_>) -> Result<Value> {
    let Some(wanted) = given.arguments.first() else {
        return match given.block {
            Some(_) => count_true(given, None).map(Value::count),
            None => Ok(Value::count(elements(given)?.len())),
        };
    };
    let equal = elements(given)?.iter().filter(|element| element.equals(wanted)).count();
    Ok(Value::count(equal))
}

fn inject(given: &mut Given<'_, '_>) -> Result<Value> {
    let mut result = given.arguments.first().cloned();
    for element in elements(given)? {
        result = Some(match result {
            None => element,
            Some(so_far) => given.call(&[so_far, element])?,
        });
    }
    Ok(result.unwrap_or(Value::Nil))
}

fn sort_by(given: &mut Given<'_, '_>) -> Result<Value> {
    let mut keyed = Vec::new();
    for element in elements(given)? {
        keyed.push((given.call(std::slice::from_ref(&element))?, element));
    }
    let keys: Vec<_> = keyed.iter().map(|(key, _)| key.clone()).collect();
    check_comparable(given, &keys)?;
    keyed.sort_by(|(a, _), (b, _)| a.compare(b).unwrap_or(Ordering::Equal));
    Ok(Value::array(keyed.into_iter().map(|(_, element)| element).collect()))
}

/// Sorted, when all can be compared.
pub(super) fn sorted(given: &mut Given<'_, '_>) -> Result<Vec<Value>> {
    let mut found = elements(given)?;
    check_comparable(given, &found)?;
    found.sort_by(|a, b| a.compare(b).unwrap_or(Ordering::Equal));
    Ok(found)
}

fn check_comparable(given: &mut Given<'_, '_>, values: &[Value]) -> Result<()> {
    given.spend(4 * values.len())?;
    let Some(pair) = values.windows(2).find(|pair| pair[0].compare(&pair[1]).is_none()) else {
        return Ok(());
    };
    Err(given.stop(format!("{} cannot be compared with {}", pair[0].kind(), pair[1].kind())))
}

fn most(given: &mut Given<'_, '_>, wanted: Ordering) -> Result<Value> {
    let mut found = sorted(given)?;
    Ok(if wanted.is_lt() {
        found.into_iter().next().unwrap_or(Value::Nil)
    } else {
        found.pop().unwrap_or(Value::Nil)
    })
}

fn sum(given: &mut Given<'_, '_>) -> Result<Value> {
    let mut whole: i64 = 0;
    let mut float: Option<f64> = None;
    for element in elements(given)? {
        match (element, &mut float) {
            (Value::Int(number), None) => {
                whole = whole.checked_add(number).ok_or_else(|| given.stop("the number is too large"))?;
            }
            (Value::Int(number), Some(sum)) => *sum += to_float(number),
            (Value::Float(number), Some(sum)) => *sum += number,
            (Value::Float(number), None) => float = Some(to_float(whole) + number),
            (other, _) => return Err(given.stop(format!("sum needs numbers but got {}", other.kind()))),
        }
    }
    Ok(float.map_or(Value::Int(whole), Value::Float))
}

#[allow(clippy::cast_precision_loss, reason = "Ruby's own conversion")]
fn to_float(number: i64) -> f64 {
    number as f64
}

/// Which part of `count` elements the element number `at` is; from the end below 0.
pub(super) fn one(at: i64, count: usize) -> Option<(usize, usize)> {
    let at = from_end(at, count)?;
    (at < count).then_some((at, at + 1))
}

/// So many from a place on.
pub(super) fn some(at: i64, length: i64, count: usize) -> Option<(usize, usize)> {
    let from = from_end(at, count)?;
    let length = usize::try_from(length).ok()?;
    (from <= count).then(|| (from, from.saturating_add(length).min(count)))
}

/// The part that a range names.
pub(super) fn span(range: &Range, count: usize) -> Option<(usize, usize)> {
    let end_of = |value: &Value, open: i64| match value {
        Value::Int(at) => Some(*at),
        Value::Nil => Some(open),
        _ => None,
    };
    let from = from_end(end_of(&range.from, 0)?, count)?;
    let to = end_of(&range.to, -1)?;
    let open_end = matches!(range.to, Value::Nil);
    let length = i64::try_from(count).ok()?;
    let to = if to < 0 { to.saturating_add(length) } else { to };
    let to = if range.exclusive && !open_end { to } else { to.saturating_add(1) };
    let to = usize::try_from(to.max(0)).ok()?.min(count);
    (from <= count).then(|| (from, to.max(from)))
}

fn from_end(at: i64, count: usize) -> Option<usize> {
    let length = i64::try_from(count).ok()?;
    usize::try_from(if at < 0 { at.checked_add(length)? } else { at }).ok()
}
