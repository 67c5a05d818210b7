//! `milter.pipelining`: headers are written back to back to a milter that answers each, and it may stop half-way.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use millstream_tests::mta_side::{Ending, MtaSide};
use millstream_tests::scratch::Scratch;
use millstream_tests::wire::Frame;

use millstream_tests::bench::{Bench, folder, milter};
use millstream_tests::counting_child::{Answer, Child, agree, agreed};

/// The headers of a message.
const HEADERS: usize = 20;

/// The one at which it has seen enough, from 1.
const ENOUGH: usize = 3;

fn start(folder: &Scratch, socket: &Path, lines: &[&str]) -> Bench {
    let lines = [&["fallback_status = \"discard\"", "reading_timeout = 5"], lines].concat();
    Bench::start(folder, "", &milter("child", &[socket], &lines))
}

/// A message with [`HEADERS`], the first of which says what is to happen to it.
fn message(mta: &mut MtaSide, wish: &str) -> Ending {
    for (letter, text) in [(b'M', "<sender@example.org>"), (b'R', "<user@example.com>")] {
        assert_eq!(mta.command(&Frame::strings(letter, [text])).expect("an answer").letter, b'c');
    }
    assert_eq!(mta.command(&Frame::new(b'T', [])).expect("an answer").letter, b'c');
    let numbers = (2..=HEADERS).map(|number| (format!("X-{number}"), number.to_string()));
    for (name, value) in [("X-Wish".to_owned(), wish.to_owned())].into_iter().chain(numbers) {
        assert_eq!(mta.command(&Frame::strings(b'L', [name.as_str(), &value])).expect("c").letter, b'c');
    }
    for frame in [Frame::new(b'N', []), Frame::new(b'B', &b"Hello.\r\n"[..])] {
        assert_eq!(mta.command(&frame).expect("c").letter, b'c');
    }
    mta.end_of_message().expect("a verdict")
}

/// What a milter knows of its message.
#[derive(Debug, Default)]
struct Sight {
    wish: String,
    headers: usize,
    /// It has said its verdict and forgotten the message.
    silent: bool,
}

/// How it goes on behind a verdict in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It answers nothing up to the next message, as libmilter.
    Silent,
    /// It answers everything, as purepythonmilter.
    Talking,
}

/// At the third header it says what the message wishes, unless that is `c`. The end of message is answered with an edit that
/// tells what it saw, and `r` when the wish was `refuse`.
fn opinionated(socket: &Path, manner: Manner) -> Child {
    let sights: Mutex<BTreeMap<usize, Sight>> = Mutex::default();
    Child::scripted(socket, move |connection, frame| {
        let mut sights = sights.lock().unwrap_or_else(PoisonError::into_inner);
        let sight = sights.entry(connection).or_default();
        if frame.letter == b'M' {
            *sight = Sight::default();
        }
        if sight.silent && manner == Manner::Silent && b"RTLNBE".contains(&frame.letter) {
            return Answer::Say(Vec::new());
        }
        match frame.letter {
            b'L' => {
                sight.headers += 1;
                if sight.headers == 1 {
                    let value = frame.payload.split(|&byte| byte == 0).nth(1).expect("a value");
                    sight.wish = String::from_utf8_lossy(value).into_owned();
                }
                if sight.headers != ENOUGH || sight.wish.len() != 1 {
                    return agreed();
                }
                let verdict = sight.wish.as_bytes()[0];
                sight.silent = b"artd".contains(&verdict);
                Answer::Say(vec![Frame::new(verdict, [])])
            }
            b'E' => {
                let seen = format!("{} {}", sight.wish, sight.headers);
                let verdict = if sight.wish == "refuse" { b'r' } else { b'c' };
                Answer::Say(vec![Frame::strings(b'h', ["X-Seen", &seen]), Frame::new(verdict, [])])
            }
            _ => agree(connection, frame),
        }
    })
}

/// Says `verdict` half-way, with whole messages before, between and behind, all in one session.
fn half_way(manner: Manner, lines: &[&str]) {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let child = opinionated(&socket, manner);
    let bench = start(&folder, &socket, lines);
    let whole = |wish: &str| {
        let edits = match wish {
            "refuse" => Vec::new(),
            _ => vec![Frame::strings(b'h', ["X-Seen", &format!("{wish} {HEADERS}")])],
        };
        let verdict = Frame::new(if wish == "refuse" { b'r' } else { b'c' }, []);
        Ending { edits, verdict }
    };
    let verdict = |letter: u8| Ending { edits: Vec::new(), verdict: Frame::new(letter, []) };
    let mut mta = bench.session();
    mta.begin().expect("it agrees");

    for _ in 0..2 {
        for (wish, ending) in [
            ("before", whole("before")),
            ("a", verdict(b'c')),
            ("behind", whole("behind")),
            ("refuse", whole("refuse")),
            ("r", verdict(b'r')),
            ("a", verdict(b'c')),
            ("t", verdict(b't')),
            ("between", whole("between")),
            ("d", verdict(b'd')),
            ("refuse", whole("refuse")),
            ("again", whole("again")),
        ] {
            let found = message(&mut mta, wish);
            assert_eq!(found, ending, "{wish}: {}", bench.manager.log());
        }
    }

    mta.quit().expect("it reads");
    assert_eq!(child.count(b'C'), child.connections(), "each is told who the client is");
    assert_eq!(bench.lines(&["[failed]"]), 0, "{}", bench.manager.log());
}

#[test]
fn a_milter_that_falls_silent_half_way() {
    half_way(Manner::Silent, &[]);
}

#[test]
fn a_milter_that_goes_on_talking() {
    half_way(Manner::Talking, &[]);
}

#[test]
fn a_silent_milter_whose_connections_are_kept() {
    half_way(Manner::Silent, &["reuse_connections = true"]);
}

#[test]
fn a_talking_milter_whose_connections_are_kept() {
    half_way(Manner::Talking, &["reuse_connections = true"]);
}

/// In lock step the answers are the same.
#[test]
fn the_same_without_pipelining() {
    half_way(Manner::Silent, &["pipelining = false"]);
    half_way(Manner::Talking, &["pipelining = false"]);
}

/// A milter that answers four headers at once gets them at once; without pipelining it waits for the second for ever.
#[test]
fn headers_do_wait_for_nobody() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let headers = Mutex::new(0_usize);
    let _child = Child::scripted(&socket, move |connection, frame| {
        if frame.letter != b'L' {
            return agree(connection, frame);
        }
        let mut headers = headers.lock().unwrap_or_else(PoisonError::into_inner);
        *headers += 1;
        let due = if headers.is_multiple_of(4) { 4 } else { 0 };
        Answer::Say(vec![Frame::new(b'c', []); due])
    });
    let bench = start(&folder, &socket, &[]);
    let outcome = || {
        let mut mta = bench.session();
        mta.begin().expect("it agrees");
        message(&mut mta, "gather").verdict.letter
    };
    assert_eq!(outcome(), b'c', "{}", bench.manager.log());

    let lines = ["fallback_status = \"discard\"", "reading_timeout = 0.5", "pipelining = false"];
    bench.reload("", &milter("child", &[&socket], &lines));
    assert_eq!(outcome(), b'd', "{}", bench.manager.log());
}
