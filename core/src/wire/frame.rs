//! Framing: bytes in, whole frames out, incrementally and without copying what is large.

use bytes::{Buf, Bytes, BytesMut};

use super::error::WireError;
use super::facts::HEAD;
use super::foreign;

/// A partial frame shorter than this is copied together with its rest; a longer beginning stays where it was read.
const COPY_BELOW: usize = 4096;
/// The most that is reserved for a frame before its bytes are there, so that a length field alone costs nothing.
const RESERVE_STEP: usize = 128 << 10;

/// One frame, letter and payload as they stood on the wire.
///
/// The bytes lie in one piece, or in two when a long frame straddled two reads. The first piece always holds at least
/// the length and the letter, and everything of a frame shorter than 4 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    first: Bytes,
    rest: Bytes,
}

impl Frame {
    /// The letter.
    #[must_use]
    pub fn letter(&self) -> u8 {
        self.first[HEAD - 1]
    }

    /// The number of payload bytes.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.first.len() + self.rest.len() - HEAD
    }

    /// The wire bytes in order, length field included; the second piece is usually empty.
    #[must_use]
    pub const fn wire(&self) -> [&Bytes; 2] {
        [&self.first, &self.rest]
    }

    /// The payload in order, shared and not copied; the second piece is usually empty.
    #[must_use]
    pub fn payload(&self) -> [Bytes; 2] {
        [self.first.slice(HEAD..), self.rest.clone()]
    }

    /// The payload in one piece, copied only when it lies in two.
    #[must_use]
    pub fn contiguous(self) -> Bytes {
        let mut first = self.first;
        first.advance(HEAD);
        if self.rest.is_empty() {
            return first;
        }
        let mut joined = BytesMut::with_capacity(first.len() + self.rest.len());
        joined.extend_from_slice(&first);
        joined.extend_from_slice(&self.rest);
        joined.freeze()
    }
}

/// Cuts a stream of bytes into frames.
///
/// ```text
///   receive(bytes) -> input -> next_frame ... -> Ok(None): what is left is the beginning of a frame
///                                                 short: copied into `partial`
///                                                 long:  kept as `beginning`, the rest goes to `partial`
///   lend() -> partial with room for just the rest -> receive(partial)
/// ```
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    input: Bytes,
    beginning: Bytes,
    partial: BytesMut,
    lent: bool,
    /// Nothing has been decoded yet: the bytes may be of another protocol.
    fresh: bool,
    failed: Option<WireError>,
}

