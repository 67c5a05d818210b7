//! Connections that a machine asks for.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;

use millstream_core::machine::{Input, IoKind, Output, Peer, Refusal};
use millstream_core::policy::{ChildIndex, Endpoint};
use millstream_core::time::Instant;
use millstream_core::wire::Negotiation;

use crate::common::{
    Base, CHILD, Folder, Kit, Log, On, PATIENCE, Script, echo, loops, on_each, unix_endpoint,
};

/// Connects to the child at once and carries bytes both ways until one side ends.
fn pipe(endpoint: Endpoint) -> impl FnMut(&mut Base, Instant, Input) {
    move |base, now, input| match input {
        Input::Tick => base.acquire(CHILD, endpoint.clone()),
        Input::Received { peer, data } => {
            let other = if peer == Peer::MTA { CHILD } else { Peer::MTA };
            base.send(other, data.freeze());
        }
        Input::Closed { peer, .. } => {
            let other = if peer == Peer::MTA { CHILD } else { Peer::MTA };
            base.close(other, Some(now + PATIENCE));
            base.finish();
        }
        Input::Refused { why, .. } => panic!("{why}"),
        _ => {}
    }
}

/// A child that sends back what it gets, in upper case.
fn shout(mut stream: impl Read + Write) {
    let mut piece = [0; 1000];
    while let Ok(n @ 1..) = stream.read(&mut piece) {
        stream.write_all(&piece[..n].to_ascii_uppercase()).unwrap();
    }
}

#[test]
fn a_session_talks_to_unix_and_inet_children() {
    on_each(|on| {
        let folder = Folder::new();
        let unix = UnixListener::bind(folder.socket()).unwrap();
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let endpoints =
            [unix_endpoint(&folder.socket()), Endpoint::Tcp(Arc::from([tcp.local_addr().unwrap()]))];
        thread::spawn(move || shout(unix.accept().unwrap().0));
        thread::spawn(move || shout(tcp.accept().unwrap().0));
        for endpoint in endpoints {
            let kit = Kit::new(move |_, _| Script::new(pipe(endpoint.clone())));
            let running = on.start(&kit, loops(1));
            let mut client = running.unix();
            let mut back = [0; 6];
            client.write_all(b"louder").unwrap();
            client.read_exact(&mut back).unwrap();
            assert_eq!(&back, b"LOUDER");
            drop(client);
            assert_eq!(running.stop().served, 1);
        }
    });
}

/// Starts a session that asks for `endpoint`, and returns why it cannot be had.
fn refusal(on: On, endpoint: Endpoint) -> Refusal {
    let refusals = Log::new();
    let log = refusals.clone();
    let kit = Kit::new(move |_, _| {
        let (log, endpoint) = (log.clone(), endpoint.clone());
        Script::new(move |base, _, input| match input {
            Input::Tick => base.acquire(CHILD, endpoint.clone()),
            Input::Refused { peer, why } => {
                assert_eq!(peer, CHILD);
                log.push(why);
                base.finish();
            }
            other => panic!("{other:?}"),
        })
    });
    let running = on.start(&kit, loops(1));
    let _client = running.unix();
    let why = refusals.wait_for(1)[0];
    running.stop();
    why
}

fn kind(refusal: Refusal) -> IoKind {
    match refusal {
        Refusal::Failed(error) => error.kind,
        other => panic!("{other:?}"),
    }
}

fn nobody() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

#[test]
fn a_missing_socket_and_a_dead_one_are_told_apart() {
    on_each(|on| {
        let folder = Folder::new();
        assert_eq!(kind(refusal(on, unix_endpoint(&folder.socket()))), IoKind::NotFound);
        drop(UnixListener::bind(folder.socket()).unwrap());
        assert_eq!(kind(refusal(on, unix_endpoint(&folder.socket()))), IoKind::Refused);
    });
}

#[test]
fn a_port_where_nobody_listens_is_refused() {
    on_each(|on| {
        assert_eq!(kind(refusal(on, Endpoint::Tcp(Arc::from([nobody(), nobody()])))), IoKind::Refused);
    });
}

