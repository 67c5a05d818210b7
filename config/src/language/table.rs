//! Postfix's tables of networks and of regular expressions (cidr_table(5), regexp_table(5)), as values.
//!
//! ```text
//!   192.0.2.0/24  REJECT        /^Subject: (.*)/  WARN $1
//!   if !10.0.0.0/8              if /^From:/
//!   0.0.0.0/0     OK            !/@example\.com/  HOLD
//!   endif                       endif
//! ```
//!
//! The first rule that fits gives the action. Rules between `if` and `endif` are asked only where its pattern fits.

use super::address::Network;
use super::regexp::{Options, Regexp};
use super::shared::Shared;
use super::text::Text;

/// Deepest nesting of `if`.
const MAX_DEPTH: usize = 64;

/// Of what the patterns of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Networks,
    Expressions,
}

/// A table. What is parsed is put behind what is there.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) of: Of,
    pub(crate) rules: Shared<Vec<Rule>>,
    /// The files that they came from.
    pub(crate) parsed: Shared<Vec<Text>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Rule {
    negated: bool,
    pattern: Pattern,
    then: Then,
}

#[derive(Debug, Clone)]
enum Pattern {
    Network(Network),
    Expression(std::sync::Arc<Regexp>),
}

#[derive(Debug, Clone)]
enum Then {
    Action(Text),
    Rules(Vec<Rule>),
}

/// What is looked up.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    Network(Network),
    Text(Text),
}

impl Table {
    pub(crate) fn new(of: Of) -> Self {
        Self { of, rules: Shared::default(), parsed: Shared::default() }
    }

    /// The action for `key`.
    pub(crate) fn find(&self, key: &Key) -> Option<Text> {
        find(&self.rules.read(), key)
    }

    /// The number of rules, which looking one up costs.
    pub(crate) fn size(&self) -> usize {
        size(&self.rules.read())
    }
}

fn size(rules: &[Rule]) -> usize {
    let inner = |rule: &Rule| if let Then::Rules(rules) = &rule.then { size(rules) } else { 0 };
    rules.iter().map(|rule| 1 + inner(rule)).sum()
}

fn find(rules: &[Rule], key: &Key) -> Option<Text> {
    rules.iter().find_map(|rule| {
        let found = match (&rule.pattern, key) {
            (Pattern::Network(network), Key::Network(key)) => network.includes(key).then_some(None),
            (Pattern::Expression(regexp), Key::Text(text)) => regexp.find(text, 0).map(Some),
            _ => None,
        };
        match (&rule.then, found) {
            (_, Some(_)) if rule.negated => None,
            (_, None) if !rule.negated => None,
            (Then::Rules(rules), _) => find(rules, key),
            (Then::Action(action), Some(Some(found))) => {
                Some(expand(action, |at| found.group(at).unwrap_or_default()))
            }
            (Then::Action(action), _) => Some(action.clone()),
        }
    })
}

/// `action` with `$1`, `${1}`, `$(1)` and `$$` replaced.
fn expand(action: &Text, group: impl Fn(usize) -> Text) -> Text {
    if !action.contains(&b'$') {
        return action.clone();
    }
    let mut out = Vec::new();
    let mut rest = &action[..];
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let (opening, closing) = match rest.first() {
            Some(b'{') => (1, &b"}"[..]),
            Some(b'(') => (1, &b")"[..]),
            _ => (0, &b""[..]),
        };
        let digits = rest[opening..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number =
            std::str::from_utf8(&rest[opening..opening + digits]).ok().and_then(|text| text.parse().ok());
        match number {
            Some(number) if rest[opening + digits..].starts_with(closing) => {
                out.extend_from_slice(&group(number));
                rest = &rest[opening + digits + closing.len()..];
            }
            _ if rest.first() == Some(&b'$') => {
                out.push(b'$');
                rest = &rest[1..];
            }
            _ => out.push(b'$'),
        }
    }
    out.extend_from_slice(rest);
    Text::from(out)
}

