//! From Ruby's notation of regular expressions to that of the `regex` crate.
//!
//! | Ruby | here |
//! |---|---|
//! | `^` `$` | `(?m:^)` `(?m:$)`: at each line |
//! | `\Z` | `\n?\z` in a group of its own, which is cut off a match |
//! | `m` | `s` |
//! | `x` | blanks and comments are left out |
//! | `\d` `\w` `\s` `\h` | their ASCII characters |
//! | `[[:alpha:]]` | Unicode's classes, as in Ruby |

mod class;

use std::iter::Peekable;
use std::str::Chars;

use self::class::{class_of, posix};
use super::regexp::Options;
use crate::problem::Complaint;

/// How the groups are called that stand for `^`.
pub(super) const LINE_START: &str = "line_start_";
/// How the groups are called that stand for `\Z`.
pub(super) const TEXT_END: &str = "text_end_";

/// A translated expression.
#[derive(Debug, Default)]
pub(super) struct Translated {
    pub(super) pattern: String,
    /// For the whole and each of Ruby's groups, the number of the engine's group.
    pub(super) groups: Vec<usize>,
    /// Ruby's names of groups, each with the number of its group.
    pub(super) names: Vec<(String, usize)>,
    pub(super) line_starts: usize,
    pub(super) text_ends: usize,
}

type Result<T> = std::result::Result<T, Complaint>;

pub(super) fn translate(source: &str, options: Options) -> Result<Translated> {
    let mut translation = Translation {
        rest: source.chars().peekable(),
        out: Translated { groups: vec![0], ..Translated::default() },
        engine_groups: 0,
        named: has_named_groups(source),
        extended: options.extended,
        repeatable: None,
        ended: false,
        flags_end: 0,
    };
    let flags: String = [(options.ignore_case, 'i'), (options.multi_line, 's')]
        .into_iter()
        .filter_map(|(set, flag)| set.then_some(flag))
        .collect();
    if !flags.is_empty() {
        translation.out.pattern.push_str(&format!("(?{flags})"));
        translation.flags_end = translation.out.pattern.len();
    }
    translation.sequence(0)?;
    Ok(translation.out)
}

/// In Ruby plain parentheses do not count where there are named ones.
fn has_named_groups(source: &str) -> bool {
    let is_name = |rest: &str| rest.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    source.match_indices("(?<").any(|(at, _)| is_name(&source[at + 3..]))
        || source.match_indices("(?'").any(|(at, _)| is_name(&source[at + 3..]))
}

struct Translation<'s> {
    rest: Peekable<Chars<'s>>,
    out: Translated,
    engine_groups: usize,
    named: bool,
    extended: bool,
    /// Where in the pattern the last thing begins that can be repeated.
    repeatable: Option<usize>,
    /// A `\Z` was the last thing of this alternative.
    ended: bool,
    /// Where the flags for the whole end.
    flags_end: usize,
}

