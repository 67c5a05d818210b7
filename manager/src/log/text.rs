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
    let shown = &bytes[..bytes.len().min(longest)];
    let mut text = String::with_capacity(shown.len());
    for chunk in shown.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\r' => text.push_str("\\r"),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                character if character.is_control() => {
                    let mut buffer = [0; 4];
                    for byte in character.encode_utf8(&mut buffer).bytes() {
                        let _ = write!(text, "\\x{byte:02x}");
                    }
                }
                character => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    if bytes.len() > longest {
        let _ = write!(text, "... ({} bytes)", bytes.len());
    }
    text
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
