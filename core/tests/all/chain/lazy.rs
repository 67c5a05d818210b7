//! Children that are connected only when they are to be shown something.

use std::sync::Arc;
use std::time::Duration;

use millstream_core::event::{Event, Failure};
use millstream_core::policy::{Decision, Effects, Endpoint, Fallback, Reuse, Route, Why};
use millstream_core::wire::{Actions, Final, Negotiation, Protocol, Reply, Stage, VERSION_MAX};

use super::driver::{Behaviour, TestPolicy, World, agrees, negotiates, policy, says};

/// What a child that [`agrees`] answers to an offer of everything.
pub(crate) fn answer(protocol: Protocol) -> Negotiation {
    let actions = Actions::ALL.without(Actions::MACRO_LISTS);
    Negotiation { version: VERSION_MAX, actions, protocol, macro_lists: Vec::new() }
}

const LATE: Protocol =
    Protocol::NO_CONNECT.with(Protocol::NO_HELO).with(Protocol::NO_MAIL).with(Protocol::NO_RCPT);

/// Wants nothing before DATA.
fn late(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    match stage {
        Stage::Negotiate => negotiates(Actions::ALL, LATE),
        _ => says(Final::Continue),
    }
}

fn lazy(count: usize) -> TestPolicy {
    TestPolicy { lazy: true, ..policy(count) }
}

/// A world whose pool remembers what each child answers.
pub(crate) fn remembering(policy: TestPolicy, children: &[(Behaviour, Protocol)]) -> World {
    let behaviours: Vec<Behaviour> = children.iter().map(|(behaviour, _)| *behaviour).collect();
    let mut world = World::new(policy, &behaviours);
    let known = children.iter().enumerate().map(|(index, (_, protocol))| (index, answer(*protocol)));
    world.pool.remembered = known.collect();
    world
}

pub(crate) fn reusing(count: usize) -> TestPolicy {
    let mut policy = policy(count);
    for child in &mut policy.children {
        let mut route = Route::clone(&Route::to("child", Endpoint::Unix(Arc::from(*b"/child"))));
        route.reuse = Some(Reuse { idle: Duration::from_secs(60), age: Duration::from_secs(3600) });
        child.route = Arc::new(route);
    }
    policy
}

/// A world whose pool has a kept connection to each child.
pub(crate) fn kept(policy: TestPolicy, children: &[(Behaviour, Protocol)]) -> World {
    let mut world = remembering(policy, children);
    world.pool.kept = (0..children.len()).collect();
    world
}

#[test]
fn the_first_session_asks_each_child_and_remembers_what_it_says() {
    let world = World::new(lazy(2), &[agrees, late]).begin("Postfix 3.7");
    assert_eq!(world.pool.asked, [('c', 0), ('c', 1)]);
    assert_eq!(world.pool.learned, [0, 1]);
}

#[test]
fn a_child_is_connected_at_the_first_command_that_it_wants() {
    let mut world = remembering(lazy(2), &[(agrees, Protocol::NONE), (late, LATE)]).begin("Postfix 3.7");
    assert_eq!(world.pool.asked, [('c', 0)], "at CONNECT");
    world.mail();
    world.rcpt("<c@d.test>");
    assert_eq!(world.pool.asked, [('c', 0)]);
    world.raw(b'T', b"");
    assert_eq!(world.pool.asked, [('c', 0), ('c', 1)], "at DATA");
    world.header("Subject", "test");
    world.raw(b'N', b"");
    world.raw(b'B', b"body\r\n");
    world.end();
    assert_eq!(world.told_letters(), "Occcccc");
    assert_eq!((world.seen(0), world.seen(1)), ("CHMRTLNBE".to_owned(), "TLNBE".to_owned()));
}

#[test]
fn a_child_that_wants_only_the_content_is_connected_when_its_gate_is_open() {
    let early = LATE.with(Protocol::NO_DATA);
    let content_only = |stage: Stage, _: &[u8]| match stage {
        Stage::Negotiate => negotiates(Actions::ALL, LATE.with(Protocol::NO_DATA)),
        _ => says(Final::Continue),
    };
    let undecided = |stage: Stage, payload: &[u8]| match stage {
        Stage::EndOfMessage => None,
        stage => agrees(stage, payload),
    };
    for (verdict, asked, seen) in [(Final::Continue, 2, "LNBE"), (Final::Reject, 1, "")] {
        let children: [(Behaviour, Protocol); 2] = [(undecided, Protocol::NONE), (content_only, early)];
        let mut world = remembering(lazy(2), &children).begin("Postfix 3.7");
        world.message();
        world.end();
        assert_eq!(world.pool.asked.len(), 1, "the child before it may still change what it is shown");
        world.reply(0, &Reply::Final(verdict.clone()));
        assert_eq!((world.pool.asked.len(), world.seen(1)), (asked, seen.to_owned()), "{verdict:?}");
        assert_eq!(world.told_letters().len(), 7);
    }
}

