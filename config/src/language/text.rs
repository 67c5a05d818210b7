//! Strings: bytes, which mail need not have in UTF-8.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

/// A string or the name of a symbol. Cheap to clone and to cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Text(Bytes);

impl Text {
    pub(crate) fn of(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The text, empty when it is not valid UTF-8; settings check that before.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(crate) fn lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    pub(crate) fn is_utf8(&self) -> bool {
        std::str::from_utf8(&self.0).is_ok()
    }

    /// A part of it without copying.
    pub(crate) fn part(&self, from: usize, to: usize) -> Self {
        Self(self.0.slice(from..to))
    }

    /// Where its characters begin, and its end. A byte that is no UTF-8 is a character, as in Ruby.
    pub(crate) fn boundaries(&self) -> Vec<usize> {
        let mut at = 0;
        let mut found = vec![0];
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                at += character.len_utf8();
                found.push(at);
            }
            for _ in chunk.invalid() {
                at += 1;
                found.push(at);
            }
        }
        found
    }

    /// The number of characters.
    pub(crate) fn size(&self) -> usize {
        if self.0.is_ascii() { self.0.len() } else { self.boundaries().len() - 1 }
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lossy())
    }
}
