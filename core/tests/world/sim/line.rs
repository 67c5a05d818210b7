//! One connection of the session as the world sees it: the bytes on their way, and what is known about them.

use std::fmt;

use millstream_core::machine::{Closure, IoKind, Peer};

use crate::peers::child::ChildEnd;
use crate::peers::child_watch::Watch;
use crate::plan::Text;
use crate::record::Lost;

pub(super) struct Line {
    pub(super) peer: Peer,
    /// Bytes on their way to the session, and how they end.
    pub(super) inward: Text,
    pub(super) inward_end: Option<Closure>,
    /// Offset in all bytes sent at which each whole answer ends, with what it means to the watch.
    pub(super) answers: Vec<(u64, bool)>,
    pub(super) sent: u64,
    pub(super) delivered: u64,
    /// Bytes on their way from the session.
    pub(super) outward: Text,
    pub(super) capacity: usize,
    /// Reassembly of what left the session and of what reached it, for the checks.
    pub(super) left: Text,
    pub(super) came: Text,
    pub(super) owed_at_first: bool,
    pub(super) ready: [u64; 3],
    pub(super) flush_by: Option<u64>,
    /// The session has closed it or was told that it is closed.
    pub(super) over: bool,
    pub(super) acquiring: Option<(u64, Option<IoKind>)>,
    /// When a byte last left the session for this peer, and when a whole frame of it last came.
    pub(super) quiet: [u64; 2],
    /// The session gave it up.
    pub(super) lost: Option<Lost>,
    pub(super) child: Option<ChildEnd>,
    pub(super) watch: Watch,
    /// Bytes waited for it when the session last spoke; the session has dropped some.
    pub(super) unwritten: bool,
    pub(super) cut: bool,
    /// The session has closed it and waited for nothing.
    pub(super) shut: bool,
    /// The session of the MTA to which it belongs, and whether it was kept from an earlier one.
    pub(super) session: usize,
    pub(super) kept: bool,
    /// It was asked for since the one before was dead.
    pub(super) replaces: bool,
    /// It has negotiated otherwise than it did before: what it says does not count.
    pub(super) unfit: bool,
}

impl Line {
    pub(super) fn new(peer: Peer, child: Option<ChildEnd>, capacity: usize, watch: Watch) -> Self {
        Self {
            peer,
            inward: Vec::new(),
            inward_end: None,
            answers: Vec::new(),
            sent: 0,
            delivered: 0,
            outward: Vec::new(),
            capacity,
            left: Vec::new(),
            came: Vec::new(),
            owed_at_first: false,
            ready: [0; 3],
            flush_by: None,
            over: false,
            acquiring: None,
            quiet: [0; 2],
            lost: None,
            child,
            watch,
            unwritten: false,
            cut: false,
            shut: false,
            session: 0,
            kept: false,
            replaces: false,
            unfit: false,
        }
    }
}

/// A peer as transcripts call it; written only where it is read, since there are millions.
pub(super) struct Name(Peer);

pub(super) fn name(peer: Peer) -> Name {
    Name(peer)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.child_index() {
            None => f.write_str("MTA"),
            Some(index) if self.0.generation == 0 => write!(f, "c{}", index.0),
            Some(index) => write!(f, "c{}#{}", index.0, self.0.generation),
        }
    }
}

/// The number of the child at the other end.
pub(super) fn index_of(peer: Peer) -> usize {
    peer.child_index().map_or(usize::MAX, |index| usize::from(index.0))
}
