//! `Trust` and `trust`.

use millstream_core::wire::Stage;

use super::{configuration, runs_with, visit};
use crate::common::session::{RUNS, Visit};
use crate::common::{Directory, good, listed, problem};

fn trusted() -> super::Told {
    runs_with(&[("trusted_domain", "yes")])
}

/// What the milter is told of a message from `from`.
#[track_caller]
fn told(before: &str, from: &str) -> super::Told {
    let mut visit = visit("Trust", before);
    visit.sender = from.as_bytes().to_vec();
    visit.ask(Stage::Mail)
}

#[test]
fn a_trusted_sender_is_told_with_a_macro_and_nobody_is_stopped() {
    for from in ["<a@gmail.com>", "<a.b@GMail.com>", "<x@softbank.ne.jp>", "<x@clear-code.com>"] {
        assert_eq!(told("", from), trusted(), "{from}");
    }
    for from in ["<a@example.com>", "<a@mail.gmail.com>", "<>", "a@gmail.com", "<gmail.com>"] {
        assert_eq!(told("", from), RUNS, "{from}");
    }
}

#[test]
fn domains_can_be_added_and_all_be_removed() {
    for matcher in [
        "(\"example.net\")",
        "(\"Example.NET\")",
        "(/\\.?example\\.net\\z/)",
        " {|domain| domain == \"example.net\" }",
    ] {
        let before = format!("trust.add_envelope_from_domain{matcher}");
        assert_eq!(told(&before, "<a@Example.net>"), trusted(), "{matcher}");
        assert_eq!(told(&before, "<a@gmail.com>"), trusted(), "{matcher}");
        assert_eq!(told(&format!("{before}\ntrust.clear"), "<a@example.net>"), RUNS, "{matcher}");
        assert_eq!(told(&format!("trust.clear\n{before}"), "<a@gmail.com>"), RUNS, "{matcher}");
    }
}

#[test]
fn a_list_of_domains_is_a_file() {
    let list = "# our own\n\n  Example.org  \n/\\.EXAMPLE\\.net$/\n   # more\nb.example\r\n";
    let directory = Directory::new(&[
        ("domains/own.list", list),
        ("domains/other.list", "other.example"),
        (
            "milter-manager.conf",
            &configuration("Trust", "trust.clear\ntrust.load_envelope_from_domains(\"domains/*.list\")"),
        ),
    ]);
    let loaded = directory.load();
    assert!(loaded.problems.is_empty(), "{}", listed(&loaded.problems));
    for (domain, is_trusted) in [
        ("example.org", true),
        ("a.example.net", true),
        ("a.EXAMPLE.net", true),
        ("b.example", true),
        ("other.example", true),
        ("example.net", false),
        ("gmail.com", false),
    ] {
        let mut visit = Visit::of(&loaded.configuration);
        visit.sender = format!("<a@{domain}>").into_bytes();
        let expected = if is_trusted { trusted() } else { RUNS };
        assert_eq!(visit.ask(Stage::Mail), expected, "{domain}");
    }
}

#[test]
fn a_list_that_cannot_be_used_is_a_problem_with_its_place() {
    let found = problem("trust.load_envelope_from_domains(\"no.list\")");
    assert_eq!((found.message.as_str(), found.line, found.column), ("no.list doesn't exist.", 1, 34));
    let directory = Directory::new(&[
        ("bad.list", "example.org\n/(/\n"),
        ("milter-manager.conf", "trust.load_envelope_from_domains(\"bad.list\")"),
    ]);
    let problems = directory.load().problems;
    let expected = format!("{}:2: ", directory.file("bad.list"));
    assert!(problems.len() == 1 && problems[0].message.starts_with(&expected), "{}", listed(&problems));
}

#[test]
fn a_stopper_of_another_condition_can_use_both() {
    let source = configuration(
        "Strangers",
        "define_applicable_condition(\"Strangers\") do |condition|\n  \
         condition.define_envelope_from_stopper {|context, from| trust.trusted_envelope_from_domain?(from) }\nend",
    );
    for (from, stops) in [("<a@gmail.com>", true), ("<a@example.com>", false)] {
        let mut visit = Visit::of(&good(&source));
        visit.sender = from.as_bytes().to_vec();
        assert_eq!(visit.stops(Stage::Mail), stops, "{from}");
    }
    let source = source
        .replace("add_applicable_condition(", "applicable_conditions = [\"Trust\", ")
        .replace("\"Strangers\")\nend", "\"Strangers\"]\nend");
    let source =
        source.replace("trust.trusted_envelope_from_domain?(from)", "context[\"trusted_domain\"] == \"yes\"");
    let mut visit = Visit::of(&good(&source));
    visit.sender = b"<a@gmail.com>".to_vec();
    assert!(visit.stops(Stage::Mail), "the macro is there for the conditions behind");
}
