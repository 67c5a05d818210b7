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
    /// So many bytes, and what is left.
    Some(usize, Left),
    /// The socket takes nothing now, or the link cannot be written to.
    Blocked,
    /// Writing failed for good.
    Failed,
}

/// What is left to write on a link that was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Nothing of what the machine had.
    Nothing,
    /// Perhaps something: the machine was asked for a part.
    Perhaps,
    /// More than the socket took.
    Blocked,
}

impl<S: Service, P: Poller> Session<S, P> {
    /// Writes on all links until there is nothing more to write or to be written to. Says whether anything was written.
    pub(crate) fn write_links(&mut self, cx: &mut Context<S, P>, budget: &mut Budget) -> bool {
        let mut any = false;
        // Most often nothing has happened since all were silent.
        while self.silent_at != Some(self.inputs) {
            let mut progress = false;
            let mut all_silent = true;
            let mut at = 0;
            while let Some(link) = self.links.get(at) {
                let peer = link.peer;
                if link.silent_at != Some(self.inputs) {
                    progress |= self.write_link(at, cx, budget);
                }
                if let Some(link) = self.links.get(at).filter(|link| link.peer == peer) {
                    all_silent &= link.silent_at == Some(self.inputs);
                    at += 1;
                }
            }
            any |= progress;
            if all_silent && !progress {
                self.silent_at = Some(self.inputs);
            }
            if !progress || budget.is_empty() {
                break;
            }
        }
        any
    }

    fn write_link(&mut self, mut at: usize, cx: &mut Context<S, P>, budget: &mut Budget) -> bool {
        let peer = self.links[at].peer;
        let mut progress = false;
        while !budget.is_empty() {
            match self.write_once(at, cx) {
                Written::Nothing => {
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
                Written::Some(n, left) => {
                    progress = true;
                    budget.spend();
                    let before = self.inputs;
                    self.input(Input::Wrote { peer, n }, cx);
                    match self.find_writing(peer) {
                        Some(now_at) if left != Left::Blocked => at = now_at,
                        _ => break,
                    }
                    if left == Left::Nothing && self.inputs == before {
                        self.nothing_to_write(at, cx);
                        break;
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
        let Some((length, is_all, sent)) = send::<FEW, _, _>(&self.machine, link.peer, wire, &mut cx.poller)
        else {
            return Written::Nothing;
        };
        let result = match sent {
            Ok(n) if n < length => {
                wire.block_writing(&mut cx.poller).map(|()| Written::Some(n, Left::Blocked))
            }
            Ok(n) => Ok(Written::Some(n, if is_all { Left::Nothing } else { Left::Perhaps })),
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
        link.silent_at = Some(self.inputs);
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

/// Writes what the machine has for a peer, when it has something: how many bytes that is, whether it has no more, and how many
/// the socket took.
fn send<const SLICES: usize, M: Machine, P: Poller>(
    machine: &M,
    peer: Peer,
    wire: &mut Wire<P>,
    poller: &mut P,
) -> Option<(usize, bool, io::Result<usize>)> {
    let mut slices: [&[u8]; SLICES] = [&[]; SLICES];
    let count = machine.transmit(peer, &mut slices).min(SLICES);
    if count == SLICES && SLICES < TRANSMIT_SLICES {
        return send::<TRANSMIT_SLICES, M, P>(machine, peer, wire, poller);
    }
    let length = slices[..count].iter().map(|slice| slice.len()).sum();
    if length == 0 {
        return None;
    }
    let vector = slices.map(IoSlice::new);
    Some((length, count < SLICES, poller.send(&mut wire.socket, &vector[..count])))
}