#[test]
fn a_session_that_a_child_refuses_connects_nobody_who_had_nothing_to_do_with_it() {
    let refuses =
        |stage: Stage, _: &[u8]| says(if stage == Stage::Helo { Final::Reject } else { Final::Continue });
    let world = remembering(lazy(2), &[(refuses, Protocol::NONE), (late, LATE)]).begin("Postfix 3.7");
    assert_eq!(world.pool.asked, [('c', 0)]);
}

#[test]
fn a_child_that_a_condition_stops_is_never_connected() {
    let mut policy = lazy(2);
    policy.watched = vec![Stage::Connect];
    policy.decide = |child, _, _, _| match child.0 {
        0 => Decision::Stop(Why { condition: Arc::from("remote"), place: Arc::from("test.conf:1") }),
        _ => Decision::Run(Effects::default()),
    };
    let children: [(Behaviour, Protocol); 2] = [(agrees, Protocol::NONE), (agrees, Protocol::NONE)];
    let mut world = remembering(policy, &children).begin("Postfix 3.7");
    world.message();
    world.end();
    assert_eq!(world.pool.asked, [('c', 1)]);
    assert_eq!((world.seen(0), world.seen(1)), (String::new(), "CHMRTLNBE".to_owned()));
    assert_eq!(world.told_letters(), "Occcccc");
}

#[test]
fn the_mta_is_answered_as_if_all_were_connected() {
    let children: [(Behaviour, Protocol); 2] = [(agrees, Protocol::NONE), (late, LATE)];
    let [mut eager, mut lazy] =
        [policy(2), lazy(2)].map(|policy| remembering(policy, &children).begin("Postfix 3.7"));
    assert_eq!(eager.told, lazy.told);
    for world in [&mut eager, &mut lazy] {
        world.message();
        world.end();
    }
    assert_eq!(eager.told, lazy.told);
    assert_eq!((eager.seen(0), eager.seen(1)), (lazy.seen(0), lazy.seen(1)));
    assert_eq!((eager.macros(0), eager.macros(1)), (lazy.macros(0), lazy.macros(1)));
}

/// Macros of a command that it does not want it may ask for later: Postfix sends them, too.
#[test]
fn macros_of_the_commands_before_come_with_the_connection() {
    let mut world = remembering(lazy(1), &[(late, LATE)]).begin("Postfix 3.7");
    world.mail_with("{mail_addr}", "a@b.test");
    world.rcpt("<c@d.test>");
    assert_eq!(world.macros(0), []);
    world.raw(b'T', b"");
    assert_eq!(world.macros(0), [("{mail_addr}".to_owned(), "a@b.test".to_owned())]);
}

#[test]
fn a_child_that_is_not_there_when_it_is_needed_is_answered_with_its_fallback() {
    for (fallback, answer) in [(Fallback::TemporaryFailure, "t"), (Fallback::Accept, "c")] {
        let mut policy = lazy(1);
        policy.children[0].fallback = fallback;
        let mut world = remembering(policy, &[(late, LATE)]).refusing(0).begin("Postfix 3.7");
        world.mail();
        world.rcpt("<c@d.test>");
        world.told.clear();
        world.raw(b'T', b"");
        world.header("Subject", "test");
        world.end();
        assert!(world.told_letters().ends_with(answer), "{fallback}");
    }
}

/// The MTA was answered on the strength of what the child had said before.
#[test]
fn a_child_that_negotiates_otherwise_is_failed_and_asked_first_the_next_time() {
    let bodiless: Behaviour = |stage, _| match stage {
        Stage::Negotiate => negotiates(Actions::ALL, Protocol::NO_BODY),
        _ => says(Final::Continue),
    };
    // It wants more than the MTA was asked for, or less.
    for known in [(agrees as Behaviour, Protocol::NO_BODY), (bodiless, Protocol::NONE)] {
        let mut world = remembering(lazy(1), &[known]).begin("Postfix 3.7");
        let failed =
            |event: &Event| matches!(event, Event::ChildFailed { failure: Failure::Renegotiated, .. });
        assert!(world.events.iter().any(failed), "{:?}", world.events);
        assert_eq!(world.pool.learned, [0], "what it says now is remembered");
        world.mail();
        assert_eq!(world.told_letters(), "Ottt", "its fallback");
    }
}

