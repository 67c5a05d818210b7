//! Connections to children that are shared out: several endpoints, places, kept connections, breakers.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use millstream_core::machine::{Input, IoKind, Output, Peer, Refusal};
use millstream_core::policy::{Endpoint, EndpointChoice, Reuse, Route};
use millstream_core::service::Notice;
use millstream_core::time::Instant;
use millstream_core::wire::Negotiation;

use crate::common::{
    Base, CHILD, Folder, Kit, Log, On, PATIENCE, Running, Script, loops, on_each, unix_endpoint,
};

/// A route to `endpoints` with short times.
fn route(endpoints: &[Endpoint]) -> Route {
    let base = Route::to("child", endpoints[0].clone());
    Route {
        endpoints: Box::from(endpoints),
        retry_interval: Duration::from_millis(50),
        queue_timeout: PATIENCE,
        ..(*base).clone()
    }
}

fn kept(idle: Duration) -> Option<Reuse> {
    Some(Reuse { idle, age: PATIENCE })
}

/// Asks for a connection when the client says something, and tells the client what came of it: `f` for a fresh connection,
/// `k` for a kept one, `x` for a refusal. On `give` it gives the connection back, on `close` it closes it. What the child
/// says goes to the client.
fn broker(route: Arc<Route>) -> impl FnMut(&mut Base, Instant, Input) {
    let mut generation = 0;
    let mut mine = CHILD;
    move |base, _, input| match input {
        Input::Received { peer: Peer::MTA, data } => match &data[..] {
            b"get" => {
                mine = Peer { generation, ..CHILD };
                generation += 1;
                let offer = Negotiation::default();
                base.push(Output::Acquire { peer: mine, route: Arc::clone(&route), offer, fresh: false });
            }
            b"give" => {
                base.push(Output::Release { peer: mine, negotiated: Box::default() });
                base.send(Peer::MTA, &b"g"[..]);
            }
            b"recall" => {
                let offer = Negotiation::default();
                base.push(Output::Recall { peer: mine, route: Arc::clone(&route), offer });
            }
            b"close" => base.close(mine, None),
            other => panic!("{other:?}"),
        },
        Input::Ready { negotiated: None, peer } => {
            base.push(Output::Learned { peer, negotiated: Box::default() });
            base.send(Peer::MTA, &b"f"[..]);
        }
        Input::Ready { negotiated: Some(_), .. } => base.send(Peer::MTA, &b"k"[..]),
        Input::Remembered { negotiated, .. } => {
            base.send(Peer::MTA, if negotiated.is_some() { &b"y"[..] } else { &b"n"[..] });
        }
        Input::Refused { why, .. } => {
            base.send(
                Peer::MTA,
                match why {
                    Refusal::Full => &b"F"[..],
                    Refusal::Down { .. } => &b"D"[..],
                    Refusal::Failed(_) => &b"x"[..],
                },
            );
        }
        Input::Received { data, .. } => base.send(Peer::MTA, data.freeze()),
        Input::Closed { peer: Peer::MTA, .. } | Input::Stop => base.finish(),
        _ => {}
    }
}

struct Client(UnixStream);

impl Client {
    fn of(running: &Running) -> Self {
        Self(running.unix())
    }

    fn say(&mut self, word: &str) {
        self.0.write_all(word.as_bytes()).unwrap();
    }

    fn hear(&mut self) -> char {
        let mut one = [0];
        self.0.read_exact(&mut one).unwrap();
        char::from(one[0])
    }

    fn ask(&mut self, word: &str) -> char {
        self.say(word);
        self.hear()
    }
}

fn server(on: On, route: Route, count: usize) -> (Running, Log<Notice>) {
    let route = Arc::new(route);
    let kit = Kit::new(move |_, _| Script::new(broker(Arc::clone(&route))));
    let running = on.start(&kit, loops(count));
    (running, kit.notices.clone())
}

/// A child that says its letter on each connection that it gets, and holds it.
struct Child {
    connections: Log<Arc<UnixStream>>,
    over: Arc<AtomicBool>,
    path: std::path::PathBuf,
}

