//! What a child wants first goes with the offer, where its answer is remembered and it bears pipelining.

use std::time::Duration;

use millstream_core::event::{Event, Failure};
use millstream_core::machine::{Closure, Input, IoError, IoKind, Peer};
use millstream_core::policy::{ChildIndex, Fallback};
use millstream_core::wire::{Actions, Final, Negotiation, Protocol, Reply};

use super::driver::{Behaviour, TestPolicy, World, agrees, policy};
use super::kept::{SILENT_ENVELOPE, silent_envelope};
use super::lazy::{answer, kept, remembering, reusing};

/// Says nothing by itself, not even to the offer.
const MUTE: Behaviour = |_, _| None;

fn ahead(count: usize) -> TestPolicy {
    TestPolicy { lazy: true, pipelining: true, ..policy(count) }
}

/// A child that is remembered to answer `protocol`, in a session that has got as far as HELO.
fn unheard(protocol: Protocol) -> World {
    remembering(ahead(1), &[(MUTE, protocol)]).begin("Postfix 3.7")
}

fn negotiates(world: &mut World, protocol: Protocol) {
    world.reply(0, &Reply::Negotiate(answer(protocol)));
}

fn failures(world: &World) -> Vec<Failure> {
    let failure = |event: &Event| match event {
        Event::ChildFailed { failure, .. } => Some(failure.clone()),
        _ => None,
    };
    world.events.iter().filter_map(failure).collect()
}

#[test]
fn the_first_command_that_is_answered_goes_with_the_offer_and_the_next_waits() {
    let mut world = unheard(Protocol::NONE);
    assert_eq!((world.seen(0), world.told_letters()), ("C".to_owned(), "O".to_owned()));
    negotiates(&mut world, Protocol::NONE);
    assert_eq!((world.seen(0), world.told_letters()), ("C".to_owned(), String::new()));
    world.behave(0, agrees);
    world.reply(0, &Reply::Final(Final::Continue));
    assert_eq!((world.seen(0), world.told_letters()), ("CH".to_owned(), "cc".to_owned()));
    world.message();
    world.end();
    assert_eq!((world.seen(0), world.told_letters()), ("CHMRTLNBE".to_owned(), "cccc".to_owned()));
    assert_eq!((world.pool.learned.clone(), failures(&world)), (vec![0], Vec::new()));
}

#[test]
fn commands_that_are_not_answered_all_go_with_the_offer_but_no_content() {
    let mut world = unheard(SILENT_ENVELOPE.with(Protocol::NO_DATA));
    world.message();
    world.end();
    assert_eq!(world.seen(0), "CHMR");
    world.behave(0, agrees);
    negotiates(&mut world, SILENT_ENVELOPE.with(Protocol::NO_DATA));
    assert_eq!((world.seen(0), failures(&world)), ("CHMRLNBE".to_owned(), Vec::new()));
    assert!(world.told_letters().ends_with('c'));
}

#[test]
fn macros_go_with_the_first_command() {
    let wanted = Protocol::NO_CONNECT.with(Protocol::NO_HELO);
    let mut world = unheard(wanted);
    world.mail_with("{mail_addr}", "a@b.test");
    assert_eq!(world.seen(0), "M");
    assert_eq!(world.macros(0), [("{mail_addr}".to_owned(), "a@b.test".to_owned())]);
}

#[test]
fn who_does_not_bear_pipelining_or_is_not_remembered_is_heard_first() {
    let slow = TestPolicy { pipelining: false, ..ahead(1) };
    let mut world = remembering(slow, &[(MUTE, Protocol::NONE)]).begin("Postfix 3.7");
    assert_eq!(world.seen(0), "");
    negotiates(&mut world, Protocol::NONE);
    assert_eq!(world.seen(0), "C");

    let mut world = World::new(ahead(1), &[MUTE]);
    world.negotiate();
    assert_eq!((world.seen(0), world.told_letters()), (String::new(), String::new()));
}

