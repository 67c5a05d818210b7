//! `--daemon`: the command ends when the daemon serves, or with what stands in the way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use millstream_tests::bench::folder;
use millstream_tests::manager;
use millstream_tests::mta_side::MtaSide;
use millstream_tests::scratch::Scratch;
use millstream_tests::until::{PATIENCE, until_true};
use millstream_tests::wire::Address;

/// A folder in which the daemon, who is nobody when root has started it, may write.
struct Office {
    folder: Scratch,
    own: PathBuf,
}

impl Office {
    fn new() -> Option<Self> {
        let folder = folder()?;
        let own = folder.join("manager");
        fs::create_dir_all(&own).unwrap();
        manager::give_to_manager(&own);
        Some(Self { folder, own })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.own.join(name)
    }

    /// Runs the program with this configuration and these arguments until it ends by itself.
    fn run(&self, configuration: &str, arguments: &[&str]) -> Output {
        fs::write(
            self.folder.join("milter-manager.conf"),
            format!("log.use_syslog = false\nlog.path = \"{}\"\n{configuration}", self.path("log").display()),
        )
        .unwrap();
        let mut command = Command::new(manager::program());
        let _ = command.arg("-c").arg(self.folder.path()).args(arguments).stdin(Stdio::null());
        command.env_remove("MILTER_MANAGER_CONFIG_DIR").output().unwrap()
    }

    /// Ends the daemon whose process id is in `pid_file`.
    fn stop(&self, pid_file: &Path) {
        signal(pid_file, "-TERM");
        until_true("the end of its file", || !pid_file.exists());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

fn signal(pid_file: &Path, signal: &str) {
    let pid = fs::read_to_string(pid_file).unwrap();
    assert!(Command::new("/bin/kill").args([signal, pid.trim()]).status().unwrap().success());
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn stat_field(pid: &str, number: usize) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the name in brackets, which may have blanks.
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(number - 3).unwrap().to_owned()
}

#[test]
fn the_command_ends_well_when_it_serves_and_its_process_id_is_there() {
    let Some(office) = Office::new() else { return };
    let (socket, pid_file) = (office.path("m.sock"), office.path("m.pid"));

    let output = office.run(
        "manager.daemon = true",
        &["--connection-spec", &format!("unix:{}", text(&socket)), "--pid-file", text(&pid_file)],
    );

    assert!(output.status.success(), "{output:?}");
    assert_eq!((&output.stdout[..], &output.stderr[..]), (&b""[..], &b""[..]));
    // It serves at once, and everybody may know who it is.
    MtaSide::connect(&Address::Unix(socket.clone()), PATIENCE).unwrap().negotiate().unwrap();
    let pid = fs::read_to_string(&pid_file).unwrap().trim().to_owned();
    // A session of its own without a terminal, in no folder that someone may want to unmount.
    assert_eq!(stat_field(&pid, 6), pid, "its session");
    assert_eq!(stat_field(&pid, 7), "0", "its terminal");
    let kill = |signal: &str| Command::new("/bin/kill").args([signal, &pid]).status().unwrap().success();
    if let Ok(place) = fs::read_link(format!("/proc/{pid}/cwd")) {
        assert_eq!(place, Path::new("/"));
        for stream in ["0", "1", "2"] {
            let leads = fs::read_link(format!("/proc/{pid}/fd/{stream}")).unwrap();
            assert_eq!(leads, Path::new("/dev/null"), "stream {stream}");
        }
    }

    assert!(kill("-HUP"));
    until_true("a reload", || office.log().contains("[reload] done"));
    assert!(kill("-TERM"));
    until_true("its end", || !Path::new(&format!("/proc/{pid}/exe")).exists() || !kill("-0"));
    until_true("the end of its files", || !pid_file.exists() && !socket.exists());
    assert!(office.log().contains("[stop] served"), "{}", office.log());
}

#[test]
fn what_stands_in_the_way_is_said_at_the_terminal() {
    let Some(office) = Office::new() else { return };
    let nowhere = office.path("no/such/folder/m.sock");

    let output = office.run("", &["--daemon", "--spec", &format!("unix:{}", text(&nowhere))]);

    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.starts_with("milter-manager: failed to listen: <unix:"), "{told}");
}

#[test]
fn nothing_is_started_with_a_configuration_that_is_wrong() {
    let Some(office) = Office::new() else { return };

    let output = office.run("manager.daemon = true\nmanager.no_such_thing = 1", &[]);

    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    // Once, and not once more by a process behind.
    assert_eq!(told.matches("no_such_thing").count(), 2, "the line, and what it should be: {told}");
}

#[test]
fn who_would_log_nowhere_is_told() {
    let Some(office) = Office::new() else { return };
    let (socket, pid_file) = (office.path("m.sock"), office.path("m.pid"));
    let spec = format!("unix:{}", text(&socket));

    let output = office.run("", &["--daemon", "-s", &spec, "--pid-file", text(&pid_file), "--log-path", "-"]);

    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.contains("nothing is logged: "), "{told}");
    office.stop(&pid_file);
}

#[test]
fn what_is_ignored_is_told_once() {
    let Some(office) = Office::new() else { return };
    let (socket, pid_file) = (office.path("m.sock"), office.path("m.pid"));
    let spec = format!("unix:{}", text(&socket));

    let output = office.run("", &["--daemon", "-s", &spec, "--pid-file", text(&pid_file), "start"]);

    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    assert_eq!(told, "milter-manager: not an option, and ignored: start\n");
    office.stop(&pid_file);
}

#[test]
fn a_start_that_fails_behind_the_socket_leaves_no_socket() {
    let Some(office) = Office::new() else { return };
    let socket = office.path("m.sock");
    let nowhere = office.path("no/such/folder/m.pid");

    let output =
        office.run("", &["--daemon", "-s", &format!("unix:{}", text(&socket)), "--pid-file", text(&nowhere)]);

    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.starts_with("milter-manager: failed to write the process id: "), "{told}");
    assert!(!socket.exists());
}

#[test]
fn a_folder_that_is_named_as_seen_from_the_start_is_the_same_at_a_reload() {
    let Some(office) = Office::new() else { return };
    let (socket, pid_file) = (office.path("m.sock"), office.path("m.pid"));
    let configure = |line: &str| {
        let common = format!(
            "log.use_syslog = false\nlog.path = \"{}\"\nmanager.connection_spec = \"unix:{}\"\n",
            office.path("log").display(),
            socket.display()
        );
        fs::write(office.folder.join("milter-manager.conf"), format!("{common}{line}\n")).unwrap();
    };
    let (parent, name) = (office.folder.path().parent().unwrap(), office.folder.path().file_name().unwrap());
    for arguments in [vec![], vec!["-c".as_ref(), name]] {
        configure("");
        let mut command = Command::new(manager::program());
        let _ = command.current_dir(parent).env("MILTER_MANAGER_CONFIG_DIR", name).stdin(Stdio::null());
        let output =
            command.args(["--daemon", "--pid-file", text(&pid_file)]).args(&arguments).output().unwrap();
        assert!(output.status.success() && socket.exists(), "{output:?}");

        configure("manager.no_such_thing = 1");
        signal(&pid_file, "-HUP");

        until_true("what is wrong with the file now", || office.log().contains("no_such_thing"));
        office.stop(&pid_file);
        until_true("the end of its socket", || !socket.exists());
        fs::remove_file(office.path("log")).unwrap();
    }
}