#[test]
fn a_session_that_asks_again_and_again_leaves_the_others_their_turn() {
    on_each(|on| {
        let folder = Folder::new();
        let missing = unix_endpoint(&folder.socket());
        let kit = Kit::new(move |_, _| {
            let missing = missing.clone();
            let mut stubborn = false;
            let mut generation = 0;
            Script::new(move |base, now, input| match input {
                Input::Received { ref data, .. } if data.starts_with(b"ask") => {
                    stubborn = true;
                    base.acquire(CHILD, missing.clone());
                }
                Input::Refused { .. } if stubborn => {
                    generation += 1;
                    base.acquire(Peer::child(ChildIndex(0), generation % 9), missing.clone());
                }
                other => echo(base, now, other),
            })
        });
        let running = on.start(&kit, loops(1));
        let mut stubborn = running.unix();
        stubborn.write_all(b"ask").unwrap();
        let mut other = running.unix();
        for _ in 0..20 {
            other.write_all(b"x").unwrap();
            other.read_exact(&mut [0]).unwrap();
        }
        drop((stubborn, other));
        assert_eq!(running.stop().served, 2);
    });
}

#[test]
fn the_second_address_of_a_host_is_tried() {
    on_each(|on| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let endpoint = Endpoint::Tcp(Arc::from([nobody(), listener.local_addr().unwrap()]));
        thread::spawn(move || shout(listener.accept().unwrap().0));
        let kit = Kit::new(move |_, _| Script::new(pipe(endpoint.clone())));
        let running = on.start(&kit, loops(1));
        let mut client = running.tcp();
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
        drop(client);
        running.stop();
    });
}

/// Other systems refuse when the queue is full.
#[cfg(target_os = "linux")]
#[test]
fn a_busy_child_is_tried_until_it_has_room() {
    on_each(|on| {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.socket()).unwrap();
        let mut crowd = Vec::new();
        // A nonblocking connect fails once the queue is full.
        let full = loop {
            use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
            let flags = SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
            match connect(&socket, &SocketAddrUnix::new(folder.socket()).unwrap()) {
                Ok(()) => crowd.push(socket),
                Err(error) => break error,
            }
        };
        assert_eq!(full, rustix::io::Errno::AGAIN);
        let started = Log::new();
        let log = started.clone();
        let endpoint = unix_endpoint(&folder.socket());
        let kit = Kit::new(move |_, _| {
            log.push(());
            Script::new(pipe(endpoint.clone()))
        });
        let running = on.start(&kit, loops(1));
        let mut client = running.unix();
        client.write_all(b"patience").unwrap();
        started.wait_for(1);
        drop(crowd);
        // The crowd's connections come out of the queue first, and are closed.
        thread::spawn(move || {
            loop {
                shout(listener.accept().unwrap().0);
            }
        });
        let mut back = [0; 8];
        client.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"PATIENCE");
        drop(client);
        running.stop();
    });
}

#[test]
fn a_connection_that_is_given_up_is_never_heard_of() {
    on_each(|on| {
        // 192.0.2.0/24 is for documentation: a connect to it hangs or fails, and is given up first.
        let silent = SocketAddr::from(([192, 0, 2, 1], 9));
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.socket()).unwrap();
        let next = Peer::child(ChildIndex(0), 1);
        let unix = unix_endpoint(&folder.socket());
        let kit = Kit::new(move |_, _| {
            let unix = unix.clone();
            Script::new(move |base, _, input| match input {
                Input::Tick => {
                    base.acquire(CHILD, Endpoint::Tcp(Arc::from([silent])));
                    base.close(CHILD, None);
                    base.acquire(next, unix.clone());
                }
                Input::Ready { peer, .. } => {
                    assert_eq!(peer, next);
                    base.send(next, &b"hello"[..]);
                }
                Input::Received { peer, .. } => {
                    assert_eq!(peer, next);
                    base.send(Peer::MTA, &b"fine"[..]);
                }
                Input::Closed { peer: Peer::MTA, .. } => base.finish(),
                Input::Wrote { .. } | Input::Stop => {}
                other => panic!("{other:?}"),
            })
        });
        let running = on.start(&kit, loops(1));
        let mut client = running.unix();
        let (mut child, _) = listener.accept().unwrap();
        child.read_exact(&mut [0; 5]).unwrap();
        child.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 4]).unwrap();
        drop(client);
        running.stop();
        assert_eq!(kit.notices.all(), []);
    });
}

