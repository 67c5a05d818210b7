//! Sender, recipients and quarantine.

use millstream_core::wire::Edit;

use super::words::{add, commit, message, render, replace, text};

fn from(sender: &str, arguments: Option<&str>) -> Edit {
    Edit::ChangeFrom(text(sender), arguments.map(text))
}

fn held(reason: &str) -> Edit {
    Edit::Quarantine(text(reason))
}

fn to(recipient: &str) -> Edit {
    Edit::AddRecipient(text(recipient))
}

fn not_to(recipient: &str) -> Edit {
    Edit::DeleteRecipient(text(recipient))
}

#[test]
fn recipients_stay_in_the_order_in_which_they_were_asked_for() {
    let with_arguments = Edit::AddRecipientPar(text("<c>"), Some(text("NOTIFY=NEVER")));
    let mut content = message(&["A: 1"]);
    assert_eq!(commit(&mut content, &[to("<a>"), not_to("<b>")]), 2);
    commit(&mut content, &[with_arguments.clone(), not_to("<a>"), to("<a>")]);
    assert_eq!(render(&content), [to("<a>"), not_to("<b>"), with_arguments, not_to("<a>"), to("<a>")]);
}

#[test]
fn the_last_sender_wins_with_its_arguments() {
    let mut content = message(&["A: 1"]);
    commit(&mut content, &[from("<a>", Some("RET=HDRS")), from("<b>", None)]);
    assert_eq!(render(&content), [from("<b>", None)]);
    commit(&mut content, &[from("<c>", Some("RET=FULL"))]);
    assert_eq!(render(&content), [from("<c>", Some("RET=FULL"))]);
}

#[test]
fn the_last_reason_for_a_quarantine_wins() {
    let mut content = message(&["A: 1"]);
    commit(&mut content, &[held("one"), held("two")]);
    commit(&mut content, &[held("three")]);
    assert_eq!(render(&content), [held("three")]);
}

#[test]
fn edits_of_the_envelope_make_no_view() {
    let mut content = message(&["A: 1"]);
    let before = content.latest_view();
    commit(&mut content, &[held("one"), to("<a>"), from("<b>", None)]);
    assert_eq!(content.latest_view(), before);
}

#[test]
fn the_order_is_headers_body_sender_recipients_quarantine() {
    let mut content = message(&["A: 1"]);
    commit(&mut content, &[held("one"), to("<a>"), replace(b"new"), from("<b>", None), add("X", "x")]);
    let expected = [add("X", "x"), replace(b"new"), from("<b>", None), to("<a>"), held("one")];
    assert_eq!(render(&content), expected);
}
