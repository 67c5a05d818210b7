//! The same commands come out however their bytes come in.

use millstream_core::filter::{Filter, FromMta};
use millstream_core::wire::{CHUNK_SIZE, Protocol};
use proptest::prelude::*;

use super::dialogue::{LIMIT, answer, command, frame, go_on, receive};

/// Two messages, with frames of all sizes.
fn dialogue() -> Vec<u8> {
    let large = vec![b'x'; CHUNK_SIZE];
    let header = [&b"Subject\0"[..], &vec![b'y'; 9000], b"\0"].concat();
    let mut bytes = Vec::new();
    for letter in b"ODCDHDMDRDRDTLLL" {
        bytes.extend_from_slice(&command(*letter));
    }
    bytes.extend_from_slice(&frame(b'L', &header));
    bytes.extend_from_slice(&command(b'N'));
    for payload in [&large[..], &large[..100], b"z"] {
        bytes.extend_from_slice(&frame(b'B', payload));
    }
    for letter in b"EAMRTUNBEQ" {
        bytes.extend_from_slice(&command(*letter));
    }
    bytes
}

/// Everything that comes out, as text, when these pieces come in.
fn heard<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut filter = Filter::new(LIMIT);
    let mut heard = Vec::new();
    for piece in pieces {
        match filter.lend() {
            Some(mut buffer) => {
                buffer.extend_from_slice(piece);
                filter.receive(buffer);
            }
            None => receive(&mut filter, piece),
        }
        while let Some(command) = filter.poll_command().unwrap() {
            heard.push(match command {
                FromMta::Command(command, payload) => format!("{command:?} {payload:?}"),
                // The very bytes that it came in.
                FromMta::Body(frame) => format!("{:?}", frame.wire().map(|piece| &piece[..]).concat()),
            });
            if heard.len() == 1 {
                filter.negotiate(&answer(6, Protocol::NR_HEADERS)).unwrap();
            } else {
                go_on(&mut filter);
            }
        }
    }
    assert!(filter.is_closed());
    heard
}

#[test]
fn in_one_go_and_byte_by_byte() {
    let bytes = dialogue();
    let whole = heard([&bytes[..]]);
    assert_eq!(whole.len(), 31);
    assert!(whole == heard(bytes.chunks(1)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn in_any_pieces(mut cuts in proptest::collection::vec(0_usize..76_000, 0..40)) {
        let bytes = dialogue();
        cuts.retain(|cut| *cut < bytes.len());
        cuts.sort_unstable();
        let starts = std::iter::once(0).chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain([bytes.len()]);
        let pieces = starts.zip(ends).map(|(start, end)| &bytes[start..end]);
        prop_assert!(heard([&bytes[..]]) == heard(pieces));
    }
}
