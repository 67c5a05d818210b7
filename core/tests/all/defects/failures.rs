//! Children that fail, and children that only watch.

use millstream_core::policy::Fallback;

use super::dialogue::{c, editor, greeted, header_edit, message, negotiated, on};
use crate::matrix::driver::{Kid, Say, frame};

/// W7
#[test]
fn a_child_on_trial_that_accepts_does_not_end_the_chain() {
    for stage in [b'C', b'H', b'M', b'R', b'T', b'L', b'N', b'B', b'E'] {
        let trial = on(stage, 0, Say::letter(b'a')).evaluation(true);
        let mut driver = greeted(vec![trial, on(b'E', 0, Say::letter(b'r'))]);
        assert_eq!(message(&mut driver), [frame(b'r', [])], "{}", char::from(stage));
        assert!(driver.kids[1].letters().ends_with('E'));
    }
}

/// W8
#[test]
fn a_child_that_is_too_slow_does_not_let_mail_past_the_children_behind() {
    for stage in [b'L', b'N', b'B', b'E'] {
        let slow = on(stage, 0, Say::Nothing).fallback(Fallback::Accept);
        let mut driver = greeted(vec![slow, on(b'E', 0, Say::letter(b'r'))]);
        assert_eq!(message(&mut driver), [frame(b'r', [])], "{}", char::from(stage));
    }
}

/// W8: the changes of the others
#[test]
fn a_child_that_is_too_slow_does_not_take_the_changes_of_others_along() {
    let added = header_edit(b'h', 0, "X-Scanned", "yes");
    for stage in [b'L', b'N', b'B', b'E'] {
        let slow = on(stage, 0, Say::Nothing).fallback(Fallback::Accept);
        let mut driver = greeted(vec![editor(vec![added.clone()]), slow]);
        assert_eq!(message(&mut driver), [added.clone(), frame(b'c', [])], "{}", char::from(stage));
    }
}

/// W10
#[test]
fn a_child_that_is_not_there_is_answered_with_its_own_fallback() {
    for (fallback, letter) in [(Fallback::Reject, b'r'), (Fallback::TemporaryFailure, b't')] {
        let mut absent = Kid::usual().fallback(fallback);
        absent.refuses = true;
        let mut driver = negotiated(vec![Kid::usual(), absent], 0x1f_ffff);
        assert_eq!(driver.ask(b'C', super::dialogue::CONNECT), [frame(letter, [])]);
    }
}

/// W11
#[test]
fn a_child_that_reports_a_failure_of_its_own_has_failed() {
    for (stage, fallback, letter) in [
        (b'M', Fallback::Reject, b'r'),
        (b'R', Fallback::TemporaryFailure, b't'),
        (b'E', Fallback::Discard, b'd'),
    ] {
        let mut driver = greeted(vec![on(stage, 0, Say::letter(b'f')).fallback(fallback)]);
        let mut answer = driver.ask(b'M', b"<sender@example.org>\0");
        if answer == c() {
            answer = driver.ask(b'R', b"<one@example.org>\0");
        }
        if answer == c() {
            assert_eq!(driver.ask(b'T', []), c());
            answer = super::dialogue::content(&mut driver);
        }
        assert_eq!(answer, [frame(letter, [])]);
    }
}

/// W19: a later failure
#[test]
fn changes_of_recipients_are_undone_with_the_child_that_wanted_them() {
    let edits = vec![frame(b'+', b"<new@example.org>\0"), frame(b'-', b"<one@example.org>\0")];
    let dies = Kid::new(move |(letter, _)| match letter {
        b'E' => Say::frames(edits.clone()),
        _ => Say::Usual,
    });
    let mut driver = greeted(vec![dies.fallback(Fallback::Accept), Kid::usual()]);
    assert_eq!(message(&mut driver), c());
}
