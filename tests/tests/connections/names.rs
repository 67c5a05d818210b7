//! A milter that is named by its host name, at a name server of the test's.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use millstream_tests::bench::{Bench, folder};
use millstream_tests::name_server::{NameServer, Said};
use millstream_tests::until::until_true;
use millstream_tests::wire::{ALL_ACTIONS, Frame};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const THERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A milter that agrees to everything and counts its messages, at an address of this host.
fn milter(listener: TcpListener) -> Arc<AtomicUsize> {
    let messages = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&messages);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let count = Arc::clone(&count);
            thread::spawn(move || {
                while let Ok(Some(frame)) = Frame::read(&mut stream) {
                    let answer = match frame.letter {
                        b'O' => Frame::negotiation(6, ALL_ACTIONS, 0),
                        b'D' | b'A' | b'K' => continue,
                        b'Q' => return,
                        b'E' => {
                            count.fetch_add(1, Ordering::SeqCst);
                            Frame::new(b'c', [])
                        }
                        _ => Frame::new(b'c', []),
                    };
                    if stream.write_all(&answer.bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    messages
}

/// Two addresses with one port.
fn listeners() -> (TcpListener, TcpListener, u16) {
    (0..100)
        .find_map(|_| {
            let here = TcpListener::bind((HERE, 0)).ok()?;
            let port = here.local_addr().ok()?.port();
            Some((here, TcpListener::bind((THERE, port)).ok()?, port))
        })
        .expect("a port is free")
}

fn settings(server: &NameServer) -> String {
    format!(
        "manager.n_workers = 1\nmanager.resolve_interval = 1\nmanager.name_servers = \"{}\"",
        server.address()
    )
}

fn block(port: u16) -> String {
    format!(
        "define_milter(\"child\") do |milter|\n  milter.connection_spec = \"inet:{port}@scanner.test\"\n  \
         milter.fallback_status = \"reject\"\nend\n"
    )
}

#[test]
fn new_sessions_follow_a_name_to_its_new_address_while_mail_flows() {
    let Some(folder) = folder() else { return };
    let (here, there, port) = listeners();
    let (first, second) = (milter(here), milter(there));
    let server = NameServer::start();
    server.say("scanner.test", Said::Addresses(vec![HERE], 1));
    let bench = Bench::start(&folder, &settings(&server), &block(port));
    assert_eq!(bench.mail(), 'c');

    server.say("scanner.test", Said::Addresses(vec![THERE], 3000));

    let moved = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !moved.load(Ordering::SeqCst) {
                    assert_eq!(bench.mail(), 'c', "{}", bench.manager.log());
                }
            });
        }
        until_true("mail at the new address", || second.load(Ordering::SeqCst) > 0);
        moved.store(true, Ordering::SeqCst);
    });
    let of_first = first.load(Ordering::SeqCst);
    assert!(of_first > 0);
    for _ in 0..5 {
        assert_eq!(bench.mail(), 'c');
    }
    assert_eq!(first.load(Ordering::SeqCst), of_first, "new sessions go to the new address only");
    assert_eq!(
        bench.lines(&["[resolve] scanner.test: 127.0.0.1 -> 127.0.0.2"]),
        1,
        "{}",
        bench.manager.log()
    );
    assert_eq!(bench.lines(&["[failed]"]), 0, "{}", bench.manager.log());
}

#[test]
fn a_name_without_an_answer_keeps_its_address_and_is_told_once() {
    let Some(folder) = folder() else { return };
    let (here, _there, port) = listeners();
    milter(here);
    let server = NameServer::start();
    server.say("scanner.test", Said::Addresses(vec![HERE], 1));
    let bench = Bench::start(&folder, &settings(&server), &block(port));

    server.say("scanner.test", Said::Error(2));

    // As often as it is tried.
    let asked = server.asked("scanner.test");
    until_true("some tries", || server.asked("scanner.test") > asked + 3);
    assert_eq!(bench.mail(), 'c');
    let lost = "[resolve] scanner.test cannot be looked up, 127.0.0.1 holds on: the name server says: Server Failure";
    assert_eq!(bench.manager.log().matches(lost).count(), 1, "{}", bench.manager.log());

    server.say("scanner.test", Said::Addresses(vec![HERE], 1));
    until_true("its return", || {
        bench.manager.log().contains("[resolve] scanner.test can be looked up again")
    });
    assert_eq!(bench.mail(), 'c');
}

#[test]
fn a_name_that_the_name_servers_do_not_know_is_a_problem_of_its_line() {
    let Some(folder) = folder() else { return };
    let (here, _there, port) = listeners();
    milter(here);
    let server = NameServer::start();
    server.say("scanner.test", Said::Addresses(vec![HERE], 3000));
    server.say("other.test", Said::NoSuchName(Some(60)));
    let bench = Bench::start(&folder, &settings(&server), &block(port));
    let other = block(port).replace("scanner.test", "other.test");

    bench.refuse(&settings(&server), &other);

    let text = format!(
        "<child>: invalid connection spec: invalid host address: <inet:{port}@other.test>: <other.test>"
    );
    assert!(bench.manager.log().contains(&text), "{}", bench.manager.log());
    assert_eq!(bench.mail(), 'c', "the old configuration stays");
}