impl Child {
    fn at(folder: &Folder, letter: u8) -> Self {
        let path = folder.path().join(char::from(letter).to_string());
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let connections = Log::new();
        let over = Arc::new(AtomicBool::new(false));
        let (log, end) = (connections.clone(), Arc::clone(&over));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    break;
                }
                let stream = stream.unwrap();
                (&stream).write_all(&[letter]).unwrap();
                log.push(Arc::new(stream));
            }
        });
        Self { connections, over, path }
    }

    fn endpoint(&self) -> Endpoint {
        unix_endpoint(&self.path)
    }

    /// The child is killed.
    fn kill(self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.path);
        for connection in self.connections.all() {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
        // The listener is closed with its thread.
        while UnixStream::connect(&self.path).is_ok() {
            thread::yield_now();
        }
    }
}

#[test]
fn a_session_gets_the_second_socket_while_the_first_is_down_and_the_first_when_it_is_back() {
    on_each(|on| {
        let folder = Folder::new();
        let first = Child::at(&folder, b'a');
        let second = Child::at(&folder, b'b');
        let endpoints = [first.endpoint(), second.endpoint()];
        let (running, notices) = server(on, route(&endpoints), 2);
        let mut client = Client::of(&running);
        assert_eq!((client.ask("get"), client.hear()), ('f', 'a'));
        first.kill();
        assert_eq!((client.ask("get"), client.hear()), ('f', 'b'));
        let down = notices.wait_for(1);
        assert!(
            matches!(&down[0], Notice::ChildDown { error, .. } if error.kind == IoKind::Refused),
            "{down:?}"
        );
        let state = &running.server.children()[0];
        assert_eq!(state.outage.map(|outage| outage.error.kind), Some(IoKind::Refused));
        let _first = Child::at(&folder, b'a');
        let back = loop {
            assert_eq!(client.ask("get"), 'f');
            match client.hear() {
                'b' => thread::sleep(Duration::from_millis(5)),
                other => break other,
            }
        };
        assert_eq!(back, 'a');
        let told = notices.wait_for(2);
        assert!(matches!(&told[1], Notice::ChildUp { .. }), "{told:?}");
        assert_eq!(told.len(), 2);
        drop(client);
        running.stop();
    });
}

#[test]
fn a_child_that_is_down_is_told_once_by_all_loops_and_sessions_do_not_wait_for_it() {
    on_each(|on| {
        let folder = Folder::new();
        let mut route = route(&[unix_endpoint(&folder.path().join("nobody"))]);
        route.retry_interval = PATIENCE;
        let (running, notices) = server(on, route, 3);
        let mut clients: Vec<_> = (0..9).map(|_| Client::of(&running)).collect();
        for client in &mut clients {
            client.say("get");
        }
        let heard: Vec<char> = clients.iter_mut().map(Client::hear).collect();
        assert!(heard.iter().all(|word| "xD".contains(*word)), "{heard:?}");
        for client in &mut clients {
            assert_eq!(client.ask("get"), 'D');
        }
        drop(clients);
        running.stop();
        let told = notices.all();
        assert!(matches!(&told[..], [Notice::ChildDown { .. }]), "{told:?}");
    });
}

#[test]
fn sockets_of_a_child_are_used_one_after_another() {
    on_each(|on| {
        let folder = Folder::new();
        let children = [b'a', b'b', b'c'].map(|letter| Child::at(&folder, letter));
        let endpoints: Vec<_> = children.iter().map(Child::endpoint).collect();
        let route = Route { choice: EndpointChoice::RoundRobin, ..route(&endpoints) };
        let (running, _) = server(on, route, 1);
        let mut client = Client::of(&running);
        let heard: String = (0..6).map(|_| (client.ask("get"), client.hear()).1).collect();
        assert_eq!(heard, "abcabc");
        drop(client);
        running.stop();
    });
}

#[test]
fn no_more_connections_than_allowed_and_whoever_waits_has_one_in_the_end() {
    on_each(|on| {
        let folder = Folder::new();
        let child = Child::at(&folder, b'a');
        let route = Route { max_connections: 2, ..route(&[child.endpoint()]) };
        let (running, _) = server(on, route, 2);
        let mut clients: Vec<_> = (0..8).map(|_| Client::of(&running)).collect();
        for client in &mut clients[..2] {
            assert_eq!((client.ask("get"), client.hear()), ('f', 'a'));
        }
        for client in &mut clients[2..] {
            client.say("get");
        }
        // All of them wait, on both loops.
        while running.server.children()[0].waiting < 6 {
            thread::yield_now();
        }
        assert_eq!(running.server.children()[0].in_use, 2);
        let (holders, waiters) = clients.split_at_mut(2);
        for holder in holders {
            holder.say("close");
        }
        let mut served = Vec::new();
        for client in &mut *waiters {
            client.0.set_nonblocking(true).unwrap();
        }
        while served.len() < waiters.len() {
            for (index, client) in waiters.iter_mut().enumerate() {
                let mut word = [0; 2];
                if !served.contains(&index) && client.0.read(&mut word).is_ok() {
                    assert!(running.server.children()[0].in_use <= 2);
                    served.push(index);
                    client.0.set_nonblocking(false).unwrap();
                    client.say("close");
                }
            }
            thread::yield_now();
        }
        drop(clients);
        running.stop();
    });
}

