//! What can be called on regular expressions, matches and lambdas.

use std::sync::Arc;

use super::{Method, on};
use crate::evaluate::{COMPILING, Given, Result};
use crate::language::kinds::{Kind, Kinds};
use crate::language::regexp::{Match, Options, Regexp, escape};
use crate::language::text::Text;
use crate::value::Value;

const REGEXP: Kinds = Kinds::of(Kind::Regexp);
const MATCH: Kinds = Kinds::of(Kind::Match);
const PROC: Kinds = Kinds::of(Kind::Proc);
const CLASS: Kinds = Kinds::of(Kind::RegexpClass);
const TEXT: Kinds = Kinds::TEXT;
/// What `=~` may be asked about.
const SUBJECT: Kinds = Kinds::TEXT.with(Kind::Symbol).or_nil();

/// What a string may be compared with.
const PATTERN: Kinds = REGEXP.or_nil();
/// What a string is searched for: of a string a regular expression is made.
const SOUGHT: Kinds = REGEXP.with(Kind::Text);

pub(super) const METHODS: &[Method] = &[
    on(REGEXP, "=~", &[SUBJECT], Kinds::INT.or_nil(), search, "where it is found, in characters; sets `$~`"),
    on(
        TEXT,
        "=~",
        &[PATTERN],
        Kinds::INT.or_nil(),
        search,
        "where the other is found, in characters; sets `$~`",
    ),
    on(REGEXP, "!~", &[SUBJECT], Kinds::BOOL, lacks, "whether it is not found"),
    on(TEXT, "!~", &[PATTERN], Kinds::BOOL, lacks, "whether the other is not found"),
    on(Kinds::NONE.or_nil(), "!~", &[Kinds::ANY], Kinds::BOOL, lacks, "true"),
    on(REGEXP, "match", &[SUBJECT], MATCH.or_nil(), find, "what `$~` is afterwards"),
    on(TEXT, "match", &[SOUGHT], MATCH.or_nil(), find, "what `$~` is afterwards"),
    on(REGEXP, "match?", &[SUBJECT], Kinds::BOOL, is_match, "whether it is found; leaves `$~` alone"),
    on(TEXT, "match?", &[SOUGHT], Kinds::BOOL, is_match, "whether the other is found; leaves `$~` alone"),
    on(
        REGEXP,
        "source",
        &[],
        TEXT,
        |g| Ok(Value::text(regexp(g).map_or("", |regexp| regexp.source()))),
        "as written between the slashes",
    ),
    on(
        CLASS,
        "new",
        &[TEXT, Kinds::BOOL.or_nil()],
        REGEXP,
        new,
        "a regular expression from a string; true: case is ignored",
    )
    .required(1),
    on(
        CLASS,
        "escape",
        &[TEXT],
        TEXT,
        |g| Ok(Value::text(&escape(&g.text(0).map(ToString::to_string).unwrap_or_default()))),
        "with a backslash before what means something in a regular expression",
    ),
    on(
        MATCH,
        "[]",
        &[Kinds::INT.and(TEXT).with(Kind::Symbol)],
        TEXT.or_nil(),
        group,
        "a group by number or name; 0 is the whole",
    ),
    on(
        MATCH,
        "captures",
        &[],
        Kinds::ARRAY,
        |g| Ok(Value::array(groups(g).into_iter().skip(1).collect())),
        "all groups",
    ),
    on(MATCH, "to_a", &[], Kinds::ARRAY, |g| Ok(Value::array(groups(g))), "the whole and all groups"),
    on(
        MATCH,
        "names",
        &[],
        Kinds::ARRAY,
        |g| Ok(found(g).map_or(Value::Nil, |found| Value::array(found.names().map(Value::text).collect()))),
        "the names of the groups",
    ),
    on(
        MATCH,
        "pre_match",
        &[],
        TEXT,
        |g| Ok(Value::Text(found(g).map(Match::before).unwrap_or_default())),
        "what is before it",
    ),
    on(
        MATCH,
        "post_match",
        &[],
        TEXT,
        |g| Ok(Value::Text(found(g).map(Match::after).unwrap_or_default())),
        "what is behind it",
    ),
    on(PROC, "call", &[Kinds::ANY], Kinds::ANY, call, "runs it; `f.(x)` is the same").required(0).many(),
    on(PROC, "[]", &[Kinds::ANY], Kinds::ANY, call, "runs it").required(0).many(),
];

fn regexp<'g>(given: &'g Given<'_, '_>) -> Option<&'g Arc<Regexp>> {
    match (given.receiver, given.arguments.first()) {
        (Value::Regexp(regexp), _) | (_, Some(Value::Regexp(regexp))) => Some(regexp),
        _ => None,
    }
}

