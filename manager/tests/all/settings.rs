//! The program and its configuration file: the process id, and lines for settings that do not do what the file says.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};

/// Longer than any step takes; a test that waits for nothing ends.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn the_process_id_is_written_after_root_is_given_up_and_removed_at_the_end() {
    let folder = Folder::new("pid");
    let pid_file = folder.0.join("m.pid");
    folder.configure(&format!("manager.pid_file = \"{}\"", pid_file.display()));
    let mut manager = Manager::start(&folder);
    manager.expect("[start] listening at ");

    assert_eq!(fs::read_to_string(&pid_file).unwrap(), format!("{}\n", manager.child.id()));
    if geteuid().is_root() {
        let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&pid_file).unwrap());
        assert_eq!(owner, nobody().uid.as_raw());
    }

    manager.signal(Signal::SIGTERM);
    assert!(manager.child.wait().unwrap().success());
    assert!(!pid_file.exists());
}

#[test]
fn without_its_pid_file_the_manager_does_not_start() {
    let folder = Folder::new("no-pid");
    folder.configure("manager.pid_file = \"/no/such/directory/m.pid\"");
    let output = folder.program(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("failed to write the process id: </no/such/directory/m.pid>: "), "{told}");
}

#[test]
fn what_has_no_effect_is_told_at_start_and_at_reload() {
    let folder = Folder::new("effect");
    folder.configure("manager.max_connections = 5\nmanager.chunk_size = 100");
    let place = folder.file();
    let mut manager = Manager::start(&folder);
    let before = manager.expect("[start] listening at ");
    let told: Vec<_> = before.iter().filter(|line| line.contains("[configuration]")).collect();
    let [line] = &told[..] else { panic!("{told:?}") };
    assert!(
        line.ends_with(&format!("[configuration] {place}:5: manager.chunk_size has no effect yet")),
        "{line}"
    );

    folder.configure(
        "manager.max_connections = 6\nmanager.event_loop_backend = \"libev\"\nmanager.chunk_size = 100",
    );
    manager.signal(Signal::SIGHUP);
    let before = manager.expect("[reload] done");
    let told: Vec<_> =
        before.iter().filter_map(|line| line.split_once("[configuration] ")).map(|(_, text)| text).collect();
    assert_eq!(
        told,
        [
            format!("{place}:6: manager.chunk_size has no effect yet"),
            format!(
                "{place}:5: manager.event_loop_backend names a library of milter manager, which stands for the default here"
            ),
            format!("{place}:4: manager.max_connections counts from the next start"),
        ]
    );
}

#[test]
fn what_is_hardly_meant_is_told_at_start_at_reload_and_by_show_config() {
    let folder = Folder::new("warning");
    let slow =
        "define_milter(\"slow\") {|m| m.connection_spec = \"inet:9\"; m.end_of_message_timeout = 400 }";
    let twice = "define_milter(\"twice\") {|m| m.connection_spec = \"inet:9\"; m.evaluation_mode = true }";
    let place = folder.file();
    let passes =
        format!("{place}:5: mail passes without milter \"slow\" when it fails (fallback_status is accept)");
    let warnings = format!(
        "{place}:5: milter.end_of_message_timeout of \"slow\" is 400 s, but the MTA is answered after 297 s\n\
         {place}:6: milter \"twice\" has the socket of \"slow\": it is asked twice"
    );
    let told = |before: &[String]| {
        let lines = before.iter().filter_map(|line| line.split_once("[configuration] "));
        lines.map(|(_, text)| text.to_owned()).collect::<Vec<_>>().join("\n")
    };

    folder.configure(&format!("\n{slow}\n{twice}"));
    let mut manager = Manager::start(&folder);
    assert_eq!(told(&manager.expect("[start] listening at ")), warnings);

    folder.configure(&format!("log.level = \"default|info\"\n{slow}\n{twice}"));
    manager.signal(Signal::SIGHUP);
    assert_eq!(told(&manager.expect("[reload] done")), format!("{warnings}\n{passes}"));

    let Output { status, stderr, .. } = folder.program(&["--show-config"]).output().unwrap();
    let expected: String = warnings.lines().map(|line| format!("milter-manager: {line}\n")).collect();
    assert_eq!((status.code(), String::from_utf8(stderr).unwrap()), (Some(0), expected));
}

#[test]
fn check_config_tells_all_problems_and_a_start_is_refused_with_them() {
    let folder = Folder::new("check");
    let place = folder.file();
    let wrong = "manager.nonsense = 1\nmanager.chunk_size = 100\nif false\n  define_milter(\"x\") {|m| m.enabeld = true }\nend";
    folder.configure(wrong);
    for (arguments, last) in
        [(&["--check-config"][..], "2 problems in the configuration"), (&[], "not started: 2 problems")]
    {
        let Output { status, stdout, stderr } = folder.program(arguments).output().unwrap();
        let told = String::from_utf8(stderr).unwrap();
        assert_eq!((status.code(), stdout.len()), (Some(1), 0), "{told}");
        assert!(told.contains(&format!("{place}:4:9: unknown setting: manager.nonsense\n")), "{told}");
        assert!(told.contains(&format!("{place}:7:29: unknown setting: milter.enabeld\n")), "{told}");
        assert!(told.lines().last().unwrap().contains(last), "{told}");
    }
    folder.configure("manager.chunk_size = 100");
    let Output { status, stdout, stderr } = folder.program(&["--check-config"]).output().unwrap();
    assert_eq!((status.code(), stdout.len()), (Some(0), 0));
    let told = String::from_utf8(stderr).unwrap();
    assert_eq!(told, format!("milter-manager: {place}:4: manager.chunk_size has no effect yet\n"));
}

