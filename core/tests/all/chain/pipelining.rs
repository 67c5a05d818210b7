//! Content that is sent to a child before it has answered what was sent before.

use millstream_core::event::Event;
use millstream_core::wire::{Final, Reply, Stage};

use super::driver::{Behaviour, TestPolicy, World, agrees, policy, says};

fn pipelining() -> TestPolicy {
    TestPolicy { pipelining: true, ..policy(1) }
}

/// Says nothing of itself about the content.
fn hesitant(stage: Stage, _: &[u8]) -> Option<Vec<Reply>> {
    if stage >= Stage::Header && stage != Stage::Unknown { None } else { says(Final::Continue) }
}

/// Five headers, the end of headers, six chunks, the end.
fn message(world: &mut World) {
    world.mail();
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    (0..5).for_each(|_| world.header("X-Test", "value"));
    world.raw(b'N', b"");
    (0..6).for_each(|_| world.raw(b'B', &[b'x'; 1000]));
    world.told.clear();
    world.end();
}

fn reply(world: &mut World, count: usize, reply: &Final) {
    (0..count).for_each(|_| world.reply(0, &Reply::Final(reply.clone())));
}

#[test]
fn headers_and_their_end_are_sent_back_to_back_and_a_few_chunks_then() {
    let mut world = World::new(pipelining(), &[hesitant]).begin("Postfix 3.7");
    message(&mut world);
    assert_eq!(world.seen(0), "CHMRTLLLLLN");
    reply(&mut world, 5, &Final::Continue);
    assert_eq!(world.seen(0), "CHMRTLLLLLN", "a verdict at the end of headers is common");
    reply(&mut world, 1, &Final::Continue);
    assert_eq!(world.seen(0), "CHMRTLLLLLNBBBB");
    reply(&mut world, 1, &Final::Continue);
    assert_eq!(world.seen(0), "CHMRTLLLLLNBBBBB");
    reply(&mut world, 5, &Final::Continue);
    assert_eq!((world.seen(0), world.told_letters()), ("CHMRTLLLLLNBBBBBBE".to_owned(), String::new()));
    reply(&mut world, 1, &Final::Continue);
    assert_eq!(world.told_letters(), "c");
}

#[test]
fn without_the_setting_each_waits_for_the_one_before() {
    let mut world = World::new(policy(1), &[hesitant]).begin("Postfix 3.7");
    message(&mut world);
    assert_eq!(world.seen(0), "CHMRTL");
}

#[test]
fn what_a_child_does_not_want_any_more_is_not_sent() {
    let mut world = World::new(pipelining(), &[hesitant]).begin("Postfix 3.7");
    message(&mut world);
    reply(&mut world, 6, &Final::Continue);
    reply(&mut world, 1, &Final::Skip);
    assert_eq!(world.seen(0), "CHMRTLLLLLNBBBB");
    reply(&mut world, 3, &Final::Continue);
    assert_eq!(world.seen(0), "CHMRTLLLLLNBBBBE");
    reply(&mut world, 1, &Final::Continue);
    assert_eq!(world.told_letters(), "c");
}

/// libmilter forgets what was sent behind its verdict, others answer it: nobody can tell how many replies are to come.
#[test]
fn behind_a_verdict_half_way_the_child_gets_a_fresh_connection_for_the_next_message() {
    for (verdict, told) in [(Final::Accept, "c"), (Final::Reject, "r"), (Final::TemporaryFailure, "t")] {
        // An MTA's answer to a silent child first, so that what came before is told again too.
        let mut world = World::new(pipelining(), &[hesitant]).begin("Postfix 3.7");
        message(&mut world);
        reply(&mut world, 2, &Final::Continue);
        world.reply(0, &Reply::Final(verdict.clone()));
        assert_eq!(world.told_letters(), told, "{verdict:?}");
        assert_eq!(world.pool.asked, [('c', 0)], "not before it is needed");

        world.behave(0, agrees);
        message(&mut world);
        assert_eq!(world.pool.asked, [('c', 0), ('c', 0)]);
        assert_eq!(world.seen(0), "CHMRTLLLLLNCHMRTLLLLLNBBBBBBE", "{verdict:?}");
        assert_eq!(world.told_letters(), "c", "{verdict:?}");
        assert!(!world.events.iter().any(|event| matches!(event, Event::ChildFailed { .. })));
    }
}