/// The text that is searched; `None` for nil.
fn subject<'g>(given: &'g Given<'_, '_>) -> Option<&'g Text> {
    match (given.receiver, given.arguments.first()) {
        (Value::Text(text), _) | (_, Some(Value::Text(text) | Value::Symbol(text))) => Some(text),
        _ => None,
    }
}

fn pattern_and_subject(given: &Given<'_, '_>) -> Result<(Arc<Regexp>, Option<Text>)> {
    let searched = subject(given).cloned();
    match (regexp(given), given.text(0)) {
        (Some(regexp), _) => Ok((Arc::clone(regexp), searched)),
        (None, Some(source)) => {
            // `"text".match("pattern")`: Ruby makes a regular expression of it.
            let made = Regexp::new(&source.to_string(), Options::default());
            let made = made.map_err(|complaint| given.vm.stop(given.value_at, complaint))?;
            Ok((Arc::new(made), searched))
        }
        (None, None) => Err(given.stop("neither side is a regular expression")),
    }
}

fn search(given: &mut Given<'_, '_>) -> Result<Value> {
    // In Ruby nothing is found in nil, and nil is found in nothing.
    let about_nil = |given: &Given<'_, '_>| {
        matches!((given.receiver, &given.arguments[0]), (Value::Nil, _) | (Value::Text(_), Value::Nil))
    };
    if about_nil(given) {
        return Ok(Value::Nil);
    }
    match find(given)? {
        Value::Match(found) => Ok(Value::count(found.begins())),
        _ => Ok(Value::Nil),
    }
}

fn lacks(given: &mut Given<'_, '_>) -> Result<Value> {
    Ok(Value::Bool(matches!(search(given)?, Value::Nil)))
}

fn find(given: &mut Given<'_, '_>) -> Result<Value> {
    let (regexp, subject) = pattern_and_subject(given)?;
    if regexp_was_made(given) {
        given.spend(COMPILING)?;
    }
    match subject {
        Some(text) => {
            given.vm.find(&regexp, &text, given.at)?;
        }
        None => given.vm.remember_match(Value::Nil),
    }
    Ok(given.vm.last_match().clone())
}

fn regexp_was_made(given: &Given<'_, '_>) -> bool {
    regexp(given).is_none()
}

fn is_match(given: &mut Given<'_, '_>) -> Result<Value> {
    let (regexp, subject) = pattern_and_subject(given)?;
    let Some(text) = subject else { return Ok(Value::Bool(false)) };
    given.spend(1 + text.len() / 16 + if regexp_was_made(given) { COMPILING } else { 0 })?;
    Ok(Value::Bool(regexp.is_match(&text)))
}

fn new(given: &mut Given<'_, '_>) -> Result<Value> {
    let source = given.text(0).map(ToString::to_string).unwrap_or_default();
    let ignore_case = given.arguments.get(1).is_some_and(Value::is_truthy);
    given.spend(COMPILING + 50 * source.len())?;
    let made = Regexp::new(&source, Options { ignore_case, ..Options::default() });
    made.map(|regexp| Value::Regexp(Arc::new(regexp)))
        .map_err(|complaint| given.vm.stop(given.value_at, complaint))
}

fn found<'g>(given: &'g Given<'_, '_>) -> Option<&'g Match> {
    if let Value::Match(found) = given.receiver { Some(found) } else { None }
}

fn groups(given: &Given<'_, '_>) -> Vec<Value> {
    let groups =
        found(given).map(|found| found.groups().map(|text| text.map_or(Value::Nil, Value::Text)).collect());
    groups.unwrap_or_default()
}

fn group(given: &mut Given<'_, '_>) -> Result<Value> {
    let Some(found) = found(given) else { return Ok(Value::Nil) };
    let text = match (given.text(0), given.int(0)) {
        (Some(name), _) => match found.named(name.as_str()) {
            Some(text) => text,
            None => return Err(given.stop(format!("the regular expression has no group {name}"))),
        },
        (None, Some(at)) if at < 0 => {
            let count = i64::try_from(found.groups().count()).unwrap_or(0);
            usize::try_from(count + at).ok().and_then(|at| found.group(at))
        }
        (None, at) => usize::try_from(at.unwrap_or_default()).ok().and_then(|at| found.group(at)),
    };
    Ok(text.map_or(Value::Nil, Value::Text))
}

fn call(given: &mut Given<'_, '_>) -> Result<Value> {
    let Value::Proc(callable) = given.receiver else { return Ok(Value::Nil) };
    given.vm.run(callable, given.arguments, given.at)
}
