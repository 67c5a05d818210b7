//! What a child has to be told again on another connection.

use alloc::vec::Vec;

use bytes::Bytes;

use super::child::Place;
use crate::wire::Stage;

/// Macros that were set for one child alone: name without braces, value.
pub(super) type Extra = Vec<(Bytes, Bytes)>;

/// What a child was told, or would have been told of macros, as far as the connection that it gets has to begin with it.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// A bit for each stage.
    stages: u16,
    extras: Vec<(Stage, Extra)>,
    /// What it was sent of the message in hand, on a connection that may be dead.
    said: Vec<Said>,
    said_bytes: usize,
    /// The last of the content of that message about which its conditions had their say, and the macros that these set.
    shown: Option<Place>,
    set: Vec<(Place, Extra)>,
    /// Of that message it was sent more than is kept, here or of the body.
    is_short: bool,
}

/// A command that a child was sent, or of which it was sent the macros.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) stage: Stage,
    pub(super) payload: Bytes,
    pub(super) macros: Bytes,
    pub(super) extra: Extra,
}

impl Told {
    /// It was told what comes at `stage`, for as long as the session or the message goes on.
    pub(super) fn note(&mut self, stage: Stage, extra: &[(Bytes, Bytes)]) {
        self.stages |= 1 << stage as u16;
        self.extras.retain(|(at, _)| *at != stage);
        if !extra.is_empty() {
            self.extras.push((stage, extra.to_vec()));
        }
    }

    /// The macros that were set for it alone at `stage`, if it was told of that.
    pub(super) fn at(&self, stage: Stage) -> Option<&[(Bytes, Bytes)]> {
        let extra = self.extras.iter().find(|(at, _)| *at == stage);
        (self.stages & 1 << stage as u16 != 0).then_some(extra.map_or(&[], |(_, extra)| extra))
    }

    /// It was sent a command in a message, on a connection that may be dead. Of an envelope no more than `most` bytes are
    /// kept, its macros included.
    pub(super) fn say(&mut self, said: Said, most: usize) {
        let extra = said.extra.iter().map(|(name, value)| name.len() + value.len());
        self.said_bytes += said.payload.len() + said.macros.len() + extra.sum::<usize>();
        self.said.push(said);
        if self.said_bytes > most {
            self.cut_short();
        }
    }

    /// It is shown what stands at a place of the content, with these macros, on a connection that may be dead.
    pub(super) fn show(&mut self, place: Place, extra: &[(Bytes, Bytes)]) {
        self.shown = Some(place);
        if !extra.is_empty() {
            self.set.push((place, extra.to_vec()));
        }
    }

    /// The macros that were set for it alone with what stands at a place of the content, if it was shown that before.
    pub(super) fn again(&self, place: Place) -> Option<&[(Bytes, Bytes)]> {
        let at = || self.set.binary_search_by_key(&place, |(place, _)| *place);
        (self.shown >= Some(place)).then(|| at().map_or(&[][..], |at| &self.set[at].1))
    }

    /// It was not sent the last of these after all. Returns the stage of the one before.
    pub(super) fn unsay(&mut self) -> Option<Stage> {
        self.said.pop();
        self.said.last().map(|said| said.stage)
    }

    /// What it was sent in the message, to be sent on another connection.
    pub(super) fn take_said(&mut self) -> Vec<Said> {
        self.said_bytes = 0;
        core::mem::take(&mut self.said)
    }

    /// What it is sent from now on in this message is not kept.
    pub(super) fn cut_short(&mut self) {
        self.take_said();
        self.is_short = true;
    }

    /// Whether it can be told again all that it was told.
    pub(super) const fn is_whole(&self) -> bool {
        !self.is_short
    }

    /// What it was told at `stage` and later need not be told again, nor what it was sent in the message.
    pub(super) fn forget_from(&mut self, stage: Stage) {
        self.stages &= (1 << stage as u16) - 1;
        self.extras.retain(|(told, _)| *told < stage);
        self.take_said();
        self.shown = None;
        self.set = Vec::new();
        self.is_short = false;
    }
}
