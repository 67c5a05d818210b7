//! What a loop of the models sleeps with.

use std::sync::Arc;
use std::task::{Wake, Waker};

use loom::sync::Notify;

/// Rung once or more since it was last waited for, as an eventfd.
pub(crate) struct Bell(Notify);

impl Bell {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Notify::new()))
    }

    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    pub(crate) fn wait(&self) {
        self.0.wait();
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify();
    }
}
