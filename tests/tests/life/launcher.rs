//! Milters that are dead are started by a process that stays root, as root's own configuration says, and by nobody else.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use millstream_tests::account;
use millstream_tests::bench::folder;
use millstream_tests::holdings::Holdings;
use millstream_tests::manager::{self, Manager};
use millstream_tests::mta_side::MtaSide;
use millstream_tests::require;
use millstream_tests::scratch::Scratch;
use millstream_tests::until::{PATIENCE, until, until_true};
use millstream_tests::wire::Address;

const PYTHON: &str = "/usr/bin/python3";

/// A milter that writes down what it was given, and then agrees to everything.
const MILTER: &str = r#"
import os, socket, stat, struct, sys
place, facts = sys.argv[1:3]
fds = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
leads = {os.readlink("/proc/self/fd/%d" % fd) for fd in (0, 1, 2)}
mask = os.umask(0o22)
try:
    os.unlink(place)
except FileNotFoundError:
    pass
listener = socket.socket(socket.AF_UNIX)
listener.bind(place)
os.chmod(place, 0o666)
listener.listen(20)
with open(facts + ".new", "w") as out:
    print("pid", os.getpid(), file=out)
    print("user", os.getuid(), os.geteuid(), os.getgid(), os.getegid(), file=out)
    print("groups", sorted(os.getgroups()) == sorted(os.getgrouplist("daemon", os.getgid())), file=out)
    print("session", os.getsid(0) == os.getpid(), os.getcwd(), oct(mask), file=out)
    # The last one is that of the folder itself.
    print("descriptors", fds[:-1], sorted(leads), file=out)
    print("environment", sorted(os.environ.items()), file=out)
    print("arguments", sys.argv[3:], file=out)
os.rename(facts + ".new", facts)
def whole(stream, count):
    data = b""
    while len(data) < count:
        part = stream.recv(count - len(data))
        if not part:
            return None
        data += part
    return data
while True:
    stream, _ = listener.accept()
    while True:
        head = whole(stream, 4)
        if head is None:
            break
        frame = whole(stream, struct.unpack("!I", head)[0])
        letter = frame[:1]
        if letter == b"O":
            answer = b"O" + struct.pack("!III", 6, 0, 0)
        elif letter == b"Q":
            break
        elif letter in (b"D", b"A", b"K"):
            continue
        else:
            answer = b"c"
        stream.sendall(struct.pack("!I", len(answer)) + answer)
    stream.close()
"#;

/// A configuration that is root's, and a folder in which anybody may listen.
struct Office {
    folder: Scratch,
    etc: PathBuf,
}

