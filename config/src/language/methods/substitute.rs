//! `split`, `sub` and `gsub` of strings.

use std::sync::Arc;

use super::{Method, on};
use crate::evaluate::{COMPILING, Given, Result};
use crate::language::kinds::{Kind, Kinds};
use crate::language::regexp::{Match, Options, Regexp, escape};
use crate::language::text::Text;
use crate::value::Value;

const TEXT: Kinds = Kinds::TEXT;
const PATTERN: Kinds = TEXT.with(Kind::Regexp);

pub(super) const METHODS: &[Method] = &[
    on(
        TEXT,
        "split",
        &[PATTERN.or_nil(), Kinds::INT],
        Kinds::ARRAY,
        split,
        "the parts between blanks, or between what is given; at most so many",
    )
    .required(0),
    on(
        TEXT,
        "sub",
        &[PATTERN, TEXT],
        TEXT,
        |g| replaced(g, true),
        "the first place replaced, by a text with `\\1` for groups or by what the block gives",
    )
    .required(1)
    .maybe_block(),
    on(TEXT, "gsub", &[PATTERN, TEXT], TEXT, |g| replaced(g, false), "the same with all places")
        .required(1)
        .maybe_block(),
];

fn text(given: &Given<'_, '_>) -> Text {
    if let Value::Text(text) = given.receiver { text.clone() } else { Text::default() }
}

/// All matches, each behind the one before. An empty one moves on by a character, as in Ruby.
fn matches(given: &mut Given<'_, '_>, regexp: &Regexp, text: &Text, most: usize) -> Result<Vec<Match>> {
    let mut found = Vec::new();
    let mut from = 0;
    while found.len() < most && from <= text.len() {
        given.spend(1 + (text.len() - from) / 16)?;
        let Some(next) = regexp.find(text, from) else { break };
        let (start, end) = next.place();
        from = if end > start { end } else { end + character_length(text, end) };
        found.push(next);
    }
    Ok(found)
}

fn character_length(text: &Text, at: usize) -> usize {
    let rest = &text[at..];
    let first = rest.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    first.map_or(1, char::len_utf8)
}

fn split(given: &mut Given<'_, '_>) -> Result<Value> {
    let text = text(given);
    let limit = given.int(1).unwrap_or_default();
    let most = usize::try_from(limit).ok().filter(|most| *most > 0).unwrap_or(usize::MAX);
    given.spend(1 + text.len() / 4)?;
    let mut parts = match given.arguments.first() {
        None | Some(Value::Nil) => at_blanks(&text, most),
        Some(Value::Text(separator)) if &separator[..] == b" " => at_blanks(&text, most),
        Some(Value::Text(separator)) if !separator.is_empty() => at_text(&text, separator, most),
        Some(Value::Text(_)) => at_regexp(
            given,
            &Regexp::new("", Options::default()).map_err(|complaint| given.vm.stop(given.at, complaint))?,
            &text,
            most,
        )?,
        Some(Value::Regexp(regexp)) => at_regexp(given, &Arc::clone(regexp), &text, most)?,
        Some(_) => Vec::new(),
    };
    if limit == 0 {
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
    }
    given.spend(parts.len())?;
    Ok(Value::array(parts.into_iter().map(Value::Text).collect()))
}

fn at_blanks(text: &Text, most: usize) -> Vec<Text> {
    let is_blank = |byte: u8| matches!(byte, 0 | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | b' ');
    let mut parts = Vec::new();
    let mut at = 0;
    loop {
        while at < text.len() && is_blank(text[at]) {
            at += 1;
        }
        if at == text.len() {
            // With a limit, blanks at the end leave an empty part.
            if !parts.is_empty() && is_blank(text[at - 1]) {
                parts.push(Text::default());
            }
            return parts;
        }
        if parts.len() + 1 == most {
            parts.push(text.part(at, text.len()));
            return parts;
        }
        let end = (at..text.len()).find(|end| is_blank(text[*end])).unwrap_or(text.len());
        parts.push(text.part(at, end));
        at = end;
    }
}

