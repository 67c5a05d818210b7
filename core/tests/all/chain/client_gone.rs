//! The SMTP client goes while a child keeps the MTA waiting.

use std::time::Duration;

use millstream_core::event::Event;
use millstream_core::machine::{Answer, QueryId, Question};
use millstream_core::policy::{ClientCheck, Fallback};
use millstream_core::wire::{Final, Reply, Stage};

use super::driver::{Behaviour, World, agrees, policy};

const INTERVAL: Duration = Duration::from_secs(5);
const FIRST: Duration = Duration::from_secs(1);

fn silent_at_recipient(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    (stage != Stage::Rcpt).then(|| vec![Reply::Final(Final::Continue)])
}

fn silent_at_end(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    (stage != Stage::EndOfMessage).then(|| vec![Reply::Final(Final::Continue)])
}

fn silent_at_connect(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    (stage != Stage::Connect).then(|| vec![Reply::Final(Final::Continue)])
}

/// Two children of which the first is slow, and a client at 192.0.2.7 that has said HELO.
fn connected(fallback: Fallback, slow: Behaviour) -> World {
    let mut policy = policy(2);
    policy.client_check = Some(ClientCheck { interval: INTERVAL, fallback });
    for child in &mut policy.children {
        child.timeouts.reading = Duration::from_secs(60);
    }
    let mut world = World::new(policy, &[slow, agrees]);
    world.negotiate();
    world.raw(b'D', b"Cv\0Postfix 3.7.11\0");
    world.raw(b'C', b"client.test\x004\x12\x34192.0.2.7\0");
    world
}

/// The same, with a recipient that is waited for.
fn at_recipient(fallback: Fallback) -> World {
    let mut world = connected(fallback, silent_at_recipient);
    world.raw(b'H', b"client.test\0");
    world.mail();
    world.told.clear();
    world.rcpt("<c@d.test>");
    world
}

/// The look that is to be made now.
fn look(world: &mut World) -> QueryId {
    let client = "192.0.2.7:4660".parse().unwrap();
    let [(query, question)] = &world.questions[..] else { panic!("{:?}", world.questions) };
    assert_eq!(question, &Question::State(client));
    let query = *query;
    world.questions.clear();
    query
}

fn is_there(world: &mut World) {
    let query = look(world);
    world.answer(query, Answer::Found(vec![Question::ESTABLISHED.into()]));
}

fn gone(world: &World) -> Vec<(Duration, Fallback)> {
    let gone = |event: &Event| match event {
        Event::ClientGone { elapsed, answered } => Some((*elapsed, *answered)),
        _ => None,
    };
    world.events.iter().filter_map(gone).collect()
}

#[test]
fn who_has_closed_is_not_waited_for_any_longer() {
    let mut world = at_recipient(Fallback::TemporaryFailure);
    world.wait(FIRST);
    is_there(&mut world);
    world.wait(INTERVAL);
    let query = look(&mut world);
    world.answer(query, Answer::Found(vec![Question::CLOSED_THERE.into()]));
    assert_eq!(world.told_letters(), "t");
    assert_eq!(gone(&world), [(FIRST + INTERVAL, Fallback::TemporaryFailure)]);
    assert_eq!((world.seen(0).as_str(), world.seen(1).as_str()), ("CHMRAQ", "CHMAQ"));
    assert!(world.closed(0) && world.closed(1));
    // Whatever the MTA does about it.
    world.rcpt("<e@f.test>");
    world.raw(b'A', b"");
    world.mail();
    assert_eq!(world.told_letters(), "tt");
    world.wait(10 * INTERVAL);
    assert_eq!((world.questions.len(), gone(&world).len()), (0, 1));
}

#[test]
fn who_was_seen_and_is_not_there_any_more_has_gone() {
    let mut world = at_recipient(Fallback::Reject);
    world.wait(FIRST);
    is_there(&mut world);
    world.wait(INTERVAL);
    let query = look(&mut world);
    world.answer(query, Answer::Nothing);
    assert_eq!(world.told_letters(), "r");
    assert_eq!(gone(&world).len(), 1);
}

/// The MTA is on another machine, or its network is not ours, or the system has no such table.
#[test]
fn who_was_never_seen_is_waited_for() {
    for answer in [Answer::Nothing, Answer::Failed] {
        let mut world = at_recipient(Fallback::TemporaryFailure);
        for _ in 0..3 {
            world.wait(FIRST);
            let query = look(&mut world);
            world.answer(query, answer.clone());
        }
        assert_eq!((world.told_letters().as_str(), gone(&world)), ("", Vec::new()));
        world.reply(0, &Reply::Final(Final::Continue));
        assert_eq!(world.told_letters(), "c");
    }
}

#[test]
fn nobody_is_looked_for_while_nothing_is_waited_for() {
    let mut world = at_recipient(Fallback::TemporaryFailure);
    world.wait(FIRST / 2);
    world.reply(0, &Reply::Final(Final::Continue));
    world.wait(10 * INTERVAL);
    assert!(world.questions.is_empty());
    // An answer that comes too late is of no use to anybody.
    world.rcpt("<e@f.test>");
    world.wait(FIRST);
    let query = look(&mut world);
    world.reply(0, &Reply::Final(Final::Continue));
    world.answer(query, Answer::Found(vec![Question::CLOSED_THERE.into()]));
    assert_eq!((world.told_letters().as_str(), gone(&world)), ("cc", Vec::new()));
}

#[test]
fn it_is_off_without_a_configuration_and_without_a_port() {
    let mut without = policy(1);
    without.children[0].timeouts.reading = Duration::from_secs(60);
    let mut world = World::new(without.clone(), &[silent_at_connect as Behaviour]);
    world.negotiate();
    world.raw(b'C', b"client.test\x004\x12\x34192.0.2.7\0");
    world.wait(INTERVAL);
    assert!(world.questions.is_empty());

    without.client_check = Some(ClientCheck { interval: INTERVAL, fallback: Fallback::Accept });
    for client in [&b"client.test\0U"[..], b"client.test\x004\0\x00192.0.2.7\0"] {
        let mut world = World::new(without.clone(), &[silent_at_connect as Behaviour]);
        world.negotiate();
        world.raw(b'C', client);
        world.wait(INTERVAL);
        assert!(world.questions.is_empty());
    }
}

#[test]
fn each_stage_is_answered_with_what_is_configured() {
    for (fallback, letters) in [
        (Fallback::TemporaryFailure, ["t", "t", "t"]),
        (Fallback::Reject, ["r", "r", "r"]),
        // There is nothing to throw away before a message has begun.
        (Fallback::Discard, ["c", "d", "d"]),
        (Fallback::Accept, ["a", "a", "c"]),
    ] {
        let leave = |world: &mut World| {
            world.told.clear();
            world.wait(FIRST);
            let query = look(world);
            world.answer(query, Answer::Found(vec![Question::CLOSED_THERE.into()]));
            world.told_letters().trim_start_matches('p').to_owned()
        };
        let mut connect = connected(fallback, silent_at_connect);
        assert_eq!(leave(&mut connect), letters[0], "CONNECT, {fallback}");
        let mut recipient = at_recipient(fallback);
        assert_eq!(leave(&mut recipient), letters[1], "RCPT, {fallback}");
        let mut end = connected(fallback, silent_at_end);
        end.raw(b'H', b"client.test\0");
        end.message();
        end.end();
        assert_eq!(leave(&mut end), letters[2], "end of message, {fallback}");
    }
}
