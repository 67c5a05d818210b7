//! A server with nothing to do does nothing, and leaves nothing behind. Alone in its program: it counts descriptors and
//! wake-ups of the whole process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use common::{
    CHILD, Folder, Kit, On, PATIENCE, Script, descriptors, echo, loop_activity, loops, on_each, unix_endpoint,
};
use millstream_core::machine::{Input, Output, SpillId};

#[test]
fn idle_loops_sleep_and_every_descriptor_is_freed() {
    on_each(|on| {
        // What a process opens once and keeps.
        on.start(&Kit::new(|_, _| Script::new(echo)), loops(1)).stop();
        let before = descriptors();
        idle_sessions_do_not_wake_their_loops(on);
        assert_eq!(descriptors(), before + kept(on, 3));
        deadlines_that_moved_on_wake_a_loop_once(on);
        assert_eq!(descriptors(), before + kept(on, 3 + 1));
        sessions_with_children_and_files_leave_nothing(on);
        assert_eq!(descriptors(), before + kept(on, 3 + 1 + 2));
    });
}

/// glommio 0.9 does not close the eventfd of an executor that has ended. A program ends with its executors.
fn kept(on: On, loops: usize) -> usize {
    if on == On::Glommio { loops } else { 0 }
}

fn idle_sessions_do_not_wake_their_loops(on: On) {
    let kit = Kit::new(|_, _| {
        Script::new(|base, now, input| {
            base.wait = Some(now + PATIENCE * 10);
            echo(base, now, input);
        })
    });
    let running = on.start(&kit, loops(3));
    let mut clients: Vec<_> = (0..60).map(|_| running.tcp()).collect();
    for client in &mut clients {
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
    }
    // Not for order: this is the time that is measured.
    std::thread::sleep(Duration::from_millis(100));
    let before = loop_activity();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(loop_activity(), before);
    drop(clients);
    assert_eq!(running.stop().served, 60);
}

fn deadlines_that_moved_on_wake_a_loop_once(on: On) {
    const SESSIONS: u32 = 60;
    let kit = Kit::new(|session: millstream_core::service::SessionId, _| {
        let first = Duration::from_millis(300 + 10 * session.0);
        Script::new(move |base, now, input| {
            base.wait = Some(now + if let Input::Tick = input { first } else { PATIENCE * 10 });
            echo(base, now, input);
        })
    });
    let running = on.start(&kit, loops(1));
    let mut clients: Vec<_> = (0..SESSIONS).map(|_| running.unix()).collect();
    for client in &mut clients {
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
    }
    let before = loop_activity().0;
    // Not for order: in this time all first deadlines would have come.
    std::thread::sleep(Duration::from_millis(1200));
    let sleeps = loop_activity().0 - before;
    assert!(sleeps < 20, "{SESSIONS} deadlines that had moved on woke the loop {sleeps} times");
    drop(clients);
    running.stop();
}

fn sessions_with_children_and_files_leave_nothing(on: On) {
    let folder = Folder::new();
    let listener = std::os::unix::net::UnixListener::bind(folder.socket()).unwrap();
    let endpoint = unix_endpoint(&folder.socket());
    let kit = Kit::new(move |session: millstream_core::service::SessionId, _| {
        let endpoint = endpoint.clone();
        Script::new(move |base, now, input| match input {
            Input::Tick => base.acquire(CHILD, endpoint.clone()),
            Input::Ready { .. } => {
                let data = vec![bytes::Bytes::from_static(b"data")];
                base.push(Output::SpillAppend { file: SpillId(1), data });
            }
            // Some end in a panic, some by themselves, some are cut.
            Input::SpillAppended { .. } if session.0.is_multiple_of(3) => panic!("as planned"),
            Input::SpillAppended { .. } if session.0 % 3 == 1 => base.finish(),
            _ => echo(base, now, input),
        })
    });
    let running = on.start(&kit, loops(2));
    let clients: Vec<_> = (0..30).map(|_| running.unix()).collect();
    let children: Vec<_> = (0..30).map(|_| listener.accept().unwrap()).collect();
    while running.server.sessions() > 10 {
        std::thread::yield_now();
    }
    running.server.stop_now();
    let stopped = running.server.join();
    assert_eq!((stopped.served, stopped.cut), (20, 10));
    assert_eq!(kit.notices.all().len(), 10);
    drop((clients, children));
    assert_eq!(Arc::strong_count(&kit), 1);
}
