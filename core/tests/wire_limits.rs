//! What a peer can make a decoder hold, measured; and errors that stay.

#![allow(clippy::unwrap_used)]
#![allow(unsafe_code, reason = "a global allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::{Bytes, BytesMut};
use millstream_core::message::Content;
use millstream_core::wire::{Command, Decoder, Macros, Reply, Stage, WireError, encode_macros, head};

thread_local! {
    /// Bytes that this test's thread holds.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// The most that it held since the last [`measured`] began.
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(size: isize) {
    // Gone while a thread ends; nothing is measured then.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + size);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: Every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: As above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: As above.
        unsafe { System.dealloc(at, layout) }
    }
}

/// The most bytes held at once during `run`, and those still held behind it, beyond those held before.
fn measured<T>(run: impl FnOnce() -> T) -> (isize, isize, T) {
    let before = HELD.get();
    PEAK.set(before);
    let result = run();
    (PEAK.get() - before, HELD.get() - before, result)
}

const LIMIT: usize = (1 << 20) + (1 << 16);
/// What a decoder may hold beside the bytes that have come: a short frame's room, and the one read in which a longer
/// one began.
const FLOOR: isize = (17 << 10) + (64 << 10);

/// A read of a runtime: a buffer of 64 KiB with a few bytes in it.
fn read(bytes: &[u8]) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(64 << 10);
    buffer.extend_from_slice(bytes);
    buffer
}

#[test]
fn the_length_field_alone_costs_next_to_nothing() {
    for length in [LIMIT as u32 + 1, 1 << 31, u32::MAX] {
        let (_, held, mut decoder) = measured(|| {
            let mut decoder = Decoder::new(LIMIT);
            decoder.receive(BytesMut::from(&length.to_be_bytes()[..]));
            decoder
        });
        assert!(held < 100, "{held}");
        let (peak, held, error) = measured(|| decoder.next_frame());
        assert_eq!(error, Err(WireError::TooLong { length, limit: LIMIT }));
        assert!(peak == 0 && held <= 0, "{peak} {held}");
    }
}

#[test]
fn a_slow_peer_costs_a_small_multiple_of_what_it_sent() {
    for (first, lend) in [(5, false), (5, true), (4095, true), (4096, false), (4096, true), (60_000, true)] {
        let total = 4 + (1 << 20);
        let mut decoder = Decoder::new(LIMIT);
        let before = HELD.get();
        let mut sent = 0;
        let mut piece = head(b'B', (1 << 20) - 1).to_vec();
        piece.resize(first, b'x');
        while sent < total {
            let buffer = match if lend { decoder.lend() } else { None } {
                Some(mut lent) => {
                    lent.extend_from_slice(&piece);
                    lent
                }
                None => read(&piece),
            };
            decoder.receive(buffer);
            sent += piece.len();
            let frame = decoder.next_frame().unwrap();
            assert_eq!(frame.is_some(), sent == total);
            if frame.is_none() {
                let held = HELD.get() - before;
                assert!(held <= 8 * sent as isize + FLOOR, "{held} held for {sent} sent");
            }
            // Byte by byte at first, then in steps, so that the test stays short.
            piece = vec![b'x'; (sent / 10).saturating_sub(2000).max(1).min(total - sent)];
        }
        assert!(decoder.is_empty());
        assert_eq!(HELD.get() - before, piece.capacity() as isize, "{first} {lend}");
    }
}

/// Each body chunk of a few bytes once kept the whole buffer that it was read into.
#[test]
fn short_chunks_of_a_stored_body_do_not_keep_read_buffers() {
    let chunk = [&head(b'B', 8)[..], b"8 bytes."].concat();
    let mut decoder = Decoder::new(LIMIT);
    let mut content = Content::new(false);
    let (_, held, ()) = measured(|| {
        for _ in 0..100 {
            decoder.receive(read(&chunk));
            content.receive_body(decoder.next_frame().unwrap().unwrap());
            // No child is done with it.
            content.release_received_body(0);
        }
    });
    assert_eq!(content.body_bytes(), 800);
    assert!(held < 100 * 200, "{held}");
}

#[test]
fn between_frames_nothing_is_held() {
    let mut stream = Vec::new();
    for payload in [0, 30, 5000, 65_535] {
        stream.extend(head(b'B', payload));
        stream.resize(stream.len() + payload, b'x');
    }
    for size in [1, 2, 1000, 4099, 16_384, 65_536, stream.len()] {
        let mut decoder = Decoder::new(LIMIT);
        let (_, held, ()) = measured(|| {
            for piece in stream.chunks(size) {
                decoder.receive(read(piece));
                while decoder.next_frame().unwrap().is_some() {}
            }
        });
        assert!(decoder.is_empty());
        assert_eq!(held, 0, "in pieces of {size}");
    }
}

