//! What can be called on strings and symbols.

use super::{Method, on};
use crate::evaluate::{Given, Result};
use crate::language::kinds::{Kind, Kinds};
use crate::language::text::Text;
use crate::value::Value;

const TEXT: Kinds = Kinds::TEXT;
const SYMBOL: Kinds = Kinds::of(Kind::Symbol);
const BOTH: Kinds = TEXT.with(Kind::Symbol);
const INT: Kinds = Kinds::INT;
const BOOL: Kinds = Kinds::BOOL;
const PATTERN: Kinds = TEXT.with(Kind::Regexp);

pub(super) const METHODS: &[Method] = &[
    on(TEXT, "+", &[TEXT], TEXT, join, "one after the other"),
    on(TEXT, "*", &[INT], TEXT, repeat, "so many times"),
    on(TEXT, "to_str", &[], TEXT, |g| Ok(g.receiver.clone()), "itself"),
    on(BOTH, "to_sym", &[], SYMBOL, |g| Ok(Value::Symbol(text(g))), "as a symbol"),
    on(TEXT, "to_i", &[INT], INT, to_i, "the whole number that it begins with, else 0; of another base than 10 when that is given").required(0),
    on(TEXT, "to_f", &[], Kinds::of(Kind::Float), |g| Ok(Value::Float(to_f(&text(g)))), "the number that it begins with, else 0.0"),
    on(BOTH, "size", &[], INT, |g| Ok(Value::count(text(g).size())), "the number of characters"),
    on(BOTH, "length", &[], INT, |g| Ok(Value::count(text(g).size())), "the number of characters"),
    on(TEXT, "bytesize", &[], INT, |g| Ok(Value::count(text(g).len())), "the number of bytes"),
    on(BOTH, "empty?", &[], BOOL, |g| Ok(Value::Bool(text(g).is_empty())), "whether it has no characters"),
    on(TEXT, "include?", &[TEXT], BOOL, |g| two(g, |all, part| position(all, part).is_some()), "whether the other is in it"),
    on(BOTH, "start_with?", &[PATTERN], BOOL, start_with, "whether it begins with one of these").required(0).many(),
    on(BOTH, "end_with?", &[TEXT], BOOL, end_with, "whether it ends with one of these").required(0).many(),
    on(TEXT, "index", &[PATTERN], INT.or_nil(), index, "where the other is found first, in characters"),
    on(TEXT, "downcase", &[], TEXT, |g| changed(g, char::to_ascii_lowercase, char::to_lowercase), "in lower case"),
    on(TEXT, "upcase", &[], TEXT, |g| changed(g, char::to_ascii_uppercase, char::to_uppercase), "in upper case"),
    on(TEXT, "capitalize", &[], TEXT, capitalize, "the first letter in upper case, the rest in lower case"),
    on(TEXT, "casecmp", &[TEXT], INT, order_in_any_case, "how they stand in order, as with `<=>`, a to z being A to Z"),
    on(TEXT, "casecmp?", &[TEXT], BOOL, |g| two(g, |a, b| a.lossy().to_lowercase() == b.lossy().to_lowercase()), "the same text in any case"),
    on(TEXT, "strip", &[], TEXT, |g| cut(g, true, true), "without blanks, line ends and NULs around it"),
    on(TEXT, "lstrip", &[], TEXT, |g| cut(g, true, false), "without those before it"),
    on(TEXT, "rstrip", &[], TEXT, |g| cut(g, false, true), "without those behind it"),
    on(TEXT, "chomp", &[TEXT], TEXT, chomp, "without the line end, or that other text, at its end").required(0),
    on(TEXT, "chop", &[], TEXT, chop, "without its last character"),
    on(TEXT, "delete_prefix", &[TEXT], TEXT, |g| without(g, |all, part| all.strip_prefix(part).map(|_| (part.len(), all.len()))), "without the other at its beginning"),
    on(TEXT, "delete_suffix", &[TEXT], TEXT, |g| without(g, |all, part| all.strip_suffix(part).map(|rest| (0, rest.len()))), "without the other at its end"),
    on(TEXT, "reverse", &[], TEXT, reverse, "backwards"),
    on(TEXT, "chars", &[], Kinds::ARRAY, |g| parts(g, &text(g).boundaries()), "its characters"),
    on(TEXT, "lines", &[], Kinds::ARRAY, lines, "its lines, with their ends"),
    on(TEXT, "[]", &[INT.with(Kind::Range).and(PATTERN), INT], TEXT.or_nil(), element, "a character, a part by range or place and length, the other string or what a regular expression finds").required(1),
    on(TEXT, "slice", &[INT.with(Kind::Range).and(PATTERN), INT], TEXT.or_nil(), element, "the same").required(1),
];

