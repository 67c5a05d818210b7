//! The table of facts is that of the specification, and the codec agrees with it.

use bytes::Bytes;
use millstream_core::wire::facts::{REPLIES, STAGES, reply_name};
use millstream_core::wire::{Command, Protocol, Reply, Stage, WireError};

#[test]
fn protocol_bits_of_a_version() {
    // Section 4, what Postfix offers; NR_HEADERS (0x80) comes with `no_header_reply`.
    for (version, without, with) in [(2, 0x7f, 0xff), (3, 0x17f, 0x1ff), (4, 0x37f, 0x3ff)] {
        assert_eq!(Protocol::of_version(version), Protocol(with));
        assert_eq!(Protocol::of_version(version).without(Protocol::NR_HEADERS), Protocol(without));
    }
    assert_eq!(Protocol::of_version(6), Protocol(0x1f_ffff));
    assert_eq!(Protocol::V2, Protocol(0x7f));
}

#[test]
fn the_stages_are_those_of_section_2() {
    let expected: [(u8, u32, u32, u32, Option<u32>); 11] = [
        (b'O', 2, 0, 0, None),
        (b'C', 2, 0x01, 0x1000, Some(0)),
        (b'H', 2, 0x02, 0x2000, Some(1)),
        (b'M', 2, 0x04, 0x4000, Some(2)),
        (b'R', 2, 0x08, 0x8000, Some(3)),
        (b'T', 4, 0x200, 0x10000, Some(4)),
        (b'U', 3, 0x100, 0x20000, None),
        (b'L', 2, 0x20, 0x80, None),
        (b'N', 2, 0x40, 0x40000, Some(6)),
        (b'B', 2, 0x10, 0x80000, None),
        (b'E', 2, 0, 0, Some(5)),
    ];
    for (fact, (letter, since, no_send, no_reply, macro_list)) in STAGES.iter().zip(expected) {
        assert_eq!((fact.letter, fact.since, fact.macro_list), (letter, since, macro_list));
        assert_eq!(fact.no_send.unwrap_or_default(), Protocol(no_send), "{}", fact.name);
        assert_eq!(fact.no_reply.unwrap_or_default(), Protocol(no_reply), "{}", fact.name);
        assert_eq!(macro_list.and_then(Stage::of_macro_list), macro_list.map(|_| fact.stage));
    }
    assert_eq!(Stage::of_macro_list(7), None);
}

#[test]
fn exactly_the_letters_of_the_table_are_decoded() {
    for letter in 0..=255_u8 {
        let unknown = Err(WireError::UnknownLetter(letter));
        let is_command = Stage::of_letter(letter).is_some() || b"DAQK".contains(&letter);
        assert_eq!(Command::decode(letter, Bytes::new()) != unknown, is_command, "{letter}");
        let unknown = Err(WireError::UnknownLetter(letter));
        assert_eq!(Reply::decode(letter, Bytes::new()) != unknown, reply_name(letter).is_some(), "{letter}");
    }
}

#[test]
fn the_table_knows_which_replies_are_final() {
    let payloads: [&[u8]; 6] =
        [b"", b"550 no", b"<a@b>\0", b"X\0\0", b"\0\0\0\x01X\0\0", b"\0\0\0\x06\0\0\0\0\0\0\0\0"];
    for (letter, name, is_final) in REPLIES {
        let reply =
            payloads.iter().find_map(|payload| Reply::decode(letter, Bytes::from_static(payload)).ok());
        let decoded_as_final = reply.map(|reply| matches!(reply, Reply::Final(_) | Reply::Negotiate(_)));
        assert_eq!(decoded_as_final, Some(is_final), "{name}");
    }
}
