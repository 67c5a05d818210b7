//! Silence: what the MTA is promised is what we do, whatever the children do.

use super::dialogue::{c, negotiated, on};
use crate::matrix::driver::{Driver, Kid, Say, frame, negotiation};

/// W5
#[test]
fn without_children_nothing_is_promised_that_is_not_kept() {
    for offer in [0, 0x1f_ffff, 0xf_f080, 0x37f] {
        let mut driver = Driver::new(Vec::new());
        let answer = driver.ask(b'O', negotiation(6, 0x1ff, offer).1);
        let protocol = u32::from_be_bytes(answer[0].1[8..12].try_into().unwrap());
        assert_eq!(protocol & !offer, 0, "bits that were not offered");
        // Not sent, not answered.
        for (letter, payload, bits) in [
            (b'C', super::dialogue::CONNECT, (0x1, 0x1000)),
            (b'H', b"client.example.org\0", (0x2, 0x2000)),
            (b'M', b"<sender@example.org>\0", (0x4, 0x4000)),
            (b'R', b"<one@example.org>\0", (0x8, 0x8000)),
            (b'T', b"", (0x200, 0x1_0000)),
            (b'L', b"Subject\0Hello\0", (0x20, 0x80)),
            (b'N', b"", (0x40, 0x4_0000)),
            (b'B', b"Hello.\r\n", (0x10, 0x8_0000)),
            (b'E', b"", (0, 0)),
        ] {
            if protocol & bits.0 != 0 {
                continue;
            }
            driver.send(&frame(letter, payload));
            if protocol & bits.1 == 0 {
                let answer = driver.answer();
                assert!(matches!(&answer[..], [(b'c' | b'a', _)]), "{answer:?}");
            }
            assert_eq!(driver.answers, [], "{}", char::from(letter));
        }
    }
}

/// W5: children that are silent about headers
#[test]
fn headers_are_answered_where_silence_was_not_offered() {
    let silent = || Kid::usual().protocol(0x80 | 0x4_0000 | 0x8_0000);
    let mut driver = negotiated(vec![silent(), silent()], 0x400);
    for (letter, payload) in [
        (b'C', super::dialogue::CONNECT),
        (b'M', b"<sender@example.org>\0"),
        (b'R', b"<one@example.org>\0"),
        (b'T', b""),
        (b'L', b"Subject\0Hello\0"),
        (b'L', b"X-A\0first\0"),
        (b'N', b""),
        (b'B', b"Hello.\r\n"),
        (b'E', b""),
    ] {
        assert_eq!(driver.ask(letter, payload), c(), "{}", char::from(letter));
    }
    for kid in &driver.kids {
        assert_eq!(kid.letters(), "OCMRTLLNBE");
    }
}

/// W5: children that are silent, and one that is not
#[test]
fn a_silent_child_and_a_talkative_one_make_one_answer() {
    let silent = Kid::usual().protocol(0xf_f080);
    let mut driver = negotiated(vec![silent, on(b'L', 1, Say::letter(b'r'))], 0x1f_ffff);
    assert_eq!(driver.ask(b'C', super::dialogue::CONNECT), c());
    assert_eq!(driver.ask(b'M', b"<sender@example.org>\0"), c());
    assert_eq!(driver.ask(b'R', b"<one@example.org>\0"), c());
    assert_eq!(driver.ask(b'T', []), c());
    assert_eq!(super::dialogue::content(&mut driver), [frame(b'r', [])]);
}
