//! Children that run beside the others.

use std::sync::Arc;

use bytes::Bytes;
use millstream_core::event::Event;
use millstream_core::policy::{Decision, Effects, Why};
use millstream_core::wire::{Actions, Edit, Final, Protocol, Reply, Stage};

use super::driver::{Behaviour, Decide, World, agrees, negotiates, policy, says};

fn silent_at_end(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    (stage != Stage::EndOfMessage).then(|| vec![Reply::Final(Final::Continue)])
}

fn header(name: &str, value: &str) -> (Bytes, Bytes) {
    (Bytes::from(name.as_bytes().to_vec()), Bytes::from(value.as_bytes().to_vec()))
}

fn add(name: &str, value: &str) -> Edit {
    let (name, value) = header(name, value);
    Edit::AddHeader(name, value)
}

fn change(occurrence: u32, name: &str, value: &str) -> Edit {
    let (name, value) = header(name, value);
    Edit::ChangeHeader(occurrence, name, value)
}

fn insert(index: u32, name: &str, value: &str) -> Edit {
    let (name, value) = header(name, value);
    Edit::InsertHeader(index, name, value)
}

/// Three children of which those with these numbers are independent, up to a pending end of message.
fn pending(independent: &[u16]) -> World {
    let mut policy = policy(3);
    policy.independent = independent.to_vec();
    let mut world = World::new(policy, &[silent_at_end; 3].map(|child| child as super::driver::Behaviour));
    world = world.begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    for (name, value) in [("Subject", "one"), ("X-Spam", "inbound"), ("Subject", "two")] {
        world.header(name, value);
    }
    world.raw(b'N', b"");
    world.raw(b'B', b"body\r\n");
    world.end();
    world.told.clear();
    world
}

/// A child ends the message with these edits.
fn finish(world: &mut World, child: usize, edits: &[Edit]) {
    for edit in edits {
        world.reply(child, &Reply::Edit(edit.clone()));
    }
    world.reply(child, &Reply::Final(Final::Continue));
}

#[test]
fn independent_children_work_at_the_end_of_message_at_the_same_time() {
    let world = pending(&[0, 1, 2]);
    for child in 0..3 {
        assert!(world.seen(child).ends_with('E'), "child {child} saw {}", world.seen(child));
    }
}

#[test]
fn the_others_keep_their_order() {
    let mut world = pending(&[2]);
    assert_eq!([0, 1, 2].map(|child| world.seen(child).ends_with('E')), [true, false, true]);
    finish(&mut world, 2, &[]);
    finish(&mut world, 0, &[]);
    assert!(world.seen(1).ends_with('E'));
    assert_eq!(world.told_letters(), "");
    finish(&mut world, 1, &[]);
    assert_eq!(world.told_letters(), "c");
}

#[test]
fn edits_are_in_chain_order_however_they_come() {
    let edits = [vec![add("X-First", "0")], vec![insert(0, "X-Top", "1")], vec![add("X-Last", "2")]];
    let told = |order: [usize; 3]| {
        let mut world = pending(&[0, 1, 2]);
        for child in order {
            finish(&mut world, child, &edits[child]);
        }
        world.told_edits()
    };
    let expected = [insert(0, "X-Top", " 1"), add("X-First", " 0"), add("X-Last", " 2")];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
        let told = told(order);
        let plain: Vec<Edit> = told
            .into_iter()
            .map(|edit| match edit {
                Edit::AddHeader(name, value) if !value.starts_with(b" ") => {
                    add(&String::from_utf8_lossy(&name), &format!(" {}", String::from_utf8_lossy(&value)))
                }
                Edit::InsertHeader(index, name, value) if !value.starts_with(b" ") => insert(
                    index,
                    &String::from_utf8_lossy(&name),
                    &format!(" {}", String::from_utf8_lossy(&value)),
                ),
                other => other,
            })
            .collect();
        assert_eq!(plain, expected, "{order:?}");
    }
}