fn at_text(text: &Text, separator: &Text, most: usize) -> Vec<Text> {
    let mut parts = Vec::new();
    let mut at = 0;
    while parts.len() + 1 < most
        && let Some(found) = super::text::position(&text[at..], separator)
    {
        parts.push(text.part(at, at + found));
        at += found + separator.len();
    }
    if !text.is_empty() {
        parts.push(text.part(at, text.len()));
    }
    parts
}

fn at_regexp(given: &mut Given<'_, '_>, regexp: &Regexp, text: &Text, most: usize) -> Result<Vec<Text>> {
    let mut parts = Vec::new();
    let mut count = 1;
    let mut at = 0;
    if text.is_empty() {
        return Ok(parts);
    }
    for found in matches(given, regexp, text, usize::MAX)? {
        if count >= most {
            break;
        }
        let (start, end) = found.place();
        // An empty match at the beginning or at the end divides nothing.
        if end == start && (start >= text.len() || (start == 0 && character_length(text, 0) >= text.len())) {
            continue;
        }
        if end == start && start == at {
            if start == 0 {
                continue;
            }
            // Between two characters, the first of which was a separator.
            continue;
        }
        parts.push(text.part(at, start));
        parts.extend(found.groups().skip(1).flatten());
        count += 1;
        at = end;
    }
    parts.push(text.part(at, text.len()));
    Ok(parts)
}

fn replaced(given: &mut Given<'_, '_>, once: bool) -> Result<Value> {
    let text = text(given);
    if given.arguments.len() == 1 && given.block.is_none() {
        return Err(given.stop("it needs a text to put there, or a block"));
    }
    let regexp = match &given.arguments[0] {
        Value::Regexp(regexp) => Arc::clone(regexp),
        other => {
            let source = escape(&other.to_text().unwrap_or_default().to_string());
            given.spend(COMPILING)?;
            let made = Regexp::new(&source, Options::default());
            Arc::new(made.map_err(|complaint| given.vm.stop(given.value_at, complaint))?)
        }
    };
    let found = matches(given, &regexp, &text, if once { 1 } else { usize::MAX })?;
    let mut out = Vec::new();
    let mut at = 0;
    let mut last = Value::Nil;
    for found in found {
        let (start, end) = found.place();
        out.extend_from_slice(&text[at..start]);
        at = end;
        let found = Arc::new(found);
        last = Value::Match(Arc::clone(&found));
        match given.text(1) {
            Some(template) => expand(template, &found, &mut out),
            None => {
                given.vm.remember_match(last.clone());
                let value = given.call(&[Value::Text(found.group(0).unwrap_or_default())])?;
                out.extend_from_slice(&value.to_text().unwrap_or_default());
            }
        }
        given.vm.check_length(out.len(), given.at)?;
    }
    given.vm.remember_match(last);
    out.extend_from_slice(&text[at..]);
    given.vm.check_length(out.len(), given.at)?;
    Ok(Value::Text(Text::from(out)))
}

/// Puts `template` behind `out`, with `\1` and `\k<name>` for groups, `\0` and `\&` for the whole.
fn expand(template: &Text, found: &Match, out: &mut Vec<u8>) {
    let mut rest = &template[..];
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        match after.split_first() {
            Some((digit @ b'0'..=b'9', after)) => {
                out.extend_from_slice(&found.group(usize::from(digit - b'0')).unwrap_or_default());
                rest = after;
            }
            Some((b'&', after)) => {
                out.extend_from_slice(&found.group(0).unwrap_or_default());
                rest = after;
            }
            Some((b'`', after)) => {
                out.extend_from_slice(&found.before());
                rest = after;
            }
            Some((b'\'', after)) => {
                out.extend_from_slice(&found.after());
                rest = after;
            }
            Some((b'\\', after)) => {
                out.push(b'\\');
                rest = after;
            }
            Some((b'k', after)) if after.first() == Some(&b'<') => {
                let name = after[1..].split(|byte| *byte == b'>').next().unwrap_or_default();
                let text = found.named(&String::from_utf8_lossy(name)).flatten().unwrap_or_default();
                out.extend_from_slice(&text);
                rest = after.get(name.len() + 2..).unwrap_or_default();
            }
            _ => out.push(b'\\'),
        }
    }
}