/// It wants more or less than the MTA was asked for, or other rights: what it was told was told to somebody else.
#[test]
fn a_child_that_negotiates_otherwise_is_answered_with_its_fallback_whatever_it_says_behind() {
    let readonly = Negotiation { actions: Actions::NONE, ..answer(SILENT_ENVELOPE) };
    let others = [answer(Protocol::NO_BODY), answer(SILENT_ENVELOPE.with(Protocol::NO_RCPT)), readonly];
    for other in others {
        for said in ["", "M", "MR", "MRT", "MRTLNB", "MRTLNBE"] {
            for (fallback, at_end) in [(Fallback::TemporaryFailure, "t"), (Fallback::Reject, "r")] {
                let mut policy = ahead(1);
                policy.children[0].fallback = fallback;
                let mut world = remembering(policy, &[(MUTE, SILENT_ENVELOPE)]).begin("Postfix 3.7");
                say(&mut world, said);
                // It accepts the connection, and all that may come.
                let replies = [Reply::Negotiate(other.clone()), Reply::Final(Final::Accept)];
                world.replies(0, &replies);
                say(&mut world, &"MRTLNBE"[said.len()..]);
                assert_eq!(failures(&world), [Failure::Renegotiated], "{other:?} behind {said}");
                assert!(world.told_letters().ends_with(at_end), "{other:?} behind {said}");
                assert_eq!((world.pool.learned.clone(), world.closed(0)), (vec![0], true));
                assert!(!world.seen(0).contains(['L', 'N', 'B', 'E']));
            }
        }
    }
}

fn say(world: &mut World, letters: &str) {
    for letter in letters.chars() {
        match letter {
            'M' => world.mail(),
            'R' => world.rcpt("<c@d.test>"),
            'L' => world.header("Subject", "test"),
            'B' => world.raw(b'B', b"body\r\n"),
            letter => world.raw(letter as u8, b""),
        }
    }
}

/// The same failure, the same for the pool, and the same for the mail, as when it is heard first.
#[test]
fn a_child_that_does_not_answer_the_offer_as_it_must_fails_as_one_that_is_heard_first() {
    let hangs_up: fn(&mut World) = |world| world.close(0);
    let resets: fn(&mut World) = |world| {
        let peer = Peer::child(ChildIndex(0), 0);
        let why = Closure::Failed(IoError { kind: IoKind::Reset, code: 104 });
        world.handle(Input::Closed { peer, why });
    };
    let refuses: fn(&mut World) = |world| world.reply(0, &Reply::Final(Final::Reject));
    let accepts: fn(&mut World) = |world| world.reply(0, &Reply::Final(Final::Accept));
    let babbles: fn(&mut World) = |world| {
        let (peer, data) = (Peer::child(ChildIndex(0), 0), b"220 mx.test ESMTP\r\n"[..].into());
        world.handle(Input::Received { peer, data });
    };
    let wants_too_much: fn(&mut World) = |world| {
        let much = Negotiation { actions: Actions(0x8000), ..answer(Protocol::NONE) };
        world.reply(0, &Reply::Negotiate(much));
    };
    let is_silent: fn(&mut World) = |world| world.wait(Duration::from_secs(8));
    for deed in [hangs_up, resets, refuses, accepts, babbles, wants_too_much, is_silent] {
        for fallback in [Fallback::TemporaryFailure, Fallback::Accept, Fallback::Reject] {
            let [first, last] = [false, true].map(|pipelining| {
                let mut policy = TestPolicy { pipelining, ..ahead(1) };
                policy.children[0].fallback = fallback;
                let mut world = remembering(policy, &[(MUTE, Protocol::NONE)]).begin("Postfix 3.7");
                assert_eq!(world.seen(0), if pipelining { "C" } else { "" });
                deed(&mut world);
                world.message();
                world.end();
                (
                    failures(&world),
                    world.told_letters(),
                    world.pool.unwell.clone(),
                    world.pool.learned.clone(),
                )
            });
            assert_eq!((first.0.len(), &first), (1, &last));
        }
    }
}

