//! What other threads send to a loop.

use std::sync::PoisonError;
use std::task::Waker;

use crate::atomic::{AtomicU32, Mutex, MutexGuard, Ordering};

/// A loop's inbox: open until the loop has ended, after which what is sent is given back.
///
/// A loop is woken with the first message after it has looked, and takes all that is there when it looks; so a message that
/// is sent is taken, returned by [`close`](Self::close), or given back to its sender.
#[derive(Debug)]
pub struct Mailbox<T> {
    /// `None` once the loop has ended.
    messages: Mutex<Option<Vec<T>>>,
    waker: Waker,
    /// How many sessions the loop has, the ones on their way to it included.
    load: AtomicU32,
}

impl<T> Mailbox<T> {
    /// An empty one, for the loop that `waker` wakes.
    #[must_use]
    pub fn new(waker: Waker) -> Self {
        Self { messages: Mutex::new(Some(Vec::new())), waker, load: AtomicU32::new(0) }
    }

    /// Queues a message and wakes the loop.
    ///
    /// # Errors
    ///
    /// The loop has ended: the message comes back.
    pub fn send(&self, message: T) -> Result<(), T> {
        let first = match &mut *self.lock() {
            Some(messages) => {
                messages.push(message);
                messages.len() == 1
            }
            None => return Err(message),
        };
        if first {
            self.wake();
        }
        Ok(())
    }

    /// Wakes the loop. Touches nothing but the waker, so that signal handlers may call it.
    pub fn wake(&self) {
        self.waker.wake_by_ref();
    }

    /// Moves what has come to `into`, which is empty.
    pub fn take(&self, into: &mut Vec<T>) {
        if let Some(messages) = &mut *self.lock() {
            std::mem::swap(messages, into);
        }
    }

    /// Gives back the memory of messages that are read.
    pub fn shrink(&self) {
        if let Some(messages) = &mut *self.lock() {
            messages.shrink_to_fit();
        }
    }

    /// Takes no more messages and returns the ones that were not read.
    #[must_use = "what was not read may hold a session's place"]
    pub fn close(&self) -> Vec<T> {
        self.lock().take().unwrap_or_default()
    }

    /// Counts one session more.
    pub fn add_session(&self) {
        self.load.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts one session less.
    pub fn remove_session(&self) {
        self.load.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many sessions the loop has.
    #[must_use]
    pub fn load(&self) -> u32 {
        self.load.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<T>>> {
        // Nothing panics while it is held, and a message list cannot be half-written.
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
