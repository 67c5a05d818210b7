//! Reading from a connection.
//!
//! A frame that is partly here is read into the machine's own buffer, as far as that has room. Everything else goes to
//! one large buffer of the loop, of which the machine is given what was read; when it kept nothing of it, the same
//! memory is used again.

use millstream_core::machine::{Closure, Input, Machine};
use millstream_core::service::Service;

use crate::buffer::{Received, receive};
use crate::context::Context;
use crate::error::classify;
use crate::link::Phase;
use crate::session::Session;

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