#[test]
fn a_session_that_waits_too_long_is_refused_and_one_that_ends_leaves_the_queue() {
    on_each(|on| {
        let folder = Folder::new();
        let child = Child::at(&folder, b'a');
        let route = Route {
            max_connections: 1,
            queue_timeout: Duration::from_millis(30),
            ..route(&[child.endpoint()])
        };
        let (running, _) = server(on, route, 2);
        let mut first = Client::of(&running);
        assert_eq!((first.ask("get"), first.hear()), ('f', 'a'));
        let mut second = Client::of(&running);
        assert_eq!(second.ask("get"), 'F');
        second.say("get");
        drop(second);
        let mut third = Client::of(&running);
        assert_eq!(third.ask("get"), 'F');
        first.say("close");
        while running.server.children()[0].in_use > 0 {
            thread::yield_now();
        }
        assert_eq!((third.ask("get"), third.hear()), ('f', 'a'));
        drop((first, third));
        running.stop();
    });
}

#[test]
fn a_connection_that_is_given_back_serves_the_next_session() {
    on_each(|on| {
        let folder = Folder::new();
        let child = Child::at(&folder, b'a');
        let route = Route { reuse: kept(PATIENCE), ..route(&[child.endpoint()]) };
        let (running, _) = server(on, route, 1);
        let mut one = Client::of(&running);
        assert_eq!((one.ask("recall"), one.ask("get"), one.hear()), ('n', 'f', 'a'));
        assert_eq!(one.ask("give"), 'g');
        assert_eq!(running.server.children()[0].kept, 1);
        drop(one);
        let mut two = Client::of(&running);
        assert_eq!((two.ask("recall"), two.ask("get")), ('y', 'k'));
        // It is heard on it what the child says now.
        let connection = Arc::clone(&child.connections.wait_for(1)[0]);
        (&*connection).write_all(b"!").unwrap();
        assert_eq!(two.hear(), '!');
        assert_eq!(child.connections.all().len(), 1);
        // A graceful stop closes what is kept.
        assert_eq!(two.ask("give"), 'g');
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        running.server.stop();
        assert_eq!((&*connection).read(&mut [0]).unwrap(), 0);
        drop(two);
        let _ = running.server.join();
    });
}

/// What a kept connection meets before the next session wants it, which then gets a fresh one.
fn spoiled(on: On, reuse: Reuse, spoil: impl FnOnce(&UnixStream)) {
    let folder = Folder::new();
    let child = Child::at(&folder, b'a');
    let route = Route { reuse: Some(reuse), ..route(&[child.endpoint()]) };
    let (running, _) = server(on, route, 1);
    let mut client = Client::of(&running);
    assert_eq!((client.ask("get"), client.hear(), client.ask("give")), ('f', 'a', 'g'));
    spoil(&child.connections.wait_for(1)[0]);
    while running.server.children()[0].kept > 0 {
        thread::yield_now();
    }
    assert_eq!((client.ask("get"), client.hear()), ('f', 'a'));
    drop(client);
    running.stop();
}

#[test]
fn a_kept_connection_that_the_child_closes_is_not_given_to_a_session() {
    on_each(|on| {
        spoiled(on, Reuse { idle: PATIENCE, age: PATIENCE }, |child| {
            child.shutdown(std::net::Shutdown::Both).unwrap();
        });
    });
}

#[test]
fn a_kept_connection_on_which_the_child_speaks_is_not_given_to_a_session() {
    on_each(|on| {
        spoiled(on, Reuse { idle: PATIENCE, age: PATIENCE }, |mut child| child.write_all(b"?").unwrap());
    });
}

