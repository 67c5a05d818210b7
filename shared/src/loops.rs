//! The loops of a server: what is on its way to each, and how they end together.

use std::sync::Arc;

use crate::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use crate::{Admission, Mailbox};

/// How a server is to stop, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopLevel {
    /// It is not.
    Running,
    /// Running sessions may finish within the grace.
    Graceful,
    /// All sessions are closed now.
    Now,
}

/// What the loops of a server know of each other.
///
/// The first has the acceptor, which counts a session for a loop before it sends it there, and ends accepting after that. So
/// a loop that sees that nobody accepts any more, and *then* that it has no session, has none on its way either. Whoever
/// changes what a loop waits for writes first and then wakes it.
#[derive(Debug)]
pub struct Loops<T> {
    admission: Admission,
    mailboxes: Vec<Arc<Mailbox<T>>>,
    stop: AtomicU8,
    /// Sessions may still be on their way to loops.
    accepting: AtomicBool,
    /// Loops that have not ended.
    left: AtomicU32,
    served: AtomicU64,
    cut: AtomicU32,
    late: AtomicU32,
}

impl<T> Loops<T> {
    /// One loop for each mailbox, which together serve as many sessions as `admission` lets in.
    #[must_use]
    pub fn new(admission: Admission, mailboxes: Vec<Arc<Mailbox<T>>>) -> Self {
        Self {
            admission,
            left: AtomicU32::new(u32::try_from(mailboxes.len()).unwrap_or(u32::MAX)),
            mailboxes,
            stop: AtomicU8::new(StopLevel::Running as u8),
            accepting: AtomicBool::new(true),
            served: AtomicU64::new(0),
            cut: AtomicU32::new(0),
            late: AtomicU32::new(0),
        }
    }

    /// How many sessions run, and how many may.
    #[must_use]
    pub const fn admission(&self) -> &Admission {
        &self.admission
    }

    /// The mailbox of each loop, in their order.
    #[must_use]
    pub fn mailboxes(&self) -> &[Arc<Mailbox<T>>] {
        &self.mailboxes
    }

    /// Raises the stop level, never lowers it. Signal handlers may call it where the loops' wakers let them.
    pub fn stop(&self, level: StopLevel) {
        self.stop.fetch_max(level as u8, Ordering::SeqCst);
        self.wake_all();
    }

    /// How the server is to stop.
    #[must_use]
    pub fn stop_level(&self) -> StopLevel {
        match self.stop.load(Ordering::SeqCst) {
            0 => StopLevel::Running,
            1 => StopLevel::Graceful,
            _ => StopLevel::Now,
        }
    }

    /// The listeners are closed; loops that only waited for that may end.
    pub fn stopped_accepting(&self) {
        self.accepting.store(false, Ordering::SeqCst);
        self.wake_all();
    }

    /// Whether a loop has no session and none on its way.
    #[must_use]
    pub fn is_served(&self, index: usize) -> bool {
        !self.accepting.load(Ordering::SeqCst) && self.mailboxes[index].load() == 0
    }

    /// The loop with the fewest sessions, `own` among equals: it needs no wake-up.
    #[must_use]
    pub fn least_loaded(&self, own: usize) -> usize {
        let loads = self.mailboxes.iter().map(|mailbox| mailbox.load()).enumerate();
        loads.min_by_key(|&(index, load)| (load, index != own)).map_or(own, |(index, _)| index)
    }

    /// Sends a session that was accepted to a loop, where it is counted first.
    ///
    /// # Errors
    ///
    /// The loop has ended, because the server stops: the session comes back, and is counted as cut.
    pub fn send_session(&self, to: usize, session: T) -> Result<(), T> {
        let mailbox = &self.mailboxes[to];
        mailbox.add_session();
        mailbox.send(session).inspect_err(|_| self.session_cut(to))
    }

    /// A session of a loop ended by itself.
    pub fn session_ended(&self, on: usize) {
        self.served.fetch_add(1, Ordering::SeqCst);
        self.leave(on);
    }

    /// A session of a loop was closed because the server stops.
    pub fn session_cut(&self, on: usize) {
        self.cut.fetch_add(1, Ordering::SeqCst);
        self.leave(on);
    }

    /// A loop has ended, with `late` sessions that did not finish in the time of a graceful stop. The last loop is given
    /// the number of all of them, when there are any.
    #[must_use = "only the last loop can tell how many sessions were late"]
    pub fn loop_ended(&self, late: u32) -> Option<u32> {
        self.late.fetch_add(late, Ordering::SeqCst);
        let last = self.left.fetch_sub(1, Ordering::SeqCst) == 1;
        let all = self.late.load(Ordering::SeqCst);
        (last && all > 0).then_some(all)
    }

    /// How many sessions have ended by themselves.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::SeqCst)
    }

    /// How many sessions were closed because the server stops.
    #[must_use]
    pub fn cut(&self) -> u32 {
        self.cut.load(Ordering::SeqCst)
    }

    fn leave(&self, on: usize) {
        self.mailboxes[on].remove_session();
        if self.admission.leave()
            && let Some(first) = self.mailboxes.first()
        {
            first.wake();
        }
    }

    fn wake_all(&self) {
        for mailbox in &self.mailboxes {
            mailbox.wake();
        }
    }
}
