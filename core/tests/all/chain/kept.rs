//! Connections of an earlier session: given back, used again, and replaced where they turn out to be dead.

use std::time::Duration;

use bytes::Bytes;
use millstream_core::event::Event;
use millstream_core::machine::{Closure, Input, Peer};
use millstream_core::policy::{Answers, ChildIndex, Decision, Effects, Facts};
use millstream_core::wire::{Actions, Final, Protocol, Reply, Stage};

use super::driver::{Behaviour, TestPolicy, World, agrees, negotiates, says};
use super::lazy::{answer, kept, remembering, reusing};

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
        world.negotiate();
        world.raw(b'C', b"client.test\0U");
        world.told.clear();
        world.pool.remembered.insert(0, answer(Protocol::NONE));
        world.mail();
        assert_eq!((world.pool.asked.clone(), world.told_letters()), (asked, "c".to_owned()));
        assert!(world.seen(0).ends_with("CM"), "{}", world.seen(0));
    }
}

/// Answers nothing before DATA.
pub(crate) const SILENT_ENVELOPE: Protocol =
    Protocol::NR_CONNECT.with(Protocol::NR_HELO).with(Protocol::NR_MAIL).with(Protocol::NR_RCPT);

pub(crate) fn silent_envelope(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    match stage {
        Stage::Negotiate => negotiates(Actions::ALL, SILENT_ENVELOPE),
        Stage::Connect | Stage::Helo | Stage::Mail | Stage::Rcpt => None,
        _ => says(Final::Continue),
    }
}

/// A sender and two recipients, each with a macro, sent in silence on a kept connection.
fn envelope_on_a_kept_connection(policy: TestPolicy) -> World {
    let mut world = kept(policy, &[(silent_envelope, SILENT_ENVELOPE)]).begin("Postfix 3.7");
    world.mail_with("i", "4711");
    for recipient in ["<c@d.test>", "<e@f.test>"] {
        world.raw(b'D', format!("R{{rcpt_addr}}\0{recipient}\0").as_bytes());
        world.rcpt(recipient);
    }
    assert_eq!(world.seen(0), "CHMRR");
    world.told.clear();
    world
}

#[test]
fn a_kept_connection_that_dies_in_a_silent_envelope_is_replaced_and_told_all_of_it_again() {
    let mut policy = reusing(1);
    policy.watched = vec![Stage::Mail];
    let set = |_: ChildIndex, _: Stage, _: &Facts<'_>, _: &Answers| {
        Decision::Run(Effects { macros: vec![(Bytes::from("own"), Bytes::from("1"))] })
    };
    policy.decide = set;
    for at_once in [true, false] {
        let mut world = envelope_on_a_kept_connection(policy.clone());
        let (commands, macros) = (world.commands(0).to_vec(), world.all_macros(0).to_vec());
        match at_once {
            true => world.close(0),
            // With the command that finds it dead.
            false => world.pool.dead = vec![0],
        }
        world.raw(b'T', b"");
        assert_eq!(
            (world.pool.asked.clone(), world.told_letters()),
            (vec![('c', 0), ('f', 0)], "c".to_owned())
        );
        assert_eq!(world.seen(0), "CHMRRCHMRRT");
        assert_eq!(world.commands(0)[5..10], commands);
        assert_eq!(world.all_macros(0)[macros.len()..], macros);
        world.header("Subject", "test");
        world.end();
        assert!(!world.events.iter().any(|event| matches!(event, Event::ChildFailed { .. })));
        assert_eq!(world.told_letters(), "c");
    }
}

/// What came meanwhile, and what it is asked first, it is sent behind that.
#[test]
fn a_kept_connection_that_dies_before_content_that_the_child_wants_is_replaced() {
    let deaf = SILENT_ENVELOPE.with(Protocol::NO_DATA).with(Protocol::NO_HEADERS);
    let behaviour: Behaviour = |stage, _| match stage {
        Stage::Negotiate => {
            let deaf = SILENT_ENVELOPE.with(Protocol::NO_DATA).with(Protocol::NO_HEADERS);
            negotiates(Actions::ALL, deaf)
        }
        stage => silent_envelope(stage, b""),
    };
    let mut world = kept(reusing(1), &[(behaviour, deaf)]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    world.header("Subject", "test");
    world.close(0);
    world.raw(b'N', b"");
    world.raw(b'B', b"body\r\n");
    world.end();
    assert_eq!(
        (world.pool.asked.clone(), world.seen(0)),
        (vec![('c', 0), ('f', 0)], "CHMRCHMRNBE".to_owned())
    );
    assert!(!world.events.iter().any(|event| matches!(event, Event::ChildFailed { .. })));
}

/// It is over when the fresh connection comes.
#[test]
fn a_message_that_was_taken_back_is_not_told_on_the_fresh_connection() {
    let mut world = envelope_on_a_kept_connection(reusing(1));
    world.behave(0, |_, _| None);
    world.close(0);
    world.raw(b'A', b"");
    world.behave(0, silent_envelope);
    world.reply(0, &Reply::Negotiate(answer(SILENT_ENVELOPE)));
    world.mail();
    world.rcpt("<g@h.test>");
    assert_eq!(world.seen(0), "CHMRRCHMR");
}

#[test]
fn a_child_that_has_answered_and_dies_is_the_fallback() {
    let mut world = kept(reusing(1), &[(agrees, Protocol::NONE)]).begin("Postfix 3.7");
    world.told.clear();
    world.close(0);
    world.mail();
    assert_eq!((world.pool.asked.clone(), world.told_letters()), (vec![('c', 0)], "t".to_owned()));
}

/// The MTA has not been answered: what another child is waited for is no reason to hold a milter to its word.
#[test]
fn a_kept_connection_that_is_dead_before_the_mta_is_answered_binds_nobody() {
    let mute: Behaviour = |_, _| None;
    let children: [(Behaviour, Protocol); 2] = [(agrees, Protocol::NO_BODY), (mute, Protocol::NONE)];
    let mut world = remembering(reusing(2), &children);
    world.pool.kept = vec![0];
    world.negotiate();
    world.close(0);
    assert_eq!(world.pool.asked, [('c', 0), ('c', 1), ('f', 0)]);
    let failed = |event: &Event| matches!(event, Event::ChildFailed { .. });
    assert!(!world.events.iter().any(failed), "{:?}", world.events);
}
