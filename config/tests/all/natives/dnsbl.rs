//! `DNSBL Listed`, `Not DNSBL Listed` and `dnsbl`.

use millstream_core::machine::{Answer, Question};
use millstream_core::wire::Stage;

use super::{configuration, stopped, visit};
use crate::common::session::{RUNS, Told, Visit, client};
use crate::common::{good, problem};

const TWO: &str =
    "dnsbl.clear\ndnsbl.add_service(\"a.test\", \"127.0.0.10/31\")\ndnsbl.add_service(\"b.test\")";

fn question(zone: &str) -> Question {
    Question::Addresses(format!("7.2.0.192.{zone}").into())
}

fn found(addresses: &[&str]) -> Answer {
    Answer::Found(addresses.iter().map(|address| (*address).into()).collect())
}

/// What the milter is told when the lists have answered so.
#[track_caller]
fn told(condition: &str, answers: &[(&str, Answer)]) -> Told {
    let mut visit = visit(condition, TWO);
    visit.answers.0 = answers.iter().map(|(zone, answer)| (question(zone), answer.clone())).collect();
    visit.ask(Stage::Connect)
}

#[test]
fn the_lists_of_the_start_are_asked_at_once() {
    let zones = ["zen.spamhaus.org", "dnsbl.sorbs.net", "bl.spamcop.net", "b.barracudacentral.org"];
    let expected = Told::Asks(zones.iter().map(|zone| question(zone)).collect());
    assert_eq!(visit("DNSBL Listed", "").ask(Stage::Connect), expected);
    let more = visit("Not DNSBL Listed", "dnsbl.add_service(\"bl.example.com.\")").ask(Stage::Connect);
    let Told::Asks(asked) = more else { panic!("{more:?}") };
    assert_eq!((asked.len(), asked.last()), (5, Some(&question("bl.example.com"))));
}

#[test]
fn one_list_is_enough_and_no_answer_says_no() {
    for (answers, listed) in [
        (vec![("a.test", found(&["127.0.0.10"]))], Some(true)),
        (vec![("b.test", found(&["127.0.0.2"])), ("a.test", Answer::Nothing)], Some(true)),
        (vec![("a.test", found(&["127.0.0.1", "127.0.0.11"]))], Some(true)),
        // It answers, and not what counts: it refuses who asks too often.
        (vec![("a.test", found(&["127.255.255.254"])), ("b.test", Answer::Nothing)], Some(false)),
        (vec![("a.test", Answer::Failed), ("b.test", Answer::Failed)], Some(false)),
        (vec![("a.test", Answer::Nothing), ("b.test", Answer::Failed)], Some(false)),
        (vec![("a.test", Answer::Nothing)], None),
    ] {
        let expected = |condition: &str, wanted: bool| match listed {
            None => Told::Asks(vec![question("b.test")]),
            Some(listed) if listed == wanted => RUNS,
            Some(_) => stopped(condition),
        };
        assert_eq!(told("DNSBL Listed", &answers), expected("DNSBL Listed", true), "{answers:?}");
        assert_eq!(told("Not DNSBL Listed", &answers), expected("Not DNSBL Listed", false), "{answers:?}");
    }
}

#[test]
fn only_ipv4_addresses_are_looked_up() {
    for address in ["[2001:db8::1]:25", "/run/socket", "unknown"] {
        for (condition, expected) in [("DNSBL Listed", stopped("DNSBL Listed")), ("Not DNSBL Listed", RUNS)] {
            let mut visit = visit(condition, "");
            visit.client = client("host.example.com", address);
            assert_eq!(visit.ask(Stage::Connect), expected, "{address}");
        }
    }
}

#[test]
fn without_a_list_nobody_is_listed() {
    assert_eq!(visit("DNSBL Listed", "dnsbl.clear").ask(Stage::Connect), stopped("DNSBL Listed"));
}

#[test]
fn a_stopper_can_ask_and_waits_for_the_answer() {
    let own = format!(
        "{TWO}\ndefine_applicable_condition(\"Own\") do |condition|\n  \
         condition.define_connect_stopper {{|context, host, address| host =~ /example/ && dnsbl.listed?(address) }}\nend"
    );
    let mut visit = Visit::of(&good(&configuration("Own", &own)));
    assert_eq!(visit.ask(Stage::Connect), Told::Asks(vec![question("a.test"), question("b.test")]));
    visit.answers.0.push((question("b.test"), found(&["127.0.0.3"])));
    assert!(visit.stops(Stage::Connect));
}

#[test]
fn name_servers_are_those_of_the_manager() {
    let source = "manager.name_servers = \"192.0.2.1\"\ndnsbl.name_server = \"192.0.2.2\"\n\
                  dnsbl.name_servers = [\"2001:db8::1\", \"192.0.2.3:5353\"]";
    let servers: Vec<_> = good(source).manager.name_servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["192.0.2.1:53", "192.0.2.2:53", "[2001:db8::1]:53", "192.0.2.3:5353"]);
    problem("dnsbl.name_server = \"ns.example.com\"");
}

#[test]
fn wrong_lists_are_problems() {
    for source in [
        "dnsbl.add_service(\"\")",
        "dnsbl.add_service(\"two words\")",
        "dnsbl.add_service(\"a..b\")",
        "dnsbl.add_service(\"a.test\", \"127.0.0.300\")",
        "dnsbl.add_service(1)",
    ] {
        problem(source);
    }
}
