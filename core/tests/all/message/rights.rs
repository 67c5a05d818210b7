//! Edits that a child has not negotiated the right to are left out.

use millstream_core::wire::{Actions, Edit};

use super::words::{add, change, delete, insert, latest, message, render, replace, text};

#[test]
fn each_edit_needs_its_right() {
    let cases = [
        (Actions::ADD_HEADERS, add("X", "x")),
        (Actions::ADD_HEADERS, insert(0, "X", "x")),
        (Actions::CHANGE_HEADERS, change(1, "A", "x")),
        (Actions::CHANGE_HEADERS, change(1, "X", "x")),
        (Actions::CHANGE_HEADERS, delete(1, "A")),
        (Actions::CHANGE_BODY, replace(b"x")),
        (Actions::ADD_RECIPIENTS, Edit::AddRecipient(text("<a>"))),
        (Actions::ADD_RECIPIENTS_PAR, Edit::AddRecipientPar(text("<a>"), None)),
        (Actions::DELETE_RECIPIENTS, Edit::DeleteRecipient(text("<a>"))),
        (Actions::CHANGE_FROM, Edit::ChangeFrom(text("<a>"), None)),
        (Actions::QUARANTINE, Edit::Quarantine(text("held"))),
    ];
    for (right, edit) in cases {
        let mut content = message(&["A: 1"]);
        assert_eq!(content.commit(vec![edit.clone()], right, false), 1, "{edit:?}");
        assert_eq!(render(&content).len(), 1, "{edit:?}");

        let mut content = message(&["A: 1"]);
        assert_eq!(content.commit(vec![edit.clone()], Actions::ALL.without(right), false), 0, "{edit:?}");
        assert_eq!(render(&content), [], "{edit:?}");
        assert_eq!(latest(&content), ["A: 1"]);
    }
}

#[test]
fn an_edit_that_is_left_out_does_not_count_for_the_next() {
    let mut content = message(&["A: 1", "A: 2"]);
    let edits = vec![delete(1, "A"), add("A", "3"), delete(1, "A")];
    assert_eq!(content.commit(edits, Actions::ADD_HEADERS, false), 1);
    assert_eq!(latest(&content), ["A: 1", "A: 2", "A: 3"]);
}
