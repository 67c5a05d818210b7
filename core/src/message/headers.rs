//! Headers by identity: an edit finds its header once, by what its child saw, and keeps to it whatever others do.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::text::{Stretch, Text};
use super::{HeaderFrame, HeaderRef, HeaderRun};
use crate::wire::{Edit, HEAD, Stage, head};

/// Room that the first header makes for fields.
const FIELDS: usize = 32;

/// One version of one header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FieldId(u32);

/// Stands for the Received header that the MTA has added itself and shows to no milter, but counts in the index of an
/// insert.
const MTA_OWN: FieldId = FieldId(u32::MAX);

#[derive(Debug)]
struct Field {
    /// Where its frame begins in the text: head, name, NUL, value, NUL.
    start: usize,
    name_len: u32,
    value_len: u32,
    /// Equal for equal names in any case.
    name_id: u32,
    /// The header that the MTA sent of which this is a version.
    origin: Option<FieldId>,
}

impl Field {
    fn name_in<'a>(&self, text: &'a Text) -> &'a [u8] {
        text.get(self.start + HEAD, self.name_len as usize)
    }

    fn value_in<'a>(&self, text: &'a Text) -> &'a [u8] {
        text.get(self.start + HEAD + self.name_len as usize + 1, self.value_len as usize)
    }

    const fn end(&self) -> usize {
        self.start + HEAD + self.name_len as usize + self.value_len as usize + 2
    }
}

/// All versions of all headers, and the order in which the current ones stand.
#[derive(Debug, Default)]
pub struct Headers {
    /// The frames of all fields, one behind the other: most are sent on as they came.
    text: Text,
    /// First what the MTA sent, then what children made.
    fields: Vec<Field>,
    received: usize,
    received_bytes: usize,
    /// `None` while it is as received.
    order: Option<Vec<FieldId>>,
    /// Name ids by lower-case name, made with the first edit.
    names: BTreeMap<Vec<u8>, u32>,
}

/// An occurrence that no message has; the highest index that Postfix takes.
const NEVER: u32 = (1 << 31) - 1;

/// The name id of a field whose name was not looked at yet.
const NOT_NAMED: u32 = u32::MAX;

impl Headers {
    /// Appends a header that the MTA sent.
    pub fn receive(&mut self, name: &[u8], value: &[u8]) {
        let id = self.next_id();
        self.store(name, value, Some(id));
        self.count_received(name, value);
    }

    /// The same as it came, whose text will be [appended](Self::append) `ahead` bytes behind what is here.
    pub(super) fn receive_ahead(&mut self, ahead: usize, header: &HeaderFrame<'_>) {
        let id = self.next_id();
        self.push(self.text.end() + ahead, header.name, header.value, Some(id));
        self.count_received(header.name, header.value);
    }

    /// Appends the text of headers.
    #[inline]
    pub(super) fn append(&mut self, frames: &[u8]) {
        self.text.make_room(frames.len());
        self.text.append(frames);
    }

    /// Bytes of text.
    pub(super) fn text_len(&self) -> usize {
        self.text.end()
    }

    /// The text from byte `start` on is all that came at once.
    pub(super) fn end_of_text(&mut self, start: usize) {
        self.text.close_behind(start);
    }

    fn count_received(&mut self, name: &[u8], value: &[u8]) {
        self.received += 1;
        self.received_bytes += name.len() + value.len();
        debug_assert_eq!(self.received, self.fields.len(), "a header after an edit");
    }

    /// How many the MTA sent.
    #[must_use]
    pub const fn received(&self) -> usize {
        self.received
    }

    /// Bytes of names and values that the MTA sent.
    #[must_use]
    pub const fn received_bytes(&self) -> usize {
        self.received_bytes
    }

