//! A queue that never makes its writers wait.

use std::sync::PoisonError;

use crate::atomic::{Condvar, Mutex, MutexGuard};

/// A bounded queue from many threads to one, which counts what did not fit.
///
/// Room and count are behind one lock, so that each thing offered before the queue was closed is either taken or in a
/// count that is taken. The reader takes all that is there, and is woken only where it sleeps.
#[derive(Debug)]
pub struct Queue<T> {
    contents: Mutex<Contents<T>>,
    filled: Condvar,
    limit: usize,
}

#[derive(Debug)]
struct Contents<T> {
    items: Vec<T>,
    /// Offered in vain since something was taken last.
    lost: u64,
    closed: bool,
    /// The reader sleeps. A wake-up is a system call, also where nobody sleeps.
    reader_sleeps: bool,
}

/// What the reader was told beside the things themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// How many things were offered in vain since the last time, after those that were taken.
    pub lost: u64,
    /// The queue was closed: these were the last.
    pub closed: bool,
}

impl<T> Queue<T> {
    /// An empty queue with room for `limit` things, beside those that the reader has taken.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let contents = Contents { items: Vec::new(), lost: 0, closed: false, reader_sleeps: false };
        Self { contents: Mutex::new(contents), filled: Condvar::new(), limit }
    }

    /// Queues `item`, or counts it as lost where there is no room. Never waits for the reader.
    pub fn offer(&self, item: T) {
        self.offer_as(item, 1);
    }

    /// The same for an item that counts as `count` where there is no room.
    pub fn offer_as(&self, item: T, count: u64) {
        let mut contents = self.lock();
        let refused = self.push(&mut contents, item).err();
        if refused.is_some() {
            contents.lost += count;
        }
        self.unlock(contents);
        // Freed outside of the lock.
        drop(refused);
    }

    /// Queues `item` if there is room.
    ///
    /// # Errors
    ///
    /// There is none, or the queue is closed: the item comes back, and is not counted.
    pub fn put(&self, item: T) -> Result<(), T> {
        let mut contents = self.lock();
        let result = self.push(&mut contents, item);
        self.unlock(contents);
        result
    }

    /// Waits until there is something, and moves all of it to `into`, which is empty. For one thread only.
    pub fn take(&self, into: &mut Vec<T>) -> Taken {
        let mut contents = self.lock();
        while contents.items.is_empty() && !contents.closed {
            contents.reader_sleeps = true;
            contents = self.filled.wait(contents).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut contents.items, into);
        Taken { lost: std::mem::take(&mut contents.lost), closed: contents.closed }
    }

    /// Lets nothing in any more; what is queued can still be taken.
    pub fn close(&self) {
        let mut contents = self.lock();
        contents.closed = true;
        self.unlock(contents);
    }

    fn push(&self, contents: &mut Contents<T>, item: T) -> Result<(), T> {
        if contents.closed || contents.items.len() >= self.limit {
            return Err(item);
        }
        contents.items.push(item);
        Ok(())
    }

    /// Lets go of a queue that was changed, and wakes the reader.
    fn unlock(&self, mut contents: MutexGuard<'_, Contents<T>>) {
        let wake = std::mem::take(&mut contents.reader_sleeps);
        drop(contents);
        if wake {
            self.filled.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Contents<T>> {
        // Nothing panics while it is held.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn taken<T>(queue: &Queue<T>) -> (Vec<T>, u64, bool) {
        let mut items = Vec::new();
        let Taken { lost, closed } = queue.take(&mut items);
        (items, lost, closed)
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told_with_the_next_thing() {
        let queue = Queue::new(2);
        (1..=4).for_each(|n| queue.offer(n));
        queue.offer_as(5, 4);
        assert_eq!(queue.put(6), Err(6));
        assert_eq!(taken(&queue), (vec![1, 2], 6, false));
        assert_eq!(queue.put(7), Ok(()));
        assert_eq!(taken(&queue), (vec![7], 0, false));
    }

    #[test]
    fn what_was_queued_when_it_closed_is_taken() {
        let queue = Queue::new(2);
        queue.offer("last words");
        queue.close();
        queue.offer("too late");
        assert_eq!(queue.put("too late"), Err("too late"));
        assert_eq!(taken(&queue), (vec!["last words"], 1, true));
        assert_eq!(taken(&queue), (vec![], 0, true));
    }
}
