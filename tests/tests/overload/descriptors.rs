//! No descriptors left for connections to milters. `tests/hostile/descriptors.rs` has sessions that take them all.

use std::path::{Path, PathBuf};

use millstream_tests::bench::{self, Bench, folder};
use millstream_tests::counting_child::Child;
use millstream_tests::holdings::Holdings;
use millstream_tests::mta_side::MtaSide;
use millstream_tests::until::{PATIENCE, until_true};
use millstream_tests::wire::Frame;

use crate::assert_bounded;

/// Eight milters to a session, and descriptors for some sessions. Who has connections keeps them and is served; the others
/// are refused for now and never pass unfiltered, although all fallbacks say accept; and no milter is down by that.
#[test]
fn connections_to_milters_take_the_last_descriptors() {
    const MILTERS: usize = 8;
    const FREE: usize = 68;
    let Some(folder) = folder() else { return };
    let sockets: Vec<PathBuf> = (0..MILTERS).map(|n| folder.join(&format!("{n}.sock"))).collect();
    let children: Vec<Child> = sockets.iter().map(|socket| Child::agreeing(socket)).collect();
    let milter = |(n, socket): (usize, &PathBuf)| {
        bench::milter(&format!("child-{n}"), &[socket as &Path], &["fallback_status = \"accept\""])
    };
    let milters: String = sockets.iter().enumerate().map(milter).collect();
    let settings = "manager.n_workers = 2\nmanager.suspend_time_on_unacceptable = 1";
    let is_quiet = || children.iter().all(|child| child.open() == 0);
    // Runtimes need more or fewer for themselves.
    let own = {
        let Some(folder) = bench::folder() else { return };
        let mut bench = Bench::start(&folder, settings, &milters);
        assert_eq!(bench.mail(), 'c');
        until_true("the ends of its connections", is_quiet);
        Holdings::of(bench.manager.process().id()).descriptors
    };
    let limit = format!("--nofile={0}:{0}", own + FREE);
    let mut bench = Bench::start_with(&folder, settings, &milters, &["prlimit", &limit]);
    assert_eq!(bench.mail(), 'c');
    until_true("the ends of its connections", is_quiet);
    let process = bench.manager.process().id();
    let before = Holdings::of(process);

    let (mut served, mut refused) = (Vec::new(), 0);
    for n in 0..12 {
        let mut mta = MtaSide::connect(&bench.address(), PATIENCE).expect("the kernel queues it");
        let answer = mta.negotiate().and_then(|_| mta.command(&bench::connect("client")));
        match answer.map(|frame| frame.letter) {
            Ok(b'c') => served.push(mta),
            Ok(b't') | Err(_) => refused += 1,
            Ok(other) => panic!("session {n}: {}", char::from(other)),
        }
    }

    assert!(served.len() >= 3 && refused >= 3, "{} served, {refused} refused", served.len());
    let hello = Frame::strings(b'H', ["client.example.org"]);
    for mta in &mut served {
        assert_eq!(mta.command(&hello).expect("an answer").letter, b'c');
        assert_eq!(mta.message().expect("it is served").verdict.letter, b'c', "{}", bench.manager.log());
    }
    let filtered: Vec<usize> = children.iter().map(|child| child.count(b'E')).collect();
    assert_eq!(filtered, [served.len() + 2; MILTERS], "each message by each");
    drop(served);
    until_true("as many descriptors as before", || Holdings::of(process).descriptors == before.descriptors);
    assert_eq!(Holdings::of(process).threads, before.threads);
    // A reload needs descriptors, too.
    assert_eq!(bench.lines(&["[down]"]), 0, "{}", bench.manager.log());
    assert_eq!(bench.lines(&["out of descriptors or memory", "a limit of this process"]) > 0, refused > 0);
    assert_eq!(bench.mail(), 'c');
    assert_bounded(&mut bench);
}
