//! The control socket and `--control`, as an administrator and as somebody hostile.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use millstream_tests::bench::{Bench, connect, folder, milter};
use millstream_tests::counting_child::{Answer, Child, agree};
use millstream_tests::manager::program;
use millstream_tests::scratch::Scratch;
use millstream_tests::until::{PATIENCE, until_true};
use millstream_tests::wire::Frame;

/// A manager with a control socket.
struct Controlled {
    bench: Bench,
    folder: PathBuf,
    settings: String,
    milters: String,
}

impl Controlled {
    fn start(folder: &Scratch, settings: &str, milters: &str) -> Self {
        let own = folder.join("manager");
        let settings =
            format!("controller.connection_spec = \"unix:{}\"\n{settings}", own.join("control").display());
        let bench = Bench::start(folder, &settings, milters);
        let controlled = Self { bench, folder: own, settings, milters: milters.to_owned() };
        until_true("the control socket", || controlled.socket().exists());
        controlled
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("control")
    }

    fn control(&self, arguments: &[&str]) -> Output {
        control(&self.folder, arguments)
    }

    /// What the command says when all is well.
    fn ask(&self, arguments: &[&str]) -> String {
        let output = self.control(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn connection(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The payload of the reply to one.
    fn exchange(&self, payload: &[u8]) -> String {
        exchange(&mut self.connection(), payload)
    }
}

/// Runs `milter-manager --control` with the configuration in `folder`.
fn control(folder: &std::path::Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.arg("-c").arg(folder).arg("--control").args(arguments);
    command.env_remove("MILTER_MANAGER_CONFIG_DIR").output().unwrap()
}

fn exchange(stream: &mut UnixStream, payload: &[u8]) -> String {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], payload].concat()).unwrap();
    read(stream)
}

fn read(stream: &mut UnixStream) -> String {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut payload = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut payload).unwrap();
    String::from_utf8(payload).unwrap()
}

fn silent_at_end(_: usize, frame: &Frame) -> Answer {
    if frame.letter == b'E' { Answer::Say(Vec::new()) } else { agree(0, frame) }
}

#[test]
fn status_says_what_runs_and_from_which_files() {
    let Some(folder) = folder() else { return };
    let mut controlled = Controlled::start(&folder, "manager.max_connections = 7", "");
    let text = controlled.ask(&["status"]);
    let pid = controlled.bench.manager.process().id();
    assert!(text.starts_with("milter-manager ") && text.contains(&format!("process {pid}, ")), "{text}");
    assert!(text.contains("0 running, at most 7 (manager.max_connections)"), "{text}");
    let file = controlled.folder.join("milter-manager.conf");
    assert!(text.contains(&format!("from {}", file.display())), "{text}");
    let json = controlled.ask(&["status", "--json"]);
    for part in ["\"limit\":7", &format!("\"pid\":{pid}"), "\"refused\":null"] {
        assert!(json.contains(part), "{part}: {json}");
    }
}

#[test]
fn a_reload_is_answered_when_the_configuration_holds() {
    let Some(folder) = folder() else { return };
    let (first, second) = (folder.join("first"), folder.join("second"));
    let (_one, two) = (Child::agreeing(&first), Child::agreeing(&second));
    let controlled = Controlled::start(&folder, "", &milter("child", &[&first], &[]));
    assert_eq!(controlled.bench.mail(), 'c');
    controlled.bench.configure(&controlled.settings, &milter("child", &[&second], &[]));
    assert!(controlled.ask(&["reload"]).starts_with("reloaded"));
    assert_eq!(controlled.bench.mail(), 'c');
    assert_eq!(two.connections(), 1, "the session behind it goes to the other milter");
}

#[test]
fn a_reload_that_is_refused_says_why_and_the_status_keeps_it() {
    let Some(folder) = folder() else { return };
    let controlled = Controlled::start(&folder, "", "");
    controlled.bench.configure(&controlled.settings, "manager.no_such_thing = 1");
    let output = controlled.control(&["reload"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("not reloaded, the old configuration stays: 1 problem"), "{told}");
    assert!(told.contains("milter-manager.conf:") && told.contains("no_such_thing"), "{told}");
    assert!(controlled.ask(&["status"]).contains("last reload    refused"));
    let json = controlled.control(&["reload", "--json"]);
    assert_eq!(json.status.code(), Some(1));
    assert!(String::from_utf8(json.stdout).unwrap().contains("\"reloaded\":false"));
    controlled.bench.configure(&controlled.settings, &controlled.milters);
    assert!(controlled.ask(&["reload"]).starts_with("reloaded"));
    assert!(!controlled.ask(&["status"]).contains("refused"));
}

#[test]
fn config_is_the_configuration_that_holds_and_not_the_file() {
    let Some(folder) = folder() else { return };
    let controlled = Controlled::start(&folder, "manager.max_connections = 7", "");
    controlled.bench.configure(&controlled.settings, "manager.max_connections = 8");
    assert!(controlled.ask(&["config"]).contains("manager.max_connections = 7\n"));
    controlled.ask(&["reload"]);
    assert!(controlled.ask(&["config"]).contains("manager.max_connections = 8\n"));
}

#[test]
fn children_stand_with_their_sockets_and_what_they_have_said() {
    let Some(folder) = folder() else { return };
    let (socket, gone) = (folder.join("child"), folder.join("gone"));
    let _child = Child::agreeing(&socket);
    let milters = milter("child", &[&socket], &[])
        + &milter("gone", &[&gone], &["fallback_status = \"accept\"", "retry_interval = 100"])
        + &milter("off", &[&gone], &["enabled = false"]);
    let controlled = Controlled::start(&folder, "", &milters);
    assert!(controlled.ask(&["children"]).contains("not asked for by any session yet"));
    assert_eq!(controlled.bench.mail(), 'c');
    until_true("the message is counted", || controlled.ask(&["children"]).contains("messages: 1 continue\n"));
    let text = controlled.ask(&["children"]);
    assert!(text.contains("waiting for the milter; up\n"), "{text}");
    assert!(text.contains("; down for ") && text.contains("no such socket"), "{text}");
    assert!(text.contains("messages: 1 failed\n") && text.contains("off (not enabled)\n"), "{text}");
    let json = controlled.ask(&["children", "--json"]);
    assert!(json.contains("\"up\":false") && json.contains("\"failed\":1"), "{json}");
}

#[test]
fn sessions_name_the_client_and_the_milter_that_they_wait_for() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("child");
    let _child = Child::scripted(&socket, silent_at_end);
    let controlled = Controlled::start(&folder, "", &milter("slow", &[&socket], &[]));
    let mut mta = controlled.bench.session();
    for frame in
        [connect("client.test"), Frame::strings(b'M', ["<a@b.test>"]), Frame::strings(b'R', ["<c@d.test>"])]
    {
        assert_eq!(mta.command(&frame).unwrap().letter, b'c');
    }
    mta.send(&Frame::new(b'E', [])).unwrap();
    let waits = "waits for slow at end-of-message, for ";
    until_true("the session waits", || controlled.ask(&["sessions"]).contains(waits));
    let text = controlled.ask(&["sessions"]);
    assert!(text.starts_with("1 session running\n["), "{text}");
    assert!(text.contains("] client.test [203.0.113.7], for "), "{text}");
    let json = controlled.ask(&["sessions", "--json"]);
    assert!(json.contains("\"child\":\"slow\"") && json.contains("\"silent_event_loops\":0"), "{json}");
}

