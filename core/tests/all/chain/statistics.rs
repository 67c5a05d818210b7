//! What is told about a session when it is over: how it ended, and each child.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millstream_core::event::Event;
use millstream_core::policy::{Decision, Effects};
use millstream_core::wire::{Edit, Final, Reply, Stage};

use super::conditions::stop;
use super::driver::{Behaviour, TestPolicy, World, agrees, policy, says};

/// A session that has begun and is counted.
fn begun(policy: TestPolicy, behaviours: &[Behaviour]) -> World {
    World::new(policy, behaviours).with_statistics().begin("Postfix 3.7")
}

/// How the session ended and each child, as `STAGE STATUS`, the session first.
fn ends(world: &mut World) -> Vec<String> {
    world.raw(b'Q', b"");
    let reports = world.events.iter().filter_map(|event| match event {
        Event::Ended(report) => Some(report),
        _ => None,
    });
    let [report] = &reports.collect::<Vec<_>>()[..] else { panic!("not one end: {:?}", world.events) };
    let children = report.children.iter().map(|child| (child.stage, child.status));
    let all = std::iter::once((report.stage, report.status)).chain(children);
    all.map(|(stage, status)| format!("{stage} {}", status.name())).collect()
}

fn rejects_recipients(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    says(if stage == Stage::Rcpt { Final::Reject } else { Final::Continue })
}

fn rejects_at_end(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    says(if stage == Stage::EndOfMessage { Final::Reject } else { Final::Continue })
}

fn accepts_at_connect(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    says(if stage == Stage::Connect { Final::Accept } else { Final::Continue })
}

fn rejects_connections(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    says(if stage == Stage::Connect { Final::Reject } else { Final::Continue })
}

fn accepts_senders(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    says(if stage == Stage::Mail { Final::Accept } else { Final::Continue })
}

fn adds_a_header(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    let end = Reply::Final(Final::Continue);
    if stage != Stage::EndOfMessage {
        return Some(vec![end]);
    }
    let (name, value) = (Bytes::from_static(b"X-Spam"), Bytes::from_static(b" yes"));
    let gone = Reply::Edit(Edit::ChangeHeader(1, Bytes::from_static(b"Subject"), Bytes::new()));
    Some(vec![Reply::Edit(Edit::AddHeader(name, value)), gone, end])
}

fn quarantines(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    let end = Reply::Final(Final::Continue);
    let edit = Reply::Edit(Edit::Quarantine(Bytes::from_static(b"virus")));
    Some(if stage == Stage::EndOfMessage { vec![edit, end] } else { vec![end] })
}

#[test]
fn an_ordinary_end_is_told_for_every_child() {
    let mut world = begun(policy(2), &[agrees, agrees]);
    world.message();
    world.end();
    assert_eq!(ends(&mut world), ["end-of-message pass", "end-of-message pass", "end-of-message pass"]);
}

#[test]
fn nobody_is_told_who_did_not_ask() {
    let mut world = World::new(policy(1), &[adds_a_header]).begin("Postfix 3.7");
    world.message();
    world.end();
    world.raw(b'Q', b"");
    assert!(world.is_finished());
    let told =
        |event: &Event| matches!(event, Event::Ended(_) | Event::HeaderAdded { .. } | Event::Quarantined);
    assert!(!world.events.iter().any(told), "{:?}", world.events);
}

#[test]
fn a_rejected_message_is_the_verdict_of_its_child_and_the_one_behind_was_cut_off() {
    let mut world = begun(policy(2), &[rejects_at_end, agrees]);
    world.message();
    world.end();
    assert_eq!(ends(&mut world), ["end-of-message reject", "end-of-message reject", "data abort"]);
}

/// The client gives up, and that is not what is worth counting.
#[test]
fn a_message_whose_only_recipient_was_refused_counts_as_refused() {
    let mut world = begun(policy(2), &[agrees, rejects_recipients]);
    world.mail();
    world.rcpt("<c@d.test>");
    let expected = ["envelope-recipient reject", "helo pass", "envelope-recipient reject"];
    assert_eq!(ends(&mut world), expected);
}

#[test]
fn a_message_that_was_taken_back_is_aborted() {
    let mut world = begun(policy(1), &[agrees]);
    world.message();
    world.raw(b'A', b"");
    assert_eq!(ends(&mut world), ["body abort", "body abort"]);
}

