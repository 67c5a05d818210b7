//! A text, and the words of it.

/// How much of a line is shown before and behind a value.
const AROUND: usize = 200;

/// A place in a text.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'t> {
    text: &'t str,
    at: usize,
    // A place up to which lines have been counted, and how many there are.
    counted: (usize, u32),
}

/// What was expected where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Odd {
    /// The line from 1.
    pub(crate) line: u32,
    /// What was expected there.
    pub(crate) expected: &'static str,
}

impl<'t> Cursor<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0, counted: (0, 1) }
    }

    pub(crate) fn odd(&mut self, expected: &'static str) -> Odd {
        Odd { line: self.line(), expected }
    }

    /// The line in which it stands, from 1.
    pub(crate) fn line(&mut self) -> u32 {
        let (from, lines) = if self.counted.0 <= self.at { self.counted } else { (0, 1) };
        let more = self.text.as_bytes()[from..self.at].iter().filter(|byte| **byte == b'\n').count();
        self.counted = (self.at, lines.saturating_add(u32::try_from(more).unwrap_or(u32::MAX)));
        self.counted.1
    }

    /// The text of that line, or what of a long one is around.
    pub(crate) fn line_text(&self) -> &'t str {
        let boundary = |at: usize| {
            (0..=at.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0)
        };
        let before = &self.text[boundary(self.at.saturating_sub(AROUND))..self.at];
        let after = &self.text[self.at..boundary(self.at.saturating_add(AROUND))];
        let start = self.at - before.rfind('\n').map_or(before.len(), |at| before.len() - at - 1);
        let end = self.at + after.find('\n').unwrap_or(after.len());
        &self.text[start..end]
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// What follows.
    pub(crate) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Goes over `token` if it is next.
    pub(crate) fn take(&mut self, token: &str) -> bool {
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.at += token.len();
        }
        is_next
    }

    /// Goes over the characters for which `is` holds.
    pub(crate) fn take_while(&mut self, is: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !is(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    /// Goes over blanks, comments, and whatever of `also` there is.
    pub(crate) fn skip(&mut self, also: &[char]) -> Result<(), Odd> {
        loop {
            self.take_while(|c| c.is_whitespace() || also.contains(&c));
            if self.peek() == Some(b'#') {
                self.take_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                self.comment()?;
            } else {
                return Ok(());
            }
        }
    }

    /// Goes over a comment that may have others in it.
    fn comment(&mut self) -> Result<(), Odd> {
        let start = self.clone();
        let mut depth = 0_u32;
        loop {
            if self.take("/*") {
                depth += 1;
            } else if self.take("*/") {
                depth -= 1;
                if depth == 0 {
                    return Ok(());
                }
            } else if self.rest().is_empty() {
                return Err(start.clone().odd("the end of the comment that starts here"));
            } else {
                let first = self.rest().chars().next().map_or(0, char::len_utf8);
                self.at += first;
                self.take_while(|c| c != '/' && c != '*');
            }
        }
    }

    /// A string in `quote`, which is next.
    pub(crate) fn quoted(&mut self, quote: char) -> Result<String, Odd> {
        let start = self.clone();
        self.at += 1;
        let mut string = String::new();
        let mut characters = self.rest().char_indices();
        while let Some((at, c)) = characters.next() {
            if c == quote {
                self.at += at + 1;
                return Ok(string);
            }
            if c != '\\' {
                string.push(c);
                continue;
            }
            match characters.next() {
                Some((_, 'n')) if quote == '"' => string.push('\n'),
                Some((_, 't')) if quote == '"' => string.push('\t'),
                Some((_, c)) => string.push(c),
                None => {}
            }
        }
        Err(start.clone().odd("the quote that ends the string that starts here"))
    }

    /// Lines up to one that is `<<WORD`'s word, if that is next.
    pub(crate) fn heredoc(&mut self) -> Option<Result<String, Odd>> {
        let rest = self.rest();
        let (word, lines) = rest.strip_prefix("<<")?.split_once('\n')?;
        if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let mut length = 0;
        for line in lines.split_inclusive('\n') {
            if line.trim_end_matches(['\r', '\n', ';']) == word {
                let string = lines[..length].to_owned();
                self.at += rest.len() - lines.len() + length + line.trim_end_matches('\n').len();
                return Some(Ok(string));
            }
            length += line.len();
        }
        Some(Err(self.odd("the line that ends the text that starts here")))
    }

    /// A value without quotes: what there is up to the end of the line, or a sign that ends it and closes no bracket of its own.
    pub(crate) fn bare(&mut self) -> &'t str {
        let rest = self.rest();
        let mut open = Vec::new();
        let mut end = rest.len();
        for (at, c) in rest.char_indices() {
            let ends = match c {
                '{' | '[' => {
                    open.push(c);
                    false
                }
                '}' => open.pop() != Some('{'),
                ']' => open.pop() != Some('['),
                '\n' | ';' | ',' | '#' => true,
                '/' => rest[at..].starts_with("/*"),
                _ => false,
            };
            if ends {
                end = at;
                break;
            }
        }
        self.at += end;
        rest[..end].trim()
    }
}
