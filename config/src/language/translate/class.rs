//! Brackets, and the classes of characters that have a name.

use super::{Result, Translation, push_literal};
use crate::problem::Complaint;

impl Translation<'_> {
    /// What follows `[`, to its end.
    pub(super) fn class(&mut self) -> Result<String> {
        let mut out = "[".to_owned();
        if self.rest.next_if_eq(&'^').is_some() {
            out.push('^');
        }
        let unclosed = || Complaint::new("a bracket is not closed in the regular expression");
        let mut first = true;
        // The last thing was a character, so that a range can begin with it.
        let mut after_character = false;
        loop {
            let character = self.rest.next().ok_or_else(unclosed)?;
            match character {
                ']' if !first => break,
                ']' => {
                    if !self.rest.clone().any(|c| c == ']') {
                        return Err(Complaint::new("empty brackets in the regular expression"));
                    }
                    out.push_str("\\]");
                    after_character = true;
                }
                '[' if self.rest.peek() == Some(&':') && self.posix_class(&mut out)? => {
                    after_character = false;
                }
                '[' => {
                    let inner = self.class()?;
                    out.push_str(&inner);
                    after_character = false;
                }
                '&' if self.rest.next_if_eq(&'&').is_some() => {
                    out.push_str("&&");
                    after_character = false;
                }
                '-' if after_character && !matches!(self.rest.peek(), None | Some(']' | '[')) => {
                    self.range_end(&mut out)?;
                    after_character = false;
                }
                '\\' => after_character = self.class_escape(&mut out)?,
                other => {
                    push_literal(&mut out, other);
                    after_character = true;
                }
            }
            first = false;
        }
        out.push(']');
        Ok(out)
    }

    fn range_end(&mut self, out: &mut String) -> Result<()> {
        match self.rest.next() {
            Some('\\') => match self.rest.next() {
                Some(letter) if class_of(letter).is_none() && letter != 'p' => {
                    let end = if letter == 'b' { "\\x08".to_owned() } else { self.character(letter)? };
                    out.push('-');
                    out.push_str(&end);
                    Ok(())
                }
                _ => Err(Complaint::new("a range in brackets of the regular expression ends in a class")),
            },
            Some(end) => {
                out.push('-');
                push_literal(out, end);
                Ok(())
            }
            None => Err(Complaint::new("a bracket is not closed in the regular expression")),
        }
    }

    /// What follows a backslash within brackets. True: it is a character.
    fn class_escape(&mut self, out: &mut String) -> Result<bool> {
        let Some(letter) = self.rest.next() else {
            return Err(Complaint::new("the regular expression ends in a backslash"));
        };
        if letter == 'b' {
            out.push_str("\\x08");
            return Ok(true);
        }
        if let Some((class, negated)) = class_of(letter) {
            out.push_str(&if negated { format!("[^{class}]") } else { class.to_owned() });
            return Ok(false);
        }
        if letter == 'R' || letter == 'X' {
            return Err(Complaint::new(format!("`\\{letter}` cannot stand in brackets")));
        }
        if ('1'..='7').contains(&letter) {
            let character = self.number(&letter.to_string(), 8, 2)?;
            push_literal(out, character);
            return Ok(true);
        }
        let text = self.character(letter)?;
        out.push_str(&text);
        Ok(letter != 'p' && letter != 'P')
    }

    /// `:alpha:]` behind a bracket; false when it is nothing of the kind.
    fn posix_class(&mut self, out: &mut String) -> Result<bool> {
        let ahead: String =
            self.rest.clone().skip(1).take_while(|c| c.is_ascii_alphabetic() || *c == '^').collect();
        let length = ahead.chars().count() + 1;
        let closed: String = self.rest.clone().skip(length).take(2).collect();
        if closed != ":]" {
            return Ok(false);
        }
        let name = ahead.trim_start_matches('^');
        let Some(class) = posix(name) else {
            return Err(Complaint::new(format!("unknown class in the regular expression: [:{name}:]")));
        };
        for _ in 0..length + 2 {
            self.rest.next();
        }
        out.push_str(&if ahead.starts_with('^') { format!("[^{class}]") } else { format!("[{class}]") });
        Ok(true)
    }
}

/// `\d` and the like: the characters within brackets, and whether they are those that are not meant.
pub(super) fn class_of(letter: char) -> Option<(&'static str, bool)> {
    let class = match letter.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => " \\t\\r\\n\\x0c\\x0b",
        'h' => "0-9A-Fa-f",
        _ => return None,
    };
    Some((class, letter.is_ascii_uppercase()))
}

/// The POSIX classes, which are Unicode's in Ruby.
pub(super) fn posix(name: &str) -> Option<&'static str> {
    Some(match name {
        "alpha" => "\\p{Alphabetic}",
        "digit" => "\\p{Nd}",
        "alnum" => "\\p{Alphabetic}\\p{Nd}",
        "upper" => "\\p{Uppercase}",
        "lower" => "\\p{Lowercase}",
        "space" => "\\p{White_Space}",
        "blank" => "\\p{Zs}\\t",
        "cntrl" => "\\p{Cc}",
        "punct" => "\\p{P}$+<=>\\^`|\\~",
        "xdigit" => "0-9A-Fa-f",
        "word" => "\\w",
        "ascii" => "\\x00-\\x7f",
        _ => return None,
    })
}
