//! Postfix's tables, used by stoppers.

use millstream_core::wire::Stage;

use super::configuration;
use crate::common::session::{Visit, client};
use crate::common::{Directory, listed, problem};

/// What a table of `class` in a file says about `key`.
#[track_caller]
fn looked_up(class: &str, table: &str, key: &str) -> Option<String> {
    let before = format!(
        "table = {class}.new\nFile.open(\"the.table\") {{|file| table.parse(file) }}\n\
         define_applicable_condition(\"Table\") do |condition|\n  \
         condition.define_connect_stopper {{|context, host, address| Milter::Logger.info((table.find({key}) || \"-\").inspect); false }}\nend"
    );
    let directory =
        Directory::new(&[("the.table", table), ("milter-manager.conf", &configuration("Table", &before))]);
    let loaded = directory.load();
    assert!(loaded.problems.is_empty(), "{}", listed(&loaded.problems));
    let mut visit = Visit::of(&loaded.configuration);
    visit.client = client("Mail.example.com", "192.0.2.7:25");
    visit.ask(Stage::Connect);
    let told = visit.remarks[0].text.trim_matches('"').to_owned();
    (told != "-").then_some(told)
}

/// The problem of a table.
#[track_caller]
fn refused(class: &str, table: &str) -> String {
    let main = format!("table = {class}.new\nFile.open(\"the.table\") {{|file| table.parse(file) }}");
    let directory = Directory::new(&[("the.table", table), ("milter-manager.conf", &main)]);
    let problems = directory.load().problems;
    assert_eq!(problems.len(), 1, "{}", listed(&problems));
    problems[0].message.replace(&directory.file("the.table"), "PATH")
}

const CIDR: &str = "Milter::Manager::PostfixCIDRTable";
const REGEXP: &str = "PostfixRegexpTable";

#[test]
fn the_first_network_that_has_the_address() {
    let table =
        "# ours\n\n192.0.2.7 OK exactly \n192.0.2.0/24   REJECT\n  with a reason\n2001:db8::/32 HOLD\n";
    for (key, action) in [
        ("address", Some("OK exactly ")),
        ("address.to_ip_address", Some("OK exactly ")),
        ("\"192.0.2.8\"", Some("REJECT with a reason")),
        ("\"2001:db8::9\"", Some("HOLD")),
        ("\"198.51.100.1\"", None),
        ("\"example.com\"", None),
    ] {
        assert_eq!(looked_up(CIDR, table, key).as_deref(), action, "{key}");
    }
}

#[test]
fn networks_nest_and_are_negated_as_in_postfix() {
    let table = "if 192.0.2.0/24\n192.0.2.9 INNER\nif !192.0.2.128/25\n0.0.0.0/0 LOW\nendif\n0.0.0.0/0 HIGH\nendif\n!10.0.0.0/8 OUTER\n";
    for (key, action) in [
        ("\"192.0.2.9\"", Some("INNER")),
        ("\"192.0.2.8\"", Some("LOW")),
        ("\"192.0.2.200\"", Some("HIGH")),
        ("\"198.51.100.1\"", Some("OUTER")),
        ("\"10.1.1.1\"", None),
    ] {
        assert_eq!(looked_up(CIDR, table, key).as_deref(), action, "{key}");
    }
}

#[test]
fn the_first_expression_with_its_groups() {
    let table = "/^mail\\.(\\w+)\\.(com)$/ WARN $1 ${2} $(1)x $$3\n/slash\\/inside/ SLASH\n!/\\.example\\./ OTHER $1\n/^CASE/i EXACT\n|bar| BAR\n";
    for (key, action) in [
        ("host", Some("WARN example com examplex $3")),
        ("\"a.example.slash/inside\"", Some("SLASH")),
        ("\"host.test\"", Some("OTHER $1")),
        ("\"CASE.example.net\"", Some("EXACT")),
        ("\"case.example.net\"", None),
        ("\"x.example.bar\"", Some("BAR")),
    ] {
        assert_eq!(looked_up(REGEXP, table, key).as_deref(), action, "{key}");
    }
}

#[test]
fn rules_behind_an_endif_are_outside_of_it() {
    let table = "if /^mail/\n/net$/ NET\nif !/example/\n/./ ODD\nendif\nendif\n/org$/ ORG\n";
    for (key, action) in [
        ("\"mail.net\"", Some("NET")),
        ("\"mail.test\"", Some("ODD")),
        ("\"mail.example.test\"", None),
        ("\"www.org\"", Some("ORG")),
        ("\"www.net\"", None),
    ] {
        assert_eq!(looked_up(REGEXP, table, key).as_deref(), action, "{key}");
    }
}

#[test]
fn what_is_wrong_in_a_table_is_told_with_its_line() {
    for (class, table, message) in [
        (CIDR, "192.0.2.0/33 OK\n", "PATH:1: invalid address: <192.0.2.0/33>: <192.0.2.0/33 OK>"),
        (CIDR, "192.0.2.0/24 OK\nexample.com OK\n", "PATH:2: invalid format <example.com OK>"),
        (CIDR, "192.0.2.0/24\n", "PATH:1: invalid format <192.0.2.0/24>"),
        (CIDR, "endif\n", "PATH:1: invalid format <endif>"),
        (CIDR, "if 192.0.2.0/24\n192.0.2.1 OK\n", "PATH:1: no endif: <if 192.0.2.0/24>"),
        (REGEXP, "/a OK\n", "PATH:1: invalid format </a OK>"),
        (REGEXP, "/a/q OK\n", "PATH:1: invalid format </a/q OK>"),
        (REGEXP, "if /a/ OK\n", "PATH:1: invalid format <if /a/ OK>"),
    ] {
        assert_eq!(refused(class, table), message, "{table}");
    }
    assert!(refused(REGEXP, "/(/ OK\n").starts_with("PATH:1: "));
}

#[test]
fn nothing_else_can_be_done_with_a_file() {
    for source in [
        "File.open(\"no.table\")",
        "File.read(\"/etc/passwd\")",
        "File.exist?(\"x\")",
        "Milter::Manager::Other.new",
    ] {
        problem(source);
    }
    let stopper = "table = PostfixCIDRTable.new\ndefine_applicable_condition(\"C\") do |condition|\n  \
                   condition.define_data_stopper {|context| File.open(\"/etc/passwd\") }\nend";
    assert_eq!(problem(stopper).message, "open cannot be used by a stopper");
}
