//! What can be called on `Time`, and on the moment that `Time.now` gives.

use super::{Method, on};
use crate::evaluate::{Given, Result, World};
use crate::language::kinds::{Kind, Kinds};
use crate::language::time::{Part, Time};
use crate::value::Value;

const TIME: Kinds = Kinds::of(Kind::Time);
const INT: Kinds = Kinds::INT;

pub(super) const METHODS: &[Method] = &[
    on(Kinds::of(Kind::TimeClass), "now", &[], TIME, now, "the time in the time zone of the system"),
    on(TIME, "hour", &[], INT, |g| part(g, Part::Hour), "0 to 23"),
    on(TIME, "min", &[], INT, |g| part(g, Part::Minute), "0 to 59"),
    on(TIME, "sec", &[], INT, |g| part(g, Part::Second), "0 to 59"),
    on(TIME, "day", &[], INT, |g| part(g, Part::Day), "1 to 31"),
    on(TIME, "mday", &[], INT, |g| part(g, Part::Day), "1 to 31"),
    on(TIME, "wday", &[], INT, |g| part(g, Part::Weekday), "0 is Sunday"),
    on(TIME, "yday", &[], INT, |g| part(g, Part::DayOfYear), "1 to 366"),
    on(TIME, "month", &[], INT, |g| part(g, Part::Month), "1 to 12"),
    on(TIME, "mon", &[], INT, |g| part(g, Part::Month), "1 to 12"),
    on(TIME, "year", &[], INT, |g| part(g, Part::Year), "with all four digits"),
    on(TIME, "sunday?", &[], Kinds::BOOL, |g| is_day(g, 0), ""),
    on(TIME, "monday?", &[], Kinds::BOOL, |g| is_day(g, 1), ""),
    on(TIME, "tuesday?", &[], Kinds::BOOL, |g| is_day(g, 2), ""),
    on(TIME, "wednesday?", &[], Kinds::BOOL, |g| is_day(g, 3), ""),
    on(TIME, "thursday?", &[], Kinds::BOOL, |g| is_day(g, 4), ""),
    on(TIME, "friday?", &[], Kinds::BOOL, |g| is_day(g, 5), ""),
    on(TIME, "saturday?", &[], Kinds::BOOL, |g| is_day(g, 6), ""),
    on(TIME, "to_i", &[], INT, |g| Ok(Value::Int(time(g).seconds)), "seconds since 1970-01-01 UTC"),
    on(TIME, "+", &[INT], TIME, |g| later(g, 1), "so many seconds later"),
    on(TIME, "-", &[INT], TIME, |g| later(g, -1), "so many seconds earlier"),
];

fn time(given: &Given<'_, '_>) -> Time {
    if let Value::Time(time) = given.receiver { *time } else { Time { seconds: 0 } }
}

fn now(given: &mut Given<'_, '_>) -> Result<Value> {
    Ok(Value::Time(match &given.vm.world {
        World::Load(_) => Time::now(),
        World::Session(situation) => Time { seconds: situation.facts.environment.unix_seconds },
    }))
}

fn part(given: &mut Given<'_, '_>, part: Part) -> Result<Value> {
    Ok(Value::Int(time(given).part(part)))
}

fn is_day(given: &mut Given<'_, '_>, day: i64) -> Result<Value> {
    Ok(Value::Bool(time(given).part(Part::Weekday) == day))
}

fn later(given: &mut Given<'_, '_>, sign: i64) -> Result<Value> {
    let seconds = given.int(0).unwrap_or_default().saturating_mul(sign);
    Ok(Value::Time(Time { seconds: time(given).seconds.saturating_add(seconds) }))
}
