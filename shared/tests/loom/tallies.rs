//! What loops count and others read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use loom::thread;
use millstream_shared::{Rounds, Tallies};

#[test]
fn nothing_is_lost_and_a_message_is_counted_for_all_its_children_at_once() {
    loom::model(|| {
        let tallies = Arc::new(Tallies::<&str, 2>::new());
        let loops = [0, 1].map(|verdict| {
            let tallies = Arc::clone(&tallies);
            thread::spawn(move || tallies.count([(&"first", verdict), (&"second", verdict)]))
        });
        // Read in the order in which they are shown: what the first has said, the second has said by then.
        let first: u64 = tallies.of("first").iter().sum();
        let second: u64 = tallies.of("second").iter().sum();
        assert!(first <= second, "half a message: {first} and {second}");
        for thread in loops {
            thread.join().unwrap();
        }
        assert_eq!((tallies.of("first"), tallies.of("second")), ([1, 1], [1, 1]));
    });
}

#[test]
fn what_is_told_in_rounds_is_told_once() {
    loom::model(|| {
        let rounds = Arc::new(Rounds::new());
        let now = Instant::now();
        let one_more = move |rounds: &Rounds, is_last| rounds.one_more(is_last, now, Duration::from_secs(1));
        let other = thread::spawn({
            let rounds = Arc::clone(&rounds);
            move || [false, false].map(|is_last| one_more(&rounds, is_last))
        });
        let own = [false, false].map(|is_last| one_more(&rounds, is_last));
        let other = other.join().unwrap();
        // The first of all is told; what follows within the second waits for the last.
        let last = one_more(&rounds, true).unwrap();
        assert_eq!(last.all, 5);
        let told: Vec<_> = own.into_iter().chain(other).flatten().collect();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].new + last.new, 5);
    });
}
