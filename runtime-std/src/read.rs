//! Reading from a connection.
//!
//! A frame that is partly here is read into the machine's own buffer, as far as that has room. Everything else goes to
//! one large buffer of the loop, of which the machine is given what was read; when it kept nothing of it, the same
//! memory is used again.

use std::io;

use bytes::BytesMut;
use millstream_core::machine::{Closure, Input, Machine};
use millstream_core::service::Service;

use crate::context::Context;
use crate::error::classify;
use crate::link::Phase;
use crate::session::Session;
use crate::socket::Socket;

/// Room for one read: more than the largest body frame (65,535 bytes and 5 of head), so that a frame that comes alone
/// needs one read.
pub(crate) const READ_SIZE: usize = 72 << 10;

impl<S: Service> Session<S> {
    /// Reads once from a link, if there is something to read and the machine wants it. Says whether the machine was given
    /// something.
    pub(crate) fn read_link(&mut self, at: usize, cx: &mut Context<S>) -> bool {
        let link = &mut self.links[at];
        let peer = link.peer;
        let (Phase::Open, Some(wire)) = (&link.phase, &mut link.wire) else { return false };
        if !wire.readable && wire.failed.is_none() {
            return false;
        }
        if !self.machine.wants_input(peer) {
            // A machine that waits for its output to be written would wait for ever when that has failed.
            let Some(error) = wire.failed else { return false };
            self.closed(at, Closure::Failed(error), cx);
            return true;
        }
        let (data, result, lent) = match self.machine.read_buffer(peer) {
            Some(mut own) => {
                let result = receive(&wire.socket, &mut own);
                (own, result, true)
            }
            None => {
                cx.buffer.reserve(READ_SIZE);
                let result = receive(&wire.socket, &mut cx.buffer);
                (cx.buffer.split(), result, false)
            }
        };
        let told = lent || !data.is_empty();
        let end = match result {
            Ok(Received::Full) => None,
            Ok(Received::Part) => {
                wire.readable = wire.ended;
                None
            }
            Ok(Received::Nothing) => {
                wire.readable = false;
                wire.failed.map(Closure::Failed)
            }
            Ok(Received::End) => Some(wire.failed.map_or(Closure::Eof, Closure::Failed)),
            Err(error) => Some(Closure::Failed(wire.failed.unwrap_or_else(|| classify(&error)))),
        };
        if told {
            self.input(Input::Received { peer, data }, cx);
        }
        if let Some(why) = end
            && let Some(at) = self.find_open(peer)
        {
            self.closed(at, why, cx);
            return true;
        }
        told
    }
}

/// What one read found.
enum Received {
    /// As much as there was room for; there may be more.
    Full,
    /// Something, and that was all.
    Part,
    /// Nothing now.
    Nothing,
    /// Nothing any more.
    End,
}

/// Appends to `buffer` what the socket has, as far as there is room.
fn receive(socket: &Socket, buffer: &mut BytesMut) -> io::Result<Received> {
    let spare = buffer.spare_capacity_mut();
    let room = spare.len();
    if room == 0 {
        // A lent buffer without room goes back as it is; a read of no bytes would look like the end.
        return Ok(Received::Full);
    }
    match socket.receive(spare) {
        Ok(0) => Ok(Received::End),
        Ok(n) => {
            grow(buffer, n);
            Ok(if n < room { Received::Part } else { Received::Full })
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Received::Nothing),
        Err(error) => Err(error),
    }
}

/// Makes the `n` bytes that were just received behind the end of `buffer` part of it.
#[allow(unsafe_code)]
fn grow(buffer: &mut BytesMut, n: usize) {
    let end = buffer.len() + n;
    assert!(end <= buffer.capacity(), "more bytes were received than there was room for");
    // SAFETY: the only caller has just had the kernel fill the first `n` bytes of the spare capacity (`Socket::receive`
    // returns the length of the part that it initialised), and `end` is within the capacity.
    unsafe { buffer.set_len(end) };
}
