//! What other threads send to a loop.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use millstream_core::machine::{Answer, Input, QueryId};
use millstream_core::service::SessionId;

/// A session of one loop. The number tells sessions apart that use the same index one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// Where the loop keeps it.
    pub(crate) index: u32,
    /// Its number.
    pub(crate) id: SessionId,
}

/// One thing for a loop to do.
#[derive(Debug)]
pub(crate) enum Message {
    /// A connection was accepted for this loop. It is a bare descriptor: what watches it belongs to one thread.
    Accepted(OwnedFd, SessionId),
    /// Something that a session asked for is done.
    Input(Key, Input),
    /// Many sessions have ended: what was only needed for them can go. Dropped when that is done.
    Shrink(Sender<()>),
}

/// A loop's inbox: open until the loop has ended, after which what is sent is dropped.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// `None` once the loop has ended.
    messages: Mutex<Option<Vec<Message>>>,
    waker: Waker,
    /// How many sessions the loop has, the ones on their way to it included.
    load: AtomicU32,
}

impl Mailbox {
    pub(crate) const fn new(waker: Waker) -> Self {
        Self { messages: Mutex::new(Some(Vec::new())), waker, load: AtomicU32::new(0) }
    }

    /// Queues a message and wakes the loop; gives the message back when the loop has ended.
    pub(crate) fn send(&self, message: Message) -> Result<(), Message> {
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

    /// What a service calls with the answer to a look-up, from any thread and at any time.
    pub(crate) fn reply(self: &Arc<Self>, key: Key, query: QueryId) -> Box<dyn FnOnce(Answer) + Send> {
        let mut pending = Pending { mailbox: Arc::clone(self), to: Some((key, query)) };
        Box::new(move |answer| pending.answer(answer))
    }

    /// Wakes the loop. Touches nothing but the waker, so that signal handlers may call it.
    pub(crate) fn wake(&self) {
        self.waker.wake_by_ref();
    }

    /// Moves what has come to `into`, which is empty.
    pub(crate) fn take(&self, into: &mut Vec<Message>) {
        if let Some(messages) = &mut *self.lock() {
            std::mem::swap(messages, into);
        }
    }

    /// Gives back the memory of messages that are read.
    pub(crate) fn shrink(&self) {
        if let Some(messages) = &mut *self.lock() {
            messages.shrink_to_fit();
        }
    }

    /// Takes no more messages and returns the ones that were not read.
    pub(crate) fn close(&self) -> Vec<Message> {
        self.lock().take().unwrap_or_default()
    }

    /// Counts one session more.
    pub(crate) fn add_session(&self) {
        self.load.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts one session less.
    pub(crate) fn remove_session(&self) {
        self.load.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many sessions the loop has.
    pub(crate) fn load(&self) -> u32 {
        self.load.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Message>>> {
        // Nothing panics while it is held, and a message list cannot be half-written.
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question on its way: answered at most once, with [`Answer::Failed`] when the service forgot about it.
struct Pending {
    mailbox: Arc<Mailbox>,
    to: Option<(Key, QueryId)>,
}

impl Pending {
    fn answer(&mut self, answer: Answer) {
        if let Some((key, query)) = self.to.take() {
            // A loop that has ended needs no answer any more.
            let _ = self.mailbox.send(Message::Input(key, Input::Answered { query, answer }));
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.answer(Answer::Failed);
    }
}
