//! No room for the files into which bodies go.

use std::path::PathBuf;

use millstream_tests::bench::{self, Bench, folder};
use millstream_tests::counting_child::Child;
use millstream_tests::require;
use millstream_tests::scratch::Scratch;
use millstream_tests::wire::Frame;

use crate::assert_bounded;
use crate::room::{Ballast, STARTER};

/// Longer than what is kept in memory.
const LONG: usize = 500_000;

/// What is behind the first milter has to wait for it, in a file.
struct Two {
    first: Child,
    second: Child,
    milters: String,
}

impl Two {
    fn start(folder: &Scratch) -> Self {
        let sockets: [PathBuf; 2] = ["first", "second"].map(|name| folder.join(&format!("{name}.sock")));
        let milter =
            |name, socket: &PathBuf| bench::milter(name, &[socket], &["fallback_status = \"accept\""]);
        let milters = milter("first", &sockets[0]) + &milter("second", &sockets[1]);
        let [first, second] = sockets.map(|socket| Child::agreeing(&socket));
        Self { first, second, milters }
    }
}

const SETTINGS: &str = "manager.max_body_memory = 65536";

#[test]
fn a_full_disk_costs_the_message_that_needs_it_and_no_other() {
    if !require::available("a_full_disk_costs_the_message_that_needs_it_and_no_other", &["unshare", "mount"])
    {
        return;
    }
    let Some(folder) = folder() else { return };
    let two = Two::start(&folder);
    let mut bench = Bench::start_with(&folder, SETTINGS, &two.milters, &STARTER);
    let body = vec![b'x'; LONG];
    let mut mta = bench.session();
    mta.begin().expect("it agrees");

    let ballast = Ballast::fill(bench.manager.process().id());
    for turn in 1..=3 {
        assert_eq!(mta.message_with(&body).expect("a verdict").verdict.letter, b't', "turn {turn}");
        assert_eq!(mta.message().expect("a verdict").verdict.letter, b'c', "turn {turn}: it needs no file");
        let told = bench.lines(&["[session][spill] the file for a body", "temporary-failure"]);
        assert_eq!(told, turn, "{}", bench.manager.log());
    }
    drop(ballast);

    for _ in 0..3 {
        assert_eq!(mta.message_with(&body).expect("a verdict").verdict.letter, b'c');
    }
    mta.quit().expect("it reads");
    assert_eq!(two.second.count(b'E'), 6, "nothing passes unfiltered");
    assert_eq!(bench.lines(&["[milter][failed]"]), 0, "no milter has failed");
    assert!(two.first.count(b'E') >= 6);
    assert_bounded(&mut bench);
}

/// `RLIMIT_FSIZE`, as service managers set it: a signal comes with it that ends who does not expect it.
#[test]
fn a_limit_on_the_size_of_files_is_a_full_disk() {
    let Some(folder) = folder() else { return };
    let two = Two::start(&folder);
    let starter = ["prlimit", "--fsize=100000:100000"];
    let mut bench = Bench::start_with(&folder, SETTINGS, &two.milters, &starter);
    let mut mta = bench.session();
    mta.begin().expect("it agrees");

    assert_eq!(mta.message_with(&vec![b'x'; LONG]).expect("a verdict").verdict.letter, b't');
    assert_eq!(mta.message_with(&vec![b'x'; 90_000]).expect("a verdict").verdict.letter, b'c');

    assert_eq!(mta.command(&Frame::strings(b'H', ["again"])).expect("an answer").letter, b'c');
    mta.quit().expect("it reads");
    assert_eq!(bench.mail(), 'c');
    assert_eq!(bench.lines(&["[session][spill]"]), 1, "{}", bench.manager.log());
    assert_bounded(&mut bench);
}
