//! Reading from a connection.
//!
//! A frame that is partly here is read into the machine's own buffer, as far as that has room. Everything else goes to
//! one large buffer of the loop, of which the machine is given what was read; when it kept nothing of it, the same
//! memory is used again.

use millstream_core::machine::{Closure, Input, Machine};
use millstream_core::service::Service;

use crate::buffer::Received;
use crate::context::Context;
use crate::link::Phase;
use crate::poller::Poller;
use crate::session::Session;

/// Room for one read: more than the largest body frame (65,535 bytes and 5 of head), so that a frame that comes alone
/// needs one read.
pub const READ_SIZE: usize = 72 << 10;

impl<S: Service, P: Poller> Session<S, P> {
    /// Reads once from a link, if there is something to read and the machine wants it. Says whether the machine was given
    /// something.
    pub(crate) fn read_link(&mut self, at: usize, cx: &mut Context<S, P>) -> bool {
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
                let result = wire.receive(&mut own, &mut cx.poller);
                (own, result, true)
            }
            None => {
                cx.buffer.reserve(READ_SIZE);
                let result = wire.receive(&mut cx.buffer, &mut cx.poller);
                (cx.buffer.split(), result, false)
            }
        };
        let told = lent || !data.is_empty();
        let end = match result {
            Ok(Received::Full | Received::Part) => None,
            Ok(Received::Nothing) => wire.failed.map(Closure::Failed),
            Ok(Received::End) => Some(wire.failed.map_or(Closure::Eof, Closure::Failed)),
            Err(error) => Some(Closure::Failed(wire.failed.unwrap_or(error))),
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