impl Office {
    fn new() -> Option<Self> {
        let folder = folder()?;
        if !require::available("milters that are started", &[PYTHON]) {
            return None;
        }
        let (etc, open) = (folder.join("etc"), folder.join("open"));
        for (path, mode) in [(&etc, 0o755), (&open, 0o777)] {
            fs::create_dir_all(path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::write(etc.join("milter.py"), MILTER).unwrap();
        Some(Self { folder, etc })
    }

    fn open(&self, name: &str) -> PathBuf {
        self.folder.join("open").join(name)
    }

    fn manager_address(&self) -> PathBuf {
        self.open("manager.sock")
    }

    /// A milter that listens on `NAME.sock` when it was started.
    fn milter(&self, name: &str, lines: &str) -> String {
        format!(
            "define_milter(\"{name}\") do |milter|\n  milter.connection_spec = \"unix:{}\"\n  \
             milter.fallback_status = \"temporary-failure\"\n  milter.retry_interval = 0.2\n{lines}end\n",
            self.open(&format!("{name}.sock")).display()
        )
    }

    /// The same, with a command that starts it as `daemon`.
    fn started(&self, name: &str) -> String {
        let words = [
            self.etc.join("milter.py"),
            self.open(&format!("{name}.sock")),
            self.open(&format!("{name}.facts")),
            PathBuf::from("two words"),
            PathBuf::from("$HOME"),
        ];
        self.milter(
            name,
            &format!(
                "  milter.command = \"{PYTHON}\"\n  milter.command_options = {words:?}\n  \
                 milter.user_name = \"daemon\"\n"
            ),
        )
    }

    fn configuration(&self, privileged: bool, milters: &str) -> String {
        format!(
            "security.privilege_mode = {privileged}\nmanager.connection_spec = \"unix:{}\"\n{milters}",
            self.manager_address().display()
        )
    }

    fn start(&self, privileged: bool, milters: &str) -> Manager {
        let mut manager = Manager::start(&self.etc, &self.configuration(privileged, milters));
        manager.process().wait_for_socket(&self.manager_address());
        manager
    }

    fn mail(&self) -> u8 {
        let mut mta = MtaSide::connect(&Address::Unix(self.manager_address()), PATIENCE).unwrap();
        mta.negotiate().unwrap();
        mta.outcome()
    }

    fn facts(&self, name: &str) -> Vec<String> {
        let path = self.open(&format!("{name}.facts"));
        fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    fn kill_milter(&self, name: &str) {
        let facts = self.facts(name);
        let pid = facts[0].strip_prefix("pid ").unwrap();
        assert!(Command::new("/bin/kill").args(["-KILL", pid]).status().unwrap().success());
    }
}

/// The processes that the manager has started.
fn launchers(manager: u32) -> Vec<u32> {
    let children = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()?;
        (parent == manager).then_some(number)
    });
    children.collect()
}

fn is_running(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // One that nobody has asked for its status is a zombie.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn a_dead_milter_is_started_as_its_user_and_again_when_it_has_died() {
    let Some(office) = Office::new() else { return };
    let mut manager = office.start(true, &office.started("scanner"));
    let [launcher] = launchers(manager.process().id())[..] else { panic!("one launcher") };

    assert_eq!(office.mail(), b't', "it is not there yet");
    until_true("a milter that was started", || office.mail() == b'c');

    let facts = office.facts("scanner");
    let (user, group) = account::numbers("daemon");
    let paths = "PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(facts[1], format!("user {user} {user} {group} {group}"));
    assert_eq!(facts[2], "groups True");
    assert_eq!(facts[3], "session True / 0o22");
    assert_eq!(facts[4], "descriptors [0, 1, 2] ['/dev/null']");
    for part in ["('HOME', '/usr/sbin')", "('LOGNAME', 'daemon')", "('USER', 'daemon')", paths] {
        assert!(facts[5].contains(part), "{}", facts[5]);
    }
    for part in ["CARGO", "MILTER_MANAGER", "NOTIFY_SOCKET"] {
        assert!(!facts[5].contains(part), "{}", facts[5]);
    }
    assert_eq!(facts[6], "arguments ['two words', '$HOME']");
    println!("the launcher: {:?}", Holdings::of(launcher));

    office.kill_milter("scanner");
    until_true("its end in the log", || manager.log().contains("has ended, signal: 9"));
    until_true("the milter once more", || office.mail() == b'c');
    assert!(office.facts("scanner")[0] != facts[0], "another process");
    let log = manager.log();
    assert!(log.contains("[launcher] scanner: started as daemon, process "), "{log}");

    // Its own end is not the milter's.
    manager.stop();
    assert!(manager.wait(PATIENCE).success());
    until_true("the launcher's end", || !is_running(launcher));
    let pid = office.facts("scanner")[0].strip_prefix("pid ").unwrap().parse().unwrap();
    assert!(is_running(pid));
    office.kill_milter("scanner");
}

#[test]
fn the_launcher_ends_with_a_manager_that_is_killed() {
    let Some(office) = Office::new() else { return };
    let mut manager = office.start(true, "");
    let [launcher] = launchers(manager.process().id())[..] else { panic!("one launcher") };

    manager.process().signal("KILL");

    until_true("its end", || !is_running(launcher));
}

#[test]
fn nobody_stays_root_without_being_asked_to() {
    let Some(office) = Office::new() else { return };
    let mut manager = office.start(false, &office.started("scanner"));

    assert_eq!(office.mail(), b't');

    assert_eq!(launchers(manager.process().id()), [0; 0]);
}

#[test]
fn a_reload_brings_other_commands() {
    let Some(office) = Office::new() else { return };
    let manager = office.start(true, &office.milter("scanner", ""));
    assert_eq!(office.mail(), b't');

    manager.configure(&office.configuration(true, &office.started("scanner")));
    manager.reload();

    until_true("a milter that was started", || office.mail() == b'c');
    office.kill_milter("scanner");
}

/// The launcher itself, asked by somebody who is not the manager and knows its language.
struct Launcher {
    process: Child,
    way: UnixStream,
}

impl Launcher {
    fn start(office: &Office, configuration: &str) -> Self {
        write(office, configuration);
        let (way, theirs) = UnixStream::pair().unwrap();
        way.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = Command::new(manager::program());
        command.arg("--launcher").arg("-c").arg(&office.etc).env_remove("MILTER_MANAGER_CONFIG_DIR");
        let process =
            command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self { process: process.unwrap(), way }
    }

    fn say(&mut self, letter: u8, text: &str) {
        let mut frame = u16::try_from(text.len() + 1).unwrap().to_be_bytes().to_vec();
        frame.push(letter);
        frame.extend_from_slice(text.as_bytes());
        self.way.write_all(&frame).unwrap();
    }

    /// The next line for the log, behind the letter of its level.
    fn hear(&mut self) -> String {
        let mut length = [0; 2];
        self.way.read_exact(&mut length).expect("a report in time");
        let mut report = vec![0; usize::from(u16::from_be_bytes(length))];
        self.way.read_exact(&mut report).unwrap();
        let letter = char::from(report.remove(0));
        format!("{letter} {}", String::from_utf8(report).unwrap())
    }

