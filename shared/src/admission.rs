//! How many sessions run, and who waits for one of them to end.

use crate::atomic::{AtomicBool, AtomicU32, Ordering};

/// The count of running sessions under a limit.
///
/// The acceptor that finds no room says so with [`wait`](Self::wait) and looks again; a session that ends counts down
/// first and then looks whether someone waits. Both sides write before they read, in one total order (`SeqCst`), so at
/// least one of them sees the other and no wake-up is lost.
#[derive(Debug)]
pub struct Admission {
    limit: u32,
    running: AtomicU32,
    waiting: AtomicBool,
}

impl Admission {
    /// At most `limit` sessions; 0 stands for no limit.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        let limit = if limit == 0 { u32::MAX } else { limit };
        Self { limit, running: AtomicU32::new(0), waiting: AtomicBool::new(false) }
    }

    /// The most sessions at a time.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// How many sessions run now.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.running.load(Ordering::SeqCst)
    }

    /// Whether a place is free. Places are taken by one thread only, the acceptor's, so it is still free when that thread
    /// takes it.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.running() < self.limit
    }

    /// Takes a place, which must be free. It must be given back with [`leave`](Self::leave).
    pub fn enter(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
    }

    /// Gives a place back. Says whether someone waited for it, who must be woken then.
    #[must_use = "who waits for a place must be woken"]
    pub fn leave(&self) -> bool {
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.waiting.swap(false, Ordering::SeqCst)
    }

    /// Asks for a wake-up at the next [`leave`](Self::leave). Says whether waiting is of use: `false` when there is room
    /// already.
    #[must_use = "waiting without a wake-up is for ever"]
    pub fn wait(&self) -> bool {
        self.waiting.store(true, Ordering::SeqCst);
        if self.has_room() {
            self.waiting.store(false, Ordering::SeqCst);
            return false;
        }
        true
    }

    /// Asks for a wake-up at the next [`leave`](Self::leave), room or not.
    pub fn wait_for_end(&self) {
        self.waiting.store(true, Ordering::SeqCst);
    }

    /// Whether the wake-up that was asked for is still to come.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_and_the_one_who_waits_is_woken_once() {
        let admission = Admission::new(1);
        admission.enter();
        assert!(!admission.has_room());
        assert!(admission.wait());
        assert!(admission.leave());
        admission.enter();
        assert!(!admission.leave());
    }

    #[test]
    fn waiting_is_refused_when_there_is_room() {
        let admission = Admission::new(1);
        assert!(!admission.wait());
        assert!(!admission.is_waiting());
    }

    #[test]
    fn zero_is_no_limit() {
        let admission = Admission::new(0);
        (0..1000).for_each(|_| admission.enter());
        assert!(admission.has_room());
        assert_eq!(admission.running(), 1000);
    }
}
