//! What of a body does not fit into memory: put away into a file, and fetched for the children that come to it later.
//!
//! Runs of chunks leave oldest first, since who reads them is a child whose gate is closed; what is fed live is at the newest.

use bytes::Bytes;

use super::Session;
use crate::event::LimitName;
use crate::machine::{Input, Output, SpillId};
use crate::reserve::Room;
use crate::wire::Chunks;

/// The file of one message.
#[derive(Debug, Default)]
pub(super) struct Spill {
    /// Its name, once something was put away.
    file: Option<SpillId>,
}

impl Session {
    /// Puts away what is past the memory limit of this session, or of all, half of it at once, so that files are written in large pieces.
    pub(super) fn put_away(&mut self) {
        // Rather than fail the message, what is kept only for a connection that may be dead is let go.
        let fits = self.make_room().or_else(|limit| match self.let_go() {
            true => self.make_room(),
            false => Err(limit),
        });
        if let Err(limit) = fits {
            self.over_limit(limit);
        }
    }

    /// What children were shown of the body on connections that may be dead is not kept for others. Returns whether any was.
    fn let_go(&mut self) -> bool {
        let mut kept = false;
        for index in 0..self.children.len() {
            if self.keeps_body(index) {
                self.children[index].connection.told.cut_short();
                kept = true;
            }
        }
        self.release_body();
        kept
    }

    /// Puts away what has to be. What would be past a limit stays as it is.
    fn make_room(&mut self) -> Result<(), LimitName> {
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        let held = transaction.content.body_bytes();
        let kept = (held + transaction.edit_bytes) as u64;
        if kept == 0 && self.share.memory() == 0 {
            return Ok(());
        }
        let limits = self.policy.limits();
        if held > limits.body_bytes.saturating_mul(2) || held > limits.body_bytes && limits.spill_bytes == 0 {
            return Err(LimitName::BodyBytes);
        }
        transaction.crowded = !self.share.fit(Room::Memory, kept, limits.total_body_bytes);
        if transaction.crowded {
            // What is read at once may come too much; the rest has to wait for the file.
            let excess = kept.saturating_sub(self.share.memory());
            if limits.spill_bytes == 0 || excess > limits.read_ahead as u64 {
                return Err(LimitName::TotalBodyBytes);
            }
        } else if held <= limits.body_bytes {
            return Ok(());
        }
        let keep = if transaction.crowded { limits.read_ahead / 4 } else { limits.body_bytes / 2 };
        let away = transaction.content.would_be_away(keep);
        if away > limits.spill_bytes {
            return Err(LimitName::SpillBytes);
        }
        if !self.share.fit(Room::Files, away, limits.total_spill_bytes) {
            return Err(LimitName::TotalSpillBytes);
        }
        let data = transaction.content.put_away(keep);
        if data.is_empty() {
            return Ok(());
        }
        let next = &mut self.next_spill;
        let file = *transaction.spill.file.get_or_insert_with(|| {
            *next = next.wrapping_add(1);
            SpillId(*next)
        });
        self.outputs.push_back(Output::SpillAppend { file, data });
        Ok(())
    }

    /// Asks for the run that comes next for a child, if it is away and was not asked for. Returns whether it is away.
    pub(super) fn fetch(&mut self, index: usize) -> bool {
        let Some(transaction) = &self.transaction else { return false };
        let Some(cursor) = self.children[index].cursor_mut() else { return false };
        let Some(place) = cursor.view.and_then(|view| transaction.content.away(view, cursor.next_run)) else {
            return false;
        };
        let Some(file) = transaction.spill.file else { return false };
        if cursor.fetched().is_some() {
            return false;
        }
        if cursor.fetching != Some(place.offset) {
            cursor.fetching = Some(place.offset);
            self.outputs.push_back(Output::SpillRead { file, offset: place.offset, length: place.length });
        }
        true
    }

    /// What the file says.
    pub(super) fn spill_input(&mut self, input: Input) {
        let current = self.transaction.as_ref().and_then(|transaction| transaction.spill.file);
        match input {
            Input::SpillAppended { file, length } if Some(file) == current => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.content.put_away_until(length);
                }
            }
            Input::SpillRead { file, offset, data } if Some(file) == current => self.fetched(offset, data),
            Input::SpillFailed { file, error } if Some(file) == current => {
                self.event(crate::event::Event::SpillFailed { error });
                self.over_limit(LimitName::SpillFile);
            }
            _ => {}
        }
    }

    /// Gives a run to every child that waits for it.
    fn fetched(&mut self, offset: u64, data: Bytes) {
        let chunks = Chunks::read(data);
        for index in 0..self.children.len() {
            let Some(cursor) = self.children[index].cursor_mut() else { continue };
            if cursor.fetching == Some(offset) {
                cursor.fetching = None;
                match &chunks {
                    Some(chunks) => cursor.fetched = Some((cursor.next_run, chunks.clone())),
                    None => return self.over_limit(LimitName::SpillFile),
                }
            }
        }
    }

    /// The file of the message is of no use any more.
    pub(super) fn drop_spill(&mut self) {
        if let Some(file) = self.transaction.as_mut().and_then(|transaction| transaction.spill.file.take()) {
            self.outputs.push_back(Output::SpillDrop { file });
        }
    }

    /// The run that comes next for a child, from memory or as it was fetched.
    pub(super) fn next_run(&self, index: usize) -> Option<&Chunks> {
        let transaction = self.transaction.as_ref()?;
        let cursor = self.children[index].cursor()?;
        cursor.fetched().or_else(|| transaction.content.chunks(cursor.view?, cursor.next_run))
    }

    /// The payload of the chunk that comes next for a child.
    pub(super) fn next_chunk(&self, index: usize) -> Option<Bytes> {
        let start = self.children[index].cursor()?.next_chunk;
        let [first, rest] = self.next_run(index)?.payload_at(start);
        Some(if rest.is_empty() { first } else { [first, rest].concat().into() })
    }
}
