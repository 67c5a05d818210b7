//! What must hold for any bytes of a peer. Fuzz targets and `core/tests/all/fuzz_corpus.rs` share these checks.

use bytes::{Bytes, BytesMut};
use millstream_core::wire::{Command, Decoder, Frame, Reply, WireError};

/// The limit of the decoders under check: above a body frame, so that long frames are reached.
pub(crate) const LIMIT: usize = 100_000;

/// The longest stream that is also received byte by byte: more would slow the fuzzer down tenfold.
const BYTE_BY_BYTE: usize = 1000;

/// What a decoder made of a stream.
#[derive(Debug, PartialEq)]
pub(crate) struct Cut {
    /// The frames before its end or error.
    pub(crate) frames: Vec<Frame>,
    /// The error.
    pub(crate) error: Option<WireError>,
    /// Whether part of a frame is left.
    pub(crate) rest: bool,
}

/// Cuts `data`, received in pieces of at most `sizes`, with the buffers that the decoder lends or without.
pub(crate) fn cut(data: &[u8], sizes: impl IntoIterator<Item = usize>, lend: bool) -> Cut {
    let mut decoder = Decoder::new(LIMIT);
    let mut cut = Cut { frames: Vec::new(), error: None, rest: false };
    let mut sizes = sizes.into_iter();
    let mut left = data;
    while !left.is_empty() && cut.error.is_none() {
        let mut size = sizes.next().unwrap_or(usize::MAX).clamp(1, left.len());
        let mut buffer = match if lend { decoder.lend() } else { None } {
            Some(buffer) => {
                assert!(buffer.capacity() > buffer.len(), "lent without room");
                size = size.min(buffer.capacity() - buffer.len());
                buffer
            }
            None => BytesMut::with_capacity(size),
        };
        let (piece, behind) = left.split_at(size);
        buffer.extend_from_slice(piece);
        decoder.receive(buffer);
        left = behind;
        loop {
            let had_input = decoder.has_input();
            match decoder.next_frame() {
                Ok(Some(frame)) => {
                    assert!(had_input, "a frame out of nothing");
                    cut.frames.push(frame);
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next_frame(), Err(error), "the error does not stay");
                    cut.error = Some(error);
                    break;
                }
            }
        }
        assert!(!decoder.has_input(), "input is left after the last frame");
    }
    cut.rest = !decoder.is_empty();
    cut
}

/// Sizes of pieces, determined by `data`: small ones, and some larger than a buffer that is kept.
fn sizes(data: &[u8], salt: u64) -> impl Iterator<Item = usize> {
    let mut state = data.iter().fold(0xcbf2_9ce4_8422_2325 ^ salt, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    core::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let range = [4, 16, 300, 5000, 20_000][(state >> 32) as usize % 5];
        1 + (state >> 40) as usize % range
    })
}

/// However the bytes come, the frames are the same, and their bytes are those that came.
fn chunking(data: &[u8]) -> Vec<Frame> {
    let whole = cut(data, [], false);
    if data.len() <= BYTE_BY_BYTE {
        assert_eq!(whole, cut(data, core::iter::repeat(1), false), "byte by byte");
        assert_eq!(whole, cut(data, core::iter::repeat(1), true), "byte by byte, lent");
    }
    assert_eq!(whole, cut(data, sizes(data, 1), false), "in pieces");
    assert_eq!(whole, cut(data, sizes(data, 2), true), "in pieces, lent");
    let wire: Vec<u8> = whole.frames.iter().flat_map(Frame::wire).flatten().copied().collect();
    assert!(data.starts_with(&wire), "other bytes than came");
    assert!(whole.error.is_some() || whole.rest == (wire.len() < data.len()), "bytes were lost");
    whole.frames
}

/// What was understood is encoded to something that is understood the same, and encoded the same again.
fn round_trip<M: PartialEq + core::fmt::Debug>(
    frame: Frame,
    decode: impl Fn(u8, Bytes) -> Result<M, WireError>,
    encode: impl Fn(&M, &mut BytesMut),
) {
    let (letter, length) = (frame.letter(), frame.payload_len());
    let Ok(message) = decode(letter, frame.contiguous()) else { return };
    let mut wire = BytesMut::new();
    encode(&message, &mut wire);
    assert!(wire.len() <= 5 + length + 64, "encoded much longer than it came");
    let again = cut(&wire, [], false);
    assert!(again.frames.len() == 1 && again.error.is_none() && !again.rest, "not one frame: {again:?}");
    for frame in again.frames {
        assert_eq!(frame.letter(), letter);
        let decoded = decode(letter, frame.contiguous());
        assert_eq!(decoded.as_ref(), Ok(&message));
        let mut twice = BytesMut::new();
        encode(&message, &mut twice);
        assert_eq!(wire, twice);
    }
}

/// The milter's role: any bytes of an MTA.
pub(crate) fn commands(data: &[u8]) {
    for frame in chunking(data) {
        round_trip(frame, Command::decode, Command::encode);
    }
}

/// The MTA's role: any bytes of a milter.
pub(crate) fn replies(data: &[u8]) {
    for frame in chunking(data) {
        round_trip(frame, Reply::decode, Reply::encode);
    }
}