/// The time for the answer may have been used up by another.
#[test]
fn a_child_for_which_no_time_was_left_is_not_unwell() {
    for (waited, unwell) in [(6, 0), (1, 1)] {
        let mut policy = lazy(2);
        policy.children[1].timeouts.reading = Duration::from_secs(20);
        policy.children[0].timeouts.reading = Duration::from_secs(20);
        let slow = |stage: Stage, payload: &[u8]| match stage {
            Stage::Rcpt => None,
            stage => agrees(stage, payload),
        };
        let mute: Behaviour = |_, _| None;
        let wants_recipients = LATE.without(Protocol::NO_RCPT);
        let mut world =
            remembering(policy, &[(slow, Protocol::NONE), (mute, wants_recipients)]).begin("8.17.1");
        world.mail();
        world.rcpt("<c@d.test>");
        world.wait(Duration::from_secs(waited));
        world.reply(0, &Reply::Final(Final::Continue));
        assert_eq!(world.pool.asked.len(), 2, "the second is connected when the first has answered");
        world.wait(Duration::from_secs(7));
        assert_eq!(world.pool.unwell.len(), unwell, "after {waited} s");
    }
}

/// Each of its kept connections would cost a session its time limit.
#[test]
fn a_child_that_says_nothing_on_a_kept_connection_is_unwell() {
    let mute: Behaviour = |_, _| None;
    let mut world = kept(reusing(1), &[(mute, Protocol::NONE)]).begin("Postfix 3.7");
    world.wait(Duration::from_secs(8));
    assert_eq!((world.pool.unwell.clone(), world.told_letters()), (vec![0], "Ott".to_owned()));

    let mut world = kept(reusing(1), &[(agrees, Protocol::NONE)]).begin("Postfix 3.7");
    world.behave(0, mute);
    world.mail();
    world.wait(Duration::from_secs(8));
    assert_eq!(world.pool.unwell, [], "it has answered on this one, and is only slow");
}

#[test]
fn a_child_that_never_negotiates_is_unwell() {
    let silent: Behaviour = |_, _| None;
    let mut world = World::new(policy(1), &[silent]).begin("Postfix 3.7");
    assert_eq!(world.pool.unwell, []);
    world.wait(Duration::from_secs(8));
    assert_eq!(world.pool.unwell, [0]);
}

/// Postfix has no queue id before DATA, and who is shown headers may ask for it there.
#[test]
fn macros_of_data_come_with_the_connection_too() {
    let protocol = LATE.with(Protocol::NO_DATA).with(Protocol::NO_EOH);
    let headers_only: Behaviour = |stage, _| match stage {
        Stage::Negotiate => negotiates(Actions::ALL, LATE.with(Protocol::NO_DATA).with(Protocol::NO_EOH)),
        _ => says(Final::Continue),
    };
    for policy in [policy(1), lazy(1)] {
        let mut world = remembering(policy, &[(headers_only, protocol)]).begin("Postfix 3.7");
        world.mail();
        world.rcpt("<c@d.test>");
        world.raw(b'D', b"Ti\x004711\0");
        world.raw(b'T', b"");
        world.header("Subject", "test");
        assert_eq!(world.macros_for(0, b'T'), [("i".to_owned(), "4711".to_owned())]);
    }
}

/// Whenever it is connected, and only then.
#[test]
fn a_child_that_is_connected_in_a_message_without_helo_gets_a_fresh_connection() {
    let wanted = LATE.without(Protocol::NO_HELO);
    let mut policy = reusing(2);
    policy.lazy = true;
    policy.watched = vec![Stage::Data];
    policy.decide = |child, _, _, _| match child.0 {
        0 => Decision::Stop(Why { condition: Arc::from("remote"), place: Arc::from("test.conf:1") }),
        _ => Decision::Run(Effects::default()),
    };
    let mut world = kept(policy, &[(agrees, wanted), (agrees, wanted)]);
    world.negotiate();
    world.raw(b'C', b"client.test\0U");
    world.pool.remembered.insert(1, answer(Protocol::NONE));
    world.mail();
    world.rcpt("<c@d.test>");
    assert_eq!(world.pool.asked, []);
    world.raw(b'T', b"");
    assert_eq!(world.pool.asked, [('f', 1)]);
}

/// Nobody tells when what was queued for it could not be written.
#[test]
fn a_child_that_does_not_take_its_leave_is_not_waited_for_at_the_end_of_the_session() {
    let accepts: Behaviour = |stage, _| if stage == Stage::Connect { None } else { says(Final::Continue) };
    let mut world = World::new(policy(2), &[accepts, agrees]).begin("Postfix 3.7");
    world.pool.stuck = vec![0];
    world.reply(0, &Reply::Final(Final::Accept));
    world.wait(Duration::from_secs(8));
    world.raw(b'Q', b"");
    assert!(world.is_finished());
}
