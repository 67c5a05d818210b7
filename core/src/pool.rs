//! The connections to the children, one pool for each event loop.
//!
//! A session asks for a connection; the pool says what to do about it. The pool is pure: the runtime connects and tells
//! it what became of that. Today each request gets a fresh connection to the first address that answers; a full
//! listener queue (`EAGAIN` on a unix socket) is busy and not down, and is tried again until the session gives up.
//!
//! ```text
//!   acquire --> Connect(address) --connected--> Ready
//!                  ^     |
//!                  |     +--failed, another address--> Connect(next address)
//!                  |     +--failed, busy-------------> Later(when) --retry--> Connect(same address)
//!                  +-----+--failed, no more----------> Refused
//! ```

use core::time::Duration;

use crate::machine::{IoError, IoKind, Refusal};
use crate::policy::Endpoint;
use crate::time::Instant;

/// How long a busy child is left alone before it is asked again.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// A place to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address<'a> {
    /// A unix socket path.
    Unix(&'a [u8]),
    /// A TCP address.
    Tcp(core::net::SocketAddr),
}

/// What to do about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// Connect to this address and say how it went.
    Connect(Address<'a>),
    /// Call [`Request::retry`] at this time.
    Later(Instant),
    /// Tell the session that it cannot have a connection.
    Refused(Refusal),
}

/// One request for a connection, from `Acquire` to `Ready` or `Refused`.
#[derive(Debug, Clone)]
pub struct Request {
    endpoint: Endpoint,
    next: usize,
}

impl Request {
    /// A request for a connection to `endpoint`.
    #[must_use]
    pub const fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, next: 0 }
    }

    /// The first thing to do, or what to do when the time of [`Step::Later`] has come.
    #[must_use]
    pub fn retry(&self) -> Step<'_> {
        match &self.endpoint {
            Endpoint::Unix(path) => Step::Connect(Address::Unix(path)),
            Endpoint::Tcp(addresses) => match addresses.get(self.next) {
                Some(address) => Step::Connect(Address::Tcp(*address)),
                None => Step::Refused(Refusal::Failed(IoError { kind: IoKind::NameNotFound, code: 0 })),
            },
        }
    }

    /// Connecting failed at `now`.
    pub fn failed(&mut self, now: Instant, error: IoError) -> Step<'_> {
        if error.kind == IoKind::Busy {
            return Step::Later(now + BUSY_PAUSE);
        }
        self.next += 1;
        match &self.endpoint {
            Endpoint::Tcp(addresses) if self.next < addresses.len() => self.retry(),
            _ => Step::Refused(Refusal::Failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use core::net::{Ipv4Addr, SocketAddr};

    use super::*;

    const REFUSED: IoError = IoError { kind: IoKind::Refused, code: 111 };

    #[test]
    fn every_address_of_a_host_is_tried_in_order() {
        let first = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let second = SocketAddr::from((Ipv4Addr::LOCALHOST, 2));
        let mut request = Request::new(Endpoint::Tcp(Arc::from([first, second])));
        assert_eq!(request.retry(), Step::Connect(Address::Tcp(first)));
        assert_eq!(request.failed(Instant::ZERO, REFUSED), Step::Connect(Address::Tcp(second)));
        assert_eq!(request.failed(Instant::ZERO, REFUSED), Step::Refused(Refusal::Failed(REFUSED)));
    }

    #[test]
    fn a_busy_child_is_asked_again_and_not_failed() {
        let mut request = Request::new(Endpoint::Unix(Arc::from(*b"/x")));
        let busy = IoError { kind: IoKind::Busy, code: 11 };
        assert_eq!(request.failed(Instant::ZERO, busy), Step::Later(Instant::ZERO + BUSY_PAUSE));
        assert_eq!(request.retry(), Step::Connect(Address::Unix(b"/x")));
    }

    #[test]
    fn a_missing_socket_is_refused_at_once() {
        let mut request = Request::new(Endpoint::Unix(Arc::from(*b"/x")));
        let missing = IoError { kind: IoKind::NotFound, code: 2 };
        assert_eq!(request.failed(Instant::ZERO, missing), Step::Refused(Refusal::Failed(missing)));
    }
}
