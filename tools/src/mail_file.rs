//! A message from a file.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::mail::{Header, Mail};

/// The most that one body command carries.
pub const CHUNK: usize = 65_535;

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub enum MailFileError {
    /// There is no such file.
    #[error("{0} does not exist.")]
    Missing(String),
    /// It cannot be read.
    #[error("Loading from {path} failed.: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// A line before the empty one is no header.
    #[error("invalid header: <{0}>")]
    Header(String),
    /// A `<` without its `>`.
    #[error("invalid mail address: <{0}>")]
    Address(String),
}

/// Reads a message from `path`, or from standard input for `-`.
///
/// # Errors
///
/// See [`MailFileError`].
pub fn read(path: &OsStr) -> Result<Mail, MailFileError> {
    let shown = path.display().to_string();
    let mut data = Vec::new();
    let result = if path.as_bytes() == b"-" {
        std::io::stdin().read_to_end(&mut data).map(drop)
    } else if Path::new(path).exists() {
        std::fs::read(path).map(|read| data = read)
    } else {
        return Err(MailFileError::Missing(shown));
    };
    result.map_err(|error| MailFileError::Unreadable { path: shown, error })?;
    parse(&data)
}

/// The message in `data`: an mbox line that is left out, headers, an empty line, the body. `From` tells the sender and each
/// `To` a recipient. Lines end with LF or CRLF, which stay as they are in the body and in folded headers; NUL and bytes that are not ASCII are
/// taken as they come.
///
/// # Errors
///
/// [`MailFileError::Header`] and [`MailFileError::Address`].
pub fn parse(data: &[u8]) -> Result<Mail, MailFileError> {
    let mut mail = Mail::default();
    let mut rest = data;
    if rest.starts_with(b"From ") {
        take_line(&mut rest);
    }
    while !rest.is_empty() {
        let (line, ending) = take_line(&mut rest);
        if line.is_empty() {
            break;
        }
        if let (b' ' | b'\t', Some(last)) = (line[0], mail.headers.last_mut()) {
            last.value.extend_from_slice(if ending == b"\r\n" { ending } else { b"\n" });
            last.value.extend_from_slice(line);
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').filter(|_| line[0].is_ascii_alphanumeric());
        let Some(colon) = colon else { return Err(MailFileError::Header(shown(line))) };
        mail.headers.push(Header::new(&line[..colon], line[colon + 1..].trim_ascii_start()));
    }
    for Header { name, value } in &mail.headers {
        match &name[..] {
            b"From" => mail.sender = address(value)?,
            b"To" => mail.recipients.push(address(value)?),
            _ => {}
        }
    }
    mail.body = rest.chunks(CHUNK).map(<[u8]>::to_vec).collect();
    Ok(mail)
}

/// The first line of `rest`, which then begins behind it, and what the line ends with.
fn take_line<'a>(rest: &mut &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
    let (line, behind) = rest.split_at(end);
    *rest = behind;
    let text = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).unwrap_or(line);
    (text, &line[text.len()..])
}

/// From `<` to `>`, or the first word in brackets.
fn address(text: &[u8]) -> Result<Vec<u8>, MailFileError> {
    let Some(start) = text.iter().position(|byte| *byte == b'<') else {
        let word = text.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()).unwrap_or_default();
        return Ok(crate::mail::in_brackets(word));
    };
    let end = text[start..].iter().position(|byte| *byte == b'>');
    let end = end.ok_or_else(|| MailFileError::Address(shown(text)))?;
    Ok(text[start..=start + end].to_vec())
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_tells_its_envelope() {
        let mail = parse(b"From a@b Mon\nFrom: Some One <one@example.com>\nTo: two@example.com (Two)\nTo: <three@x>\nSubject:  a\n b\n\nbody\n").unwrap();
        assert_eq!(mail.sender, b"<one@example.com>");
        assert_eq!(mail.recipients, [&b"<two@example.com>"[..], b"<three@x>"]);
        assert_eq!(mail.headers[3], Header::new("Subject", "a\n b"));
        assert_eq!(mail.body, [b"body\n"]);
    }

    #[test]
    fn lines_keep_their_ends_and_odd_bytes() {
        let mail = parse(b"Subject: a\r\n\tb\r\n\r\n\0\xff one\r\ntwo").unwrap();
        assert_eq!(mail.headers, [Header::new("Subject", "a\r\n\tb")]);
        assert_eq!(mail.body, [b"\0\xff one\r\ntwo"]);
    }

    #[test]
    fn a_long_body_is_cut_where_a_command_is_full() {
        let mut data = b"A: b\n\n".to_vec();
        data.resize(data.len() + CHUNK + 1, b'x');
        let sizes: Vec<_> = parse(&data).unwrap().body.iter().map(Vec::len).collect();
        assert_eq!(sizes, [CHUNK, 1]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |data: &[u8]| parse(data).unwrap_err().to_string();
        assert_eq!(error(b"no header\n"), "invalid header: <no header>");
        assert_eq!(error(b" folded: nothing\n"), "invalid header: < folded: nothing>");
        assert_eq!(error(b"To: <a@b\n"), "invalid mail address: <<a@b>");
        assert_eq!(read(OsStr::new("/nowhere")).unwrap_err().to_string(), "/nowhere does not exist.");
    }
}
