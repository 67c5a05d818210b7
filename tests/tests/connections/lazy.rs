//! `manager.lazy_connect`: a milter is connected when it is to be shown something, and its answer to the offer is remembered.

use std::path::Path;

use millstream_tests::until::until_true;
use millstream_tests::wire::{ALL_ACTIONS, ALL_FLAGS, Frame};

use millstream_tests::bench::{Bench, connect, folder, milter, stays};
use millstream_tests::counting_child::{Answer, Child, agree};

/// One thread: each remembers for itself.
const SINGLE: &str = "manager.n_workers = 1";

/// Protocol flags: wants neither CONNECT nor HELO.
const NO_CLIENT: u32 = 0x03;
/// Nor MAIL.
const NO_SENDER: u32 = 0x07;

/// Wants recipients that were refused, too: settled between MTA and milter.
const REJECTED_RECIPIENTS: u32 = 0x800;

/// Refuses clients of this name at CONNECT.
const UNWANTED: &str = "unwanted";

/// A milter that does so, and one that wants the message only.
fn pair(folder: &Path) -> [Child; 2] {
    let guard = Child::scripted(&folder.join("guard.sock"), |connection, frame| match frame.letter {
        b'C' if frame.first_string() == UNWANTED => Answer::Say(vec![Frame::new(b'r', [])]),
        _ => agree(connection, frame),
    });
    let reader = Child::agreeing(&folder.join("reader.sock"));
    reader.asks_for(NO_CLIENT);
    [guard, reader]
}

fn blocks(folder: &Path, lines: &[&str]) -> String {
    let lines = [&["fallback_status = \"reject\""], lines].concat();
    ["guard", "reader"].map(|name| milter(name, &[&folder.join(format!("{name}.sock"))], &lines)).concat()
}

#[test]
fn a_milter_is_not_connected_for_who_is_refused_before() {
    let Some(folder) = folder() else { return };
    let [guard, reader] = pair(folder.path());
    let bench = Bench::start(&folder, SINGLE, &blocks(folder.path(), &[]));
    // The first session asks what they want, whoever the client is.
    assert_eq!(bench.visit(UNWANTED), 'r');
    assert_eq!((guard.connections(), reader.connections()), (1, 1));

    for _ in 0..5 {
        assert_eq!(bench.visit(UNWANTED), 'r');
    }
    assert_eq!((guard.connections(), reader.connections()), (6, 1));

    // Nor for one that just goes.
    for _ in 0..5 {
        assert_eq!(bench.visit("shy"), 'c');
    }
    for _ in 0..5 {
        bench.session().begin().expect("they agree");
    }
    bench.settle();
    stays("it is not asked", || reader.connections() == 1);

    // But for one with a message.
    assert_eq!(bench.mail(), 'c');
    until_true("its end", || reader.letters(1).ends_with('Q'));
    assert_eq!((reader.connections(), reader.letters(1)), (2, "OMRTLNBEQ".to_owned()));
}

#[test]
fn nobody_is_connected_for_a_session_of_which_nobody_wants_anything() {
    let Some(folder) = folder() else { return };
    let [guard, reader] = pair(folder.path());
    guard.asks_for(NO_CLIENT);
    let bench = Bench::start(&folder, SINGLE, &blocks(folder.path(), &[]));
    assert_eq!(bench.visit("first"), 'c');
    let connected = (guard.connections(), reader.connections());
    assert_eq!(connected, (1, 1));

    for _ in 0..10 {
        bench.session().begin().expect("nobody objects");
    }
    bench.settle();

    stays("they are not asked", || (guard.connections(), reader.connections()) == connected);
}

#[test]
fn without_it_each_session_connects_to_all() {
    let Some(folder) = folder() else { return };
    let [guard, reader] = pair(folder.path());
    let settings = format!("{SINGLE}\nmanager.lazy_connect = false");
    let bench = Bench::start(&folder, &settings, &blocks(folder.path(), &[]));
    for number in 1..=5 {
        assert_eq!(bench.visit(UNWANTED), 'r');
        assert_eq!((guard.connections(), reader.connections()), (number, number));
    }
}

/// It is told what the client said before, as far as it wants that, when it is connected at last.
#[test]
fn who_is_connected_late_has_seen_the_same() {
    let Some(folder) = folder() else { return };
    let [_guard, reader] = pair(folder.path());
    let bench = Bench::start(&folder, SINGLE, &blocks(folder.path(), &[]));
    let mut shown = Vec::new();
    for connection in 0..2 {
        let mut mta = bench.session();
        mta.begin().expect("they agree");
        assert_eq!(mta.message().expect("a verdict").verdict.letter, b'c');
        mta.quit().expect("it reads");
        until_true("its end", || reader.letters(connection).ends_with('Q'));
        shown.push(reader.frames(connection));
    }

    assert!(shown[0].iter().any(|frame| frame.letter == b'D'), "with macros: {:?}", shown[0]);
    assert_eq!(shown[0], shown[1]);
}

