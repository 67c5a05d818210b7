//! Cuts a stream of bytes into frames, incrementally and without copying what is large.
//!
//! ```text
//!              +-- the whole frame is in `input`: cut out of it
//!              v   |      a good head, and not all of its frame
//!            Between ----------------------------------------> Within --- lend() --> lent to the reader
//!              |   ^                                            |  ^                   |
//!              |   +--------------- the last byte is here ------+  +---- receive() ----+
//!              | length 0, too long, another protocol
//!              v
//!            Failed, for good
//! ```
//!
//! What a peer can make a decoder hold is bounded by what it has sent, never by what a length field promises: at most
//! eight times as much and 16 KiB, most of it room that nothing was written to.

use bytes::{Buf, Bytes, BytesMut};

use super::error::WireError;
use super::facts::HEAD;
use super::foreign;
use super::frame::Frame;

/// A beginning shorter than this is copied, so that few bytes of a slow peer do not keep a read buffer in memory. A
/// longer one stays where it was read, one for each peer at most.
const SHARE_FROM: usize = 4096;
/// The least that is worth a read of its own.
const LEND_FROM: usize = 4096;
/// Room that a partial frame may get whatever has come of it: enough for all but body frames.
const ROOM_AT_ONCE: usize = 16 << 10;
/// Further room that it may get per byte that has come: a body frame whose first 8 KiB are here gets all of it at once.
const ROOM_PER_BYTE: usize = 7;
/// No limit is higher: a quarter of what Postfix reads, so that no sum here overflows even 32 bits.
const LENGTH_MAX: usize = (1 << 28) - 1;

/// Cuts a stream of bytes into frames.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    /// Bytes that came in and are not cut yet. Empty once [`next_frame`](Self::next_frame) has said `None`.
    input: Bytes,
    state: State,
    /// Nothing has been decoded yet: the bytes may be of another protocol.
    fresh: bool,
}

#[derive(Debug)]
enum State {
    /// Before a frame: as many bytes of its head as have been set aside, not all five.
    Between { head: [u8; HEAD], len: usize },
    /// Inside a frame whose head is good.
    Within(Partial),
    /// After a frame that cannot be.
    Failed(WireError),
}

impl State {
    const START: Self = Self::Between { head: [0; HEAD], len: 0 };
}

impl Decoder {
    /// A decoder that takes frames of at most `limit` bytes after the length field, and of 2^28 - 1 in any case.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.min(LENGTH_MAX), input: Bytes::new(), state: State::START, fresh: true }
    }

    /// Takes bytes in: what [`lend`](Self::lend) gave with new bytes at its end, or fresh ones.
    ///
    /// Frames share the buffer: copy what is to stay. Drain [`next_frame`](Self::next_frame) before the next read:
    /// otherwise the bytes have to be joined.
    pub fn receive(&mut self, data: BytesMut) {
        match &mut self.state {
            State::Failed(_) => {}
            State::Within(partial) if partial.lent.is_some() => self.input = partial.take_back(data),
            _ if self.input.is_empty() => self.input = data.freeze(),
            _ => {
                let input = core::mem::take(&mut self.input);
                let mut joined = input.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
                joined.extend_from_slice(&data);
                self.input = joined.freeze();
            }
        }
    }

    /// The buffer of a partial frame with room for its rest, when enough is missing to be worth a read of its own.
    ///
    /// It may have more room than the frame needs; what is read beyond its end is the beginning of the next one.
    /// Until it is given back to [`receive`](Self::receive), unchanged but for new bytes at its end, nothing else may
    /// be received.
    pub fn lend(&mut self) -> Option<BytesMut> {
        match &mut self.state {
            State::Within(partial) if self.input.is_empty() => partial.lend(),
            _ => None,
        }
    }

    /// Whether no part of a frame waits here.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self.state, State::Between { len: 0, .. }) && self.input.is_empty()
    }

    /// Whether a whole frame may be decoded without further bytes.
    #[must_use]
    pub fn has_input(&self) -> bool {
        !self.input.is_empty() || matches!(&self.state, State::Within(partial) if partial.missing() == 0)
    }

    /// The frames that lie whole in what came in, one behind the other, where they lie.
    #[must_use]
    pub fn ahead(&self) -> Ahead<'_> {
        let between = matches!(self.state, State::Between { len: 0, .. });
        Ahead::new(if between { &self.input } else { &[] }, self.limit)
    }

    /// Passes over so many bytes of frames that [`ahead`](Self::ahead) has shown.
    pub fn pass(&mut self, bytes: usize) {
        self.fresh &= bytes == 0;
        if bytes < self.input.len() {
            self.input.advance(bytes);
        } else {
            // What is empty would keep the read buffer all the same.
            self.input = Bytes::new();
        }
    }

    /// Takes so many bytes of frames that [`ahead`](Self::ahead) has shown, where they lie.
    pub fn take(&mut self, bytes: usize) -> Bytes {
        self.fresh &= bytes == 0;
        self.input.split_to(bytes)
    }

    /// The next whole frame.
    ///
    /// # Errors
    ///
    /// A frame that cannot be: empty, longer than the limit, or not of this protocol at all. The decoder stays in that
    /// state, since nothing after such a frame can be trusted.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, WireError> {
        let result = self.cut();
        match &result {
            Ok(Some(_)) => self.fresh = false,
            Ok(None) => {}
            Err(error) => {
                self.state = State::Failed(*error);
                self.input = Bytes::new();
            }
        }
        result
    }

    /// The transitions.
    fn cut(&mut self) -> Result<Option<Frame>, WireError> {
        match &mut self.state {
            State::Failed(error) => return Err(*error),
            State::Between { len: 0, .. } if self.input.len() >= HEAD => {
                let total = check(&self.input, self.limit, self.fresh)?;
                if self.input.len() >= total {
                    return Ok(Some(Frame::received(self.input.split_to(total), Bytes::new())));
                }
                self.state = State::Within(Partial::new(total, core::mem::take(&mut self.input)));
                return Ok(None);
            }
            State::Between { head, len } => {
                let more = self.input.split_to(self.input.len().min(HEAD - *len));
                head[*len..*len + more.len()].copy_from_slice(&more);
                *len += more.len();
                if *len < HEAD - 1 {
                    return Ok(None);
                }
                let total = check(&head[..*len], self.limit, self.fresh)?;
                if *len < HEAD {
                    return Ok(None);
                }
                self.state = State::Within(Partial::new(total, Bytes::copy_from_slice(head)));
            }
            State::Within(_) => {}
        }
        let State::Within(partial) = &mut self.state else { return Ok(None) };
        let frame = partial.fill(&mut self.input);
        if frame.is_some() {
            self.state = State::START;
        }
        Ok(frame)
    }
}

