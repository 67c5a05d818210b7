//! `milter.max_connections`: who is above it waits, in order, and not for ever.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use millstream_tests::mta_side::MtaSide;
use millstream_tests::until::until_true;
use millstream_tests::wire::{ALL_ACTIONS, Frame};

use millstream_tests::bench::{Bench, connect, folder, milter};
use millstream_tests::counting_child::Child;

const SINGLE: &str = "manager.n_workers = 1";

#[test]
fn the_limit_holds_as_the_milter_counts() {
    never_exceeded(&[]);
}

#[test]
fn the_limit_holds_with_kept_connections() {
    never_exceeded(&["reuse_connections = true"]);
}

/// Twenty clients on several threads of the manager, each with some sessions.
fn never_exceeded(lines: &[&str]) {
    const LIMIT: usize = 4;
    let Some(folder) = folder() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    let counts = Arc::new(Counts::default());
    let shared = Arc::clone(&counts);
    thread::spawn(move || count(&listener, &shared));
    let lines: String = lines.iter().map(|line| format!("  milter.{line}\n")).collect();
    let block = format!(
        "define_milter(\"child\") do |milter|\n  milter.connection_spec = \"inet:{port}\"\n  \
         milter.max_connections = {LIMIT}\n  milter.queue_timeout = 25\n  \
         milter.fallback_status = \"reject\"\n{lines}end\n"
    );
    // The MTA would be answered after seven seconds.
    let settings = "manager.n_workers = 3\nmanager.command_time_limit = 27";
    let bench = Bench::start(&folder, settings, &block);
    assert_eq!(bench.mail(), 'c');

    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(bench.mail(), 'c', "{}", bench.manager.log());
                }
            });
        }
    });

    assert_eq!(counts.messages.load(Ordering::SeqCst), 101);
    assert_eq!(counts.most.load(Ordering::SeqCst), LIMIT, "not above it, and up to it");
}

/// What the milter has counted.
#[derive(Debug, Default)]
struct Counts {
    /// The most connections that were in a session at once.
    most: AtomicUsize,
    messages: AtomicUsize,
}

/// A milter that agrees to everything. One thread reads from all connections: before a new one is counted, every end that
/// was sent before that has been seen.
fn count(listener: &TcpListener, counts: &Counts) {
    listener.set_nonblocking(true).expect("a socket option can be set");
    let mut lines: Vec<Line> = Vec::new();
    loop {
        let new = listener.accept().ok().map(|(stream, _)| stream);
        lines.retain_mut(|line| line.turn(counts).is_ok());
        let in_use = lines.iter().filter(|line| line.in_use).count();
        counts.most.fetch_max(in_use, Ordering::SeqCst);
        match new {
            Some(stream) => {
                stream.set_nonblocking(true).expect("a socket option can be set");
                lines.push(Line { stream, bytes: Vec::new(), in_use: true });
            }
            None => thread::sleep(Duration::from_millis(1)),
        }
    }
}

struct Line {
    stream: TcpStream,
    bytes: Vec<u8>,
    /// From the beginning, or from CONNECT after a session, to QUIT_NC or the end.
    in_use: bool,
}

impl Line {
    /// Reads and answers all there is.
    fn turn(&mut self, counts: &Counts) -> io::Result<()> {
        let mut buffer = [0; 65_536];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.bytes.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        while let Some(length) =
            self.bytes.first_chunk().map(|&length| 4 + u32::from_be_bytes(length) as usize)
            && self.bytes.len() >= length
        {
            let frame = Frame::read(&mut &self.bytes[..length])?.expect("it is there");
            self.bytes.drain(..length);
            let answer = match frame.letter {
                b'O' => {
                    let [version, actions, _] = frame.negotiated().expect("an offer");
                    Frame::negotiation(version.min(6), actions & ALL_ACTIONS, 0)
                }
                b'K' => {
                    self.in_use = false;
                    continue;
                }
                b'Q' => return Err(io::ErrorKind::UnexpectedEof.into()),
                b'D' | b'A' => continue,
                letter => {
                    self.in_use |= letter == b'C';
                    counts.messages.fetch_add(usize::from(letter == b'E'), Ordering::SeqCst);
                    Frame::new(b'c', [])
                }
            };
            self.stream.write_all(&answer.bytes())?;
        }
        Ok(())
    }
}

#[test]
fn who_has_waited_longest_is_next() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let child = Child::agreeing(&socket);
    let lines = ["max_connections = 1", "queue_timeout = 25", "fallback_status = \"reject\""];
    let settings = format!("{SINGLE}\nmanager.command_time_limit = 27");
    let bench = Bench::start(&folder, &settings, &milter("child", &[&socket], &lines));
    assert_eq!(bench.mail(), 'c');
    let names: Vec<String> = (0..8).map(|number| format!("client-{number}")).collect();
    let mut sessions: Vec<MtaSide> = Vec::new();
    for name in &names {
        let mut mta = bench.session();
        mta.send(&connect(name)).expect("it reads");
        bench.settle();
        sessions.push(mta);
    }

    for (number, mut mta) in sessions.into_iter().enumerate() {
        assert_eq!(mta.receive().expect("its turn").letter, b'c');
        assert_eq!(child.clients()[1..], names[..=number]);
        mta.quit().expect("it reads");
    }
}

#[test]
fn one_who_gives_up_is_passed_over() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let child = Child::agreeing(&socket);
    let lines = ["max_connections = 1", "queue_timeout = 25", "fallback_status = \"reject\""];
    let settings = format!("{SINGLE}\nmanager.command_time_limit = 27");
    let bench = Bench::start(&folder, &settings, &milter("child", &[&socket], &lines));
    assert_eq!(bench.mail(), 'c');
    let begin = |name: &str| {
        let mut mta = bench.session();
        mta.send(&connect(name)).expect("it reads");
        bench.settle();
        mta
    };
    let [mut holds, impatient, mut waits] = ["holds", "impatient", "waits"].map(begin);
    assert_eq!(holds.receive().expect("an answer").letter, b'c');

    drop(impatient);
    bench.settle();
    holds.quit().expect("it reads");

    assert_eq!(waits.receive().expect("its turn").letter, b'c');
    assert_eq!(child.clients()[1..], ["holds", "waits"]);
}

#[test]
fn who_waits_too_long_gets_the_fallback() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let child = Child::agreeing(&socket);
    let lines = [
        "max_connections = 1",
        "queue_timeout = 0.5",
        "fallback_status = \"reject\"",
        "fallback_status_at_connect = \"temporary-failure\"",
    ];
    let bench = Bench::start(&folder, "", &milter("child", &[&socket], &lines));
    assert_eq!(bench.mail(), 'c');
    let mut holds = bench.session();
    holds.begin().expect("it has the place");
    let start = Instant::now();

    assert_eq!(bench.visit("late"), 't');

    assert!(start.elapsed() >= Duration::from_millis(490), "{:?}", start.elapsed());
    let why = ["[failed] child", "too many connections to it, and none became free in time"];
    assert_eq!(bench.lines(&why), 1, "{}", bench.manager.log());
    assert_eq!(bench.lines(&["[down]"]), 0, "busy is not down");
    // Who has the place is not disturbed, and the next has it then.
    assert_eq!(holds.message().expect("it goes on").verdict.letter, b'c');
    holds.quit().expect("it reads");
    until_true("its end", || child.open() == 0);
    assert_eq!(bench.mail(), 'c');
}
