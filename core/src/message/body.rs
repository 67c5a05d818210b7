//! A body as chunks that are shared and not copied, and that can be put away: in runs, as they came in.
//!
//! ```text
//!   Here --put_away--> Leaving --put_away_until--> Away
//! ```
//!
//! A run that is leaving is still here, until the file has it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::arena::Arena;
use crate::wire::{CHUNK_SIZE, Chunks, Edit, Frame};

/// Shorter runs that stay are copied next to each other, so that they do not keep the buffer that they were read into.
const SHARE_FROM: usize = 16 << 10;
/// Places for runs that are kept while none is held.
const KEEP: usize = 32;

/// Chunks that lie one behind the other, ready to be sent.
#[derive(Debug)]
enum Run {
    Here(Chunks),
    /// On its way to the place in the file.
    Leaving(Chunks, Place),
    /// Only in the file.
    Away(Place),
}

/// Where a run stands in a file, as the bytes of its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Bytes before it.
    pub offset: u64,
    /// Its bytes.
    pub length: usize,
}

impl Place {
    const fn end(self) -> u64 {
        self.offset + self.length as u64
    }
}

impl Run {
    /// Payload bytes in memory.
    const fn held(&self) -> usize {
        match self {
            Self::Here(chunks) | Self::Leaving(chunks, _) => chunks.payload_len(),
            Self::Away(_) => 0,
        }
    }
}

/// The chunks of a body.
#[derive(Debug, Default)]
pub struct Body {
    /// The number of the first run that is still held.
    first: usize,
    runs: VecDeque<Run>,
    /// How many of these were settled.
    settled: usize,
    held: usize,
    /// Bytes that were put away, or are leaving.
    put_away: u64,
    arena: Arena,
    /// Short pieces of a replacement that wait to be joined.
    tail: BytesMut,
}

impl Body {
    /// Appends a chunk. One that is longer than a milter takes is cut, an empty one is left out: libmilter closes the
    /// connection on either.
    pub fn push(&mut self, frame: Frame) {
        let len = frame.payload_len();
        match len {
            0 => {}
            1..=CHUNK_SIZE => self.push_run(frame.into()),
            _ => {
                for piece in frame.payload() {
                    self.push_pieces(piece);
                }
            }
        }
    }

    /// Appends chunks that a milter takes as they are.
    pub fn push_run(&mut self, chunks: Chunks) {
        self.held += chunks.payload_len();
        self.runs.push_back(Run::Here(chunks));
    }

    fn push_pieces(&mut self, mut bytes: Bytes) {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(CHUNK_SIZE));
            self.push_run(Frame::new(b'B', piece).into());
        }
    }

    /// Appends a piece of a replacement.
    pub fn append(&mut self, piece: Bytes) {
        if piece.len() >= SHARE_FROM {
            self.flush();
            self.push_pieces(piece);
        } else {
            self.tail.extend_from_slice(&piece);
            if self.tail.len() >= CHUNK_SIZE {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let tail = self.tail.split().freeze();
        self.push_pieces(tail);
    }

    /// Ends a replacement: everything appended is a chunk now.
    pub fn seal(&mut self) {
        self.flush();
        self.tail = BytesMut::new();
    }

    /// Whether the run number `index`, from 0, has come and was not released.
    #[must_use]
    pub fn has(&self, index: usize) -> bool {
        index.checked_sub(self.first).is_some_and(|place| place < self.runs.len())
    }

    /// The run number `index`, from 0, unless it is not here yet, released or away.
    #[must_use]
    pub fn chunks(&self, index: usize) -> Option<&Chunks> {
        match self.runs.get(index.checked_sub(self.first)?)? {
            Run::Here(chunks) | Run::Leaving(chunks, _) => Some(chunks),
            Run::Away(_) => None,
        }
    }

    /// Where the run number `index` is, when it is away.
    #[must_use]
    pub fn away(&self, index: usize) -> Option<Place> {
        match self.runs.get(index.checked_sub(self.first)?)? {
            Run::Away(place) => Some(*place),
            Run::Here(_) | Run::Leaving(..) => None,
        }
    }

    /// Payload bytes that are not leaving.
    fn staying(&self) -> usize {
        let leaving = self.runs.iter().filter(|run| matches!(run, Run::Leaving(..)));
        self.held - leaving.map(Run::held).sum::<usize>()
    }

    /// Bytes that will have been put away when [`put_away`](Self::put_away) has kept at most `keep` payload bytes.
    #[must_use]
    pub fn would_be_away(&self, keep: usize) -> u64 {
        let (mut staying, mut away) = (self.staying(), self.put_away);
        for run in &self.runs {
            if staying <= keep {
                break;
            }
            let Run::Here(chunks) = run else { continue };
            staying -= chunks.payload_len();
            away += chunks.wire_len() as u64;
        }
        away
    }

    /// Sends the oldest runs away until at most `keep` payload bytes stay. Returns what is to be appended to the file.
    pub fn put_away(&mut self, keep: usize) -> Vec<Bytes> {
        let mut staying = self.staying();
        let mut pieces = Vec::new();
        for run in &mut self.runs {
            if staying <= keep {
                break;
            }
            let Run::Here(chunks) = run else { continue };
            staying -= chunks.payload_len();
            let place = Place { offset: self.put_away, length: chunks.wire_len() };
            self.put_away = place.end();
            pieces.extend(chunks.wire().into_iter().filter(|piece| !piece.is_empty()).cloned());
            *run = Run::Leaving(chunks.clone(), place);
        }
        pieces
    }

    /// The file has everything up to `length` bytes.
    pub fn put_away_until(&mut self, length: u64) {
        for run in &mut self.runs {
            if let Run::Leaving(chunks, place) = run
                && place.end() <= length
            {
                self.held -= chunks.payload_len();
                *run = Run::Away(*place);
            }
        }
    }

    /// Bytes that were put away.
    #[must_use]
    pub const fn bytes_away(&self) -> u64 {
        self.put_away
    }

    /// Forgets the runs before number `index`.
    pub fn release(&mut self, index: usize) {
        while self.first < index
            && let Some(run) = self.runs.pop_front()
        {
            self.held -= run.held();
            self.first += 1;
            self.settled = self.settled.saturating_sub(1);
        }
        if self.runs.is_empty() && self.runs.capacity() > KEEP {
            self.runs = VecDeque::new();
        }
    }

    /// What is held now was not done with at once and will stay for a while.
    pub fn settle(&mut self) {
        for run in self.runs.range_mut(self.settled..) {
            if let Run::Here(chunks) = run
                && chunks.payload_len() < SHARE_FROM
            {
                *chunks = chunks.copied(|pieces| self.arena.copy(pieces));
            }
        }
        self.settled = self.runs.len();
    }

    /// Payload bytes held in memory.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held + self.tail.len()
    }

    /// This body as one run of replacements; an empty body is one empty replacement.
    pub fn render(&self) -> impl Iterator<Item = Edit> {
        let empty = self.runs.is_empty().then(|| Edit::ReplaceBody(Bytes::new()));
        let here = self.runs.iter().filter_map(|run| match run {
            Run::Here(chunks) | Run::Leaving(chunks, _) => Some(chunks),
            Run::Away(_) => None,
        });
        empty.into_iter().chain(here.flat_map(Chunks::payloads).map(Edit::ReplaceBody))
    }
}
