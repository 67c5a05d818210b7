//! Verdicts: whose, for what, with which text.

use std::sync::Arc;

use millstream_core::event::{Event, Outcome, Verdict};

use super::dialogue::{abort, c, content, greeted, message, negotiated, on, reply};
use crate::matrix::driver::{Kid, Say, frame};

/// W1
#[test]
fn a_rejected_message_does_not_taint_the_next_one() {
    for stage in [b'L', b'N', b'B', b'E'] {
        let mut driver = greeted(vec![on(stage, 0, Say::letter(b'r')), Kid::usual()]);
        assert_eq!(message(&mut driver), [frame(b'r', [])], "{}", char::from(stage));
        assert_eq!(message(&mut driver), c(), "{}", char::from(stage));
    }
}

/// W2
#[test]
fn a_reply_text_in_an_unusual_form_reaches_the_client() {
    for text in
        ["550 no enhanced code", "550-5.7.1 two\r\n550 5.7.1 lines", "451 4.7.1 100%% sure", "550 5.7.1 "]
    {
        for stage in [b'M', b'R', b'T'] {
            let mut driver = greeted(vec![on(stage, 0, Say::reply(text))]);
            let mut answer = driver.ask(b'M', b"<sender@example.org>\0");
            for (letter, words) in [(b'R', &b"<one@example.org>\0"[..]), (b'T', b"")] {
                if answer == c() {
                    answer = driver.ask(letter, words);
                }
            }
            assert_eq!(answer, reply(text), "{}", char::from(stage));
        }
        let mut driver = greeted(vec![on(b'E', 0, Say::reply(text))]);
        assert_eq!(message(&mut driver), reply(text));
    }
}

/// W2: what the log says of it
#[test]
fn a_reply_text_counts_as_what_its_code_says() {
    for (text, temporary) in [("451 later", true), ("421 4.7.0 go away", true), ("550 5.7.1 no", false)] {
        let mut driver = greeted(vec![on(b'E', 0, Say::reply(text))]);
        assert_eq!(message(&mut driver), reply(text));
        let reports = driver.events.iter().filter_map(|event| match event {
            Event::Message(report) => Some(report),
            _ => None,
        });
        let outcomes: Vec<_> = reports.map(|report| report.children[0].outcome.clone()).collect();
        let words = Some(Arc::from(text.as_bytes()));
        let verdict = if temporary { Verdict::TemporaryFailure(words) } else { Verdict::Reject(words) };
        assert_eq!(outcomes, [Outcome::Decided(verdict)]);
    }
}

/// W3
#[test]
fn the_text_for_one_recipient_is_not_used_for_another() {
    let mut refused = 0;
    let child = Kid::new(move |(letter, _)| {
        refused += usize::from(*letter == b'R');
        match (letter, refused) {
            (b'R', 1) => Say::reply("550 5.1.1 no such user"),
            (b'R', 2) => Say::letter(b't'),
            (b'R', 3) => Say::letter(b'r'),
            _ => Say::Usual,
        }
    });
    let mut driver = greeted(vec![child]);
    assert_eq!(driver.ask(b'M', b"<sender@example.org>\0"), c());
    assert_eq!(driver.ask(b'R', b"<one@example.org>\0"), reply("550 5.1.1 no such user"));
    assert_eq!(driver.ask(b'R', b"<two@example.org>\0"), [frame(b't', [])]);
    assert_eq!(driver.ask(b'R', b"<three@example.org>\0"), [frame(b'r', [])]);
    assert_eq!(driver.ask(b'R', b"<four@example.org>\0"), c());
    assert_eq!(driver.ask(b'T', []), c());
    assert_eq!(content(&mut driver), c());
}

const GREETING: [(u8, &[u8]); 2] = [(b'C', super::dialogue::CONNECT), (b'H', b"client.example.org\0")];
const MESSAGE: [(u8, &[u8]); 7] = [
    (b'M', b"<sender@example.org>\0"),
    (b'R', b"<one@example.org>\0"),
    (b'T', b""),
    (b'L', b"Subject\0Hello\0"),
    (b'N', b""),
    (b'B', b"Hello.\r\n"),
    (b'E', b""),
];

/// Two messages to an MTA that is promised no silence. `ask` fails with a second answer.
fn all_answered(kids: Vec<Kid>) {
    let mut driver = negotiated(kids, 0);
    for (letter, payload) in GREETING.iter().chain(&MESSAGE).chain(&MESSAGE) {
        let answer = driver.ask(*letter, payload);
        assert!(matches!(&answer[..], [(b'c' | b'a', _)]), "{} {answer:?}", char::from(*letter));
    }
}

