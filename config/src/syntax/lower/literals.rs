//! Numbers, strings and regular expressions.

use lib_ruby_parser::{Loc, Node, nodes};

use super::{Lowered, Lowering, span};
use crate::language::regexp::{Options, shared};
use crate::language::text::Text;
use crate::problem::Complaint;
use crate::rule::Kind;

impl Lowering<'_> {
    /// `0600`, `0o600`, `0x1f`, `0b11`, `0d9`, `1_000`, each with a sign.
    pub(super) fn integer(&self, written: &str, place: Loc) -> Lowered<i64> {
        let clean: String = written.chars().filter(|c| *c != '_').collect::<String>().to_ascii_lowercase();
        let (sign, digits) = match clean.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", clean.strip_prefix('+').unwrap_or(&clean)),
        };
        let (radix, digits) = match digits.as_bytes() {
            [b'0', b'x', ..] => (16, &digits[2..]),
            [b'0', b'b', ..] => (2, &digits[2..]),
            [b'0', b'o', ..] => (8, &digits[2..]),
            [b'0', b'd', ..] => (10, &digits[2..]),
            [b'0', _, ..] => (8, &digits[1..]),
            _ => (10, digits),
        };
        i64::from_str_radix(&format!("{sign}{digits}"), radix).map_err(|_| {
            let shown = self.source.quote(span(&place));
            self.problem(place, Complaint::new(format!("the number is too large: {shown}")))
        })
    }

    pub(super) fn float(&self, written: &str, place: Loc) -> Lowered<f64> {
        let clean: String = written.chars().filter(|c| *c != '_').collect();
        clean.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(|| {
            let shown = self.source.quote(span(&place));
            self.problem(place, Complaint::new(format!("the number is too large: {shown}")))
        })
    }

    pub(super) fn utf8(&self, raw: &[u8], place: Loc) -> Lowered<Text> {
        if std::str::from_utf8(raw).is_err() {
            let complaint = Complaint::with_hint(
                "the text is not valid UTF-8",
                "convert the file to UTF-8, or correct the escape",
            );
            return Err(self.problem(place, complaint));
        }
        Ok(Text::from(raw))
    }

    pub(super) fn regexp(&mut self, regexp: &nodes::Regexp) -> Lowered<Kind> {
        let options = self.options(regexp)?;
        let mut source = String::new();
        for part in &regexp.parts {
            let Node::Str(text) = part else {
                return Ok(Kind::RegexpOf { parts: self.all(&regexp.parts)?, options });
            };
            source.push_str(self.utf8(&text.value.raw, text.expression_l)?.as_str());
        }
        match shared(&source, options) {
            Ok(regexp) => Ok(Kind::Regexp(regexp)),
            Err(complaint) => Err(self.problem(regexp.expression_l, complaint)),
        }
    }

    fn options(&self, regexp: &nodes::Regexp) -> Lowered<Options> {
        let mut options = Options::default();
        let Some(Node::RegOpt(written)) = regexp.options.as_deref() else { return Ok(options) };
        for letter in written.options.as_deref().unwrap_or_default().chars() {
            match letter {
                'i' => options.ignore_case = true,
                'm' => options.multi_line = true,
                'x' => options.extended = true,
                // `o`: the interpolated parts are looked at once; `u`: UTF-8, which it is.
                'u' => {}
                other => {
                    let complaint = Complaint::with_hint(
                        format!("`{other}` behind a regular expression is not supported"),
                        "use `i`, `m` and `x`",
                    );
                    return Err(self.problem(written.expression_l, complaint));
                }
            }
        }
        Ok(options)
    }
}