/// Whole frames where they lie, head and payload, up to the first that is not whole or cannot be.
#[derive(Debug, Clone)]
pub struct Ahead<'a> {
    bytes: &'a [u8],
    limit: usize,
}

impl<'a> Ahead<'a> {
    /// The frames at the beginning of `bytes`, of at most `limit` bytes after the length field.
    pub(super) const fn new(bytes: &'a [u8], limit: usize) -> Self {
        Self { bytes, limit }
    }

    /// The bytes in which they lie, and what stands behind them.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Iterator for Ahead<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let head = self.bytes.first_chunk::<HEAD>()?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if length == 0 || length > self.limit {
            return None;
        }
        let (frame, behind) = self.bytes.split_at_checked(HEAD - 1 + length)?;
        self.bytes = behind;
        Some(frame)
    }
}

/// The beginning of a frame, and room for its rest.
#[derive(Debug)]
struct Partial {
    /// Bytes of the whole frame.
    total: usize,
    /// A long beginning, where it was read; empty for a short one, which stands at the start of `rest`.
    beginning: Bytes,
    rest: BytesMut,
    /// The length of `rest` when it was lent, while it is.
    lent: Option<usize>,
}

impl Partial {
    fn new(total: usize, begun: Bytes) -> Self {
        if begun.len() >= SHARE_FROM {
            return Self { total, beginning: begun, rest: BytesMut::new(), lent: None };
        }
        let mut rest = BytesMut::with_capacity(total.min(room_for(begun.len())));
        rest.extend_from_slice(&begun);
        Self { total, beginning: Bytes::new(), rest, lent: None }
    }

    fn missing(&self) -> usize {
        self.total - self.beginning.len() - self.rest.len()
    }

    /// Moves what belongs to this frame out of `input`, and gives the frame once it is whole.
    fn fill(&mut self, input: &mut Bytes) -> Option<Frame> {
        let missing = self.missing();
        let more = input.split_to(input.len().min(missing));
        if self.rest.is_empty() && more.len() == missing {
            return Some(Frame::received(core::mem::take(&mut self.beginning), more));
        }
        self.append(&more);
        if more.len() < missing {
            return None;
        }
        let rest = core::mem::take(&mut self.rest).freeze();
        Some(match core::mem::take(&mut self.beginning) {
            beginning if beginning.is_empty() => Frame::received(rest, Bytes::new()),
            beginning => Frame::received(beginning, rest),
        })
    }

    fn append(&mut self, more: &[u8]) {
        self.make_room(more.len());
        self.rest.extend_from_slice(more);
    }

    /// Makes room for `least` bytes, and for more while there is much to come from a peer that has sent much.
    fn make_room(&mut self, least: usize) {
        if self.rest.capacity() - self.rest.len() < least {
            let missing = self.missing();
            self.rest.reserve(missing.min(room_for(self.total - missing)).max(least));
        }
    }

    fn lend(&mut self) -> Option<BytesMut> {
        if self.lent.is_some() || self.missing() < LEND_FROM {
            return None;
        }
        self.make_room(LEND_FROM);
        self.lent = Some(self.rest.len());
        Some(core::mem::take(&mut self.rest))
    }

    /// Takes the lent buffer back, and gives what was read beyond the end of the frame.
    fn take_back(&mut self, mut data: BytesMut) -> Bytes {
        debug_assert!(self.lent.is_some_and(|lent| data.len() >= lent), "not the buffer that was lent");
        self.lent = None;
        let end = self.total - self.beginning.len();
        // Only then: splitting takes the spare room away.
        let beyond = if data.len() > end { data.split_off(end) } else { BytesMut::new() };
        self.rest = data;
        beyond.freeze()
    }
}

/// The room that a partial frame may get when `come` bytes of it have come.
const fn room_for(come: usize) -> usize {
    ROOM_AT_ONCE + ROOM_PER_BYTE * come
}

/// The whole size of the frame that starts in `bytes`, at least four of them.
fn check(bytes: &[u8], limit: usize, fresh: bool) -> Result<usize, WireError> {
    let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    match length as usize {
        1.. if length as usize <= limit => return Ok(HEAD - 1 + length as usize),
        _ => {}
    }
    if let Some(name) = fresh.then(|| foreign::recognise(bytes)).flatten() {
        return Err(WireError::Foreign(name));
    }
    Err(if length == 0 { WireError::Empty } else { WireError::TooLong { length, limit } })
}
