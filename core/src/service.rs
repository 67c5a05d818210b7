//! What a program gives to a runtime: machines for new connections, and an ear for what happens.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use crate::event::Event;
use crate::machine::{Answer, IoError, Machine, Question};
use crate::policy::Environment;
use crate::pool::Address;

/// Numbers the sessions of a process, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What happened to the runtime itself, not to one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// No more connections are accepted for now.
    ListenerPaused(PauseReason),
    /// Connections are accepted again.
    ListenerResumed,
    /// A machine panicked; its connections were closed and nothing else was touched.
    SessionPanicked {
        /// Which session.
        session: SessionId,
        /// What the panic said.
        message: Box<str>,
    },
    /// The time for a graceful stop ran out with sessions still running, which were closed.
    StopTimedOut {
        /// How many sessions.
        sessions: u32,
        /// How long they were given.
        after: Duration,
    },
    /// A child milter is not to be reached at one of its addresses. Told once, whatever number of sessions find out.
    ChildDown {
        /// The child's name.
        child: Arc<str>,
        /// Which address.
        address: Address,
        /// What happened.
        error: IoError,
        /// After how long it is tried again.
        next_try: Duration,
    },
    /// A child milter that was down answers again.
    ChildUp {
        /// The child's name.
        child: Arc<str>,
        /// Which address.
        address: Address,
        /// How long it was down.
        down_for: Duration,
    },
    /// Each write takes a system call of its own, since the kernel gives no `io_uring`, for this reason.
    WritesAlone(IoError),
    /// An event loop cannot go on.
    LoopFailed(IoError),
}

/// Why a listener is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseReason {
    /// As many sessions are running as are allowed.
    MaxConnections(u32),
    /// `accept` failed in a way that would only repeat itself, as when descriptors are exhausted.
    AcceptFailed(IoError),
}

/// A program, as its runtime sees it. Called from every event loop; no call may block.
pub trait Service: Send + Sync + 'static {
    /// The machine of one connection.
    type Machine: Machine;

    /// Makes the machine of a connection that was just accepted.
    fn accept(&self, session: SessionId, environment: Environment) -> Self::Machine;

    /// A machine reported an event.
    fn event(&self, session: SessionId, event: Event);

    /// The runtime reports something about itself.
    fn notice(&self, notice: Notice);

    /// Answers a look-up, now or later, by calling `reply` exactly once. The default has no resolver.
    fn look_up(&self, question: Question, reply: Box<dyn FnOnce(Answer) + Send>) {
        let _ = question;
        reply(Answer::Failed);
    }
}
