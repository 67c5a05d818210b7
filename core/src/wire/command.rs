//! Commands of the MTA: payloads to values and back.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::{BufMut, Bytes, BytesMut};

use super::error::WireError;
use super::facts::{HEAD, Stage, letter};
use super::negotiation::Negotiation;
use super::payload::Payload;

/// The address of the SMTP client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClientAddress {
    /// Family `4` or `6`: address and TCP port, 0 when unknown.
    Ip(IpAddr, u16),
    /// Family `4` or `6` with an address that does not parse, as Sendmail sends for odd set-ups; kept as it came.
    OddIp {
        /// `4` or `6`.
        family: u8,
        /// The port.
        port: u16,
        /// The address text.
        text: Bytes,
    },
    /// Family `L`: a unix socket path.
    Unix(Bytes),
    /// Family `U`.
    Unknown,
}

/// What CONNECT says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConnectInfo {
    /// The client's host name, or `[address]`.
    pub host: Bytes,
    /// Its address.
    pub address: ClientAddress,
}

/// One command of the MTA. Byte strings are slices of the frame that they came in, without their NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `O`
    Negotiate(Negotiation),
    /// `D`: the letter of the command they belong to, and the name and value strings, each with its NUL.
    Macros {
        /// The command's letter. Postfix uses letters that no stage has a macro list for.
        letter: u8,
        /// Name, NUL, value, NUL, and so on.
        pairs: Bytes,
    },
    /// `C`
    Connect(ConnectInfo),
    /// `H`
    Helo(Bytes),
    /// `M`: the sender, then its ESMTP arguments, each with its NUL.
    Mail(Bytes),
    /// `R`: the recipient, then its ESMTP arguments, each with its NUL.
    Rcpt(Bytes),
    /// `T`
    Data,
    /// `L`
    Header {
        /// Without the colon.
        name: Bytes,
        /// Folded with LF.
        value: Bytes,
    },
    /// `N`
    EndOfHeaders,
    /// `B`. Never send an empty one: libmilter closes the connection.
    Body(Bytes),
    /// `E`, with a last piece of body that is usually empty.
    EndOfMessage(Bytes),
    /// `U`: the whole SMTP command line.
    Unknown(Bytes),
    /// `A`
    Abort,
    /// `Q`
    Quit,
    /// `K`
    QuitNc,
}

/// The first string of a payload of strings: the address of [`Command::Mail`] and [`Command::Rcpt`].
#[must_use]
pub fn first_string(strings: &[u8]) -> &[u8] {
    memchr::memchr(0, strings).map_or(strings, |end| &strings[..end])
}

/// Name and value of a header, from its payload.
///
/// # Errors
///
/// Strings without their NUL, bytes behind them, no name.
pub fn split_header(payload: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let letter = Stage::Header.letter();
    let missing = |missing| WireError::Truncated { letter, missing };
    let name_end = first_nul(payload).ok_or(missing("a NUL behind the name"))?;
    let (name, value) = (&payload[..name_end], &payload[name_end + 1..]);
    let value_end = memchr::memchr(0, value).ok_or(missing("a NUL behind the value"))?;
    match value.len() - value_end - 1 {
        0 if name.is_empty() => Err(missing("a name")),
        0 => Ok((name, &value[..value_end])),
        extra => Err(WireError::Trailing { letter, extra }),
    }
}