    fn has_ended(mut self) {
        until(PATIENCE, "the launcher's end", || self.process.try_wait().unwrap());
    }
}

fn write(office: &Office, configuration: &str) {
    fs::write(office.etc.join("milter-manager.conf"), configuration).unwrap();
}

#[test]
fn it_starts_nothing_that_is_not_in_the_configuration() {
    let Some(office) = Office::new() else { return };
    let lines = "  milter.command = \"/bin/true\"\n";
    let off = format!("  milter.enabled = false\n{lines}");
    let milters = office.milter("known", lines)
        + &office.milter("plain", "")
        + &office.milter("off", &off)
        + &office.milter("lost", "  milter.command = \"/no/such/program\"\n")
        + &office
            .milter("foreign", "  milter.command = \"/bin/true\"\n  milter.user_name = \"no-such-user\"\n")
        + &office.milter("open", "  milter.command = \"/bin/true 'x\"\n");
    let mut launcher = Launcher::start(&office, &milters);
    assert_eq!(launcher.hear(), "i starts, when they are dead: foreign, known, lost");
    assert!(launcher.hear().starts_with("e open: milter.command is no command line"));

    for name in ["", "nobody", "off", "/bin/true", "known\0/bin/sh"] {
        launcher.say(b's', name);
        let expected = format!("w refused: {name:?} is no milter that is enabled in root's configuration");
        assert_eq!(launcher.hear(), expected);
    }
    launcher.say(b's', "plain");
    launcher.say(b's', "open");
    launcher.say(b's', "lost");
    let told = launcher.hear();
    assert!(told.starts_with("e lost: cannot be started as root: /no/such/program: No such file"), "{told}");
    launcher.say(b's', "foreign");
    assert_eq!(
        launcher.hear(),
        "e foreign: cannot be started as no-such-user: no such user: no-such-user (milter.user_name)"
    );
    launcher.say(b's', "known");
    let told = launcher.hear();
    assert!(
        told.starts_with("m known: started as root, process ") && told.ends_with(": /bin/true"),
        "{told}"
    );
    let told = launcher.hear();
    assert!(told.ends_with(" has ended, exit status: 0"), "{told}");
    // Not over and over.
    launcher.say(b's', "known");
    assert_eq!(launcher.hear(), "i known: not started again for 5 s");

    // Who speaks another language is not listened to.
    launcher.way.write_all(&[0xFF; 10]).unwrap();
    launcher.has_ended();
}

#[test]
fn it_believes_only_files_that_root_alone_can_write() {
    let Some(office) = Office::new() else { return };
    let file = office.etc.join("milter-manager.conf");
    let with = |name: &str| office.milter(name, "  milter.command = \"/bin/true\"\n");
    fs::create_dir_all(office.etc.join("more")).unwrap();
    write(&office, "");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let mut launcher = Launcher::start(&office, &with("first"));
    let told = launcher.hear();
    assert!(told.starts_with("e the configuration is not followed, no milter is started: "), "{told}");
    assert!(told.ends_with("can be written by others than root (mode 666)"), "{told}");
    launcher.say(b's', "first");
    assert!(launcher.hear().starts_with("w refused: "));

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    launcher.say(b'r', "");
    assert_eq!(launcher.hear(), "i starts, when they are dead: first");

    // What it loads counts, too, and what was root's word before stays.
    let more = office.etc.join("more.conf");
    fs::write(&more, with("second")).unwrap();
    chown(&more, Some(account::numbers("nobody").0), None).unwrap();
    write(&office, &format!("{}load \"more.conf\"\n", with("first")));
    launcher.say(b'r', "");
    let told = launcher.hear();
    assert!(
        told.starts_with("e the configuration is not followed, what was read before counts on: "),
        "{told}"
    );
    assert!(told.contains("more.conf belongs to another user than root"), "{told}");
    launcher.say(b's', "second");
    assert!(launcher.hear().starts_with("w refused: "));
    launcher.say(b's', "first");
    assert!(launcher.hear().starts_with("m first: started as root"));
    assert!(launcher.hear().ends_with("has ended, exit status: 0"));

    launcher.way.shutdown(Shutdown::Both).unwrap();
    launcher.has_ended();
}

/// It is of no use to somebody who is not root already.
#[test]
fn nobody_else_can_use_it() {
    let Some(office) = Office::new() else { return };
    if !require::available("another user", &["/usr/bin/setpriv"]) {
        return;
    }
    let user = account::numbers("nobody").0.to_string();
    let run = |arguments: &[&str]| {
        let mut command = Command::new("/usr/bin/setpriv");
        command.args(["--reuid", &user, "--clear-groups"]).arg(manager::program()).args(arguments);
        command.stdin(Stdio::null()).output().unwrap()
    };
    let mark = office.open("mark");
    assert!(!run(&["--launcher"]).status.success());
    let output = run(&["--start-milter", "daemon", "/usr/bin/touch", text(&mark)]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.starts_with("cannot become daemon: "), "{told}");
    assert!(!mark.exists());
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
