//! What can be called on every value.

use super::{Method, on};
use crate::evaluate::{Given, MAX_TEXT, Result};
use crate::language::kinds::{Kind, Kinds};
use crate::value::Value;

/// What has a text.
const PLAIN: Kinds = Kinds::NUMBER
    .and(Kinds::TEXT)
    .and(Kinds::BOOL)
    .with(Kind::Nil)
    .with(Kind::Symbol)
    .with(Kind::Regexp)
    .with(Kind::Match)
    .with(Kind::Time)
    .with(Kind::Address)
    .with(Kind::Network);

pub(super) const METHODS: &[Method] = &[
    on(Kinds::ANY, "==", &[Kinds::ANY], Kinds::BOOL, |g| equals(g, true), "the same value"),
    on(Kinds::ANY, "!=", &[Kinds::ANY], Kinds::BOOL, |g| equals(g, false), "another value"),
    on(Kinds::ANY, "===", &[Kinds::ANY], Kinds::BOOL, fits, "as `when` compares"),
    on(
        Kinds::ANY,
        "<=>",
        &[Kinds::ANY],
        Kinds::INT.or_nil(),
        |g| Ok(g.receiver.compare(&g.arguments[0]).map_or(Value::Nil, |order| Value::Int(order as i64))),
        "-1, 0 or 1; nil when they cannot be compared",
    ),
    on(
        Kinds::ANY,
        "eql?",
        &[Kinds::ANY],
        Kinds::BOOL,
        |g| Ok(Value::Bool(g.receiver.is_same(&g.arguments[0]))),
        "the same value of the same kind of number",
    ),
    on(
        Kinds::ANY,
        "nil?",
        &[],
        Kinds::BOOL,
        |g| Ok(Value::Bool(matches!(g.receiver, Value::Nil))),
        "whether it is nil",
    ),
    on(Kinds::ANY, "inspect", &[], Kinds::TEXT, inspect, "as it would be written"),
    on(PLAIN, "to_s", &[], Kinds::TEXT, to_s, "as a string"),
    on(Kinds::of(Kind::Nil), "to_a", &[], Kinds::ARRAY, |_| Ok(Value::array(Vec::new())), "`[]`"),
    on(Kinds::of(Kind::Nil), "to_i", &[], Kinds::INT, |_| Ok(Value::Int(0)), "`0`"),
    on(Kinds::of(Kind::Nil), "=~", &[Kinds::ANY], Kinds::of(Kind::Nil), |_| Ok(Value::Nil), "nil"),
];

fn equals(given: &mut Given<'_, '_>, wanted: bool) -> Result<Value> {
    let other = &given.arguments[0];
    let size = match given.receiver {
        Value::Array(elements) => elements.read().len(),
        // Each key is looked for.
        Value::Hash(pairs) => pairs.read().len() * pairs.read().len() / 8,
        Value::Text(text) => text.len() / 64,
        _ => 0,
    };
    given.spend(size)?;
    Ok(Value::Bool(given.receiver.equals(other) == wanted))
}

fn fits(given: &mut Given<'_, '_>) -> Result<Value> {
    given.vm.fits(given.receiver, &given.arguments[0], given.at).map(Value::Bool)
}

fn inspect(given: &mut Given<'_, '_>) -> Result<Value> {
    let text = given.receiver.inspect_all(MAX_TEXT);
    given.vm.check_length(text.len(), given.at)?;
    given.spend(text.len() / 16)?;
    Ok(Value::text(&text))
}

fn to_s(given: &mut Given<'_, '_>) -> Result<Value> {
    Ok(given.receiver.to_text().map_or(Value::Nil, Value::Text))
}