fn text(given: &Given<'_, '_>) -> Text {
    match given.receiver {
        Value::Text(text) | Value::Symbol(text) => text.clone(),
        _ => Text::default(),
    }
}

fn order_in_any_case(given: &mut Given<'_, '_>) -> Result<Value> {
    let one = text(given);
    given.spend(one.len() / 16)?;
    let other = given.text(0).cloned().unwrap_or_default();
    let lower = |text: &Text| text.bytes().to_ascii_lowercase();
    Ok(Value::Int(lower(&one).cmp(&lower(&other)) as i64))
}

fn two(given: &mut Given<'_, '_>, test: fn(&Text, &Text) -> bool) -> Result<Value> {
    let all = text(given);
    given.spend(all.len() / 16)?;
    let other = given.text(0).cloned().unwrap_or_default();
    Ok(Value::Bool(test(&all, &other)))
}

/// Where `part` begins in `all`, in bytes.
pub(super) fn position(all: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(all, part)
}

fn join(given: &mut Given<'_, '_>) -> Result<Value> {
    let (first, second) = (text(given), given.text(0).cloned().unwrap_or_default());
    given.vm.check_length(first.len() + second.len(), given.value_at)?;
    Ok(Value::Text(Text::from([&first[..], &second[..]].concat())))
}

fn repeat(given: &mut Given<'_, '_>) -> Result<Value> {
    let times = usize::try_from(given.int(0).unwrap_or_default())
        .map_err(|_| given.stop("it cannot be repeated less than 0 times"))?;
    let text = text(given);
    given.vm.check_length(text.len().saturating_mul(times), given.value_at)?;
    Ok(Value::Text(Text::from(text.repeat(times))))
}

/// Digits of `base` with single underscores between them, behind blanks and a sign.
fn to_i(given: &mut Given<'_, '_>) -> Result<Value> {
    let base = match given.int(0) {
        None => 10,
        Some(base @ 2..=36) => u32::try_from(base).unwrap_or(10),
        Some(other) => return Err(given.stop(format!("the base should be 2 to 36 but was {other}"))),
    };
    let text = text(given);
    let text = text.lossy();
    let rest = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, mut rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix('+').unwrap_or(rest)),
    };
    let prefix: &[&str] = match base {
        16 => &["0x", "0X"],
        8 => &["0o", "0O"],
        2 => &["0b", "0B"],
        10 => &["0d", "0D"],
        _ => &[],
    };
    if let Some(digits) = prefix.iter().find_map(|prefix| rest.strip_prefix(prefix))
        && digits.chars().next().is_some_and(|c| c.is_digit(base))
    {
        rest = digits;
    }
    let mut number: i64 = 0;
    let mut after_digit = false;
    for character in rest.chars() {
        match character.to_digit(base) {
            Some(digit) => {
                let next = number.checked_mul(i64::from(base)).and_then(|number| {
                    if negative { number.checked_sub(digit.into()) } else { number.checked_add(digit.into()) }
                });
                number = next.ok_or_else(|| given.stop("the number is too large"))?;
                after_digit = true;
            }
            None if character == '_' && after_digit => after_digit = false,
            None => break,
        }
    }
    Ok(Value::Int(number))
}