#[test]
fn start_reload_and_restart_ask_again() {
    let Some(folder) = folder() else { return };
    let [_guard, mut reader] = pair(folder.path());
    let bench = Bench::start(&folder, SINGLE, &blocks(folder.path(), &["retry_interval = 0.2"]));
    // What a session costs it that brings nothing it wants.
    let cost = |reader: &Child| {
        let before = reader.connections();
        assert_eq!(bench.visit("asks nothing"), 'c');
        bench.settle();
        reader.connections() - before
    };
    assert_eq!([cost(&reader), cost(&reader)], [1, 0], "start");

    bench.reload(SINGLE, &blocks(folder.path(), &["retry_interval = 0.3"]));
    assert_eq!([cost(&reader), cost(&reader)], [1, 0], "reload");

    reader.stop();
    assert_eq!(bench.mail(), 'r', "it is down");
    reader.start();
    until_true("its mail", || bench.mail() == 'c');
    let connections = reader.connections();
    assert_eq!([cost(&reader), cost(&reader)], [0, 0], "learned by the session that found it up");
    assert_eq!(reader.connections(), connections);
    assert_eq!((bench.lines(&["[down]"]), bench.lines(&["[up]"])), (1, 1), "{}", bench.manager.log());
}

/// Each MTA has its own offer, and what a milter answers may depend on it.
#[test]
fn what_was_answered_to_another_offer_is_not_taken() {
    let Some(folder) = folder() else { return };
    let [_guard, reader] = pair(folder.path());
    let bench = Bench::start(&folder, SINGLE, &blocks(folder.path(), &[]));
    let cost = |flags: u32| {
        let before = reader.connections();
        let mut mta = bench.connection();
        mta.send(&Frame::negotiation(6, ALL_ACTIONS, flags)).expect("it reads");
        mta.take_wishes().expect("it negotiates");
        mta.quit().expect("it reads");
        reader.connections() - before
    };
    let (all, some) = (ALL_FLAGS, ALL_FLAGS & !REJECTED_RECIPIENTS);
    assert_eq!([cost(all), cost(some), cost(all), cost(some)], [1, 1, 0, 0]);

    bench.reload(SINGLE, &blocks(folder.path(), &["retry_interval = 0.3"]));

    assert_eq!([cost(all), cost(some), cost(all), cost(some)], [1, 1, 0, 0]);
}

/// It restarts with other settings between two sessions, so that nobody has noticed.
#[test]
fn a_milter_that_negotiates_otherwise_fails_once() {
    let Some(folder) = folder() else { return };
    let [_guard, mut reader] = pair(folder.path());
    let lines = ["fallback_status_at_protocol_error = \"temporary-failure\""];
    let bench = Bench::start(&folder, SINGLE, &blocks(folder.path(), &lines));
    assert_eq!(bench.mail(), 'c');

    reader.stop();
    reader.asks_for(NO_SENDER);
    reader.start();

    let mut mta = bench.session();
    mta.begin().expect("it is not asked");
    let refused = mta.command(&Frame::strings(b'M', ["<sender@example.org>"])).expect("an answer");
    assert_eq!(refused.letter, b't', "{}", bench.manager.log());
    mta.quit().expect("it reads");
    let why = ["[failed] reader", "it has negotiated otherwise than it did before"];
    assert_eq!(bench.lines(&why), 1, "{}", bench.manager.log());
    let connections = reader.connections();

    // The next one asks it first.
    for _ in 0..3 {
        assert_eq!(bench.mail(), 'c');
    }
    until_true("its end", || reader.open() == 0);
    assert_eq!(reader.letters(connections), "ORTLNBEQ");
    assert_eq!(bench.lines(&why), 1);
    assert_eq!(bench.lines(&["[down]"]), 0, "it is there");
}

/// A milter that went away and has not been missed is not asked what it wants: the session that needs it finds out.
#[test]
fn a_session_that_needs_nobody_does_not_notice_who_is_away() {
    let Some(folder) = folder() else { return };
    let [_guard, mut reader] = pair(folder.path());
    let bench = Bench::start(&folder, SINGLE, &blocks(folder.path(), &["retry_interval = 60"]));
    assert_eq!(bench.mail(), 'c');

    reader.stop();

    for _ in 0..3 {
        assert_eq!(bench.visit("asks nothing"), 'c');
    }
    assert_eq!(bench.lines(&["[down]"]), 0, "{}", bench.manager.log());
    let mut mta = bench.session();
    assert_eq!(mta.command(&connect("brings mail")).expect("an answer").letter, b'c');
    let refused = mta.command(&Frame::strings(b'M', ["<sender@example.org>"])).expect("an answer");
    assert_eq!(refused.letter, b'r');
    assert_eq!(bench.lines(&["[down] reader"]), 1, "{}", bench.manager.log());
}
