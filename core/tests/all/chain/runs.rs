//! Body chunks that come in one read: each child is shown them one by one, as if each had come alone.

use bytes::BytesMut;
use millstream_core::machine::{Input, Peer};
use millstream_core::policy::{Decision, Effects};
use millstream_core::wire::{Actions, CHUNK_SIZE, Final, Protocol, Reply, Stage, head};

use super::conditions::stop;
use super::driver::{Behaviour, TestPolicy, World, agrees, negotiates, policy, says};

/// Answers nothing before the end of the message.
fn silent(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    match stage {
        Stage::Negotiate => negotiates(Actions::NONE, Protocol::NO_REPLY),
        Stage::EndOfMessage => says(Final::Continue),
        _ => Some(Vec::new()),
    }
}

/// Answers everything and may change nothing.
fn reader(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    match stage {
        Stage::Negotiate => negotiates(Actions::NONE, Protocol::SKIP),
        _ => says(Final::Continue),
    }
}

/// Wants no more after the chunk `three`.
fn skips(stage: Stage, payload: &[u8]) -> Option<Vec<Reply>> {
    match stage {
        Stage::Body if payload == b"three" => says(Final::Skip),
        _ => reader(stage, payload),
    }
}

/// Passes a message with these chunks, all of them in one read. Returns the letters that the MTA was told.
fn pass(world: &mut World, chunks: &[Vec<u8>]) -> String {
    world.mail();
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    world.raw(b'N', b"");
    let mut data = BytesMut::new();
    for chunk in chunks {
        data.extend_from_slice(&head(b'B', chunk.len()));
        data.extend_from_slice(chunk);
    }
    world.handle(Input::Received { peer: Peer::MTA, data });
    world.told.clear();
    world.end();
    world.told_letters()
}

fn words() -> Vec<Vec<u8>> {
    ["one", "two", "three", "four", "five", "six"].map(|word| word.as_bytes().to_vec()).to_vec()
}

/// Chunks of such sizes, each of other bytes.
fn chunks(sizes: &[usize]) -> Vec<Vec<u8>> {
    sizes.iter().enumerate().map(|(number, size)| vec![b'a' + (number % 26) as u8; *size]).collect()
}

/// What the chunks that a child was shown have to be: `expected`, neither joined nor cut.
fn assert_shown(world: &World, child: usize, expected: &[Vec<u8>]) {
    let letters = world.seen(child);
    assert_eq!(letters.matches('B').count(), expected.len(), "child {child}: {letters}");
    assert!(world.body_seen(child) == expected.concat(), "child {child}");
}

const EVERYBODY: [Behaviour; 4] = [silent, reader, agrees, silent];

#[test]
fn everybody_is_shown_every_chunk_whatever_it_answers() {
    let many = [7; 3000];
    let mixed = [1, 4090, 4091, 4096, 3, 65_535, 16_384, 16_383, 1, 65_535, 2];
    for pipelining in [false, true] {
        for sizes in [&[1][..], &[3, 5], &many, &mixed] {
            let policy = TestPolicy { pipelining, ..policy(4) };
            let mut world = World::new(policy, &EVERYBODY).begin("Postfix 3.7");
            let chunks = chunks(sizes);
            assert_eq!(pass(&mut world, &chunks), "c");
            (0..4).for_each(|child| assert_shown(&world, child, &chunks));
        }
    }
}

#[test]
fn among_others_an_empty_chunk_is_left_out_and_a_long_one_is_cut() {
    let mut world = World::new(policy(4), &EVERYBODY).begin("Postfix 3.7");
    let sizes = [3, 0, 4, CHUNK_SIZE + 2, 0, 5];
    assert_eq!(pass(&mut world, &chunks(&sizes)), "c");
    let [three, _, four, long, _, five] = chunks(&sizes).try_into().unwrap();
    let (start, end) = long.split_at(CHUNK_SIZE);
    let expected = [three, four, start.to_vec(), end.to_vec(), five];
    (0..4).for_each(|child| assert_shown(&world, child, &expected));
}

#[test]
fn a_child_that_wants_no_more_is_not_sent_the_rest() {
    for pipelining in [false, true] {
        let policy = TestPolicy { pipelining, ..policy(3) };
        let mut world = World::new(policy, &[skips, silent, reader]).begin("Postfix 3.7");
        assert_eq!(pass(&mut world, &words()), "c");
        // Four go ahead of its reply to the first.
        let shown = if pipelining { 4 } else { 3 };
        assert_shown(&world, 0, &words()[..shown]);
        (1..3).for_each(|child| assert_shown(&world, child, &words()));
        assert!(world.seen(0).ends_with('E'));
    }
}

#[test]
fn conditions_are_asked_about_each_chunk() {
    let mut policy = policy(2);
    policy.watched = vec![Stage::Body];
    policy.decide = |child, _, facts, _| match (child.0, facts.body) {
        (0, Some(b"four")) => stop(),
        _ => Decision::Run(Effects::default()),
    };
    for behaviour in [silent, reader] {
        let mut world = World::new(policy.clone(), &[behaviour, silent]).begin("Postfix 3.7");
        assert_eq!(pass(&mut world, &words()), "c");
        assert_shown(&world, 0, &words()[..3]);
        assert!(world.seen(0).ends_with("BBBA"));
        assert_shown(&world, 1, &words());
    }
}

#[test]
fn chunks_that_were_put_away_come_back_one_by_one() {
    let mut policy = policy(4);
    policy.limits.body_bytes = 20_000;
    // All wait for the first, which may change the body.
    let mut world = World::new(policy, &[agrees, reader, silent, skips]).begin("Postfix 3.7");
    let mut chunks = chunks(&[500; 300]);
    chunks.insert(150, b"three".to_vec());
    assert_eq!(pass(&mut world, &chunks), "c");
    assert!(world.disk_used > 100_000, "{}", world.disk_used);
    (0..3).for_each(|child| assert_shown(&world, child, &chunks));
    assert_shown(&world, 3, &chunks[..=150]);
}
