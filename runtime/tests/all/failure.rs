//! A panic in one session touches nothing else.

use std::io::{Read, Write};

use millstream_core::machine::Input;
use millstream_core::service::{Notice, SessionId};
use millstream_core::time::Instant;

use crate::common::{Base, Kit, Script, echo, loops, on_each};

fn touchy(base: &mut Base, now: Instant, input: Input) {
    match &input {
        Input::Received { data, .. } if data.starts_with(b"boom") => panic!("it said {} bytes", data.len()),
        _ => echo(base, now, input),
    }
}

#[test]
fn a_panicking_session_is_closed_and_its_neighbours_go_on() {
    on_each(|on| {
        let kit = Kit::new(|_, _| Script::new(touchy));
        let running = on.start(&kit, loops(1));
        let mut neighbour = running.unix();
        neighbour.write_all(b"one").unwrap();
        neighbour.read_exact(&mut [0; 3]).unwrap();

        let mut victim = running.unix();
        victim.write_all(b"boom").unwrap();
        let mut rest = Vec::new();
        let _ = victim.read_to_end(&mut rest);
        assert_eq!(rest, b"");

        let expected = Notice::SessionPanicked { session: SessionId(2), message: "it said 4 bytes".into() };
        assert_eq!(kit.notices.wait_for(1), [expected]);
        neighbour.write_all(b"two").unwrap();
        neighbour.read_exact(&mut [0; 3]).unwrap();
        assert_eq!(running.server.sessions(), 1);
        drop(neighbour);
        running.stop();
    });
}

#[test]
fn a_panic_while_a_machine_is_made_closes_its_connection() {
    on_each(|on| {
        let kit = Kit::new(|session: SessionId, _| {
            assert!(session.0 != 1, "not the first one");
            Script::new(echo)
        });
        let running = on.start(&kit, loops(1));
        assert_eq!(running.unix().read(&mut [0]).unwrap_or(0), 0);
        kit.notices.wait_for(1);
        let mut second = running.unix();
        second.write_all(b"x").unwrap();
        second.read_exact(&mut [0]).unwrap();
        drop(second);
        assert_eq!(running.stop().served, 2);
    });
}

/// Panics when it is thrown away, as a machine with broken invariants may.
struct Mine;

impl Drop for Mine {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn a_panic_while_a_machine_is_thrown_away_is_caught_too() {
    on_each(|on| {
        let kit = Kit::new(|_, _| {
            let mine = Mine;
            Script::new(move |base, now, input| {
                let _ = &mine;
                echo(base, now, input);
            })
        });
        let running = on.start(&kit, loops(1));
        drop(running.unix());
        let panicked = Notice::SessionPanicked { session: SessionId(1), message: "dropped".into() };
        assert_eq!(kit.notices.wait_for(1), [panicked]);
        let left = running.unix();
        while running.server.sessions() == 0 {
            std::thread::yield_now();
        }
        running.server.stop_now();
        assert_eq!(running.server.join().cut, 1);
        drop(left);
    });
}
