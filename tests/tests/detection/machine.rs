//! A view of this machine that a test may change: the same programs and packages, other files where they are changed.
//!
//! It is a mount namespace. `/etc` is a copy, `/run`, `/var/log` and `/var/spool/postfix` are empty, and only processes that are started in it
//! see that. So `systemctl disable` and `usermod` do what they do, and another suite that runs beside this one sees nothing of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use millstream_tests::process::Process;
use millstream_tests::require::program_path;
use millstream_tests::scratch::Scratch;
use millstream_tests::until::until_true;

/// Makes the namespace from within it. The private folder, which is below `/run`, stays where it is.
const SET_UP: &str = r#"
set -e
mount --bind "$1" /mnt
for directory in /run /var/log /var/spool/postfix; do
    mount -t tmpfs -o mode=755 tmpfs "$directory"
done
mkdir -p "$1"
mount --move /mnt "$1"
mount --bind "$1/etc" /etc
touch "$1/ready"
exec sleep infinity
"#;

/// The view, gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Machine {
    // In this order: what looks is ended first.
    view: Process,
    scratch: Scratch,
}

impl Machine {
    /// What has to be installed.
    pub(crate) const NEEDS: &[&str] = &["unshare", "nsenter", "mount", "systemctl", "usermod"];

    pub(crate) fn new() -> Self {
        let scratch = Scratch::new("machine");
        let copied = Command::new("cp").args(["-a", "/etc"]).arg(scratch.path()).status().unwrap();
        assert!(copied.success(), "/etc cannot be copied");
        let mut command = Command::new(program_path("unshare"));
        command.args(["--mount", "--propagation", "private", "sh", "-c", SET_UP, "sh"]).arg(scratch.path());
        let mut view = Process::start("the view", &mut command, &scratch.join("view.output"));
        until_true("the view of the machine", || {
            assert!(view.ended().is_none(), "{}", view.output());
            scratch.join("ready").exists()
        });
        Self { view, scratch }
    }

    /// The folder that is the same within and without.
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// How another program is started in it: the words before that.
    pub(crate) fn enter(&self) -> [String; 2] {
        ["nsenter".to_owned(), format!("--mount=/proc/{}/ns/mnt", self.view.id())]
    }

    /// A command in it.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let [nsenter, namespace] = self.enter();
        let mut command = Command::new(program_path(&nsenter));
        command.arg(namespace).arg(program.as_ref());
        command
    }

    /// Runs a command in it to its end.
    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        let output = self.command(words[0]).args(&words[1..]).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// Where a file of it is for those without.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        // A link to /run, which would lead to the one without.
        let path = path.strip_prefix("/var").filter(|path| path.starts_with("/run/")).unwrap_or(path);
        PathBuf::from(format!("/proc/{}/root{path}", self.view.id()))
    }

    /// Changes a file below `/etc`: the lines that begin with one of the new ones' first words go.
    pub(crate) fn set(&self, path: &str, lines: &[&str]) {
        let file = self.scratch.path().join(path.strip_prefix('/').unwrap());
        let key = |line: &str| line.split([' ', '\t', '=']).next().unwrap_or_default().to_owned();
        let keys: Vec<_> = lines.iter().map(|line| key(line)).collect();
        let text = fs::read_to_string(&file).unwrap_or_default();
        let kept = text.lines().filter(|line| !keys.contains(&key(line)));
        let text = kept.chain(lines.iter().copied()).collect::<Vec<_>>().join("\n");
        fs::write(file, text + "\n").unwrap();
    }
}
