//! `milter.reuse_connections`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use millstream_tests::scratch::Scratch;
use millstream_tests::until::until_true;
use millstream_tests::wire::Frame;

use millstream_tests::bench::{Bench, folder, milter, stays};
use millstream_tests::counting_child::{Answer, Child, agree, agreed};

/// One thread: each keeps its own.
const SINGLE: &str = "manager.n_workers = 1";

const LINES: [&str; 3] = ["reuse_connections = true", "fallback_status = \"reject\"", "retry_interval = 0.2"];

fn start(folder: &Scratch, socket: &Path, lines: &[&str]) -> Bench {
    Bench::start(folder, SINGLE, &milter("child", &[socket], &[&LINES, lines].concat()))
}

/// A session of its own, until its connection is kept.
#[track_caller]
fn mail(bench: &Bench, child: &Child) {
    let before = child.count(b'K');
    assert_eq!(bench.mail(), 'c', "{}", bench.manager.log());
    until_true("its leave", || child.count(b'K') == before + 1);
    // It has sent QUIT_NC, and keeps the connection before it does anything else.
    bench.settle();
}

#[test]
fn one_connection_serves_all_sessions() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let child = Child::agreeing(&socket);
    let bench = start(&folder, &socket, &[]);

    (0..20).for_each(|_| mail(&bench, &child));

    assert_eq!(child.connections(), 1);
    assert_eq!(child.letters(0), format!("O{}", "CHMRTLNBEAUK".repeat(20)));
}

#[test]
fn it_is_closed_after_its_idle_time() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let child = Child::agreeing(&socket);
    let bench = start(&folder, &socket, &["reuse_idle_time = 2.5"]);
    mail(&bench, &child);
    mail(&bench, &child);
    assert_eq!((child.connections(), child.open()), (1, 1));

    until_true("its end", || child.open() == 0);

    mail(&bench, &child);
    assert_eq!((child.connections(), child.open()), (2, 1));
}

#[test]
fn it_is_not_used_past_its_age() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let child = Child::agreeing(&socket);
    let bench = start(&folder, &socket, &["reuse_age = 2.5"]);
    mail(&bench, &child);
    mail(&bench, &child);
    assert_eq!(child.connections(), 1);

    // However often it is used.
    until_true("another connection", || {
        mail(&bench, &child);
        child.connections() == 2
    });
    assert_eq!(bench.lines(&["[failed]"]), 0, "{}", bench.manager.log());
}

#[test]
fn a_milter_that_restarts_costs_no_message_its_answer() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let mut child = Child::agreeing(&socket);
    let bench = start(&folder, &socket, &[]);
    for round in 1..=5 {
        // Several are kept.
        let left = child.count(b'K');
        let mut sessions: Vec<_> = (0..3).map(|_| bench.session()).collect();
        sessions.iter_mut().for_each(|mta| mta.begin().expect("it agrees"));
        for mut mta in sessions {
            assert_eq!(mta.message().expect("a verdict").verdict.letter, b'c');
            mta.quit().expect("it reads");
        }
        until_true("their leave", || child.count(b'K') == left + 3);
        bench.settle();

        child.stop();
        child.start();

        let before = child.count(b'E');
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| assert_eq!(bench.mail(), 'c', "{round}: {}", bench.manager.log()));
            }
        });
        assert_eq!(child.count(b'E'), before + 3, "none has passed by");
        until_true("their leave", || child.count(b'K') == left + 6);
    }
    assert_eq!(bench.lines(&["[failed]"]), 0, "{}", bench.manager.log());
}

/// Nobody knows that it is dead before it is used.
#[test]
fn a_connection_that_dies_when_it_is_used_again_is_replaced() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let used = Mutex::new(BTreeSet::new());
    let child = Child::scripted(&socket, move |connection, frame| {
        // In its second session each connection ends at the first word.
        let second = frame.letter == b'C' && !used.lock().unwrap().insert(connection);
        if second { Answer::Close } else { agree(connection, frame) }
    });
    let bench = start(&folder, &socket, &[]);

    (0..5).for_each(|_| mail(&bench, &child));

    assert_eq!((child.connections(), child.count(b'C'), child.count(b'E')), (5, 9, 5));
    assert_eq!(bench.lines(&["[failed]"]), 0, "{}", bench.manager.log());
}

