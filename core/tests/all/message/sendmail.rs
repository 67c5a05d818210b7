//! Headers with the index rules of Sendmail, as the real one has shown them (`tests/tests/real_mail/same_edits.rs`).

use millstream_core::message::{Content, HeaderRules};
use millstream_core::wire::{Actions, Edit};

use super::words::{add, change, commit, delete, insert, latest, message, render};

const RECEIVED: [&str; 4] = ["A: 1", "B: 1", "A: 2", "C: 1"];

/// Children one after another, what the last is shown, and what Sendmail is asked for.
fn check(what: &str, children: &[&[Edit]], shown: &[&str], rendered: &[Edit]) {
    let mut content: Content = message(&RECEIVED).with_rules(HeaderRules::Sendmail);
    for edits in children {
        assert_eq!(commit(&mut content, edits), edits.len(), "{what}");
    }
    assert_eq!(latest(&content), shown, "{what}");
    assert_eq!(render(&content), rendered, "{what}");
}

#[test]
fn a_deleted_header_counts_for_the_child_that_deleted_it() {
    let twice = [delete(1, "A"), delete(1, "A")];
    check("delete twice", &[&twice], &["B: 1", "A: 2", "C: 1"], &twice);
    let back = [delete(1, "A"), change(1, "A", "x")];
    check("delete, then change: it is back", &[&back], &["A: x", "B: 1", "A: 2", "C: 1"], &back);
}

#[test]
fn a_deleted_header_counts_no_more_for_the_children_behind() {
    check(
        "delete, and the next deletes",
        &[&[delete(1, "A")], &[delete(1, "A")]],
        &["B: 1", "C: 1"],
        &[delete(1, "A"), delete(2, "A")],
    );
    check(
        "delete, and the next changes",
        &[&[delete(1, "A")], &[change(1, "A", "x")]],
        &["B: 1", "A: x", "C: 1"],
        &[delete(1, "A"), change(2, "A", "x")],
    );
}

#[test]
fn what_an_earlier_child_deleted_gives_its_place_to_a_new_one() {
    check(
        "the next adds",
        &[&[delete(2, "A")], &[add("A", "x")]],
        &["A: 1", "B: 1", "A: x", "C: 1"],
        &[delete(2, "A"), change(2, "A", "x")],
    );
    check(
        "the next changes past the last",
        &[&[delete(1, "C")], &[change(1, "C", "x")]],
        &["A: 1", "B: 1", "A: 2", "C: x"],
        &[delete(1, "C"), change(1, "C", "x")],
    );
}

#[test]
fn an_added_header_goes_before_the_first_of_its_name() {
    let added = [add("A", "0"), add("X", "1"), add("X", "2"), add("B", "0")];
    check("add", &[&added], &["A: 0", "A: 1", "B: 0", "B: 1", "A: 2", "C: 1", "X: 2", "X: 1"], &added);
}

#[test]
fn a_header_of_sendmails_own_configuration_takes_the_place_of_the_added_one() {
    let date = [add("Date", "now"), change(1, "Message-ID", "<1>")];
    check("add", &[&date], &["Date: now", "Message-Id: <1>", "A: 1", "B: 1", "A: 2", "C: 1"], &date);
}

#[test]
fn an_insert_counts_everything_and_goes_behind() {
    let inserts = [insert(0, "X", "0"), delete(1, "A"), insert(11, "X", "11"), insert(99, "X", "99")];
    check(
        "nine of the configuration, the new one, A",
        &[&inserts],
        &["X: 0", "B: 1", "X: 11", "A: 2", "C: 1", "X: 99"],
        &inserts,
    );
}

#[test]
fn nothing_is_asked_for_what_is_not_there() {
    check("delete", &[&[delete(3, "A"), delete(1, "X")]], &RECEIVED, &[]);
}

#[test]
fn a_child_beside_the_others_finds_its_headers_in_what_the_mta_sent() {
    let mut content = message(&RECEIVED).with_rules(HeaderRules::Sendmail);
    commit(&mut content, &[delete(1, "A"), insert(9, "A", "new")]);

    let edits = vec![change(1, "A", "x"), change(2, "A", "y"), insert(10, "X", "behind B")];
    let committed = content.commit_beside(edits, Actions::ALL, false);

    assert_eq!((committed.applied, committed.overlaps), (3, 1));
    assert_eq!(latest(&content), ["A: x", "A: new", "B: 1", "X: behind B", "A: y", "C: 1"]);
    assert_eq!(
        render(&content),
        [
            delete(1, "A"),
            insert(9, "A", "new"),
            change(1, "A", "x"),
            change(3, "A", "y"),
            insert(11, "X", "behind B")
        ]
    );
}
