//! The launcher: a small process that stays root and starts milters that are dead.
//!
//! ```text
//!   manager (nobody's rights)                launcher (root, --launcher)             a milter (its user)
//!
//!   connection refused -- start NAME -->  is it in root's own configuration?
//!   reload done -------- reload ------->  reads that again
//!                                         --start-milter: a session of its own, no
//!                                         descriptors, clean environment, its user --> exec COMMAND
//!   the log <---------- a line ---------  has started, has ended, is refused
//!   ends, however ---- end of file ---->  ends; milters live on
//! ```
//!
//! The manager can name a milter and nothing else: what is run, with which arguments and as whom, the launcher has read itself,
//! from files that root alone can write. It is the program once more and not a fork, since there are threads when it begins;
//! so is the step between it and a milter, since only a process can become another user.

mod commands;
mod office;
mod pace;
mod starter;
mod trust;
mod words;

use std::env;
use std::ffi::OsString;
use std::io::{self, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use millstream_config::Security;
use nix::unistd::geteuid;

use crate::log::{Logger, printable};
use words::{Report, Request};

pub(crate) use office::serve;
pub(crate) use starter::{STEP, start_milter};

/// Requests that wait; what comes on top is asked for again when the milter is tried the next time.
const QUEUE: usize = 64;

/// The manager's way to its launcher.
#[derive(Debug, Clone)]
pub(crate) struct Launcher {
    requests: SyncSender<Request>,
}

impl Launcher {
    /// Starts the launcher where the configuration wants one and this process is root.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub(crate) fn start(security: &Security, log: &Logger) -> io::Result<Option<Self>> {
        if !security.privilege_mode || !geteuid().is_root() {
            return Ok(None);
        }
        let (ours, theirs) = UnixStream::pair()?;
        let mut arguments: Vec<OsString> = env::args_os().skip(1).collect();
        arguments.insert(0, "--launcher".into());
        let child = Command::new(env::current_exe()?)
            .args(arguments)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let (requests, asked) = sync_channel(QUEUE);
        let listened = ours.try_clone()?;
        let log = log.clone();
        thread::Builder::new().name("launcher".to_owned()).spawn(move || send(&asked, ours))?;
        thread::Builder::new()
            .name("launcher log".to_owned())
            .spawn(move || listen(listened, child, &log))?;
        Ok(Some(Self { requests }))
    }

    /// The milter of this name is dead. Does not wait.
    pub(crate) fn ask_for(&self, name: &str) {
        let _ = self.requests.try_send(Request::Start(name.to_owned()));
    }

    /// The configuration was loaded again. Waits for room among the requests.
    pub(crate) fn reload(&self) {
        // Without a launcher there is nobody to tell, which was logged.
        let _ = self.requests.send(Request::Reload);
    }
}

fn send(asked: &Receiver<Request>, mut launcher: UnixStream) {
    for request in asked {
        if launcher.write_all(&request.frame()).is_err() {
            return;
        }
    }
}

fn listen(launcher: UnixStream, mut child: Child, log: &Logger) {
    let mut launcher = BufReader::new(launcher);
    let end = loop {
        match Report::read(&mut launcher) {
            Ok(Some(report)) => {
                log.log(report.level, || format!("[launcher] {}", printable(report.text.as_bytes())));
            }
            Ok(None) => break String::new(),
            Err(error) => break format!(" ({error})"),
        }
    };
    let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
    log.error(|| {
        format!("[launcher] has ended{end}, {status}: no milter is started until milter-manager is restarted")
    });
}
