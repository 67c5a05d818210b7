//! The same bytes give the same frames, however they come.

use bytes::BytesMut;
use millstream_core::wire::{Decoder, Frame, WireError, head};
use proptest::collection::vec;
use proptest::prelude::*;

use super::specification::{bytes, examples};
use crate::fuzz_corpus::checks::{Cut, cut};

/// A frame with a payload that differs at every place.
fn frame(letter: u8, payload: usize) -> Vec<u8> {
    let mut frame = head(letter, payload).to_vec();
    frame.extend((0..payload as u32).flat_map(|n| n.wrapping_mul(0x9e37_79b1).to_be_bytes()).take(payload));
    frame
}

fn wire(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::wire).flatten().copied().collect()
}

/// Lengths around every size at which the decoder does something else, and the usual ones.
fn payload() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0..100_usize,
        2 => 4080..4110_usize,
        2 => 8180..8210_usize,
        1 => 16_370..16_400_usize,
        2 => 65_520..65_536_usize,
        1 => 0..90_000_usize,
    ]
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![1..10_usize, 1..5000_usize, 4090..4106_usize, 1..70_000_usize]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_splits(payloads in vec(payload(), 1..8), sizes in vec(size(), 1..60), lend in any::<bool>()) {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| frame(b'B', *payload)).collect();
        let whole = cut(&stream, [], false);
        prop_assert_eq!(whole.frames.len(), payloads.len());
        prop_assert_eq!(&wire(&whole.frames), &stream);
        let split = cut(&stream, sizes.iter().copied().cycle(), lend);
        prop_assert!(split == whole);
    }

    #[test]
    fn a_stream_that_ends_anywhere(payloads in vec(payload(), 1..4), end in any::<proptest::sample::Index>(), lend in any::<bool>()) {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| frame(b'B', *payload)).collect();
        let part = &stream[..end.index(stream.len())];
        let whole = cut(part, [], false);
        prop_assert_eq!(whole.rest, wire(&whole.frames).len() < part.len());
        prop_assert!(cut(part, std::iter::repeat(1000), lend) == whole);
    }
}

#[test]
fn byte_by_byte() {
    let mut stream: Vec<u8> = examples().into_iter().flat_map(|example| example.frame).collect();
    stream.extend(frame(b'B', 65_535));
    let whole = cut(&stream, [], false);
    assert_eq!(whole.frames.len(), examples().len() + 1);
    assert_eq!(whole, cut(&stream, std::iter::repeat(1), false));
    assert_eq!(whole, cut(&stream, std::iter::repeat(1), true));
}

#[test]
fn an_error_comes_at_the_same_frame_however_the_bytes_come() {
    for bad in ["00 00 00 00 41", "ff ff ff ff 41", "16 03 01 02 00"] {
        let mut stream = frame(b'B', 5000);
        stream.extend(bytes(bad));
        stream.extend(frame(b'N', 0));
        let whole = cut(&stream, [], false);
        assert_eq!(whole.frames.len(), 1);
        assert!(
            matches!(whole.error, Some(WireError::Empty | WireError::TooLong { .. })),
            "{:?}",
            whole.error
        );
        for lend in [false, true] {
            for size in [1, 3, 4097, 5004, 5005, 5006] {
                assert_eq!(whole, cut(&stream, std::iter::repeat(size), lend), "{bad}, {size}, {lend}");
            }
        }
    }
}

#[test]
fn a_bad_length_is_known_before_the_letter_comes() {
    assert_eq!(cut(&[0, 0, 0, 0], [1, 1, 1, 1], false).error, Some(WireError::Empty));
    assert_eq!(cut(&[0, 0, 0, 0], [], false).error, Some(WireError::Empty));
}

/// Receives `bytes` in a buffer of their size.
fn receive(decoder: &mut Decoder, bytes: &[u8]) {
    decoder.receive(BytesMut::from(bytes));
}

