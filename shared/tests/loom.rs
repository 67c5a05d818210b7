//! Every interleaving of small cases. Empty without `--cfg loom`.

#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "tests report by panicking")]

use loom::sync::Arc;
use loom::thread;
use millstream_core::reserve::{Reserve, Room};
use millstream_shared::Counted;

#[test]
fn two_sessions_never_keep_more_than_the_limit_together_and_nothing_is_lost() {
    loom::model(|| {
        let counted = Arc::new(Counted::new());
        let session = |counted: Arc<Counted>| {
            move || {
                let taken = counted.take(Room::Memory, 6, 10);
                if taken {
                    assert!(counted.bytes(Room::Memory) <= 10);
                    counted.give_back(Room::Memory, 6);
                }
                taken
            }
        };
        let other = thread::spawn(session(Arc::clone(&counted)));
        let mine = session(Arc::clone(&counted))();
        let theirs = other.join().unwrap();
        assert!(mine || theirs, "one of two fits in any case");
        assert_eq!(counted.bytes(Room::Memory), 0);
    });
}
