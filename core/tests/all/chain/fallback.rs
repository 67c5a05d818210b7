//! What is answered for a child that fails.

use std::time::Duration;

use bytes::Bytes;
use millstream_core::event::{Event, MessageEnd, Outcome};
use millstream_core::policy::Fallback;
use millstream_core::wire::{Actions, Edit, Final, Protocol, Reply, Stage};

use super::driver::{Behaviour, TestPolicy, World, agrees, negotiates, policy, says};

fn silent_at_end(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    (stage != Stage::EndOfMessage).then(|| vec![Reply::Final(Final::Continue)])
}

fn nonsense_at_end(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    says(if stage == Stage::EndOfMessage { Final::ConnectionFailure } else { Final::Continue })
}

/// A policy in which each kind of failure has a fallback of its own, one of them `wanted`.
fn each_kind(kind: &'static str, wanted: Fallback) -> TestPolicy {
    let mut policy = policy(1);
    policy.fallbacks =
        ["connect", "timeout", "protocol", "closed"].map(|name| (name, Fallback::Reject)).into();
    policy.fallbacks.insert(kind, wanted);
    policy
}

/// What the MTA is told at the end of a message during which the only child fails in the way `kind`.
fn after_failure(kind: &'static str, wanted: Fallback) -> Vec<Reply> {
    let behaviour = match kind {
        "protocol" => nonsense_at_end,
        _ => silent_at_end,
    };
    let mut world = World::new(each_kind(kind, wanted), &[behaviour]).begin("Postfix 3.7");
    world.message();
    world.told.clear();
    world.end();
    match kind {
        "timeout" => world.wait(Duration::from_secs(400)),
        "closed" => world.close(0),
        _ => {}
    }
    world.told.retain(|reply| *reply != Reply::Progress);
    world.told
}

#[test]
fn each_kind_of_failure_has_its_own_fallback() {
    for kind in ["timeout", "protocol", "closed"] {
        let told = |fallback| after_failure(kind, fallback);
        assert_eq!(told(Fallback::Accept), [Reply::Final(Final::Continue)], "{kind}");
        assert_eq!(told(Fallback::TemporaryFailure), [Reply::Final(Final::TemporaryFailure)], "{kind}");
        assert_eq!(told(Fallback::Reject), [Reply::Final(Final::Reject)], "{kind}");
        assert_eq!(told(Fallback::Discard), [Reply::Final(Final::Discard)], "{kind}");
        let [Reply::Final(Final::ReplyCode(text))] = &told(Fallback::Shutdown)[..] else { panic!("{kind}") };
        assert!(text.starts_with(b"421 "), "{kind}");
        let [Reply::Edit(Edit::Quarantine(reason)), Reply::Final(Final::Continue)] =
            &told(Fallback::Quarantine)[..]
        else {
            panic!("{kind}")
        };
        assert_eq!(&reason[..], b"not seen by child0", "{kind}");
    }
}

#[test]
fn a_child_that_cannot_be_reached_has_the_fallback_for_that() {
    for (fallback, at_connect) in [
        // Without a child that speaks nothing has to be answered.
        (Fallback::Accept, ""),
        (Fallback::TemporaryFailure, "t"),
        (Fallback::Discard, "c"),
        (Fallback::Quarantine, "c"),
    ] {
        let mut policy = each_kind("connect", fallback);
        policy.fallbacks.insert("closed", Fallback::Reject);
        let mut world = World::new(policy, &[agrees]).refusing(0);
        world = world.begin("Postfix 3.7");
        assert_eq!(world.told_letters().get(1..2).unwrap_or_default(), at_connect, "{fallback}");
    }
}

#[test]
fn mail_that_is_to_be_quarantined_is_never_let_go_before_its_end() {
    let mut policy = policy(1);
    policy.children[0].fallback = Fallback::Quarantine;
    let mut world = World::new(policy, &[agrees]).refusing(0).begin("Postfix 3.7");
    world.message();
    world.end();
    let told = world.told_letters();
    assert!(told.ends_with("qc") && !told.contains('a'), "{told}");
}

