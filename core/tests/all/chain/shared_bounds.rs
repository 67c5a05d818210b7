//! Bounds over all sessions together, and over the time of a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream_core::event::{Event, LimitName, MessageEnd};
use millstream_core::machine::{Input, Peer};
use millstream_core::reserve::{Reserve, Room};
use millstream_core::wire::{Actions, Edit, Final, Protocol, Reply, Stage};

use super::driver::{World, agrees, negotiates, policy, says};

/// Counts for one thread.
#[derive(Debug, Default)]
struct Counted {
    memory: AtomicU64,
    files: AtomicU64,
}

impl Counted {
    fn of(&self, room: Room) -> &AtomicU64 {
        match room {
            Room::Memory => &self.memory,
            Room::Files => &self.files,
        }
    }

    fn now(&self) -> (u64, u64) {
        (self.memory.load(Ordering::SeqCst), self.files.load(Ordering::SeqCst))
    }
}

impl Reserve for Counted {
    fn take(&self, room: Room, bytes: u64, limit: u64) -> bool {
        let count = self.of(room);
        let fits = count.load(Ordering::SeqCst) + bytes <= limit;
        if fits {
            count.fetch_add(bytes, Ordering::SeqCst);
        }
        fits
    }

    fn give_back(&self, room: Room, bytes: u64) {
        assert!(self.of(room).fetch_sub(bytes, Ordering::SeqCst) >= bytes, "more than was taken");
    }
}

/// Reads the body only.
fn scanner(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    match stage {
        Stage::Negotiate => negotiates(Actions::NONE, Protocol::NONE),
        _ => says(Final::Continue),
    }
}

/// A session of three children, of which two have to wait for the first one's changes.
fn session(total_memory: u64, total_files: u64, own_files: u64, reserve: &Arc<Counted>) -> World {
    let mut policy = policy(3);
    policy.limits.total_body_bytes = total_memory;
    policy.limits.total_spill_bytes = total_files;
    policy.limits.spill_bytes = own_files;
    let reserve = Arc::<Counted>::clone(reserve);
    World::new(policy, &[agrees, scanner, scanner]).counting(reserve).begin("Postfix 3.7")
}

fn pass(world: &mut World, body: &[u8]) -> String {
    up_to_the_end(world, body);
    world.told.clear();
    world.end();
    world.told_letters()
}

fn up_to_the_end(world: &mut World, body: &[u8]) {
    world.mail();
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    world.raw(b'N', b"");
    for chunk in body.chunks(32 << 10) {
        world.raw(b'B', chunk);
    }
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

fn body() -> Vec<u8> {
    (0..1 << 20).map(|at: u32| (at / 7) as u8).collect()
}

#[test]
fn what_a_session_keeps_is_counted_while_it_keeps_it() {
    let reserve = Arc::<Counted>::default();
    let mut world = session(8 << 20, 1 << 30, 1 << 30, &reserve);
    up_to_the_end(&mut world, &body());
    assert_eq!(reserve.now(), (1 << 20, 0));
    world.told.clear();
    world.end();
    assert_eq!(world.told_letters(), "c");
    assert_eq!(reserve.now(), (0, 0));

    up_to_the_end(&mut world, &body());
    world.raw(b'A', b"");
    assert_eq!(reserve.now(), (0, 0), "after an abort");
    up_to_the_end(&mut world, &body());
    drop(world);
    assert_eq!(reserve.now(), (0, 0), "after the session, however it ended");
}

#[test]
fn where_others_use_the_memory_a_body_goes_into_a_file_and_nobody_sees_a_difference() {
    let reserve = Arc::<Counted>::default();
    let mut first = session(1 << 20, 1 << 30, 1 << 30, &reserve);
    up_to_the_end(&mut first, &body());
    assert_eq!(reserve.now(), (1 << 20, 0), "all of it");
    let mut second = session(1 << 20, 1 << 30, 1 << 30, &reserve);
    assert_eq!(pass(&mut second, &body()), "c");
    assert!(second.disk_used > 900_000, "{}", second.disk_used);
    assert_eq!(second.body_seen(1), body());
    assert_eq!(second.body_seen(2), body());
    assert_eq!(reserve.now(), (1 << 20, 0), "its file is gone again");
    assert_eq!(pass(&mut second, b"small"), "c", "a small message passes without any room");
}

#[test]
fn without_room_anywhere_a_message_is_a_temporary_failure() {
    let reserve = Arc::<Counted>::default();
    let mut world = session(100 << 10, 1 << 30, 0, &reserve);
    assert_eq!((pass(&mut world, &body()), over(&world)), ("t".to_owned(), LimitName::TotalBodyBytes));
    assert_eq!(reserve.now(), (0, 0));

    let mut world = session(100 << 10, 300 << 10, 1 << 30, &reserve);
    assert_eq!((pass(&mut world, &body()), over(&world)), ("t".to_owned(), LimitName::TotalSpillBytes));
    assert_eq!(reserve.now(), (0, 0));
    assert_eq!(pass(&mut world, b"small"), "c", "the next message is not harmed");
}

#[test]
fn a_new_body_from_a_milter_counts_too() {
    let reserve = Arc::<Counted>::default();
    let mut policy = policy(1);
    policy.limits.total_body_bytes = 1 << 20;
    let rewriter = |stage: Stage, _: &[u8]| match stage {
        Stage::EndOfMessage => {
            let piece = || Reply::Edit(Edit::ReplaceBody(vec![b'x'; 60_000].into()));
            Some((0..40).map(|_| piece()).chain([Reply::Final(Final::Continue)]).collect())
        }
        _ => says(Final::Continue),
    };
    let shared = Arc::<Counted>::clone(&reserve);
    let mut world = World::new(policy, &[rewriter]).counting(shared).begin("Postfix 3.7");
    assert_eq!((pass(&mut world, b"small"), over(&world)), ("t".to_owned(), LimitName::TotalBodyBytes));
    assert_eq!(reserve.now(), (0, 0));
}

#[test]
fn a_message_that_takes_too_long_is_a_temporary_failure_at_its_end() {
    let mut policy = policy(2);
    policy.limits.message_time = Duration::from_secs(100);
    let mut world = World::new(policy, &[agrees, agrees]).begin("Postfix 3.7");
    world.message();
    world.wait(Duration::from_secs(99));
    assert!(!world.seen(0).contains('A'));
    world.wait(Duration::from_secs(2));
    assert!(world.seen(0).ends_with('A'), "{}: the milters are let go at once", world.seen(0));
    world.raw(b'B', b"more of it");
    world.told.clear();
    world.end();
    assert_eq!((world.told_letters(), over(&world)), ("t".to_owned(), LimitName::MessageTime));

    world.message();
    world.told.clear();
    world.end();
    assert_eq!(world.told_letters(), "c", "the time of the next message is its own");
    world.wait(Duration::from_secs(200));
    world.handle(Input::Closed { peer: Peer::MTA, why: millstream_core::machine::Closure::Eof });
}
