//! A manager whose milters are the test's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::manager::{Manager, give_to_manager, program};
use crate::mta_side::MtaSide;
use crate::require;
use crate::scratch::Scratch;
use crate::until::{PATIENCE, until_true};
use crate::wire::{Address, Frame};

/// A private folder for the sockets; nothing when this machine cannot run the manager as administrators do.
#[must_use]
pub fn folder() -> Option<Scratch> {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    require::available(&test, &[]).then(|| Scratch::new("bench"))
}

/// A milter in the configuration: its sockets, and lines without `milter.`.
#[must_use]
pub fn milter(name: &str, sockets: &[&Path], lines: &[&str]) -> String {
    let sockets: Vec<String> =
        sockets.iter().map(|socket| format!("\"unix:{}\"", socket.display())).collect();
    let lines: String = lines.iter().map(|line| format!("  milter.{line}\n")).collect();
    format!(
        "define_milter(\"{name}\") do |milter|\n  milter.connection_spec = [{}]\n{lines}end\n",
        sockets.join(", ")
    )
}

/// What is told behind a reload.
const DONE: &[&str] = &["[reload] done"];

/// A running manager.
#[derive(Debug)]
pub struct Bench {
    /// The manager.
    pub manager: Manager,
    socket: PathBuf,
}

impl Bench {
    /// With these milters, below `folder`. `settings` are lines for the top.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Scratch, settings: &str, milters: &str) -> Self {
        Self::start_with(folder, settings, milters, &[])
    }

    /// The same, started by another program, which gets the manager's path as its last argument.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_with(folder: &Scratch, settings: &str, milters: &str, starter: &[&str]) -> Self {
        let own = folder.join("manager");
        fs::create_dir_all(&own).expect("a folder can be made");
        // It removes its socket there at its end.
        give_to_manager(&own);
        let socket = own.join("manager.sock");
        let mut command = match starter {
            [] => Command::new(program()),
            [first, rest @ ..] => {
                let mut command = Command::new(require::program_path(first));
                let _ = command.args(rest).arg(program());
                command
            }
        };
        // What the log says is looked at.
        let _ = command.env("LC_ALL", "C");
        let mut manager = Manager::start_with(&own, &configuration(&socket, settings, milters), command);
        manager.process().wait_for_socket(&socket);
        Self { manager, socket }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::Unix(self.socket.clone())
    }

    /// Writes another configuration, which counts from the next reload on.
    pub fn configure(&self, settings: &str, milters: &str) {
        self.manager.configure(&configuration(&self.socket, settings, milters));
    }

    /// Gives it another configuration, and waits until it has taken that.
    pub fn reload(&self, settings: &str, milters: &str) {
        let before = self.count(DONE);
        self.configure(settings, milters);
        self.manager.reload();
        until_true("the reload", || self.count(DONE) > before);
    }

    /// Gives it a configuration that it must refuse, and waits until it has.
    ///
    /// # Panics
    /// When it does not.
    pub fn refuse(&self, settings: &str, milters: &str) {
        self.manager.configure(&configuration(&self.socket, settings, milters));
        self.manager.reload();
        until_true("a refusal", || self.count(&["[reload] refused"]) > 0);
    }

    /// How many lines of its log have all of `parts`, with everything that was answered up to now: the log is written beside
    /// the answers. Loads the configuration again for that, which has not changed and so changes nothing.
    #[must_use]
    pub fn lines(&self, parts: &[&str]) -> usize {
        let before = self.count(DONE);
        self.manager.reload();
        until_true("a reload", || self.count(DONE) > before);
        self.count(parts)
    }

    /// The same, of what is written already.
    fn count(&self, parts: &[&str]) -> usize {
        self.manager.log().lines().filter(|line| parts.iter().all(|part| line.contains(part))).count()
    }

    /// An MTA that has connected.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn connection(&self) -> MtaSide {
        MtaSide::connect(&self.address(), PATIENCE).expect("it listens")
    }

    /// An MTA that has negotiated.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn session(&self) -> MtaSide {
        let mut mta = self.connection();
        let negotiated = mta.negotiate();
        assert!(negotiated.is_ok(), "{negotiated:?}");
        mta
    }

    /// A whole session with one message: the first answer that is not `c`, or the verdict.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn mail(&self) -> char {
        let mut mta = self.session();
        let outcome = mta.outcome();
        mta.quit().expect("it reads");
        char::from(outcome)
    }

    /// The answer to CONNECT in a session that ends there.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn visit(&self, client: &str) -> char {
        let mut mta = self.session();
        let answer = mta.command(&connect(client)).expect("an answer");
        mta.quit().expect("it reads");
        char::from(answer.letter)
    }

    /// Returns when what was sent to it before has been read: its only thread has answered others since then.
    pub fn settle(&self) {
        for _ in 0..3 {
            self.session().quit().expect("it reads");
        }
    }
}

/// CONNECT from a client of this name.
#[must_use]
pub fn connect(client: &str) -> Frame {
    let mut payload = client.as_bytes().to_vec();
    payload.extend_from_slice(b"\x004\x12\x34203.0.113.7\0");
    Frame::new(b'C', payload)
}

/// Calls `probe` until it is true for some time, to see that it stays so.
pub fn stays(what: &str, probe: impl Fn() -> bool) {
    for _ in 0..20 {
        assert!(probe(), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn configuration(socket: &Path, settings: &str, milters: &str) -> String {
    format!(
        "manager.connection_spec = \"unix:{}\"\nmanager.unix_socket_mode = 0666\n{settings}\n{milters}",
        socket.display()
    )
}
