//! The `O` frame, which both sides send.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::command::{frame, put_string};
use super::error::WireError;
use super::facts::{Actions, Protocol, Stage};
use super::payload::Payload;

/// An offer of the MTA, or the answer of a milter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Negotiation {
    /// The protocol version.
    pub version: u32,
    /// What the milter may do.
    pub actions: Actions,
    /// How the conversation goes.
    pub protocol: Protocol,
    /// In an answer: the macros that the milter wants at a stage, by names separated with spaces. Once per stage.
    pub macro_lists: Vec<(Stage, Bytes)>,
}

impl Negotiation {
    /// The macro list for `stage`, if one was given and is not empty (Postfix: an empty list means the default).
    #[must_use]
    pub fn macro_list(&self, stage: Stage) -> Option<&[u8]> {
        let list = self.macro_lists.iter().find(|(listed, _)| *listed == stage)?;
        list.1.iter().any(|byte| *byte != b' ').then_some(&list.1[..])
    }

    /// Whether a milter that answered this wants the command of `stage`.
    #[must_use]
    pub fn wants(&self, stage: Stage) -> bool {
        let fact = stage.fact();
        self.version >= fact.since && fact.no_send.is_none_or(|bit| !self.protocol.has(bit))
    }

    /// Whether a milter that answered this answers the command of `stage`.
    #[must_use]
    pub fn replies_to(&self, stage: Stage) -> bool {
        stage.fact().no_reply.is_none_or(|bit| !self.protocol.has(bit))
    }

    /// Reads an offer. Offers have no macro lists; what stands behind the numbers is ignored, as libmilter does.
    pub(super) fn decode_offer(mut payload: Payload) -> Result<Self, WireError> {
        Self::decode_numbers(&mut payload)
    }

    /// Reads an answer. Macro lists for unknown stages are skipped, as Postfix does; of two for one stage the later
    /// one counts, so that an answer holds no more lists than there are stages.
    pub(super) fn decode_answer(mut payload: Payload) -> Result<Self, WireError> {
        let mut answer = Self::decode_numbers(&mut payload)?;
        let lists = &mut answer.macro_lists;
        while !payload.is_empty() {
            let number = payload.u32("the number of a macro list")?;
            let names = payload.string("a NUL behind a macro list")?;
            if let Some(stage) = Stage::of_macro_list(number) {
                lists.retain(|(listed, _)| *listed != stage);
                lists.push((stage, names));
            }
        }
        for (_, names) in lists {
            *names = Bytes::copy_from_slice(names);
        }
        Ok(answer)
    }

    fn decode_numbers(payload: &mut Payload) -> Result<Self, WireError> {
        Ok(Self {
            version: payload.u32("a version")?,
            actions: Actions(payload.u32("actions")?),
            protocol: Protocol(payload.u32("protocol flags")?),
            macro_lists: Vec::new(),
        })
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.put_u32(self.version);
        out.put_u32(self.actions.0);
        out.put_u32(self.protocol.0);
        for (stage, names) in &self.macro_lists {
            if let Some(number) = stage.fact().macro_list {
                out.put_u32(number);
                put_string(out, names);
            }
        }
    }

    /// Appends the whole frame to `out`.
    pub fn encode_frame(&self, out: &mut BytesMut) {
        frame(out, b'O', |out| self.encode(out));
    }
}

/// The names of a macro list, without braces and without repetitions of spaces.
pub fn names(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b' ').filter(|name| !name.is_empty()).map(super::macros::bare)
}
