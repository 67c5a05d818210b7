//! Writing to a connection: pulled from the machine, as far as the socket takes it.

use std::io::{self, ErrorKind, IoSlice};

use millstream_core::machine::{Input, Machine, Peer, TRANSMIT_SLICES};
use millstream_core::service::Service;

use crate::context::Context;
use crate::error::classify;
use crate::link::Phase;
use crate::poller::Poller;
use crate::session::{Budget, Session};
use crate::wire::Wire;

/// How many slices a machine is asked for first. Few machines ever have more at a time, and making room for as many as
/// they may have costs more than to ask those few again.
const FEW: usize = 4;

/// What came of one attempt.
enum Written {
    /// There was nothing to write.
    Nothing,
    /// So many bytes; `true` when there was more than the socket took.
    Some(usize, bool),
    /// The socket takes nothing now, or the link cannot be written to.
    Blocked,
    /// Writing failed for good.
    Failed,
}

impl<S: Service, P: Poller> Session<S, P> {
    /// Writes on all links until there is nothing more to write or to be written to. Says whether anything was written.
    pub(crate) fn write_links(&mut self, cx: &mut Context<S, P>, budget: &mut Budget) -> bool {
        let mut any = false;
        loop {
            let mut progress = false;
            let mut at = 0;
            while let Some(link) = self.links.get(at) {
                let peer = link.peer;
                if link.silent_at != Some(self.inputs) {
                    progress |= self.write_link(at, cx, budget);
                }
                if self.links.get(at).is_some_and(|link| link.peer == peer) {
                    at += 1;
                }
            }
            any |= progress;
            if !progress || budget.is_empty() {
                return any;
            }
        }
    }

    fn write_link(&mut self, mut at: usize, cx: &mut Context<S, P>, budget: &mut Budget) -> bool {
        let peer = self.links[at].peer;
        let mut progress = false;
        while !budget.is_empty() {
            match self.write_once(at, cx) {
                Written::Nothing => {
                    self.links[at].silent_at = Some(self.inputs);
                    self.nothing_to_write(at, cx);
                    break;
                }
                Written::Blocked => break,
                Written::Failed => {
                    if matches!(self.links[at].phase, Phase::Flushing(_)) {
                        self.remove(at, cx);
                    }
                    break;
                }
                Written::Some(n, blocked) => {
                    progress = true;
                    budget.spend();
                    self.input(Input::Wrote { peer, n }, cx);
                    match self.find_writing(peer) {
                        Some(now_at) if !blocked => at = now_at,
                        _ => break,
                    }
                }
            }
        }
        progress
    }

    fn write_once(&mut self, at: usize, cx: &mut Context<S, P>) -> Written {
        let link = &mut self.links[at];
        let (Phase::Open | Phase::Flushing(_), Some(wire)) = (&link.phase, &mut link.wire) else {
            return Written::Blocked;
        };
        if !wire.writable || wire.failed.is_some() {
            return Written::Blocked;
        }
        let (length, sent) = send::<FEW, _, _>(&self.machine, link.peer, wire, &mut cx.poller);
        if length == 0 {
            return Written::Nothing;
        }
        let result = match sent {
            Ok(n) if n < length => wire.block_writing(&mut cx.poller).map(|()| Written::Some(n, true)),
            Ok(n) => Ok(Written::Some(n, false)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                wire.block_writing(&mut cx.poller).map(|()| Written::Blocked)
            }
            Err(error) => Err(error),
        };
        result.unwrap_or_else(|error| {
            // What the peer sent before it went away is read first; `read_link` then tells the machine.
            wire.failed = Some(classify(&error));
            wire.readable = true;
            Written::Failed
        })
    }

    /// A link that is being flushed is done; an open one needs no wake-up for writing any more.
    fn nothing_to_write(&mut self, at: usize, cx: &mut Context<S, P>) {
        let link = &mut self.links[at];
        let Some(wire) = &mut link.wire else { return };
        if matches!(link.phase, Phase::Flushing(_)) {
            wire.end_writing();
            self.remove(at, cx);
        } else if let Err(error) = wire.rest_writing(&mut cx.poller) {
            wire.failed = Some(classify(&error));
        }
    }

    fn find_writing(&self, peer: Peer) -> Option<usize> {
        self.links
            .iter()
            .position(|link| link.peer == peer && matches!(link.phase, Phase::Open | Phase::Flushing(_)))
    }
}

/// Writes what the machine has for a peer, when it has something: how many bytes that is, and how many the socket took.
fn send<const SLICES: usize, M: Machine, P: Poller>(
    machine: &M,
    peer: Peer,
    wire: &mut Wire<P>,
    poller: &mut P,
) -> (usize, io::Result<usize>) {
    let mut slices: [&[u8]; SLICES] = [&[]; SLICES];
    let count = machine.transmit(peer, &mut slices).min(SLICES);
    if count == SLICES && SLICES < TRANSMIT_SLICES {
        return send::<TRANSMIT_SLICES, M, P>(machine, peer, wire, poller);
    }
    let length = slices[..count].iter().map(|slice| slice.len()).sum();
    if length == 0 {
        return (0, Ok(0));
    }
    let vector = slices.map(IoSlice::new);
    (length, poller.send(&mut wire.socket, &vector[..count]))
}
