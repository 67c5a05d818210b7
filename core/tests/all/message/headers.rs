//! Headers by identity, with the index rules of Postfix.

use millstream_core::message::ViewId;
use millstream_core::wire::{Actions, Edit};

use super::words::{add, change, commit, delete, headers, insert, latest, message, render};

const RECEIVED: [&str; 4] = ["A: 1", "B: 1", "A: 2", "C: 1"];

/// What one child asks for, what the next is shown, and what the MTA is asked for.
struct Case {
    what: &'static str,
    edits: Vec<Edit>,
    shown: &'static [&'static str],
    rendered: Vec<Edit>,
}

fn case(what: &'static str, edits: &[Edit], shown: &'static [&'static str], rendered: &[Edit]) -> Case {
    Case { what, edits: edits.to_vec(), shown, rendered: rendered.to_vec() }
}

fn check(cases: &[Case]) {
    for case in cases {
        let mut content = message(&RECEIVED);
        assert_eq!(commit(&mut content, &case.edits), case.edits.len(), "{}", case.what);
        assert_eq!(latest(&content), case.shown, "{}", case.what);
        assert_eq!(render(&content), case.rendered, "{}", case.what);
        assert_eq!(headers(&content, ViewId::RECEIVED), RECEIVED, "{}: what the MTA sent", case.what);
    }
}

#[test]
fn without_edits_nothing_is_asked_for() {
    let mut content = message(&RECEIVED);
    assert_eq!(commit(&mut content, &[]), 0);
    assert_eq!(content.latest_view(), ViewId::RECEIVED);
    assert_eq!(latest(&content), RECEIVED);
    assert_eq!(render(&content), []);
    assert_eq!((content.received_headers(), content.header_bytes()), (4, 8));
}

#[test]
fn one_edit() {
    check(&[
        case("add", &[add("A", "3")], &["A: 1", "B: 1", "A: 2", "C: 1", "A: 3"], &[add("A", "3")]),
        case(
            "insert before the MTA's own",
            &[insert(0, "X", "x")],
            &["X: x", "A: 1", "B: 1", "A: 2", "C: 1"],
            &[insert(0, "X", "x")],
        ),
        case(
            "insert behind the MTA's own",
            &[insert(1, "X", "x")],
            &["X: x", "A: 1", "B: 1", "A: 2", "C: 1"],
            &[insert(1, "X", "x")],
        ),
        case(
            "insert in the middle",
            &[insert(3, "X", "x")],
            &["A: 1", "B: 1", "X: x", "A: 2", "C: 1"],
            &[insert(3, "X", "x")],
        ),
        case(
            "insert at the end",
            &[insert(5, "X", "x")],
            &["A: 1", "B: 1", "A: 2", "C: 1", "X: x"],
            &[add("X", "x")],
        ),
        case(
            "insert past the end",
            &[insert(0x7fff_ffff, "X", "x")],
            &["A: 1", "B: 1", "A: 2", "C: 1", "X: x"],
            &[add("X", "x")],
        ),
        case("change", &[change(2, "A", "x")], &["A: 1", "B: 1", "A: x", "C: 1"], &[change(2, "A", "x")]),
        case("0 means 1", &[change(0, "A", "x")], &["A: x", "B: 1", "A: 2", "C: 1"], &[change(1, "A", "x")]),
        case(
            "change in another case, which it then has",
            &[change(2, "a", "x")],
            &["A: 1", "B: 1", "a: x", "C: 1"],
            &[change(2, "a", "x")],
        ),
        case(
            "change of what is not there appends",
            &[change(3, "A", "x")],
            &["A: 1", "B: 1", "A: 2", "C: 1", "A: x"],
            &[add("A", "x")],
        ),
        case(
            "change of a name that is not there appends",
            &[change(1, "X", "x")],
            &["A: 1", "B: 1", "A: 2", "C: 1", "X: x"],
            &[add("X", "x")],
        ),
        case("delete", &[delete(2, "a")], &["A: 1", "B: 1", "C: 1"], &[delete(2, "A")]),
        case("delete number 0", &[delete(0, "A")], &["B: 1", "A: 2", "C: 1"], &[delete(1, "A")]),
        case("delete what is not there", &[delete(3, "A"), delete(1, "X")], &RECEIVED, &[]),
        case("change to the same", &[change(1, "B", "1")], &RECEIVED, &[change(1, "B", "1")]),
        case(
            "add without a value",
            &[add("X", "")],
            &["A: 1", "B: 1", "A: 2", "C: 1", "X: "],
            &[add("X", "")],
        ),
    ]);
}

#[test]
fn edits_one_after_another_act_on_what_the_ones_before_left() {
    check(&[
        case(
            "delete, then change: the next one has moved up",
            &[delete(1, "A"), change(1, "A", "x")],
            &["B: 1", "A: x", "C: 1"],
            &[change(2, "A", "x"), delete(1, "A")],
        ),
        case(
            "change, then delete",
            &[change(1, "A", "x"), delete(1, "A")],
            &["B: 1", "A: 2", "C: 1"],
            &[delete(1, "A")],
        ),
        case(
            "delete twice",
            &[delete(1, "A"), delete(1, "A")],
            &["B: 1", "C: 1"],
            &[delete(2, "A"), delete(1, "A")],
        ),
        case(
            "delete from the highest",
            &[delete(2, "A"), delete(1, "A")],
            &["B: 1", "C: 1"],
            &[delete(2, "A"), delete(1, "A")],
        ),
        case(
            "delete three times",
            &[delete(1, "A"), delete(1, "A"), delete(1, "A")],
            &["B: 1", "C: 1"],
            &[delete(2, "A"), delete(1, "A")],
        ),
        case(
            "delete, then change of what is not there any more",
            &[delete(1, "B"), change(1, "B", "x")],
            &["A: 1", "A: 2", "C: 1", "B: x"],
            &[delete(1, "B"), add("B", "x")],
        ),
        case(
            "insert at the top, then change: the new one is the first",
            &[insert(0, "A", "0"), change(1, "A", "x")],
            &["A: x", "A: 1", "B: 1", "A: 2", "C: 1"],
            &[insert(0, "A", "x")],
        ),
        case(
            "insert at the top, then change the second",
            &[insert(0, "A", "0"), change(2, "A", "x")],
            &["A: 0", "A: x", "B: 1", "A: 2", "C: 1"],
            &[change(1, "A", "x"), insert(0, "A", "0")],
        ),
        case(
            "insert at the top, then delete the third",
            &[insert(1, "A", "0"), delete(3, "A")],
            &["A: 0", "A: 1", "B: 1", "C: 1"],
            &[delete(2, "A"), insert(1, "A", "0")],
        ),
        case(
            "two at the same place stand in reverse",
            &[insert(2, "X", "1"), insert(2, "X", "2")],
            &["A: 1", "X: 2", "X: 1", "B: 1", "A: 2", "C: 1"],
            &[insert(2, "X", "2"), insert(3, "X", "1")],
        ),
        case(
            "around the MTA's own",
            &[insert(1, "X", "under"), insert(0, "X", "over"), insert(1, "X", "over, second")],
            &["X: over", "X: over, second", "X: under", "A: 1", "B: 1", "A: 2", "C: 1"],
            &[insert(0, "X", "over"), insert(1, "X", "over, second"), insert(3, "X", "under")],
        ),
        case(
            "add, then insert past the end",
            &[add("X", "1"), insert(6, "X", "2"), add("X", "3")],
            &["A: 1", "B: 1", "A: 2", "C: 1", "X: 1", "X: 2", "X: 3"],
            &[add("X", "1"), add("X", "2"), add("X", "3")],
        ),
        case(
            "add, then insert before it",
            &[add("X", "1"), insert(5, "X", "2")],
            &["A: 1", "B: 1", "A: 2", "C: 1", "X: 2", "X: 1"],
            &[add("X", "2"), add("X", "1")],
        ),
        case(
            "delete, then insert where it was",
            &[delete(1, "B"), insert(2, "B", "new")],
            &["A: 1", "B: new", "A: 2", "C: 1"],
            &[delete(1, "B"), insert(2, "B", "new")],
        ),
        case("add, then delete", &[add("X", "1"), delete(1, "X")], &RECEIVED, &[]),
        case(
            "a change of the name's case does not hide it",
            &[change(1, "a", "x"), change(1, "A", "y"), delete(2, "a")],
            &["A: y", "B: 1", "C: 1"],
            &[change(1, "A", "y"), delete(2, "A")],
        ),
        case(
            "everything deleted, something added",
            &[delete(1, "A"), delete(1, "A"), delete(1, "B"), delete(1, "C"), insert(1, "X", "x")],
            &["X: x"],
            &[delete(1, "C"), delete(2, "A"), delete(1, "B"), delete(1, "A"), add("X", "x")],
        ),
        case(
            "everything deleted, something inserted before the MTA's own",
            &[delete(1, "A"), delete(1, "A"), delete(1, "B"), delete(1, "C"), insert(0, "X", "x")],
            &["X: x"],
            &[delete(1, "C"), delete(2, "A"), delete(1, "B"), delete(1, "A"), insert(0, "X", "x")],
        ),
    ]);
}

#[test]
fn the_order_is_changes_deletes_inserts_and_adds() {
    let mut content = message(&RECEIVED);
    commit(
        &mut content,
        &[
            add("X", "last"),
            insert(0, "X", "first"),
            delete(1, "B"),
            change(2, "A", "x"),
            delete(1, "A"),
            change(1, "C", "y"),
        ],
    );
    assert_eq!(latest(&content), ["X: first", "A: x", "C: y", "X: last"]);
    assert_eq!(
        render(&content),
        [
            change(2, "A", "x"),
            change(1, "C", "y"),
            delete(1, "B"),
            delete(1, "A"),
            insert(0, "X", "first"),
            add("X", "last"),
        ]
    );
}

#[test]
fn each_child_edits_what_the_children_before_it_left() {
    let mut content = message(&RECEIVED);

    commit(&mut content, &[insert(1, "A", "by the first"), delete(2, "A")]);
    let first = content.latest_view();
    commit(&mut content, &[change(1, "A", "by the second"), change(2, "A", "too"), add("X", "1")]);
    let second = content.latest_view();
    commit(&mut content, &[delete(1, "X"), delete(1, "A")]);

    assert_eq!(headers(&content, ViewId::RECEIVED), RECEIVED);
    assert_eq!(headers(&content, first), ["A: by the first", "B: 1", "A: 2", "C: 1"]);
    assert_eq!(headers(&content, second), ["A: by the second", "B: 1", "A: too", "C: 1", "X: 1"]);
    assert_eq!(latest(&content), ["B: 1", "A: too", "C: 1"]);
    assert_eq!(render(&content), [change(2, "A", "too"), delete(1, "A")]);
}

#[test]
fn what_one_child_adds_and_a_later_one_deletes_was_never_there() {
    for edit in [add("X", "1"), insert(0, "X", "1"), insert(3, "X", "1"), change(1, "X", "1")] {
        let mut content = message(&RECEIVED);
        commit(&mut content, &[edit]);
        assert_eq!(latest(&content).len(), 5);
        commit(&mut content, &[delete(1, "x")]);
        assert_eq!(latest(&content), RECEIVED);
        assert_eq!(render(&content), []);
    }
}

#[test]
fn what_one_child_adds_and_a_later_one_changes_is_added_once() {
    let mut content = message(&RECEIVED);
    commit(&mut content, &[insert(2, "X", "1"), add("Y", "1")]);
    commit(&mut content, &[change(1, "x", "2"), change(1, "Y", "2")]);
    assert_eq!(render(&content), [insert(2, "x", "2"), add("Y", "2")]);
}

#[test]
fn a_child_that_changes_nothing_makes_no_view() {
    let mut content = message(&RECEIVED);
    commit(&mut content, &[add("X", "1")]);
    let view = content.latest_view();
    commit(&mut content, &[delete(1, "no such"), add("Y", "1"), delete(1, "Y")]);
    assert_eq!(content.latest_view(), view);
}

#[test]
fn a_message_without_headers() {
    let mut content = message(&[]);
    commit(&mut content, &[delete(1, "A"), change(1, "A", "1"), insert(1, "B", "1"), insert(0, "C", "1")]);
    assert_eq!(latest(&content), ["C: 1", "B: 1", "A: 1"]);
    assert_eq!(render(&content), [insert(0, "C", "1"), add("B", "1"), add("A", "1")]);
}

#[test]
fn headers_are_bytes() {
    let name = bytes::Bytes::from_static(b"X-\xff\x80");
    let value = bytes::Bytes::from_static(b"\xfe\n\t\x01");
    let mut content = millstream_core::message::Content::new(false);
    content.receive_header(&name, &value);
    let changed = Edit::ChangeHeader(1, bytes::Bytes::from_static(b"x-\xff\x80"), value.clone());
    assert_eq!(commit(&mut content, std::slice::from_ref(&changed)), 1);
    assert_eq!(content.header(content.latest_view(), 0), Some((&b"x-\xff\x80"[..], &value[..])));
    assert_eq!(render(&content), [changed]);
}

#[test]
fn an_mta_that_lets_headers_only_be_changed_is_asked_to_change_one_that_is_not_there() {
    let mut content = message(&RECEIVED);
    content.commit(vec![change(9, "A", "x"), change(1, "B", "y")], Actions::CHANGE_HEADERS, false);
    assert_eq!(content.render(Actions::CHANGE_HEADERS), [change(1, "B", "y"), change(0x7fff_ffff, "A", "x")]);
}

#[test]
fn a_thousand_headers() {
    let names: Vec<String> = (0..1000).map(|number| format!("X-{}: {number}", number % 10)).collect();
    let received: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut content = message(&received);
    let edits: Vec<Edit> = (1..=100).rev().map(|occurrence| delete(occurrence, "x-7")).collect();
    commit(&mut content, &edits);
    assert_eq!(latest(&content).len(), 900);
    let rendered: Vec<Edit> = (1..=100).rev().map(|occurrence| delete(occurrence, "X-7")).collect();
    assert_eq!(render(&content), rendered);
}
