//! Replies of a milter: payloads to values and back.

use bytes::{BufMut, Bytes, BytesMut};

use super::command::{frame, put_string};
use super::error::WireError;
use super::negotiation::Negotiation;
use super::payload::Payload;

/// One reply of a milter. Byte strings are slices of the frame that they came in, without their NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `O`
    Negotiate(Negotiation),
    /// A reply that ends the milter's turn.
    Final(Final),
    /// `p`: still working.
    Progress,
    /// A change to the message, at end of message only.
    Edit(Edit),
}

/// A reply that ends the milter's turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Final {
    /// `c`
    Continue,
    /// `a`
    Accept,
    /// `d`
    Discard,
    /// `r`
    Reject,
    /// `t`
    TemporaryFailure,
    /// `y`: code, text, as on the wire and without the NUL.
    ReplyCode(Bytes),
    /// `s`
    Skip,
    /// `4`: 421 and close.
    Shutdown,
    /// `f`
    ConnectionFailure,
}

/// A change to the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// `+`
    AddRecipient(Bytes),
    /// `2`: recipient, ESMTP arguments as one string.
    AddRecipientPar(Bytes, Option<Bytes>),
    /// `-`
    DeleteRecipient(Bytes),
    /// `b`
    ReplaceBody(Bytes),
    /// `h`: name, value.
    AddHeader(Bytes, Bytes),
    /// `i`: index, name, value.
    InsertHeader(u32, Bytes, Bytes),
    /// `m`: occurrence, name, value; an empty value deletes.
    ChangeHeader(u32, Bytes, Bytes),
    /// `e`: sender, ESMTP arguments as one string.
    ChangeFrom(Bytes, Option<Bytes>),
    /// `q`: reason.
    Quarantine(Bytes),
}

impl Final {
    /// Its letter.
    #[must_use]
    pub const fn letter(&self) -> u8 {
        match self {
            Self::Continue => b'c',
            Self::Accept => b'a',
            Self::Discard => b'd',
            Self::Reject => b'r',
            Self::TemporaryFailure => b't',
            Self::ReplyCode(_) => b'y',
            Self::Skip => b's',
            Self::Shutdown => b'4',
            Self::ConnectionFailure => b'f',
        }
    }
}

impl Edit {
    /// Its letter.
    #[must_use]
    pub const fn letter(&self) -> u8 {
        match self {
            Self::AddRecipient(_) => b'+',
            Self::AddRecipientPar(..) => b'2',
            Self::DeleteRecipient(_) => b'-',
            Self::ReplaceBody(_) => b'b',
            Self::AddHeader(..) => b'h',
            Self::InsertHeader(..) => b'i',
            Self::ChangeHeader(..) => b'm',
            Self::ChangeFrom(..) => b'e',
            Self::Quarantine(_) => b'q',
        }
    }
}

impl Reply {
    /// Its letter.
    #[must_use]
    pub const fn letter(&self) -> u8 {
        match self {
            Self::Negotiate(_) => b'O',
            Self::Final(reply) => reply.letter(),
            Self::Progress => b'p',
            Self::Edit(edit) => edit.letter(),
        }
    }

    /// Reads a reply from its letter and payload. `y` and `q` may lack their NUL, as Postfix allows. The strings share
    /// `payload`, macro lists do not.
    ///
    /// # Errors
    ///
    /// Unknown letters, strings without their NUL, bytes where none may be, header names that are empty, indexes of
    /// 2^31 and more, and reply texts without a 4xx or 5xx code.
    pub fn decode(letter: u8, payload: Bytes) -> Result<Self, WireError> {
        let mut payload = Payload::new(letter, payload);
        Ok(match letter {
            b'O' => Self::Negotiate(Negotiation::decode_answer(payload)?),
            b'c' => payload.empty(Self::Final(Final::Continue))?,
            b'a' => payload.empty(Self::Final(Final::Accept))?,
            b'd' => payload.empty(Self::Final(Final::Discard))?,
            b'r' => payload.empty(Self::Final(Final::Reject))?,
            b't' => payload.empty(Self::Final(Final::TemporaryFailure))?,
            b's' => payload.empty(Self::Final(Final::Skip))?,
            b'4' => payload.empty(Self::Final(Final::Shutdown))?,
            b'f' => payload.empty(Self::Final(Final::ConnectionFailure))?,
            b'p' => payload.empty(Self::Progress)?,
            b'y' => Self::Final(Final::ReplyCode(reply_text(text_with_optional_nul(letter, payload)?)?)),
            b'+' => Self::Edit(Edit::AddRecipient(payload.only_string("a NUL behind the recipient")?)),
            b'2' => {
                let (recipient, arguments) = address(payload)?;
                Self::Edit(Edit::AddRecipientPar(recipient, arguments))
            }
            b'-' => Self::Edit(Edit::DeleteRecipient(payload.only_string("a NUL behind the recipient")?)),
            b'b' => Self::Edit(Edit::ReplaceBody(payload.rest())),
            b'h' => {
                let (name, value) = header(letter, payload)?;
                Self::Edit(Edit::AddHeader(name, value))
            }
            b'i' | b'm' => {
                let index = payload.u32("an index")?;
                if index >= 1 << 31 {
                    return Err(WireError::Range { letter, what: "index", value: index });
                }
                let (name, value) = header(letter, payload)?;
                Self::Edit(match letter {
                    b'i' => Edit::InsertHeader(index, name, value),
                    _ => Edit::ChangeHeader(index, name, value),
                })
            }
            b'e' => {
                let (sender, arguments) = address(payload)?;
                Self::Edit(Edit::ChangeFrom(sender, arguments))
            }
            b'q' => Self::Edit(Edit::Quarantine(text_with_optional_nul(letter, payload)?)),
            _ => return Err(WireError::UnknownLetter(letter)),
        })
    }