#[test]
fn the_last_message_counts() {
    let mut world = begun(policy(1), &[rejects_at_end]);
    world.message();
    world.end();
    world.behave(0, agrees);
    world.message();
    world.end();
    assert_eq!(ends(&mut world), ["end-of-message pass", "end-of-message pass"]);
}

#[test]
fn who_accepts_the_connection_leaves_with_that() {
    let mut world = begun(policy(2), &[accepts_at_connect, agrees]);
    world.message();
    world.end();
    assert_eq!(ends(&mut world), ["end-of-message pass", "connect accept", "end-of-message pass"]);
}

/// With a delivering verdict before the content the MTA shows nothing more of the message.
#[test]
fn a_message_that_all_have_accepted_before_its_content_is_not_aborted() {
    let mut world = begun(policy(1), &[accepts_senders]);
    world.mail();
    assert_eq!(ends(&mut world), ["envelope-from accept", "envelope-from accept"]);
}

#[test]
fn a_refused_connection_counts_as_refused() {
    let mut world = begun(policy(1), &[rejects_connections]);
    assert_eq!(ends(&mut world), ["connect reject", "connect reject"]);
}

#[test]
fn a_child_that_fails_is_an_error_and_one_that_a_condition_stops_is_stopped() {
    let mut policy = policy(3);
    policy.watched = vec![Stage::Connect];
    policy.decide = |child, _, _, _| if child.0 == 1 { stop() } else { Decision::Run(Effects::default()) };
    policy.children[0].fallback = millstream_core::policy::Fallback::Accept;
    let world = World::new(policy, &[agrees, agrees, agrees]).refusing(0).with_statistics();
    let mut world = world.begin("Postfix 3.7");
    world.message();
    world.end();
    let expected = ["end-of-message pass", "negotiate error", "connect stop", "end-of-message pass"];
    assert_eq!(ends(&mut world), expected);
}

#[test]
fn a_session_without_mail_passes_as_far_as_it_came() {
    assert_eq!(ends(&mut begun(policy(1), &[agrees])), ["helo pass", "helo pass"]);
}

#[test]
fn a_connection_on_which_nothing_was_told_is_an_abort_without_children() {
    let mut world = World::new(policy(1), &[agrees]).with_statistics();
    assert_eq!(ends(&mut world), ["negotiate abort"]);
}

#[test]
fn an_mta_that_breaks_the_protocol_is_an_error() {
    let mut world = begun(policy(1), &[agrees]);
    world.raw(b'?', b"");
    assert_eq!(ends(&mut world)[0], "helo error");
}

#[test]
fn what_happens_to_the_mta_behind_a_message_takes_nothing_of_that_back() {
    let mut world = begun(policy(1), &[agrees]);
    world.message();
    world.end();
    world.raw(b'?', b"");
    assert_eq!(ends(&mut world), ["end-of-message pass", "end-of-message pass"]);
}

#[test]
fn a_child_s_time_is_what_was_waited_for_it_in_all_messages() {
    let mut world = begun(policy(1), &[agrees]);
    for _ in 0..2 {
        world.behave(0, agrees);
        world.message();
        world.behave(0, |_, _| None);
        world.end();
        world.wait(Duration::from_secs(3));
        world.reply(0, &Reply::Final(Final::Continue));
    }
    world.raw(b'Q', b"");
    let end = world.events.iter().find_map(|event| match event {
        Event::Ended(report) => Some((report.elapsed, report.children[0].elapsed)),
        _ => None,
    });
    assert_eq!(end, Some((Duration::from_secs(6), Duration::from_secs(6))));
}

#[test]
fn a_header_that_is_added_is_told_for_the_child_and_for_the_message() {
    let mut world = begun(policy(2), &[adds_a_header, agrees]);
    world.message();
    world.end();
    let headers = world.events.iter().filter_map(|event| match event {
        Event::HeaderAdded { name, value, by } => Some((name.clone(), value.clone(), by.clone())),
        _ => None,
    });
    let told = |by| (Bytes::from_static(b"X-Spam"), Bytes::from_static(b" yes"), by);
    assert_eq!(headers.collect::<Vec<_>>(), [told(Some(Arc::from("child0"))), told(None)]);
}

#[test]
fn a_quarantine_is_told() {
    let mut world = begun(policy(1), &[quarantines]);
    world.message();
    world.end();
    assert!(world.events.contains(&Event::Quarantined));
    assert_eq!(ends(&mut world), ["end-of-message quarantine", "end-of-message quarantine"]);
}