fn to_f(text: &Text) -> f64 {
    let text = text.lossy();
    let rest = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let mut clean = String::new();
    let mut characters = rest.chars().peekable();
    clean.extend(characters.next_if(|c| matches!(c, '+' | '-')));
    let digits = |clean: &mut String, characters: &mut std::iter::Peekable<std::str::Chars<'_>>| {
        let mut any = false;
        loop {
            if let Some(digit) = characters.next_if(char::is_ascii_digit) {
                clean.push(digit);
                any = true;
            } else if any && characters.peek() == Some(&'_') {
                let mut ahead = characters.clone();
                ahead.next();
                if !ahead.peek().is_some_and(char::is_ascii_digit) {
                    return any;
                }
                characters.next();
            } else {
                return any;
            }
        }
    };
    let mut any = digits(&mut clean, &mut characters);
    let mut ahead = characters.clone();
    if ahead.next() == Some('.') && ahead.peek().is_some_and(char::is_ascii_digit) {
        clean.push('.');
        characters = ahead;
        any |= digits(&mut clean, &mut characters);
    }
    let mut ahead = characters.clone();
    if any && ahead.next().is_some_and(|c| matches!(c, 'e' | 'E')) {
        let sign = ahead.next_if(|c| matches!(c, '+' | '-'));
        if ahead.peek().is_some_and(char::is_ascii_digit) {
            clean.push('e');
            clean.extend(sign);
            digits(&mut clean, &mut ahead);
        }
    }
    clean.parse().unwrap_or(0.0)
}

