//! MTAs that hold a place and come to nothing.

use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use millstream_tests::bench::{self, Bench, folder};
use millstream_tests::counting_child::Child;
use millstream_tests::mta_side::MtaSide;
use millstream_tests::until::until_true;
use millstream_tests::wire::Frame;

use crate::assert_bounded;

/// Each takes all places but one; the others have theirs when its time is over, and mail goes through the last meanwhile.
fn loses_its_places(
    settings: &str,
    told: &str,
    hold: impl Fn(MtaSide) + Sync,
    begin: impl Fn(&Bench) -> MtaSide,
) {
    const PLACES: usize = 4;
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let child = Child::agreeing(&socket);
    let settings = format!("manager.max_connections = {PLACES}\n{settings}");
    let milters = bench::milter("child", &[&socket], &["fallback_status = \"reject\""]);
    let mut bench = Bench::start(&folder, &settings, &milters);
    assert_eq!(bench.mail(), 'c');

    thread::scope(|scope| {
        let slow: Vec<MtaSide> = (1..PLACES).map(|_| begin(&bench)).collect();
        let slow: Vec<_> = slow.into_iter().map(|mta| scope.spawn(|| hold(mta))).collect();
        // As long as they are there, and at least a few.
        let mut mails = 0;
        until_true("the end of the slow ones", || {
            assert_eq!(bench.mail(), 'c', "{}", bench.manager.log());
            mails += 1;
            slow.iter().all(thread::ScopedJoinHandle::is_finished)
        });
        assert_eq!(child.count(b'E'), mails + 1, "each was filtered");
    });

    assert_eq!(bench.lines(&["[failed] MTA", told]), PLACES - 1, "{}", bench.manager.log());
    // All places are there again.
    let all: Vec<MtaSide> = (0..PLACES).map(|_| bench.session()).collect();
    drop(all);
    assert_bounded(&mut bench);
}

/// Sends a byte now and then, until the manager closes.
fn drip(mut mta: MtaSide) {
    loop {
        if mta.raw(b"x").is_err() {
            return;
        }
        match mta.receive() {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => return,
        }
    }
}

/// An MTA that waits for an answer for so long, and then sends the next byte.
const PACE: Duration = Duration::from_millis(50);

#[test]
fn one_that_never_negotiates_loses_its_place() {
    loses_its_places("manager.mta_greeting_timeout = 3", "no negotiation after 3000 ms", drip, |bench| {
        let mut mta = MtaSide::connect(&bench.address(), PACE).expect("it listens");
        // The beginning of an offer that is longer than it will ever get.
        mta.raw(&[0, 0, 0xFF, 0xFF, b'O']).expect("it reads");
        mta
    });
}

#[test]
fn one_that_never_ends_a_command_loses_its_place() {
    loses_its_places("manager.mta_idle_timeout = 3", "no command after 3000 ms", drip, |bench| {
        let mut mta = MtaSide::connect(&bench.address(), PACE).expect("it listens");
        mta.offer().expect("it reads");
        until_true("the answer to the offer", || mta.has_answer());
        mta.take_wishes().expect("an answer");
        mta.raw(&[0, 0, 0xFF, 0xFF, b'H']).expect("it reads");
        mta
    });
}

#[test]
fn one_that_never_ends_a_message_loses_its_place() {
    loses_its_places("manager.mta_idle_timeout = 3", "no command after 3000 ms", drip, |bench| {
        let mut mta = bench.session();
        mta.begin().expect("it agrees");
        for command in [
            Frame::strings(b'M', ["<sender@example.org>"]),
            Frame::strings(b'R', ["<user@example.com>"]),
            Frame::new(b'T', []),
        ] {
            assert_eq!(mta.command(&command).expect("an answer").letter, b'c');
        }
        mta.limit(PACE);
        mta.raw(&[0, 0, 0xFF, 0xFF, b'B']).expect("it reads");
        mta
    });
}

#[test]
fn one_that_never_reads_loses_its_place() {
    let hello = Frame::strings(b'H', ["deaf.example.org"]).bytes().repeat(1000);
    loses_its_places(
        "manager.mta_writing_timeout = 1",
        "does not read its replies after 1000 ms",
        |mut mta| while mta.raw(&hello).is_ok() {},
        Bench::session,
    );
}