/// It says nothing before the end of the message: nobody knows that it is dead before it was shown all of one.
#[test]
fn a_silent_milter_that_dies_in_the_content_is_shown_all_of_it_again() {
    // No replies to anything.
    const SILENT: u32 = 0xf_f080;
    for dies_with in *b"CMRTLNBE" {
        let name = char::from(dies_with);
        let Some(folder) = folder() else { return };
        let socket = folder.join("child.sock");
        let sessions = Mutex::new(BTreeMap::new());
        let child = Child::scripted(&socket, move |connection, frame| {
            let mut sessions = sessions.lock().unwrap();
            let session: &mut usize = sessions.entry(connection).or_default();
            *session += usize::from(frame.letter == b'C');
            match frame.letter {
                letter if (letter, *session) == (dies_with, 2) => Answer::Close,
                b'E' => agreed(),
                b'Q' => Answer::Close,
                _ => Answer::Say(Vec::new()),
            }
        });
        child.asks_for(SILENT);
        let bench = start(&folder, &socket, &[]);

        (0..5).for_each(|_| mail(&bench, &child));

        // Each serves one session, and is tried in the next.
        assert_eq!(child.connections(), 5, "dies with {name}: {}", bench.manager.log());
        for connection in 0..5 {
            let served = child.letters(connection);
            assert!(served.starts_with("OCHMRTLNBEAUK"), "dies with {name}: {served}");
        }
        assert_eq!(bench.lines(&["[failed]"]), 0, "dies with {name}: {}", bench.manager.log());
    }
}

#[test]
fn a_milter_that_closes_at_quit_nc_is_connected_each_time() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let child = Child::scripted(&socket, |connection, frame| match frame.letter {
        b'K' => Answer::Close,
        _ => agree(connection, frame),
    });
    let bench = start(&folder, &socket, &[]);

    for number in 1..=10 {
        assert_eq!(bench.mail(), 'c');
        assert_eq!(child.connections(), number);
        until_true("its end", || child.open() == 0);
        bench.settle();
    }
    assert_eq!(bench.lines(&["[failed]"]), 0, "{}", bench.manager.log());
}

/// It would ignore QUIT_NC and the next CONNECT.
#[test]
fn a_milter_that_says_a_verdict_to_unknown_is_let_go() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let child = Child::scripted(&socket, |connection, frame| match frame.letter {
        b'U' => Answer::Say(vec![Frame::new(b'a', [])]),
        _ => agree(connection, frame),
    });
    let bench = start(&folder, &socket, &[]);

    for number in 1..=5 {
        assert_eq!(bench.mail(), 'c');
        assert_eq!(child.connections(), number);
        until_true("its end", || child.open() == 0);
    }
}

#[test]
fn a_changed_milter_is_not_shown_mail_on_old_connections() {
    let Some(folder) = folder() else { return };
    let (first, second) = (folder.join("first.sock"), folder.join("second.sock"));
    let (one, other) = (Child::agreeing(&first), Child::agreeing(&second));
    let bench = start(&folder, &first, &[]);
    let changed = |socket: &Path, lines: &[&str]| milter("child", &[socket], &[&LINES, lines].concat());
    mail(&bench, &one);
    assert_eq!((one.connections(), one.open()), (1, 1));

    // Nothing has changed.
    bench.reload(SINGLE, &changed(&first, &[]));
    mail(&bench, &one);
    assert_eq!((one.connections(), one.open()), (1, 1));

    // Something has.
    bench.reload(SINGLE, &changed(&first, &["reuse_age = 100"]));
    mail(&bench, &one);
    assert_eq!(one.connections(), 2);
    until_true("the end of the old one", || one.open() == 1);

    // It is elsewhere.
    bench.reload(SINGLE, &changed(&second, &["reuse_age = 100"]));
    mail(&bench, &other);
    assert_eq!((other.connections(), other.count(b'E'), one.count(b'E')), (1, 1, 3));
    until_true("the end of the old one", || one.open() == 0);

    // Nothing is kept any more.
    bench.reload(SINGLE, &changed(&second, &["reuse_connections = false"]));
    assert_eq!(bench.mail(), 'c');
    assert_eq!(other.connections(), 2);
    until_true("the end of both", || other.open() == 0);
}

/// A session that began before a reload gives its connection back after it.
#[test]
fn a_session_of_old_settings_leaves_nothing_for_new_ones() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let child = Child::agreeing(&socket);
    let bench = start(&folder, &socket, &[]);
    mail(&bench, &child);
    let mut old = bench.session();
    old.begin().expect("it agrees");
    bench.reload(SINGLE, &milter("child", &[&socket], &[&LINES[..], &["reuse_age = 100"]].concat()));
    mail(&bench, &child);
    assert_eq!(child.connections(), 2);

    assert_eq!(old.message().expect("a verdict").verdict.letter, b'c');
    old.quit().expect("it reads");

    until_true("its end", || child.open() == 1);
    mail(&bench, &child);
    assert_eq!(child.connections(), 2, "the new one is used");
    assert_eq!(child.letters(0).matches('E').count(), 2, "{}", child.letters(0));
    stays("the new one is kept", || child.open() == 1);
}
