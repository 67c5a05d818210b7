//! The launcher's process: one thread that waits for requests and for the ends of what it has started.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Instant;

use millstream_config::LogLevel;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::geteuid;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

use super::commands::{self, Commands, Start};
use super::pace::Pace;
use super::starter::{STEP, close_inherited};
use super::words::{Report, Request, Requests};
use crate::options::Options;

/// Longest reason that is taken from a start that has failed.
const MOST_REASON: u64 = 512;

/// Serves the manager at standard input until it ends.
pub(crate) fn serve(options: &Options) -> ExitCode {
    if !geteuid().is_root() {
        crate::complain("--launcher is for milter-manager itself, when it is root");
        return ExitCode::FAILURE;
    }
    close_inherited();
    match Office::open(options).and_then(Office::serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

struct Office<'o> {
    options: &'o Options,
    /// This program.
    program: PathBuf,
    manager: UnixStream,
    /// Readable when something that was started has ended.
    ended: UnixStream,
    commands: Commands,
    running: BTreeMap<String, Child>,
    paces: BTreeMap<String, Pace>,
}

impl<'o> Office<'o> {
    fn open(options: &'o Options) -> io::Result<Self> {
        let (ended, signal) = UnixStream::pair()?;
        ended.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGCHLD, signal)?;
        // A signal to all processes of the service is for the manager to obey: this one ends with it. A handler, since what
        // is ignored would be ignored by milters, too.
        for signal in [SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2] {
            signal_hook::flag::register(signal, Arc::default())?;
        }
        let mut office = Self {
            options,
            program: env::current_exe()?,
            manager: UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?),
            ended,
            commands: Commands::new(),
            running: BTreeMap::new(),
            paces: BTreeMap::new(),
        };
        office.load("no milter is started")?;
        env::set_current_dir("/")?;
        Ok(office)
    }

    fn serve(mut self) -> io::Result<()> {
        let mut requests = Requests::default();
        let mut buffer = [0; 4096];
        loop {
            let (asked, ended) = self.wait()?;
            if ended {
                self.bury()?;
            }
            if !asked {
                continue;
            }
            let read = self.manager.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            requests.receive(&buffer[..read]);
            while let Some(request) = requests.next()? {
                match request {
                    Request::Start(name) => self.start(&name)?,
                    Request::Reload => self.load("what was read before counts on")?,
                }
            }
        }
    }

    /// Whether the manager has something to say, and whether a process has ended.
    fn wait(&self) -> io::Result<(bool, bool)> {
        let watch = |stream| PollFd::new(stream, PollFlags::POLLIN);
        let mut watched = [watch(self.manager.as_fd()), watch(self.ended.as_fd())];
        loop {
            match poll(&mut watched, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok((watched[0].any() != Some(false), watched[1].any() != Some(false))),
            }
        }
    }

    fn tell(&mut self, level: LogLevel, text: impl Into<String>) -> io::Result<()> {
        Report::new(level, text).write(&mut self.manager)
    }

    /// Reads the configuration, which counts if it is root's own.
    fn load(&mut self, else_what: &str) -> io::Result<()> {
        let loaded = crate::load(&self.options.load_options(), self.options);
        match commands::of(&loaded) {
            Ok((commands, wrong)) => {
                let names: Vec<&str> = commands
                    .iter()
                    .filter(|(_, start)| start.is_some())
                    .map(|(name, _)| name.as_str())
                    .collect();
                let text = match &names[..] {
                    [] => "no milter has a command".to_owned(),
                    names => format!("starts, when they are dead: {}", names.join(", ")),
                };
                self.commands = commands;
                self.tell(LogLevel::INFO, text)?;
                wrong.into_iter().try_for_each(|text| self.tell(LogLevel::ERROR, text))
            }
            Err(reason) => self
                .tell(LogLevel::ERROR, format!("the configuration is not followed, {else_what}: {reason}")),
        }
    }

    fn start(&mut self, name: &str) -> io::Result<()> {
        let start = match self.commands.get(name) {
            None => {
                let text = format!("refused: {name:?} is no milter that is enabled in root's configuration");
                return self.tell(LogLevel::WARNING, text);
            }
            Some(None) => return Ok(()),
            Some(Some(start)) => start.clone(),
        };
        if let Some(child) = self.running.get(name) {
            let text = format!("{name}: not started again, process {} still runs", child.id());
            return self.tell(LogLevel::INFO, text);
        }
        if let Err(left) = self.paces.entry(name.to_owned()).or_default().start(Instant::now()) {
            let text = format!("{name}: not started again for {} s", left.as_secs() + 1);
            return self.tell(LogLevel::INFO, text);
        }
        let user = start.user.as_deref().unwrap_or("root");
        match self.run(&start) {
            Ok(child) => {
                let text =
                    format!("{name}: started as {user}, process {}: {}", child.id(), start.words.join(" "));
                self.running.insert(name.to_owned(), child);
                self.tell(LogLevel::MESSAGE, text)
            }
            Err(error) => self.tell(LogLevel::ERROR, format!("{name}: cannot be started as {user}: {error}")),
        }
    }

    fn run(&self, start: &Start) -> io::Result<Child> {
        let (reason, told) = io::pipe()?;
        let mut child = Command::new(&self.program)
            .arg(STEP)
            .arg(start.user.as_deref().unwrap_or_default())
            .args(&start.words)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(told)
            .spawn()?;
        // Ends when the step has become the milter, or has said why not.
        let mut text = String::new();
        let _ = reason.take(MOST_REASON).read_to_string(&mut text);
        if text.is_empty() {
            return Ok(child);
        }
        child.wait()?;
        Err(io::Error::other(text))
    }

    /// Takes note of what has ended.
    fn bury(&mut self) -> io::Result<()> {
        let mut signals = [0; 64];
        while self.ended.read(&mut signals).is_ok_and(|read| read > 0) {}
        let mut ends = Vec::new();
        self.running.retain(|name, child| match child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                let level = if status.success() { LogLevel::MESSAGE } else { LogLevel::WARNING };
                ends.push((level, format!("{name}: process {} has ended, {status}", child.id())));
                false
            }
            Err(error) => {
                ends.push((LogLevel::WARNING, format!("{name}: process {}: {error}", child.id())));
                false
            }
        });
        ends.into_iter().try_for_each(|(level, text)| self.tell(level, text))
    }
}
