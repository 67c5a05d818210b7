//! The public door: start, stop, join.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use millstream_core::pool::AddressState;
use millstream_core::service::Service;
use millstream_core::time::Instant;
use millstream_shared::StopLevel;

use crate::caught::catch;
use crate::event_loop::EventLoop;
use crate::heap;
use crate::mailbox::{Described, Mailbox, Message};
use crate::options::{Listener, Options};
use crate::poller::{Poller, Runtime};
use crate::shared::Shared;
use crate::spill::Spill;

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
    /// Starts the loops and accepts connections from `listeners` for `service`. Each runtime has a function `start` that
    /// calls this.
    ///
    /// # Errors
    ///
    /// The operating system gives no poller, no thread, or does not let a listener be watched. Nothing was accepted then, and
    /// what had begun has ended: what it held is there for another attempt.
    pub fn start<R: Runtime, S: Service>(
        listeners: Vec<Listener>,
        service: Arc<S>,
        options: Options,
    ) -> io::Result<Self> {
        heap::keep_some();
        let loops = options.loop_count(R::DEFAULT_LOOPS);
        let mut seats = Vec::with_capacity(loops);
        let mut mailboxes = Vec::with_capacity(loops);
        for index in 0..loops {
            let (seat, waker) = R::prepare()?;
            seats.push((index, seat));
            mailboxes.push(Arc::new(Mailbox::new(waker)));
        }
        let shared = Arc::new(Shared::new(&options, mailboxes));
        let mut server = Self {
            handle: Handle { shared },
            threads: Vec::with_capacity(loops),
            spill: Arc::new(Spill::new(options.spill_directory)),
        };
        // The loop that accepts comes last: clients would take the descriptors that the others need to begin.
        let others = seats.split_off(1);
        let begun = server
            .begin::<R, S>(others, None, Arc::clone(&service))
            .and_then(|()| server.begin::<R, S>(seats, Some((listeners, options.suspend)), service));
        match begun {
            Ok(()) => Ok(server),
            Err(error) => {
                server.stop_now();
                let _ = server.join();
                Err(error)
            }
        }
    }

    /// Starts the threads of these loops and waits until all have begun, or one has failed: the others run then.
    fn begin<R: Runtime, S: Service>(
        &mut self,
        seats: Vec<(usize, R::Seat)>,
        mut listeners: Option<(Vec<Listener>, Duration)>,
        service: Arc<S>,
    ) -> io::Result<()> {
        let (begun, reports) = channel();
        let count = seats.len();
        for (index, seat) in seats {
            let launch = Launch {
                index,
                shared: Arc::clone(&self.handle.shared),
                service: Arc::clone(&service),
                spill: Arc::clone(&self.spill),
                listeners: listeners.take(),
                begun: begun.clone(),
            };
            let begun = begun.clone();
            // Machines and sockets need not be `Send`: the loop that owns them is made on its thread.
            let run = move || {
                // Who starts waits for a word of each loop, of one that has panicked, too.
                let ended = catch(|| R::run(seat, launch));
                if let Err(error) = ended.unwrap_or_else(|panic| Err(io::Error::other(String::from(panic)))) {
                    // Nobody listens any more when another loop has failed before.
                    let _ = begun.send(Err(error));
                }
            };
            self.threads.push(Builder::new().name(format!("millstream-{index}")).spawn(run)?);
        }
        drop((begun, service));
        for _ in 0..count {
            reports
                .recv()
                .unwrap_or_else(|_| Err(io::Error::other("the thread of an event loop has ended")))?;
        }
        Ok(())
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
        self.handle.shared.burst.join();
        self.spill.end();
        let loops = &self.handle.shared.loops;
        Stopped { served: loops.served(), cut: loops.cut() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.stop_now();
        self.handle.shared.burst.wake();
    }
}

/// Stops a server from elsewhere.
///
/// [`stop`](Self::stop) and [`stop_now`](Self::stop_now) store a number and wake the loops, which takes neither a lock
/// nor memory where the runtime's wakers do not; each runtime says whether a signal handler may call them.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// See [`Server::stop`].
    pub fn stop(&self) {
        self.shared.loops.stop(StopLevel::Graceful);
    }

    /// See [`Server::stop_now`].
    pub fn stop_now(&self) {
        self.shared.loops.stop(StopLevel::Now);
    }

    /// How many sessions run.
    #[must_use]
    pub fn sessions(&self) -> u32 {
        self.shared.loops.admission().running()
    }

    /// How many sessions have begun since the start.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted()
    }

    /// How many sessions may run; `None`: there is no limit.
    #[must_use]
    pub fn session_limit(&self) -> Option<u32> {
        Some(self.shared.loops.admission().limit()).filter(|limit| *limit < u32::MAX)
    }

    /// How many loops serve.
    #[must_use]
    pub fn loops(&self) -> usize {
        self.shared.loops.mailboxes().len()
    }

    /// What the sessions do, of at most `most` of each loop, the oldest; and how many loops have not answered in time. Waits
    /// for the loops, so not from within one.
    #[must_use]
    pub fn describe(&self, most: usize, patience: Duration) -> (Vec<Described>, usize) {
        let (tell, told) = channel();
        let ask = |mailbox: &Arc<Mailbox>| mailbox.send(Message::Describe(most, tell.clone())).is_ok();
        let mut awaited = self.shared.loops.mailboxes().iter().filter(|mailbox| ask(mailbox)).count();
        drop(tell);
        let until = std::time::Instant::now() + patience;
        let mut sessions = Vec::new();
        while awaited > 0 {
            let left = until.saturating_duration_since(std::time::Instant::now());
            let Ok(described) = told.recv_timeout(left) else { break };
            sessions.extend(described);
            awaited -= 1;
        }
        (sessions, awaited)
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

/// What a loop is begun with, on its thread.
pub struct Launch<S: Service> {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) service: Arc<S>,
    pub(crate) spill: Arc<Spill>,
    /// For the first loop only, and how long it pauses after `accept` has failed.
    pub(crate) listeners: Option<(Vec<Listener>, Duration)>,
    begun: Sender<io::Result<()>>,
}

impl<S: Service> Launch<S> {
    /// The number of the loop, from 0.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Makes the loop, which is ready to serve then.
    ///
    /// # Errors
    ///
    /// A listener cannot be watched.
    pub fn begin<P: Poller>(self, poller: P) -> io::Result<EventLoop<S, P>> {
        let begun = self.begun.clone();
        let event_loop = EventLoop::new(self, poller)?;
        // Nobody listens any more when another loop has failed before.
        let _ = begun.send(Ok(()));
        Ok(event_loop)
    }
}