    /// Appends the whole frame to `out`. A string with a NUL inside ends there, as it does for every receiver.
    pub fn encode(&self, out: &mut BytesMut) {
        frame(out, self.letter(), |out| match self {
            Self::Negotiate(negotiation) => negotiation.encode(out),
            Self::Final(Final::ReplyCode(text)) => put_string(out, text),
            Self::Final(_) | Self::Progress => {}
            Self::Edit(edit) => encode_edit(edit, out),
        });
    }
}

fn encode_edit(edit: &Edit, out: &mut BytesMut) {
    match edit {
        Edit::AddRecipient(text) | Edit::DeleteRecipient(text) | Edit::Quarantine(text) => {
            put_string(out, text);
        }
        Edit::AddRecipientPar(address, arguments) | Edit::ChangeFrom(address, arguments) => {
            put_string(out, address);
            if let Some(arguments) = arguments {
                put_string(out, arguments);
            }
        }
        Edit::ReplaceBody(data) => out.put_slice(data),
        Edit::AddHeader(name, value) => {
            put_string(out, name);
            put_string(out, value);
        }
        Edit::InsertHeader(index, name, value) | Edit::ChangeHeader(index, name, value) => {
            out.put_u32(*index);
            put_string(out, name);
            put_string(out, value);
        }
    }
}

fn header(letter: u8, mut payload: Payload) -> Result<(Bytes, Bytes), WireError> {
    let name = payload.string("a NUL behind the name")?;
    let value = payload.only_string("a NUL behind the value")?;
    if name.is_empty() {
        return Err(WireError::Truncated { letter, missing: "a name" });
    }
    Ok((name, value))
}

fn address(mut payload: Payload) -> Result<(Bytes, Option<Bytes>), WireError> {
    let address = payload.string("a NUL behind the address")?;
    if payload.is_empty() {
        return Ok((address, None));
    }
    Ok((address, Some(payload.only_string("a NUL behind the arguments")?)))
}

fn text_with_optional_nul(letter: u8, payload: Payload) -> Result<Bytes, WireError> {
    let text = payload.rest();
    match memchr::memchr(0, &text) {
        None => Ok(text),
        Some(end) if end + 1 == text.len() => Ok(text.slice(..end)),
        Some(end) => Err(WireError::Trailing { letter, extra: text.len() - end - 1 }),
    }
}

/// Checks what Postfix checks: a 4xx or 5xx code, then a space or `-`, then no enhanced code of another class. Postfix
/// drops the milter's connection otherwise, so what is passed on to it must hold.
fn reply_text(text: Bytes) -> Result<Bytes, WireError> {
    let code_is_good = matches!(text.first(), Some(b'4' | b'5'))
        && text.get(1..3).is_some_and(|rest| rest.iter().all(u8::is_ascii_digit));
    let separator_is_good = matches!(text.get(3), Some(b' ' | b'-'));
    let class_is_good = match text.get(4) {
        Some(digit) if digit.is_ascii_digit() => Some(digit) == text.first(),
        _ => true,
    };
    if code_is_good && separator_is_good && class_is_good { Ok(text) } else { Err(WireError::ReplyCode) }
}
