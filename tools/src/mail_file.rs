//! A message from a file, with the envelope that it tells.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use millstream_mail::{Message, NoAddress, NoHeader, address};

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
    #[error("{0}")]
    Header(#[from] NoHeader),
    /// A `<` without its `>`.
    #[error("{0}")]
    Address(#[from] NoAddress),
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

/// The message in `data`. `From` tells the sender and each `To` a recipient.
///
/// # Errors
///
/// [`MailFileError::Header`] and [`MailFileError::Address`].
pub fn parse(data: &[u8]) -> Result<Mail, MailFileError> {
    let Message { headers, body } = Message::parse(data)?;
    let mut mail = Mail { headers, ..Mail::default() };
    for Header { name, value } in &mail.headers {
        match &name[..] {
            b"From" => mail.sender = address(value)?,
            b"To" => mail.recipients.push(address(value)?),
            _ => {}
        }
    }
    mail.body = body.chunks(CHUNK).map(<[u8]>::to_vec).collect();
    Ok(mail)
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
        assert_eq!(error(b"To: <a@b\n"), "invalid mail address: <<a@b>");
        assert_eq!(read(OsStr::new("/nowhere")).unwrap_err().to_string(), "/nowhere does not exist.");
    }
}
