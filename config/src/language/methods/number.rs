//! What can be called on numbers.

use super::{Method, on};
use crate::evaluate::{Given, Result};
use crate::language::kinds::{Kind, Kinds};
use crate::value::Value;

const NUMBER: Kinds = Kinds::NUMBER;
const INT: Kinds = Kinds::INT;
const FLOAT: Kinds = Kinds::of(Kind::Float);
const ORDERED: Kinds = Kinds::NUMBER.and(Kinds::TEXT).with(Kind::Time);

pub(super) const METHODS: &[Method] = &[
    on(NUMBER, "+", &[NUMBER], NUMBER, |g| arithmetic(g, i64::checked_add, |a, b| a + b), "sum"),
    on(NUMBER, "-", &[NUMBER], NUMBER, |g| arithmetic(g, i64::checked_sub, |a, b| a - b), "difference"),
    on(NUMBER, "*", &[NUMBER], NUMBER, |g| arithmetic(g, i64::checked_mul, |a, b| a * b), "product"),
    on(NUMBER, "/", &[NUMBER], NUMBER, divide, "quotient; of whole numbers rounded down"),
    on(NUMBER, "%", &[NUMBER], NUMBER, modulo, "remainder, with the sign of the divisor"),
    on(NUMBER, "**", &[NUMBER], NUMBER, power, "power"),
    on(NUMBER, "-@", &[], NUMBER, negate, "the number with the other sign"),
    on(NUMBER, "+@", &[], NUMBER, |g| Ok(g.receiver.clone()), "the number itself"),
    on(ORDERED, "<", &[ORDERED], Kinds::BOOL, |g| compare(g, std::cmp::Ordering::is_lt), "less"),
    on(ORDERED, "<=", &[ORDERED], Kinds::BOOL, |g| compare(g, std::cmp::Ordering::is_le), "less or equal"),
    on(ORDERED, ">", &[ORDERED], Kinds::BOOL, |g| compare(g, std::cmp::Ordering::is_gt), "greater"),
    on(ORDERED, ">=", &[ORDERED], Kinds::BOOL, |g| compare(g, std::cmp::Ordering::is_ge), "greater or equal"),
    on(
        ORDERED,
        "between?",
        &[ORDERED, ORDERED],
        Kinds::BOOL,
        between,
        "not less than the first, not greater than the second",
    ),
    on(NUMBER, "abs", &[], NUMBER, abs, "without its sign"),
    on(
        NUMBER,
        "zero?",
        &[],
        Kinds::BOOL,
        |g| Ok(Value::Bool(g.receiver.equals(&Value::Int(0)))),
        "whether it is 0",
    ),
    on(INT, "even?", &[], Kinds::BOOL, |g| Ok(Value::Bool(whole(g.receiver) % 2 == 0)), "whether it is even"),
    on(INT, "odd?", &[], Kinds::BOOL, |g| Ok(Value::Bool(whole(g.receiver) % 2 != 0)), "whether it is odd"),
    on(INT, "to_i", &[], INT, |g| Ok(g.receiver.clone()), "itself"),
    on(FLOAT, "to_i", &[], INT, |g| rounded(g, f64::trunc), "without decimals"),
    on(FLOAT, "floor", &[], INT, |g| rounded(g, f64::floor), "rounded down"),
    on(FLOAT, "ceil", &[], INT, |g| rounded(g, f64::ceil), "rounded up"),
    on(FLOAT, "round", &[], INT, |g| rounded(g, f64::round), "rounded"),
    on(NUMBER, "to_f", &[], FLOAT, |g| Ok(Value::Float(float(g.receiver))), "with decimals"),
    on(INT, "times", &[], INT, times, "runs the block so often, with 0, 1, 2 ...").with_block(),
];

fn whole(value: &Value) -> i64 {
    if let Value::Int(number) = value { *number } else { 0 }
}

#[allow(clippy::cast_precision_loss, reason = "Ruby's own conversion")]
fn float(value: &Value) -> f64 {
    match value {
        Value::Int(value) => *value as f64,
        Value::Float(value) => *value,
        _ => 0.0,
    }
}

const TOO_LARGE: &str = "the number is too large";

fn arithmetic(
    given: &mut Given<'_, '_>,
    of_whole: fn(i64, i64) -> Option<i64>,
    of_floats: fn(f64, f64) -> f64,
) -> Result<Value> {
    match (given.receiver, &given.arguments[0]) {
        (Value::Int(a), Value::Int(b)) => {
            of_whole(*a, *b).map(Value::Int).ok_or_else(|| given.stop(TOO_LARGE))
        }
        (a, b) => Ok(Value::Float(of_floats(float(a), float(b)))),
    }
}

