//! What a session says it does, when somebody asks.

use std::time::Duration;

use millstream_core::machine::Machine;
use millstream_core::wire::{Final, Reply, Stage};

use super::driver::{Behaviour, World, agrees, policy};

/// Says nothing at the end of a message.
const SLOW: Behaviour =
    |stage, _| (stage != Stage::EndOfMessage).then(|| vec![Reply::Final(Final::Continue)]);

#[test]
fn it_names_the_child_that_it_waits_for_and_since_when() {
    let mut world = World::new(policy(2), &[agrees, SLOW]).begin("Postfix 3.7");
    world.wait(Duration::from_secs(2));
    world.raw(b'D', b"Mi\x004jWC\0");
    world.message();
    world.end();
    world.wait(Duration::from_secs(3));

    let situation = world.session.describe(world.now()).unwrap();

    assert_eq!((situation.stage, situation.age), (Stage::EndOfMessage, Duration::from_secs(5)));
    assert_eq!(situation.client.unwrap().host, "client.test");
    assert_eq!(&*situation.queue_id, b"4jWC");
    let [waiting] = &situation.waits_for[..] else { panic!("{:?}", situation.waits_for) };
    assert_eq!((&*waiting.child, waiting.stage), ("child1", Stage::EndOfMessage));
    assert_eq!(waiting.since, Duration::from_secs(3));
}

#[test]
fn between_messages_it_waits_for_nobody_but_the_mta() {
    let mut world = World::new(policy(1), &[agrees]).begin("Postfix 3.7");
    world.message();
    world.end();
    let situation = world.session.describe(world.now()).unwrap();
    assert_eq!((situation.stage, situation.waits_for), (Stage::Helo, Vec::new()));
    assert!(situation.queue_id.is_empty());
}
