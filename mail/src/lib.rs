//! A message as a file has it, for programs that show one to a milter without an MTA.

/// A header: its name without the colon, and its value without the blanks before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: Vec<u8>,
    /// The value; where it was folded, with the end of that line, LF or CRLF.
    pub value: Vec<u8>,
}

impl Header {
    /// A header of these two.
    #[must_use]
    pub fn new(name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// Headers and body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The headers, in their order.
    pub headers: Vec<Header>,
    /// The body, its line ends as they are.
    pub body: Vec<u8>,
}

/// A line before the empty one is no header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid header: <{text}>")]
pub struct NoHeader {
    /// Which line, from 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
}

/// A `<` without its `>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid mail address: <{0}>")]
pub struct NoAddress(pub String);

impl Message {
    /// Reads a message: a first line `From ...`, as mailboxes have it, which is left out; headers; an empty line; the body. NUL and
    /// bytes that are not ASCII are taken as they come.
    ///
    /// # Errors
    ///
    /// See [`NoHeader`].
    pub fn parse(data: &[u8]) -> Result<Self, NoHeader> {
        let mut headers: Vec<Header> = Vec::new();
        let mut rest = data;
        let mut number = 0;
        if rest.starts_with(b"From ") {
            take_line(&mut rest);
            number += 1;
        }
        while !rest.is_empty() {
            let (line, ending) = take_line(&mut rest);
            number += 1;
            if line.is_empty() {
                break;
            }
            if let (b' ' | b'\t', Some(last)) = (line[0], headers.last_mut()) {
                last.value.extend_from_slice(if ending.is_empty() { b"\n" } else { ending });
                last.value.extend_from_slice(line);
                continue;
            }
            let colon = line.iter().position(|byte| *byte == b':');
            let Some(colon) = colon.filter(|_| line[0].is_ascii_alphanumeric()) else {
                return Err(NoHeader { line: number, text: String::from_utf8_lossy(line).into_owned() });
            };
            headers.push(Header::new(line[..colon].trim_ascii_end(), line[colon + 1..].trim_ascii_start()));
        }
        Ok(Self { headers, body: rest.to_vec() })
    }

    /// As SMTP carries it: every line ends with CRLF, and those of a folded header with LF, as milters are shown them.
    #[must_use]
    pub fn as_sent(&self) -> Self {
        let value = |header: &Header| {
            let lines: Vec<&[u8]> = header.value.split(|byte| *byte == b'\n').map(without_cr).collect();
            lines.join(&b"\n"[..])
        };
        let headers =
            self.headers.iter().map(|header| Header::new(&header.name[..], value(header))).collect();
        let mut body = Vec::with_capacity(self.body.len());
        let mut rest = &self.body[..];
        while !rest.is_empty() {
            body.extend_from_slice(take_line(&mut rest).0);
            body.extend_from_slice(b"\r\n");
        }
        Self { headers, body }
    }

    /// The addresses in the headers of this name, case ignored, each in angle brackets.
    pub fn addresses(&self, name: &str) -> impl Iterator<Item = Result<Vec<u8>, NoAddress>> {
        let named =
            self.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|header| address(&header.value))
    }
}

/// The address in the text of a header, in angle brackets: from `<` to `>`, or else the first word.
///
/// # Errors
///
/// See [`NoAddress`].
pub fn address(text: &[u8]) -> Result<Vec<u8>, NoAddress> {
    let Some(start) = text.iter().position(|byte| *byte == b'<') else {
        let word = text.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()).unwrap_or_default();
        return Ok(in_brackets(word));
    };
    let end = text[start..].iter().position(|byte| *byte == b'>');
    let end = end.ok_or_else(|| NoAddress(String::from_utf8_lossy(text).into_owned()))?;
    Ok(text[start..=start + end].to_vec())
}

/// As SMTP has an address: in angle brackets, if it has none.
#[must_use]
pub fn in_brackets(address: &[u8]) -> Vec<u8> {
    if address.starts_with(b"<") { address.to_vec() } else { [b"<", address, b">"].concat() }
}

/// The first line of `rest`, which then begins behind it, and what the line ends with.
fn take_line<'a>(rest: &mut &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
    let (line, behind) = rest.split_at(end);
    *rest = behind;
    let text = without_cr(line.strip_suffix(b"\n").unwrap_or(line));
    (text, &line[text.len()..])
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(message: &Message, name: &str) -> Vec<Vec<u8>> {
        message.addresses(name).map(Result::unwrap).collect()
    }

    #[test]
    fn a_message_has_headers_and_a_body_and_tells_addresses() {
        let text =
            b"From a@b Mon\nFrom: Some One <one@example.com>\nTo: two@example.com (Two)\nTO: <three@x>\n\
            Subject:  a\n b\n\nbody\n";
        let message = Message::parse(text).unwrap();
        assert_eq!(message.headers.len(), 4);
        assert_eq!(message.headers[3], Header::new("Subject", "a\n b"));
        assert_eq!(message.body, b"body\n");
        assert_eq!(addresses(&message, "from"), [b"<one@example.com>"]);
        assert_eq!(addresses(&message, "To"), [&b"<two@example.com>"[..], b"<three@x>"]);
    }

    #[test]
    fn lines_keep_their_ends_and_odd_bytes() {
        let message = Message::parse(b"Subject: a\r\n\tb\r\n\r\n\0\xff one\r\ntwo").unwrap();
        assert_eq!(message.headers, [Header::new("Subject", "a\r\n\tb")]);
        assert_eq!(message.body, b"\0\xff one\r\ntwo");
    }

    #[test]
    fn what_is_sent_has_the_line_ends_of_smtp() {
        let with = |end: &str| {
            Message::parse(["A: b", " c", "", "d", "", "e", ""].join(end).as_bytes()).unwrap().as_sent()
        };
        assert_eq!(with("\n"), with("\r\n"));
        assert_eq!(with("\n").headers, [Header::new("A", "b\n c")]);
        assert_eq!(with("\n").body, b"d\r\n\r\ne\r\n");
        assert_eq!(Message::parse(b"A: b\n\nlast").unwrap().as_sent().body, b"last\r\n");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &[u8]| Message::parse(text).unwrap_err();
        assert_eq!(error(b"A: b\nno header\n"), NoHeader { line: 2, text: "no header".to_owned() });
        assert_eq!(error(b"From x\n folded: nothing\n").line, 2);
        assert_eq!(error(b" folded: nothing\n").to_string(), "invalid header: < folded: nothing>");
        assert_eq!(address(b"A <a@b").unwrap_err().to_string(), "invalid mail address: <A <a@b>");
    }
}