/// The rules of a file, or what is wrong in it.
pub(crate) fn parse(of: Of, path: &str, bytes: &[u8]) -> Result<Vec<Rule>, String> {
    let mut outermost = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for (number, line) in logical_lines(bytes) {
        let place = |what: &str| format!("{path}:{number}: {what}");
        let wrong = || place(&format!("invalid format <{line}>"));
        let (word, rest) = line.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((&line, ""));
        match word {
            "if" => {
                let (negated, pattern, rest) =
                    pattern(of, rest.trim_start()).map_err(|detail| told(detail, &place, &line))?;
                if !rest.trim().is_empty() {
                    return Err(wrong());
                }
                if open.len() > MAX_DEPTH {
                    return Err(place(&format!("more than {MAX_DEPTH} if in each other")));
                }
                let unclosed = place(&format!("no endif: <{line}>"));
                open.push(Open { rules: Vec::new(), negated, pattern, unclosed });
            }
            "endif" => {
                let Some(Open { rules, negated, pattern, .. }) = open.pop() else { return Err(wrong()) };
                let outer = open.last_mut().map_or(&mut outermost, |open| &mut open.rules);
                outer.push(Rule { negated, pattern, then: Then::Rules(rules) });
            }
            _ => {
                let (negated, pattern, rest) =
                    pattern(of, &line).map_err(|detail| told(detail, &place, &line))?;
                let action = rest.trim_ascii_start();
                if action.is_empty() || !rest.starts_with(|c: char| c.is_ascii_whitespace()) {
                    return Err(wrong());
                }
                let then = Then::Action(Text::from(action));
                let rules = open.last_mut().map_or(&mut outermost, |open| &mut open.rules);
                rules.push(Rule { negated, pattern, then });
            }
        }
    }
    open.pop().map_or(Ok(outermost), |open| Err(open.unclosed))
}

/// An `if` without its `endif` so far.
struct Open {
    rules: Vec<Rule>,
    negated: bool,
    pattern: Pattern,
    /// What is said when there is none.
    unclosed: String,
}

/// What is wrong with which part of a pattern; nothing where it has no form at all.
type Fault = Option<(String, String)>;

/// The message for a bad pattern.
fn told(detail: Fault, place: &dyn Fn(&str) -> String, line: &str) -> String {
    match detail {
        Some((detail, value)) => place(&format!("{detail}: <{value}>: <{line}>")),
        None => place(&format!("invalid format <{line}>")),
    }
}

/// A pattern with `!` or without, and what is behind it; or what is wrong with it.
fn pattern(of: Of, text: &str) -> Result<(bool, Pattern, &str), Fault> {
    let (negated, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest.trim_start()));
    match of {
        Of::Networks => {
            let end = text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len());
            let (written, rest) = text.split_at(end);
            let has_form = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '/' | '[' | ']');
            if written.is_empty() || !written.chars().all(has_form) {
                return Err(None);
            }
            let plain: String = written.chars().filter(|c| !matches!(c, '[' | ']')).collect();
            let network = Network::parse(&plain);
            let network = network.ok_or_else(|| Some(("invalid address".to_owned(), written.to_owned())))?;
            Ok((negated, Pattern::Network(network), rest))
        }
        Of::Expressions => {
            let delimiter = text.chars().next().filter(char::is_ascii_punctuation).ok_or(None)?;
            let end = closing(&text[1..], delimiter).ok_or(None)? + 1;
            let (source, behind) = (&text[1..end], &text[end + 1..]);
            let end = behind.find(|c: char| c.is_ascii_whitespace()).unwrap_or(behind.len());
            let (flags, rest) = behind.split_at(end);
            // Postfix's `i` switches a default off.
            let mut options = Options { ignore_case: true, ..Options::default() };
            for flag in flags.chars() {
                match flag {
                    'i' => options.ignore_case = !options.ignore_case,
                    'm' => options.multi_line = !options.multi_line,
                    'x' => {}
                    _ => return Err(None),
                }
            }
            let regexp = Regexp::new(source, options)
                .map_err(|complaint| Some((complaint.message, source.to_owned())))?;
            Ok((negated, Pattern::Expression(regexp.into()), rest))
        }
    }
}

/// Where the delimiter stands that no backslash stands before.
fn closing(text: &str, delimiter: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, character)| {
        let found = character == delimiter && !escaped;
        escaped = character == '\\' && !escaped;
        found.then_some(at)
    })
}

/// Lines with those joined that continue them, each with the number of its last line. Comments and blank lines are left out.
fn logical_lines(bytes: &[u8]) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, line) in (1..).zip(String::from_utf8_lossy(bytes).lines()) {
        let trimmed = line.trim_ascii_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        match lines.last_mut().filter(|_| trimmed.len() < line.len()) {
            Some((last, text)) => {
                *last = number;
                text.push(' ');
                text.push_str(trimmed);
            }
            None => lines.push((number, trimmed.to_owned())),
        }
    }
    lines
}
