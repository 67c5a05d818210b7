//! What the tests have in common: the words of an MTA, and milters that do one thing.

use crate::matrix::driver::{Driver, Frame, Kid, Say, frame, negotiation};

pub(crate) const CONNECT: &[u8] = b"client.example.org\x004\x12\x34203.0.113.7\0";

/// An MTA that offers everything, up to HELO.
pub(crate) fn greeted(kids: Vec<Kid>) -> Driver {
    greeted_by(kids, "")
}

/// The same with an MTA that names itself so.
pub(crate) fn greeted_by(kids: Vec<Kid>, version: &str) -> Driver {
    let mut driver = negotiated(kids, 0x1f_ffff);
    if !version.is_empty() {
        driver.send(&frame(b'D', [b"Cv\0", version.as_bytes(), b"\0"].concat()));
    }
    assert_eq!(driver.ask(b'C', CONNECT), [frame(b'c', [])]);
    assert_eq!(driver.ask(b'H', b"client.example.org\0"), [frame(b'c', [])]);
    driver
}

/// An MTA that offers version 6, all actions and `protocol`, up to the answer.
pub(crate) fn negotiated(kids: Vec<Kid>, protocol: u32) -> Driver {
    let mut driver = Driver::new(kids);
    let answer = driver.ask(b'O', negotiation(6, 0x1ff, protocol).1);
    assert_eq!(answer[0].0, b'O');
    driver
}

pub(crate) fn c() -> Vec<Frame> {
    vec![frame(b'c', [])]
}

pub(crate) fn reply(text: &str) -> Vec<Frame> {
    vec![frame(b'y', [text.as_bytes(), b"\0"].concat())]
}

/// One message of one recipient, which is shown and answered with `c` up to its end; what is answered there.
pub(crate) fn message(driver: &mut Driver) -> Vec<Frame> {
    assert_eq!(driver.ask(b'M', b"<sender@example.org>\0"), c());
    assert_eq!(driver.ask(b'R', b"<one@example.org>\0"), c());
    assert_eq!(driver.ask(b'T', []), c());
    content(driver)
}

/// The content of a message, of which nothing is answered, and the answer to its end.
pub(crate) fn content(driver: &mut Driver) -> Vec<Frame> {
    for (name, value) in [("Subject", "Hello"), ("X-A", "first"), ("X-A", "second")] {
        driver.send(&frame(b'L', format!("{name}\0{value}\0")));
    }
    driver.send(&frame(b'N', []));
    driver.send(&frame(b'B', b"Hello.\r\n"));
    assert_eq!(driver.answers, [], "content is answered");
    driver.ask(b'E', [])
}

pub(crate) fn abort(driver: &mut Driver) {
    driver.send(&frame(b'A', []));
    assert_eq!(driver.answers, [], "ABORT is answered");
}

/// A milter that says `says` to the command number `nth` (from 0) with this letter, and is an ordinary one otherwise.
pub(crate) fn on(letter: u8, nth: usize, says: Say) -> Kid {
    let mut left = nth + 1;
    Kid::new(move |(came, _)| {
        left -= usize::from(*came == letter && left > 0);
        if *came == letter && left == 0 {
            left = usize::MAX / 2;
            return says.clone();
        }
        Say::Usual
    })
}

/// A milter that asks for `edits` at every end of message.
pub(crate) fn editor(edits: Vec<Frame>) -> Kid {
    Kid::new(move |(came, _)| match came {
        b'E' => Say::frames(edits.iter().cloned().chain([frame(b'c', [])])),
        _ => Say::Usual,
    })
}

pub(crate) fn header_edit(letter: u8, index: u32, name: &str, value: &str) -> Frame {
    let words = [name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat();
    match letter {
        b'h' => frame(letter, words),
        _ => frame(letter, [&index.to_be_bytes()[..], &words].concat()),
    }
}