#[test]
fn behind_a_verdict_at_the_last_of_several_the_connection_is_good() {
    let at_end_of_headers = |stage: Stage, _: &[u8]| {
        says(if stage == Stage::EndOfHeaders { Final::Accept } else { Final::Continue })
    };
    let mut world = World::new(pipelining(), &[at_end_of_headers]).begin("Postfix 3.7");
    for _ in 0..2 {
        message(&mut world);
        assert_eq!(world.told_letters(), "c");
    }
    assert_eq!((world.seen(0), world.pool.asked.len()), ("CHMRTLLLLLNMRTLLLLLN".to_owned(), 1));
}

/// The verdict on a message that was taken back is of no interest, and what stands behind it cannot be counted either.
#[test]
fn late_replies_to_a_message_that_was_taken_back_are_swallowed() {
    for (late, asked) in [(Final::Continue, 1), (Final::Reject, 2)] {
        let mut world = World::new(pipelining(), &[hesitant]).begin("Postfix 3.7");
        world.mail();
        world.rcpt("<c@d.test>");
        world.raw(b'T', b"");
        (0..5).for_each(|_| world.header("X-Test", "value"));
        world.raw(b'A', b"");
        world.mail();
        assert_eq!(world.seen(0), "CHMRTLLLLLA", "the replies to the headers are still to come");
        world.told.clear();
        world.behave(0, agrees);
        reply(&mut world, 2, &Final::Continue);
        world.reply(0, &Reply::Final(late.clone()));
        if late == Final::Continue {
            reply(&mut world, 2, &Final::Continue);
        }
        assert_eq!((world.pool.asked.len(), world.told_letters()), (asked, "c".to_owned()), "{late:?}");
    }
}

#[test]
fn nothing_is_sent_behind_the_end_or_the_envelope() {
    let silent: Behaviour = |stage, payload| match stage {
        Stage::Data | Stage::EndOfMessage => None,
        stage => agrees(stage, payload),
    };
    let mut world = World::new(pipelining(), &[silent]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    assert_eq!(world.seen(0), "CHMRT");
    reply(&mut world, 1, &Final::Continue);
    world.header("Subject", "test");
    world.raw(b'N', b"");
    world.end();
    assert_eq!(world.seen(0), "CHMRTLNE");
}

/// They come one after another, and each is waited for as long as any.
#[test]
fn each_of_several_late_replies_has_its_own_time() {
    let mut world = World::new(pipelining(), &[hesitant]).begin("Postfix 3.7");
    world.mail();
    world.rcpt("<c@d.test>");
    world.raw(b'T', b"");
    (0..5).for_each(|_| world.header("X-Test", "value"));
    world.raw(b'A', b"");
    for _ in 0..5 {
        world.wait(std::time::Duration::from_secs(5));
        reply(&mut world, 1, &Final::Continue);
    }
    assert!(!world.events.iter().any(|event| matches!(event, Event::ChildFailed { .. })));
    world.behave(0, agrees);
    world.told.clear();
    world.mail();
    assert_eq!(world.told_letters(), "c");
}

#[test]
fn a_child_that_is_connected_again_for_a_helo_is_told_only_that() {
    let mut world = World::new(pipelining(), &[hesitant]).begin("Postfix 3.7");
    message(&mut world);
    world.reply(0, &Reply::Final(Final::Accept));
    world.behave(0, agrees);
    world.raw(b'H', b"other.test\0");
    assert_eq!(world.seen(0), "CHMRTLLLLLNCH");
}