#[test]
fn a_message_that_is_taken_back_before_the_answer_to_the_offer_takes_that_not_back() {
    let mut world = unheard(SILENT_ENVELOPE);
    world.mail();
    world.rcpt("<c@d.test>");
    world.raw(b'A', b"");
    world.behave(0, silent_envelope);
    negotiates(&mut world, SILENT_ENVELOPE);
    world.message();
    world.end();
    assert_eq!((world.seen(0), failures(&world)), ("CHMRAMRTLNBE".to_owned(), Vec::new()));
    assert!(world.told_letters().ends_with('c'));

    // And is held to its word all the same.
    let mut world = unheard(SILENT_ENVELOPE);
    world.mail();
    world.raw(b'A', b"");
    negotiates(&mut world, Protocol::NO_BODY);
    world.message();
    world.end();
    assert_eq!((failures(&world), world.told_letters().ends_with('t')), (vec![Failure::Renegotiated], true));
}

#[test]
fn a_session_that_ends_before_the_answer_to_the_offer_closes_the_connection() {
    let mut policy = reusing(1);
    (policy.lazy, policy.pipelining) = (true, true);
    let mut world = remembering(policy, &[(MUTE, SILENT_ENVELOPE)]).begin("Postfix 3.7");
    world.raw(b'Q', b"");
    assert!(world.is_finished());
    assert_eq!((world.seen(0), world.closed(0)), ("CHQ".to_owned(), true));
    assert_eq!((world.pool.released.clone(), failures(&world)), (vec![], Vec::new()));
}

/// The milter was perhaps started anew, and is another one.
#[test]
fn in_place_of_a_kept_connection_that_was_dead_the_answer_is_waited_for() {
    let policy = TestPolicy { pipelining: true, ..reusing(1) };
    let mut world = kept(policy, &[(MUTE, SILENT_ENVELOPE)]).begin("Postfix 3.7");
    world.mail();
    assert_eq!(world.seen(0), "CHM");
    world.close(0);
    assert_eq!((world.pool.asked.clone(), world.seen(0)), (vec![('c', 0), ('f', 0)], "CHM".to_owned()));
    negotiates(&mut world, SILENT_ENVELOPE);
    assert_eq!((world.seen(0), failures(&world)), ("CHMCHM".to_owned(), Vec::new()));
}

/// The time for the answer to the first command begins when the offer is answered.
#[test]
fn each_answer_has_its_own_time() {
    let mut policy = ahead(1);
    policy.children[0].timeouts.reading = Duration::from_secs(5);
    let mut world = remembering(policy, &[(MUTE, Protocol::NONE)]).begin("Postfix 3.7");
    world.wait(Duration::from_secs(4));
    negotiates(&mut world, Protocol::NONE);
    world.wait(Duration::from_secs(4));
    assert_eq!(failures(&world), []);
    world.wait(Duration::from_secs(2));
    assert!(matches!(failures(&world)[..], [Failure::Timeout { .. }]));
    assert_eq!(world.pool.unwell, [], "it has answered the offer");
}

/// Each is asked on its own, and one that was heard does not wait for the others.
#[test]
fn two_children_are_told_at_once() {
    let children = [(MUTE, Protocol::NONE), (MUTE, SILENT_ENVELOPE)];
    let mut world = remembering(ahead(2), &children).begin("Postfix 3.7");
    assert_eq!((world.seen(0), world.seen(1)), ("C".to_owned(), "C".to_owned()));
    world.behave(0, agrees);
    negotiates(&mut world, Protocol::NONE);
    world.reply(0, &Reply::Final(Final::Continue));
    assert_eq!((world.seen(0), world.seen(1)), ("CH".to_owned(), "CH".to_owned()));
}
