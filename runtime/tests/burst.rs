//! After many sessions at a time memory goes back to the system. Alone in its program: it measures the whole process.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use common::{Kit, PATIENCE, Script, echo, loops, on_each};

const SESSIONS: usize = 400;
/// Small enough for the allocator to keep what is free between others.
const PIECE: usize = 1000;
const PIECES: usize = 64;

#[test]
fn what_a_burst_has_used_goes_back_although_a_session_of_it_goes_on() {
    on_each(|on| {
        let kit = Kit::new(|_, _| {
            let held: Vec<_> = (0..PIECES).map(|_| vec![1_u8; PIECE]).collect();
            Script::new(move |base, now, input| {
                assert!(held.iter().all(|piece| piece.len() == PIECE));
                echo(base, now, input);
            })
        });
        let running = on.start(&kit, loops(2));
        let before = resident();
        let mut clients: Vec<_> = (0..SESSIONS).map(|_| running.unix()).collect();
        for client in &mut clients {
            client.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
        }
        let most = resident() - before;
        assert!(most > SESSIONS * PIECE * PIECES, "{most} bytes are no burst");
        // What the last ones hold lies above all that is free.
        let last = clients.split_off(SESSIONS - 4);
        drop(clients);
        let end = Instant::now() + PATIENCE;
        while resident() > before + most / 4 {
            assert!(Instant::now() < end, "{} of {most} bytes are still there", resident() - before);
            std::thread::sleep(Duration::from_millis(20));
        }
        // The loops go on as before.
        for mut client in last {
            client.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
        }
        assert_eq!(running.stop().served, SESSIONS as u64);
    });
}

/// The memory of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}
