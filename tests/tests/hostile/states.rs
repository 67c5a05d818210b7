//! Right frames at the wrong time.

use crate::bench::Bench;
use millstream_tests::wire::Frame;

fn commands() -> Vec<Frame> {
    vec![
        Frame::negotiation(6, 0x1FF, 0x1F_FFFF),
        Frame::new(b'C', &b"name\x004\x00\x19127.0.0.1\0"[..]),
        Frame::strings(b'H', ["again.example.org"]),
        Frame::strings(b'M', ["<sender@example.org>"]),
        Frame::strings(b'R', ["<user@example.com>"]),
        Frame::new(b'T', []),
        Frame::strings(b'L', ["Subject", "out of place"]),
        Frame::new(b'N', []),
        Frame::new(b'B', &b"out of place\r\n"[..]),
        Frame::new(b'E', []),
        Frame::new(b'A', []),
        Frame::new(b'K', []),
        Frame::strings(b'U', ["NONSENSE"]),
        Frame::strings(b'D', ["Ei", "4AbC"]),
        // Replies, which only milters send.
        Frame::new(b'c', []),
        Frame::new(b'r', []),
        Frame::strings(b'y', ["550 5.7.1 no"]),
    ]
}

#[test]
fn commands_before_negotiation() {
    let Some(mut bench) = Bench::start("") else { return };
    for command in commands().into_iter().skip(1) {
        bench.assert_closes_after(&command.bytes());
    }
    bench.assert_works();
}

#[test]
fn every_pair_of_commands_in_a_session() {
    let Some(mut bench) = Bench::start("") else { return };
    for first in commands() {
        for second in commands() {
            let mut session = bench.session();
            let _ = session.send(&first);
            let _ = session.send(&second);
            let _ = session.send(&Frame::new(b'Q', []));
            session.wait_for_close().unwrap_or_else(|error| panic!("{first:?}, {second:?}: {error}"));
        }
    }
    bench.assert_works();
}

#[test]
fn every_command_inside_a_message() {
    let Some(mut bench) = Bench::start("") else { return };
    for command in commands() {
        let mut session = bench.session();
        session.command(&Frame::strings(b'M', ["<sender@example.org>"])).unwrap();
        session.command(&Frame::strings(b'R', ["<user@example.com>"])).unwrap();
        session.command(&Frame::new(b'T', [])).unwrap();
        session.command(&Frame::strings(b'L', ["Subject", "hello"])).unwrap();
        let _ = session.send(&command);
        let _ = session.send(&Frame::new(b'Q', []));
        session.wait_for_close().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    }
    bench.assert_works();
}

#[test]
fn aborts_without_end() {
    let Some(mut bench) = Bench::start("") else { return };
    let mut session = bench.session();
    for _ in 0..1000 {
        session.send(&Frame::new(b'A', [])).unwrap();
    }
    assert_eq!(session.message().unwrap().verdict, Frame::new(b'c', []));
    for _ in 0..1000 {
        session.send(&Frame::new(b'A', [])).unwrap();
    }
    assert_eq!(session.message().unwrap().verdict, Frame::new(b'c', []));
    bench.assert_works();
}

#[test]
fn hundred_messages_in_one_session_reach_the_child_as_hundred() {
    let Some(mut bench) = Bench::start("") else { return };
    let mut session = bench.session();
    for _ in 0..100 {
        assert_eq!(session.message().unwrap().verdict, Frame::new(b'c', []));
    }
    session.quit().unwrap();
    let ends = bench.child.seen().iter().filter(|frame| frame.letter == b'E').count();
    assert_eq!(ends, 100);
    bench.assert_works();
}
