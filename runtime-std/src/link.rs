//! One connection of a session.
//!
//! ```text
//!   Asked <--the pool--> Connecting --> Connected --told--> Open --Close with time--> Flushing --> gone
//!     |                                     ^                 +--end of file, error, Close now--> gone
//!     +-- a kept connection ----------------+                 +--Release--> kept
//!     +--> Refused --told--> gone
//! ```

use std::io;

use bytes::BytesMut;
use millstream_core::machine::{IoError, Peer, Refusal};
use millstream_core::time::Instant;
use millstream_core::wire::Negotiation;
use mio::event::Event;
use mio::{Interest, Registry, Token};

use crate::buffer::{Received, receive};
use crate::context::Context;
use crate::routes::{Owner, Routes};
use crate::socket::Socket;
use millstream_core::service::Service;

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
    /// It has ended both sides.
    gone: bool,
    watches_writing: bool,
    /// Writing failed; what the peer had sent before is still to be read.
    pub(crate) failed: Option<IoError>,
}

impl Wire {
    /// Registers a socket. One that is still connecting is watched for writing too.
    pub(crate) fn new<S: Service>(
        mut socket: Socket,
        owner: Owner,
        connected: bool,
        cx: &mut Context<S>,
    ) -> io::Result<Self> {
        let token = cx.routes.add(owner);
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
            gone: false,
            watches_writing: !connected,
            failed: None,
        })
    }

    /// Notes what the poller reported.
    pub(crate) fn note(&mut self, event: &Event) {
        let broken = event.is_error();
        self.ended |= broken || event.is_read_closed();
        self.gone |= event.is_read_closed() && event.is_write_closed();
        self.readable |= self.ended || event.is_readable();
        self.writable |= broken || event.is_writable() || event.is_write_closed();
    }

    /// Whether the peer has closed both directions: it reads nothing any more.
    pub(crate) const fn is_gone(&self) -> bool {
        self.gone
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

    /// Whether there is nothing to read, and the peer is still there. The flag may be set for bytes that were read
    /// already, so the kernel is asked; bytes that are found are lost, as the connection then is.
    pub(crate) fn is_quiet(&mut self) -> bool {
        if self.failed.is_some() || self.ended {
            return false;
        }
        if self.readable {
            let mut one = BytesMut::with_capacity(1);
            self.readable = !matches!(receive(&self.socket, &mut one), Ok(Received::Nothing));
        }
        !self.readable
    }

    /// Another one is told about it from now on.
    pub(crate) fn give(&self, owner: Owner, routes: &mut Routes) {
        routes.give(self.token, owner);
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
            Phase::Flushing(at) => Some(at),
            _ => None,
        }
    }
}