#[test]
fn check_config_and_a_start_say_that_a_group_is_not_there() {
    let folder = Folder::new("accounts");
    folder.configure("manager.unix_socket_group = \"no-such-group\"");
    let error = "failed to listen: ";
    let end = "no such group: no-such-group (manager.unix_socket_group)\n";
    for (arguments, begin) in
        [(&["--check-config"][..], format!("it would not start: {error}")), (&[], error.to_owned())]
    {
        let Output { status, stderr, .. } = folder.program(arguments).output().unwrap();
        let told = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(1), "{told}");
        assert!(told.contains(&format!("milter-manager: {begin}<unix:")) && told.ends_with(end), "{told}");
    }
}

#[test]
fn a_reload_with_problems_is_refused_and_what_files_tell_is_logged() {
    let folder = Folder::new("refused");
    let place = folder.file();
    folder.configure("Milter::Logger.warning(\"first\")");
    let mut manager = Manager::start(&folder);
    let before = manager.expect("[start] listening at ");
    assert!(
        before.iter().any(|line| line.ends_with(&format!("[configuration] {place}:4: first"))),
        "{before:?}"
    );
    folder.configure("Milter::Logger.warning(\"second\")\n[].each {|x| x.nonsense }");
    manager.signal(Signal::SIGHUP);
    let before = manager.expect("[reload] refused, the old configuration stays: 1 problem");
    assert!(before.iter().any(|line| line.contains("`nonsense` is not supported: x.nonsense")), "{before:?}");
    assert!(!before.iter().any(|line| line.ends_with("second")), "{before:?}");
}

#[test]
fn show_config_tells_what_has_no_effect_and_what_stands_in_the_way_of_a_start() {
    let folder = Folder::new("show");
    let show = |configuration: &str| {
        folder.configure(configuration);
        let Output { status, stderr, .. } = folder.program(&["--show-config"]).output().unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    };
    let place = folder.file();
    assert_eq!(show(""), (Some(0), String::new()));
    assert_eq!(
        show("database.name = \"x\""),
        (Some(0), format!("milter-manager: {place}:4: database.name has no effect yet\n"))
    );
    let (status, told) = show("define_milter(\"x\") {|m| }");
    assert_eq!(status, Some(1));
    assert!(told.starts_with(&format!("milter-manager: {place}:4: must set connection spec: x\n")), "{told}");
}

#[test]
fn the_backend_that_is_asked_for_serves_and_one_that_is_not_built_in_is_a_problem_with_its_place() {
    let folder = Folder::new("backend");
    let place = folder.file();
    let glommio = cfg!(all(feature = "glommio", target_os = "linux"));
    let built_in = [("std", cfg!(feature = "std")), ("smol", cfg!(feature = "smol")), ("glommio", glommio)];
    for (backend, built) in built_in {
        folder.configure(&format!("manager.event_loop_backend = \"{backend}\"\nmanager.n_workers = 3"));
        if built {
            let mut manager = Manager::start(&folder);
            manager.expect(&format!("0 milters enabled, on {backend}"));
            assert_eq!(manager.event_loops(), 3, "{backend}");
            manager.signal(Signal::SIGTERM);
            assert!(manager.child.wait().unwrap().success());
            continue;
        }
        let missing =
            format!("manager.event_loop_backend is \"{backend}\", which is not built into this program");
        let output = folder.program(&[]).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(told.starts_with(&format!("milter-manager: {place}:4: {missing}\n")), "{told}");
        // The command line wins.
        folder.configure("manager.event_loop_backend = \"glib\"");
        let output = folder.program(&["--event-loop-backend", backend, "--show-config"]).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(told.starts_with(&format!("milter-manager: command line: {missing}\n")), "{told}");
    }
}

#[test]
fn an_empty_variable_is_not_the_working_directory() {
    let folder = Folder::new("variable");
    folder.configure("manager.max_connections = 4711");
    let mut command = Command::new(env!("CARGO_BIN_EXE_milter-manager"));
    command.arg("--show-config").current_dir(&folder.0).env("MILTER_MANAGER_CONFIG_DIR", "");
    let shown = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(!shown.contains("4711"), "{shown}");
}

/// A directory with a configuration that the manager may write to, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("millstream-settings-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        if geteuid().is_root() {
            chown(&path, Some(nobody().uid.as_raw()), None).unwrap();
        }
        Self(path)
    }

    /// The settings that every test wants, three lines, then `settings`.
    fn configure(&self, settings: &str) {
        let socket = self.0.join("m.sock");
        let text = format!(
            "manager.connection_spec = \"unix:{}\"\nlog.use_syslog = false\n\n{settings}\n",
            socket.display()
        );
        fs::write(self.0.join("milter-manager.conf"), text).unwrap();
    }

    fn file(&self) -> String {
        self.0.join("milter-manager.conf").display().to_string()
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_milter-manager")));
        command.arg("-c").arg(&self.0).arg("--no-daemon").args(arguments);
        command.env_remove("MILTER_MANAGER_CONFIG_DIR");
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running manager, killed at the end.
struct Manager {
    child: Child,
    lines: Receiver<String>,
}

impl Manager {
    fn start(folder: &Folder) -> Self {
        let mut child = folder.program(&[]).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// Waits for a line with `text` and gives those before it.
    fn expect(&mut self, text: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return before,
                Ok(line) => before.push(line),
                Err(error) => panic!("{text}: {error}: {before:?}"),
            }
        }
    }

    /// How many threads serve sessions, as Linux tells.
    fn event_loops(&self) -> usize {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
        // A helper of a loop has its name.
        let loops: BTreeSet<u32> =
            names.filter_map(|name| name.trim_end().strip_prefix("millstream-")?.parse().ok()).collect();
        loops.len()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn nobody() -> User {
    User::from_name("nobody").unwrap().unwrap()
}
