//! One connection of a session.
//!
//! ```text
//!   Waiting <--busy-- Connecting --> Connected --told--> Open --Close with time--> Flushing --> gone
//!      |                ^    |                             |
//!      +--time to retry-+    +--> Refused --told--> gone   +--end of file, error, Close now--> gone
//! ```

use std::io;

use millstream_core::machine::{IoError, Peer, Refusal};
use millstream_core::pool::Request;
use millstream_core::time::Instant;
use mio::event::Event;
use mio::{Interest, Registry, Token};

use crate::context::Context;
use crate::socket::Socket;
use millstream_core::service::Service;

/// How far a connection is.
#[derive(Debug)]
pub(crate) enum Phase {
    /// To be connected again at this time.
    Waiting(Box<Request>, Instant),
    /// The kernel is connecting.
    Connecting(Box<Request>),
    /// It is there, and the machine is to be told.
    Connected,
    /// It cannot be had, and the machine is to be told.
    Refused(Refusal),
    /// It is there, and the machine knows.
    Open,
    /// The machine has closed it; what is queued is written until this time.
    Flushing(Instant),
}

/// A registered socket and what is known about its readiness.
///
/// The poller reports changes only. `readable` and `writable` stay set until the kernel said that there is nothing more,
/// which is why a machine that does not want input costs nothing until it does.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) socket: Socket,
    token: Token,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer has ended its side: a short read is not the last one.
    pub(crate) ended: bool,
    watches_writing: bool,
    /// Writing failed; what the peer had sent before is still to be read.
    pub(crate) failed: Option<IoError>,
}

impl Wire {
    /// Registers a socket. One that is still connecting is watched for writing too.
    pub(crate) fn new<S: Service>(
        mut socket: Socket,
        session: u32,
        peer: Peer,
        connected: bool,
        cx: &mut Context<S>,
    ) -> io::Result<Self> {
        let token = cx.routes.add(session, peer);
        let interest = if connected { Interest::READABLE } else { BOTH };
        if let Err(error) = socket.register(&cx.registry, token, interest) {
            cx.routes.remove(token);
            return Err(error);
        }
        Ok(Self {
            socket,
            token,
            readable: false,
            writable: connected,
            ended: false,
            watches_writing: !connected,
            failed: None,
        })
    }

    /// Notes what the poller reported.
    pub(crate) fn note(&mut self, event: &Event) {
        let broken = event.is_error();
        self.ended |= broken || event.is_read_closed();
        self.readable |= self.ended || event.is_readable();
        self.writable |= broken || event.is_writable() || event.is_write_closed();
    }

    /// Nothing more can be written for now: asks to be told when that changes.
    pub(crate) fn block_writing(&mut self, registry: &Registry) -> io::Result<()> {
        self.writable = false;
        if !self.watches_writing {
            self.watches_writing = true;
            self.socket.reregister(registry, self.token, BOTH)?;
        }
        Ok(())
    }

    /// Nothing is left to write: a peer that reads must not wake the loop for that.
    pub(crate) fn rest_writing(&mut self, registry: &Registry) -> io::Result<()> {
        if self.watches_writing {
            self.watches_writing = false;
            self.socket.reregister(registry, self.token, Interest::READABLE)?;
        }
        Ok(())
    }

    /// Closes the socket.
    pub(crate) fn close<S: Service>(mut self, cx: &mut Context<S>) {
        self.socket.deregister(&cx.registry);
        cx.routes.remove(self.token);
    }
}

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// One connection of a session.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: Peer,
    pub(crate) phase: Phase,
    /// `None` as long as there is no socket.
    pub(crate) wire: Option<Wire>,
}

impl Link {
    /// When the link has to be looked at without any event.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting(_, at) | Phase::Flushing(at) => Some(at),
            _ => None,
        }
    }
}
