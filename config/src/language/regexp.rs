//! Ruby's regular expressions on an engine whose time grows with the length of the text only.

use std::sync::{Arc, OnceLock};

use regex::bytes::{Regex, RegexBuilder};

use super::text::Text;
use super::translate::{LINE_START, Translated, translate};
use crate::inspect;
use crate::problem::Complaint;

/// Most memory of one compiled expression.
const MAX_COMPILED: usize = 1 << 20;

/// The longest expression, in bytes.
pub(crate) const MAX_SOURCE: usize = 8 << 10;

/// A regular expression.
#[derive(Debug)]
pub(crate) struct Regexp {
    source: String,
    options: Options,
    translated: Translated,
    regex: Regex,
    /// The same for texts that are not valid UTF-8, in which a character is a byte. Made when the first comes.
    of_bytes: OnceLock<Option<Regex>>,
}

/// `i`, `m` and `x` behind a regular expression.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) ignore_case: bool,
    /// A dot is a line end, too.
    pub(crate) multi_line: bool,
    pub(crate) extended: bool,
}

impl Options {
    /// In Ruby's order.
    fn letters(self) -> String {
        let letters = [(self.multi_line, 'm'), (self.ignore_case, 'i'), (self.extended, 'x')];
        letters.into_iter().filter_map(|(set, letter)| set.then_some(letter)).collect()
    }
}

/// Where an expression was found.
#[derive(Debug)]
pub(crate) struct Match {
    text: Text,
    /// The whole and Ruby's groups.
    groups: Vec<Option<(usize, usize)>>,
    names: Vec<(String, usize)>,
}

impl Regexp {
    /// Compiles `source`, as written between the slashes.
    pub(crate) fn new(source: &str, options: Options) -> Result<Self, Complaint> {
        if source.len() > MAX_SOURCE {
            return Err(Complaint::with_hint(
                format!("the regular expression is too long: {} bytes, at most {MAX_SOURCE}", source.len()),
                "use an array of strings and include?",
            ));
        }
        let translated = translate(source, options)?;
        let regex = compile(&translated.pattern, true).map_err(|error| {
            Complaint::with_hint(
                format!("the regular expression cannot be used: {error}"),
                "write it more simply; docs/language.md says what it may contain",
            )
        })?;
        Ok(Self { source: source.to_owned(), options, translated, regex, of_bytes: OnceLock::new() })
    }

    pub(crate) fn has_names(&self) -> bool {
        !self.translated.names.is_empty()
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// `/source/i`
    pub(crate) fn inspect(&self) -> String {
        let mut escaped = String::new();
        let mut characters = self.source.chars();
        while let Some(character) = characters.next() {
            match character {
                '/' => escaped.push_str("\\/"),
                '\\' => {
                    escaped.push('\\');
                    escaped.extend(characters.next());
                }
                other => escaped.push(other),
            }
        }
        format!("/{escaped}/{}", self.options.letters())
    }

    /// `(?i-mx:source)`
    pub(crate) fn to_text(&self) -> String {
        let on = self.options.letters();
        let off: String = "mix".chars().filter(|letter| !on.contains(*letter)).collect();
        let off = if off.is_empty() { off } else { format!("-{off}") };
        format!("(?{on}{off}:{})", self.source)
    }

    /// Whether it is found in `text`.
    pub(crate) fn is_match(&self, text: &Text) -> bool {
        if self.translated.line_starts > 0 && text.last() == Some(&b'\n') {
            return self.find(text, 0).is_some();
        }
        self.regex_for(text).is_match(text)
    }

    /// The first place at or behind the byte `from` where it is found.
    pub(crate) fn find(&self, text: &Text, from: usize) -> Option<Match> {
        let found = self.regex_for(text).captures_at(text, from)?;
        if self.translated.line_starts > 0 && text.last() == Some(&b'\n') {
            // Ruby's `^` is not behind the line end that ends a text; the engine's is.
            let at_end = |at: usize| {
                let name = format!("{LINE_START}{at}");
                found.name(&name).is_some_and(|start| start.start() == text.len())
            };
            if (0..self.translated.line_starts).any(at_end) {
                return None;
            }
        }
        // What stands for `\Z` has taken the last line end, which Ruby leaves.
        let end = (0..self.translated.text_ends)
            .filter_map(|at| found.name(&format!("{}{at}", super::translate::TEXT_END)))
            .map(|end| end.start())
            .min()
            .unwrap_or(text.len());
        let group = |at: &usize| found.get(*at).map(|group| (group.start().min(end), group.end().min(end)));
        Some(Match {
            text: text.clone(),
            groups: self.translated.groups.iter().map(group).collect(),
            names: self.translated.names.clone(),
        })
    }

    fn regex_for(&self, text: &Text) -> &Regex {
        if text.is_utf8() {
            return &self.regex;
        }
        let of_bytes = self.of_bytes.get_or_init(|| compile(&self.translated.pattern, false).ok());
        of_bytes.as_ref().unwrap_or(&self.regex)
    }
}

fn compile(pattern: &str, unicode: bool) -> Result<Regex, String> {
    RegexBuilder::new(pattern).unicode(unicode).size_limit(MAX_COMPILED).nest_limit(100).build().map_err(
        |error| match error {
            regex::Error::CompiledTooBig(_) => "it is too large once compiled".to_owned(),
            other => {
                let text = other.to_string();
                text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            }
        },
    )
}

impl Match {
    /// What a group has matched; 0 is the whole.
    pub(crate) fn group(&self, at: usize) -> Option<Text> {
        let (from, to) = (*self.groups.get(at)?)?;
        Some(self.text.part(from, to))
    }

    pub(crate) fn named(&self, name: &str) -> Option<Option<Text>> {
        let (_, at) = self.names.iter().find(|(known, _)| known == name)?;
        Some(self.group(*at))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, _)| name.as_str())
    }

    /// The whole and the groups.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Option<Text>> {
        (0..self.groups.len()).map(|at| self.group(at))
    }

    /// Where the whole begins and ends, in bytes.
    pub(crate) fn place(&self) -> (usize, usize) {
        self.groups.first().copied().flatten().unwrap_or_default()
    }

    /// Where it begins, in characters.
    pub(crate) fn begins(&self) -> usize {
        self.text.part(0, self.place().0).size()
    }

    pub(crate) fn before(&self) -> Text {
        self.text.part(0, self.place().0)
    }

    pub(crate) fn after(&self) -> Text {
        self.text.part(self.place().1, self.text.len())
    }

    pub(crate) fn inspect(&self) -> String {
        let shown = |text: Option<Text>| text.map_or_else(|| "nil".to_owned(), |text| inspect::bytes(&text));
        let mut out = format!("#<MatchData {}", shown(self.group(0)));
        for at in 1..self.groups.len() {
            let name = self.names.iter().find(|(_, group)| *group == at);
            let name = name.map_or_else(|| at.to_string(), |(name, _)| name.clone());
            out.push_str(&format!(" {name}:{}", shown(self.group(at))));
        }
        out.push('>');
        out
    }
}

/// `text` with what means something in an expression made literal, as `Regexp.escape` does.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\x0c' => out.push_str("\\f"),
            '\x0b' => out.push_str("\\v"),
            '[' | ']' | '{' | '}' | '(' | ')' | '|' | '-' | '*' | '.' | '\\' | '?' | '+' | '^' | '$'
            | ' ' | '#' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out
}

/// For values that share it.
pub(crate) fn shared(source: &str, options: Options) -> Result<Arc<Regexp>, Complaint> {
    Regexp::new(source, options).map(Arc::new)
}
