//! Past a limit of ours a message ends in a temporary failure: its data is dropped, and the MTA is read to the end.

use bytes::Bytes;
use millstream_core::event::{Event, Failure, LimitName, MessageEnd};
use millstream_core::policy::{Fallback, Limits};
use millstream_core::wire::{Edit, Fault, Final, Reply, Stage};

use super::driver::{World, agrees, policy, says};

/// Passes a message during which `flood` goes past a limit, then one that does not.
fn over(change: fn(&mut Limits), flood: fn(&mut World)) -> (LimitName, String) {
    let mut policy = policy(2);
    policy.children[0].fallback = Fallback::Accept;
    change(&mut policy.limits);
    let mut world = World::new(policy, &[agrees, agrees]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    flood(&mut world);
    world.told.clear();
    world.end();
    let answer = world.told_letters();
    let Some(Event::Message(report)) = world.events.last().cloned() else { panic!("{:?}", world.events) };
    let MessageEnd::OverLimit(limit) = report.end else { panic!("{:?}", report.end) };
    for child in 0..2 {
        assert!(!world.seen(child).contains('E'), "{limit}: no child is told the end");
    }
    world.message();
    world.told.clear();
    world.end();
    assert_eq!(world.told_letters(), "c", "{limit}: the next message is not harmed");
    (limit, answer)
}

/// How a limit is set, how it is passed, and what that is called.
type Case = (fn(&mut Limits), fn(&mut World), LimitName);

#[test]
fn each_limit_of_a_message_is_a_temporary_failure() {
    let headers: fn(&mut World) = |world| (0..20).for_each(|_| world.header("X-Test", "value"));
    let cases: [Case; 5] = [
        (|limits| limits.headers = 10, headers, LimitName::Headers),
        (|limits| limits.header_bytes = 100, headers, LimitName::HeaderBytes),
        (
            |limits| (limits.body_bytes, limits.spill_bytes) = (2500, 0),
            |world| world.raw(b'B', &[b'x'; 6000]),
            LimitName::BodyBytes,
        ),
        (
            |limits| limits.recipients = 10,
            |world| (0..20).for_each(|_| world.rcpt("<more@d.test>")),
            LimitName::Recipients,
        ),
        (
            |limits| limits.envelope_bytes = 100,
            |world| (0..20).for_each(|_| world.rcpt("<more@d.test>")),
            LimitName::EnvelopeBytes,
        ),
    ];
    for (change, flood, expected) in cases {
        assert_eq!(over(change, flood), (expected, "t".to_owned()));
    }
}

#[test]
fn endless_macros_end_the_message_and_not_the_memory() {
    let flood: fn(&mut World) = |world| {
        let mut payload = vec![b'L', b'x', 0];
        payload.resize(3000, b'y');
        payload.push(0);
        world.raw(b'D', &payload);
    };
    assert_eq!(over(|limits| limits.macro_bytes = 2000, flood), (LimitName::MacroBytes, "t".to_owned()));
}

/// A milter that is not told that the client has authenticated would judge another message.
#[test]
fn macros_that_are_lost_before_the_sender_end_the_message_too() {
    let long = "x".repeat(3000);
    for (letter, next) in [('M', "c"), ('H', "t")] {
        let mut policy = policy(1);
        policy.limits.macro_bytes = 2000;
        let mut world = World::new(policy, &[agrees]).begin("Postfix 3.7");
        world.raw(b'D', format!("{letter}{{auth_authen}}\0{long}\0").as_bytes());
        world.message();
        world.end();
        assert!(world.told_letters().ends_with('t'));
        assert!(!world.seen(0).contains('E'), "{letter}");
        world.raw(b'A', b"");
        world.message();
        world.told.clear();
        world.end();
        assert_eq!(world.told_letters(), next, "{letter}");
    }
}

/// Edits are in memory until the verdict, so a child may not send any number of bytes.
#[test]
fn a_child_that_edits_without_end_has_failed() {
    let mut policy = policy(1);
    policy.limits.edit_bytes = 2500;
    let endless = |stage: Stage, _: &[u8]| match stage {
        Stage::EndOfMessage => {
            let piece = || Reply::Edit(Edit::ReplaceBody(Bytes::from_static(&[b'x'; 1000])));
            Some((0..3).map(|_| piece()).chain([Reply::Final(Final::Continue)]).collect())
        }
        _ => says(Final::Continue),
    };
    let mut world = World::new(policy, &[endless]).begin("Postfix 3.7");
    world.message();
    world.told.clear();
    world.end();
    assert_eq!(world.told_letters(), "t", "its fallback, and nothing of its edits");
    let too_much = Fault::TooMuch { what: "bytes of edits", limit: 2500 };
    let failed = |event: &Event| match event {
        Event::ChildFailed { failure, .. } => *failure == Failure::Protocol(Box::new(too_much)),
        _ => false,
    };
    assert!(world.events.iter().any(failed), "{:?}", world.events);
}
