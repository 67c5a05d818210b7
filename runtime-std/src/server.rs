//! The public door: start, stop, join.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle, available_parallelism};
use std::time::Duration;

use bytes::BytesMut;
use millstream_core::pool::shared::MAX_LOOPS;
use millstream_core::pool::{AddressState, Pool};
use millstream_core::service::{Service, SessionId};
use millstream_core::time::Instant;
use millstream_shared::{Admission, Children};
use mio::{Poll, Waker};

use crate::acceptor::Acceptor;
use crate::clock::Clock;
use crate::context::Context;
use crate::event_loop::{EventLoop, WAKER};
use crate::kept::KeptWires;
use crate::mailbox::Mailbox;
use crate::routes::Routes;
use crate::spill::Spill;

/// The most loops that are started when the number is left to the runtime: one core serves thousands of sessions, the
/// milters behind need the others.
const DEFAULT_LOOPS: usize = 4;

/// Where connections come from: bound by the program, before it gave up its privileges.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket. Its file is the program's to remove.
    Unix(UnixListener),
    /// A TCP port, IPv4 or IPv6.
    Tcp(TcpListener),
}

/// How a server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many event loops, each a thread, at most 32; 0: one for each core, at most 4. Default 0.
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
}

impl Default for Options {
    fn default() -> Self {
        Self {
            loops: 0,
            max_sessions: 0,
            stop_grace: Duration::from_secs(30),
            suspend: Duration::from_secs(1),
            spill_directory: std::env::temp_dir(),
        }
    }
}

impl Options {
    fn loop_count(&self) -> usize {
        match self.loops {
            0 => available_parallelism().map_or(1, |cores| cores.get().min(DEFAULT_LOOPS)),
            loops => loops.min(MAX_LOOPS as usize),
        }
    }
}

/// What a server has done in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Sessions that ended by themselves.
    pub served: u64,
    /// Sessions that were closed because the server stopped.
    pub cut: u32,
}

/// A running server. Dropping it without [`join`](Self::join) stops it at once, in the background.
#[derive(Debug)]
pub struct Server {
    handle: Handle,
    threads: Vec<JoinHandle<()>>,
    spill: Arc<Spill>,
}

impl Server {
    /// Starts the loops and accepts connections from `listeners` for `service`.
    ///
    /// # Errors
    ///
    /// The operating system gives no poller, no thread, or does not let a listener be watched.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the server takes a share, callers need none of their own"
    )]
    pub fn start<S: Service>(
        listeners: Vec<Listener>,
        service: Arc<S>,
        options: Options,
    ) -> io::Result<Self> {
        let loops = options.loop_count();
        let polls = (0..loops).map(|_| Poll::new()).collect::<io::Result<Vec<_>>>()?;
        let mailboxes = polls
            .iter()
            .map(|poll| Ok(Arc::new(Mailbox::new(Waker::new(poll.registry(), WAKER)?))))
            .collect::<io::Result<Vec<_>>>()?;
        let mut acceptor = None;
        if let Some(first) = polls.first() {
            acceptor = Some(Acceptor::new(listeners, first.registry(), options.suspend)?);
        }
        let shared = Arc::new(Shared::new(&options, mailboxes));
        let mut server = Self {
            handle: Handle { shared },
            threads: Vec::with_capacity(loops),
            spill: Arc::new(Spill::new(options.spill_directory)),
        };
        let clock = server.handle.shared.clock;
        for (index, poll) in polls.into_iter().enumerate() {
            let shared = Arc::clone(&server.handle.shared);
            let acceptor = acceptor.take();
            let context = Context {
                clock,
                now: clock.now(),
                service: Arc::clone(&service),
                registry: poll.registry().try_clone()?,
                routes: Routes::default(),
                pool: Pool::new(u32::try_from(index).unwrap_or_default(), shared.children.clone()),
                kept: KeptWires::default(),
                later: VecDeque::new(),
                buffer: BytesMut::new(),
                mailbox: Arc::clone(&shared.mailboxes[index]),
                spill: Arc::clone(&server.spill),
            };
            // Machines need not be `Send`: the loop that owns them is made on its thread. When one thread cannot be
            // started, dropping the server stops those that were.
            let run = move || EventLoop::new(index, poll, shared, acceptor, context).run();
            server.threads.push(Builder::new().name(format!("millstream-{index}")).spawn(run)?);
        }
        Ok(server)
    }

    /// Stops gracefully: closes the listeners, tells every machine, and gives them [`Options::stop_grace`] to finish.
    /// Returns at once; [`join`](Self::join) waits.
    pub fn stop(&self) {
        self.handle.stop();
    }

    /// Stops and closes every session at once.
    pub fn stop_now(&self) {
        self.handle.stop_now();
    }

    /// How many sessions run.
    #[must_use]
    pub fn sessions(&self) -> u32 {
        self.handle.sessions()
    }

    /// How the children stand that sessions have asked for.
    #[must_use]
    pub fn children(&self) -> Vec<AddressState> {
        self.handle.children()
    }

    /// A handle for other threads and for signals.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits until the server has stopped, which someone must ask for.
    #[must_use = "it says whether sessions were cut off"]
    pub fn join(mut self) -> Stopped {
        for thread in self.threads.drain(..) {
            // The loops catch what panics in them.
            let _ = thread.join();
        }
        self.spill.end();
        let shared = &self.handle.shared;
        Stopped { served: shared.served.load(Ordering::SeqCst), cut: shared.cut.load(Ordering::SeqCst) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.stop_now();
    }
}