/// What milter manager's own controller says.
#[test]
fn the_commands_of_milter_manager_are_answered() {
    let Some(folder) = folder() else { return };
    let controlled = Controlled::start(&folder, "", "");
    assert!(controlled.exchange(b"get-status\0").starts_with("status\0milter-manager "));
    assert!(controlled.exchange(b"get-configuration\0").starts_with("configuration\0"));
    assert!(controlled.exchange(b"reload\0").starts_with("success\0"));
    assert!(controlled.exchange(b"set-configuration\0<configuration/>").starts_with("error\0"));
    assert!(controlled.exchange(b"stop-child\0clamav").starts_with("error\0"));
    // Several on one connection, and without the NUL.
    let mut stream = controlled.connection();
    assert!(exchange(&mut stream, b"get-status").starts_with("status\0"));
    assert!(
        exchange(&mut stream, b"nonsense\x1b[31m").starts_with("error\0no such command: nonsense\\x1b[31m;")
    );
}

#[test]
fn nobody_hostile_keeps_the_administrator_from_an_answer() {
    let Some(folder) = folder() else { return };
    let controlled = Controlled::start(&folder, "", "");
    let mut huge = controlled.connection();
    huge.write_all(b"\xff\xff\xff\xffrest").unwrap();
    assert!(read(&mut huge).starts_with("error\0not understood: a frame of 4294967295 bytes"));
    let mut torn = controlled.connection();
    torn.write_all(b"\0\0\0\x06rel").unwrap();
    drop(torn);
    // More than there are places, and none of them says anything.
    let silent: Vec<UnixStream> = (0..20).map(|_| controlled.connection()).collect();
    let begin = Instant::now();
    assert!(controlled.ask(&["status"]).contains("running"));
    assert!(begin.elapsed() < Duration::from_secs(19), "{:?}", begin.elapsed());
    drop(silent);
    // Asks without reading what is said.
    let mut deaf = controlled.connection();
    for _ in 0..1000 {
        if deaf.write_all(b"\0\0\0\x0bget-status\0").is_err() {
            break;
        }
    }
    assert_eq!(controlled.bench.visit("client.test"), 'c');
    assert!(controlled.ask(&["status"]).contains("running"));
}

#[test]
fn the_socket_is_as_closed_as_configured_and_gone_at_the_end() {
    let Some(folder) = folder() else { return };
    let mut controlled = Controlled::start(&folder, "controller.unix_socket_mode = 0600", "");
    let mode = fs::metadata(controlled.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    controlled.bench.manager.stop();
    assert!(controlled.bench.manager.wait(PATIENCE).success());
    assert!(!controlled.socket().exists());
}

/// At three in the morning it should be clear what is the matter.
#[test]
fn who_cannot_be_answered_is_told_why() {
    let Some(folder) = folder() else { return };
    let own = folder.join("conf");
    fs::create_dir_all(&own).unwrap();
    let told = |configuration: &str| {
        fs::write(own.join("milter-manager.conf"), configuration).unwrap();
        let output = control(&own, &["status"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(told("").contains("controller.connection_spec is not set. Put\n"));
    let nowhere = format!("controller.connection_spec = \"unix:{}\"", own.join("control").display());
    assert!(told(&nowhere).contains("control is not there: milter-manager does not run"));
    drop(std::os::unix::net::UnixListener::bind(own.join("control")).unwrap());
    assert!(told(&nowhere).contains("nobody listens there any more"));
    // A file that is broken does not keep anybody from asking what runs.
    assert!(told(&format!("{nowhere}\nmanager.nonsense = 1")).contains("nobody listens there any more"));
}

#[test]
fn without_its_control_socket_the_manager_serves() {
    let Some(folder) = folder() else { return };
    let settings = "controller.connection_spec = \"unix:/nonexistent/control\"";
    let bench = Bench::start(&folder, settings, "");
    assert_eq!(bench.visit("client.test"), 'c');
    assert_eq!(bench.lines(&["[control] failed to listen: <unix:/nonexistent/control>"]), 1);
}
