//! A body that does not fit into memory goes through a file, and nobody sees a difference.

use millstream_core::event::{Event, LimitName, MessageEnd};
use millstream_core::wire::{Actions, Final, Protocol, Reply, Stage};

use super::driver::{TestPolicy, World, agrees, negotiates, policy, says};

/// Reads the body only.
fn scanner(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    match stage {
        Stage::Negotiate => negotiates(Actions::NONE, Protocol::NONE),
        _ => says(Final::Continue),
    }
}

/// Two readers behind a child that may change the body, so that the whole message has to be kept for them.
fn small_memory() -> TestPolicy {
    let mut policy = policy(3);
    policy.limits.body_bytes = 10_000;
    policy
}

/// `count` chunks of 3,000 bytes, each different.
fn chunks(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("{number:09}\n").repeat(300).into_bytes()).collect()
}

fn pass(world: &mut World, chunks: &[Vec<u8>]) -> String {
    world.mail();
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    world.raw(b'N', b"");
    for chunk in chunks {
        world.raw(b'B', chunk);
    }
    world.told.clear();
    world.end();
    world.told_letters()
}

#[test]
fn every_child_sees_the_whole_body_that_went_through_a_file() {
    let mut world = World::new(small_memory(), &[agrees, scanner, agrees]).begin("Postfix 3.7");
    for count in [1, 10, 100] {
        let chunks = chunks(count);
        let before: Vec<usize> = (0..3).map(|child| world.body_seen(child).len()).collect();
        assert_eq!(pass(&mut world, &chunks), "c");
        for (child, before) in before.into_iter().enumerate() {
            assert_eq!(world.body_seen(child)[before..], chunks.concat(), "child {child}, {count} chunks");
        }
    }
    assert!(world.disk_used > 250_000, "{}", world.disk_used);
    assert!(world.disk_dropped && world.disk.as_ref().is_some_and(Vec::is_empty), "the file is deleted");
}

#[test]
fn a_body_that_only_streams_through_needs_no_file() {
    let mut policy = policy(2);
    policy.limits.body_bytes = 10_000;
    let mut world = World::new(policy, &[scanner, scanner]).begin("Postfix 3.7");
    assert_eq!(pass(&mut world, &chunks(100)), "c");
    assert_eq!(world.disk_used, 0);
}

fn over(world: &World) -> LimitName {
    match world.events.last() {
        Some(Event::Message(report)) => match report.end {
            MessageEnd::OverLimit(limit) => limit,
            ref other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_disk_is_a_temporary_failure_and_told() {
    let mut world = World::new(small_memory(), &[agrees, scanner, agrees]).begin("Postfix 3.7");
    world.disk = None;
    assert_eq!(pass(&mut world, &chunks(100)), "t");
    assert_eq!(over(&world), LimitName::SpillFile);
    assert!(world.events.iter().any(|event| matches!(event, Event::SpillFailed { .. })));
    assert_eq!(pass(&mut world, &chunks(1)), "c", "the next message is not harmed");
}

/// Half a body must not reach the children behind.
#[test]
fn a_file_that_does_not_give_back_what_was_written_is_a_temporary_failure() {
    let mut world = World::new(small_memory(), &[agrees, scanner, agrees]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    world.raw(b'N', b"");
    for chunk in chunks(100) {
        world.raw(b'B', &chunk);
    }
    world.disk.as_mut().unwrap().fill(0xFF);
    world.told.clear();
    world.end();
    assert_eq!(world.told_letters(), "t");
    assert_eq!(over(&world), LimitName::SpillFile);
    assert!(!world.seen(1).ends_with('E') && !world.seen(2).ends_with('E'));
}

#[test]
fn a_message_past_the_limit_of_the_file_is_a_temporary_failure() {
    let mut policy = small_memory();
    policy.limits.spill_bytes = 50_000;
    let mut world = World::new(policy, &[agrees, scanner, agrees]).begin("Postfix 3.7");
    assert_eq!(pass(&mut world, &chunks(100)), "t");
    assert_eq!(over(&world), LimitName::SpillBytes);
    assert!(world.disk_dropped);
}

#[test]
fn without_files_the_limit_is_that_of_memory() {
    let mut policy = small_memory();
    policy.limits.spill_bytes = 0;
    let mut world = World::new(policy, &[agrees, scanner, agrees]).begin("Postfix 3.7");
    assert_eq!(pass(&mut world, &chunks(100)), "t");
    assert_eq!(over(&world), LimitName::BodyBytes);
}
