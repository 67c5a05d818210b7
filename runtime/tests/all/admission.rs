//! The limit of sessions.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use millstream_core::service::{Notice, PauseReason};
use millstream_runtime::Options;

use crate::common::{Kit, Script, echo, loops, on_each};

#[test]
fn fifty_clients_are_served_five_at_a_time() {
    on_each(|on| {
        let most = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&most);
        let kit = Kit::new(move |_, environment: millstream_core::policy::Environment| {
            seen.fetch_max(environment.sessions, Ordering::SeqCst);
            assert!(environment.unix_seconds > 1_600_000_000);
            Script::new(echo)
        });
        for loop_count in [1, 3] {
            let running = on.start(&kit, Options { max_sessions: 5, ..loops(loop_count) });
            thread::scope(|scope| {
                for n in 0..50_u8 {
                    let running = &running;
                    scope.spawn(move || {
                        let mut client = running.tcp();
                        for round in 0..5 {
                            client.write_all(&[n, round]).unwrap();
                            let mut back = [0; 2];
                            client.read_exact(&mut back).unwrap();
                            assert_eq!(back, [n, round]);
                        }
                    });
                }
            });
            let stopped = running.stop();
            assert_eq!((stopped.served, stopped.cut), (50, 0));
        }
        assert!(most.load(Ordering::SeqCst) <= 5);
    });
}

#[test]
fn one_notice_tells_of_the_pause_and_one_of_its_end() {
    on_each(|on| {
        let kit = Kit::new(|_, _| Script::new(echo));
        let running = on.start(&kit, Options { max_sessions: 1, ..loops(2) });
        let mut first = running.unix();
        first.write_all(b"x").unwrap();
        first.read_exact(&mut [0]).unwrap();
        // At the limit, but nobody waits.
        assert_eq!(kit.notices.all(), []);
        let mut second = running.tcp();
        second.write_all(b"y").unwrap();
        let paused = Notice::ListenerPaused(PauseReason::MaxConnections(1));
        assert_eq!(kit.notices.wait_for(1)[..], *std::slice::from_ref(&paused));
        drop(first);
        second.read_exact(&mut [0]).unwrap();
        assert_eq!(kit.notices.all(), [paused, Notice::ListenerResumed]);
        drop(second);
        running.stop();
    });
}
