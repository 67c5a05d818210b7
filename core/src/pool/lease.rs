//! One request of a session, from `Acquire` until the connection is over.

use alloc::sync::Arc;

use super::Address;
use super::address::nth;
use crate::machine::{IoError, IoKind, Refusal};
use crate::policy::Route;
use crate::time::Instant;
use crate::wire::Negotiation;

/// A request and what has become of it.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) route: Arc<Route>,
    pub(super) offer: Negotiation,
    pub(super) fresh: bool,
    /// It holds one of the child's places.
    pub(super) place: bool,
    pub(super) stage: Stage,
    /// The child has answered the offer on its connection, or is known not to.
    pub(super) answered: bool,
    /// That it is not well was counted.
    pub(super) unwell: bool,
    pub(super) search: Search,
    /// The address that only this request may try.
    pub(super) probe: Option<Address>,
}

/// How far a request is.
#[derive(Debug)]
pub(super) enum Stage {
    /// It is just being looked at.
    Begun,
    /// It waits for a place: its number in the queue, and until when.
    Waiting(u64, Instant),
    /// Everybody was busy: it tries again at this time.
    Pausing(Instant),
    /// The runtime connects.
    Connecting(Address),
    /// The session has the connection, which is there since.
    InUse(Address, Instant),
}

/// How far a request has come through the addresses of its route.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The endpoint to begin with; the others follow in their order, around.
    pub(super) first: usize,
    /// How many endpoints are done with.
    tried: usize,
    /// Whether the current one was begun with.
    entered: bool,
    /// The next address of the current one.
    next: usize,
    /// An address was busy.
    busy: bool,
    /// The last address that failed.
    failed: Option<IoError>,
    /// We ourselves were out of something.
    exhausted: Option<IoError>,
    /// The first address that was known to be down.
    down: Option<Refusal>,
}

/// Where a search stands.
pub(super) enum Candidate {
    /// An endpoint is begun with: a kept connection to it comes first.
    Endpoint(usize),
    /// An address is next.
    Address(Address),
    /// There is no more.
    None,
}

impl Search {
    pub(super) fn from(first: usize) -> Self {
        Self { first, ..Self::default() }
    }

    /// Goes through the addresses again.
    pub(super) fn again(&mut self) {
        *self = Self::from(self.first);
    }

    /// Takes the next step.
    pub(super) fn step(&mut self, route: &Route) -> Candidate {
        let count = route.endpoints.len();
        while self.tried < count {
            let index = (self.first + self.tried) % count;
            if !core::mem::replace(&mut self.entered, true) {
                return Candidate::Endpoint(index);
            }
            if let Some(address) = route.endpoints.get(index).and_then(|endpoint| nth(endpoint, self.next)) {
                self.next += 1;
                return Candidate::Address(address);
            }
            self.tried += 1;
            self.next = 0;
            self.entered = false;
        }
        Candidate::None
    }

    /// An address failed in a way that says nothing or something about it.
    pub(super) fn failed(&mut self, error: IoError) {
        match error.kind {
            IoKind::Busy => self.busy = true,
            IoKind::Exhausted => self.exhausted = Some(error),
            _ => self.failed = Some(error),
        }
    }

    /// An address was passed over.
    pub(super) const fn passed(&mut self, error: IoError, since: Instant) {
        if self.down.is_none() {
            self.down = Some(Refusal::Down { error, since });
        }
    }

    /// Why there is no connection, `None` when it is worth waiting. What we are out of ourselves comes first: it must not
    /// look like the child's fault.
    pub(super) fn outcome(&self) -> Option<Refusal> {
        let nothing = IoError { kind: IoKind::NameNotFound, code: 0 };
        match (self.exhausted, self.busy, self.failed) {
            (Some(error), ..) => Some(Refusal::Failed(error)),
            (None, true, _) => None,
            (None, false, Some(error)) => Some(Refusal::Failed(error)),
            (None, false, None) => Some(self.down.unwrap_or(Refusal::Failed(nothing))),
        }
    }
}
