//! A watched socket and what is known about its readiness.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use bytes::BytesMut;
use millstream_core::machine::IoError;
use millstream_core::pool::Address;
use millstream_core::service::Service;

use crate::buffer::Received;
use crate::context::Context;
use crate::descriptor::{Progress, finish};
use crate::error::classify;
use crate::poller::{Interest, Poller, Readiness, Token};
use crate::routes::{Owner, Routes};

/// A watched socket. `readable` and `writable` stay set until the kernel said that there is nothing more.
pub(crate) struct Wire<P: Poller> {
    pub(crate) socket: P::Socket,
    token: Token,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer has ended its side: a short read is not the last one.
    ended: bool,
    /// It has ended both sides.
    gone: bool,
    /// Writing failed; what the peer had sent before is still to be read.
    pub(crate) failed: Option<IoError>,
}

impl<P: Poller> Wire<P> {
    /// Watches a socket that was accepted.
    pub(crate) fn accepted<S: Service>(
        socket: OwnedFd,
        owner: Owner,
        cx: &mut Context<S, P>,
    ) -> io::Result<Self> {
        let token = cx.routes.add(owner);
        match cx.poller.watch(socket, token, Interest::Read) {
            Ok(socket) => Ok(Self::new(socket, token, true)),
            Err(error) => {
                cx.routes.remove(token);
                Err(error)
            }
        }
    }

    /// Begins to connect. Says whether that is done already.
    pub(crate) fn connect<S: Service>(
        address: &Address,
        owner: Owner,
        cx: &mut Context<S, P>,
    ) -> Result<(Self, bool), IoError> {
        let token = cx.routes.add(owner);
        let error = match cx.poller.connect(address, token) {
            Ok((socket, Progress::Connected)) => return Ok((Self::new(socket, token, true), true)),
            Ok((socket, Progress::Pending)) => return Ok((Self::new(socket, token, false), false)),
            Ok((socket, Progress::Failed(error))) => {
                cx.poller.close(socket);
                error
            }
            Err(error) => error,
        };
        cx.routes.remove(token);
        Err(error)
    }

    const fn new(socket: P::Socket, token: Token, connected: bool) -> Self {
        Self { socket, token, readable: false, writable: connected, ended: false, gone: false, failed: None }
    }

    /// Notes what the poller reported.
    pub(crate) const fn note(&mut self, readiness: Readiness) {
        self.ended |= readiness.ended;
        self.gone |= readiness.gone;
        self.readable |= readiness.ended || readiness.readable;
        self.writable |= readiness.writable;
    }

    /// Reads once, and notes what that says about the next time. A broken connection gives its first error.
    pub(crate) fn receive(&mut self, buffer: &mut BytesMut, poller: &mut P) -> Result<Received, IoError> {
        let mut result = poller.receive(&mut self.socket, buffer);
        let nothing_more = match result {
            Ok(Received::Part) => !self.ended,
            Ok(Received::Nothing) => true,
            _ => false,
        };
        if nothing_more {
            self.readable = false;
            if let Err(error) = poller.await_readable(&mut self.socket) {
                result = Err(error);
            }
        }
        result.map_err(|error| classify(&error))
    }

    /// Whether writing may get somewhere.
    pub(crate) const fn can_write(&self) -> bool {
        self.writable && self.failed.is_none()
    }

    /// Nothing more can be written for now: asks to be told when that changes.
    pub(crate) fn block_writing(&mut self, poller: &mut P) -> io::Result<()> {
        self.writable = false;
        poller.await_writable(&mut self.socket)
    }

    /// Nothing is left to write: a peer that reads must not wake the loop for that.
    pub(crate) fn rest_writing(&mut self, poller: &mut P) -> io::Result<()> {
        poller.rest_writing(&mut self.socket)
    }

    /// Whether there is nothing to read, and the peer is still there. The flag may be set for bytes that were read
    /// already, so the kernel is asked; bytes that are found are lost, as the connection then is.
    pub(crate) fn is_quiet(&mut self, poller: &mut P) -> bool {
        if self.failed.is_some() || self.ended {
            return false;
        }
        if self.readable {
            let mut one = BytesMut::with_capacity(1);
            let found = self.receive(&mut one, poller);
            self.readable = !matches!(found, Ok(Received::Nothing));
        }
        !self.readable
    }

    /// All that was to be written is. More may have come meanwhile, which must not turn the close into a reset.
    pub(crate) fn end_writing(&self) {
        // A peer that has closed both directions reads nothing any more.
        if self.readable && !self.gone {
            finish(self.socket.as_fd());
        }
    }

    /// Another one is told about it from now on.
    pub(crate) fn give(&self, owner: Owner, routes: &mut Routes) {
        routes.give(self.token, owner);
    }

    /// Closes the socket.
    pub(crate) fn close<S: Service>(self, cx: &mut Context<S, P>) {
        cx.poller.close(self.socket);
        cx.routes.remove(self.token);
    }
}
