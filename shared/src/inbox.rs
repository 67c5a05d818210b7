//! What is said to a loop that is a future, until it looks.

use std::sync::{Arc, PoisonError};
use std::task::{Wake, Waker};

use crate::atomic::{Mutex, MutexGuard};

/// The inbox of one loop: reports `R` about its sockets, and whether another thread has something. As a [`Waker`] it says
/// the latter.
///
/// The loop is woken with the first thing after it has looked, and has all that is there when it looks.
#[derive(Debug)]
pub struct Inbox<R>(Mutex<Contents<R>>);

#[derive(Debug)]
struct Contents<R> {
    reports: Vec<R>,
    woken: bool,
    /// The loop knows that there is something, or is about to look.
    told: bool,
    /// Who sleeps until there is something.
    sleeper: Option<Waker>,
}

impl<R: Send + 'static> Inbox<R> {
    /// An inbox, and what wakes its loop from another thread.
    #[must_use]
    pub fn with_waker() -> (Arc<Self>, Waker) {
        let inbox = Arc::new(Self::new());
        let waker = Waker::from(Arc::clone(&inbox));
        (inbox, waker)
    }
}

impl<R> Inbox<R> {
    /// Nothing was said yet, and nobody sleeps.
    #[must_use]
    pub fn new() -> Self {
        Self(Mutex::new(Contents { reports: Vec::new(), woken: false, told: false, sleeper: None }))
    }

    /// Moves the reports to `into`, which is empty, and says whether another thread has something. From then on `sleeper`
    /// is woken for what comes.
    pub fn look(&self, into: &mut Vec<R>, sleeper: &Waker) -> bool {
        let mut contents = self.lock();
        std::mem::swap(&mut contents.reports, into);
        contents.told = false;
        match &mut contents.sleeper {
            Some(known) => known.clone_from(sleeper),
            none => *none = Some(sleeper.clone()),
        }
        std::mem::take(&mut contents.woken)
    }

    /// Adds a report.
    pub fn report(&self, report: R) {
        self.add(|contents| contents.reports.push(report));
    }

    /// The loop is over: nobody is woken any more. What a sleeper is made of is freed on its own thread so.
    pub fn leave(&self) {
        self.lock().sleeper = None;
    }

    fn add(&self, what: impl FnOnce(&mut Contents<R>)) {
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

    fn lock(&self) -> MutexGuard<'_, Contents<R>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Default for Inbox<R> {
    fn default() -> Self {
        Self::new()
    }
}

/// Another thread has something for the loop.
impl<R: Send + 'static> Wake for Inbox<R> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.add(|contents| contents.woken = true);
    }
}
