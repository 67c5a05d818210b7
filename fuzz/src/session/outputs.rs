//! What the session asks for, and what must hold of it.

use millstream_core::machine::{Input, Machine, Output, Peer, SpillId};
use millstream_core::wire::{Negotiation, Protocol};

use super::World;
use super::connection::{Conn, Stream, agreed};
use super::policy::REUSE;

impl World<'_> {
    pub(super) fn drain(&mut self) {
        for _ in 0..10_000 {
            let output = self.session.poll_output();
            if let Some(peer) = named(&output) {
                assert!(!self.released.contains(&peer), "{output:?} of a connection that was given back");
            }
            match output {
                Output::Wait(at) => {
                    self.waits = at;
                    assert_eq!(self.unwell, None, "a child that is unwell stays connected");
                    return self.check_bounds();
                }
                Output::Finished => {
                    self.finished = true;
                    return;
                }
                Output::Recall { peer, offer, .. } => self.recall(peer, &offer),
                Output::Acquire { peer, offer, fresh, .. } => self.acquire(peer, offer, fresh),
                Output::Learned { peer, negotiated } => {
                    let conn = self.conn(peer).expect("a child on no connection is learned of");
                    assert!(conn.terms.is_none(), "learned twice");
                    conn.terms = Some((*negotiated).clone());
                    let index = usize::from(peer.child_index().expect("the MTA is learned of").0);
                    self.kids[index].known = Some(*negotiated);
                }
                Output::Unwell { peer, .. } => {
                    let silent = |conn: &mut Conn| conn.terms.is_none() || conn.unproven;
                    assert!(self.conn(peer).is_some_and(silent), "nothing ails it");
                    self.unwell = Some(peer);
                }
                Output::Release { peer, negotiated } => self.release(peer, *negotiated),
                Output::LookUp { query, .. } => {
                    assert!(!self.queries.contains(&query), "two look-ups of one number");
                    self.queries.push(query);
                }
                Output::SpillAppend { file, data } => {
                    let stored = self.files.entry(file.0).or_default();
                    data.iter().for_each(|piece| stored.extend_from_slice(piece));
                    self.spilled.push_back(Input::SpillAppended { file, length: stored.len() as u64 });
                }
                Output::SpillRead { file, offset, length } => {
                    let data = &self.files[&file.0][offset as usize..][..length];
                    self.spilled.push_back(Input::SpillRead { file, offset, data: data.to_vec().into() });
                }
                Output::SpillDrop { file: SpillId(file) } => drop(self.files.remove(&file)),
                Output::Close { peer: Peer::MTA, .. } => {
                    self.write(0, usize::MAX);
                    self.closed = true;
                }
                Output::Close { peer, .. } => {
                    self.unwell.take_if(|unwell| *unwell == peer);
                    if let Some((kid, conn)) = self.forget(peer) {
                        self.kids[kid].kept_died |= conn.kept && !conn.greeted;
                    }
                }
                Output::Event(_) => {}
            }
        }
        panic!("the session never comes to rest");
    }

    /// The connection of this name.
    pub(super) fn conn(&mut self, peer: Peer) -> Option<&mut Conn> {
        let leaving = self.leaving.iter_mut().map(|(_, conn)| conn);
        let present = self.kids.iter_mut().filter_map(|kid| kid.conn.as_mut());
        present.chain(leaving).find(|conn| conn.peer == peer)
    }

    pub(super) fn forget(&mut self, peer: Peer) -> Option<(usize, Conn)> {
        for (index, kid) in self.kids.iter_mut().enumerate() {
            if let Some(conn) = kid.conn.take_if(|conn| conn.peer == peer) {
                return Some((index, conn));
            }
        }
        let place = self.leaving.iter().position(|(_, conn)| conn.peer == peer)?;
        Some(self.leaving.remove(place))
    }

    /// What a child is remembered to have said: nothing, the truth, or something that it will not repeat.
    pub(super) fn recall(&mut self, peer: Peer, offer: &Negotiation) {
        let index = usize::from(peer.child_index().expect("the MTA is not asked for").0);
        let mut truth = agreed(offer, self.kids[index].protocol);
        let negotiated = match self.script.below(5) {
            0 => None,
            4 => {
                truth.protocol = Protocol(truth.protocol.0 ^ u32::from(self.script.byte()) << 12);
                Some(truth)
            }
            _ => Some(truth),
        };
        self.kids[index].known.clone_from(&negotiated);
        self.recalled.push_back(Input::Remembered { peer, negotiated: negotiated.map(Box::new) });
    }

    pub(super) fn acquire(&mut self, peer: Peer, offer: Negotiation, fresh: bool) {
        let index = usize::from(peer.child_index().expect("the MTA is not asked for").0);
        if let Some(before) = self.kids[index].conn.take() {
            let left = b"KQ".contains(&self.last_command(&before));
            assert!(left, "a second connection of one child is asked for");
            self.leaving.push((index, before));
        }
        let kid = &mut self.kids[index];
        let wanted = kid.kept_died || self.nameless;
        assert!(!fresh || wanted, "a fresh connection is asked for, and no kept one has died");
        kid.kept_died = false;
        let foreseen = kid.known.clone();
        kid.conn = Some(Conn { foreseen, ..Conn::new(peer, offer, fresh) });
    }

    /// The last command that a child has been sent, or will be.
    pub(super) fn last_command(&self, conn: &Conn) -> u8 {
        let mut slices: [&[u8]; 512] = [&[]; 512];
        let filled = self.session.transmit(conn.peer, &mut slices);
        let mut stream = Stream([&conn.sent.0[..], &slices[..filled].concat()].concat());
        let mut last = conn.last;
        while let Some((letter, _)) = stream.cut() {
            last = letter;
        }
        last
    }

    pub(super) fn release(&mut self, peer: Peer, negotiated: Negotiation) {
        let (index, conn) = self.forget(peer).expect("a connection that is not there is given back");
        assert!(!conn.acquiring && self.more.has(REUSE), "given back without having been had");
        assert_eq!(conn.terms.as_ref(), Some(&negotiated));
        assert_eq!((conn.last, conn.sent.0.len()), (b'K', 0), "given back before leave was taken");
        assert_eq!((conn.owed, conn.said.0.len()), (0, 0), "given back while a reply is owed or half read");
        self.released.insert(peer);
        self.kids[index].kept.push((conn.offer, negotiated));
    }

    pub(super) fn check_bounds(&self) {
        for peer in &self.released {
            let mut slices: [&[u8]; 1] = [&[]];
            assert_eq!(self.session.transmit(*peer, &mut slices), 0, "sent after it was given back");
            assert!(!self.session.wants_input(*peer), "read after it was given back");
        }
        let children = self.kids.iter().filter_map(|kid| kid.conn.as_ref());
        let children = children.chain(self.leaving.iter().map(|(_, conn)| conn)).map(|conn| conn.peer);
        for peer in std::iter::once(Peer::MTA).chain(children) {
            let mut slices: [&[u8]; 64] = [&[]; 64];
            let filled = self.session.transmit(peer, &mut slices);
            let waiting: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
            assert!(waiting <= 16_384 + 8 * self.came, "{waiting} bytes wait after {} came", self.came);
        }
    }
}

/// The child's connection that an output is about, where it is there already.
fn named(output: &Output) -> Option<Peer> {
    match output {
        Output::Recall { peer, .. }
        | Output::Acquire { peer, .. }
        | Output::Learned { peer, .. }
        | Output::Unwell { peer, .. }
        | Output::Release { peer, .. }
        | Output::Close { peer, .. } => Some(*peer),
        _ => None,
    }
}