/// W4
#[test]
fn every_command_has_one_answer_when_no_child_is_left() {
    for stage in b"CHMRTLNB" {
        all_answered(vec![on(*stage, 0, Say::letter(b'a'))]);
        all_answered(vec![on(*stage, 0, Say::letter(b'a')), on(*stage, 0, Say::letter(b'a'))]);
        all_answered(vec![on(*stage, 0, Say::Close)]);
    }
}

/// W4, without any child at all
#[test]
fn every_command_has_one_answer_without_children() {
    all_answered(Vec::new());
}

/// W9
#[test]
fn a_child_that_has_had_enough_at_data_does_not_accept_for_the_others() {
    let mut driver = greeted(vec![on(b'T', 0, Say::letter(b'a')), on(b'E', 0, Say::letter(b'r'))]);
    assert_eq!(message(&mut driver), [frame(b'r', [])]);
    assert_eq!(message(&mut driver), c());
    assert_eq!(driver.kids[0].letters(), "OCHMRTMRTLLLNBE");
}

/// W9: the next message without an ABORT between
#[test]
fn the_message_behind_one_that_ended_at_data_is_answered() {
    let mut driver = greeted(vec![on(b'T', 0, Say::letter(b'a'))]);
    assert_eq!(driver.ask(b'M', b"<sender@example.org>\0"), c());
    assert_eq!(driver.ask(b'R', b"<one@example.org>\0"), c());
    assert_eq!(driver.ask(b'T', []), [frame(b'a', [])]);
    assert_eq!(message(&mut driver), c());
}

/// W11
#[test]
fn a_child_that_wants_the_connection_closed_is_answered_with_421() {
    let shutdown = reply("421 4.7.0 Service not available, closing transmission channel");
    let mut driver = greeted(vec![on(b'M', 0, Say::letter(b'4'))]);
    assert_eq!(driver.ask(b'M', b"<sender@example.org>\0"), shutdown);
    abort(&mut driver);
    assert_eq!(message(&mut driver), c());
    let mut driver = greeted(vec![on(b'E', 0, Say::letter(b'4'))]);
    assert_eq!(message(&mut driver), shutdown);
}

/// W17
#[test]
fn an_empty_name_in_helo_or_connect_does_not_hang_the_session() {
    let mut driver = negotiated(vec![Kid::usual()], 0x1f_ffff);
    assert_eq!(driver.ask(b'C', b"\0U"), c());
    assert_eq!(driver.ask(b'H', b"\0"), c());
    assert_eq!(message(&mut driver), c());
    assert_eq!(driver.kids[0].seen[2], frame(b'H', b"\0"));
}

/// W17: QUIT_NC
#[test]
fn a_second_session_on_the_same_connection_is_answered() {
    let mut driver = greeted(vec![Kid::usual()]);
    assert_eq!(message(&mut driver), c());
    driver.send(&frame(b'K', []));
    assert_eq!(driver.ask(b'C', super::dialogue::CONNECT), c());
    assert_eq!(driver.ask(b'H', b"again.example.org\0"), c());
    assert_eq!(message(&mut driver), c());
    assert_eq!(driver.kids[0].letters(), "OCHMRTLLLNBEQOCHMRTLLLNBE");
}

/// W20
#[test]
fn a_body_frame_longer_than_usual_is_answered_once_and_shown_whole() {
    for length in [65_536, 70_000, 200_000] {
        let mut driver = negotiated(vec![Kid::usual()], 0);
        assert_eq!(driver.ask(b'C', super::dialogue::CONNECT), c());
        for (letter, payload) in [(b'M', &b"<sender@example.org>\0"[..]), (b'R', b"<one@example.org>\0")] {
            assert_eq!(driver.ask(letter, payload), c());
        }
        let body: Vec<u8> = (0..length).map(|at: u32| at.to_le_bytes()[0]).collect();
        assert_eq!(driver.ask(b'B', &body), c());
        assert_eq!(driver.ask(b'E', []), c());
        let seen = driver.kids[0].seen.iter().filter(|(letter, _)| *letter == b'B');
        assert_eq!(seen.flat_map(|(_, data)| data.clone()).collect::<Vec<u8>>(), body);
    }
}
