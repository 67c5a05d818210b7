//! Words escaped for a shell's command line.

/// One word such that a shell reads it back as one word.
pub(crate) fn escape(word: &str) -> String {
    if word.is_empty() {
        return "''".to_owned();
    }
    let mut out = String::with_capacity(word.len());
    for c in word.chars() {
        match c {
            '\n' => out.push_str("'\n'"),
            'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '-' | '.' | ',' | ':' | '/' | '@' => out.push(c),
            _ => {
                out.push('\\');
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn words_are_escaped_character_by_character() {
        assert_eq!(escape("a b"), "a\\ b");
        assert_eq!(escape("--x=1"), "--x\\=1");
        assert_eq!(escape(""), "''");
        assert_eq!(escape("a\nb"), "a'\n'b");
        assert_eq!(escape("é"), "\\é");
    }
}
