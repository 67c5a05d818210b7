//! A milter with several sockets.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use millstream_tests::scratch::Scratch;
use millstream_tests::until::until_true;

use millstream_tests::bench::{Bench, connect, folder, milter};
use millstream_tests::counting_child::Child;

/// One thread: each counts for itself.
const SINGLE: &str = "manager.n_workers = 1";

fn children(folder: &Scratch, count: usize) -> (Vec<Child>, Vec<PathBuf>) {
    let sockets: Vec<PathBuf> = (0..count).map(|number| folder.join(&format!("{number}.sock"))).collect();
    (sockets.iter().map(|socket| Child::agreeing(socket)).collect(), sockets)
}

fn start(folder: &Scratch, sockets: &[PathBuf], lines: &[&str]) -> Bench {
    let sockets: Vec<&Path> = sockets.iter().map(PathBuf::as_path).collect();
    Bench::start(folder, SINGLE, &milter("child", &sockets, lines))
}

#[test]
fn failover_goes_to_the_second_and_comes_back() {
    let Some(folder) = folder() else { return };
    let (mut children, sockets) = children(&folder, 2);
    let bench = start(&folder, &sockets, &["fallback_status = \"reject\"", "retry_interval = 0.3"]);
    for _ in 0..3 {
        assert_eq!(bench.mail(), 'c');
    }
    assert_eq!((children[0].count(b'E'), children[1].connections()), (3, 0));

    children[0].stop();

    for _ in 0..5 {
        assert_eq!(bench.mail(), 'c', "the second is there");
    }
    assert_eq!((children[0].count(b'E'), children[1].count(b'E')), (3, 5));
    assert_eq!(bench.lines(&["[down]"]), 1, "{}", bench.manager.log());

    children[0].start();

    until_true("the first one's mail", || {
        assert_eq!(bench.mail(), 'c');
        children[0].count(b'E') > 3
    });
    let of_second = children[1].count(b'E');
    for _ in 0..3 {
        assert_eq!(bench.mail(), 'c');
    }
    assert_eq!(children[1].count(b'E'), of_second, "the first one is back");
    assert_eq!((bench.lines(&["[down]"]), bench.lines(&["[up]"])), (1, 1), "{}", bench.manager.log());
    assert_eq!(bench.lines(&["[failed]"]), 0, "{}", bench.manager.log());
}

#[test]
fn without_any_socket_the_milter_has_failed_and_each_is_told_once() {
    let Some(folder) = folder() else { return };
    let (mut children, sockets) = children(&folder, 2);
    let bench = start(&folder, &sockets, &["fallback_status = \"temporary-failure\"", "retry_interval = 60"]);
    assert_eq!(bench.mail(), 'c');

    children.iter_mut().for_each(Child::stop);

    for _ in 0..10 {
        assert_eq!(bench.mail(), 't');
    }
    for socket in &sockets {
        assert_eq!(bench.lines(&["[down]", &socket.display().to_string()]), 1, "{}", bench.manager.log());
    }
    assert_eq!(bench.lines(&["[failed] child", "not tried: down since"]), 9, "{}", bench.manager.log());
}

/// On all threads, and although each try of it fails anew.
#[test]
fn an_outage_is_told_once_however_often_it_is_tried() {
    let Some(folder) = folder() else { return };
    let (mut children, sockets) = children(&folder, 1);
    let lines = ["fallback_status = \"temporary-failure\"", "retry_interval = 0.05"];
    let block = milter("child", &[&sockets[0]], &lines);
    let bench = Bench::start(&folder, "manager.n_workers = 3", &block);
    for outage in 1..=3 {
        assert_eq!(bench.mail(), 'c');

        children[0].stop();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    // Long enough for some tries.
                    let start = Instant::now();
                    while start.elapsed() < Duration::from_millis(400) {
                        assert_eq!(bench.mail(), 't');
                    }
                });
            }
        });

        let tries = bench.lines(&["[failed] child: cannot connect: connection refused"]);
        assert!(tries > outage, "{tries} tries in {outage} outages");
        assert_eq!((bench.lines(&["[down]"]), bench.lines(&["[up]"])), (outage, outage - 1));

        children[0].start();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| until_true("its answer", || bench.mail() == 'c'));
            }
        });
        assert_eq!((bench.lines(&["[down]"]), bench.lines(&["[up]"])), (outage, outage));
    }
}

#[test]
fn round_robin_gives_equal_shares() {
    let Some(folder) = folder() else { return };
    let (mut children, sockets) = children(&folder, 3);
    let lines = ["endpoint_choice = \"round-robin\"", "fallback_status = \"reject\"", "retry_interval = 60"];
    let bench = start(&folder, &sockets, &lines);
    for _ in 0..12 {
        assert_eq!(bench.mail(), 'c');
    }
    assert_eq!(shares(&children), [4, 4, 4]);

    children[1].stop();

    for _ in 0..12 {
        assert_eq!(bench.mail(), 'c');
    }
    let shares = shares(&children);
    assert_eq!((shares[1], shares.iter().sum::<usize>()), (4, 24));
    assert!(shares[0].abs_diff(shares[2]) <= 1, "{shares:?}");
}

#[test]
fn least_busy_is_where_sessions_have_ended() {
    let Some(folder) = folder() else { return };
    let (children, sockets) = children(&folder, 2);
    let lines = ["endpoint_choice = \"least-busy\"", "fallback_status = \"reject\""];
    let bench = start(&folder, &sockets, &lines);
    // What it wants is known from now on.
    assert_eq!(bench.mail(), 'c');
    until_true("an end", || children.iter().all(|child| child.open() == 0));
    let begin = |name: &str| {
        let mut mta = bench.session();
        assert_eq!(mta.command(&connect(name)).expect("an answer").letter, b'c');
        mta
    };

    let held: Vec<_> =
        (0..4).map(|number| format!("held-{number}")).map(|name| (begin(&name), name)).collect();

    assert_eq!([children[0].open(), children[1].open()], [2, 2]);
    let of_second = children[1].clients();
    let (end, stay): (Vec<_>, Vec<_>) = held.into_iter().partition(|(_, name)| of_second.contains(name));
    end.into_iter().for_each(|(mta, _)| mta.quit().expect("it reads"));
    until_true("two ends", || children[1].open() == 0);
    bench.settle();
    let _both = [begin("late-0"), begin("late-1")];
    assert_eq!([children[0].open(), children[1].open()], [2, 2]);
    assert_eq!(stay.len(), 2);
}

fn shares(children: &[Child]) -> Vec<usize> {
    children.iter().map(|child| child.count(b'E')).collect()
}