impl Translation<'_> {
    /// Up to the end or to the parenthesis that closes this group.
    fn sequence(&mut self, depth: usize) -> Result<()> {
        self.repeatable = None;
        let mut any_ended = false;
        while let Some(character) = self.rest.next() {
            if self.ended && !matches!(character, '|' | ')') {
                return Err(Complaint::with_hint(
                    "`\\Z` with something behind it is not supported",
                    "use `\\z`, or put it at the end",
                ));
            }
            match character {
                ')' if depth > 0 => {
                    self.ended |= any_ended;
                    return Ok(());
                }
                ')' => return Err(Complaint::new("unmatched close parenthesis in the regular expression")),
                '(' => self.group(depth)?,
                '|' => {
                    any_ended |= self.ended;
                    self.ended = false;
                    self.repeatable = None;
                    self.out.pattern.push('|');
                }
                '[' => {
                    self.begin();
                    let class = self.class()?;
                    self.out.pattern.push_str(&class);
                }
                '.' => {
                    self.begin();
                    self.out.pattern.push('.');
                }
                '^' => {
                    let at = self.out.line_starts;
                    self.out.line_starts += 1;
                    self.engine_groups += 1;
                    self.repeatable = None;
                    self.out.pattern.push_str(&format!("(?P<{LINE_START}{at}>(?m:^))"));
                }
                '$' => {
                    self.repeatable = None;
                    self.out.pattern.push_str("(?m:$)");
                }
                '\\' => self.escape()?,
                '*' | '+' | '?' => self.repeat(&character.to_string(), true)?,
                '{' => match self.interval() {
                    Some(interval) if self.repeatable.is_some() => self.repeat(&interval, false)?,
                    Some(_) => return Err(nothing_to_repeat()),
                    None => self.literal('{'),
                },
                '#' if self.extended => while self.rest.next_if(|c| *c != '\n').is_some() {},
                c if self.extended && c.is_ascii_whitespace() => {}
                other => self.literal(other),
            }
        }
        if depth > 0 {
            return Err(Complaint::new("a parenthesis is not closed in the regular expression"));
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.repeatable = Some(self.out.pattern.len());
    }

    fn literal(&mut self, character: char) {
        self.begin();
        push_literal(&mut self.out.pattern, character);
    }

    /// What follows `(`.
    fn group(&mut self, depth: usize) -> Result<()> {
        let start = self.out.pattern.len();
        let extended = self.extended;
        let opening = if self.rest.next_if_eq(&'?').is_some() {
            match self.special_group()? {
                Some(opening) => opening,
                None => return Ok(()),
            }
        } else if self.named {
            "(?:".to_owned()
        } else {
            self.count_group();
            "(".to_owned()
        };
        self.out.pattern.push_str(&opening);
        self.sequence(depth + 1)?;
        self.extended = extended;
        self.out.pattern.push(')');
        self.repeatable = Some(start);
        Ok(())
    }

    fn count_group(&mut self) {
        self.engine_groups += 1;
        self.out.groups.push(self.engine_groups);
    }

    /// What follows `(?`. `None`: there was nothing in it that counts.
    fn special_group(&mut self) -> Result<Option<String>> {
        let kind = self.rest.next();
        match kind {
            Some(':') => Ok(Some("(?:".to_owned())),
            Some('#') => {
                while let Some(character) = self.rest.next() {
                    match character {
                        ')' => return Ok(None),
                        '\\' => drop(self.rest.next()),
                        _ => {}
                    }
                }
                Err(Complaint::new("a comment is not closed in the regular expression"))
            }
            Some('=' | '!') => Err(look_around()),
            Some('<') if matches!(self.rest.peek(), Some('=' | '!')) => Err(look_around()),
            Some('<') => self.named_group('>').map(Some),
            Some('\'') => self.named_group('\'').map(Some),
            Some('>') => Err(Complaint::with_hint(
                "`(?>`, a group that is not tried again, is not supported in a regular expression",
                "use `(?:`; the time of a match cannot explode here",
            )),
            Some('~') => Err(Complaint::with_hint(
                "`(?~`, the absence operator, is not supported in a regular expression",
                "match what may be there instead: `[^x]*`",
            )),
            Some('(') => Err(Complaint::with_hint(
                "a condition is not supported in a regular expression",
                "write both alternatives: `(?:a|b)`",
            )),
            Some(letter @ ('i' | 'm' | 'x' | '-')) => self.flags(letter),
            _ => Err(Complaint::new("undefined group option in the regular expression")),
        }
    }

    fn named_group(&mut self, end: char) -> Result<String> {
        let mut name = String::new();
        loop {
            match self.rest.next() {
                Some(c) if c == end => break,
                Some(c) if c.is_alphanumeric() || c == '_' => name.push(c),
                _ => return Err(Complaint::new("a group's name in the regular expression is not valid")),
            }
        }
        if self.out.names.iter().any(|(known, _)| *known == name) {
            return Err(Complaint::with_hint(
                format!("two groups of the regular expression are called {name}"),
                "give each group a name of its own",
            ));
        }
        self.count_group();
        self.out.names.push((name, self.out.groups.len() - 1));
        Ok("(".to_owned())
    }

    /// `(?i-mx:` and, where nothing is before it, `(?i)`.
    fn flags(&mut self, first: char) -> Result<Option<String>> {
        let (mut on, mut off) = (String::new(), String::new());
        let mut negative = false;
        let mut letter = Some(first);
        loop {
            match letter {
                Some('-') => negative = true,
                Some('x') => self.extended = !negative,
                Some('i') if negative => off.push('i'),
                Some('m') if negative => off.push('s'),
                Some('i') => on.push('i'),
                Some('m') => on.push('s'),
                Some(end @ (':' | ')')) => {
                    let off = if off.is_empty() { off } else { format!("-{off}") };
                    let flags = format!("{on}{off}");
                    if end == ':' {
                        return Ok(Some(format!("(?{flags}:")));
                    }
                    let is_start = self.out.pattern.len() == self.flags_end;
                    if !is_start {
                        return Err(Complaint::with_hint(
                            "`(?i)` within a regular expression is not supported",
                            "write `(?i:...)` around what it is for",
                        ));
                    }
                    if !flags.is_empty() {
                        self.out.pattern.push_str(&format!("(?{flags})"));
                        self.flags_end = self.out.pattern.len();
                    }
                    return Ok(None);
                }
                _ => return Err(Complaint::new("undefined group option in the regular expression")),
            }
            letter = self.rest.next();
        }
    }

    /// `n,m}` behind a brace, as the engine writes it; `None` when the brace is a brace.
    fn interval(&mut self) -> Option<String> {
        let ahead: String = self.rest.clone().take_while(|c| *c != '}').take(12).collect();
        let closed = self.rest.clone().nth(ahead.chars().count()) == Some('}');
        let (from, to) = ahead.split_once(',').map_or((&*ahead, None), |(from, to)| (from, Some(to)));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let valid = closed
            && digits(from)
            && to.is_none_or(digits)
            && !(from.is_empty() && to.is_none_or(str::is_empty));
        if !valid {
            return None;
        }
        for _ in 0..=ahead.chars().count() {
            self.rest.next();
        }
        let from = if from.is_empty() { "0" } else { from };
        Some(to.map_or_else(|| format!("{{{from}}}"), |to| format!("{{{from},{to}}}")))
    }

    fn repeat(&mut self, times: &str, is_sign: bool) -> Result<()> {
        let Some(start) = self.repeatable else { return Err(nothing_to_repeat()) };
        self.out.pattern.push_str(times);
        match self.rest.peek() {
            Some('+') if is_sign => {
                return Err(Complaint::with_hint(
                    format!("`{times}+`, which gives nothing back, is not supported in a regular expression"),
                    format!("use `{times}`; the time of a match cannot explode here"),
                ));
            }
            Some('?') if !is_sign && !times.contains(',') => {
                // In Ruby `a{2}?` is an optional `a{2}`, and not one that takes as little as possible.
                self.rest.next();
                self.out.pattern.insert_str(start, "(?:");
                self.out.pattern.push_str(")?");
            }
            Some('?') => {
                self.rest.next();
                self.out.pattern.push('?');
            }
            _ => {}
        }
        // The next sign repeats all of it.
        self.out.pattern.insert_str(start, "(?:");
        self.out.pattern.push(')');
        Ok(())
    }

    /// What follows a backslash outside of brackets.
    fn escape(&mut self) -> Result<()> {
        let Some(letter) = self.rest.next() else {
            return Err(Complaint::new("the regular expression ends in a backslash"));
        };
        let zero_width = match letter {
            'A' => Some("\\A"),
            'z' => Some("\\z"),
            'b' => Some("\\b"),
            'B' => Some("\\B"),
            _ => None,
        };
        if let Some(text) = zero_width {
            self.repeatable = None;
            self.out.pattern.push_str(text);
            return Ok(());
        }
        match letter {
            'Z' => {
                let at = self.out.text_ends;
                self.out.text_ends += 1;
                self.engine_groups += 1;
                self.ended = true;
                self.repeatable = None;
                self.out.pattern.push_str(&format!("(?P<{TEXT_END}{at}>\\n?)\\z"));
            }
            '1'..='7' if self.rest.peek().is_some_and(|c| c.is_digit(8)) => {
                self.begin();
                let character = self.number(&letter.to_string(), 8, 2)?;
                push_literal(&mut self.out.pattern, character);
            }
            '1'..='9' | 'k' => {
                return Err(Complaint::with_hint(
                    format!("a back-reference is not supported in a regular expression: \\{letter}"),
                    "match twice, and compare $1 of both",
                ));
            }
            'g' => {
                return Err(Complaint::with_hint(
                    "a call of a group is not supported in a regular expression: \\g",
                    "write the group out",
                ));
            }
            'G' | 'K' | 'X' | 'y' | 'Y' => {
                return Err(Complaint::new(format!("`\\{letter}` is not supported in a regular expression")));
            }
            'R' => {
                self.begin();
                self.out.pattern.push_str("(?:\\r\\n|[\\n\\x0b\\x0c\\r])");
            }
            letter => {
                self.begin();
                let text = match class_of(letter) {
                    Some((class, negated)) => format!("[{}{class}]", if negated { "^" } else { "" }),
                    None => self.character(letter)?,
                };
                self.out.pattern.push_str(&text);
            }
        }
        Ok(())
    }

    /// The character that `\letter` and what follows it stands for, in the engine's notation.
    fn character(&mut self, letter: char) -> Result<String> {
        let simple = match letter {
            'n' => Some('\n'),
            't' => Some('\t'),
            'r' => Some('\r'),
            'f' => Some('\x0c'),
            'v' => Some('\x0b'),
            'a' => Some('\x07'),
            'e' => Some('\x1b'),
            '0' => Some(self.number("0", 8, 2)?),
            'x' => Some(self.number("", 16, 2)?),
            'u' if self.rest.next_if_eq(&'{').is_some() => {
                let character = self.number("", 16, 6)?;
                if self.rest.next() != Some('}') {
                    return Err(Complaint::new("`\\u{` has more than one character or is not closed"));
                }
                Some(character)
            }
            'u' => Some(self.number("", 16, 4)?),
            _ => None,
        };
        if let Some(character) = simple {
            let mut text = String::new();
            push_literal(&mut text, character);
            return Ok(text);
        }
        match letter {
            'p' | 'P' => self.property(letter),
            'c' | 'C' | 'M' => Err(Complaint::with_hint(
                format!("`\\{letter}` is not supported in a regular expression"),
                "write the character as `\\xHH`",
            )),
            other => {
                let mut text = String::new();
                push_literal(&mut text, other);
                Ok(text)
            }
        }
    }

    fn number(&mut self, before: &str, radix: u32, most: usize) -> Result<char> {
        let mut digits = before.to_owned();
        for _ in 0..most {
            match self.rest.next_if(|c| c.is_digit(radix)) {
                Some(digit) => digits.push(digit),
                None => break,
            }
        }
        let number = u32::from_str_radix(&digits, radix).ok();
        if radix == 16 && most == 2 && number.is_some_and(|number| number > 0x7f) {
            return Err(Complaint::with_hint(
                format!("`\\x{digits}` is half a character"),
                "write the character itself, or `\\uHHHH`",
            ));
        }
        number
            .and_then(char::from_u32)
            .ok_or_else(|| Complaint::new("a number in the regular expression is no character"))
    }

    fn property(&mut self, letter: char) -> Result<String> {
        let mut name = String::new();
        let unsupported = || Complaint::new("`\\p` needs the name of a property: \\p{Alpha}");
        if self.rest.next() != Some('{') {
            return Err(unsupported());
        }
        loop {
            match self.rest.next() {
                Some('}') => break,
                Some(c) if name.len() < 32 => name.push(c),
                _ => return Err(unsupported()),
            }
        }
        let negated = (letter == 'P') != name.starts_with('^');
        let name = name.trim_start_matches('^');
        let class = posix(&name.to_ascii_lowercase()).map_or_else(|| format!("\\p{{{name}}}"), str::to_owned);
        Ok(format!("[{}{class}]", if negated { "^" } else { "" }))
    }
}

fn look_around() -> Complaint {
    Complaint::with_hint(
        "look-around is not supported in a regular expression",
        "use two expressions: `x =~ /a/ and x !~ /b/`",
    )
}

fn nothing_to_repeat() -> Complaint {
    Complaint::with_hint(
        "nothing to repeat before a sign of repetition in the regular expression",
        "write a backslash before it when the sign itself is meant",
    )
}

fn push_literal(out: &mut String, character: char) {
    if character.is_ascii() && !character.is_ascii_alphanumeric() {
        out.push_str(&format!("\\x{:02x}", u32::from(character)));
    } else {
        out.push(character);
    }
}
