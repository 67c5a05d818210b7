//! Bytes between the session and its peers, in pieces of any size, and the checks of what they say.

use millstream_core::machine::{Closure, Input, IoError, IoKind, Machine};

use super::World;
use super::line::{index_of, name};
use crate::frames::{first, number};
use crate::peers::child::ChildEnd;
use crate::peers::mta::MS;
use crate::plan::Reads;

impl<M: Machine> World<M> {
    /// How many of `length` bytes go at once.
    pub(super) fn portion(&mut self, length: usize) -> usize {
        let most = match self.rng.below(10) {
            0..=2 if length < 2000 => self.rng.between(1, 9) as usize,
            3 | 4 => self.rng.between(1, length as u64) as usize,
            _ => length,
        };
        most.min(length)
    }

    pub(super) fn latency(&mut self) -> u64 {
        if self.rng.chance(70) { 0 } else { self.rng.below(5 * MS) }
    }

    /// Bytes of a peer, or the end of its connection, reach the session.
    pub(super) fn deliver(&mut self, at: usize) {
        let peer = self.lines[at].peer;
        if self.lines[at].inward.is_empty() {
            let why = self.lines[at].inward_end.take().unwrap();
            self.lines[at].over = true;
            self.note(b"", || format!("{} -> S: {why}", name(peer)));
            self.handle(Input::Closed { peer, why });
            self.expect_silence(at);
            return;
        }
        let mut n = self.portion(self.lines[at].inward.len());
        let mut data = None;
        if self.rng.chance(50) {
            data = self.machine.read_buffer(peer);
            if let Some(buffer) = &data {
                n = n.min(buffer.capacity() - buffer.len());
                if self.rng.chance(5) {
                    n = 0;
                }
            }
        }
        let mut data = data.unwrap_or_default();
        let line = &mut self.lines[at];
        data.extend_from_slice(&line.inward[..n]);
        line.came.extend_from_slice(&line.inward[..n]);
        line.inward.drain(..n);
        line.delivered += n as u64;
        let bursts = at == 0 && self.scenario.bursts;
        let pace = if bursts { self.rng.below(100 * MS) } else { self.latency() };
        self.lines[at].ready[0] = self.now + pace;
        self.came(at);
        self.handle(Input::Received { peer, data });
    }

    /// Keeps the checks up to date with what has reached the session.
    pub(super) fn came(&mut self, at: usize) {
        let line = &mut self.lines[at];
        let delivered = line.delivered;
        let (mut notes, mut earlier) = (Vec::new(), 0);
        let (mut came, mut whole) = (std::mem::take(&mut line.came), 0);
        while let Some((letter, payload)) = first(&came[whole..]) {
            whole += 5 + payload.len();
            if at == 0 {
                self.mta_moved = self.now;
                let position = self.mta.exchanges.iter().position(|exchange| {
                    exchange.owed && exchange.reply.is_none() && exchange.letter == letter
                });
                if letter != b'O' {
                    let from = self.mta_at.map_or(0, |at| at + 1);
                    let sent = self.mta.exchanges[from..].iter().position(|exchange| !exchange.suppressed);
                    self.mta_at = sent.map(|at| from + at).or(self.mta_at);
                    if b"CHMRTUEAK".contains(&letter) {
                        self.unanswered.push((self.now, self.mta_at.unwrap_or(0)));
                    }
                }
                if letter == b'O' || position.is_some() {
                    self.mta_watch.asked(letter, self.now, self.mta_at.unwrap_or(0));
                }
                match letter {
                    b'K' => self.postfix = false,
                    b'D' if payload[0] == b'C' => {
                        self.postfix = payload.windows(9).any(|part| part == b"v\0Postfix");
                    }
                    _ => {}
                }
            } else {
                if !(line.watch.is_taken_back() && b"pbhim+-2eq".contains(&letter)) {
                    line.quiet[1] = self.now;
                }
                // An answer that ends the child's part in the message.
                let ends = b"adrty4".contains(&letter);
                line.watch.note_reply(letter, ends, earlier, line.unwritten);
                earlier += usize::from(b"cadrsty4".contains(&letter));
            }
            if self.log.is_some() {
                notes.push((letter, payload.to_vec()));
            }
        }
        came.drain(..whole);
        line.came = came;
        let done = line.answers.iter().take_while(|(end, _)| *end <= delivered).count();
        for (_, last) in line.answers.drain(..done) {
            if last {
                line.watch.answered(line.child.as_ref().and_then(|child| child.joined.as_ref()));
            }
        }
        let who = name(line.peer);
        for (letter, payload) in notes {
            self.note_frame(letter, &payload, || format!("{who} -> S"));
        }
    }

