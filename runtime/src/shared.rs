//! What all loops of a server know.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use millstream_core::service::SessionId;
use millstream_shared::{Admission, Children};

use crate::burst::Burst;
use crate::clock::Clock;
use crate::mailbox::Mailbox;
use crate::options::Options;

/// What all loops know.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) admission: Admission,
    pub(crate) children: Arc<Children>,
    pub(crate) burst: Burst,
    /// One for each loop; the acceptor is on the first.
    pub(crate) mailboxes: Vec<Arc<Mailbox>>,
    pub(crate) stop_grace: Duration,
    stop: AtomicU8,
    /// Sessions may still be on their way to loops.
    accepting: AtomicBool,
    last_session: AtomicU64,
    loops: AtomicU32,
    pub(crate) served: AtomicU64,
    pub(crate) cut: AtomicU32,
    late: AtomicU32,
}

impl Shared {
    pub(crate) fn new(options: &Options, mailboxes: Vec<Arc<Mailbox>>) -> Self {
        Self {
            clock: Clock::start(),
            admission: Admission::new(options.max_sessions),
            children: Arc::default(),
            burst: Burst::default(),
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
            mailbox.wake();
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
            first.wake();
        }
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
