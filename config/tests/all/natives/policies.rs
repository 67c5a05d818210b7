//! `define_policy`.

use millstream_core::wire::Stage;

use super::stopped;
use crate::common::session::{RUNS, Visit, client};
use crate::common::{good, problem};

const MILTERS: &str =
    "%w(m n).each {|name| define_milter(name) {|milter| milter.connection_spec = \"unix:/\" + name } }\n";

#[track_caller]
fn visit(policy: &str) -> Visit {
    Visit::of(&good(&format!("{MILTERS}{policy}")))
}

#[test]
fn a_named_milter_sees_what_fits_and_the_others_no_message() {
    let mut visit = visit(
        "define_policy(\"office\") do |policy|\n  policy.milters = [\"m\"]\n  policy.host = /\\.example\\.com\\z/\n  \
         policy.address = \"198.51.100.0/24\"\n  policy.fqdn = /example/\n  policy.from = \"from@example.com\"\n  \
         policy.recipient = lambda {|recipient| recipient =~ /@example\\.org\\z/ }\nend",
    );
    let all = [Stage::Connect, Stage::Helo, Stage::Mail, Stage::Rcpt, Stage::Data];
    assert_eq!(all.map(|stage| visit.ask(stage)), [RUNS; 5]);
    assert_eq!(
        all.map(|stage| visit.ask_about(1, stage)),
        [RUNS, RUNS, RUNS, RUNS, stopped("Policy")],
        "the milter that it does not name"
    );
    visit.client = client("host.example.net", "198.51.100.9:25");
    assert_eq!(visit.ask(Stage::Connect), RUNS, "its address fits");
    visit.client = client("host.example.net", "203.0.113.9:25");
    visit.helo = b"other".to_vec();
    visit.sender = b"<other@example.com>".to_vec();
    visit.recipient = b"<to@example.net>".to_vec();
    for stage in [Stage::Connect, Stage::Helo, Stage::Mail, Stage::Rcpt] {
        assert_eq!(visit.ask(stage), stopped("Policy"), "{stage}");
    }
}

#[test]
fn what_a_policy_does_not_say_is_not_looked_at() {
    let mut visit = visit("define_policy(\"all\") {|policy| policy.milters = %w(m n) }");
    for stage in [Stage::Connect, Stage::Helo, Stage::Mail, Stage::Rcpt, Stage::Data] {
        assert_eq!([visit.ask(stage), visit.ask_about(1, stage)], [RUNS, RUNS]);
    }
}

#[test]
fn the_condition_is_there_only_with_a_policy_and_applies_to_milters_below_it_too() {
    assert!(good(MILTERS).conditions.is_empty());
    let source = format!("define_policy(\"p\") {{|policy| policy.milters = [:m] }}\n{MILTERS}");
    let configuration = good(&source);
    assert_eq!(
        configuration.conditions[0].description.as_deref(),
        Some("Apply policies defined by define_policy")
    );
    assert!(configuration.milters.iter().all(|milter| milter.applicable_conditions[0].name == "Policy"));
}

#[test]
fn wrong_policies_are_problems() {
    for (source, message) in [
        ("define_policy(\"p\")", "define_policy(\"p\") has no block"),
        (
            "define_policy(\"p\") {|policy| policy.milters = [1] }",
            "policy.milters should be an array of names",
        ),
        (
            "define_policy(\"p\") {|policy| policy.host = 1 }",
            "host= needs nil, a string, a regular expression or a lambda but got a whole number",
        ),
        (
            "define_policy(\"p\") {|policy| policy.address = \"office\" }",
            "policy.address should be an address, a network or a regular expression",
        ),
        (
            "define_policy(\"p\") {|policy| policy.helo = /x/ }",
            "`helo=` is not supported on a policy: policy",
        ),
    ] {
        assert_eq!(problem(source).message, message, "{source}");
    }
}
