//! Bytes go in and out, over every kind of listener, in any amount.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use millstream_core::machine::{Input, Peer};
use millstream_runtime::{Listener, Options};

use crate::common::{Kit, PATIENCE, Script, echo, loops, on_each};

fn round_trip(mut stream: impl Read + Write, text: &[u8]) {
    stream.write_all(text).unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, text);
}

#[test]
fn unix_and_inet_clients_are_served() {
    on_each(|on| {
        let kit = Kit::new(|_, _| Script::new(echo));
        let running = on.start(&kit, loops(2));
        round_trip(running.unix(), b"over unix");
        round_trip(running.tcp(), b"over inet");
        let stopped = running.stop();
        assert_eq!((stopped.served, stopped.cut), (2, 0));
    });
}

#[test]
fn machines_need_not_be_send() {
    on_each(|on| {
        let kit = Kit::new(|_, _| {
            let here = Rc::new(());
            Script::new(move |base, now, input| {
                let _mine = Rc::clone(&here);
                echo(base, now, input);
            })
        });
        let running = on.start(&kit, loops(2));
        for _ in 0..4 {
            round_trip(running.unix(), b"x");
        }
        assert_eq!(running.stop().served, 4);
    });
}

#[test]
fn inet6_clients_are_served() {
    on_each(|on| {
        let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
            return eprintln!("this machine has no IPv6");
        };
        let address = listener.local_addr().unwrap();
        let kit = Kit::new(|_, _| Script::new(echo));
        let server = on.serve(vec![Listener::Tcp(listener)], Arc::clone(&kit), Options::default()).unwrap();
        round_trip(TcpStream::connect(address).unwrap(), b"over inet6");
        server.stop();
        assert_eq!(server.join().served, 1);
    });
}

#[test]
fn five_hundred_sessions_run_at_the_same_time() {
    on_each(|on| {
        let kit = Kit::new(|_, _| Script::new(echo));
        let running = on.start(&kit, loops(3));
        let mut clients: Vec<_> = (0..500).map(|_| running.tcp()).collect();
        for round in 0..3_u8 {
            for (n, client) in clients.iter_mut().enumerate() {
                client.write_all(format!("{round} {n:03}").as_bytes()).unwrap();
            }
            for (n, client) in clients.iter_mut().enumerate() {
                let mut back = [0; 5];
                client.read_exact(&mut back).unwrap();
                assert_eq!(back, format!("{round} {n:03}").as_bytes());
            }
        }
        assert_eq!(running.server.sessions(), 500);
        drop(clients);
        assert_eq!(running.stop().served, 500);
    });
}

/// Writes and reads 50 MB at the same time, in pieces that are different on both sides.
fn fifty_megabytes(stream: impl Read + Send, mut writer: impl Write + Send) {
    const TOTAL: usize = 50 << 20;
    let byte = |n: usize| u8::try_from((n / 7) % 251).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            let data: Vec<u8> = (0..TOTAL).map(byte).collect();
            for piece in data.chunks(100_003) {
                writer.write_all(piece).unwrap();
            }
        });
        let mut stream = stream;
        let mut seen = 0;
        let mut piece = vec![0; 9_973];
        while seen < TOTAL {
            let n = stream.read(&mut piece).unwrap();
            assert!(n > 0, "closed after {seen} bytes");
            assert!(piece[..n].iter().enumerate().all(|(at, b)| *b == byte(seen + at)), "wrong near {seen}");
            seen += n;
        }
        assert_eq!(seen, TOTAL);
    });
}

#[test]
fn fifty_megabytes_come_through_under_back_pressure() {
    on_each(|on| {
        let kit = Kit::new(|_, _| Script::new(echo));
        let running = on.start(&kit, loops(1));
        let tcp = running.tcp();
        fifty_megabytes(tcp.try_clone().unwrap(), tcp);
        let unix = running.unix();
        fifty_megabytes(unix.try_clone().unwrap(), unix);
        assert_eq!(running.stop().cut, 0);
    });
}

#[test]
fn fifty_megabytes_go_to_a_reader_that_starts_late() {
    on_each(|on| {
        const TOTAL: usize = 50 << 20;
        let kit = Kit::new(|_, _| {
            Script::new(|base, now, input| match input {
                Input::Received { peer, .. } => {
                    for n in 0..TOTAL >> 16 {
                        base.send(peer, vec![u8::try_from(n % 256).unwrap(); 1 << 16]);
                    }
                    // Everything is written before the connection is closed.
                    base.close(peer, Some(now + PATIENCE));
                    base.finish();
                }
                Input::Closed { peer, why } => panic!("{peer:?} was closed: {why}"),
                _ => {}
            })
        });
        let running = on.start(&kit, loops(1));
        let mut slow = running.unix();
        slow.write_all(b"go").unwrap();
        // Others are served while that one does not read.
        let mut other = running.unix();
        other.write_all(b"go").unwrap();
        for stream in [&mut other, &mut slow] {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            assert_eq!(all.len(), TOTAL);
            assert!(
                all.chunks(1 << 16).enumerate().all(|(n, part)| part[0] == u8::try_from(n % 256).unwrap())
            );
        }
        assert_eq!(running.stop().served, 2);
    });
}

#[test]
fn what_was_sent_before_a_hang_up_is_handed_over_first() {
    on_each(|on| {
        let lengths = crate::common::Log::new();
        let log = lengths.clone();
        let kit = Kit::new(move |_, _| {
            let log = log.clone();
            let mut total = 0;
            Script::new(move |base, _, input| match input {
                Input::Received { data, .. } => total += data.len(),
                Input::Closed { peer, .. } => {
                    assert_eq!(peer, Peer::MTA);
                    log.push(total);
                    base.finish();
                }
                _ => {}
            })
        });
        let running = on.start(&kit, loops(1));
        for _ in 0..20 {
            let mut unix = running.unix();
            unix.write_all(&vec![1; 150_000]).unwrap();
            drop(unix);
            let mut tcp = running.tcp();
            tcp.write_all(&vec![1; 150_000]).unwrap();
            drop(tcp);
        }
        assert!(lengths.wait_for(40).iter().all(|total| *total == 150_000));
        running.stop();
    });
}
