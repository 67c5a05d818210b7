//! Frames that are none.

use crate::bench::Bench;
use millstream_tests::wire::Frame;

#[test]
fn random_bytes() {
    let Some(mut bench) = Bench::start("") else { return };
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut connections = Vec::new();
    for round in 1..=200_usize {
        let mut connection = bench.connect();
        let bytes: Vec<u8> = (0..round * 7)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_be_bytes()[0]
            })
            .collect();
        let _ = connection.raw(&bytes);
        connections.push(connection);
    }
    // While they are open, and when they are gone.
    bench.assert_works();
    drop(connections);
    bench.assert_works();
}

#[test]
fn random_bytes_after_negotiation() {
    let Some(mut bench) = Bench::start("") else { return };
    let mut state = 0xD1B5_4A32_D192_ED03_u64;
    for round in 1..=100_usize {
        let mut connection = bench.session();
        // Plausible frames with random letters and content, then anything.
        for _ in 0..round % 7 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bytes = state.to_be_bytes();
            let _ = connection.send(&Frame::new(bytes[0], &bytes[1..1 + usize::from(bytes[1] % 7)]));
        }
        let _ = connection.raw(&state.to_le_bytes().repeat(round));
    }
    bench.assert_works();
}

#[test]
fn absurd_length() {
    let Some(mut bench) = Bench::start("") else { return };
    bench.assert_closes_after(&[0xFF, 0xFF, 0xFF, 0xFF, b'O', 0, 0, 0, 6]);
    bench.assert_works();
}

#[test]
fn absurd_length_within_a_session() {
    let Some(mut bench) = Bench::start("") else { return };
    for letter in *b"CHMRTLNBEAQKDUOX\0" {
        let mut session = bench.session();
        let _ = session.raw(&[0x7F, 0xFF, 0xFF, 0xFF, letter, 1, 2, 3]);
        session.wait_for_close().unwrap();
    }
    bench.assert_works();
}

#[test]
fn zero_length() {
    let Some(mut bench) = Bench::start("") else { return };
    bench.assert_closes_after(&[0, 0, 0, 0]);
    let mut session = bench.session();
    session.raw(&[0, 0, 0, 0]).unwrap();
    session.wait_for_close().unwrap();
    bench.assert_works();
}

#[test]
fn negotiation_that_is_too_short_or_too_old() {
    let Some(mut bench) = Bench::start("") else { return };
    bench.assert_closes_after(&Frame::new(b'O', []).bytes());
    bench.assert_closes_after(&Frame::new(b'O', [0, 0, 0, 6, 0, 0]).bytes());
    bench.assert_closes_after(&Frame::negotiation(0, 0x1FF, 0x1F_FFFF).bytes());
    bench.assert_closes_after(&Frame::negotiation(1, 0x1FF, 0x1F_FFFF).bytes());
    bench.assert_works();
}

#[test]
fn negotiation_from_the_future() {
    let Some(mut bench) = Bench::start("") else { return };
    let mut connection = bench.connect();
    connection.send(&Frame::negotiation(99, 0xFFFF_FFFF, 0xFFFF_FFFF)).unwrap();
    let [version, actions, _] = connection.receive().unwrap().negotiated().expect("an answer to the offer");
    assert_eq!(version, 6);
    assert_eq!(actions & !0x1FF, 0, "unknown actions are not asked for");
    bench.assert_works();
}

#[test]
fn commands_with_broken_payloads() {
    let Some(mut bench) = Bench::start("") else { return };
    let broken: [(u8, &[u8]); 13] = [
        (b'C', b""),
        (b'C', b"no end"),
        (b'C', b"name\x004\x00"),
        (b'C', b"name\x004\x00\x19not an address\0"),
        (b'C', b"name\x00?\x00\x19127.0.0.1\0"),
        (b'H', b""),
        (b'M', b""),
        (b'M', b"<no end>"),
        (b'R', b""),
        (b'L', b""),
        (b'L', b"name only\0"),
        (b'L', b"name\0value without end"),
        (b'D', b""),
    ];
    for (letter, payload) in broken {
        let mut connection = bench.connect();
        connection.negotiate().unwrap();
        let _ = connection.send(&Frame::new(letter, payload));
        // Whether it is refused or overlooked: nothing after it does harm.
        let _ = connection.send(&Frame::new(b'Q', []));
        connection.wait_for_close().unwrap_or_else(|error| panic!("{letter} {payload:?}: {error}"));
    }
    bench.assert_works();
}

#[test]
fn one_byte_at_a_time() {
    let Some(mut bench) = Bench::start("") else { return };
    let mut connection = bench.connect();
    for byte in Frame::negotiation(6, 0x1FF, 0x1F_FFFF).bytes() {
        connection.raw(&[byte]).unwrap();
    }
    assert!(connection.receive().unwrap().negotiated().is_some());
    bench.assert_works();
}
