//! Strings the way Ruby's `inspect` writes them.

/// `text` in double quotes, such that it can be read back.
pub(crate) fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\x1b' => out.push_str("\\e"),
            '\x7f' => out.push_str("\\x7F"),
            '#' if matches!(rest.peek(), Some('{' | '$' | '@')) => out.push_str("\\#"),
            c if is_printable(c) => out.push(c),
            c if u32::from(c) > 0xffff => out.push_str(&format!("\\u{{{:X}}}", u32::from(c))),
            c => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// The same for bytes that need not be UTF-8.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return string(text);
    }
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let valid = string(chunk.valid());
        out.push_str(&valid[1..valid.len() - 1]);
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02X}"));
        }
    }
    out.push('"');
    out
}

/// Ruby's `dump`: `text` in double quotes and in ASCII.
pub(crate) fn dump(text: &str) -> String {
    string(text).chars().fold(String::new(), |mut out, c| {
        match u32::from(c) {
            0..=0x7f => out.push(c),
            code @ 0x80..=0xffff => out.push_str(&format!("\\u{code:04X}")),
            code => out.push_str(&format!("\\u{{{code:X}}}")),
        }
        out
    })
}

/// `:name`, quoted when it is not a plain name.
pub(crate) fn symbol(name: &str) -> String {
    let plain = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if plain { format!(":{name}") } else { format!(":{}", string(name)) }
}

/// A float with at least one decimal, very large and small ones as `1.0e+20`.
pub(crate) fn float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let shown = format!("{value:?}");
    let Some((digits, exponent)) = shown.split_once('e') else { return shown };
    let digits = if digits.contains('.') { digits.to_owned() } else { format!("{digits}.0") };
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

/// What the standard library's debug form would not escape; combining marks count as printable, as in Ruby.
fn is_printable(c: char) -> bool {
    // A combining mark is escaped by `escape_debug` only at the beginning of a string.
    let after_letter = format!("{:?}", format!("a{c}"));
    !after_letter.contains('\\') || matches!(c, '\'')
}
