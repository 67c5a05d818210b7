//! The space behind the colon: part of the value for who asked for it, added and taken by the MTA for all others.

use millstream_core::message::Content;
use millstream_core::wire::Actions;

use super::words::{add, change, delete, insert, latest, render};

#[test]
fn a_child_without_leading_spaces_is_shown_values_without_the_first() {
    let cases: [(&[u8], &[u8]); 6] =
        [(b" a", b"a"), (b"  a", b" a"), (b"a", b"a"), (b"\ta", b"\ta"), (b" ", b""), (b"", b"")];
    for (value, without) in cases {
        let with_spaces = Content::new(true);
        assert_eq!(with_spaces.to_child_value(value, false), without);
        assert_eq!(with_spaces.to_child_value(value, true), value);
        let without_spaces = Content::new(false);
        assert_eq!(without_spaces.to_child_value(value, false), value);
    }
}

#[test]
fn values_of_a_child_without_leading_spaces_get_one_for_an_mta_with_them() {
    let mut content = Content::new(true);
    content.receive_header(b"A", b" 1");
    let edits = vec![add("X", "x"), insert(0, "Y", " y"), change(1, "A", "2"), add("Z", "")];
    content.commit(edits, Actions::ALL, false);
    assert_eq!(latest(&content), ["Y:   y", "A:  2", "X:  x", "Z:  "]);
    assert_eq!(
        render(&content),
        [change(1, "A", " 2"), insert(0, "Y", "  y"), add("X", " x"), add("Z", " ")]
    );
}

#[test]
fn values_of_a_child_with_leading_spaces_go_on_as_they_are() {
    let mut content = Content::new(true);
    content.receive_header(b"A", b" 1");
    content.commit(vec![add("X", " x"), insert(0, "Y", "y"), change(1, "A", " ")], Actions::ALL, true);
    assert_eq!(render(&content), [change(1, "A", " "), insert(0, "Y", "y"), add("X", " x")]);
}

#[test]
fn an_mta_without_leading_spaces_gets_values_as_they_are() {
    let mut content = Content::new(false);
    content.receive_header(b"A", b"1");
    content.commit(vec![add("X", "x"), change(1, "A", " 2")], Actions::ALL, false);
    assert_eq!(render(&content), [change(1, "A", " 2"), add("X", "x")]);
}

/// A child that asked for leading spaces although they were not offered, as Postfix grants it: users saw two.
#[test]
fn values_of_a_child_with_leading_spaces_lose_one_for_an_mta_without_them() {
    let mut content = Content::new(false);
    content.receive_header(b"A", b"1");
    content.receive_header(b"B", b"1");
    let edits = vec![add("X", " x"), insert(0, "Y", "  y"), change(1, "A", "z"), change(1, "B", " ")];
    content.commit(edits, Actions::ALL, true);
    let expected = [change(1, "A", "z"), change(1, "B", " "), insert(0, "Y", " y"), add("X", "x")];
    assert_eq!(render(&content), expected);
}

#[test]
fn a_value_is_empty_before_its_space_is_added() {
    for leading_space in [false, true] {
        let mut content = Content::new(true);
        content.receive_header(b"A", b" 1");
        content.commit(vec![delete(1, "A")], Actions::ALL, leading_space);
        assert_eq!(render(&content), [delete(1, "A")]);
    }
}

#[test]
fn children_with_and_without_one_after_another() {
    let mut content = Content::new(true);
    content.receive_header(b"A", b" 1");
    content.commit(vec![change(1, "A", "two")], Actions::ALL, false);
    let (_, value) = content.header(content.latest_view(), 0).unwrap();
    assert_eq!(
        (content.to_child_value(value, true), content.to_child_value(value, false)),
        (&b" two"[..], &b"two"[..])
    );
    content.commit(vec![change(1, "A", " three")], Actions::ALL, true);
    let (_, value) = content.header(content.latest_view(), 0).unwrap();
    assert_eq!(content.to_child_value(value, false), b"three");
    assert_eq!(render(&content), [change(1, "A", " three")]);
}
