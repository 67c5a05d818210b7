//! Stopping, gracefully and not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use millstream_core::machine::{Input, Peer};
use millstream_core::service::Notice;
use millstream_runtime::Options;

use crate::common::{Kit, Log, PATIENCE, Script, loops, on_each};

#[test]
fn a_graceful_stop_lets_sessions_finish() {
    on_each(|on| {
        let told = Log::new();
        let log = told.clone();
        let kit = Kit::new(move |_, _| {
            let log = log.clone();
            let mut stopping = false;
            Script::new(move |base, now, input| match input {
                Input::Stop => {
                    stopping = true;
                    log.push(());
                }
                Input::Received { peer, data } => {
                    base.send(peer, data.freeze());
                    if stopping {
                        base.close(peer, Some(now + PATIENCE));
                        base.finish();
                    }
                }
                _ => {}
            })
        });
        let running = on.start(&kit, loops(2));
        let mut clients: Vec<_> = (0..6).map(|_| running.unix()).collect();
        for client in &mut clients {
            client.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
        }
        running.server.stop();
        told.wait_for(6);
        for client in &mut clients {
            client.write_all(b"last words").unwrap();
            let mut all = Vec::new();
            client.read_to_end(&mut all).unwrap();
            assert_eq!(all, b"last words");
        }
        let address = running.address;
        let stopped = running.server.join();
        assert_eq!((stopped.served, stopped.cut), (6, 0));
        assert_eq!(kit.notices.all(), []);
        assert!(TcpStream::connect(address).is_err(), "the listener is closed");
    });
}

#[test]
fn a_graceful_stop_ends_when_its_time_is_up() {
    on_each(|on| {
        let kit = Kit::new(|_, _| {
            Script::new(|base, _, input| {
                if let Input::Received { peer, .. } = input {
                    base.send(peer, &b"."[..]);
                }
            })
        });
        let after = Duration::from_millis(50);
        let running = on.start(&kit, Options { stop_grace: after, ..loops(2) });
        let mut clients: Vec<_> = (0..4).map(|_| running.unix()).collect();
        for client in &mut clients {
            client.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
        }
        let stopped = running.stop();
        assert_eq!((stopped.served, stopped.cut), (0, 4));
        assert_eq!(kit.notices.all(), [Notice::StopTimedOut { sessions: 4, after }]);
        for client in &mut clients {
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        }
    });
}

#[test]
fn a_stop_now_cuts_a_graceful_stop_short() {
    on_each(|on| {
        let told = Log::new();
        let log = told.clone();
        let kit = Kit::new(move |_, _| {
            let log = log.clone();
            Script::new(move |_, _, input| {
                if let Input::Stop = input {
                    log.push(());
                }
            })
        });
        let running = on.start(&kit, Options { stop_grace: PATIENCE * 100, ..loops(2) });
        let handle = running.server.handle();
        let clients: Vec<_> = (0..3).map(|_| running.unix()).collect();
        while handle.sessions() < 3 {
            std::thread::yield_now();
        }
        handle.stop();
        told.wait_for(3);
        handle.stop_now();
        assert_eq!(running.server.join().cut, 3);
        assert_eq!(kit.notices.all(), []);
        drop(clients);
    });
}

#[test]
fn what_is_being_flushed_at_a_stop_still_arrives() {
    on_each(|on| {
        let kit = Kit::new(|_, _| {
            Script::new(|base, now, input| {
                if let Input::Stop = input {
                    base.send(Peer::MTA, vec![5; 3 << 20]);
                    base.close(Peer::MTA, Some(now + PATIENCE));
                    base.finish();
                }
            })
        });
        let running = on.start(&kit, loops(1));
        let mut client = running.tcp();
        while running.server.sessions() == 0 {
            std::thread::yield_now();
        }
        running.server.stop();
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), 3 << 20);
        assert_eq!(running.server.join().served, 1);
    });
}

#[test]
fn a_flush_that_takes_too_long_is_given_up() {
    on_each(|on| {
        let begun = Log::new();
        let log = begun.clone();
        let kit = Kit::new(move |_, _| {
            let log = log.clone();
            Script::new(move |base, now, input| match input {
                Input::Tick => {
                    base.send(Peer::MTA, vec![5; 20 << 20]);
                    base.close(Peer::MTA, Some(now + Duration::from_millis(30)));
                    base.finish();
                    log.push(());
                }
                Input::Wrote { .. } => {}
                other => panic!("{other:?}"),
            })
        });
        let running = on.start(&kit, loops(1));
        let mut client = running.unix();
        begun.wait_for(1);
        // It is over without the client having read a byte.
        while running.server.sessions() > 0 {
            std::thread::yield_now();
        }
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        assert!(!all.is_empty() && all.len() < 20 << 20);
        assert_eq!(running.stop().served, 1);
        assert_eq!(kit.notices.all(), []);
    });
}