impl Decoder {
    /// A decoder that takes frames of at most `limit` bytes after the length field.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            input: Bytes::new(),
            beginning: Bytes::new(),
            partial: BytesMut::new(),
            lent: false,
            fresh: true,
            failed: None,
        }
    }

    /// Takes bytes in: what [`lend`](Self::lend) gave with new bytes at its end, or fresh ones.
    pub fn receive(&mut self, data: BytesMut) {
        if core::mem::take(&mut self.lent) {
            self.partial = data;
            if let Some((have, total)) = self.partial_progress()
                && have > total
            {
                self.input = self.partial.split_off(total - self.beginning.len()).freeze();
            }
        } else if self.input.is_empty() {
            self.input = data.freeze();
        } else {
            // Only a caller that does not drain between reads comes here.
            let mut joined = BytesMut::with_capacity(self.input.len() + data.len());
            joined.extend_from_slice(&self.input);
            joined.extend_from_slice(&data);
            self.input = joined.freeze();
        }
    }

    /// The buffer of a partial frame with room for its rest, when enough is missing to be worth a read of its own.
    pub fn lend(&mut self) -> Option<BytesMut> {
        let (have, total) = self.partial_progress()?;
        let missing = total.checked_sub(have)?;
        if !self.input.is_empty() || missing < COPY_BELOW {
            return None;
        }
        if self.partial.capacity() == self.partial.len() {
            self.partial.reserve(missing.min(RESERVE_STEP));
        }
        self.lent = true;
        Some(core::mem::take(&mut self.partial))
    }

    /// Whether no part of a frame waits here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.lent && self.input.is_empty() && self.partial.is_empty() && self.beginning.is_empty()
    }

    /// Whether a whole frame may be decoded without further bytes.
    #[must_use]
    pub fn has_input(&self) -> bool {
        !self.input.is_empty() || self.partial_progress().is_some_and(|(have, total)| have >= total)
    }

    /// The next whole frame.
    ///
    /// # Errors
    ///
    /// A frame that cannot be: empty, longer than the limit, or not of this protocol at all. The decoder stays in that
    /// state, since nothing after such a frame can be trusted.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, WireError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.cut();
        match &result {
            Ok(Some(_)) => self.fresh = false,
            Err(error) => self.failed = Some(*error),
            Ok(None) => {}
        }
        result
    }

    fn cut(&mut self) -> Result<Option<Frame>, WireError> {
        if !self.partial.is_empty() || !self.beginning.is_empty() {
            return self.cut_partial();
        }
        match self.check(&self.input)? {
            Some(total) if self.input.len() >= total => {
                Ok(Some(Frame { first: self.input.split_to(total), rest: Bytes::new() }))
            }
            known => {
                self.set_aside(known);
                Ok(None)
            }
        }
    }

    /// Completes the frame whose beginning has come before.
    fn cut_partial(&mut self) -> Result<Option<Frame>, WireError> {
        if self.beginning.is_empty() {
            self.fill_partial(HEAD.saturating_sub(self.partial.len()));
            let Some(total) = self.check(&self.partial)? else { return Ok(None) };
            self.fill_partial(total - self.partial.len());
        } else if let Some((have, total)) = self.partial_progress() {
            self.fill_partial(total - have);
        }
        match self.partial_progress() {
            Some((have, total)) if have == total => {
                let rest = core::mem::take(&mut self.partial).freeze();
                let beginning = core::mem::take(&mut self.beginning);
                Ok(Some(if beginning.is_empty() {
                    Frame { first: rest, rest: Bytes::new() }
                } else {
                    Frame { first: beginning, rest }
                }))
            }
            _ => Ok(None),
        }
    }

    /// Keeps the beginning of a frame so that it does not pin the read buffer, unless it is long.
    fn set_aside(&mut self, total: Option<usize>) {
        let input = core::mem::take(&mut self.input);
        match total {
            Some(_) if input.len() >= COPY_BELOW => self.beginning = input,
            Some(total) => {
                self.partial.reserve(total.min(RESERVE_STEP));
                self.partial.extend_from_slice(&input);
            }
            None => self.partial.extend_from_slice(&input),
        }
    }

    /// Moves up to `wanted` bytes from `input` to the partial frame.
    fn fill_partial(&mut self, wanted: usize) {
        let taken = wanted.min(self.input.len());
        if taken > 0 {
            if self.partial.capacity() - self.partial.len() < taken {
                self.partial.reserve(wanted.min(RESERVE_STEP).max(taken));
            }
            self.partial.extend_from_slice(&self.input[..taken]);
            self.input.advance(taken);
        }
    }

    /// Bytes here and bytes in all of a partial frame whose head is known to be good.
    fn partial_progress(&self) -> Option<(usize, usize)> {
        let head = if self.beginning.is_empty() { &self.partial[..] } else { &self.beginning[..] };
        let have = self.beginning.len() + self.partial.len();
        if head.len() < HEAD {
            return None;
        }
        let total = 4 + length_of(head) as usize;
        (total <= 4 + self.limit && total >= HEAD).then_some((have, total))
    }

    /// The whole size of the frame that starts in `bytes`, once its head is there and within limits.
    fn check(&self, bytes: &[u8]) -> Result<Option<usize>, WireError> {
        if bytes.len() < 4 {
            return Ok(None);
        }
        let length = length_of(bytes);
        if length == 0 || length as usize > self.limit {
            if let Some(name) = self.fresh.then(|| foreign::recognise(bytes)).flatten() {
                return Err(WireError::Foreign(name));
            }
            return Err(match length {
                0 => WireError::Empty,
                length => WireError::TooLong { length, limit: self.limit },
            });
        }
        Ok((bytes.len() >= HEAD).then_some(4 + length as usize))
    }
}

fn length_of(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