#[test]
fn an_mta_without_a_quarantine_gets_a_temporary_failure() {
    let mut policy = policy(1);
    policy.children[0].fallback = Fallback::Quarantine;
    let world = World::new(policy, &[agrees])
        .offering(Actions::ALL.without(Actions::QUARANTINE), Protocol::ALL)
        .refusing(0);
    let mut world = world.begin("Postfix 3.7");
    assert_eq!(world.told_letters(), "Ott");
}

#[test]
fn a_fallback_is_told_with_child_stage_and_reason() {
    let mut world = World::new(policy(1), &[silent_at_end]).begin("Postfix 3.7");
    world.message();
    world.end();
    world.close(0);
    let failed = world.events.iter().find_map(|event| match event {
        Event::ChildFailed { name, stage, fallback, .. } => Some((name.to_string(), *stage, *fallback)),
        _ => None,
    });
    assert_eq!(failed, Some(("child0".to_owned(), Stage::EndOfMessage, Fallback::TemporaryFailure)));
}

fn marked() -> TestPolicy {
    let mut policy = policy(2);
    policy.unfiltered_header = Some("X-Unfiltered");
    policy.children[1].fallback = Fallback::Accept;
    policy
}

#[test]
fn mail_that_a_child_did_not_see_can_be_marked() {
    let mut world = World::new(marked(), &[agrees, agrees]).refusing(1).begin("Postfix 3.7");
    world.message();
    world.end();
    let mark = Edit::AddHeader(Bytes::from_static(b"X-Unfiltered"), Bytes::from_static(b"child1"));
    assert_eq!(world.told_edits(), [mark]);
}

#[test]
fn nobody_outside_can_put_the_mark_on_mail_or_use_it_up() {
    let mut world = World::new(marked(), &[agrees, agrees]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    world.header("x-unfiltered", "forged");
    world.header("Subject", "test");
    world.header("X-Unfiltered", "again");
    world.raw(b'N', b"");
    world.end();
    let delete = |occurrence, name: &'static str| {
        Edit::ChangeHeader(occurrence, Bytes::from_static(name.as_bytes()), Bytes::new())
    };
    assert_eq!(world.told_edits(), [delete(2, "X-Unfiltered"), delete(1, "x-unfiltered")]);
}

#[test]
fn what_we_run_out_of_ourselves_is_never_the_fallback() {
    let mut policy = policy(1);
    policy.children[0].fallback = Fallback::Accept;
    policy.limits.edits = 2;
    let many: fn(Stage, &[u8]) -> Option<Vec<Reply>> = |stage, _| {
        let header = Reply::Edit(Edit::AddHeader(Bytes::from_static(b"X"), Bytes::from_static(b"1")));
        let mut replies = if stage == Stage::EndOfMessage { vec![header; 3] } else { Vec::new() };
        replies.push(Reply::Final(Final::Continue));
        Some(replies)
    };
    let mut world = World::new(policy, &[many]).begin("Postfix 3.7");
    world.message();
    world.told.clear();
    world.end();
    assert_eq!(world.told_letters(), "t");
    let Some(Event::Message(report)) = world.events.last() else { panic!() };
    assert_eq!(report.children[0].outcome, Outcome::Failed(Fallback::TemporaryFailure));
    assert!(matches!(report.end, MessageEnd::Answered(_)));
}