    /// The header number `index` that the MTA sent.
    #[must_use]
    pub fn received_at(&self, index: usize) -> Option<HeaderRef<'_>> {
        self.fields[..self.received].get(index).map(|field| self.parts(field))
    }

    /// The headers that the MTA sent from number `first` on, as their frames stood on the wire: as many as begin at most
    /// `room` bytes behind the first, and lie with it in one piece.
    #[must_use]
    pub fn received_frames(&self, first: usize, room: usize) -> Option<HeaderRun<'_>> {
        let fields = self.fields[..self.received].get(first..)?;
        let start = fields.first()?.start;
        let Stretch { bytes, block } = self.text.from(start);
        let room = room.min(bytes.len().saturating_sub(1));
        let count = fields.partition_point(|field| field.start - start <= room);
        Some(HeaderRun { frames: &bytes[..fields[count - 1].end() - start], block, count })
    }

    /// The headers that the MTA sent.
    pub(super) fn received_ids(&self) -> impl Iterator<Item = FieldId> {
        (0..self.received).map(|index| FieldId(index as u32))
    }

    /// One version of a header.
    #[must_use]
    pub fn field(&self, id: FieldId) -> HeaderRef<'_> {
        self.fields.get(id.0 as usize).map_or((b"", b""), |field| self.parts(field))
    }

    fn parts(&self, field: &Field) -> HeaderRef<'_> {
        (field.name_in(&self.text), field.value_in(&self.text))
    }

    fn next_id(&self) -> FieldId {
        FieldId(u32::try_from(self.fields.len()).unwrap_or(u32::MAX - 1))
    }

    pub(super) fn store(&mut self, name: &[u8], value: &[u8], origin: Option<FieldId>) -> FieldId {
        let id = self.next_id();
        let start = self.text.end();
        let head = head(Stage::Header.letter(), name.len() + value.len() + 2);
        let pieces: [&[u8]; 5] = [&head, name, &[0], value, &[0]];
        self.text.make_room(pieces.iter().map(|piece| piece.len()).sum());
        pieces.into_iter().for_each(|piece| self.text.append(piece));
        self.push(start, name, value, origin);
        id
    }

    fn push(&mut self, start: usize, name: &[u8], value: &[u8], origin: Option<FieldId>) {
        let (name_len, value_len) = (name.len() as u32, value.len() as u32);
        if self.fields.is_empty() {
            self.fields.reserve(FIELDS);
        }
        self.fields.push(Field { start, name_len, value_len, name_id: NOT_NAMED, origin });
    }

    /// Gives every field its name id, so that edits find headers by comparing numbers.
    fn name_all(&mut self) {
        for field in self.fields.iter_mut().rev().take_while(|field| field.name_id == NOT_NAMED) {
            let next = self.names.len() as u32;
            let name = field.name_in(&self.text).to_ascii_lowercase();
            field.name_id = *self.names.entry(name).or_insert(next);
        }
    }

    /// The current order, the MTA's own header included.
    #[must_use]
    pub fn order(&self) -> Vec<FieldId> {
        self.order.clone().unwrap_or_else(|| self.received_order())
    }

    /// Makes `order` the current one.
    pub fn set_order(&mut self, order: Vec<FieldId>) {
        self.order = Some(order);
    }

    /// The current order as children see it.
    #[must_use]
    pub fn visible(&self) -> Arc<[FieldId]> {
        self.order().into_iter().filter(|id| *id != MTA_OWN).collect()
    }

    /// The order in which the MTA sent them, its own header included.
    #[must_use]
    pub fn received_order(&self) -> Vec<FieldId> {
        core::iter::once(MTA_OWN).chain((0..self.received).map(|index| FieldId(index as u32))).collect()
    }

    /// Does to `current` what led from the received order to `edited`: each change finds its header by identity, whatever
    /// others have done meanwhile. Returns how many headers both have touched; the one that comes later has its way.
    pub fn merge(&self, current: &mut Vec<FieldId>, edited: &[FieldId]) -> usize {
        let mut overlaps = 0;
        let origin = |id: FieldId| if id == MTA_OWN { Some(id) } else { self.fields[id.0 as usize].origin };
        let mut versions: Vec<Option<FieldId>> = alloc::vec![None; self.received];
        for id in edited.iter().filter(|id| **id != MTA_OWN) {
            if let Some(origin) = origin(*id) {
                versions[origin.0 as usize] = Some(*id);
            }
        }
        let mut present = alloc::vec![false; self.received];
        current.retain_mut(|id| {
            let Some(received) = origin(*id).filter(|received| *received != MTA_OWN) else { return true };
            present[received.0 as usize] = true;
            match versions[received.0 as usize] {
                Some(version) if version == received => true,
                version => {
                    overlaps += usize::from(*id != received);
                    *id = version.unwrap_or(*id);
                    version.is_some()
                }
            }
        });
        let touched = |index: usize| versions[index] != Some(FieldId(index as u32));
        overlaps += (0..self.received).filter(|index| !present[*index] && touched(*index)).count();
        let last_received = edited.iter().rposition(|id| origin(*id).is_some()).unwrap_or(0);
        let mut anchor = None;
        for (place, id) in edited.iter().enumerate() {
            if let Some(received) = origin(*id) {
                let at = current.iter().position(|known| origin(*known) == Some(received));
                anchor = at.or(anchor);
            } else if place > last_received {
                current.push(*id);
            } else {
                let at = anchor.map_or(0, |anchor: usize| anchor + 1);
                current.insert(at, *id);
                anchor = Some(at);
            }
        }
        overlaps
    }

    /// `h`: appends.
    pub fn add(&mut self, order: &mut Vec<FieldId>, name: &[u8], value: &[u8]) {
        order.push(self.store(name, value, None));
    }

    /// `i`: inserts before the header number `index`, counting the MTA's own; past the end appends.
    pub fn insert(&mut self, order: &mut Vec<FieldId>, index: u32, name: &[u8], value: &[u8]) {
        let id = self.store(name, value, None);
        order.insert(order.len().min(index as usize), id);
    }

    /// `m` with a value: changes; appends when there is no such header.
    pub fn change(&mut self, order: &mut Vec<FieldId>, occurrence: u32, name: &[u8], value: &[u8]) {
        match self.find(order, occurrence, name) {
            Some(place) => {
                let origin = self.fields[order[place].0 as usize].origin;
                order[place] = self.store(name, value, origin);
            }
            None => self.add(order, name, value),
        }
    }

    /// `m` without a value: deletes; nothing when there is no such header.
    pub fn delete(&mut self, order: &mut Vec<FieldId>, occurrence: u32, name: &[u8]) {
        if let Some(place) = self.find(order, occurrence, name) {
            order.remove(place);
        }
    }

    /// The place of the `occurrence`-th header of a name, from 1; 0 means 1, as both MTAs have it.
    fn find(&mut self, order: &[FieldId], occurrence: u32, name: &[u8]) -> Option<usize> {
        self.name_all();
        let name_id = *self.names.get(&name.to_ascii_lowercase())?;
        let skip = (occurrence as usize).saturating_sub(1);
        let of_name = |id: &FieldId| *id != MTA_OWN && self.fields[id.0 as usize].name_id == name_id;
        order.iter().enumerate().filter(|(_, id)| of_name(id)).nth(skip).map(|(place, _)| place)
    }

    /// The edits that lead from what the MTA sent to the current order. An MTA that lets headers be changed and not be
    /// added is asked to change one that it does not have, which appends it.
    #[must_use]
    pub fn render(&self, may_add: bool) -> Vec<Edit> {
        let Some(order) = &self.order else { return Vec::new() };
        let occurrences = self.occurrences();
        let mut edits = Vec::new();
        let mut present = alloc::vec![false; self.received];
        for id in order.iter().filter(|id| **id != MTA_OWN) {
            let field = &self.fields[id.0 as usize];
            let Some(origin) = field.origin else { continue };
            present[origin.0 as usize] = true;
            if *id != origin {
                let (name, value) = self.copy(*id);
                edits.push(Edit::ChangeHeader(occurrences[origin.0 as usize], name, value));
            }
        }
        for origin in (0..self.received).rev().filter(|index| !present[*index]) {
            let name = Bytes::copy_from_slice(self.field(FieldId(origin as u32)).0);
            edits.push(Edit::ChangeHeader(occurrences[origin], name, Bytes::new()));
        }
        let is_new = |id: &FieldId| *id != MTA_OWN && self.fields[id.0 as usize].origin.is_none();
        let appended = order.iter().rev().take_while(|id| is_new(id)).count();
        for (place, id) in order.iter().enumerate().filter(|(_, id)| is_new(id)) {
            let (name, value) = self.copy(*id);
            edits.push(match place >= order.len() - appended {
                _ if !may_add => Edit::ChangeHeader(NEVER, name, value),
                true => Edit::AddHeader(name, value),
                false => Edit::InsertHeader(place as u32, name, value),
            });
        }
        edits
    }

    /// The number of each received header among those of its name, from 1.
    fn occurrences(&self) -> Vec<u32> {
        let mut counts = BTreeMap::new();
        let count = |field: &Field| {
            let count = counts.entry(field.name_in(&self.text).to_ascii_lowercase()).or_insert(0u32);
            *count += 1;
            *count
        };
        self.fields[..self.received].iter().map(count).collect()
    }

    /// One version of a header.
    pub(super) fn copy(&self, id: FieldId) -> (Bytes, Bytes) {
        let (name, value) = self.field(id);
        (Bytes::copy_from_slice(name), Bytes::copy_from_slice(value))
    }
}
