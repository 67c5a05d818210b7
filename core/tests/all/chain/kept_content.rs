//! A kept connection on which the child says nothing before it dies in the content: everything is said again on a fresh one.

use std::sync::Arc;

use bytes::Bytes;
use millstream_core::event::Event;
use millstream_core::policy::{Decision, Effects, Remark, RemarkLevel, Why};
use millstream_core::wire::{Actions, Final, Protocol, Reply, Stage};

use super::driver::{Behaviour, TestPolicy, World, negotiates, says};
use super::lazy::{kept, reusing};

/// Answers nothing before the end of the message.
const SILENT: Protocol = Protocol::NO_REPLY;

fn silent(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    match stage {
        Stage::Negotiate => negotiates(Actions::ALL, SILENT),
        Stage::EndOfMessage => says(Final::Continue),
        _ => None,
    }
}

/// The same, with an answer to headers.
const HEARS_HEADERS: Protocol = SILENT.without(Protocol::NR_HEADERS);

fn answers_headers(stage: Stage, payload: &[u8]) -> Option<Vec<Reply>> {
    match stage {
        Stage::Negotiate => negotiates(Actions::ALL, HEARS_HEADERS),
        Stage::Header => says(Final::Continue),
        _ => silent(stage, payload),
    }
}

fn mute(stage: Stage, payload: &[u8]) -> Option<Vec<Reply>> {
    if stage == Stage::Negotiate { silent(stage, payload) } else { None }
}

fn on_a_kept_connection(policy: TestPolicy) -> World {
    let mut world = kept(policy, &[(silent, SILENT)]).begin("Postfix 3.7");
    world.mail_with("i", "4711");
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    world
}

/// The content of a message, in pieces.
const CONTENT: [(u8, &[u8]); 6] = [
    (b'L', b"From\0 a@b.test\0"),
    (b'L', b"Subject\0 test\0"),
    (b'N', b""),
    (b'B', b"one\r\n"),
    (b'B', b"two\r\n"),
    (b'E', b""),
];

fn has_failed(world: &World) -> bool {
    world.events.iter().any(|event| matches!(event, Event::ChildFailed { .. }))
}

fn chunks(count: usize) -> Vec<u8> {
    (0..count).map(|number| format!("{number:09}\n")).collect::<String>().into_bytes()
}

/// A body of so many chunks of 3,000 bytes.
fn body(world: &mut World, count: usize) -> Vec<u8> {
    let body = chunks(300 * count);
    body.chunks(3000).for_each(|chunk| world.raw(b'B', chunk));
    body
}

#[test]
fn wherever_it_dies_the_child_is_told_all_of_the_message_again() {
    let mut whole = on_a_kept_connection(reusing(1));
    CONTENT.iter().for_each(|(letter, payload)| whole.raw(*letter, payload));
    assert_eq!((whole.seen(0).as_str(), whole.pool.asked.len()), ("CHMRTLLNBBE", 1));
    let (commands, macros) = (whole.commands(0).to_vec(), whole.all_macros(0).to_vec());

    for end in 0..=CONTENT.len() {
        let mut world = on_a_kept_connection(reusing(1));
        world.behave(0, mute);
        CONTENT[..end].iter().for_each(|(letter, payload)| world.raw(*letter, payload));
        let before = world.commands(0).len();
        assert_eq!(before, 5 + end);
        world.told.clear();
        world.behave(0, silent);
        world.close(0);
        CONTENT[end..].iter().for_each(|(letter, payload)| world.raw(*letter, payload));
        assert_eq!((world.pool.asked.clone(), world.told_letters()), (vec![('c', 0), ('f', 0)], "c".into()));
        assert_eq!(world.commands(0)[before..], commands, "dead after {end}");
        assert_eq!(world.all_macros(0)[macros.len()..], macros, "dead after {end}");
        assert!(!has_failed(&world));
    }
}

#[test]
fn it_is_replaced_only_once() {
    let mut world = on_a_kept_connection(reusing(1));
    world.header("Subject", "test");
    world.close(0);
    world.raw(b'N', b"");
    world.close(0);
    world.told.clear();
    world.end();
    assert_eq!((world.pool.asked.len(), world.told_letters()), (2, "t".to_owned()));
}

