//! Peers that say half of something, and then nothing.

use crate::bench::Bench;
use millstream_tests::holdings::Holdings;
use millstream_tests::wire::Frame;

#[test]
fn half_a_frame_then_silence() {
    let Some(mut bench) = Bench::start("") else { return };
    let mut silent = Vec::new();
    let offer = Frame::negotiation(6, 0x1FF, 0x1F_FFFF).bytes();
    for length in 0..offer.len() {
        let mut connection = bench.connect();
        connection.raw(&offer[..length]).unwrap();
        silent.push(connection);
    }
    let header = Frame::strings(b'L', ["Subject", "never finished"]).bytes();
    for length in 0..header.len() {
        let mut session = bench.session();
        session.command(&Frame::strings(b'M', ["<sender@example.org>"])).unwrap();
        session.command(&Frame::strings(b'R', ["<user@example.com>"])).unwrap();
        session.command(&Frame::new(b'T', [])).unwrap();
        session.raw(&header[..length]).unwrap();
        silent.push(session);
    }
    bench.assert_works();
    drop(silent);
    bench.assert_works();
}

#[test]
fn announced_body_that_never_comes_holds_no_memory() {
    let Some(mut bench) = Bench::start("") else { return };
    let process = bench.manager.process().id();
    let before = Holdings::of(process).resident;
    let mut silent = Vec::new();
    for _ in 0..100 {
        let mut session = bench.session();
        session.command(&Frame::strings(b'M', ["<sender@example.org>"])).unwrap();
        session.command(&Frame::strings(b'R', ["<user@example.com>"])).unwrap();
        session.command(&Frame::new(b'T', [])).unwrap();
        // A body frame of 60,000 bytes, of which the first comes.
        session.raw(&[0, 0, 0xEA, 0x61, b'B', b'x']).unwrap();
        silent.push(session);
    }
    bench.assert_works();
    let grown = Holdings::of(process).resident.saturating_sub(before);
    assert!(grown < 64 << 20, "100 announcements of 60,000 bytes took {} KiB", grown >> 10);
}

#[test]
fn client_that_never_reads_does_not_stop_the_others() {
    let Some(mut bench) = Bench::start("") else { return };
    let mut deaf = bench.session();
    // HELO is answered each time; nobody reads. The manager may stop reading us, which shows as a write that blocks.
    let hello = Frame::strings(b'H', ["deaf.example.org"]).bytes().repeat(1000);
    // Not waited for: its writes may block for as long as their limit.
    std::thread::spawn(move || while deaf.raw(&hello).is_ok() {});
    for _ in 0..20 {
        bench.assert_works();
    }
}
