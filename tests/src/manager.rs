//! The manager under test: `milter-manager` itself, started as an administrator starts it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::account;
use crate::process::Process;
use crate::programs;
use crate::until::PATIENCE;

/// A running `milter-manager`, killed when this is dropped.
#[derive(Debug)]
pub struct Manager {
    process: Process,
    folder: PathBuf,
}

impl Manager {
    /// Starts it with `FOLDER/milter-manager.conf` holding `configuration` and everything logged to standard output.
    /// The caller waits for its socket or port.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(folder: &Path, configuration: &str) -> Self {
        Self::start_with(folder, configuration, Command::new(program()))
    }

    /// The same where `command` ends in the program, such as `prlimit --nofile=40 PROGRAM`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_with(folder: &Path, configuration: &str, mut command: Command) -> Self {
        fs::create_dir_all(folder).expect("a folder can be made");
        fs::write(folder.join("milter-manager.conf"), complete(configuration))
            .expect("the configuration can be written");
        command.arg("--no-daemon").arg("-c").arg(folder);
        if let Some(backend) = env::var_os(BACKEND) {
            command.arg("--event-loop-backend").arg(backend);
        }
        // Nothing of the caller's may decide what is tested.
        command.env_remove("MILTER_MANAGER_CONFIG_DIR");
        let output = folder.join("manager.output");
        let mut process = Process::start("milter-manager", &mut command, &output);
        if env::var_os(BACKEND).is_some_and(|backend| backend == "glommio") {
            let begun = Instant::now();
            while begun.elapsed() < PATIENCE && lacks_locked_memory(&mut process) {
                process = Process::start("milter-manager", &mut command, &output);
            }
        }
        Self { process, folder: folder.to_owned() }
    }

    /// Writes another configuration; it counts from [`reload`](Self::reload) on.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn configure(&self, configuration: &str) {
        self.configure_exactly(&complete(configuration));
    }

    /// Writes a file as it is, valid or not.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn configure_exactly(&self, text: &str) {
        // In one step: a reload that was asked for before may be reading.
        let beside = self.folder.join("milter-manager.conf.new");
        fs::write(&beside, text).expect("the configuration can be written");
        fs::rename(&beside, self.folder.join("milter-manager.conf")).expect("a file can be renamed");
    }

    /// Sends SIGHUP.
    pub fn reload(&self) {
        self.process.signal("HUP");
    }

    /// Sends SIGTERM.
    pub fn stop(&self) {
        self.process.signal("TERM");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it is still running after `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        self.process.wait(limit)
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// On which runtime the manager serves, in every test: `MILLSTREAM_BACKEND=smol cargo test -p millstream-tests`. Without
/// it, on its default.
const BACKEND: &str = "MILLSTREAM_BACKEND";

/// As whom the manager serves: it never does as root.
const USER: &str = "nobody";

/// Whether a manager on io_uring has ended at its start for want of memory that may be locked. That is counted for all managers of
/// their user together, and the kernel takes a moment to count those out that have ended.
fn lacks_locked_memory(process: &mut Process) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        if process.ended().is_some() {
            return process.output().contains("too little memory may be locked");
        }
        if process.output().contains("listening at") {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Gives a folder to the user as whom the manager serves, which removes its socket there at its end.
///
/// # Panics
/// When there is no such user, or it cannot be given.
pub fn give_to_manager(folder: &Path) {
    account::give_to(USER, folder);
}

/// The settings that every test wants, then the test's own.
fn complete(configuration: &str) -> String {
    // What was asked for is tested, or nothing.
    format!(
        "# Written by the test suite.\n\
         security.effective_user = \"{USER}\"\n\
         manager.event_loop_fallback = false; log.use_syslog = false\n\
         log.level = \"default|info\"\n\
         {configuration}"
    )
}

/// The program under test: `MILTER_MANAGER` when set; else this workspace's.
///
/// # Panics
/// When there is none and none can be built.
#[must_use]
pub fn program() -> &'static Path {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        env::var_os("MILTER_MANAGER").map_or_else(|| programs::ours("milter-manager"), PathBuf::from)
    });
    &PROGRAM
}