#[test]
fn an_error_stays_and_holds_nothing() {
    let mut decoder = Decoder::new(100);
    let before = HELD.get();
    decoder.receive(read(&[&head(b'N', 0)[..], &head(b'B', 100), &[0; 200]].concat()));
    assert_eq!(decoder.next_frame().unwrap().unwrap().letter(), b'N');
    let error = Err(WireError::TooLong { length: 101, limit: 100 });
    assert_eq!(decoder.next_frame(), error);
    for _ in 0..10 {
        decoder.receive(read(&head(b'N', 0)));
        assert!(decoder.lend().is_none() && !decoder.has_input());
        assert!(!decoder.is_empty(), "a connection in this state is good for nothing");
        assert_eq!(decoder.next_frame(), error);
    }
    assert_eq!(HELD.get() - before, 0);
}

#[test]
fn a_frame_of_the_limit_is_taken_and_one_more_is_not() {
    let frame = |length: usize| [&head(b'B', length - 1)[..], &vec![0; length - 1]].concat();
    let mut decoder = Decoder::new(1000);
    decoder.receive(read(&frame(1000)));
    assert_eq!(decoder.next_frame().unwrap().unwrap().payload_len(), 999);
    decoder.receive(read(&frame(1001)));
    assert_eq!(decoder.next_frame(), Err(WireError::TooLong { length: 1001, limit: 1000 }));
}

#[test]
fn no_limit_is_higher_than_256_mib() {
    let mut decoder = Decoder::new(usize::MAX);
    decoder.receive(read(&(1_u32 << 28).to_be_bytes()));
    assert_eq!(decoder.next_frame(), Err(WireError::TooLong { length: 1 << 28, limit: (1 << 28) - 1 }));
    let mut decoder = Decoder::new(usize::MAX);
    decoder.receive(read(&[0x0f, 0xff, 0xff, 0xff, b'B']));
    assert_eq!(decoder.next_frame(), Ok(None));
    let (_, held, lent) = measured(|| decoder.lend().unwrap());
    assert!(held <= FLOOR);
    drop(lent);
}

#[test]
fn a_million_macro_lists_are_seven() {
    let mut answer = vec![0; 12];
    for n in 0..100_000_u32 {
        answer.extend((n % 9).to_be_bytes());
        answer.extend(b"i\0");
    }
    let answer = Bytes::from(answer);
    let (peak, _, reply) = measured(|| Reply::decode(b'O', answer.clone()));
    let Ok(Reply::Negotiate(negotiation)) = reply else { panic!("{reply:?}") };
    assert_eq!(negotiation.macro_lists.len(), 7);
    assert!(peak < 2000, "{peak}");
    assert_eq!(negotiation.macro_list(Stage::Mail), Some(&b"i"[..]));
}

#[test]
fn decoding_a_command_copies_nothing() {
    for (letter, payload) in [(b'B', vec![b'x'; 65_535]), (b'M', [&[b'x'; 60_000][..], b"\0"].concat())] {
        let payload = Bytes::from(payload);
        let (peak, _, command) = measured(|| Command::decode(letter, payload.clone()));
        assert!(command.is_ok());
        assert!(peak < 100, "{peak}");
    }
}

/// A list of names from a child and macros from the MTA, both as long as a frame: each against each would be 10^10
/// comparisons.
#[test]
fn long_lists_of_macros_are_not_compared_each_with_each() {
    let pairs: Vec<u8> = (0..100_000).flat_map(|n| format!("{{m{n}}}\0v\0").into_bytes()).collect();
    let wanted: String = (50_000..150_000).map(|n| format!("m{n} ")).collect();
    let mut wire = BytesMut::new();
    encode_macros(&mut wire, b'C', &pairs, Some(wanted.as_bytes()), &[]);
    let Ok(Command::Macros { letter: b'C', pairs }) = Command::decode(b'D', Bytes::from(wire).slice(5..))
    else {
        panic!("not a MACRO frame")
    };
    assert_eq!(millstream_core::wire::pairs(&pairs).count(), 50_000);
    let mut macros = Macros::default();
    macros.set(b'C', &pairs);
    assert_eq!(macros.bytes(), pairs.len());
    assert_eq!(macros.value(b"m99999"), Some(&b"v"[..]));
}
