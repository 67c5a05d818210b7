//! Sessions that have something to write at the same time.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use millstream_core::machine::{Input, Peer};

use crate::common::{CHILD, Folder, Kit, Log, PATIENCE, Running, Script, loops, on_each, unix_endpoint};

/// Long enough for all of a few sessions to begin within it.
const SHORT: Duration = Duration::from_millis(150);

/// The loop of `running` is kept busy by another session while `meanwhile` is done, so that all of that is found at once: the
/// machine of that session waits at `barrier` for what it is sent.
fn at_once(running: &Running, barrier: &Barrier, meanwhile: impl FnOnce()) {
    let mut busy = running.unix();
    busy.write_all(b"busy").unwrap();
    barrier.wait();
    meanwhile();
    barrier.wait();
    busy.read_exact(&mut [0]).unwrap();
}

#[test]
fn what_a_write_to_one_peer_brings_for_another_is_written_too() {
    on_each(|on| {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.socket()).unwrap();
        let endpoint = unix_endpoint(&folder.socket());
        let barrier = Arc::new(Barrier::new(2));
        let machines = Arc::clone(&barrier);
        let kit = Kit::new(move |_, _| {
            let (endpoint, barrier) = (endpoint.clone(), Arc::clone(&machines));
            let mut asked = false;
            Script::new(move |base, _, input| match input {
                Input::Received { data, .. } if data.starts_with(b"busy") => {
                    barrier.wait();
                    barrier.wait();
                    base.send(Peer::MTA, &b"."[..]);
                }
                Input::Received { data, .. } if data.starts_with(b"child") => {
                    base.acquire(CHILD, endpoint.clone());
                }
                Input::Ready { .. } => base.send(Peer::MTA, &b"r"[..]),
                Input::Received { peer: Peer::MTA, .. } => {
                    asked = true;
                    base.send(Peer::MTA, &b"m"[..]);
                    base.send(CHILD, &b"one "[..]);
                }
                // As a chain does that had no room for what the MTA said next.
                Input::Wrote { peer: Peer::MTA, .. } if asked => {
                    asked = false;
                    base.send(CHILD, &b"two"[..]);
                }
                Input::Wrote { .. } => base.added_nothing = true,
                Input::Closed { .. } => base.finish(),
                _ => {}
            })
        });
        let running = on.start(&kit, loops(1));
        let mut sessions: Vec<(UnixStream, UnixStream)> = (0..3)
            .map(|_| {
                let mut client = running.unix();
                client.write_all(b"child").unwrap();
                let child = listener.accept().unwrap().0;
                child.set_read_timeout(Some(PATIENCE)).unwrap();
                client.read_exact(&mut [0]).unwrap();
                (client, child)
            })
            .collect();
        at_once(&running, &barrier, || {
            for (client, _) in &mut sessions {
                client.write_all(b"go").unwrap();
            }
        });
        for (client, child) in &mut sessions {
            client.read_exact(&mut [0]).unwrap();
            let mut text = [0; 7];
            child.read_exact(&mut text).expect("both come, whatever is written together");
            assert_eq!(&text, b"one two");
        }
        drop(sessions);
        running.stop();
        assert_eq!(kit.notices.all(), []);
    });
}

#[test]
fn time_is_over_for_those_who_cannot_write_too() {
    on_each(|on| {
        let barrier = Arc::new(Barrier::new(2));
        let machines = Arc::clone(&barrier);
        let over = Log::new();
        let told = over.clone();
        let kit = Kit::new(move |session, _| {
            let (barrier, told) = (Arc::clone(&machines), told.clone());
            Script::new(move |base, now, input| match input {
                Input::Received { data, .. } if data.starts_with(b"busy") => {
                    barrier.wait();
                    barrier.wait();
                    base.send(Peer::MTA, &b"."[..]);
                }
                // More than a socket holds, for somebody who reads one byte of it.
                Input::Received { .. } => {
                    base.send(Peer::MTA, vec![b'x'; 8 << 20]);
                    base.wait = Some(now + SHORT);
                }
                Input::Tick if base.wait.is_some_and(|at| at <= now) => {
                    base.wait = None;
                    told.push(session);
                }
                Input::Closed { .. } => base.finish(),
                _ => {}
            })
        });
        let running = on.start(&kit, loops(1));
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let mut client = running.unix();
                client.write_all(b"much").unwrap();
                client.read_exact(&mut [0]).unwrap();
                client
            })
            .collect();
        // For all of them in the same pass.
        at_once(&running, &barrier, || thread::sleep(SHORT * 2));
        over.wait_for(clients.len());
        drop(clients);
        running.stop();
        assert_eq!(kit.notices.all(), []);
    });
}
