//! What a client talks to: a null child, or a manager with null children.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Read};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use millstream_tests::manager::{self, Manager, give_to_manager};
use millstream_tests::process::Process;

use crate::chain::configuration;
use crate::load::client::{Length, Pace};
use crate::load::mail::Mail;
use crate::load::measure::turn;
use crate::load::null_child::{Address, Manners};
use crate::load::tally::Tally;
use crate::meter::{Threads, process_time, settled};

/// How long the ends of sessions may take to come through.
const PATIENCE: Duration = Duration::from_secs(20);

/// A null child in a process of its own.
#[derive(Debug)]
pub struct NullChild {
    process: RefCell<Process>,
    address: Address,
    control: PathBuf,
    has_threads: bool,
}

impl NullChild {
    /// Starts one that listens in `folder`, or on a port.
    ///
    /// # Errors
    /// When there is no free port.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(folder: &Path, name: &str, manners: Manners, is_tcp: bool) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let address = Address::new(folder, &format!("{name}.sock"), is_tcp)?;
        let control = folder.join(format!("{name}.control"));
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--null-child").arg(match &address {
            Address::Unix(path) => path.display().to_string(),
            Address::Tcp(address) => address.to_string(),
        });
        command.arg("--control").arg(&control);
        command.arg("--protocol").arg(manners.protocol.0.to_string());
        command.arg("--delay").arg(manners.delay.as_micros().to_string());
        if manners.has_threads {
            command.arg("--threads");
        }
        let mut process = Process::start(name, &mut command, &folder.join(format!("{name}.output")));
        process.wait_for_socket(&control);
        match &address {
            Address::Unix(path) => process.wait_for_socket(path),
            Address::Tcp(address) => process.wait_for_port(*address),
        }
        Ok(Self { process: RefCell::new(process), address, control, has_threads: manners.has_threads })
    }

    /// What it was sent in all sessions that are over.
    ///
    /// # Errors
    /// When it is gone.
    pub fn tally(&self) -> io::Result<Tally> {
        let mut text = String::new();
        UnixStream::connect(&self.control)?.read_to_string(&mut text)?;
        Tally::parse(&text).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Nanoseconds of processor time so far.
    ///
    /// # Errors
    /// When it is gone.
    pub fn time(&self) -> io::Result<f64> {
        let id = self.process.borrow().id();
        // Its threads end with their connections.
        if self.has_threads { process_time(id) } else { Threads::of(id)?.time() }
    }
}

/// How a manager is set up.
#[derive(Debug, Clone)]
pub struct Setup<'a> {
    /// The value of `--event-loop-backend`; `None` for a manager that has only one.
    pub backend: Option<&'a str>,
    /// Its children.
    pub children: Vec<Manners>,
    /// Whether it listens on a port.
    pub is_tcp: bool,
    /// Whether they do.
    pub has_tcp_children: bool,
    /// Further lines of the configuration.
    pub settings: &'a str,
    /// Further lines of each child's.
    pub child_settings: &'a str,
}

impl<'a> Setup<'a> {
    /// So many plain children, everything over unix sockets.
    #[must_use]
    pub fn new(backend: Option<&'a str>, children: usize) -> Self {
        Self {
            backend,
            children: vec![Manners::PLAIN; children],
            is_tcp: false,
            has_tcp_children: false,
            settings: "",
            child_settings: "",
        }
    }
}

/// What a client talks to.
#[derive(Debug)]
pub struct Target {
    /// What it is called.
    pub name: String,
    /// Where.
    pub address: Address,
    manager: Option<RefCell<Manager>>,
    /// `None`: straight to the only child.
    children: Vec<NullChild>,
    folder: PathBuf,
}

