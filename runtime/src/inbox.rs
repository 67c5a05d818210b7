//! What a reactor says to a loop that is a future, until it looks.

use std::sync::Arc;
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

/// The inbox of one loop: which of its sockets are ready, and whether another thread has something.
pub type Inbox = millstream_shared::Inbox<(Token, Side)>;

/// A waker that reports a socket.
#[must_use]
pub fn bell_for(inbox: &Arc<Inbox>, token: Token, side: Side) -> Waker {
    Waker::from(Arc::new(Bell { inbox: Arc::clone(inbox), token, side }))
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
        self.inbox.report((self.token, self.side));
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
        bell_for(&inbox, Token(1), Side::Reading).wake();
        assert!(!inbox.look(&mut reports, &sleeper));
        assert_eq!(reports, [(Token(1), Side::Reading)]);
        assert_eq!(count.0.load(Ordering::SeqCst), 0);

        reports.clear();
        let bell = bell_for(&inbox, Token(2), Side::Writing);
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
