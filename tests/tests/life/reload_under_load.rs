//! Ten thousand sessions while the configuration is loaded again every tenth of a second, in turn one and another: each session
//! gets its answers, all of them from the configuration that it began with.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use millstream_tests::bench::{Bench, connect, folder, milter};
use millstream_tests::counting_child::{Answer, Child, agree, agreed};
use millstream_tests::holdings::Holdings;
use millstream_tests::mta_side::MtaSide;
use millstream_tests::until::{PATIENCE, until_some, until_true};
use millstream_tests::wire::{Address, Frame};

const SESSIONS: usize = 10_000;

/// How many MTAs connect at a time.
const CLIENTS: usize = 4;

const BETWEEN_RELOADS: Duration = Duration::from_millis(100);

/// The configurations, by what their milters say.
const VERSIONS: [&str; 2] = ["one", "two"];

/// The manager's memory may grow by this much while it loads a configuration a hundred times: what the allocator keeps
/// depends on which sessions and loads have met.
const GROWTH: usize = 8 << 20;

/// What a milter was told, under whatever configuration.
#[derive(Debug, Default)]
struct Told {
    clients: AtomicUsize,
    messages: AtomicUsize,
}

/// A milter of one configuration: it names that in what it says.
fn child(socket: &Path, header: &'static str, version: &'static str, told: &Arc<Told>) -> Child {
    let told = Arc::clone(told);
    Child::forgetful(socket, move |connection, frame| match frame.letter {
        b'C' => {
            told.clients.fetch_add(1, Ordering::Relaxed);
            agreed()
        }
        b'R' if frame.first_string() == "<refused@example.com>" => Answer::Say(vec![refusal(version)]),
        b'E' => {
            told.messages.fetch_add(1, Ordering::Relaxed);
            Answer::Say(vec![mark(header, version), Frame::new(b'c', [])])
        }
        _ => agree(connection, frame),
    })
}

fn refusal(version: &str) -> Frame {
    Frame::strings(b'y', [format!("550 5.7.1 by {version}").as_str()])
}

fn mark(header: &str, version: &str) -> Frame {
    Frame::strings(b'h', [header, version])
}

/// Both milters at the sockets of a version. The second is not shown messages of senders that are named after it; one of the
/// versions keeps connections.
fn milters(folder: &Path, version: &str) -> String {
    let sockets = ["first", "second"].map(|name| socket(folder, name, version));
    let keeps = format!("reuse_connections = {}", version == VERSIONS[0]);
    let lines = ["fallback_status = \"temporary-failure\"", "reuse_idle_time = 1", &keeps];
    let condition = format!(
        "define_applicable_condition(\"others\") do |condition|\n  \
         condition.define_envelope_from_stopper do |context, from|\n    from =~ /\\+{version}@/\n  end\nend\n"
    );
    let first = milter("first", &[&sockets[0]], &lines);
    let of_second = [&lines[..], &["add_applicable_condition(\"others\")"]].concat();
    format!("{condition}{first}{}", milter("second", &[&sockets[1]], &of_second))
}

fn socket(folder: &Path, name: &str, version: &str) -> PathBuf {
    folder.join(format!("{name}-{version}.sock"))
}

/// What sessions have come to.
#[derive(Debug, Default)]
struct Tally {
    sessions: BTreeMap<&'static str, usize>,
    messages: usize,
    /// Those that were shown to the second milter.
    messages_of_second: usize,
}

impl Tally {
    fn add(&mut self, other: Self) {
        for (version, count) in other.sessions {
            *self.sessions.entry(version).or_default() += count;
        }
        self.messages += other.messages;
        self.messages_of_second += other.messages_of_second;
    }

    fn all(&self) -> usize {
        self.sessions.values().sum()
    }
}

/// The session of this number: one is refused, one has two messages, the others have one.
fn visit(number: usize, address: &Address, tally: &mut Tally) -> io::Result<()> {
    let mut mta = MtaSide::connect(address, PATIENCE)?;
    let _ = mta.negotiate()?;
    for frame in [connect("client.example.org"), Frame::strings(b'H', ["client.example.org"])] {
        agrees(&mut mta, &frame)?;
    }
    let senders = match number % 8 {
        0 => &[0, 1][..],
        even if even % 2 == 0 => &[0],
        _ => &[1],
    };
    let mut versions = Vec::new();
    for &sender in senders {
        let sender = VERSIONS[sender];
        agrees(&mut mta, &Frame::strings(b'M', [format!("<list+{sender}@example.org>").as_str()]))?;
        if number % 8 == 1 {
            let answer = mta.command(&Frame::strings(b'R', ["<refused@example.com>"]))?;
            let version = VERSIONS.into_iter().find(|version| answer == refusal(version));
            versions.push(version.unwrap_or_else(|| panic!("session {number}: {answer:?}")));
            break;
        }
        let ending = message(&mut mta)?;
        assert_eq!(ending.verdict, Frame::new(b'c', []), "session {number}");
        let version = VERSIONS.into_iter().find(|version| {
            let mut expected = vec![mark("X-First", version)];
            if *version != sender {
                expected.push(mark("X-Second", version));
            }
            ending.edits == expected
        });
        let version = version.unwrap_or_else(|| panic!("session {number}: {:?}", ending.edits));
        tally.messages += 1;
        tally.messages_of_second += usize::from(version != sender);
        versions.push(version);
    }
    assert!(versions.windows(2).all(|pair| pair[0] == pair[1]), "session {number}: {versions:?}");
    *tally.sessions.entry(versions[0]).or_default() += 1;
    mta.quit()
}