fn start_with(given: &mut Given<'_, '_>) -> Result<Value> {
    let text = text(given);
    for pattern in given.arguments {
        let starts = match pattern {
            Value::Text(part) => text.starts_with(part),
            Value::Regexp(regexp) => {
                given.spend(1 + text.len() / 16)?;
                let found = regexp.find(&text, 0).filter(|found| found.place().0 == 0);
                let starts = found.is_some();
                given.vm.remember_match(found.map_or(Value::Nil, |found| Value::Match(found.into())));
                starts
            }
            _ => false,
        };
        if starts {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn end_with(given: &mut Given<'_, '_>) -> Result<Value> {
    let text = text(given);
    // A text does not end with half a character.
    let at_boundary = |part: &[u8]| {
        let at = text.len() - part.len();
        part.is_empty() || text.get(at).is_none_or(|byte| byte & 0xc0 != 0x80)
    };
    let ends = given.arguments.iter().any(|part| match part {
        Value::Text(part) => text.ends_with(part) && at_boundary(part),
        _ => false,
    });
    Ok(Value::Bool(ends))
}

fn index(given: &mut Given<'_, '_>) -> Result<Value> {
    let all = text(given);
    given.spend(all.len() / 16)?;
    let at = match &given.arguments[0] {
        Value::Regexp(regexp) => {
            let found = given.vm.find(regexp, &all, given.at)?;
            match given.vm.last_match() {
                Value::Match(place) if found => Some(place.place().0),
                _ => None,
            }
        }
        Value::Text(part) => position(&all, part),
        _ => None,
    };
    Ok(at.map_or(Value::Nil, |at| Value::count(all.part(0, at).size())))
}

fn changed<I: Iterator<Item = char>>(
    given: &mut Given<'_, '_>,
    of_ascii: fn(&char) -> char,
    of_all: fn(char) -> I,
) -> Result<Value> {
    let text = text(given);
    given.spend(text.len() / 16)?;
    Ok(Value::Text(match std::str::from_utf8(&text) {
        Ok(text) if !text.is_ascii() => Text::from(text.chars().flat_map(of_all).collect::<String>()),
        _ => Text::from(
            text.iter()
                .map(|byte| if byte.is_ascii() { of_ascii(&char::from(*byte)) as u8 } else { *byte })
                .collect::<Vec<u8>>(),
        ),
    }))
}

fn capitalize(given: &mut Given<'_, '_>) -> Result<Value> {
    let text = text(given);
    given.spend(text.len() / 16)?;
    let text = text.lossy();
    let mut characters = text.chars();
    let first: String = characters.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let rest: String = characters.flat_map(char::to_lowercase).collect();
    Ok(Value::Text(Text::from(first + &rest)))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | b' ')
}

fn cut(given: &mut Given<'_, '_>, before: bool, behind: bool) -> Result<Value> {
    let text = text(given);
    let mut from = 0;
    let mut to = text.len();
    while before && from < to && is_blank(text[from]) {
        from += 1;
    }
    while behind && from < to && is_blank(text[to - 1]) {
        to -= 1;
    }
    Ok(Value::Text(text.part(from, to)))
}

fn chomp(given: &mut Given<'_, '_>) -> Result<Value> {
    let text = text(given);
    let rest = match given.text(0) {
        Some(end) if end.is_empty() => {
            let mut rest = &text[..];
            while let Some(shorter) = rest.strip_suffix(b"\r\n").or_else(|| rest.strip_suffix(b"\n")) {
                rest = shorter;
            }
            rest
        }
        Some(end) if &end[..] != b"\n" => text.strip_suffix(&end[..]).unwrap_or(&text),
        _ => text
            .strip_suffix(b"\r\n")
            .or_else(|| text.strip_suffix(b"\n"))
            .or_else(|| text.strip_suffix(b"\r"))
            .unwrap_or(&text),
    };
    Ok(Value::Text(text.part(0, rest.len())))
}

fn chop(given: &mut Given<'_, '_>) -> Result<Value> {
    let text = text(given);
    let boundaries = text.boundaries();
    let end = if text.ends_with(b"\r\n") {
        text.len() - 2
    } else {
        boundaries.len().checked_sub(2).map_or(0, |last| boundaries[last])
    };
    Ok(Value::Text(text.part(0, end)))
}

/// Which part is left without another; `None`: all of it.
type Rest = fn(&[u8], &[u8]) -> Option<(usize, usize)>;

fn without(given: &mut Given<'_, '_>, rest: Rest) -> Result<Value> {
    let all = text(given);
    let part = given.text(0).cloned().unwrap_or_default();
    let (from, to) = rest(&all, &part).unwrap_or((0, all.len()));
    Ok(Value::Text(all.part(from, to)))
}

fn reverse(given: &mut Given<'_, '_>) -> Result<Value> {
    let text = text(given);
    given.spend(text.len() / 16)?;
    let boundaries = text.boundaries();
    let parts = boundaries.windows(2).rev().flat_map(|pair| &text[pair[0]..pair[1]]);
    Ok(Value::Text(Text::from(parts.copied().collect::<Vec<u8>>())))
}

fn parts(given: &mut Given<'_, '_>, boundaries: &[usize]) -> Result<Value> {
    let text = text(given);
    given.spend(boundaries.len())?;
    Ok(Value::array(boundaries.windows(2).map(|pair| Value::Text(text.part(pair[0], pair[1]))).collect()))
}

fn lines(given: &mut Given<'_, '_>) -> Result<Value> {
    let text = text(given);
    let mut boundaries = vec![0];
    boundaries.extend(memchr::memchr_iter(b'\n', &text).map(|at| at + 1));
    if boundaries.last() != Some(&text.len()) {
        boundaries.push(text.len());
    }
    parts(given, &boundaries)
}

fn element(given: &mut Given<'_, '_>) -> Result<Value> {
    let text = text(given);
    match (&given.arguments[0], given.int(1)) {
        (Value::Text(part), None) => {
            given.spend(text.len() / 16)?;
            Ok(position(&text, part).map_or(Value::Nil, |_| Value::Text(part.clone())))
        }
        (Value::Regexp(regexp), group) => {
            given.vm.find(regexp, &text, given.at)?;
            match given.vm.last_match() {
                Value::Match(found) => {
                    let at = usize::try_from(group.unwrap_or_default()).unwrap_or(usize::MAX);
                    Ok(found.group(at).map_or(Value::Nil, Value::Text))
                }
                _ => Ok(Value::Nil),
            }
        }
        (first, length) => {
            given.spend(text.len() / 16)?;
            let boundaries = text.boundaries();
            let count = boundaries.len() - 1;
            let part = match (first, length) {
                (Value::Int(at), None) => super::elements::one(*at, count),
                (Value::Int(at), Some(length)) => super::elements::some(*at, length, count),
                (Value::Range(range), None) => super::elements::span(range, count),
                _ => {
                    return Err(
                        given.stop("the first argument should be a whole number where there is a second")
                    );
                }
            };
            Ok(part.map_or(Value::Nil, |(from, to)| Value::Text(text.part(boundaries[from], boundaries[to]))))
        }
    }
}
