//! The connections of a session as their other ends see them.

use std::collections::VecDeque;

use millstream_core::machine::Peer;
use millstream_core::wire::{Negotiation, Protocol};

use super::dialogue::silence;

/// One direction of a connection, cut into frames.
#[derive(Default)]
pub(super) struct Stream(pub(super) Vec<u8>);

impl Stream {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole frame; nothing for what no frame can be.
    pub(super) fn cut(&mut self) -> Option<(u8, Vec<u8>)> {
        let length = u32::from_be_bytes(self.0.get(..4)?.try_into().ok()?) as usize;
        if length == 0 || self.0.len() < 4 + length {
            return None;
        }
        let rest = self.0.split_off(4 + length);
        let frame = std::mem::replace(&mut self.0, rest);
        Some((frame[4], frame[5..].to_vec()))
    }
}

/// A child's end.
pub(super) struct Kid {
    pub(super) protocol: u32,
    pub(super) conn: Option<Conn>,
    /// A kept connection has died, or was left since it has seen the HELO of another client and would see none of this
    /// one, and no other was asked for since.
    pub(super) kept_died: bool,
    /// What was given back: the offer and what was answered to it.
    pub(super) kept: Vec<(Negotiation, Negotiation)>,
    /// What it is known to have answered.
    pub(super) known: Option<Negotiation>,
}

/// One connection to a child.
pub(super) struct Conn {
    pub(super) peer: Peer,
    pub(super) acquiring: bool,
    pub(super) fresh: bool,
    pub(super) offer: Negotiation,
    /// What was agreed on, once it was, and what the child is taken to want until then.
    pub(super) terms: Option<Negotiation>,
    pub(super) foreseen: Option<Negotiation>,
    /// It was kept from another session; nothing was said on it since, no HELO was sent.
    pub(super) kept: bool,
    pub(super) unproven: bool,
    pub(super) greeted: bool,
    pub(super) sent: Stream,
    /// The last command that the child was sent.
    pub(super) last: u8,
    /// What the child takes itself to owe, as far as it cares.
    pub(super) owes: VecDeque<(u8, Vec<u8>)>,
    /// What it has said, and how many final replies are to come whatever it cares.
    pub(super) said: Stream,
    pub(super) owed: i64,
}

impl Conn {
    pub(super) fn new(peer: Peer, offer: Negotiation, fresh: bool) -> Self {
        Self {
            peer,
            acquiring: true,
            fresh,
            offer,
            terms: None,
            foreseen: None,
            kept: false,
            unproven: false,
            greeted: false,
            sent: Stream::default(),
            last: 0,
            owes: VecDeque::new(),
            said: Stream::default(),
            owed: 0,
        }
    }

    /// The child is sent something.
    pub(super) fn take(&mut self, bytes: &[u8], protocol: u32) {
        let agreed = self.terms.as_ref().or(self.foreseen.as_ref()).map_or(0, |terms| terms.protocol.0);
        self.sent.push(bytes);
        while let Some((letter, payload)) = self.sent.cut() {
            assert!(b"OCHMRTULNBEDAQK".contains(&letter), "a child is sent {letter:#x}");
            self.last = letter;
            self.greeted |= letter == b'H';
            let Some(bit) = silence(letter) else { continue };
            self.owed += i64::from(letter == b'O' || bit & agreed == 0);
            if letter == b'O' || bit & protocol == 0 {
                self.owes.push_back((letter, payload));
            }
        }
    }
}

/// What a child that wants this answers to an offer.
pub(super) fn agreed(offer: &Negotiation, protocol: u32) -> Negotiation {
    Negotiation { protocol: Protocol(offer.protocol.0 & protocol), macro_lists: Vec::new(), ..*offer }
}
