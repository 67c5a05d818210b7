//! What the MTA and the children say, and what reaches them.

use bytes::BytesMut;
use millstream_core::machine::{Input, Machine, Peer};

use super::World;
use super::connection::Conn;
use super::dialogue::{DIALOGUE, IN_BETWEEN, MAIL, encode, silence};

impl World<'_> {
    pub(super) fn is_owed(&self) -> bool {
        let protocol = self.protocol.unwrap_or(0);
        self.asked.iter().any(|letter| silence(*letter).is_some_and(|bit| protocol & bit == 0))
    }

    /// The next command of an MTA that keeps to the protocol, once everything is answered.
    pub(super) fn honest_command(&mut self) {
        if !self.honest || self.is_owed() || !self.session.wants_input(Peer::MTA) {
            return;
        }
        let (letter, payload) = DIALOGUE[self.stage];
        self.stage = if self.stage + 1 == DIALOGUE.len() { MAIL } else { self.stage + 1 };
        let unsent = match letter {
            b'C' => 0x1,
            b'H' => 0x2,
            b'M' => 0x4,
            b'R' => 0x8,
            b'B' => 0x10,
            b'L' => 0x20,
            b'N' => 0x40,
            b'T' => 0x200,
            _ => 0,
        };
        if self.protocol.unwrap_or(0) & unsent == 0 {
            self.mta(&encode(letter, payload));
        }
    }

    pub(super) fn mta(&mut self, bytes: &[u8]) {
        if self.closed || !self.session.wants_input(Peer::MTA) {
            // It is not read; an honest MTA waits.
            self.honest = false;
            return;
        }
        self.came += bytes.len();
        self.mta_sent.push(bytes);
        while let Some((letter, _)) = self.mta_sent.cut() {
            self.asked.push_back(letter);
            self.greeted = letter == b'H' || self.greeted && letter != b'K';
            self.nameless |= letter == b'M' && !self.greeted;
        }
        if self.is_owed() {
            self.owed_since.get_or_insert(self.now);
        }
        let data = match self.session.read_buffer(Peer::MTA) {
            Some(mut buffer) => {
                let room = (buffer.capacity() - buffer.len()).min(bytes.len());
                buffer.extend_from_slice(&bytes[..room]);
                self.handle(Input::Received { peer: Peer::MTA, data: buffer });
                BytesMut::from(&bytes[room..])
            }
            None => BytesMut::from(bytes),
        };
        self.handle(Input::Received { peer: Peer::MTA, data });
    }

    pub(super) fn child(&mut self, kid: usize, bytes: &[u8]) {
        let Some(mut conn) = self.kids.get_mut(kid).and_then(|kid| kid.conn.take_if(|conn| !conn.acquiring))
        else {
            return;
        };
        let input = self.say(&mut conn, bytes);
        self.kids[kid].conn = Some(conn);
        input.into_iter().for_each(|input| self.handle(input));
    }

    /// What a child says on a connection, if it is read.
    pub(super) fn say(&mut self, conn: &mut Conn, bytes: &[u8]) -> Option<Input> {
        if !self.session.wants_input(conn.peer) {
            return None;
        }
        self.came += bytes.len();
        conn.said.push(bytes);
        while let Some((letter, _)) = conn.said.cut() {
            conn.owed -= i64::from(!IN_BETWEEN.contains(&letter));
            conn.unproven = false;
        }
        Some(Input::Received { peer: conn.peer, data: BytesMut::from(bytes) })
    }

    /// What an ordinary milter replies to the oldest command.
    pub(super) fn usual_reply(&mut self, index: usize) {
        let Some(kid) = self.kids.get_mut(index) else { return };
        let Some(conn) = &mut kid.conn else { return };
        let Some((letter, offer)) = conn.owes.pop_front() else { return };
        let reply = match letter {
            b'O' => {
                let number = |at: usize| u32::from_be_bytes(offer[at..at + 4].try_into().unwrap_or_default());
                let answer = [number(0), number(4), number(8) & kid.protocol];
                kid.protocol = answer[2];
                encode(b'O', &answer.map(u32::to_be_bytes).concat())
            }
            _ => encode(b'c', b""),
        };
        self.child(index, &reply);
    }

    /// The child answers the last command on a connection of which leave was taken.
    pub(super) fn reply_leaving(&mut self, place: usize) {
        if place >= self.leaving.len() {
            return;
        }
        self.write_leaving(place);
        let Some((_, conn)) = self.leaving.get_mut(place) else { return };
        if conn.owes.pop_front().is_some() {
            let (kid, mut conn) = self.leaving.remove(place);
            let data = self.say(&mut conn, &encode(b'c', b""));
            self.leaving.insert(place, (kid, conn));
            data.into_iter().for_each(|input| self.handle(input));
        }
    }

    /// A frame has reached the MTA: it must be one that is owed.
    pub(super) fn answered(&mut self, letter: u8, payload: &[u8]) {
        let protocol = self.protocol.unwrap_or(0);
        while let Some(asked) = self.asked.front()
            && silence(*asked).is_none_or(|bit| protocol & bit != 0)
        {
            self.asked.pop_front();
        }
        let asked = self.asked.front().copied().unwrap_or(b'-');
        let allowed: &[u8] = match asked {
            b'-' => b"",
            b'O' => b"O",
            b'C' | b'H' | b'U' => b"carty",
            b'E' => b"cardtyphimb+2-eq",
            _ => b"cardtys",
        };
        assert!(allowed.contains(&letter), "{} in reply to {}", char::from(letter), char::from(asked));
        if letter == b'O' {
            assert!(payload.len() >= 12, "a short negotiation");
            self.protocol = payload[8..12].try_into().ok().map(u32::from_be_bytes);
        }
        if !IN_BETWEEN.contains(&letter) {
            self.asked.pop_front();
            if !self.is_owed() {
                self.owed_since = None;
            }
        }
        // A refused message is taken back; behind a refused connection there is nothing more to say.
        match (asked, letter) {
            (_, b'c' | b'O' | b's' | b'p') | (b'E' | b'U', _) => {}
            (b'R', b'r' | b't' | b'y') => {}
            (b'C' | b'H', _) => self.honest = false,
            (b'M' | b'R' | b'T', _) => self.stage = MAIL,
            _ => {}
        }
    }

    /// Writes at most `n` bytes to one peer: 0 is the MTA.
    pub(super) fn write(&mut self, slot: usize, n: usize) {
        let peer = match slot.checked_sub(1) {
            None if self.closed => return,
            None => Peer::MTA,
            Some(kid) => match self.kids.get(kid).and_then(|kid| kid.conn.as_ref()) {
                Some(Conn { peer, acquiring: false, .. }) => *peer,
                _ => return,
            },
        };
        let Some(bytes) = self.transmitted(peer, n) else { return };
        match slot.checked_sub(1) {
            None => {
                self.mta_got.push(&bytes);
                while let Some((letter, payload)) = self.mta_got.cut() {
                    self.answered(letter, &payload);
                }
            }
            Some(kid) => {
                let kid = &mut self.kids[kid];
                if let Some(conn) = &mut kid.conn {
                    conn.take(&bytes, kid.protocol);
                }
            }
        }
        self.drain();
    }

    pub(super) fn write_leaving(&mut self, place: usize) {
        let Some((kid, conn)) = self.leaving.get(place) else { return };
        let protocol = self.kids[*kid].protocol;
        let Some(bytes) = self.transmitted(conn.peer, usize::MAX) else { return };
        self.leaving[place].1.take(&bytes, protocol);
        self.drain();
    }

    /// Takes at most `n` bytes for a peer.
    pub(super) fn transmitted(&mut self, peer: Peer, n: usize) -> Option<Vec<u8>> {
        let mut slices: [&[u8]; 64] = [&[]; 64];
        let filled = self.session.transmit(peer, &mut slices);
        let mut bytes = slices[..filled].concat();
        bytes.truncate(n);
        if bytes.is_empty() {
            return None;
        }
        self.session.handle(self.now, Input::Wrote { peer, n: bytes.len() });
        Some(bytes)
    }

    pub(super) fn write_all(&mut self) {
        for slot in 0..=self.kids.len() {
            self.write(slot, usize::MAX);
        }
        for place in (0..self.leaving.len()).rev() {
            self.write_leaving(place);
        }
        while let Some(done) = self.spilled.pop_front() {
            self.handle(done);
        }
        self.handle(Input::Tick);
    }
}