#[test]
fn a_connection_is_kept_for_its_time_only() {
    on_each(|on| {
        spoiled(on, Reuse { idle: Duration::from_millis(20), age: PATIENCE }, |_| {});
        spoiled(on, Reuse { idle: PATIENCE, age: Duration::from_millis(60) }, |_| {});
    });
}

#[test]
fn what_the_child_said_before_the_connection_was_given_back_spoils_it() {
    on_each(|on| {
        let folder = Folder::new();
        let child = Child::at(&folder, b'a');
        let route = Arc::new(Route { reuse: kept(PATIENCE), ..route(&[child.endpoint()]) });
        let kit = Kit::new(move |_, _| {
            let route = Arc::clone(&route);
            Script::new(move |base, _, input| match input {
                Input::Tick => {
                    let offer = Negotiation::default();
                    // What the child says is left unread.
                    base.refuses_input.insert(CHILD);
                    base.push(Output::Acquire {
                        peer: CHILD,
                        route: Arc::clone(&route),
                        offer,
                        fresh: false,
                    });
                }
                Input::Ready { .. } => base.send(Peer::MTA, &b"r"[..]),
                Input::Received { peer: Peer::MTA, .. } => {
                    base.push(Output::Release { peer: CHILD, negotiated: Box::default() });
                    base.send(Peer::MTA, &b"g"[..]);
                }
                Input::Closed { .. } | Input::Stop => base.finish(),
                _ => {}
            })
        });
        let running = on.start(&kit, loops(1));
        let mut client = Client::of(&running);
        assert_eq!(client.hear(), 'r');
        let connection = Arc::clone(&child.connections.wait_for(1)[0]);
        assert_eq!(client.ask("give"), 'g');
        assert_eq!(running.server.children()[0].kept, 0);
        assert_eq!((&*connection).read(&mut [0]).unwrap_or(0), 0);
        drop(client);
        running.stop();
    });
}

#[test]
fn a_reload_closes_what_was_kept_for_the_old_route() {
    on_each(|on| {
        let folder = Folder::new();
        let child = Child::at(&folder, b'a');
        let old = Arc::new(Route { reuse: kept(PATIENCE), ..route(&[child.endpoint()]) });
        let new = Arc::new(Route { queue_timeout: Duration::from_secs(1), ..(*old).clone() });
        let reloaded = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&reloaded);
        let kit = Kit::new(move |_, _| {
            let route = if flag.load(Ordering::SeqCst) { &new } else { &old };
            Script::new(broker(Arc::clone(route)))
        });
        let running = on.start(&kit, loops(1));
        let mut before = Client::of(&running);
        assert_eq!((before.ask("get"), before.hear(), before.ask("give")), ('f', 'a', 'g'));
        reloaded.store(true, Ordering::SeqCst);
        let mut after = Client::of(&running);
        assert_eq!((after.ask("recall"), after.ask("get"), after.hear()), ('n', 'f', 'a'));
        let connection = Arc::clone(&child.connections.wait_for(2)[0]);
        assert_eq!((&*connection).read(&mut [0]).unwrap(), 0);
        drop((before, after));
        running.stop();
    });
}

#[test]
fn a_child_that_takes_connections_and_closes_them_is_down_after_three() {
    on_each(|on| {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.socket()).unwrap();
        thread::spawn(move || listener.incoming().for_each(drop));
        let mut route = route(&[unix_endpoint(&folder.socket())]);
        route.retry_interval = PATIENCE;
        let route = Arc::new(route);
        let kit = Kit::new(move |_, _| {
            let route = Arc::clone(&route);
            Script::new(move |base, _, input| match input {
                Input::Tick => {
                    let offer = Negotiation::default();
                    base.push(Output::Acquire {
                        peer: CHILD,
                        route: Arc::clone(&route),
                        offer,
                        fresh: false,
                    });
                }
                Input::Closed { peer: CHILD, .. } => base.send(Peer::MTA, &b"c"[..]),
                Input::Refused { why: Refusal::Down { .. }, .. } => base.send(Peer::MTA, &b"D"[..]),
                Input::Closed { .. } | Input::Stop => base.finish(),
                _ => {}
            })
        });
        let running = on.start(&kit, loops(2));
        let heard: String = (0..5).map(|_| Client::of(&running).hear()).collect();
        assert_eq!(heard, "cccDD");
        assert!(matches!(&kit.notices.wait_for(1)[..], [Notice::ChildDown { .. }]));
        running.stop();
    });
}
