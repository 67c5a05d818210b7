//! Reads the parts of a payload in order, never past its end.

use bytes::{Buf, Bytes};

use super::error::WireError;

/// What is left of a payload.
#[derive(Debug)]
pub(super) struct Payload {
    letter: u8,
    bytes: Bytes,
}

impl Payload {
    pub(super) const fn new(letter: u8, bytes: Bytes) -> Self {
        Self { letter, bytes }
    }

    const fn missing(&self, missing: &'static str) -> WireError {
        WireError::Truncated { letter: self.letter, missing }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn rest(self) -> Bytes {
        self.bytes
    }

    pub(super) fn byte(&mut self, missing: &'static str) -> Result<u8, WireError> {
        self.bytes.try_get_u8().map_err(|_| self.missing(missing))
    }

    pub(super) fn u16(&mut self, missing: &'static str) -> Result<u16, WireError> {
        self.bytes.try_get_u16().map_err(|_| self.missing(missing))
    }

    pub(super) fn u32(&mut self, missing: &'static str) -> Result<u32, WireError> {
        self.bytes.try_get_u32().map_err(|_| self.missing(missing))
    }

    /// The bytes up to the next NUL, which is consumed.
    pub(super) fn string(&mut self, missing: &'static str) -> Result<Bytes, WireError> {
        let end = memchr::memchr(0, &self.bytes).ok_or(self.missing(missing))?;
        let text = self.bytes.split_to(end);
        self.bytes.advance(1);
        Ok(text)
    }

    /// A string with nothing behind it.
    pub(super) fn only_string(mut self, missing: &'static str) -> Result<Bytes, WireError> {
        let text = self.string(missing)?;
        self.end()?;
        Ok(text)
    }

    /// The rest, which is empty or ends with a NUL: zero or more strings.
    pub(super) fn strings(self, missing: &'static str) -> Result<Bytes, WireError> {
        match self.bytes.last() {
            Some(0) | None => Ok(self.bytes),
            Some(_) => Err(self.missing(missing)),
        }
    }

    /// One or more strings.
    pub(super) fn at_least_one_string(self, missing: &'static str) -> Result<Bytes, WireError> {
        if self.is_empty() {
            return Err(self.missing(missing));
        }
        self.strings("a NUL behind the last string")
    }

    /// Checks that nothing is left.
    pub(super) fn end(&self) -> Result<(), WireError> {
        match self.bytes.len() {
            0 => Ok(()),
            extra => Err(WireError::Trailing { letter: self.letter, extra }),
        }
    }

    /// `value`, when nothing is left.
    pub(super) fn empty<T>(self, value: T) -> Result<T, WireError> {
        self.end().map(|()| value)
    }
}