/// What an independent child calls the second Subject stays that header, though one before it has deleted the first.
#[test]
fn an_edit_keeps_to_its_header_whatever_others_do() {
    let mut world = pending(&[2]);
    finish(&mut world, 2, &[change(2, "Subject", "changed")]);
    finish(&mut world, 0, &[change(1, "Subject", "")]);
    finish(&mut world, 1, &[]);
    let told = world.told_edits();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(matches!(&told[0], Edit::ChangeHeader(2, _, value) if value.ends_with(b"changed")), "{told:?}");
    assert!(matches!(&told[1], Edit::ChangeHeader(1, _, value) if value.is_empty()), "{told:?}");
}

#[test]
fn of_two_independent_writers_of_one_header_the_later_in_the_chain_has_its_way_and_that_is_told() {
    for order in [[0, 1, 2], [2, 1, 0]] {
        let mut world = pending(&[0, 1, 2]);
        for child in order {
            let edits = match child {
                0 => vec![change(1, "X-Spam", "of the first")],
                2 => vec![change(1, "X-Spam", "of the last")],
                _ => Vec::new(),
            };
            finish(&mut world, child, &edits);
        }
        let told = world.told_edits();
        assert!(
            matches!(&told[..], [Edit::ChangeHeader(1, _, value)] if value.ends_with(b"of the last")),
            "{told:?}"
        );
        let overlap =
            |event: &&Event| matches!(event, Event::EditsOverlap { headers: 1, name } if &**name == "child2");
        assert_eq!(world.events.iter().filter(overlap).count(), 1, "{:?}", world.events);
    }
}

#[test]
fn the_first_objection_in_chain_order_is_the_answer_whoever_is_first() {
    let mut world = pending(&[0, 1, 2]);
    world.reply(2, &Reply::Final(Final::Discard));
    assert_eq!(world.told_letters(), "");
    world.reply(0, &Reply::Final(Final::Continue));
    world.reply(1, &Reply::Final(Final::Reject));
    assert_eq!(world.told_letters(), "r");
}

/// It stands before the independent one, and is shown what those before it have made of the message.
#[test]
fn a_child_on_trial_is_not_shown_the_edits_of_an_independent_one_behind_it() {
    let mut policy = policy(3);
    policy.independent = vec![2];
    policy.children[1].evaluation_mode = true;
    let mut world = World::new(policy, &[silent_at_end; 3].map(|child| child as super::driver::Behaviour));
    world = world.begin("Postfix 3.7");
    world.message();
    world.end();
    finish(&mut world, 2, &[Edit::ReplaceBody(Bytes::from_static(b"of the last"))]);
    finish(&mut world, 0, &[]);
    assert_eq!(world.body_seen(1), b"body\r\n");
    world.told.clear();
    finish(&mut world, 1, &[]);
    assert_eq!(world.told_letters(), "bc");
}

/// Its edits are part of the message although it has hung up since, and whoever stands behind it saw the message without them.
#[test]
fn who_stands_behind_one_that_has_finished_and_gone_is_shown_its_edits() {
    let edits_nothing = |stage: Stage, payload: &[u8]| match stage {
        Stage::Negotiate => negotiates(Actions::NONE, Protocol::NONE),
        stage => silent_at_end(stage, payload),
    };
    let mut policy = policy(3);
    policy.independent = vec![1];
    let mut world = World::new(policy, &[edits_nothing, silent_at_end, silent_at_end]).begin("Postfix 3.7");
    world.message();
    world.end();
    finish(&mut world, 1, &[add("X-Spam", "of the second")]);
    world.close(1);
    assert!(!world.seen(2).contains('L'), "what it is to be shown is not certain");

    finish(&mut world, 0, &[]);

    let headers = world.commands(2).iter().filter(|(letter, _)| *letter == 'L');
    let last = headers.last().map(|(_, payload)| payload.to_vec());
    assert_eq!(last.as_deref(), Some(&b"X-Spam\0of the second\0"[..]));
}

