//! Children that are connected only when they are to be shown something, and connections of an earlier session.

use std::sync::Arc;
use std::time::Duration;

use millstream_core::event::{Event, Failure};
use millstream_core::machine::{Closure, Input, Peer};
use millstream_core::policy::{ChildIndex, Decision, Effects, Endpoint, Fallback, Reuse, Route, Why};
use millstream_core::wire::{Actions, Command, Final, Negotiation, Protocol, Reply, Stage, VERSION_MAX};

use crate::driver::{Behaviour, TestPolicy, World, agrees, negotiates, policy, says};

/// What a child that [`agrees`] answers to an offer of everything.
fn answer(protocol: Protocol) -> Negotiation {
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
fn remembering(policy: TestPolicy, children: &[(Behaviour, Protocol)]) -> World {
    let behaviours: Vec<Behaviour> = children.iter().map(|(behaviour, _)| *behaviour).collect();
    let mut world = World::new(policy, &behaviours);
    let known = children.iter().enumerate().map(|(index, (_, protocol))| (index, answer(*protocol)));
    world.pool.remembered = known.collect();
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
    let mut world = remembering(lazy(1), &[(agrees, Protocol::NO_BODY)]).begin("Postfix 3.7");
    let failed = |event: &Event| matches!(event, Event::ChildFailed { failure: Failure::Renegotiated, .. });
    assert!(world.events.iter().any(failed), "{:?}", world.events);
    assert_eq!(world.pool.learned, [0], "what it says now is remembered");
    world.mail();
    assert_eq!(world.told_letters(), "Ottt", "its fallback");
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

fn reusing(count: usize) -> TestPolicy {
    let mut policy = policy(count);
    for child in &mut policy.children {
        let mut route = Route::clone(&Route::to("child", Endpoint::Unix(Arc::from(*b"/child"))));
        route.reuse = Some(Reuse { idle: Duration::from_secs(60), age: Duration::from_secs(3600) });
        child.route = Arc::new(route);
    }
    policy
}

/// A world whose pool has a kept connection to each child.
fn kept(policy: TestPolicy, children: &[(Behaviour, Protocol)]) -> World {
    let mut world = remembering(policy, children);
    world.pool.kept = (0..children.len()).collect();
    world
}

#[test]
fn a_connection_is_given_back_when_nothing_is_owed_on_it() {
    let mut world = World::new(reusing(1), &[agrees]).begin("Postfix 3.7");
    world.message();
    world.end();
    world.raw(b'Q', b"");
    assert_eq!((world.pool.released.clone(), world.seen(0)), (vec![0], "CHMRTLNBEAUK".to_owned()));
}

/// opendkim forgets with the session that it has asked for them, and signs what is not delivered.
#[test]
fn a_connection_with_leading_spaces_is_never_kept() {
    let spaced = |stage: Stage, _: &[u8]| match stage {
        Stage::Negotiate => negotiates(Actions::ALL, Protocol::HEADER_LEADING_SPACE),
        _ => says(Final::Continue),
    };
    let mut world = World::new(reusing(1), &[spaced]).begin("Postfix 3.7");
    world.message();
    world.end();
    world.raw(b'Q', b"");
    assert_eq!((world.pool.released.clone(), world.seen(0)), (vec![], "CHMRTLNBEQ".to_owned()));
}

#[test]
fn a_connection_on_which_a_reply_is_owed_is_closed() {
    let silent_at_mail = |stage: Stage, payload: &[u8]| match stage {
        Stage::Mail => None,
        stage => agrees(stage, payload),
    };
    let mut world = World::new(reusing(1), &[silent_at_mail]).begin("Postfix 3.7");
    world.mail();
    world.handle(Input::Closed { peer: Peer::MTA, why: Closure::Eof });
    assert_eq!((world.pool.released.clone(), world.seen(0)), (vec![], "CHMAQ".to_owned()));
}

/// libmilter ignores QUIT_NC behind a verdict on UNKNOWN, and a milter may not know it at all.
#[test]
fn a_connection_that_the_child_does_not_give_free_is_closed() {
    let verdict =
        |stage: Stage, _: &[u8]| says(if stage == Stage::Unknown { Final::Accept } else { Final::Continue });
    let mute = |stage: Stage, _: &[u8]| if stage == Stage::Unknown { None } else { says(Final::Continue) };
    let session = |behaviour: Behaviour| {
        let mut world = World::new(reusing(1), &[behaviour]).begin("Postfix 3.7");
        world.message();
        world.end();
        world.raw(b'Q', b"");
        world
    };
    let mut world = session(verdict);
    assert_eq!((world.pool.released.len(), world.closed(0)), (0, true));
    assert!(world.is_finished());

    world = session(mute);
    assert!(!world.closed(0), "it may still say so");
    world.wait(Duration::from_secs(8));
    assert_eq!((world.pool.released.len(), world.closed(0)), (0, true));
    assert!(world.is_finished());

    world = session(mute);
    world.close(0);
    assert_eq!(world.pool.released.len(), 0);
    assert!(world.is_finished(), "nobody is waited for");
}

/// The rest, whether it is a whole reply or half of one, would be the first answer of the next session.
#[test]
fn a_connection_on_which_the_child_says_more_than_it_owes_is_closed() {
    let mute = |stage: Stage, _: &[u8]| if stage == Stage::Unknown { None } else { says(Final::Continue) };
    for more in [&b"\0\0\0\x01c"[..], b"\0\0"] {
        let mut world = World::new(reusing(1), &[mute]).begin("Postfix 3.7");
        world.raw(b'Q', b"");
        let data = [b"\0\0\0\x01c", more].concat()[..].into();
        world.handle(Input::Received { peer: Peer::child(ChildIndex(0), 0), data });
        world.wait(Duration::from_secs(8));
        assert_eq!((world.pool.released.len(), world.closed(0)), (0, true), "{more:?}");
        assert!(world.is_finished());
    }
}

#[test]
fn a_child_that_has_had_enough_of_a_session_gives_its_connection_back_before_the_end() {
    let accepts =
        |stage: Stage, _: &[u8]| says(if stage == Stage::Connect { Final::Accept } else { Final::Continue });
    let mut world = World::new(reusing(2), &[accepts, agrees]).begin("Postfix 3.7");
    assert_eq!((world.pool.released.clone(), world.seen(0)), (vec![0], "CAUK".to_owned()));
    world.message();
    world.end();
    assert_eq!(world.told_letters(), "Occcccc");
}

#[test]
fn a_kept_connection_serves_the_next_session_without_a_negotiation() {
    let mut world = kept(reusing(1), &[(agrees, Protocol::NONE)]).begin("Postfix 3.7");
    world.message();
    world.end();
    assert_eq!((world.seen(0), world.told_letters()), ("CHMRTLNBE".to_owned(), "Occcccc".to_owned()));
    assert_eq!(world.pool.learned, [], "nothing new");
}

#[test]
fn a_kept_connection_on_which_only_what_was_taken_back_was_answered_is_not_a_dead_one() {
    let refuses =
        |stage: Stage, _: &[u8]| says(if stage == Stage::Mail { Final::Reject } else { Final::Continue });
    let mute = |_: Stage, _: &[u8]| None;
    let children: [(Behaviour, Protocol); 2] =
        [(refuses, Protocol::NONE), (mute, Protocol::NO_CONNECT.with(Protocol::NO_HELO))];
    let mut world = kept(reusing(2), &children).begin("Postfix 3.7");
    world.mail();
    assert_eq!((world.told_letters(), world.seen(1)), ("Occr".to_owned(), "MA".to_owned()));
    world.reply(1, &Reply::Final(Final::Continue));
    world.close(1);
    assert_eq!(world.pool.asked, [('c', 0), ('c', 1)]);
    assert!(world.events.iter().any(|event| matches!(event, Event::ChildFailed { .. })));
}

#[test]
fn a_kept_connection_that_is_dead_is_replaced_once() {
    let mut world = kept(reusing(1), &[(agrees, Protocol::NONE)]);
    world.pool.dead = vec![0];
    let mut world = world.begin("Postfix 3.7");
    assert_eq!(world.pool.asked, [('c', 0), ('f', 0)]);
    world.message();
    world.end();
    assert_eq!((world.seen(0), world.told_letters()), ("CHMRTLNBE".to_owned(), "Occcccc".to_owned()));
    assert!(!world.events.iter().any(|event| matches!(event, Event::ChildFailed { .. })));
}

/// A child that answers neither CONNECT nor HELO has said nothing when MAIL finds its connection dead.
#[test]
fn what_it_was_told_silently_is_told_again_on_the_fresh_connection() {
    let silence = Protocol::NR_CONNECT.with(Protocol::NR_HELO);
    let quiet = |stage: Stage, _: &[u8]| match stage {
        Stage::Negotiate => negotiates(Actions::ALL, Protocol::NR_CONNECT.with(Protocol::NR_HELO)),
        Stage::Connect | Stage::Helo => None,
        _ => says(Final::Continue),
    };
    let mut world = kept(reusing(1), &[(quiet, silence)]).begin("Postfix 3.7");
    assert_eq!(world.seen(0), "CH");
    world.pool.dead = vec![0];
    world.told.clear();
    world.mail();
    assert_eq!((world.pool.asked.last(), world.seen(0)), (Some(&('f', 0)), "CHCHM".to_owned()));
    assert_eq!(world.told_letters(), "c");
}

/// rspamd knows the name that the session before has given.
#[test]
fn a_client_without_helo_is_not_taken_for_the_one_before_it() {
    for (protocol, asked) in [(Protocol::NONE, vec![('c', 0), ('f', 0)]), (Protocol::NO_HELO, vec![('c', 0)])]
    {
        let mut world = kept(reusing(1), &[(agrees, protocol)]);
        world.send(&Command::Negotiate(Negotiation {
            version: VERSION_MAX,
            actions: Actions::ALL,
            protocol: Protocol::ALL,
            macro_lists: Vec::new(),
        }));
        world.raw(b'C', b"client.test\0U");
        world.told.clear();
        world.pool.remembered.insert(0, answer(Protocol::NONE));
        world.mail();
        assert_eq!((world.pool.asked.clone(), world.told_letters()), (asked, "c".to_owned()));
        assert!(world.seen(0).ends_with("CM"), "{}", world.seen(0));
    }
}

#[test]
fn a_kept_connection_that_dies_inside_a_message_is_the_fallback() {
    let silent_envelope =
        Protocol::NR_CONNECT.with(Protocol::NR_HELO).with(Protocol::NR_MAIL).with(Protocol::NR_RCPT);
    let quiet = |stage: Stage, _: &[u8]| match stage {
        Stage::Negotiate => None,
        Stage::Connect | Stage::Helo | Stage::Mail | Stage::Rcpt => None,
        _ => says(Final::Continue),
    };
    let mut world = kept(reusing(1), &[(quiet, silent_envelope)]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    world.told.clear();
    world.close(0);
    world.raw(b'T', b"");
    assert_eq!((world.pool.asked.clone(), world.told_letters()), (vec![('c', 0)], "t".to_owned()));
}

#[test]
fn a_child_that_has_answered_and_dies_is_the_fallback() {
    let mut world = kept(reusing(1), &[(agrees, Protocol::NONE)]).begin("Postfix 3.7");
    world.told.clear();
    world.close(0);
    world.mail();
    assert_eq!((world.pool.asked.clone(), world.told_letters()), (vec![('c', 0)], "t".to_owned()));
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

/// The MTA has not been answered: what another child is waited for is no reason to hold a milter to its word.
#[test]
fn a_kept_connection_that_is_dead_before_the_mta_is_answered_binds_nobody() {
    let mute: Behaviour = |_, _| None;
    let children: [(Behaviour, Protocol); 2] = [(agrees, Protocol::NO_BODY), (mute, Protocol::NONE)];
    let mut world = remembering(reusing(2), &children);
    world.pool.kept = vec![0];
    world.send(&Command::Negotiate(Negotiation {
        version: VERSION_MAX,
        actions: Actions::ALL,
        protocol: Protocol::ALL,
        macro_lists: Vec::new(),
    }));
    world.close(0);
    assert_eq!(world.pool.asked, [('c', 0), ('c', 1), ('f', 0)]);
    let failed = |event: &Event| matches!(event, Event::ChildFailed { .. });
    assert!(!world.events.iter().any(failed), "{:?}", world.events);
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
    world.send(&Command::Negotiate(Negotiation {
        version: VERSION_MAX,
        actions: Actions::ALL,
        protocol: Protocol::ALL,
        macro_lists: Vec::new(),
    }));
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
