//! `restrict_accounts_by_list` and `restrict_accounts_generic`.

use millstream_core::wire::Stage;

use super::stopped;
use crate::common::session::{RUNS, Visit};
use crate::common::{good, problem};

const MILTERS: &str =
    "%w(m n).each {|name| define_milter(name) {|milter| milter.connection_spec = \"unix:/\" + name } }\n";

#[track_caller]
fn visit(restriction: &str) -> Visit {
    Visit::of(&good(&format!("{MILTERS}{restriction}")))
}

/// What the first milter gets of a message to these: which recipients, and whether the rest.
fn gets(visit: &mut Visit, recipients: &[&str]) -> (Vec<bool>, bool) {
    visit.memory.begin_message();
    visit.ask(Stage::Mail);
    let mut shown = |recipient: &&str| {
        visit.recipient = recipient.as_bytes().to_vec();
        !visit.stops(Stage::Rcpt)
    };
    let recipients = recipients.iter().map(&mut shown).collect();
    (recipients, !visit.stops(Stage::Data))
}

#[test]
fn only_messages_all_of_whose_recipients_are_in_the_list() {
    let mut visit = visit("restrict_accounts_by_list(\"bob@example.com\", /@example\\.net\\z/)");
    for (recipients, shown, whole) in [
        (&["<bob@example.com>"][..], &[true][..], true),
        (&["<bob@example.com>", "<x@example.net>"], &[true, true], true),
        (&["<alice@example.com>"], &[false], false),
        (&["<alice@example.com>", "<bob@example.com>"], &[false, true], false),
        (&["<bob@example.com>", "<alice@example.com>", "<x@example.net>"], &[true, false, true], false),
        (&["bob@example.com"], &[true], true),
        (&["<Bob@example.com>"], &[false], false),
        (&["<x@example.net.org>"], &[false], false),
    ] {
        assert_eq!(gets(&mut visit, recipients), (shown.to_vec(), whole), "{recipients:?}");
    }
}

#[test]
fn the_mark_holds_for_its_message_whatever_macros_come_with_recipients() {
    let mut visit = visit("restrict_accounts_by_list(\"bob@example.com\")");
    visit.ask(Stage::Mail);
    for (queue_id, recipient) in [("1", "<alice@example.com>"), ("2", "<bob@example.com>")] {
        visit = visit.macros(b'R', &format!("i {queue_id}"));
        visit.recipient = recipient.as_bytes().to_vec();
        visit.ask(Stage::Rcpt);
    }
    assert!(visit.stops(Stage::Data), "the last recipient does not decide");
    assert_eq!(gets(&mut visit, &["<bob@example.com>"]), (vec![true], true), "the next message");
}

#[test]
fn a_block_is_given_the_context_and_the_recipient_with_its_brackets() {
    let mut visit = visit(
        "ours = [\"<bob@example.com>\"]\nrestrict_accounts_generic do |context, recipient|\n  \
         context.name == \"m\" and ours.include?(recipient)\nend",
    );
    assert_eq!(gets(&mut visit, &["<bob@example.com>"]), (vec![true], true));
    assert_eq!(gets(&mut visit, &["<bob@example.com>", "<alice@example.com>"]), (vec![true, false], false));
    assert_eq!(visit.ask_about(1, Stage::Rcpt), stopped("Restrict Accounts"), "the name differs");
}

#[test]
fn by_default_all_milters_so_far_are_restricted_and_later_ones_are_not() {
    let mut visit = visit(
        "restrict_accounts_by_list(\"bob@example.com\")\n\
         define_milter(\"later\") {|milter| milter.connection_spec = \"unix:/later\" }",
    );
    let name = "Restrict Accounts by List: [\"bob@example.com\"]";
    assert_eq!([0, 1].map(|child| visit.ask_about(child, Stage::Rcpt)), [stopped(name), stopped(name)]);
    assert_eq!(visit.ask_about(2, Stage::Rcpt), RUNS);
}

#[test]
fn the_named_milters_are_restricted_and_go_to_the_end() {
    let configuration = good(&format!(
        "{MILTERS}restrict_accounts_by_list(\"bob@example.com\", /@b\\.example\\z/, milters: [\"m\"])\n\
         restrict_accounts_generic(:condition_name => \"Odd\", milters: [\"m\"]) {{|context, recipient| true }}"
    ));
    let names: Vec<_> = configuration.milters.iter().map(|milter| &*milter.name).collect();
    assert_eq!(names, ["n", "m"]);
    let applied: Vec<_> =
        configuration.milters[1].applicable_conditions.iter().map(|applied| &*applied.name).collect();
    assert_eq!(applied, ["Restrict Accounts by List: [\"bob@example.com\", /@b\\.example\\z/]", "Odd"]);
    assert!(configuration.milters[0].applicable_conditions.is_empty());
    let described = configuration.conditions.iter().map(|condition| condition.description.as_deref());
    assert!(described.eq([Some("Restrict milters to specified accounts"); 2]));
}

#[test]
fn two_restrictions_both_count() {
    let mut visit = visit(
        "restrict_accounts_by_list(/@example\\.com\\z/, condition_name: \"A\")\n\
         restrict_accounts_by_list([\"bob@example.com\", \"bob@example.net\"], condition_name: \"B\")",
    );
    assert_eq!(gets(&mut visit, &["<bob@example.com>"]), (vec![true], true));
    assert_eq!(gets(&mut visit, &["<bob@example.net>"]), (vec![false], false));
    assert_eq!(gets(&mut visit, &["<alice@example.com>"]), (vec![false], false));
}

#[test]
fn what_is_wrong_is_a_problem() {
    for (source, message) in [
        ("restrict_accounts_by_list", "restrict_accounts_by_list needs accounts"),
        ("restrict_accounts_by_list(1)", "an account should be a string or a regular expression but was 1"),
        ("restrict_accounts_by_list(\"a\") {|x| x }", "restrict_accounts_by_list takes no block"),
        ("restrict_accounts_by_list(\"a\", milters: [\"x\"])", "unknown milter: \"x\""),
        ("restrict_accounts_by_list(\"a\", milter: [\"m\"])", "unknown option: milter"),
        (
            "restrict_accounts_by_list(\"a\", milters: \"m\")",
            "milters should be an array of names but was \"m\"",
        ),
        (
            "restrict_accounts_generic(condition_name: 1) {|c, r| }",
            "condition_name should be a string but was 1",
        ),
        ("restrict_accounts_generic", "restrict_accounts_generic has no block"),
        ("restrict_accounts_generic(1) {|c, r| }", "restrict_accounts_generic takes a block and options"),
        ("restrict_accounts_generic {|c, r| r.foo }", "`foo` is not supported on a string: r"),
    ] {
        assert_eq!(problem(source).message, message, "{source}");
    }
}
