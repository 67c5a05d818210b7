//! `$name` and `${name}` in a value.

/// The longest value that an expansion may give: a line that names itself twice doubles with every reading.
const MAX_VALUE: usize = 4096;

/// `text` with each `$name` and `${name}` that `lookup` knows in its place. What it does not know, what has an unbalanced brace, or
/// more in its braces than a name, is left as written; so is all of it when the result would be longer than any value is.
pub(crate) fn expand<'a>(text: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> String {
    if text.len() > MAX_VALUE {
        return text.to_owned();
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some((name, length)) = reference(rest) else {
            expanded.push('$');
            rest = &rest[1..];
            continue;
        };
        expanded.push_str(lookup(name).unwrap_or(&rest[..length]));
        rest = &rest[length..];
        if expanded.len() > MAX_VALUE {
            return text.to_owned();
        }
    }
    expanded.push_str(rest);
    expanded
}

/// The name that `text`, which starts with `$`, refers to, and how long that is with its braces.
fn reference(text: &str) -> Option<(&str, usize)> {
    let name = text.strip_prefix('$')?;
    if let Some(braced) = name.strip_prefix('{') {
        let end = braced.find(|c: char| !is_name(c))?;
        return (end > 0 && braced[end..].starts_with('}')).then(|| (&braced[..end], end + 3));
    }
    let end = name.find(|c: char| !is_name(c)).unwrap_or(name.len());
    (end > 0).then(|| (&name[..end], end + 1))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_and_what_is_not_known_stays() {
        let lookup = |name: &str| (name == "NAME").then_some("foo");
        for (text, expected) in [
            ("/run/$NAME/${NAME}.sock", "/run/foo/foo.sock"),
            ("$NAME", "foo"),
            ("$OTHER/${OTHER}", "$OTHER/${OTHER}"),
            ("${NAME", "${NAME"),
            ("${NAME:-x}", "${NAME:-x}"),
            ("$$NAME$", "$foo$"),
            ("${}$", "${}$"),
            ("é$NAMEé", "éfooé"),
        ] {
            assert_eq!(expand(text, lookup), expected, "{text}");
        }
    }

    #[test]
    fn a_value_does_not_grow_without_end() {
        let long = "x".repeat(MAX_VALUE);
        assert_eq!(expand("$A$A", |_| Some(&long)), "$A$A");
        assert_eq!(expand("$A", |_| Some(&long)), long);
    }
}