/// Whoever may be sent the next before it has answered may have been sent much.
#[test]
fn what_was_sent_ahead_of_its_replies_is_sent_again() {
    let mut policy = reusing(1);
    policy.pipelining = true;
    let mut world = kept(policy, &[(mute, HEARS_HEADERS)]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    CONTENT[..2].iter().for_each(|(letter, payload)| world.raw(*letter, payload));
    assert_eq!(world.seen(0), "CHMRTLL");
    world.behave(0, answers_headers);
    world.told.clear();
    world.close(0);
    CONTENT[2..].iter().for_each(|(letter, payload)| world.raw(*letter, payload));
    assert_eq!((world.seen(0), world.told_letters()), ("CHMRTLLCHMRTLLNBBE".to_owned(), "c".to_owned()));
}

#[test]
fn its_conditions_are_not_asked_again() {
    let mut policy = reusing(1);
    policy.watched = vec![Stage::Header, Stage::EndOfHeaders, Stage::Body, Stage::EndOfMessage];
    policy.notes = |_, _, _, notes| {
        let from = Why { condition: Arc::from("test"), place: Arc::from("test.conf:1") };
        notes.remarks.push(Remark { level: RemarkLevel::Info, from, text: "asked".into() });
    };
    policy.decide = |_, _, facts, _| {
        let name = facts.header.map_or(&b"none"[..], |(name, _)| name);
        Decision::Run(Effects { macros: vec![(Bytes::from("own"), Bytes::copy_from_slice(name))] })
    };
    let mut world = on_a_kept_connection(policy);
    world.behave(0, mute);
    let before = world.all_macros(0).len();
    CONTENT.iter().for_each(|(letter, payload)| world.raw(*letter, payload));
    let macros = world.all_macros(0).to_vec();
    let set =
        macros[before..].iter().filter(|(_, name, _)| name == "{own}").map(|(.., value)| value.as_str());
    assert_eq!(set.collect::<Vec<_>>(), ["From", "Subject", "none", "none", "none"]);
    world.behave(0, silent);
    world.told.clear();
    world.close(0);
    assert_eq!((world.seen(0), world.told_letters()), ("CHMRTLLNBBECHMRTLLNBBE".to_owned(), "c".into()));
    assert_eq!(world.all_macros(0)[macros.len()..], macros);
    let asked = world.events.iter().filter(|event| matches!(event, Event::ConditionRemarked { .. }));
    assert_eq!(asked.count(), CONTENT.len());
}

#[test]
fn a_body_that_does_not_fit_into_memory_is_shown_again_from_its_file() {
    let mut policy = reusing(1);
    policy.limits.body_bytes = 10_000;
    let mut world = on_a_kept_connection(policy);
    world.raw(b'N', b"");
    let mut body_came = body(&mut world, 100);
    assert!(world.disk_used > 250_000, "{}", world.disk_used);
    assert_eq!(world.body_seen(0), body_came);
    world.close(0);
    body_came.extend(body(&mut world, 10));
    world.told.clear();
    world.end();
    assert_eq!((world.body_seen(0)[300_000..].to_vec(), world.told_letters()), (body_came, "c".to_owned()));
    assert!(!has_failed(&world));
}

#[test]
fn a_body_is_kept_only_until_the_first_reply() {
    let mut policy = reusing(1);
    policy.limits.body_bytes = 10_000;
    let mut world = kept(policy, &[(answers_headers, HEARS_HEADERS)]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    world.header("Subject", "test");
    world.raw(b'N', b"");
    body(&mut world, 100);
    world.told.clear();
    world.end();
    assert_eq!((world.disk_used, world.told_letters()), (0, "c".to_owned()));
}

/// The message is worth more than the connection: what there is no room for is let go, and only then is a dead connection a
/// failure.
#[test]
fn no_message_fails_for_what_is_kept_for_a_connection_that_may_be_dead() {
    for spill_bytes in [0, 20_000] {
        for dies in [false, true] {
            let mut policy = reusing(1);
            (policy.limits.body_bytes, policy.limits.spill_bytes) = (10_000, spill_bytes);
            let mut world = on_a_kept_connection(policy);
            world.raw(b'N', b"");
            let body = body(&mut world, 100);
            if dies {
                world.close(0);
            }
            world.told.clear();
            world.end();
            let told = if dies { "t" } else { "c" };
            assert_eq!((world.told_letters().as_str(), world.pool.asked.len()), (told, 1));
            assert_eq!((world.body_seen(0), has_failed(&world)), (body, dies));
        }
    }
}

/// One before it may still change what the second is shown.
#[test]
fn it_is_shown_again_what_those_before_have_made_of_the_message() {
    let changes: Behaviour = |stage, _| match stage {
        Stage::EndOfMessage => Some(vec![
            Reply::Edit(millstream_core::wire::Edit::AddHeader(Bytes::from("X-Seen"), Bytes::from("yes"))),
            Reply::Edit(millstream_core::wire::Edit::ReplaceBody(Bytes::from("other\r\n"))),
            Reply::Final(Final::Continue),
        ]),
        _ => says(Final::Continue),
    };
    let children: [(Behaviour, Protocol); 2] = [(changes, Protocol::NONE), (mute, SILENT)];
    let mut world = kept(reusing(2), &children).begin("Postfix 3.7");
    world.message();
    world.told.clear();
    world.end();
    assert_eq!(world.seen(1), "CHMRTLLNBE");
    world.behave(1, silent);
    world.close(1);
    assert_eq!(world.seen(1), "CHMRTLLNBECHMRTLLNBE");
    assert_eq!(
        (world.body_seen(1), world.told_letters()),
        (b"other\r\nother\r\n".to_vec(), "hbc".to_owned())
    );
}
