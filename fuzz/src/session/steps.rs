//! What can happen to a session, as the script has it.

use std::time::Duration;

use bytes::BytesMut;
use millstream_core::machine::{Answer, Closure, Input, IoError, IoKind, Machine, Peer, QueryId, Refusal};

use super::World;
use super::connection::{Conn, agreed};
use super::dialogue::{COMMANDS, DIALOGUE, IN_BETWEEN, MAIL, REPLIES, encode};
use super::policy::REUSE;

impl World<'_> {
    pub(super) fn step(&mut self) {
        match self.script.below(if self.more.on { 32 } else { 20 }) {
            0..=4 => self.honest_command(),
            5 => {
                let (letter, payload) = COMMANDS[self.script.below(COMMANDS.len())];
                // An ABORT, a macro and a word that the MTA does not know may come at any time between two commands.
                self.honest &= b"AD".contains(&letter) && self.protocol.is_some() && !self.is_owed();
                if letter == b'A' {
                    self.stage = self.stage.min(MAIL);
                }
                self.mta(&encode(letter, payload));
            }
            6 => {
                let n = self.script.below(16);
                let bytes = self.script.take(n);
                self.honest &= bytes.is_empty();
                self.mta(&bytes);
            }
            7..=9 => {
                let kid = self.script.below(3);
                self.usual_reply(kid);
            }
            10 | 11 => {
                let kid = self.script.below(3);
                let (letter, payload) = REPLIES[self.script.below(REPLIES.len())];
                if let Some(conn) = self.kids.get_mut(kid).and_then(|kid| kid.conn.as_mut())
                    && !IN_BETWEEN.contains(&letter)
                {
                    conn.owes.pop_front();
                }
                self.child(kid, &encode(letter, payload));
            }
            12 => {
                let (kid, n) = (self.script.below(3), self.script.below(16));
                let bytes = self.script.take(n);
                self.child(kid, &bytes);
            }
            13 => {
                let (slot, n) = (self.script.below(4), self.script.below(64));
                self.write(slot, n);
            }
            14 | 15 => self.write_all(),
            16 => {
                let millis = [1, 50, 999, 3000, 100_000][self.script.below(5)];
                self.now = self.now + Duration::from_millis(millis);
                self.handle(Input::Tick);
            }
            17 => self.connect(),
            18 => {
                let kid = self.script.below(3);
                if let Some(conn) = self.kids.get_mut(kid).and_then(|kid| kid.conn.take()) {
                    self.hang_up(kid, &conn);
                }
            }
            20..=31 => self.step_of_more(),
            _ => match self.script.below(8) {
                0 => {
                    self.honest = false;
                    self.closed = true;
                    self.handle(Input::Closed { peer: Peer::MTA, why: Closure::Eof });
                }
                1 => {
                    self.honest &= self.protocol.is_some();
                    self.handle(Input::Stop);
                }
                2 | 3 => {
                    let file = match self.spilled.pop_front() {
                        Some(Input::SpillAppended { file, .. } | Input::SpillRead { file, .. }) => file,
                        _ => return,
                    };
                    let error = IoError { kind: IoKind::NoSpace, code: 28 };
                    self.handle(Input::SpillFailed { file, error });
                }
                // Of a connection that never was.
                _ => {
                    let peer = Peer { slot: self.script.byte().into(), generation: 77 };
                    self.handle(Input::Received { peer, data: BytesMut::from(&b"stray"[..]) });
                    self.handle(Input::Closed { peer, why: Closure::Eof });
                }
            },
        }
    }

    /// Closes a connection that was taken out of its place.
    pub(super) fn hang_up(&mut self, kid: usize, conn: &Conn) {
        self.kids[kid].kept_died |= conn.unproven;
        let reset = Closure::Failed(IoError { kind: IoKind::Reset, code: 104 });
        let why = if self.script.below(2) == 0 { Closure::Eof } else { reset };
        self.handle(Input::Closed { peer: conn.peer, why });
    }

    /// What the first scripts did not know.
    pub(super) fn step_of_more(&mut self) {
        let (what, kid) = (self.script.below(12), self.script.below(3));
        match what {
            // The rest of a message, with more of it than an ordinary one has.
            0 => {
                for _ in 0..12 {
                    let before = self.stage;
                    self.honest_command();
                    if matches!(DIALOGUE[before].0, b'L' | b'B') && self.stage == before + 1 {
                        (0..self.script.below(7)).for_each(|_| {
                            self.stage = before;
                            self.honest_command();
                        });
                    }
                }
            }
            // Children answer all that they owe, and perhaps more.
            1 | 2 => {
                self.write_all();
                for _ in 0..16 {
                    (0..3).for_each(|kid| self.usual_reply(kid));
                    (0..self.leaving.len()).for_each(|place| self.reply_leaving(place));
                }
                if kid == 2 {
                    self.child(0, &encode(b'c', b""));
                }
            }
            // A verdict on the oldest of many.
            3 => {
                let letter = b"arstds"[self.script.below(6)];
                if let Some(conn) = self.kids.get_mut(kid).and_then(|kid| kid.conn.as_mut()) {
                    conn.owes.pop_front();
                }
                self.child(kid, &encode(letter, b""));
            }
            4 | 5 => self.connect_one(kid),
            // Another session of the same MTA.
            6 => {
                if self.honest
                    && !self.is_owed()
                    && self.protocol.is_some()
                    && self.session.wants_input(Peer::MTA)
                {
                    self.stage = 1;
                    self.mta(&encode(b'K', b""));
                }
            }
            7 => {
                let place = self.script.below(3);
                if self.script.below(4) != 0 {
                    self.reply_leaving(place);
                } else if place < self.leaving.len() {
                    let (kid, conn) = self.leaving.remove(place);
                    self.hang_up(kid, &conn);
                }
            }
            // Whatever a child may say while leave is taken.
            8 => {
                let (place, n) = (self.script.below(3), self.script.below(16));
                let bytes = match n {
                    15 => encode(b'c', b""),
                    14 => encode(b'r', b""),
                    _ => self.script.take(n),
                };
                if place < self.leaving.len() {
                    let (kid, mut conn) = self.leaving.remove(place);
                    let data = self.say(&mut conn, &bytes);
                    self.leaving.insert(place, (kid, conn));
                    data.into_iter().for_each(|input| self.handle(input));
                }
            }
            9 => {
                let found = Answer::Found(vec!["192.0.2.1".into()]);
                let answer = [found, Answer::Nothing, Answer::Failed][self.script.below(3)].clone();
                let query = match self.script.below(4) {
                    // One that was never asked, or is over.
                    3 => QueryId(self.script.byte().into()),
                    _ if self.queries.is_empty() => return,
                    n => self.queries.remove(n % self.queries.len()),
                };
                self.handle(Input::Answered { query, answer });
            }
            // Late words from a connection that is somebody else's now.
            10 => {
                let Some(peer) = self.released.iter().nth(kid).copied() else { return };
                self.handle(Input::Received { peer, data: BytesMut::from(&b"stray"[..]) });
                self.handle(Input::Closed { peer, why: Closure::Eof });
            }
            _ => {
                if let Some(at) = self.waits {
                    self.now = self.now.max(at);
                }
                self.handle(Input::Tick);
            }
        }
    }

    /// One connection that was asked for is there, fresh or kept, or cannot be had for one reason or another.
    pub(super) fn connect_one(&mut self, index: usize) {
        let what = self.script.below(10);
        let since = self.now;
        let Some(kid) = self.kids.get_mut(index) else { return };
        let Some(conn) = kid.conn.as_mut().filter(|conn| conn.acquiring) else { return };
        let peer = conn.peer;
        let error = |kind| IoError { kind, code: 1 };
        let why = match what {
            0 => Refusal::Down { error: error(IoKind::Refused), since },
            1 => Refusal::Full,
            2 => Refusal::Failed(error(IoKind::Exhausted)),
            _ => {
                conn.acquiring = false;
                let mut negotiated = None;
                if what > 5 && !conn.fresh && self.more.has(REUSE) {
                    let place = kid.kept.iter().rposition(|(offer, _)| *offer == conn.offer);
                    let kept = place.map(|place| kid.kept.remove(place).1);
                    negotiated = Some(kept.unwrap_or_else(|| agreed(&conn.offer, kid.protocol)));
                    conn.terms.clone_from(&negotiated);
                    kid.known.clone_from(&negotiated);
                    (conn.kept, conn.unproven) = (true, true);
                }
                return self.handle(Input::Ready { peer, negotiated: negotiated.map(Box::new) });
            }
        };
        kid.conn = None;
        self.handle(Input::Refused { peer, why });
    }

    /// The connections that were asked for are there, or not.
    pub(super) fn connect(&mut self) {
        let refused = self.script.below(8) == 0;
        for index in 0..self.kids.len() {
            let kid = &mut self.kids[index];
            let Some(conn) = kid.conn.as_mut().filter(|conn| conn.acquiring) else { continue };
            let peer = conn.peer;
            conn.acquiring = false;
            if refused {
                kid.conn = None;
                let error = IoError { kind: IoKind::Refused, code: 111 };
                self.handle(Input::Refused { peer, why: Refusal::Failed(error) });
            } else {
                self.handle(Input::Ready { peer, negotiated: None });
            }
        }
    }
}