fn divide(given: &mut Given<'_, '_>) -> Result<Value> {
    match (given.receiver, &given.arguments[0]) {
        (Value::Int(_), Value::Int(0)) => Err(given.stop("divided by 0")),
        (Value::Int(a), Value::Int(b)) => {
            let quotient = a.checked_div(*b).ok_or_else(|| given.stop(TOO_LARGE))?;
            let down = a % b != 0 && (a % b < 0) != (*b < 0);
            Ok(Value::Int(if down { quotient - 1 } else { quotient }))
        }
        (a, b) => Ok(Value::Float(float(a) / float(b))),
    }
}

fn modulo(given: &mut Given<'_, '_>) -> Result<Value> {
    match (given.receiver, &given.arguments[0]) {
        (Value::Int(_), Value::Int(0)) => Err(given.stop("divided by 0")),
        (Value::Int(a), Value::Int(b)) => {
            let rest = a.checked_rem(*b).unwrap_or(0);
            Ok(Value::Int(if rest != 0 && (rest < 0) != (*b < 0) { rest + b } else { rest }))
        }
        (a, b) => {
            let (a, b) = (float(a), float(b));
            if b == 0.0 {
                return Err(given.stop("divided by 0"));
            }
            let rest = a % b;
            Ok(Value::Float(if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }))
        }
    }
}

fn power(given: &mut Given<'_, '_>) -> Result<Value> {
    match (given.receiver, &given.arguments[0]) {
        (Value::Int(base), Value::Int(exponent)) => {
            let exponent = u32::try_from(*exponent)
                .map_err(|_| given.stop("the exponent should be a whole number from 0 on"))?;
            base.checked_pow(exponent).map(Value::Int).ok_or_else(|| given.stop(TOO_LARGE))
        }
        (Value::Float(base), exponent) if *base < 0.0 && float(exponent).fract() != 0.0 => {
            Err(given.stop("a power of a negative number should be whole"))
        }
        (Value::Int(base), Value::Float(exponent)) if *base < 0 && exponent.fract() != 0.0 => {
            Err(given.stop("a power of a negative number should be whole"))
        }
        (a, b) => Ok(Value::Float(float(a).powf(float(b)))),
    }
}

fn negate(given: &mut Given<'_, '_>) -> Result<Value> {
    match given.receiver {
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or_else(|| given.stop(TOO_LARGE)),
        other => Ok(Value::Float(-float(other))),
    }
}

fn abs(given: &mut Given<'_, '_>) -> Result<Value> {
    match given.receiver {
        Value::Int(number) => number.checked_abs().map(Value::Int).ok_or_else(|| given.stop(TOO_LARGE)),
        other => Ok(Value::Float(float(other).abs())),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "within bounds")]
fn rounded(given: &mut Given<'_, '_>, how: fn(f64) -> f64) -> Result<Value> {
    let number = how(float(given.receiver));
    if number.abs() < i64::MAX as f64 { Ok(Value::Int(number as i64)) } else { Err(given.stop(TOO_LARGE)) }
}

fn compare(given: &mut Given<'_, '_>, wanted: fn(std::cmp::Ordering) -> bool) -> Result<Value> {
    let other = &given.arguments[0];
    match given.receiver.compare(other) {
        Some(order) => Ok(Value::Bool(wanted(order))),
        None if is_nan(given.receiver) || is_nan(other) => Ok(Value::Bool(false)),
        None => Err(cannot_compare(given, other)),
    }
}

fn is_nan(value: &Value) -> bool {
    matches!(value, Value::Float(number) if number.is_nan())
}

fn cannot_compare(given: &Given<'_, '_>, other: &Value) -> crate::evaluate::Stop {
    given.stop(format!("{} cannot be compared with {}", given.receiver.kind(), other.kind()))
}

fn between(given: &mut Given<'_, '_>) -> Result<Value> {
    let (low, high) = (&given.arguments[0], &given.arguments[1]);
    match given.receiver.compare(low) {
        None => Err(cannot_compare(given, low)),
        Some(order) if order.is_lt() => Ok(Value::Bool(false)),
        Some(_) => match given.receiver.compare(high) {
            None => Err(cannot_compare(given, high)),
            Some(order) => Ok(Value::Bool(order.is_le())),
        },
    }
}

fn times(given: &mut Given<'_, '_>) -> Result<Value> {
    for number in 0..whole(given.receiver) {
        given.call(&[Value::Int(number)])?;
    }
    Ok(given.receiver.clone())
}
