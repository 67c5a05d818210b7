//! Serving in the background.
//!
//! ```text
//!   at the terminal                       behind, with --detached
//!
//!   finds nothing wrong ---- starts ----> a session of its own, without a terminal
//!   waits for a word                      listens, gives up privileges, writes its process id
//!   status 0 <-------------- serves ----- standard streams lead nowhere from here on
//!   its status <------------ ends
//! ```
//!
//! The program is started a second time instead of being forked: there are threads by the time that it can be known whether
//! it serves, and what is wrong is still said at the terminal. The word comes over its standard input.

use std::env;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Command, ExitCode};

use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

/// The option with which the program is started behind. It is for no administrator.
pub const DETACHED: &str = "--detached";

/// Starts the program behind, and waits until it serves or has ended: this process has nothing else to do. Returns its status.
///
/// # Errors
///
/// It cannot be started.
pub fn start_behind() -> io::Result<ExitCode> {
    let (mut word, behind) = io::pipe()?;
    let mut arguments: Vec<OsString> = env::args_os().skip(1).collect();
    arguments.insert(0, DETACHED.into());
    let mut child = Command::new(env::current_exe()?).args(arguments).stdin(behind).spawn()?;
    if word.read(&mut [0])? == 1 {
        return Ok(ExitCode::SUCCESS);
    }
    // A signal is no status, and no success.
    let status = child.wait()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(status.filter(|&code| code != 0).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The program behind, until it serves.
#[derive(Debug)]
pub struct Behind {
    word: File,
}

impl Behind {
    /// Leaves the terminal.
    ///
    /// # Errors
    ///
    /// The operating system refuses.
    pub fn leave_terminal() -> io::Result<Self> {
        let word = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        dup2_stdin(&nowhere()?)?;
        setsid()?;
        Ok(Self { word })
    }

    /// Tells who waits at the terminal that it serves, and says nothing there any more.
    ///
    /// # Errors
    ///
    /// The operating system refuses, or who waited at the terminal was interrupted: then nobody wants it to serve.
    pub fn serves(mut self) -> io::Result<()> {
        let nowhere = nowhere()?;
        io::stdout().flush()?;
        dup2_stdout(&nowhere)?;
        dup2_stderr(&nowhere)?;
        env::set_current_dir("/")?;
        self.word.write_all(b".")
    }
}

fn nowhere() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/null")
}
