//! `milter-test-client` as a service: the background, another user, its process id, its log.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use millstream_tests::account;
use millstream_tests::guardian;
use millstream_tests::process::Process;
use millstream_tests::require;
use millstream_tests::scratch::Scratch;
use millstream_tests::until::{PATIENCE, until, until_true};

const PROGRAM: &str = env!("CARGO_BIN_EXE_milter-test-client");

/// A folder in which the milter, who is nobody when root has started it, may write.
struct Office(Scratch);

impl Office {
    fn new() -> Self {
        let scratch = Scratch::new("test-client-service");
        if require::is_root() {
            account::give_to("nobody", scratch.path());
        }
        Self(scratch)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The program with these options, in this folder, until it ends by itself.
    fn run(&self, options: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.0.path()).args(options).stdin(Stdio::null()).output().unwrap()
    }

    /// A milter in the foreground.
    fn start(&self, options: &[&str]) -> Process {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.0.path()).args(["-s", "unix:m.sock"]).args(options);
        let milter = Process::start("milter-test-client", &mut command, &self.path("output"));
        until_true("it listens", || self.path("m.sock").exists());
        milter
    }

    /// What an MTA makes of it.
    fn ask(&self) -> String {
        until(PATIENCE, "somebody who listens", || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_milter-test-server"));
            let output = command.arg("-s").arg(self.path("m.sock")).stdin(Stdio::null()).output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            // The socket is there a moment before it is listened at.
            (!told.starts_with("Failed to connect")).then_some(told)
        })
    }

    fn connect(&self) -> UnixStream {
        until(PATIENCE, "a connection", || UnixStream::connect(self.path("m.sock")).ok())
    }
}

fn field(pid: u32, name: &str) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

#[test]
fn in_the_background_it_serves_when_the_command_has_ended() {
    let office = Office::new();

    // The names are as seen from where it is started.
    let output = office.run(&[
        "--daemon",
        "-s",
        "unix:m.sock",
        "--pid-file",
        "m.pid",
        "--log-path",
        "m.log",
        "--verbose",
        "--unix-socket-mode=ug=rw",
    ]);

    assert!(output.status.success(), "{output:?}");
    assert_eq!((&output.stdout[..], &output.stderr[..]), (&b""[..], &b""[..]));
    let pid: u32 = fs::read_to_string(office.path("m.pid")).unwrap().trim().parse().unwrap();
    guardian::watch(pid);
    let socket = fs::metadata(office.path("m.sock")).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o660);
    assert!(office.ask().starts_with("status: pass\n"));
    if let Ok(place) = fs::read_link(format!("/proc/{pid}/cwd")) {
        assert_eq!(place, Path::new("/"));
    }

    assert!(Command::new("/bin/kill").args(["-TERM", &pid.to_string()]).status().unwrap().success());
    until_true("the end of its files", || !office.path("m.pid").exists() && !office.path("m.sock").exists());
    guardian::forget(pid);
    let log = fs::read_to_string(office.path("m.log")).unwrap();
    for line in
        [" INFO: listening at unix:m.sock\n", " INFO: a session begins\n", " INFO: a session has ended\n"]
    {
        assert!(log.contains(line), "{log}");
    }
}

