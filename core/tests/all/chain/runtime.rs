//! What a runtime may tell a session at any time: much at once, late, twice, and about what is not there any more.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use millstream_core::event::{Event, Failure, LimitName, MessageEnd};
use millstream_core::machine::{Closure, Input, IoError, IoKind, Machine, Output, Peer, SpillId};
use millstream_core::policy::ChildIndex;
use millstream_core::time::Instant;
use millstream_core::wire::{Actions, Command, Negotiation, Protocol};

use super::driver::{Behaviour, World, agrees, policy};

/// A bounded part of it is done at a time, so that one session cannot keep an event loop from the others.
#[test]
fn a_thousand_frames_in_one_read_are_all_taken() {
    let mut world = World::new(policy(12), &[agrees as Behaviour; 12]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    let mut data = BytesMut::new();
    let value = Bytes::from_static(b" value");
    for _ in 0..1000 {
        Command::Header { name: Bytes::from_static(b"X-Test"), value: value.clone() }.encode(&mut data);
    }
    Command::EndOfHeaders.encode(&mut data);
    Command::EndOfMessage(Bytes::new()).encode(&mut data);
    world.told.clear();
    world.session.handle(Instant::ZERO, Input::Received { peer: Peer::MTA, data });
    let wait = loop {
        if let Output::Wait(at) = world.session.poll_output() {
            break at;
        }
    };
    assert_eq!(wait, Some(Instant::ZERO), "it wants to go on at once");
    world.wait(Duration::ZERO);
    assert_eq!(world.told_letters(), "c");
    let headers = world.seen(0).matches('L').count();
    assert_eq!(headers, 1000);
}

#[test]
fn an_mta_that_breaks_off_ends_the_session_once() {
    let mut world = World::new(policy(1), &[agrees]).begin("Postfix 3.7");
    world.message();
    let reset = Closure::Failed(IoError { kind: IoKind::Reset, code: 104 });
    for _ in 0..2 {
        world.session.handle(Instant::ZERO, Input::Closed { peer: Peer::MTA, why: reset });
        assert!(!world.session.wants_input(Peer::MTA), "what waits for the child is written, no more");
    }
    world.wait(Duration::ZERO);
    let failed = |event: &&Event| matches!(event, Event::MtaFailed { failure: Failure::Closed(_), .. });
    assert_eq!(world.events.iter().filter(failed).count(), 1, "{:?}", world.events);
    assert!(world.seen(0).ends_with("AQ"), "{}", world.seen(0));
    world.mail();
    assert!(matches!(world.session.poll_output(), Output::Finished), "nothing is done after the end");
    assert!(world.seen(0).ends_with("AQ"), "{}", world.seen(0));
}

#[test]
fn an_mta_of_another_age_is_not_answered() {
    let mut world = World::new(policy(1), &[agrees]);
    let offer =
        Negotiation { version: 1, actions: Actions::NONE, protocol: Protocol::NONE, macro_lists: Vec::new() };
    world.send(&Command::Negotiate(offer));
    assert_eq!(world.told_letters(), "");
    let [Event::MtaFailed { failure, .. }, ..] = &world.events[..] else { panic!("{:?}", world.events) };
    assert!(matches!(failure, Failure::Protocol(_)), "{failure:?}");
    assert!(matches!(world.session.poll_output(), Output::Finished));
}

#[test]
fn nothing_is_wanted_from_who_is_not_there() {
    let world = World::new(policy(1), &[agrees]).begin("Postfix 3.7");
    assert!(world.session.wants_input(Peer::child(ChildIndex(0), 0)));
    assert!(!world.session.wants_input(Peer::child(ChildIndex(0), 1)), "a connection that it never had");
    assert!(!world.session.wants_input(Peer::child(ChildIndex(1), 0)), "a child that it does not have");
}

#[test]
fn what_comes_late_about_a_file_harms_nobody() {
    let mut world = World::new(policy(1), &[agrees]).begin("Postfix 3.7");
    world.message();
    let file = SpillId(4711);
    world.handle(Input::SpillAppended { file, length: 3 });
    world.handle(Input::SpillRead { file, offset: 0, data: Bytes::from_static(b"old") });
    world.handle(Input::SpillFailed { file, error: IoError { kind: IoKind::NoSpace, code: 28 } });
    world.told.clear();
    world.end();
    assert_eq!(world.told_letters(), "c");
    let Some(Event::Message(report)) = world.events.last() else { panic!("{:?}", world.events) };
    assert!(!matches!(report.end, MessageEnd::OverLimit(LimitName::SpillFile)));
}