/// Stops a server from elsewhere.
///
/// [`stop`](Self::stop) and [`stop_now`](Self::stop_now) take no lock and no memory: on Linux they store a number and
/// write to eventfds, so that a signal handler may call them.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// See [`Server::stop`].
    pub fn stop(&self) {
        self.shared.stop(StopLevel::Graceful);
    }

    /// See [`Server::stop_now`].
    pub fn stop_now(&self) {
        self.shared.stop(StopLevel::Now);
    }

    /// How many sessions run.
    #[must_use]
    pub fn sessions(&self) -> u32 {
        self.shared.admission.running()
    }

    /// How the children stand that sessions have asked for: what is down, in use, kept and waited for. Not for signal
    /// handlers.
    #[must_use]
    pub fn children(&self) -> Vec<AddressState> {
        self.shared.children.states()
    }

    /// The time as the server and its sessions know it.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.shared.clock.now()
    }
}

/// How a server is to stop, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StopLevel {
    /// It is not.
    Running,
    /// Running sessions may finish within the grace.
    Graceful,
    /// All sessions are closed now.
    Now,
}

/// What all loops know.
#[derive(Debug)]
pub(crate) struct Shared {
    clock: Clock,
    pub(crate) admission: Admission,
    pub(crate) children: Arc<Children>,
    /// One for each loop; the acceptor is on the first.
    pub(crate) mailboxes: Vec<Arc<Mailbox>>,
    pub(crate) stop_grace: Duration,
    stop: AtomicU8,
    /// Sessions may still be on their way to loops.
    accepting: AtomicBool,
    last_session: AtomicU64,
    loops: AtomicU32,
    served: AtomicU64,
    cut: AtomicU32,
    late: AtomicU32,
}

impl Shared {
    fn new(options: &Options, mailboxes: Vec<Arc<Mailbox>>) -> Self {
        Self {
            clock: Clock::start(),
            admission: Admission::new(options.max_sessions),
            children: Arc::default(),
            loops: AtomicU32::new(u32::try_from(mailboxes.len()).unwrap_or(u32::MAX)),
            mailboxes,
            stop_grace: options.stop_grace,
            stop: AtomicU8::new(StopLevel::Running as u8),
            accepting: AtomicBool::new(true),
            last_session: AtomicU64::new(0),
            served: AtomicU64::new(0),
            cut: AtomicU32::new(0),
            late: AtomicU32::new(0),
        }
    }

    /// Raises the stop level, never lowers it.
    pub(crate) fn stop(&self, level: StopLevel) {
        self.stop.fetch_max(level as u8, Ordering::SeqCst);
        self.wake_all();
    }

    /// The listeners are closed; loops that only waited for that may end.
    pub(crate) fn stopped_accepting(&self) {
        self.accepting.store(false, Ordering::SeqCst);
        self.wake_all();
    }

    /// Whether a loop has no session and none on its way.
    pub(crate) fn is_served(&self, index: usize) -> bool {
        !self.accepting.load(Ordering::SeqCst) && self.mailboxes[index].load() == 0
    }

    fn wake_all(&self) {
        for mailbox in &self.mailboxes {
            // A loop that has ended needs no wake-up.
            let _ = mailbox.wake();
        }
    }

    pub(crate) fn stop_level(&self) -> StopLevel {
        match self.stop.load(Ordering::SeqCst) {
            0 => StopLevel::Running,
            1 => StopLevel::Graceful,
            _ => StopLevel::Now,
        }
    }

    pub(crate) fn next_session(&self) -> SessionId {
        SessionId(self.last_session.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The loop with the fewest sessions, `own` among equals: it needs no wake-up.
    pub(crate) fn least_loaded(&self, own: usize) -> usize {
        let loads = self.mailboxes.iter().map(|mailbox| mailbox.load()).enumerate();
        loads.min_by_key(|&(index, load)| (load, index != own)).map_or(own, |(index, _)| index)
    }

    /// A session of a loop ended by itself.
    pub(crate) fn session_ended(&self, on: usize) {
        self.served.fetch_add(1, Ordering::SeqCst);
        self.leave(on);
    }

    /// A session of a loop was closed because the server stops.
    pub(crate) fn session_cut(&self, on: usize) {
        self.cut.fetch_add(1, Ordering::SeqCst);
        self.leave(on);
    }

    /// A loop has ended, with `late` sessions that did not finish in the time of a graceful stop. The last loop is given
    /// the number of all of them, when there are any.
    pub(crate) fn loop_ended(&self, late: u32) -> Option<u32> {
        self.late.fetch_add(late, Ordering::SeqCst);
        let last = self.loops.fetch_sub(1, Ordering::SeqCst) == 1;
        let all = self.late.load(Ordering::SeqCst);
        (last && all > 0).then_some(all)
    }

    fn leave(&self, on: usize) {
        self.mailboxes[on].remove_session();
        if self.admission.leave()
            && let Some(first) = self.mailboxes.first()
        {
            // It fails only without memory; the acceptor then looks at its next wake-up.
            let _ = first.wake();
        }
    }
}
