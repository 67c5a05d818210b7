//! `Sendmail Compatible`.

use std::net::SocketAddr;

use millstream_core::machine::{Answer, Question};
use millstream_core::wire::Stage;

use super::{runs_with, visit};
use crate::common::session::{RUNS, Told, Visit, client};

const CLIENT: &str = "192.0.2.7:1234";

fn behind_postfix() -> Visit {
    let mut visit = visit("Sendmail Compatible", "").macros(b'C', "v Postfix-3.7.11");
    visit.client = client("host.example.com", CLIENT);
    visit
}

fn local_end() -> Question {
    Question::LocalEnd(CLIENT.parse::<SocketAddr>().unwrap())
}

fn name_of(address: &str) -> Question {
    Question::Names(address.parse().unwrap())
}

fn found(text: &str) -> Answer {
    Answer::Found(vec![text.into()])
}

#[test]
fn the_end_that_the_client_is_connected_to_is_asked_for_and_sent() {
    let mut visit = behind_postfix();
    assert_eq!(visit.ask(Stage::Connect), Told::Asks(vec![local_end()]));
    visit.answers.0.push((local_end(), found("198.51.100.1 25")));
    assert_eq!(visit.ask(Stage::Connect), Told::Asks(vec![name_of("198.51.100.1")]));
    visit.answers.0.push((name_of("198.51.100.1"), found("mx.example.com.")));
    assert_eq!(
        visit.ask(Stage::Connect),
        runs_with(&[("daemon_port", "25"), ("if_addr", "198.51.100.1"), ("if_name", "mx.example.com")])
    );
    assert_eq!(visit.remarks, []);
}

#[test]
fn what_postfix_tells_needs_no_question_and_what_is_there_stays() {
    let mut visit = behind_postfix()
        .macros(b'C', "v Postfix {daemon_addr} 198.51.100.1 {daemon_port} 587 {if_name} own.example.com");
    assert_eq!(visit.ask(Stage::Connect), runs_with(&[("if_addr", "198.51.100.1")]));
}

#[test]
fn what_postfix_tells_of_it_by_default_counts_also_when_nobody_knows_the_rest() {
    let mut visit =
        behind_postfix().macros(b'C', "v Postfix {daemon_addr} 198.51.100.1 {if_name} mx.example.com");
    visit.answers.0.push((local_end(), Answer::Nothing));
    assert_eq!(visit.ask(Stage::Connect), runs_with(&[("if_addr", "198.51.100.1")]));
}

#[test]
fn what_nobody_knows_is_left_out() {
    for unknown in [Answer::Nothing, Answer::Failed] {
        let mut visit = behind_postfix();
        visit.answers.0.push((local_end(), unknown.clone()));
        assert_eq!(visit.ask(Stage::Connect), RUNS);
        let mut visit = behind_postfix();
        visit.answers.0.push((local_end(), found("198.51.100.1 25")));
        visit.answers.0.push((name_of("198.51.100.1"), unknown.clone()));
        assert_eq!(
            visit.ask(Stage::Connect),
            runs_with(&[("daemon_port", "25"), ("if_addr", "198.51.100.1")])
        );
        let told: Vec<_> = visit.remarks.iter().map(|remark| &*remark.text).collect();
        let expected: &[&str] = match unknown {
            Answer::Failed => &["no name of 198.51.100.1 for the macro if_name: the look-up failed"],
            _ => &[],
        };
        assert_eq!(told, expected);
    }
    let mut unix = behind_postfix();
    unix.client = client("localhost", "/run/socket");
    assert_eq!(unix.ask(Stage::Connect), RUNS);
}

#[test]
fn a_message_without_queue_id_gets_one() {
    assert_eq!(behind_postfix().ask(Stage::Mail), runs_with(&[("i", "dummy-id")]));
    assert_eq!(behind_postfix().macros(b'M', "i 4XYZ").ask(Stage::Mail), RUNS);
}

#[test]
fn behind_another_mta_nothing_is_done() {
    for version in ["v 8.17.1", "j mx.example.com"] {
        let mut visit = visit("Sendmail Compatible", "").macros(b'C', version);
        assert_eq!([visit.ask(Stage::Connect), visit.ask(Stage::Mail)], [RUNS, RUNS], "{version}");
    }
}