impl Target {
    /// A null child without a manager.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn straight(scratch: &Path, name: &str, manners: Manners, is_tcp: bool) -> io::Result<Self> {
        let folder = scratch.join(name.replace([' ', ','], "-"));
        let child = NullChild::start(&folder, "child", manners, is_tcp)?;
        let address = child.address.clone();
        Ok(Self { name: name.to_owned(), address, manager: None, children: vec![child], folder })
    }

    /// A manager. It logs nothing.
    ///
    /// # Errors
    /// When it cannot be started.
    ///
    /// # Panics
    /// When it does not start.
    pub fn managed(scratch: &Path, name: &str, setup: &Setup<'_>) -> io::Result<Self> {
        let folder = scratch.join(name.replace([' ', ','], "-"));
        fs::create_dir_all(&folder)?;
        give_to_manager(&folder);
        let start = |(index, manners): (usize, &Manners)| {
            NullChild::start(&folder, &format!("child{index}"), *manners, setup.has_tcp_children)
        };
        let children = setup.children.iter().enumerate().map(start).collect::<io::Result<Vec<_>>>()?;
        let specs: Vec<_> = children.iter().map(|child| child.address.to_string()).collect();
        let address = Address::new(&folder, "manager.sock", setup.is_tcp)?;
        let settings = format!("log.level = \"none\"\n{}", setup.settings);
        let text = configuration(&address.to_string(), &settings, &specs, setup.child_settings);
        let mut manager = start_manager(&folder, &text, setup.backend);
        match &address {
            Address::Unix(path) => manager.process().wait_for_socket(path),
            Address::Tcp(address) => manager.process().wait_for_port(*address),
        }
        let target =
            Self { name: name.to_owned(), address, manager: Some(RefCell::new(manager)), children, folder };
        // Its threads run, and it knows what its children want.
        target.warm_up()?;
        Ok(target)
    }

    fn warm_up(&self) -> io::Result<()> {
        turn(self, &Mail::small(), Pace::Closed(4), Length::Sessions(20)).map(drop)
    }

    /// The process of the manager.
    #[must_use]
    pub fn manager(&self) -> Option<u32> {
        self.manager.as_ref().map(|manager| manager.borrow_mut().process().id())
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Nanoseconds of processor time of the manager so far.
    ///
    /// # Errors
    /// When it is gone.
    pub fn manager_time(&self) -> io::Result<f64> {
        self.manager().map_or(Ok(0.0), |id| Threads::of(id)?.time())
    }

    /// Nanoseconds of processor time of all children so far.
    ///
    /// # Errors
    /// When one is gone.
    pub fn child_time(&self) -> io::Result<f64> {
        self.children.iter().map(NullChild::time).sum()
    }

    /// The manager's resident memory, once it changes no more.
    #[must_use]
    pub fn memory(&self) -> Option<f64> {
        settled(self.manager()?).map(|bytes| bytes as f64)
    }

    /// What each child was sent so far.
    ///
    /// # Errors
    /// When one is gone.
    pub fn tallies(&self) -> io::Result<Vec<Tally>> {
        self.children.iter().map(NullChild::tally).collect()
    }

    /// Waits until each child has been sent `sent` since `before`, no more and no less.
    ///
    /// # Errors
    /// When one has been sent something else.
    pub fn check(&self, before: &[Tally], sent: Tally) -> io::Result<()> {
        self.check_that(before, sent.sessions, |received| received == sent).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}; sent was {sent:?}", self.name))
        })
    }

    /// Waits until each child has had so many sessions since `before`, where somebody else decides what is in them.
    ///
    /// # Errors
    /// When one has had more or less.
    pub fn check_sessions(&self, before: &[Tally], sessions: u64) -> io::Result<()> {
        self.check_that(before, sessions, |received| received.sessions == sessions).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}; {sessions} sessions were had", self.name))
        })
    }

    fn check_that(
        &self,
        before: &[Tally],
        sessions: u64,
        is_right: impl Fn(Tally) -> bool,
    ) -> io::Result<()> {
        let began = Instant::now();
        for (child, before) in self.children.iter().zip(before) {
            loop {
                let received = child.tally()? - *before;
                if is_right(received) {
                    break;
                }
                if began.elapsed() > PATIENCE || received.sessions > sessions {
                    let what = format!("the run has failed: {} received {received:?}", child.address);
                    return Err(io::Error::other(what));
                }
                thread::sleep(Duration::from_millis(2));
            }
        }
        Ok(())
    }
}

/// Starts the manager in `folder` with a whole configuration.
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn start_manager(folder: &Path, configuration: &str, backend: Option<&str>) -> Manager {
    let mut command = Command::new(manager::program());
    if let Some(backend) = backend {
        command.arg("--event-loop-backend").arg(backend);
    }
    Manager::start_with(&folder.join("manager"), configuration, command)
}

/// Whether somebody listens there.
#[must_use]
pub fn is_listening(address: &Address) -> bool {
    match address {
        Address::Unix(path) => UnixStream::connect(path).is_ok(),
        Address::Tcp(address) => TcpStream::connect(address).is_ok(),
    }
}