#[test]
fn a_long_frame_in_two_reads_lies_in_two_pieces_and_is_not_copied() {
    let stream = frame(b'B', 65_535);
    let mut decoder = Decoder::new(65_536);
    let first = BytesMut::from(&stream[..20_000]);
    let first_at = first.as_ptr();
    decoder.receive(first);
    assert_eq!(decoder.next_frame(), Ok(None));
    let mut lent = decoder.lend().unwrap();
    assert!(lent.is_empty() && lent.capacity() >= stream.len() - 20_000, "{}", lent.capacity());
    lent.extend_from_slice(&stream[20_000..]);
    let rest_at = lent.as_ptr();
    decoder.receive(lent);
    let frame = decoder.next_frame().unwrap().unwrap();
    assert_eq!(frame.wire().map(|piece| piece.as_ptr()), [first_at, rest_at]);
    assert_eq!(frame.payload_len(), 65_535);
    let [first, rest] = frame.payload();
    assert_eq!([&first[..], &rest[..]].concat(), stream[5..]);
    assert_eq!(frame.contiguous(), stream[5..]);
    assert!(decoder.is_empty());
}

#[test]
fn what_is_read_beyond_a_lent_frame_is_the_next_one() {
    let stream = [frame(b'B', 10_000), frame(b'N', 0), frame(b'B', 3)[..6].to_vec()].concat();
    let mut decoder = Decoder::new(65_536);
    receive(&mut decoder, &stream[..300]);
    assert_eq!(decoder.next_frame(), Ok(None));
    let mut lent = decoder.lend().unwrap();
    lent.reserve(stream.len());
    lent.extend_from_slice(&stream[300..]);
    decoder.receive(lent);
    assert!(decoder.has_input());
    assert_eq!(decoder.next_frame().unwrap().unwrap().payload_len(), 10_000);
    assert_eq!(decoder.next_frame().unwrap().unwrap().letter(), b'N');
    assert_eq!(decoder.next_frame(), Ok(None));
    assert!(!decoder.has_input() && !decoder.is_empty());
    receive(&mut decoder, &frame(b'B', 3)[6..]);
    assert_eq!(decoder.next_frame().unwrap().unwrap().contiguous(), frame(b'B', 3)[5..]);
}

#[test]
fn a_lent_buffer_may_come_back_without_new_bytes() {
    let stream = frame(b'B', 10_000);
    let mut decoder = Decoder::new(65_536);
    receive(&mut decoder, &stream[..7]);
    assert_eq!(decoder.next_frame(), Ok(None));
    for _ in 0..3 {
        let lent = decoder.lend().unwrap();
        assert_eq!(lent, stream[..7]);
        assert!(decoder.lend().is_none(), "lent twice");
        assert!(!decoder.is_empty() && !decoder.has_input());
        assert_eq!(decoder.next_frame(), Ok(None), "asked while it is lent");
        decoder.receive(lent);
        assert_eq!(decoder.next_frame(), Ok(None));
    }
    receive(&mut decoder, &stream[7..]);
    assert_eq!(decoder.next_frame().unwrap().unwrap().contiguous(), stream[5..]);
}

#[test]
fn nothing_is_lent_between_frames_for_a_short_rest_or_before_the_head_is_known() {
    let mut decoder = Decoder::new(65_536);
    assert!(decoder.lend().is_none());
    receive(&mut decoder, &frame(b'B', 10_000)[..4]);
    assert_eq!(decoder.next_frame(), Ok(None));
    assert!(decoder.lend().is_none());
    receive(&mut decoder, &frame(b'B', 10_000)[4..8000]);
    assert_eq!(decoder.next_frame(), Ok(None));
    assert!(decoder.lend().is_none());
}

#[test]
fn reads_that_are_not_drained_are_joined() {
    let stream: Vec<u8> = (0..2000).flat_map(|n| frame(b'L', n % 50)).collect();
    let mut decoder = Decoder::new(65_536);
    let mut frames = Vec::new();
    for (n, piece) in stream.chunks(7).enumerate() {
        receive(&mut decoder, piece);
        if n % 100 == 99 {
            frames.push(decoder.next_frame().unwrap().unwrap());
        }
    }
    while let Some(frame) = decoder.next_frame().unwrap() {
        frames.push(frame);
    }
    let expected = Cut { frames, error: None, rest: false };
    assert_eq!(expected, cut(&stream, [], false));
}