#[test]
fn what_stands_in_the_way_of_the_background_is_said_at_the_terminal() {
    let office = Office::new();
    let output = office.run(&["--daemon", "-s", "unix:no/m.sock"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        told,
        "failed to listen: <unix:no/m.sock>: there is no folder no; make it, for the user who serves to write to\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn root_is_given_up_before_anybody_is_answered() {
    if !require::available("test client: root is given up", &[]) {
        return;
    }
    let office = Office::new();
    let (nobody, own_group) = account::numbers("nobody");
    let (_, mail) = account::numbers("mail");
    let cases: [(&[&str], u32); 4] = [
        (&[], own_group),
        (&["--user", "nobody", "--group", "mail"], mail),
        (&["--user-name=nobody", "--group-name=mail"], mail),
        (&["--user-id", &nobody.to_string(), "--group-id", &mail.to_string()], mail),
    ];
    for (options, group) in cases {
        let mut milter = office.start(&[options, &["--unix-socket-group", "mail"]].concat());
        let mut mta = office.connect();
        // An offer of version 6: the answer has come from who it is by then.
        mta.write_all(b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff").unwrap();
        mta.read_exact(&mut [0; 17]).unwrap();

        assert_eq!(field(milter.id(), "Uid"), [nobody; 4], "{options:?}");
        assert_eq!(field(milter.id(), "Gid"), [group; 4], "{options:?}");
        assert!(!field(milter.id(), "Groups").contains(&0), "{options:?}");
        let socket = fs::metadata(office.path("m.sock")).unwrap();
        assert_eq!((socket.uid(), socket.gid(), socket.mode() & 0o777), (nobody, mail, 0o660));
        drop(mta);
        milter.signal("INT");
        assert!(milter.wait(PATIENCE).success());
    }
}

#[test]
fn who_it_cannot_be_is_told_and_nothing_is_left_behind() {
    if !require::available("test client: users that are none", &[]) {
        return;
    }
    let office = Office::new();
    let cases: [(&[&str], &str); 5] = [
        (&["--user", "no-such-user"], "failed to drop privilege: no such user: no-such-user (--user)\n"),
        (&["--group", "no-such-group"], "failed to drop privilege: no such group: no-such-group (--group)\n"),
        (
            &["--user", "root"],
            "failed to drop privilege: --user is root, and milter-test-client does not serve as root\n",
        ),
        (
            &["--unix-socket-group", "no-such-group"],
            "failed to listen: <unix:m.sock>: no such group: no-such-group (--unix-socket-group)\n",
        ),
        (
            &["--pid-file", "/m.pid"],
            "failed to write the process id: </m.pid>: Permission denied (os error 13) (--pid-file; the directory \
             has to be writable by --user)\n",
        ),
    ];
    for (options, expected) in cases {
        let output = office.run(&[&["-s", "unix:m.sock"], options].concat());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        assert_eq!(output.status.code(), Some(1), "{options:?}");
        assert!(!office.path("m.sock").exists(), "{options:?}");
    }
}

#[test]
fn options_are_refused_in_milter_managers_words() {
    let office = Office::new();
    for (option, expected) in [
        ("--unix-socket-mode=0660", "--unix-socket-mode: must be at most 3 digits: <0660>\n"),
        ("--user-id=12x4", "--user-id: invalid integer value: <12x4>(12>x<4)\n"),
        ("--n-workers=1001", "--n-workers: too big: <1001>: parsed=<1001>, max=<1000>\n"),
        ("--log-level=no-such", "--log-level: unknown flag names: [<no-such>](<MilterLogLevelFlags>)\n"),
    ] {
        let output = office.run(&[option]);
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!((told.as_ref(), output.status.code()), (expected, Some(1)));
    }
}

#[test]
fn what_is_left_over_is_told_and_ignored() {
    let output = Office::new().run(&["start", "-s", "unix:no/m.sock"]);
    assert_eq!(output.stderr, b"milter-test-client: not an option, and ignored: start\n");
    assert!(output.stdout.starts_with(b"failed to listen: "), "{output:?}");
}

#[test]
fn what_has_no_meaning_here_is_taken_all_the_same() {
    let office = Office::new();
    let mut milter = office.start(&[
        "--no-daemon",
        "--n-workers=2",
        "--event-loop-backend=libev",
        "--packet-buffer-size=0",
        "--max-pending-finished-sessions=5",
        "--no-report-request",
        "--report-memory-profile",
    ]);
    assert!(office.ask().starts_with("status: pass\n"));
    milter.signal("TERM");
    assert!(milter.wait(PATIENCE).success());
    let told = milter.output();
    let size = told.strip_prefix("process: (").and_then(|told| told.strip_suffix("KB)\n"));
    assert!(size.is_some_and(|size| size.parse::<u32>().is_ok_and(|size| size > 0)), "{told}");
}

#[test]
fn what_goes_wrong_is_said_where_the_options_say() {
    for (options, on_output, in_file) in
        [(&[][..], true, false), (&["--log-path", "m.log"], false, true), (&["--quiet"], false, false)]
    {
        let office = Office::new();
        let mut milter = office.start(&[options, &["--no-report-request"]].concat());
        // A command that there is none of.
        office.connect().write_all(b"\0\0\0\x01?").unwrap();
        assert!(office.ask().starts_with("status: pass\n"));
        milter.signal("TERM");
        assert!(milter.wait(PATIENCE).success());
        assert_eq!(milter.output().starts_with("ERROR: "), on_output, "{options:?}: {}", milter.output());
        let log = fs::read_to_string(office.path("m.log")).unwrap_or_default();
        assert_eq!(log.contains(" ERROR: "), in_file, "{options:?}: {log}");
    }
}
