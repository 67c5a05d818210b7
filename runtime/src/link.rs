//! One connection of a session.
//!
//! ```text
//!   Asked <--the pool--> Connecting --> Connected --told--> Open --Close with time--> Flushing --> gone
//!     |                                     ^                 +--end of file, error, Close now--> gone
//!     +-- a kept connection ----------------+                 +--Release--> kept
//!     +--> Refused --told--> gone
//! ```

use millstream_core::machine::{Peer, Refusal};
use millstream_core::time::Instant;
use millstream_core::wire::Negotiation;

use crate::poller::Poller;
use crate::wire::Wire;

/// One connection of a session.
pub(crate) struct Link<P: Poller> {
    pub(crate) peer: Peer,
    pub(crate) phase: Phase,
    /// `None` as long as there is no socket.
    pub(crate) wire: Option<Wire<P>>,
    /// After how many inputs the machine had nothing to write here. It need not be asked again before the next one.
    pub(crate) silent_at: Option<u64>,
}

impl<P: Poller> Link<P> {
    pub(crate) const fn new(peer: Peer, phase: Phase, wire: Option<Wire<P>>) -> Self {
        Self { peer, phase, wire, silent_at: None }
    }

    /// When the link has to be looked at without any event.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Flushing(at) => Some(at),
            _ => None,
        }
    }
}

/// How far a connection is.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The pool has been asked for it.
    Asked,
    /// The kernel is connecting.
    Connecting,
    /// It is there, and the machine is to be told, and what is negotiated on it.
    Connected(Option<Box<Negotiation>>),
    /// It cannot be had, and the machine is to be told.
    Refused(Refusal),
    /// It is there, and the machine knows.
    Open,
    /// The machine has closed it; what is queued is written until this time.
    Flushing(Instant),
}