fn message(mta: &mut MtaSide) -> io::Result<millstream_tests::mta_side::Ending> {
    agrees(mta, &Frame::strings(b'R', ["<user@example.com>"]))?;
    agrees(mta, &Frame::new(b'T', []))?;
    agrees(mta, &Frame::strings(b'L', ["Subject", "Hello"]))?;
    agrees(mta, &Frame::new(b'N', []))?;
    agrees(mta, &Frame::new(b'B', &b"Hello.\r\n"[..]))?;
    mta.end_of_message()
}

fn agrees(mta: &mut MtaSide, frame: &Frame) -> io::Result<()> {
    let answer = mta.command(frame)?;
    assert_eq!(answer, Frame::new(b'c', []), "the answer to {frame:?}");
    Ok(())
}

/// Runs that many sessions, and loads the configurations in turn meanwhile. Returns how often it has asked for that.
fn run(bench: &Bench, folder: &Path, count: usize, tally: &mut Tally) -> usize {
    let (next, address) = (AtomicUsize::new(0), bench.address());
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut tally = Tally::default();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return tally;
                        }
                        if let Err(error) = visit(number, &address, &mut tally) {
                            panic!("session {number}: {error}");
                        }
                    }
                })
            })
            .collect();
        let mut reloads = 0;
        while !clients.iter().all(thread::ScopedJoinHandle::is_finished) {
            thread::sleep(BETWEEN_RELOADS);
            reloads += 1;
            bench.configure("", &milters(folder, VERSIONS[reloads % VERSIONS.len()]));
            bench.manager.reload();
        }
        for client in clients {
            tally.add(client.join().expect("all its sessions are in order"));
        }
        reloads
    })
}

/// What the process holds at rest: the least of some looks, since the last configuration may still be loaded, on a thread that
/// ends with that.
fn at_rest(process: u32) -> Holdings {
    let looks = (0..30).map(|_| {
        thread::sleep(BETWEEN_RELOADS / 10);
        Holdings::of(process)
    });
    looks.min_by_key(|look| (look.threads, look.descriptors)).expect("it was looked at")
}

#[test]
fn ten_thousand_sessions_lose_nothing_to_a_reload_every_tenth_of_a_second() {
    let Some(folder) = folder() else { return };
    let told = [Arc::new(Told::default()), Arc::new(Told::default())];
    let mut children = Vec::new();
    for version in VERSIONS {
        for (name, header, told) in [("first", "X-First", &told[0]), ("second", "X-Second", &told[1])] {
            children.push(child(&socket(folder.path(), name, version), header, version, told));
        }
    }
    let mut bench = Bench::start(&folder, "", &milters(folder.path(), VERSIONS[0]));
    let process = bench.manager.process().id();
    let settle = |bench: &Bench, tally: &Tally| {
        until_true("the end of all connections to milters", || {
            children.iter().all(|child| child.open() == 0)
        });
        // Those that are counted have also been told to the end.
        let _ = bench.lines(&[]);
        let clients = told.each_ref().map(|told| told.clients.load(Ordering::Relaxed));
        assert_eq!(clients, [tally.all(); 2], "what the milters count of {tally:?}");
        let messages = told.each_ref().map(|told| told.messages.load(Ordering::Relaxed));
        assert_eq!(
            messages,
            [tally.messages, tally.messages_of_second],
            "what the milters count of {tally:?}"
        );
    };
    // What is made once for good, such as the loops' buffers, is made by these.
    let mut tally = Tally::default();
    let before_reloads = run(&bench, folder.path(), SESSIONS / 10, &mut tally);
    settle(&bench, &tally);
    let before = at_rest(process);

    let reloads = run(&bench, folder.path(), SESSIONS, &mut tally);
    settle(&bench, &tally);

    println!("{tally:?}, {reloads} reloads");
    assert_eq!(tally.all(), SESSIONS + SESSIONS / 10);
    let least = tally.sessions.values().min().copied().unwrap_or_default();
    assert!(tally.sessions.len() == VERSIONS.len() && least > SESSIONS / 10, "both have served: {tally:?}");
    let is_as_before = |now: Holdings| {
        (now.descriptors, now.threads) == (before.descriptors, before.threads)
            && now.resident <= before.resident + GROWTH
    };
    let settled = until_some(PATIENCE, || Some(Holdings::of(process)).filter(|now| is_as_before(*now)));
    let last = settled.unwrap_or_else(|| Holdings::of(process));
    println!("before {before:?}\nlast   {last:?}");
    assert!(is_as_before(last), "before {before:?}, last {last:?}");
    let log = bench.manager.log();
    let lines = |part: &str| log.lines().filter(|line| line.contains(part)).count();
    // A signal that comes before the one before has been taken is the same one: its configuration is loaded all the same.
    let done = lines("[reload] done");
    assert!(done > (before_reloads + reloads) / 2, "{done} of {reloads} reloads");
    for word in ["[reload] refused", "panic", "[loop][failed]", "lines were lost", "[failed]"] {
        let found = log.lines().find(|line| line.contains(word));
        assert!(found.is_none(), "{found:?}");
    }
    assert!(fs::metadata(format!("/proc/{process}")).is_ok(), "it runs");
}
