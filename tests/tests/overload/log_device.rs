//! A log that takes nothing: mail goes on, and what is lost is counted and told when the log moves again.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use millstream_tests::bench::{self, Bench, folder};
use millstream_tests::counting_child::Child;
use millstream_tests::manager::give_to_manager;
use millstream_tests::require;
use millstream_tests::scratch::Scratch;
use millstream_tests::until::until_true;

use crate::assert_bounded;
use crate::room::{Ballast, DISK, STARTER, disk_of};

/// With every line, more than a pipe and the queue of the log hold.
const SESSIONS: usize = 3_000;

#[test]
fn a_named_pipe_that_nobody_reads() {
    let Some(folder) = folder() else { return };
    let pipe = pipe(&folder);
    let path = format!("log.path = \"{}\"", pipe.display());
    stuck(&folder, &pipe, &path, &[]);
}

#[test]
fn a_standard_output_that_nobody_reads() {
    let Some(folder) = folder() else { return };
    let pipe = pipe(&folder);
    // Opened for both, so that it does not wait for a reader before it starts.
    let script = format!("exec \"$0\" \"$@\" 1<>{}", pipe.display());
    stuck(&folder, &pipe, "", &["sh", "-c", &script]);
}

fn stuck(folder: &Scratch, pipe: &Path, settings: &str, starter: &[&str]) {
    let socket = folder.join("child.sock");
    let child = Child::agreeing(&socket);
    let settings = format!("log.level = \"all\"\n{settings}");
    let milters = bench::milter("child", &[&socket], &["fallback_status = \"reject\""]);
    let mut bench = Bench::start_with(folder, &settings, &milters, starter);

    mails(&bench, SESSIONS);
    assert_eq!(child.count(b'E'), SESSIONS);
    assert_bounded(&mut bench);

    let seen = Reader::start(pipe);
    until_true("the line about lost ones", || seen.lost.load(Ordering::SeqCst) > 0);
    assert_eq!(bench.visit("afterwards.example.org"), 'c');
    bench.manager.reload();
    until_true("lines as ever", || seen.reloaded.load(Ordering::SeqCst));
    // What it has and what it has lost is what there was to say: some lines for each session.
    let (written, lost) = (seen.written.load(Ordering::SeqCst), seen.lost.load(Ordering::SeqCst));
    assert!(written + lost > 2 * SESSIONS as u64, "{written} written, {lost} lost");
    bench.manager.stop();
    assert!(bench.manager.wait(millstream_tests::until::PATIENCE).success());
}

/// It ends all the same when it is told to.
#[test]
fn a_stuck_log_does_not_keep_the_program_from_ending() {
    let Some(folder) = folder() else { return };
    let pipe = pipe(&folder);
    let socket = folder.join("child.sock");
    let _child = Child::agreeing(&socket);
    let settings = format!("log.level = \"all\"\nlog.path = \"{}\"", pipe.display());
    let milters = bench::milter("child", &[&socket], &["fallback_status = \"reject\""]);
    let mut bench = Bench::start(&folder, &settings, &milters);
    mails(&bench, SESSIONS);

    bench.manager.stop();

    assert!(bench.manager.wait(millstream_tests::until::PATIENCE).success());
}

/// No SIGUSR1 and no reload is needed.
#[test]
fn a_log_file_on_a_full_disk_goes_on_when_there_is_room() {
    if !require::available("a_log_file_on_a_full_disk_goes_on_when_there_is_room", &["unshare", "mount"]) {
        return;
    }
    let Some(folder) = folder() else { return };
    let socket = folder.join("child.sock");
    let _child = Child::agreeing(&socket);
    let settings = format!("log.path = \"{DISK}/manager.log\"");
    let milters = bench::milter("child", &[&socket], &["fallback_status = \"reject\""]);
    let mut bench = Bench::start_with(&folder, &settings, &milters, &STARTER);
    let process = bench.manager.process().id();
    let log = disk_of(process).join("manager.log");
    let text = || fs::read_to_string(&log).expect("the log can be read");
    until_true("the first line", || text().contains("[start]"));

    let ballast = Ballast::fill(process);
    // What is left of the last block of the file, and more.
    mails(&bench, 100);
    drop(ballast);

    until_true("the line about lost ones, and lines behind it", || {
        mails(&bench, 1);
        let text = text();
        let told = text.split_once(" lines were lost: the log could not be written");
        told.is_some_and(|(_, after)| after.contains("-> continue"))
    });
    assert_bounded(&mut bench);
}

fn mails(bench: &Bench, count: usize) {
    thread::scope(|scope| {
        for worker in 0..4 {
            scope.spawn(move || {
                for _ in (worker..count).step_by(4) {
                    assert_eq!(bench.mail(), 'c');
                }
            });
        }
    });
}

fn pipe(folder: &Scratch) -> std::path::PathBuf {
    let pipe = folder.join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    give_to_manager(&pipe);
    pipe
}

/// Reads a pipe for as long as the test runs.
#[derive(Default)]
struct Reader {
    written: AtomicU64,
    lost: AtomicU64,
    reloaded: AtomicBool,
}

impl Reader {
    fn start(pipe: &Path) -> Arc<Self> {
        let reader = Arc::new(Self::default());
        let (facts, pipe) = (Arc::clone(&reader), BufReader::new(File::open(pipe).expect("it can be read")));
        thread::spawn(move || {
            for line in pipe.lines().map_while(Result::ok) {
                let lost = line.split_once("[log] ").and_then(|(_, rest)| {
                    rest.strip_suffix(" lines were lost: the log device did not take them in time")
                });
                facts
                    .lost
                    .fetch_add(lost.map_or(0, |count| count.parse().expect("a number")), Ordering::SeqCst);
                facts.written.fetch_add(1, Ordering::SeqCst);
                facts.reloaded.fetch_or(line.contains("[reload] done"), Ordering::SeqCst);
            }
        });
        reader
    }
}