/// An administrator who finds a message in the hold queue asks the log who had it put there.
#[test]
fn a_quarantine_is_told_with_the_name_of_who_wanted_it() {
    let holds = |stage: Stage, _: &[u8]| match stage {
        Stage::EndOfMessage => {
            Some(vec![Reply::Edit(Edit::Quarantine("virus".into())), Reply::Final(Final::Accept)])
        }
        _ => says(Final::Continue),
    };
    let quarantined = |world: &World| match world.events.last() {
        Some(Event::Message(report)) => report.children.iter().map(|child| child.quarantined).collect(),
        _ => Vec::new(),
    };
    let mut world = World::new(policy(2), &[agrees, holds]).begin("Postfix 3.7");
    world.message();
    world.end();
    assert_eq!(quarantined(&world), [false, true]);

    let mut policy = policy(2);
    policy.children[0].fallback = Fallback::Quarantine;
    let mut world = World::new(policy, &[agrees, agrees]).refusing(0).begin("Postfix 3.7");
    world.message();
    world.end();
    assert_eq!(quarantined(&world), [true, false]);
}

/// The MTA was answered without it, and sends neither headers nor body.
#[test]
fn a_child_that_is_back_in_the_next_session_does_not_pass_mail_that_the_mta_does_not_show() {
    for (back, answer) in [(agrees as Behaviour, "ttt"), (wants_the_envelope, "ccc")] {
        let mut world = World::new(policy(1), &[|_, _| None]);
        world = world.begin("Postfix 3.7");
        world.wait(Duration::from_secs(8));
        world.behave(0, back);
        world.raw(b'K', b"");
        world.raw(b'C', b"h.test\x004\x12\x34192.0.2.1\0");
        world.told.clear();
        world.mail();
        world.rcpt("<c@d.test>");
        world.end();
        assert_eq!(world.told_letters(), answer);
    }
}

/// The MTA was answered for a milter that says nothing before the end, and would take a recipient that this one refuses.
#[test]
fn a_child_that_speaks_only_in_the_next_session_loses_no_refusal_of_a_recipient() {
    let silent: Behaviour = |stage, _| match stage {
        Stage::Negotiate => negotiates(Actions::NONE, Protocol::NO_REPLY),
        _ => says(Final::Continue),
    };
    let refuses: Behaviour =
        |stage, _| says(if stage == Stage::Rcpt { Final::Reject } else { Final::Continue });
    let mut world = World::new(policy(1), &[silent]).begin("Postfix 3.7");
    world.behave(0, refuses);
    world.raw(b'K', b"");
    world.raw(b'C', b"h.test\x004\x12\x34192.0.2.1\0");
    world.told.clear();
    world.mail();
    world.rcpt("<c@d.test>");
    world.end();
    assert_eq!(world.told_letters(), "t");
}

fn wants_the_envelope(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    let content = Protocol::NO_DATA.with(Protocol::NO_HEADERS).with(Protocol::NO_EOH).with(Protocol::NO_BODY);
    match stage {
        Stage::Negotiate => negotiates(Actions::NONE, content.with(Protocol::NO_UNKNOWN)),
        _ => says(Final::Continue),
    }
}

/// Behind an MTA by itself nobody would ask it about this message again.
#[test]
fn a_child_that_dies_after_it_has_accepted_a_message_does_not_refuse_the_rest_of_it() {
    let accepts: Behaviour =
        |stage, _| says(if stage == Stage::Mail { Final::Accept } else { Final::Continue });
    let mut world = World::new(policy(2), &[accepts, agrees]).begin("Postfix 3.7");
    world.mail();
    world.close(0);
    world.told.clear();
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    world.raw(b'N', b"");
    world.end();
    assert_eq!(world.told_letters(), "ccc");
    world.mail();
    assert_eq!(world.told_letters(), "t", "the next message");
}

/// The message will not be delivered whatever the others say: the recipient is not promised anything.
#[test]
fn a_recipient_is_refused_when_a_child_dies_that_has_passed_it() {
    let waits: Behaviour = |stage, _| if stage == Stage::Rcpt { None } else { says(Final::Continue) };
    let mut world = World::new(policy(3), &[agrees, waits, agrees]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    world.told.clear();
    world.close(0);
    assert_eq!((world.told_letters(), world.seen(2)), ("t".to_owned(), "CHMA".to_owned()));
}
