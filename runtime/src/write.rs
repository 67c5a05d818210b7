//! Writing to a connection: pulled from the machine, as far as the socket takes it.

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::AsFd as _;

use millstream_core::machine::{Input, Machine, Peer, TRANSMIT_SLICES};
use millstream_core::service::Service;

use crate::context::Context;
use crate::error::classify;
use crate::link::{Link, Phase};
use crate::poller::Poller;
use crate::session::{Budget, Session};
use crate::together::{Attempt, Gathered};
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
        let mut progress = false;
        while !budget.is_empty() {
            let written = self.write_once(at, cx);
            if let Written::Some(..) = written {
                progress = true;
                budget.spend();
            }
            match self.after_writing(at, &written, self.inputs, cx) {
                Some(now_at) => at = now_at,
                None => break,
            }
        }
        progress
    }

    fn write_once(&mut self, at: usize, cx: &mut Context<S, P>) -> Written {
        let link = &mut self.links[at];
        let (Phase::Open | Phase::Flushing(_), Some(wire)) = (&link.phase, &mut link.wire) else {
            return Written::Blocked;
        };
        if !wire.can_write() {
            return Written::Blocked;
        }
        let sent = offered::<FEW, _, _>(&self.machine, link.peer, |slices, is_all| {
            let mut vector = [IoSlice::new(&[]); TRANSMIT_SLICES];
            vector.iter_mut().zip(slices).for_each(|(to, slice)| *to = IoSlice::new(slice));
            (length_of(slices), is_all, cx.poller.send(&mut wire.socket, &vector[..slices.len()]))
        });
        match sent {
            Some((length, is_all, sent)) => outcome(length, is_all, sent, wire, cx),
            None => Written::Nothing,
        }
    }

    /// Whether the machine may have something for a link that takes it.
    pub(crate) fn may_write(&self) -> bool {
        self.links.iter().any(|link| link.silent_at != Some(self.inputs) && writable(link).is_some())
    }

    /// Adds what is to be written now.
    pub(crate) fn gather<'a>(&'a self, gathered: &mut Gathered<'a>, attempts: &mut Vec<Attempt>) {
        for link in self.links.iter().filter(|link| link.silent_at != Some(self.inputs)) {
            let Some(wire) = writable(link) else { continue };
            let (session, peer) = (self.key.index, link.peer);
            let attempt = offered::<FEW, _, _>(&self.machine, peer, |slices, is_all| {
                gathered.add(wire.socket.as_fd(), slices);
                Attempt::new(session, peer, length_of(slices), is_all)
            });
            attempts.push(attempt.unwrap_or_else(|| Attempt::new(session, peer, 0, true)));
        }
    }

    /// Does what there is to be done after what was gathered of this session was written.
    pub(crate) fn written(&mut self, attempts: &mut [Attempt], cx: &mut Context<S, P>) {
        // What the machine says when it is told of one peer may be for others, of whom it had said all before.
        let inputs = self.inputs;
        // First who had nothing, while that is so.
        for attempt in attempts.iter().filter(|attempt| attempt.length == 0) {
            if let Some(at) = self.find_writing(attempt.peer) {
                self.nothing_to_write(at, cx);
            }
        }
        for attempt in attempts.iter_mut().filter(|attempt| attempt.length > 0) {
            let sent = std::mem::replace(&mut attempt.sent, Ok(0));
            if let Some(at) = self.find_writing(attempt.peer)
                && let Some(wire) = &mut self.links[at].wire
            {
                let written = outcome(attempt.length, attempt.is_all, sent, wire, cx);
                self.after_writing(at, &written, inputs, cx);
            }
        }
    }

    /// Tells the machine what was written to a link, of what it had after so many inputs. Says where that link is now, when it
    /// may have more.
    fn after_writing(
        &mut self,
        at: usize,
        written: &Written,
        inputs: u64,
        cx: &mut Context<S, P>,
    ) -> Option<usize> {
        let peer = self.links[at].peer;
        match *written {
            Written::Nothing => {
                self.nothing_to_write(at, cx);
                None
            }
            Written::Blocked => None,
            Written::Failed => {
                if matches!(self.links[at].phase, Phase::Flushing(_)) {
                    self.remove(at, cx);
                }
                None
            }
            Written::Some(n, left) => {
                self.input(Input::Wrote { peer, n }, cx);
                let at = self.find_writing(peer).filter(|_| left != Left::Blocked)?;
                if left == Left::Nothing && self.inputs == inputs {
                    self.nothing_to_write(at, cx);
                    return None;
                }
                Some(at)
            }
        }
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

/// The wire of a link that may be written to.
fn writable<P: Poller>(link: &Link<P>) -> Option<&Wire<P>> {
    let is_open = matches!(link.phase, Phase::Open | Phase::Flushing(_));
    link.wire.as_ref().filter(|wire| is_open && wire.can_write())
}

/// What became of `length` bytes that were to be written, when the socket took what `sent` says.
fn outcome<S: Service, P: Poller>(
    length: usize,
    is_all: bool,
    sent: io::Result<usize>,
    wire: &mut Wire<P>,
    cx: &mut Context<S, P>,
) -> Written {
    let result = match sent {
        Ok(n) if n < length => wire.block_writing(&mut cx.poller).map(|()| Written::Some(n, Left::Blocked)),
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

/// Shows `taken` what the machine has for a peer, when it has something, and whether that is all.
fn offered<'a, const SLICES: usize, M: Machine, R>(
    machine: &'a M,
    peer: Peer,
    taken: impl FnOnce(&[&'a [u8]], bool) -> R,
) -> Option<R> {
    let mut slices: [&[u8]; SLICES] = [&[]; SLICES];
    let count = machine.transmit(peer, &mut slices).min(SLICES);
    if count == SLICES && SLICES < TRANSMIT_SLICES {
        return offered::<TRANSMIT_SLICES, M, R>(machine, peer, taken);
    }
    let slices = &slices[..count];
    (length_of(slices) > 0).then(|| taken(slices, count < SLICES))
}

fn length_of(slices: &[&[u8]]) -> usize {
    slices.iter().map(|slice| slice.len()).sum()
}
