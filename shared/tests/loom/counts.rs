//! What is counted: bytes, sessions, breakers and places of children.

use std::time::Duration;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;
use millstream_core::machine::{IoError, IoKind};
use millstream_core::pool::breaker::{self, Standing};
use millstream_core::pool::shared::{Places, Switch, Taken};
use millstream_core::reserve::{Reserve, Room};
use millstream_core::time::Instant;
use millstream_shared::{Admission, Breaker, Counted, PlaceCount};

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

#[test]
fn an_acceptor_that_waits_for_a_place_is_woken() {
    loom::model(|| {
        let admission = Arc::new(Admission::new(1));
        let wakes = Arc::new(Notify::new());
        admission.enter();
        let session = thread::spawn({
            let (admission, wakes) = (Arc::clone(&admission), Arc::clone(&wakes));
            move || {
                if admission.leave() {
                    wakes.notify();
                }
            }
        });
        while !admission.has_room() && admission.wait() {
            // A wake-up that is lost would be waited for in vain, which the model finds.
            wakes.wait();
        }
        assert!(admission.has_room());
        session.join().unwrap();
    });
}

const RETRY: Duration = Duration::from_secs(5);
const DOWN: IoError = IoError { kind: IoKind::Refused, code: 111 };

const fn second(n: u64) -> Instant {
    Instant::from_nanos(n * 1_000_000_000)
}

#[test]
fn a_child_that_goes_down_is_told_by_one_of_the_loops_that_find_out() {
    loom::model(|| {
        let switch = Arc::new(Breaker::new());
        let find_out = |switch: Arc<Breaker>, at| move || breaker::open(&*switch, second(at), RETRY, DOWN);
        let other = thread::spawn(find_out(Arc::clone(&switch), 10));
        let mine = find_out(Arc::clone(&switch), 11)();
        assert!(mine != other.join().unwrap(), "told exactly once");
        let outage = breaker::outage(&*switch).unwrap();
        assert!((second(10)..=second(11)).contains(&outage.since));
        assert!(outage.next_try >= second(15));
    });
}

#[test]
fn one_loop_tries_a_child_that_is_down_and_its_return_is_told_once() {
    loom::model(|| {
        let switch = Arc::new(Breaker::new());
        assert!(breaker::open(&*switch, second(1), RETRY, DOWN));
        let tries = Arc::new(AtomicU32::new(0));
        let session = |switch: Arc<Breaker>, tries: Arc<AtomicU32>| {
            move || match breaker::ask(&*switch, second(6), RETRY) {
                Standing::Probe => {
                    assert_eq!(tries.fetch_add(1, Ordering::SeqCst), 0, "two tries at once");
                    let down_for = breaker::close(&*switch, second(7));
                    assert_eq!(down_for, Some(Duration::from_secs(6)));
                    1
                }
                Standing::Open(outage) => {
                    assert_eq!((outage.since, outage.error), (second(1), DOWN));
                    0
                }
                // The other one has seen it back.
                Standing::Closed => 0,
            }
        };
        let other = thread::spawn(session(Arc::clone(&switch), Arc::clone(&tries)));
        let mine = session(Arc::clone(&switch), tries)();
        assert_eq!(mine + other.join().unwrap(), 1);
        assert_eq!(switch.word(), 0);
    });
}

/// Two loops with a session each, and one place.
#[test]
fn every_session_that_waits_for_a_place_gets_it_and_no_place_is_had_twice() {
    loom::model(|| {
        let places = Arc::new(PlaceCount::new());
        let wakes = [Arc::new(Notify::new()), Arc::new(Notify::new())];
        let holders = Arc::new(AtomicU32::new(0));
        let event_loop = |own: u32| {
            let (places, wakes, holders) = (Arc::clone(&places), wakes.clone(), Arc::clone(&holders));
            move || {
                if places.take(own, 1) != Taken::Place {
                    let mut handed = places.collect(own);
                    while handed == 0 {
                        wakes[own as usize].wait();
                        handed = places.collect(own);
                    }
                    assert_eq!(handed, 1);
                    places.leave(own);
                }
                assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two hold the place");
                holders.fetch_sub(1, Ordering::SeqCst);
                if let Some(to) = places.give_back(1) {
                    wakes[to as usize].notify();
                }
            }
        };
        let other = thread::spawn(event_loop(1));
        event_loop(0)();
        other.join().unwrap();
        assert_eq!((places.taken(), places.is_waited_for()), (0, false));
    });
}

/// A place is on its way to a loop whose session gives up.
#[test]
fn a_place_for_a_session_that_gave_up_is_not_lost() {
    loom::model(|| {
        let places = Arc::new(PlaceCount::new());
        assert_eq!(places.take(0, 1), Taken::Place);
        assert_eq!(places.take(1, 1), Taken::Wait(None));
        let wake = Arc::new(AtomicU32::new(0));
        let holder = thread::spawn({
            let (places, wake) = (Arc::clone(&places), Arc::clone(&wake));
            move || {
                if places.give_back(1).is_some() {
                    wake.store(1, Ordering::SeqCst);
                }
            }
        });
        places.leave(1);
        holder.join().unwrap();
        if wake.load(Ordering::SeqCst) == 1 {
            for _ in 0..places.collect(1) {
                assert_eq!(places.give_back(1), None);
            }
        }
        assert_eq!((places.taken(), places.is_waited_for()), (0, false));
        assert_eq!(places.take(0, 1), Taken::Place);
    });
}