#[test]
fn late_input_for_a_closed_peer_is_not_delivered() {
    on_each(|on| {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.socket()).unwrap();
        let endpoint = unix_endpoint(&folder.socket());
        let kit = Kit::new(move |_, _| {
            let endpoint = endpoint.clone();
            let mut generation = 0;
            Script::new(move |base, _, input| {
                let peer = |generation| Peer::child(ChildIndex(0), generation);
                match input {
                    Input::Tick => base.acquire(peer(0), endpoint.clone()),
                    Input::Received { peer: Peer::MTA, .. } => {
                        // Both children have written by now; only the second one is to be heard.
                        base.close(peer(generation), None);
                        generation += 1;
                        base.acquire(peer(generation), endpoint.clone());
                    }
                    Input::Ready { peer: ready, .. } => {
                        assert_eq!(ready, peer(generation));
                        base.send(Peer::MTA, &b"r"[..]);
                        // The child's bytes come with the next turn at the earliest.
                        base.refuses_input.insert(ready);
                        if generation == 2 {
                            base.refuses_input.clear();
                        }
                    }
                    Input::Received { peer: from, data } => {
                        assert_eq!(from, peer(2));
                        base.send(Peer::MTA, data.freeze());
                    }
                    Input::Closed { peer: Peer::MTA, .. } => base.finish(),
                    Input::Wrote { .. } | Input::Stop => {}
                    other => panic!("{other:?}"),
                }
            })
        });
        let running = on.start(&kit, loops(1));
        let mut client = running.unix();
        let mut children: Vec<UnixStream> = Vec::new();
        for name in *b"abc" {
            let (mut child, _) = listener.accept().unwrap();
            client.read_exact(&mut [0]).unwrap();
            child.write_all(&[name]).unwrap();
            children.push(child);
            if name != b'c' {
                client.write_all(b"next").unwrap();
            }
        }
        let mut heard = [0];
        client.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"c");
        // The ones that were closed have seen it.
        for child in &mut children[..2] {
            let _ = child.read(&mut [0]).map(|n| assert_eq!(n, 0));
        }
        drop(client);
        running.stop();
        assert_eq!(kit.notices.all(), []);
    });
}

#[test]
fn a_released_connection_is_closed_after_what_is_queued() {
    on_each(|on| {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.socket()).unwrap();
        let endpoint = unix_endpoint(&folder.socket());
        let kit = Kit::new(move |_, _| {
            let endpoint = endpoint.clone();
            Script::new(move |base, _, input| match input {
                Input::Tick => base.acquire(CHILD, endpoint.clone()),
                Input::Ready { peer, .. } => {
                    base.send(peer, vec![7; 1 << 20]);
                    let negotiated = Box::new(Negotiation::default());
                    base.push(Output::Release { peer, negotiated });
                }
                Input::Closed { peer: Peer::MTA, .. } => base.finish(),
                Input::Wrote { .. } | Input::Stop => {}
                other => panic!("{other:?}"),
            })
        });
        let running = on.start(&kit, loops(1));
        let client = running.unix();
        let mut all = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), 1 << 20);
        drop(client);
        running.stop();
        assert_eq!(kit.notices.all(), []);
    });
}

#[test]
fn a_reply_is_heard_although_the_child_closed_while_it_was_written_to() {
    on_each(|on| {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.socket()).unwrap();
        let endpoint = unix_endpoint(&folder.socket());
        let kit = Kit::new(move |_, _| {
            let endpoint = endpoint.clone();
            let mut heard = 0;
            Script::new(move |base, now, input| match input {
                Input::Tick => base.acquire(CHILD, endpoint.clone()),
                // More than a socket takes.
                Input::Ready { peer, .. } => base.send(peer, vec![7; 8 << 20]),
                Input::Received { peer, data } => {
                    assert_eq!(peer, CHILD);
                    heard += data.len();
                }
                Input::Closed { peer: CHILD, .. } => {
                    base.send(Peer::MTA, heard.to_string());
                    base.close(Peer::MTA, Some(now + PATIENCE));
                    base.finish();
                }
                _ => {}
            })
        });
        let running = on.start(&kit, loops(1));
        let mut client = running.unix();
        let (mut child, _) = listener.accept().unwrap();
        child.write_all(b"refused").unwrap();
        drop(child);
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "7");
        running.stop();
    });
}
