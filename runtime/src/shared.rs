//! What all loops of a server know.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use millstream_core::service::SessionId;
use millstream_shared::{Admission, Children, Loops};

use crate::burst::Burst;
use crate::clock::Clock;
use crate::mailbox::{Mailbox, Message};
use crate::options::Options;

/// What all loops know.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) children: Arc<Children>,
    pub(crate) burst: Burst,
    /// The acceptor is on the first.
    pub(crate) loops: Loops<Message>,
    pub(crate) stop_grace: Duration,
    /// What sessions have to write is to be written together.
    pub(crate) use_io_uring: bool,
    /// That they are not has been told.
    told_alone: AtomicBool,
    last_session: AtomicU64,
}

impl Shared {
    pub(crate) fn new(options: &Options, mailboxes: Vec<Arc<Mailbox>>) -> Self {
        Self {
            clock: Clock::start(),
            children: Arc::default(),
            burst: Burst::default(),
            loops: Loops::new(Admission::new(options.max_sessions), mailboxes),
            stop_grace: options.stop_grace,
            use_io_uring: options.use_io_uring,
            told_alone: AtomicBool::new(false),
            last_session: AtomicU64::new(0),
        }
    }

    /// Whether sessions of a loop that do not write together are the first such.
    pub(crate) fn is_first_alone(&self) -> bool {
        !self.told_alone.swap(true, Ordering::Relaxed)
    }

    /// How many sessions were given a number.
    pub(crate) fn accepted(&self) -> u64 {
        self.last_session.load(Ordering::Relaxed)
    }

    pub(crate) fn next_session(&self) -> SessionId {
        SessionId(self.last_session.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
