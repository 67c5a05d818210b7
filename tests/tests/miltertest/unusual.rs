//! Children that negotiate what few do.

use millstream_tests::children::Plan;

use crate::run::{Behind, Run};

#[test]
fn a_child_that_never_replies_before_the_end_of_message() {
    let Some(run) = Run::start([Behind::Unusual("silent"), Behind::Known(Plan::policy("policy"))]) else {
        return;
    };
    run.script("ordinary");
    let line = run.wait_for_record(&["\"message\""]);
    assert!(line.contains("[\"Subject\", \"Hello\"]"), "{line}");
    // Its silence does not become the other's.
    run.script("refusals");
}

#[test]
fn a_child_that_wants_nothing_but_the_end_of_message() {
    let Some(run) = Run::start([Behind::Unusual("uninterested"), Behind::Known(Plan::policy("policy"))])
    else {
        return;
    };
    run.script("ordinary");
    let line = run.wait_for_record(&["\"message\""]);
    assert!(line.contains("\"headers\": []") && line.contains("\"body_length\": 0"), "{line}");
    run.script("refusals");
}

#[test]
fn a_child_that_wants_the_leading_space_and_few_macros() {
    let Some(run) = Run::start([Behind::Unusual("spaces"), Behind::Known(Plan::recorder("two"))]) else {
        return;
    };
    run.script("spaces");
    let line = run.wait_for_record(&["\"message\""]);
    assert!(line.contains("[\"Subject\", \" Hello\"]"), "{line}");
    let other = run.child("two").wait_for_record(&["\"message\""]);
    assert!(other.contains("[\"Subject\", \"Hello\"]"), "{other}");
}

#[test]
fn a_child_that_skips_the_rest_of_the_body() {
    let Some(run) = Run::start([Behind::Unusual("skips"), Behind::Known(Plan::recorder("two"))]) else {
        return;
    };
    run.script("long");
    let line = run.wait_for_record(&["\"message\""]);
    let other = run.child("two").wait_for_record(&["\"message\""]);
    let length = |line: &str| -> usize {
        let (_, rest) = line.split_once("\"body_length\": ").unwrap();
        rest.split([',', '}']).next().unwrap().parse().unwrap()
    };
    assert!(length(&line) > 0 && length(&line) < length(&other), "{} {}", length(&line), length(&other));
}
