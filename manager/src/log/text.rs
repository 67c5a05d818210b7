//! Text from outside, made fit for one log line.

use std::fmt::Write as _;

/// More of a text from outside is not shown.
const LONGEST: usize = 500;

/// `bytes` as one line of printable text: UTF-8 as it is, everything else, line breaks and escapes as `\xNN`, so that
/// no peer can forge a line or colour a terminal.
pub(crate) fn printable(bytes: &[u8]) -> String {
    printable_to(bytes, LONGEST)
}

/// The same with at most `longest` bytes of it.
pub(crate) fn printable_to(bytes: &[u8], longest: usize) -> String {
    let mut text = String::with_capacity(bytes.len().min(longest));
    put_printable_to(&mut text, bytes, longest);
    text
}

/// Adds it to a text.
pub(crate) fn put_printable(text: &mut String, bytes: &[u8]) {
    put_printable_to(text, bytes, LONGEST);
}

/// Adds at most `longest` bytes of it.
pub(crate) fn put_printable_to(text: &mut String, bytes: &[u8], longest: usize) {
    let shown = &bytes[..bytes.len().min(longest)];
    for chunk in shown.utf8_chunks() {
        let mut rest = chunk.valid();
        // Mostly there is none.
        while let Some((at, character)) = rest.char_indices().find(|(_, character)| character.is_control()) {
            let (plain, with_control) = rest.split_at(at);
            let (control, later) = with_control.split_at(character.len_utf8());
            text.push_str(plain);
            match control {
                "\r" => text.push_str("\\r"),
                "\n" => text.push_str("\\n"),
                "\t" => text.push_str("\\t"),
                control => put_hexadecimal(text, control.as_bytes()),
            }
            rest = later;
        }
        text.push_str(rest);
        put_hexadecimal(text, chunk.invalid());
    }
    if bytes.len() > longest {
        let _ = write!(text, "... ({} bytes)", bytes.len());
    }
}

fn put_hexadecimal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_forge_a_line() {
        assert_eq!(printable(b"a\r\nb\x1b[31m\0\xff"), "a\\r\\nb\\x1b[31m\\x00\\xff");
    }

    #[test]
    fn text_in_any_language_stays_readable() {
        assert_eq!(printable("Grüße <ä@例.jp>".as_bytes()), "Grüße <ä@例.jp>");
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        let text = printable(&[b'x'; 600]);
        assert!(text.ends_with("x... (600 bytes)"));
    }
}
