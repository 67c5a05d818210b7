//! Changes to the message.

use super::dialogue::{c, editor, greeted, greeted_by, header_edit, message, on, reply};
use crate::matrix::driver::{Frame, Kid, Say, frame};

/// What reaches Postfix of the edits of one child.
fn rendered(edits: Vec<Frame>) -> Vec<Frame> {
    let mut driver = greeted_by(vec![editor(edits)], "Postfix 3.7.11");
    let mut answer = message(&mut driver);
    assert_eq!(answer.pop(), Some(frame(b'c', [])));
    answer
}

/// The headers that a second child is shown.
fn shown_behind(edits: Vec<Frame>) -> Vec<String> {
    let mut driver = greeted_by(vec![editor(edits), Kid::usual()], "Postfix 3.7.11");
    message(&mut driver);
    let headers = driver.kids[1].seen.iter().filter(|(letter, _)| *letter == b'L');
    headers.map(|(_, payload)| String::from_utf8(payload.clone()).unwrap().replace('\0', " ")).collect()
}

/// W13
#[test]
fn body_in_the_end_of_message_reaches_the_children_with_its_zero_bytes() {
    let mut driver = greeted(vec![Kid::usual(), Kid::usual()]);
    assert_eq!(driver.ask(b'M', b"<sender@example.org>\0"), c());
    assert_eq!(driver.ask(b'R', b"<one@example.org>\0"), c());
    driver.send(&frame(b'B', b"one\0"));
    assert_eq!(driver.ask(b'E', b"two\0three\r\n"), c());
    for kid in &driver.kids {
        let body = kid.seen.iter().filter(|(letter, _)| b"BE".contains(letter));
        assert_eq!(body.flat_map(|(_, data)| data.clone()).collect::<Vec<u8>>(), b"one\0two\0three\r\n");
    }
}

/// W15
#[test]
fn a_header_is_changed_whatever_the_case_of_its_name() {
    assert_eq!(
        shown_behind(vec![header_edit(b'm', 2, "x-a", "changed")]),
        ["Subject Hello ", "X-A first ", "x-a changed "]
    );
    assert_eq!(shown_behind(vec![header_edit(b'm', 1, "SUBJECT", "")]), ["X-A first ", "X-A second "]);
}

/// W15
#[test]
fn a_header_number_of_zero_means_the_first() {
    assert_eq!(
        shown_behind(vec![header_edit(b'm', 0, "X-A", "changed")]),
        ["Subject Hello ", "X-A changed ", "X-A second "]
    );
}

/// W15
#[test]
fn an_added_header_stands_behind_those_of_the_same_name() {
    let added = header_edit(b'h', 0, "X-A", "third");
    assert_eq!(
        shown_behind(vec![added.clone()]),
        ["Subject Hello ", "X-A first ", "X-A second ", "X-A third "]
    );
    assert_eq!(rendered(vec![added.clone()]), [added]);
}

/// W16
#[test]
fn an_inserted_header_without_a_value_is_inserted() {
    let empty = header_edit(b'i', 1, "X-Empty", "");
    assert_eq!(rendered(vec![empty.clone()]), vec![empty.clone()]);
    assert_eq!(shown_behind(vec![empty]), ["X-Empty  ", "Subject Hello ", "X-A first ", "X-A second "]);
}

/// W16
#[test]
fn a_sender_that_is_changed_to_nothing_costs_no_child_its_connection() {
    let nothing = frame(b'e', b"\0");
    assert_eq!(rendered(vec![nothing.clone()]), vec![nothing.clone()]);
    let mut driver = greeted(vec![editor(vec![nothing.clone()]), Kid::usual()]);
    for _ in 0..2 {
        assert_eq!(message(&mut driver), [nothing.clone(), frame(b'c', [])]);
    }
    assert_eq!(driver.kids[0].letters(), "OCHMRTLLLNBEMRTLLLNBE");
}

/// W19
#[test]
fn recipients_are_not_changed_before_everybody_has_decided() {
    let edits = vec![frame(b'+', b"<new@example.org>\0"), frame(b'-', b"<one@example.org>\0")];
    let mut driver = greeted(vec![editor(edits.clone()), on(b'E', 0, Say::Nothing)]);
    assert_eq!(driver.ask(b'M', b"<sender@example.org>\0"), c());
    assert_eq!(driver.ask(b'R', b"<one@example.org>\0"), c());
    driver.send(&frame(b'E', []));
    assert_eq!(driver.kids[1].letters(), "OCHMRE");
    assert_eq!(driver.answers, []);
    driver.say(1, Say::letter(b'c'));
    assert_eq!(driver.answer(), [edits, c()].concat());
}

/// W21
#[test]
fn nothing_of_a_rejected_message_is_changed_or_quarantined() {
    let edits = || {
        vec![
            frame(b'+', b"<new@example.org>\0"),
            frame(b'b', b"another body\r\n"),
            header_edit(b'i', 1, "X-New", "value"),
            frame(b'q', b"why\0"),
        ]
    };
    let mut driver = greeted(vec![editor(edits()), on(b'E', 0, Say::reply("550 5.7.1 no"))]);
    assert_eq!(message(&mut driver), reply("550 5.7.1 no"));
    for verdict in [b'r', b't', b'd'] {
        let mut driver = greeted(vec![editor(edits()), on(b'E', 0, Say::letter(verdict))]);
        assert_eq!(message(&mut driver), [frame(verdict, [])]);
    }
}
