//! Ordinary and less ordinary dialogues.

use millstream_tests::children::Plan;

use crate::run::{Behind, Run};

fn known(plan: Plan) -> Behind {
    Behind::Known(plan)
}

#[test]
fn an_ordinary_message_passes() {
    let Some(run) = Run::start([known(Plan::recorder("one")), known(Plan::recorder("two"))]) else { return };
    run.script("ordinary");
    for name in ["one", "two"] {
        let line = run.child(name).wait_for_record(&["\"message\"", "<sender@example.org>"]);
        for part in ["4AbCdEfGhI", "SIZE=1000", "[\"Subject\", \"Hello\"]", "<user@example.com>"] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}

#[test]
fn a_refusal_reaches_the_mta_with_its_text() {
    let Some(run) = Run::start([known(Plan::recorder("one")), known(Plan::policy("policy"))]) else { return };
    run.script("refusals");
}

#[test]
fn the_mta_sees_the_edits_of_all_children() {
    let first = r#"[["add", "X-First", "one"], ["change", "Subject", 1, "changed"]]"#;
    let second = r#"[["insert", 1, "X-Second", "two"], ["delete", "X-Gone", 1], ["body", "another body\r\n"],
        ["add-recipient", "<new@example.org>"], ["delete-recipient", "<user@example.com>"], ["quarantine", "why"]]"#;
    let Some(run) = Run::start([known(Plan::editor("first", first)), known(Plan::editor("second", second))])
    else {
        return;
    };
    run.script("edits");
    // The second has seen what the first did.
    let seen = run.child("second").wait_for_record(&["\"message\""]);
    assert!(seen.contains("[\"X-First\", \"one\"]") && seen.contains("[\"Subject\", \"changed\"]"), "{seen}");
}

#[test]
fn an_aborted_message_leaves_nothing_behind() {
    let Some(run) = Run::start([known(Plan::recorder("one")), known(Plan::policy("policy"))]) else { return };
    run.script("abort");
    let _ = run.child("one").wait_for_record(&["\"abort\""]);
    let line = run.child("one").wait_for_record(&["\"message\""]);
    assert!(line.contains("second@example.org") && !line.contains("first@example.org"), "{line}");
}

#[test]
fn several_messages_in_one_session() {
    let Some(run) = Run::start([known(Plan::policy("policy")), known(Plan::recorder("two"))]) else { return };
    run.script("several");
}
