//! No descriptors left. Alone in its program, whose limit it lowers.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

use common::{Kit, On, Script, descriptors, echo, loop_activity, loops, on_each};
use millstream_core::machine::IoKind;
use millstream_core::service::{Notice, PauseReason};
use millstream_runtime::Options;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn accepting_pauses_without_descriptors_and_served_sessions_stay_served() {
    on_each(|on| {
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..limit }).unwrap();
        let kit = Kit::new(|_, _| Script::new(echo));
        let suspend = Duration::from_millis(50);
        let running = on.start(&kit, Options { suspend, ..loops(1) });
        let mut served = running.unix();
        served.write_all(b"x").unwrap();
        served.read_exact(&mut [0]).unwrap();

        let mut hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        assert!(descriptors_left() == 0);
        // One is free, and the client takes it.
        hoard.pop();
        let mut waiting = running.unix();
        waiting.write_all(b"y").unwrap();
        let notices = kit.notices.wait_for(1);
        let [Notice::ListenerPaused(PauseReason::AcceptFailed(error))] = &notices[..] else {
            panic!("{notices:?}");
        };
        assert_eq!(error.kind, IoKind::Exhausted);

        // It stays so for several suspensions: the one that is served is served on, nothing is said again.
        for _ in 0..20 {
            served.write_all(b"z").unwrap();
            served.read_exact(&mut [0]).unwrap();
            std::thread::sleep(suspend / 4);
        }
        assert_eq!(kit.notices.all().len(), 1);

        drop(hoard);
        // An accept every 50 ms is not a busy loop.
        let mut back = [0];
        waiting.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"y");
        assert_eq!(kit.notices.wait_for(2)[1], Notice::ListenerResumed);
        let (_, ticks) = loop_activity();
        assert!(ticks < 10, "{ticks} clock ticks used");
        drop((served, waiting));
        assert_eq!(running.stop().served, 2);

        a_session_that_ends_ends_the_pause(on);
        assert!(descriptors() > 0);
        setrlimit(Resource::Nofile, limit).unwrap();
    });
}

/// The suspension is longer than the test; only the end of a session can end the pause.
fn a_session_that_ends_ends_the_pause(on: On) {
    let kit = Kit::new(|_, _| Script::new(echo));
    let running = on.start(&kit, Options { suspend: Duration::from_secs(3600), ..loops(2) });
    let mut first = running.unix();
    first.write_all(b"x").unwrap();
    first.read_exact(&mut [0]).unwrap();
    let mut hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    hoard.pop();
    let mut waiting = running.unix();
    waiting.write_all(b"y").unwrap();
    kit.notices.wait_for(1);
    drop(first);
    waiting.read_exact(&mut [0]).unwrap();
    kit.notices.wait_for(2);
    drop((hoard, waiting));
    running.stop();
}

fn descriptors_left() -> usize {
    usize::from(File::open("/dev/null").is_ok())
}
