//! Memory goes back to the system when many sessions have ended and few are left.
//!
//! What sessions free stays with the allocator, and glibc's keeps each free page below one that is in use: ten times the
//! memory of before after a burst of ten thousand. So when a burst is over, the loops drop what they had grown for it, and
//! the allocator is told to give back what is free. That takes some ten milliseconds, in which other threads may wait for
//! the allocator, so it happens rarely and when it is quiet, on a thread that lives for that long.
//!
//! ```text
//!   many sessions at a time --down to a quarter--> wait --still falling--> wait
//!                                                   +--many again--> nothing
//!                                                   +--at rest--> loops shrink --> trim; the peak is what runs now
//! ```

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle, park_timeout};
use std::time::{Duration, Instant};

use millstream_shared::StopLevel;

use crate::code;
use crate::heap;
use crate::mailbox::Message;
use crate::shared::Shared;

/// How many sessions at a time are a burst. What fewer leave behind is not worth the trouble.
const MANY: u32 = 256;

/// A burst is over when no more than this part of it is left.
const LEFT: u32 = 4;

/// How long the number of sessions must be at rest.
const REST: Duration = Duration::from_millis(500);

/// How long to leave the memory alone after it was seen to: a load that comes and goes needs it again.
const PAUSE: Duration = Duration::from_secs(60);

/// How long the loops may take to shrink before it goes on without them.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many sessions there were, and who sees to what they have left.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    /// The most at a time since memory was seen to.
    peak: AtomicU32,
    /// Somebody sees to it.
    seen_to: AtomicBool,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    thread: Option<JoinHandle<()>>,
    /// When memory was given back.
    at: Option<Instant>,
}

impl Burst {
    /// So many sessions run now that one has begun.
    pub(crate) fn grew(&self, running: u32) {
        self.peak.fetch_max(running, Ordering::Relaxed);
    }

    fn is_over(&self, running: u32) -> bool {
        let peak = self.peak.load(Ordering::Relaxed);
        peak >= MANY && running <= peak / LEFT
    }

    /// So many sessions run now that one has ended. Says whether the caller is to [`start`].
    pub(crate) fn fell(&self, running: u32) -> bool {
        self.is_over(running) && !self.seen_to.swap(true, Ordering::SeqCst)
    }

    /// Has the thread look whether the server stops.
    pub(crate) fn wake(&self) {
        if let Some(thread) = &self.lock().thread {
            thread.thread().unpark();
        }
    }

    /// Waits until the thread has ended, because the server stops.
    pub(crate) fn join(&self) {
        self.wake();
        let thread = self.lock().thread.take();
        if let Some(thread) = thread {
            // It does not panic, and nobody would miss it.
            let _ = thread.join();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread that gives memory back. Without a thread the memory stays as it is.
pub(crate) fn start(shared: &Arc<Shared>) {
    let of_thread = Arc::clone(shared);
    let thread = Builder::new().name("millstream-trim".to_owned()).spawn(move || see_to(&of_thread));
    match thread {
        Ok(thread) => shared.burst.lock().thread = Some(thread),
        Err(_) => shared.burst.seen_to.store(false, Ordering::SeqCst),
    }
}

fn see_to(shared: &Shared) {
    let burst = &shared.burst;
    loop {
        if is_at_rest(shared) {
            shrink_loops(shared);
            heap::trim();
            code::let_go_of_code();
            burst.lock().at = Some(Instant::now());
            burst.peak.store(shared.loops.admission().running(), Ordering::Relaxed);
        }
        burst.seen_to.store(false, Ordering::SeqCst);
        // A session that has ended meanwhile has started nobody.
        if shared.loops.stop_level() != StopLevel::Running || !burst.fell(shared.loops.admission().running())
        {
            return;
        }
    }
}

/// Waits until the number of sessions falls no more. Says whether the burst is over then.
fn is_at_rest(shared: &Shared) -> bool {
    let earliest = shared.burst.lock().at.map(|at| at + PAUSE);
    let mut before = shared.loops.admission().running();
    loop {
        let rest = Instant::now() + REST;
        if !waited(earliest.map_or(rest, |earliest| rest.max(earliest)), shared) {
            return false;
        }
        let running = shared.loops.admission().running();
        if running >= before / 2 {
            return shared.burst.is_over(running);
        }
        before = running;
    }
}

/// Waits until then. Says whether the server still runs.
fn waited(until: Instant, shared: &Shared) -> bool {
    while shared.loops.stop_level() == StopLevel::Running {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        park_timeout(left);
    }
    false
}

/// Has each loop drop what it does not need, and waits for that.
fn shrink_loops(shared: &Shared) {
    let (done, all_done) = channel();
    for mailbox in shared.loops.mailboxes() {
        // A loop that has ended has nothing left.
        let _ = mailbox.send(Message::Shrink(done.clone()));
    }
    drop(done);
    // Nothing is ever sent: it ends when the last loop has dropped its end.
    let _ = all_done.recv_timeout(PATIENCE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_over_once_when_a_quarter_is_left() {
        let burst = Burst::default();
        burst.grew(400);
        assert!(!burst.fell(101));
        assert!(burst.fell(100));
        assert!(!burst.fell(99));
    }

    #[test]
    fn few_sessions_are_no_burst() {
        let burst = Burst::default();
        burst.grew(255);
        assert!(!burst.fell(0));
    }
}
