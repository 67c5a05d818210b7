//! `S25R` and `s25r`.

use millstream_core::wire::Stage;

use super::{configuration, visit};
use crate::common::session::{Told, Visit, client};
use crate::common::{good, problem};

/// Whether a client with this name is shown the milter.
#[track_caller]
fn is_end_user(before: &str, host: &str) -> bool {
    let mut visit = visit("S25R", before);
    visit.client = client(host, "192.0.2.7:25");
    !visit.stops(Stage::Connect)
}

#[test]
fn names_of_end_users_machines() {
    for host in [
        "unknown",
        "[192.0.2.7]",
        // Digits apart in the leftmost part, behind which there is more.
        "220-139-165-188.dynamic.example.net",
        "evrtwa1-ar3-4-65-157-048.evrtwa1.dsl-verizon.example",
        "a12a190.neo.rr.example",
        // Five digits in a row there.
        "YahooBB220030220074.bbtec.example",
        "p12345",
        // The leftmost or next part begins with a digit, with at least five or six parts.
        "398pkj.cm.chello.example",
        "host.101.169.23.62.rev.example",
        "398pkj.cm.chello.example.NO",
        // The leftmost ends with a digit, and the next has digits around a hyphen.
        "wbar9.chi1-4-11-085-222.dsl-verizon.example",
        // The first two end with digits.
        "d5.GtokyoFL27.vectant.example.jp",
        // The usual words, and a digit.
        "dhcp0339.vpm.resnet.example.edu",
        "dialupM107.ptld.example.net",
        "PPP3.example.com",
        "adsl-1415.camtel.example",
        "xdsl-5790.lubin.example.pl",
    ] {
        assert!(is_end_user("", host), "{host}");
    }
}

#[test]
fn names_of_servers() {
    for host in [
        "mail.example.com",
        "mx1.example.com",
        "mail-1.example.com",
        "smtp2.example.co.jp",
        "dsl.example.com",
        "edsl3.example.com",
        "unknown.example.com",
        "",
    ] {
        assert!(!is_end_user("", host), "{host}");
    }
}

#[test]
fn large_mailers_are_white_from_the_start() {
    for host in [
        "mail-oi1-x232.google.com",
        "exprod5og101.obsmtp.com",
        "a11-134.smtp-out.amazonses.com",
        "slack-1-22.slack.com",
        "m42-131.mg.gitlab.com",
        "o1678912345.outbound-mail.sendgrid.net",
    ] {
        assert!(!is_end_user("", host), "{host}");
    }
    assert!(is_end_user("", "mail-oi1-x232.google.com.example.net"));
    assert!(is_end_user("", "mail-oi1-x232.GOOGLE.COM"), "case counts in names of the list");
}

#[test]
fn a_name_an_expression_a_lambda_and_a_block_can_be_added() {
    let end_user = "220-139-165-188.dynamic.example.net";
    for matcher in [
        "(\"220-139-165-188.dynamic.example.net\")",
        "(/\\.example\\.net\\z/)",
        "(lambda {|host| host.end_with?(\"example.net\") })",
        " {|host| host =~ /dynamic/ }",
        " do |host|\n  host == \"220-139-165-188.dynamic.example.net\"\nend",
    ] {
        assert!(!is_end_user(&format!("s25r.add_whitelist{matcher}"), end_user), "{matcher}");
        assert!(is_end_user(&format!("s25r.add_whitelist{matcher}"), "unknown"), "{matcher}");
    }
    for matcher in ["(\"mail.example.com\")", "(/mail/)", " {|host| host.size > 5 }"] {
        assert!(is_end_user(&format!("s25r.add_blacklist{matcher}"), "mail.example.com"), "{matcher}");
        assert!(!is_end_user(&format!("s25r.add_blacklist{matcher}"), "mx.io"), "{matcher}");
    }
    let both = "s25r.add_blacklist(\"mail.example.com\")\ns25r.add_whitelist(/example/)";
    assert!(!is_end_user(both, "mail.example.com"), "white counts first");
}

#[test]
fn clients_without_an_ipv4_address_are_white_unless_they_are_to_be_looked_at() {
    for (before, stops) in [
        ("", true),
        ("s25r.only_check_ipv4 = false", false),
        ("s25r.check_only_ipv4 = false", false),
        ("s25r.only_check_ipv4 = false\ns25r.check_only_ipv4 = !s25r.only_check_ipv4?", true),
    ] {
        for address in ["[2001:db8::1]:25", "/run/socket", "unknown"] {
            let mut visit = visit("S25R", before);
            visit.client = client("unknown", address);
            assert_eq!(visit.stops(Stage::Connect), stops, "{before}: {address}");
        }
    }
}

#[test]
fn stoppers_can_ask_it() {
    let source = configuration(
        "Odd",
        "s25r.add_whitelist(\"1-2-3.example.com\")\ndefine_applicable_condition(\"Odd\") do |condition|\n  \
         condition.define_connect_stopper {|context, host, address| s25r.white?(host, address) || !s25r.black?(host, address) }\nend",
    );
    for (host, stops) in
        [("1-2-3.example.com", true), ("1-2-4.example.com", false), ("mail.example.com", true)]
    {
        let mut visit = Visit::of(&good(&source));
        visit.client = client(host, "192.0.2.7:25");
        assert_eq!(visit.stops(Stage::Connect), stops, "{host}");
    }
}

#[test]
fn a_block_that_fails_does_not_stop_and_the_log_says_where() {
    let mut visit = visit("S25R", "s25r.add_whitelist {|host| host.size / 0 > 1 }");
    assert_eq!(visit.ask(Stage::Connect), Told::Runs(Vec::new()));
    assert_eq!(visit.remarks.len(), 1);
    assert!(visit.remarks[0].text.starts_with("test.conf:1:38: "), "{}", visit.remarks[0].text);
}

#[test]
fn a_definition_with_stoppers_takes_its_place() {
    let own = "define_applicable_condition(\"S25R\") do |condition|\n  \
               condition.define_connect_stopper {|context, host, address| host == \"mail.example.com\" }\nend";
    assert!(is_end_user(own, "other.example.com"));
    assert!(!is_end_user(own, "mail.example.com"));
    let described = "define_applicable_condition(\"S25R\") {|condition| condition.description = \"mine\" }";
    assert!(!is_end_user(described, "other.example.com"));
    assert_eq!(good(described).conditions[0].description.as_deref(), Some("mine"));
}

#[test]
fn wrong_knobs_are_problems() {
    for (source, message) in [
        ("s25r.add_whitelist", "it needs a string, a regular expression, a lambda, or a block instead"),
        (
            "s25r.add_whitelist(1)",
            "add_whitelist needs a string, a regular expression or a lambda but got a whole number",
        ),
        ("s25r.only_check_ipv4 = \"yes\"", "only_check_ipv4= needs true or false but got a string"),
        ("s25r.whitelist", "`whitelist` is not supported on s25r: s25r"),
        ("s25r = 1\nt25r.clear", "unknown name: t25r"),
    ] {
        assert_eq!(problem(source).message, message, "{source}");
    }
}