/// Postfix asks nobody behind a milter that has the message held.
#[test]
fn behind_postfix_a_quarantine_undoes_what_an_independent_child_behind_it_wanted() {
    for (mta, edits) in [("Postfix 3.7", 1), ("8.17.1", 2)] {
        let mut policy = policy(2);
        policy.independent = vec![1];
        let mut world =
            World::new(policy, &[silent_at_end; 2].map(|child| child as super::driver::Behaviour));
        world = world.begin(mta);
        world.message();
        world.end();
        world.told.clear();
        finish(&mut world, 1, &[add("X-Unseen", "of the last")]);
        finish(&mut world, 0, &[Edit::Quarantine(Bytes::from_static(b"virus"))]);
        assert_eq!(world.told_edits().len(), edits, "{mta}");
    }
}

/// Nothing else has to happen for it.
#[test]
fn who_waits_for_an_independent_child_goes_on_once_the_one_before_that_is_stopped() {
    let mut policy = policy(3);
    policy.independent = vec![1];
    policy.watched = vec![Stage::EndOfHeaders];
    policy.decide = |child, _, _, _| match child.0 {
        0 => Decision::Stop(Why { condition: Arc::from("test"), place: Arc::from("test.conf:1") }),
        _ => Decision::Run(Effects::default()),
    };
    let silent_at_header = |stage: Stage, _: &[u8]| match stage {
        Stage::Header => None,
        _ => says(Final::Continue),
    };
    let mut world = World::new(policy, &[silent_at_header, agrees, agrees]).begin("Postfix 3.7");
    world.message();
    world.end();
    assert_eq!((world.seen(1), world.seen(2)), ("CHMRTLNBE".to_owned(), "CHMRT".to_owned()));
    world.reply(0, &Reply::Final(Final::Continue));
    assert_eq!(world.seen(2), "CHMRTLNBE");
    assert!(world.told_letters().ends_with('c'));
}

/// Its verdict was not needed, and it may take its time: the next message is another connection's affair.
#[test]
fn a_child_that_is_still_at_the_end_of_a_refused_message_does_not_hold_up_the_next() {
    let mut world = pending(&[1]);
    world.reply(0, &Reply::Final(Final::Reject));
    assert_eq!(world.told_letters(), "r");
    world.mail();
    assert_eq!(world.told_letters(), "c");
    assert_eq!(world.pool.asked, [('c', 0), ('c', 1), ('c', 2), ('c', 1)]);
    assert!(world.seen(1).ends_with("EACHM"), "{}: as one that was just connected", world.seen(1));
    assert!(world.closed(1));
}

#[test]
fn a_child_that_is_still_at_the_end_of_a_refused_message_does_not_hold_up_another_helo() {
    let mut world = pending(&[1]);
    world.reply(0, &Reply::Final(Final::Reject));
    world.told.clear();
    world.raw(b'H', b"again.test\0");
    assert_eq!(world.told_letters(), "c");
    assert!(world.seen(1).ends_with("EACH"), "{}", world.seen(1));
}

/// What it wants of the next message may be its content alone, and a condition may spare it all of it.
#[test]
fn who_was_let_go_at_the_end_of_a_message_is_connected_again_only_for_what_it_is_shown() {
    let content_only = |stage: Stage, _: &[u8]| match stage {
        Stage::Negotiate => negotiates(Actions::ALL, Protocol::NO_MAIL.with(Protocol::NO_RCPT)),
        Stage::EndOfMessage => None,
        _ => says(Final::Continue),
    };
    let stops_the_second: Decide = |child, _, facts, _| match (child.0, facts.sender) {
        (1, Some(b"<second@b.test>")) => {
            Decision::Stop(Why { condition: Arc::from("test"), place: Arc::from("test.conf:1") })
        }
        _ => Decision::Run(Effects::default()),
    };
    let no_conditions: Decide = |_, _, _, _| Decision::Run(Effects::default());
    for (second, decide) in [(content_only as Behaviour, no_conditions), (silent_at_end, stops_the_second)] {
        let mut policy = policy(2);
        (policy.independent, policy.watched, policy.decide) = (vec![1], vec![Stage::Mail], decide);
        let mut world = World::new(policy, &[silent_at_end, second]).begin("Postfix 3.7");
        world.message();
        world.end();
        world.reply(0, &Reply::Final(Final::Reject));
        world.told.clear();
        world.raw(b'M', b"<second@b.test>\0");
        assert_eq!((world.told_letters(), world.pool.asked.len()), ("c".to_owned(), 2));
    }
}
