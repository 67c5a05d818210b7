//! More connections than `max_connections`: some wait, none is lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use millstream_tests::mta_side::MtaSide;
use millstream_tests::until::until_true;
use millstream_tests::wire::Frame;

#[test]
fn two_hundred_clients_for_ten_places() {
    let Some(mut bench) = Bench::start("manager.max_connections = 10") else { return };
    let inside = AtomicUsize::new(0);
    let most = AtomicUsize::new(0);
    let address = &bench.address;
    thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                let mut session =
                    MtaSide::connect(address, Duration::from_secs(100)).expect("a place in the queue");
                session.negotiate().expect("a place in the manager");
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                session.begin().expect("the manager agrees");
                let ending = session.message().expect("the message passes");
                assert_eq!(ending.verdict, Frame::new(b'c', []));
                inside.fetch_sub(1, Ordering::SeqCst);
                session.quit().expect("the manager reads");
            });
        }
    });
    let most = most.into_inner();
    assert!(most <= 10, "{most} sessions at once");
    bench.assert_works();
}

#[test]
fn waiting_clients_are_served_when_places_get_free() {
    let Some(mut bench) = Bench::start("manager.max_connections = 3") else { return };
    let held: Vec<_> = (0..3).map(|_| bench.session()).collect();
    let address = bench.address.clone();
    let waiting = thread::spawn(move || {
        let mut session = MtaSide::connect(&address, Duration::from_secs(100)).expect("a place in the queue");
        session.negotiate().map(|_| ())
    });
    // The sessions inside go on meanwhile.
    let mut held = held.into_iter();
    let mut first = held.next().unwrap();
    assert_eq!(first.message().unwrap().verdict, Frame::new(b'c', []));
    assert!(!waiting.is_finished());

    first.quit().unwrap();

    until_true("the waiting client's turn", || waiting.is_finished());
    waiting.join().unwrap().unwrap();
    drop(held);
    bench.assert_works();
}

#[test]
fn thousand_connections_that_come_and_go() {
    let Some(mut bench) = Bench::start("") else { return };
    let start = Instant::now();
    for round in 0..1000 {
        let mut connection = bench.connect();
        match round % 4 {
            0 => {}
            1 => connection.raw(&[0]).unwrap(),
            2 => connection.send(&Frame::negotiation(6, 0x1FF, 0x1F_FFFF)).unwrap(),
            _ => drop(connection.negotiate()),
        }
    }
    bench.assert_works();
    assert!(start.elapsed() < Duration::from_secs(60));
}
