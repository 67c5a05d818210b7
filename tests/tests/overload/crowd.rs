//! Ten times as many as there are places.

use std::thread;

use millstream_tests::bench::{self, Bench, connect, folder};
use millstream_tests::counting_child::Child;
use millstream_tests::manager_log::expect_line;
use millstream_tests::mta_side::MtaSide;
use millstream_tests::until::{PATIENCE, until_true};

use crate::assert_bounded;

/// `manager.max_connections`: who is inside is served as ever, and the others come in one for one, in their order.
#[test]
fn ten_times_the_allowed_connections_are_served_in_turn() {
    const PLACES: usize = 10;
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let child = Child::agreeing(&socket);
    let settings = format!("manager.max_connections = {PLACES}");
    let milters = bench::milter("child", &[&socket], &["fallback_status = \"reject\""]);
    let mut bench = Bench::start(&folder, &settings, &milters);
    let mut inside: Vec<MtaSide> = (0..PLACES).map(|_| begun(&bench)).collect();
    let mut outside: Vec<MtaSide> = (0..9 * PLACES)
        .map(|_| {
            let mut mta = bench.connection();
            mta.offer().expect("the kernel keeps it");
            mta
        })
        .collect();
    expect_line(&bench.manager, &["[accept][paused] 10 sessions are running (manager.max_connections)"]);

    for mta in &mut inside {
        for _ in 0..3 {
            assert_eq!(mta.message().expect("it is served").verdict.letter, b'c');
        }
    }
    assert!(outside.iter_mut().all(|mta| !mta.has_answer()), "nobody else is inside");

    // The first who leaves makes room for the first who waits.
    for turn in 0..outside.len() {
        inside.remove(0).quit().expect("it reads");
        let mut next = outside.remove(0);
        next.take_wishes().unwrap_or_else(|error| panic!("turn {turn}: {error}"));
        assert!(outside.iter_mut().all(|mta| !mta.has_answer()), "turn {turn}: one place, one session");
        next.begin().expect("it is served");
        assert_eq!(next.message().expect("it is served").verdict.letter, b'c');
        inside.push(next);
    }
    inside.into_iter().for_each(|mta| mta.quit().expect("it reads"));
    expect_line(&bench.manager, &["[accept][resumed]"]);
    assert_eq!(child.count(b'E'), 3 * PLACES + 9 * PLACES, "each message was filtered once");
    assert_bounded(&mut bench);
}

/// `milter.max_connections`: who gets no connection within `milter.queue_timeout` has the configured answer.
#[test]
fn ten_times_the_connections_of_a_milter_have_its_fallback_in_time() {
    const PLACES: usize = 4;
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let child = Child::agreeing(&socket);
    let lines = [
        "max_connections = 4",
        "queue_timeout = 0.5",
        "fallback_status = \"reject\"",
        "fallback_status_at_connect = \"temporary-failure\"",
    ];
    let mut bench = Bench::start(&folder, "", &bench::milter("child", &[&socket], &lines));
    let mut inside: Vec<MtaSide> = (0..PLACES).map(|_| begun(&bench)).collect();

    let answers: Vec<char> = thread::scope(|scope| {
        let bench = &bench;
        let visits: Vec<_> =
            (0..9 * PLACES).map(|n| scope.spawn(move || bench.visit(&format!("late-{n}")))).collect();
        for mta in &mut inside {
            assert_eq!(mta.message().expect("it is served").verdict.letter, b'c');
        }
        visits.into_iter().map(|visit| visit.join().expect("an answer")).collect()
    });

    assert!(answers.iter().all(|&answer| answer == 't'), "{answers:?}");
    let told = bench.lines(&["[failed] child", "too many connections to it, and none became free in time"]);
    assert_eq!(told, 9 * PLACES);
    for mut mta in inside {
        assert_eq!(mta.message().expect("it is served").verdict.letter, b'c');
        mta.quit().expect("it reads");
    }
    until_true("their ends", || child.open() == 0);
    assert_eq!(bench.mail(), 'c');
    assert_eq!(bench.lines(&["[down]"]), 0, "busy is not down");
    assert_bounded(&mut bench);
}

/// A session after CONNECT and HELO, with its milter.
fn begun(bench: &Bench) -> MtaSide {
    let mut mta = MtaSide::connect(&bench.address(), PATIENCE).expect("it listens");
    mta.negotiate().expect("a place");
    assert_eq!(mta.command(&connect("inside")).expect("an answer").letter, b'c');
    mta
}
