//! Late inputs for connections that are gone.

use std::sync::atomic::Ordering;

use bytes::BytesMut;
use millstream_core::machine::{Closure, Input, IoError, IoKind, Machine, Output, Peer, Refusal};
use millstream_core::time::Instant;

use super::World;
use super::line::{Line, name};
use crate::coverage;

impl<M: Machine> World<M> {
    /// An input for a connection that is long gone changes nothing.
    pub(super) fn stray(&mut self) {
        let gone = |line: &&Line| line.over && line.peer != Peer::MTA && !self.has_pending(line.peer);
        let gone: Vec<_> = self.lines.iter().filter(gone).map(|line| line.peer).collect();
        // What was to be written by now may be given up with any input.
        let late = self.lines.iter().any(|line| line.flush_by.is_some_and(|by| by <= self.now));
        // With any input it may also ask again for room that was not there before.
        let asks_again = self.reserve.refused.load(Ordering::Relaxed) > 0;
        if late || asks_again || gone.is_empty() || self.wait.is_some_and(|wait| wait <= self.now) {
            return;
        }
        let peer = *self.rng.pick(&gone);
        let input = match self.rng.below(5) {
            0 => Input::Received { peer, data: BytesMut::from(&b"\0\0\0\x01r"[..]) },
            1 => Input::Wrote { peer, n: 3 },
            2 => Input::Closed { peer, why: Closure::Eof },
            3 => Input::Ready { peer, negotiated: None },
            _ => {
                let error = IoError { kind: IoKind::Refused, code: 111 };
                Input::Refused { peer, why: Refusal::Failed(error) }
            }
        };
        let shown =
            |world: &Self| world.lines.iter().map(|line| world.pending(line.peer)).collect::<Vec<_>>();
        let before = shown(self);
        let what = format!("{input:?}");
        let state = self.state();
        self.coverage.note_late(state);
        self.machine.handle(Instant::from_nanos(self.now), input);
        let output = self.machine.poll_output();
        let same = matches!(output, Output::Wait(at) if at.map(Instant::as_nanos) == self.wait);
        if !same || before != shown(self) {
            self.fail(format!(
                "an input for the old {} changed something: {what} gave {output:?}, not {:?}",
                name(peer),
                self.wait
            ));
        }
    }

    /// The state of the MTA's conversation, for the count of what was visited.
    pub(super) fn state(&self) -> usize {
        let owed = self.mta_watch.oldest().map(|(letter, ..)| letter);
        let until = self.mta_at.map_or(0, |at| at + 1);
        let sent = self.mta.exchanges[..until].iter().rev();
        let last = sent.map(|exchange| exchange.letter).find(|letter| !b"DU".contains(letter));
        coverage::state(owed, last, self.mta_watch.has_asked())
    }
}
