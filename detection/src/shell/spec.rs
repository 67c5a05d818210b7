//! A connection spec as it is defined.

/// `text` as a milter is defined with it: a path gets `unix:` before it, of several `unix:` and `local:` the last one counts. `None`
/// when nothing is there.
pub(crate) fn normalise(text: &str) -> Option<String> {
    let text = text.trim();
    let mut rest = text;
    let mut last = "";
    while let Some(prefix) = ["unix:", "local:"].into_iter().find(|prefix| rest.starts_with(prefix)) {
        (last, rest) = rest.split_at(prefix.len());
    }
    if text.is_empty() {
        None
    } else if text.starts_with('/') {
        Some(format!("unix:{text}"))
    } else {
        Some(format!("{last}{rest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_has_one_protocol() {
        for (text, expected) in [
            ("", None),
            (" \t", None),
            (" /run/x ", Some("unix:/run/x")),
            ("unix:local:/x", Some("local:/x")),
            ("local:local:unix:/x", Some("unix:/x")),
            ("local:/x", Some("local:/x")),
            ("inet:1@h", Some("inet:1@h")),
            ("unix:", Some("unix:")),
        ] {
            assert_eq!(normalise(text).as_deref(), expected, "{text}");
        }
    }
}
