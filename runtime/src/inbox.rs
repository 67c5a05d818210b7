//! What a reactor and other threads say to a loop that is a future, until it looks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use crate::poller::Token;

/// For what a socket may be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// There is something to read, or an end.
    Reading,
    /// There is room to write, or the socket is connected.
    Writing,
}

/// The inbox of one loop. As a [`Waker`] it says that another thread has something for the loop.
#[derive(Debug, Default)]
pub struct Inbox(Mutex<Contents>);

#[derive(Debug, Default)]
struct Contents {
    reports: Vec<(Token, Side)>,
    woken: bool,
    /// The loop knows that there is something, or is about to look.
    told: bool,
    /// Who sleeps until there is something.
    sleeper: Option<Waker>,
}

impl Inbox {
    /// An inbox, and what wakes its loop from another thread.
    #[must_use]
    pub fn with_waker() -> (Arc<Self>, Waker) {
        let inbox = Arc::new(Self::default());
        let waker = Waker::from(Arc::clone(&inbox));
        (inbox, waker)
    }

    /// Moves the reports to `into`, which is empty, and says whether another thread has something. From then on `sleeper`
    /// is woken for what comes.
    pub(crate) fn look(&self, into: &mut Vec<(Token, Side)>, sleeper: &Waker) -> bool {
        let mut contents = self.lock();
        std::mem::swap(&mut contents.reports, into);
        contents.told = false;
        match &mut contents.sleeper {
            Some(known) => known.clone_from(sleeper),
            none => *none = Some(sleeper.clone()),
        }
        std::mem::take(&mut contents.woken)
    }

    /// The loop is over: nobody is woken any more. What a sleeper is made of is freed on its own thread so.
    pub fn leave(&self) {
        self.lock().sleeper = None;
    }

    /// A waker that reports a socket.
    #[must_use]
    pub fn bell(self: &Arc<Self>, token: Token, side: Side) -> Waker {
        Waker::from(Arc::new(Bell { inbox: Arc::clone(self), token, side }))
    }

    fn add(&self, what: impl FnOnce(&mut Contents)) {
        let mut contents = self.lock();
        what(&mut contents);
        if !std::mem::replace(&mut contents.told, true) {
            let sleeper = contents.sleeper.clone();
            // Who is woken looks here at once.
            drop(contents);
            if let Some(sleeper) = sleeper {
                sleeper.wake();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Another thread has something for the loop.
impl Wake for Inbox {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.add(|contents| contents.woken = true);
    }
}

/// What the reactor rings when a socket is ready.
struct Bell {
    inbox: Arc<Inbox>,
    token: Token,
    side: Side,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.inbox.add(|contents| contents.reports.push((self.token, self.side)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_loop_is_woken_once_until_it_looks_and_nothing_is_lost() {
        let inbox = Arc::new(Inbox::default());
        let count = Arc::new(Count::default());
        let sleeper = Waker::from(Arc::clone(&count));
        let mut reports = Vec::new();
        // Before the loop has looked for the first time there is nobody to wake.
        inbox.bell(Token(1), Side::Reading).wake();
        assert!(!inbox.look(&mut reports, &sleeper));
        assert_eq!(reports, [(Token(1), Side::Reading)]);
        assert_eq!(count.0.load(Ordering::SeqCst), 0);

        reports.clear();
        let bell = inbox.bell(Token(2), Side::Writing);
        bell.wake_by_ref();
        bell.wake();
        Waker::from(Arc::clone(&inbox)).wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(inbox.look(&mut reports, &sleeper));
        assert_eq!(reports, [(Token(2), Side::Writing); 2]);

        reports.clear();
        assert!(!inbox.look(&mut reports, &sleeper));
        assert_eq!(reports, []);
        Waker::from(Arc::clone(&inbox)).wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
    }
}