    /// The session's bytes for a peer leave it.
    pub(super) fn write(&mut self, at: usize) {
        let peer = self.lines[at].peer;
        let mut slices = vec![&b""[..]; *self.rng.pick(&[1, 2, 32])];
        let filled = self.machine.transmit(peer, &mut slices);
        let length = slices[..filled].iter().map(|slice| slice.len()).sum::<usize>();
        // No more than there is room for goes.
        let room = self.lines[at].capacity.saturating_sub(self.lines[at].outward.len());
        let mut all = Vec::with_capacity(length.min(room));
        for slice in &slices[..filled] {
            all.extend_from_slice(&slice[..slice.len().min(room - all.len())]);
        }
        if self.lines[at].flush_by.is_some_and(|by| by <= self.now) {
            // What was not written by then is lost.
            (self.lines[at].over, self.lines[at].cut) = (true, true);
            return;
        }
        if length == 0 {
            if self.lines[at].flush_by.is_some() {
                self.lines[at].over = true;
                if at > 0 && !self.lines[at].watch.parted() {
                    self.fail(format!("{} closed without QUIT", name(peer)));
                }
            }
            return;
        }
        let ended = self.lines[at].inward_end.is_some()
            || self.lines[at].child.as_ref().is_some_and(|child| child.dead);
        if self.lines[at].inward_end.is_some() && self.lines[at].inward.is_empty() && self.rng.chance(30) {
            let why = Closure::Failed(IoError { kind: IoKind::BrokenPipe, code: 32 });
            self.lines[at].over = true;
            if self.lines[at].flush_by.is_none() && !self.finished {
                self.note(b"", || format!("{} -> S: {why}", name(peer)));
                self.handle(Input::Closed { peer, why });
                self.expect_silence(at);
            }
            return;
        }
        let n = self.portion(length).min(room);
        if n == 0 {
            // A flush waits for room.
            self.lines[at].ready[1] = self.now + MS;
            return;
        }
        self.lines[at].quiet[0] = self.now;
        if at == 0 {
            self.mta_moved = self.now;
        }
        self.left(at, &all[..n]);
        if !ended || at > 0 {
            self.lines[at].outward.extend_from_slice(&all[..n]);
        }
        self.lines[at].ready[1] = self.now + self.latency();
        if self.error.is_none() {
            self.handle(Input::Wrote { peer, n });
        }
    }

    /// Checks what has left the session.
    pub(super) fn left(&mut self, at: usize, bytes: &[u8]) {
        let line = &mut self.lines[at];
        if line.left.is_empty() {
            line.owed_at_first = line.watch.is_waited_for();
        }
        line.left.extend_from_slice(bytes);
        let (mut left, mut whole) = (std::mem::take(&mut line.left), 0);
        loop {
            let line = &mut self.lines[at];
            if left[whole..].starts_with(&[0; 4]) {
                let what = format!("an empty frame to {}", name(line.peer));
                return self.fail(what);
            }
            let Some((letter, payload)) = first(&left[whole..]) else { break };
            whole += 5 + payload.len();
            let owed = line.owed_at_first;
            let who = name(line.peer);
            let result = if at == 0 {
                self.mta_watch.frame(letter, payload, self.now)
            } else {
                line.watch.command(letter, payload, owed).map_err(|what| format!("to {who}: {what}"))
            };
            let heard = !line.watch.is_presumed();
            if at > 0 && heard && !b"ODAQ".contains(&letter) && self.is_unfit(index_of(self.lines[at].peer)) {
                return self
                    .fail(format!("'{}' to {who}, which must have been given up", char::from(letter)));
            }
            let line = &mut self.lines[at];
            line.owed_at_first = line.watch.is_waited_for();
            if at == 0 && b"cadrty".contains(&letter) {
                self.unanswered.clear();
            }
            if at == 0 && letter == b'O' {
                self.check_offer(number(payload, 8));
            }
            self.note_frame(letter, payload, || format!("S -> {who}"));
            if let Err(what) = result {
                return self.fail(what);
            }
        }
        left.drain(..whole);
        self.lines[at].left = left;
    }

    pub(super) fn arrive(&mut self, at: usize) {
        let n = self.portion(self.lines[at].outward.len());
        let pace = match self.scenario.mta.reads {
            Reads::Slow(ms) if at == 0 => ms * MS,
            _ if self.lines[at].child.as_ref().is_some_and(|child| child.pace() > 0) => {
                self.lines[at].child.as_ref().map_or(0, ChildEnd::pace)
            }
            _ => self.latency(),
        };
        self.lines[at].ready[2] = self.now + pace;
        let now = self.now;
        let line = &mut self.lines[at];
        match &mut line.child {
            Some(child) => child.arrived(&line.outward[..n], now),
            None => self.mta.arrived(&line.outward[..n], now, &mut self.rng),
        }
        line.outward.drain(..n);
        if let Some(what) = self.mta.complaint.take_if(|_| at == 0) {
            self.fail(what);
        }
    }

    /// The session end of a line is gone: what was written still reaches the peer.
    pub(super) fn hang_up(&mut self, at: usize) {
        let bytes = std::mem::take(&mut self.lines[at].outward);
        let now = self.now;
        match &mut self.lines[at].child {
            Some(child) => {
                child.arrived(&bytes, now);
                child.ended(now);
            }
            None => self.mta.arrived(&bytes, now, &mut self.rng),
        }
    }

    pub(super) fn expect_silence(&mut self, at: usize) {
        let peer = self.lines[at].peer;
        if !self.finished && self.has_pending(peer) {
            self.fail(format!("bytes for {}, which is closed", name(peer)));
        }
    }
}