/// Where the first NUL is: in the name of a header mostly near, before a search that looks at more bytes at once has begun.
fn first_nul(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const NEAR: usize = 32;

    let (words, _) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().take(NEAR / 8).enumerate() {
        let word = u64::from_le_bytes(*word);
        // The lowest bit that is set is the highest of the first byte that is 0.
        let found = word.wrapping_sub(ONES) & !word & ONES << 7;
        if found != 0 {
            return Some(number * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let passed = (bytes.len() / 8 * 8).min(NEAR);
    memchr::memchr(0, &bytes[passed..]).map(|at| passed + at)
}

impl Command {
    /// Its letter.
    #[must_use]
    pub const fn letter(&self) -> u8 {
        match self {
            Self::Negotiate(_) => b'O',
            Self::Macros { .. } => letter::MACRO,
            Self::Connect(_) => b'C',
            Self::Helo(_) => b'H',
            Self::Mail(_) => b'M',
            Self::Rcpt(_) => b'R',
            Self::Data => b'T',
            Self::Header { .. } => b'L',
            Self::EndOfHeaders => b'N',
            Self::Body(_) => b'B',
            Self::EndOfMessage(_) => b'E',
            Self::Unknown(_) => b'U',
            Self::Abort => letter::ABORT,
            Self::Quit => letter::QUIT,
            Self::QuitNc => letter::QUIT_NC,
        }
    }

    /// The stage that it belongs to, if any.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        Stage::of_letter(self.letter())
    }

    /// Reads a command from its letter and payload.
    ///
    /// Lenient where real MTAs differ: an address that does not parse is kept as text, bytes behind the strings of
    /// CONNECT and the numbers of an offer are ignored, both as libmilter does. The strings share `payload`.
    ///
    /// # Errors
    ///
    /// Unknown letters, strings without their NUL, bytes where none may be, a header without a name, an address family
    /// that does not exist.
    pub fn decode(letter: u8, payload: Bytes) -> Result<Self, WireError> {
        let mut payload = Payload::new(letter, payload);
        Ok(match letter {
            b'O' => Self::Negotiate(Negotiation::decode_offer(payload)?),
            letter::MACRO => {
                let stage = payload.byte("the letter of its command")?;
                let pairs = payload.strings("a NUL behind the last value")?;
                if !memchr::memchr_iter(0, &pairs).count().is_multiple_of(2) {
                    return Err(WireError::Truncated { letter, missing: "a value behind the last name" });
                }
                Self::Macros { letter: stage, pairs }
            }
            b'C' => Self::Connect(decode_connect(payload)?),
            b'H' => Self::Helo(payload.only_string("a NUL behind the name")?),
            b'M' => Self::Mail(payload.at_least_one_string("a sender")?),
            b'R' => Self::Rcpt(payload.at_least_one_string("a recipient")?),
            b'T' => payload.empty(Self::Data)?,
            b'L' => {
                let payload = payload.rest();
                let (name, value) = split_header(&payload)?;
                Self::Header { name: payload.slice_ref(name), value: payload.slice_ref(value) }
            }
            b'N' => payload.empty(Self::EndOfHeaders)?,
            b'B' => Self::Body(payload.rest()),
            b'E' => Self::EndOfMessage(payload.rest()),
            b'U' => Self::Unknown(payload.only_string("a NUL behind the command")?),
            letter::ABORT => payload.empty(Self::Abort)?,
            letter::QUIT => payload.empty(Self::Quit)?,
            letter::QUIT_NC => payload.empty(Self::QuitNc)?,
            _ => return Err(WireError::UnknownLetter(letter)),
        })
    }

    /// Appends the whole frame to `out`. A string with a NUL inside ends there, as it does for every receiver.
    pub fn encode(&self, out: &mut BytesMut) {
        frame(out, self.letter(), |out| match self {
            Self::Negotiate(negotiation) => negotiation.encode(out),
            Self::Macros { letter, pairs } => {
                out.put_u8(*letter);
                out.put_slice(pairs);
            }
            Self::Connect(info) => encode_connect(info, out),
            Self::Helo(text) | Self::Unknown(text) => put_string(out, text),
            Self::Mail(bytes) | Self::Rcpt(bytes) | Self::Body(bytes) | Self::EndOfMessage(bytes) => {
                out.put_slice(bytes);
            }
            Self::Header { name, value } => {
                put_string(out, name);
                put_string(out, value);
            }
            Self::Data | Self::EndOfHeaders | Self::Abort | Self::Quit | Self::QuitNc => {}
        });
    }
}

/// Appends a frame with `letter` to `out`, its payload written by `payload`.
pub(crate) fn frame(out: &mut BytesMut, letter: u8, payload: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    out.put_u8(letter);
    payload(out);
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// The five bytes before a payload of `payload` bytes.
#[must_use]
pub fn head(letter: u8, payload: usize) -> [u8; HEAD] {
    let [a, b, c, d] = u32::try_from(payload + 1).unwrap_or(u32::MAX).to_be_bytes();
    [a, b, c, d, letter]
}

/// Appends `text` up to its first NUL, so that no text can smuggle in a second string, and the NUL.
pub(super) fn put_string(out: &mut BytesMut, text: &[u8]) {
    out.put_slice(first_string(text));
    out.put_u8(0);
}

fn decode_connect(mut payload: Payload) -> Result<ConnectInfo, WireError> {
    let host = payload.string("a NUL behind the host name")?;
    let family = payload.byte("an address family")?;
    if family == b'U' {
        return Ok(ConnectInfo { host, address: ClientAddress::Unknown });
    }
    if !matches!(family, b'4' | b'6' | b'L') {
        return Err(WireError::Family(family));
    }
    let port = payload.u16("a port")?;
    let text = payload.string("a NUL behind the address")?;
    let address = match family {
        b'L' => ClientAddress::Unix(text),
        _ => match parse_ip(family, &text) {
            Some(ip) => ClientAddress::Ip(ip, port),
            None => ClientAddress::OddIp { family, port, text },
        },
    };
    Ok(ConnectInfo { host, address })
}

fn parse_ip(family: u8, text: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(text).ok()?;
    if family == b'4' {
        return text.parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    }
    let bare = match text.get(..5) {
        Some(prefix) if prefix.eq_ignore_ascii_case("IPv6:") => &text[5..],
        _ => text,
    };
    bare.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

fn encode_connect(info: &ConnectInfo, out: &mut BytesMut) {
    use core::fmt::Write as _;

    put_string(out, &info.host);
    match &info.address {
        ClientAddress::Ip(ip, port) => {
            out.put_u8(if ip.is_ipv4() { b'4' } else { b'6' });
            out.put_u16(*port);
            // Writing to a growing buffer cannot fail.
            let _ = write!(out, "{ip}");
            out.put_u8(0);
        }
        ClientAddress::OddIp { family, port, text } => {
            out.put_u8(*family);
            out.put_u16(*port);
            put_string(out, text);
        }
        ClientAddress::Unix(path) => {
            out.put_u8(b'L');
            out.put_u16(0);
            put_string(out, path);
        }
        ClientAddress::Unknown => out.put_u8(b'U'),
    }
}
