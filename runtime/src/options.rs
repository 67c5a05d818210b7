//! What a program says about how it is to be served.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use millstream_core::pool::shared::MAX_LOOPS;

/// Where connections come from: bound by the program, before it gave up its privileges.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket. Its file is the program's to remove.
    Unix(UnixListener),
    /// A TCP port, IPv4 or IPv6.
    Tcp(TcpListener),
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl Listener {
    /// Another descriptor of the same socket: each connection comes to one of them.
    ///
    /// # Errors
    ///
    /// There is no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Unix(listener) => listener.try_clone().map(Self::Unix),
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
        }
    }
}

/// How a server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many event loops, each a thread, at most 32; 0: as many as the runtime thinks right, see its own text.
    /// Default 0.
    pub loops: usize,
    /// How many sessions may run at a time; 0: no limit. Clients past it wait in the listener's queue. Default 0.
    pub max_sessions: u32,
    /// How long running sessions may take to finish at a graceful stop. Default 30 s.
    pub stop_grace: Duration,
    /// How long not to accept after `accept` failed for want of descriptors or memory; a session that ends ends the
    /// pause too. Default 1 s.
    pub suspend: Duration,
    /// Where spill files are made. They have no name and only this user can read them. Default: the system's temporary
    /// folder.
    pub spill_directory: PathBuf,
    /// Whether what many sessions have to write is given to the kernel with one call, by io_uring, where that can be
    /// had. Default true.
    pub use_io_uring: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            loops: 0,
            max_sessions: 0,
            stop_grace: Duration::from_secs(30),
            suspend: Duration::from_secs(1),
            spill_directory: std::env::temp_dir(),
            use_io_uring: true,
        }
    }
}

impl Options {
    /// How many loops that is, when the runtime starts at most `default` by itself.
    pub(crate) fn loop_count(&self, default: usize) -> usize {
        let wanted = match self.loops {
            0 => available_parallelism().map_or(1, |cores| cores.get().min(default)),
            loops => loops,
        };
        wanted.clamp(1, MAX_LOOPS as usize)
    }
}
