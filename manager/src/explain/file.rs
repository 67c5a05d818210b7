//! A message file, as an MTA would show it to a milter.

/// Headers and body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// Name, and value folded with LF.
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// With CRLF at each line's end.
    pub(super) body: Vec<u8>,
}

impl Message {
    /// Reads a message. A first line `From ...`, as mailboxes have it, is left out.
    ///
    /// # Errors
    ///
    /// A line among the headers that is none.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let mut headers: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut body = Vec::new();
        let mut lines = text.split_inclusive(|byte| *byte == b'\n').enumerate();
        for (at, line) in lines.by_ref() {
            let line = without_end(line);
            if line.is_empty() {
                break;
            }
            if at == 0 && line.starts_with(b"From ") {
                continue;
            }
            let colon = line.iter().position(|byte| *byte == b':');
            match (colon, headers.last_mut()) {
                (_, Some((_, value))) if line.starts_with(b" ") || line.starts_with(b"\t") => {
                    value.push(b'\n');
                    value.extend_from_slice(line);
                }
                (Some(colon), _) if line.first().is_some_and(u8::is_ascii_alphanumeric) => {
                    let value = line[colon + 1..].trim_ascii_start();
                    headers.push((line[..colon].trim_ascii_end().to_vec(), value.to_vec()));
                }
                _ => {
                    let line = String::from_utf8_lossy(line);
                    return Err(format!("line {}: invalid header: {line}", at + 1));
                }
            }
        }
        for (_, line) in lines {
            body.extend_from_slice(without_end(line));
            body.extend_from_slice(b"\r\n");
        }
        Ok(Self { headers, body })
    }

    /// The addresses in the headers of this name, each in angle brackets.
    pub(super) fn addresses(&self, name: &str) -> impl Iterator<Item = String> {
        let named = self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
        named.filter_map(|(_, value)| address(&String::from_utf8_lossy(value)))
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// From `<` to `>` where there is one, else the first word.
fn address(text: &str) -> Option<String> {
    let address = match text.split_once('<') {
        Some((_, rest)) => rest.split_once('>')?.0,
        None => text.split_ascii_whitespace().next()?,
    };
    Some(format!("<{address}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_what_a_milter_is_shown() {
        let message = Message::parse(
            b"From a@b.test Sat Nov 21\nFrom: A <a@b.test>\nSubject: one\n two\nTo: c@d.test\n\nfirst\nsecond",
        )
        .unwrap();
        let pair = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        assert_eq!(
            message.headers,
            [pair("From", "A <a@b.test>"), pair("Subject", "one\n two"), pair("To", "c@d.test")]
        );
        assert_eq!(message.body, b"first\r\nsecond\r\n");
        assert_eq!(message.addresses("from").collect::<Vec<_>>(), ["<a@b.test>"]);
        assert_eq!(message.addresses("To").collect::<Vec<_>>(), ["<c@d.test>"]);
    }

    #[test]
    fn line_ends_of_both_kinds_are_the_same() {
        let with = |end: &str| Message::parse(["A: b", "", "c", "", "d", ""].join(end).as_bytes()).unwrap();
        assert_eq!(with("\n"), with("\r\n"));
        assert_eq!(with("\n").body, b"c\r\n\r\nd\r\n");
    }

    #[test]
    fn what_is_no_header_is_named_with_its_line() {
        assert_eq!(Message::parse(b"A: b\nno header\n").unwrap_err(), "line 2: invalid header: no header");
        assert_eq!(Message::parse(b" folded\n").unwrap_err(), "line 1: invalid header:  folded");
    }
}
