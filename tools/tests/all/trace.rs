//! `milter-trace` between `milter-test-server` and a scripted milter.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use millstream_tests::child_side::ChildSide;
use millstream_tests::process::Process;
use millstream_tests::scratch::Scratch;
use millstream_tests::until::{PATIENCE, until_true};
use millstream_tests::wire::Frame;

fn ask(socket: &std::path::Path, more: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_milter-test-server"));
    let output = command.arg("-s").arg(socket).args(more).stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits without a connection, which would be a session.
fn start(command: &mut Command, scratch: &Scratch) -> Process {
    let trace = Process::start("milter-trace", command, &scratch.join("output"));
    until_true("milter-trace listens", || trace.output().contains("listening at "));
    trace
}

#[test]
fn what_passes_is_shown_and_recorded_and_is_the_same() {
    let scratch = Scratch::new("trace");
    let script = |frame: &Frame| match frame.letter {
        b'E' => vec![Frame::strings(b'h', ["X-Seen", "1"]), Frame::new(b'c', [])],
        _ => vec![Frame::new(b'c', [])],
    };
    let milter = ChildSide::scripted(&scratch.join("milter.sock"), script);
    let here = scratch.join("trace.sock");
    let records = scratch.join("records");
    fs::create_dir(&records).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_milter-trace"));
    command.arg("-s").arg(&here).arg("-m").arg(scratch.join("milter.sock")).args(["--sessions", "2"]);
    command.arg("--record").arg(&records).args(["--unix-socket-mode", "600"]);
    let mut trace = start(&mut command, &scratch);
    assert_eq!(fs::metadata(&here).unwrap().permissions().mode() & 0o777, 0o600);

    let direct = ask(&scratch.join("milter.sock"), &["--output-message"]);
    let traced = ask(&here, &["--output-message"]);

    let message = |text: &str| text.lines().filter(|line| !line.starts_with("elapsed")).collect::<String>();
    assert_eq!(message(&traced), message(&direct));
    let record = records.join("session-1.txt");
    let replay = ["--replay", record.to_str().unwrap()];
    // The record is there when the session is over.
    until_true("the record", || fs::read_to_string(&record).is_ok_and(|text| text.contains(" > Q \"\"\n")));
    let replayed = ask(&here, &replay);
    assert!(replayed.ends_with(" 0 of them other ones\n"), "{replayed}");
    assert!(trace.wait(PATIENCE).success());
    assert!(!here.exists(), "the socket goes with the program");
    let shown = trace.output();
    for line in
        ["[1] ", "helo delian", "end-of-message", "+ X-Seen: 1", "[2] ", "over: the milter was waited for"]
    {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let sessions = milter.seen().iter().filter(|frame| frame.letter == b'Q').count();
    assert_eq!(sessions, 3);
}

#[test]
fn a_milter_that_is_not_there_is_told() {
    let scratch = Scratch::new("trace");
    let here = scratch.join("trace.sock");
    let mut command = Command::new(env!("CARGO_BIN_EXE_milter-trace"));
    command.arg("-s").arg(&here).args(["-m", "/nowhere/milter.sock", "--sessions", "1"]);
    let mut trace = start(&mut command, &scratch);
    assert!(ask(&here, &[]).starts_with("the connection broke before the answer to negotiate: "));
    assert!(trace.wait(PATIENCE).success());
    let told = "[1] Failed to connect to unix:/nowhere/milter.sock: No such file or directory";
    assert!(trace.output().contains(told), "{}", trace.output());
}

#[test]
fn a_signal_lets_nobody_else_in_and_those_that_are_here_finish() {
    let scratch = Scratch::new("trace");
    let (go, waits) = std::sync::mpsc::channel::<()>();
    let (asked, is_asked) = std::sync::mpsc::channel();
    let waits = std::sync::Mutex::new(waits);
    let script = move |frame: &Frame| {
        if frame.letter == b'E' {
            asked.send(()).unwrap();
            waits.lock().unwrap().recv().unwrap();
        }
        vec![Frame::new(b'c', [])]
    };
    let _milter = ChildSide::scripted(&scratch.join("milter.sock"), script);
    let here = scratch.join("trace.sock");
    let mut command = Command::new(env!("CARGO_BIN_EXE_milter-trace"));
    command
        .arg("-s")
        .arg(&here)
        .arg("-m")
        .arg(scratch.join("milter.sock"))
        .arg("--record")
        .arg(scratch.path());
    let mut trace = start(&mut command, &scratch);

    let asking = std::thread::spawn({
        let here = here.clone();
        move || ask(&here, &[])
    });
    is_asked.recv_timeout(PATIENCE).unwrap();
    trace.signal("TERM");
    until_true("the socket is gone", || !here.exists());
    assert!(trace.ended().is_none(), "a session goes on");
    go.send(()).unwrap();
    assert!(asking.join().unwrap().starts_with("status: pass\n"));
    assert!(trace.wait(PATIENCE).success());
    assert!(fs::read_to_string(scratch.join("session-1.txt")).unwrap().contains(" > Q \"\"\n"));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let scratch = Scratch::new("trace");
    let _silent = ChildSide::scripted(&scratch.join("milter.sock"), |_| Vec::new());
    let here = scratch.join("trace.sock");
    let mut command = Command::new(env!("CARGO_BIN_EXE_milter-trace"));
    command.arg("-s").arg(&here).arg("-m").arg(scratch.join("milter.sock"));
    let mut trace = start(&mut command, &scratch);
    let mta = std::os::unix::net::UnixStream::connect(&here).unwrap();
    std::io::Write::write_all(&mut &mta, &Frame::negotiation(6, 0, 0).bytes()).unwrap();
    until_true("the session has begun", || trace.output().contains("[1] "));
    trace.signal("INT");
    until_true("the socket is gone", || !here.exists());
    assert!(trace.ended().is_none(), "a session goes on");
    trace.signal("INT");
    assert!(!trace.wait(PATIENCE).success());
}
