//! Headers as Sendmail keeps them while milters run (`milter.c` and `headers.c` of 8.17).
//!
//! Sendmail has one list: first the headers that its configuration would add, shown to no milter; then what the client
//! sent. Three rules differ from Postfix':
//!
//! * A deleted header stays in the list without its value. The milter that deleted it still counts it, and a change
//!   brings it back; the milters behind count it no more, but a header of its name that they add takes its place.
//! * An insert counts everything in the list, deleted headers and Sendmail's own too, and goes behind the header with
//!   that index.
//! * An added header goes before the first of its name, and to the end when there is none.
//!
//! So what to ask of Sendmail is not the difference between two messages. It is what the milters asked for, one after
//! another, with each occurrence as Sendmail counts it for us, who are one milter from the first edit to the last.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::headers::{FieldId, Headers};
use crate::wire::Edit;

/// The headers of Sendmail's own configuration (`cf/m4/proto.m4`), in its order. One more there would move the place at
/// which we believe that an insert ends up, never what Sendmail is asked for.
const DEFAULTS: [&[u8]; 9] = [
    b"Return-Path",
    b"Received",
    b"Resent-Date",
    b"Date",
    b"Resent-From",
    b"From",
    b"Full-Name",
    b"Resent-Message-Id",
    b"Message-Id",
];

/// Headers that a message has many of, so that a new one never takes the place of Sendmail's own (`H_TRACE`).
const TRACE: [&[u8]; 4] = [b"received", b"x400-received", b"via", b"mail-from"];

#[derive(Debug)]
struct Node {
    /// As it was written first.
    name: Bytes,
    /// Nothing: deleted, or never shown.
    field: Option<FieldId>,
    /// Counted by name for the milter in hand (`H_USER`).
    user: bool,
    /// Counted by name for us.
    counted: bool,
    trace: bool,
    /// The MTA sent it.
    sent: bool,
    /// A child made it.
    made: bool,
    /// Made by a child that the one in hand does not know of.
    hidden: bool,
    /// The last child that edited it; 0 is none.
    edited_by: u32,
}

impl Node {
    fn own(name: &'static [u8]) -> Self {
        Self { user: false, counted: false, sent: false, ..Self::sent(Bytes::from_static(name), None) }
    }

    fn sent(name: Bytes, field: Option<FieldId>) -> Self {
        let trace = TRACE.iter().any(|known| known.eq_ignore_ascii_case(&name));
        Self {
            name,
            field,
            user: true,
            counted: true,
            trace,
            sent: true,
            made: false,
            hidden: false,
            edited_by: 0,
        }
    }

    fn made(name: Bytes, field: FieldId, by: u32) -> Self {
        Self { sent: false, made: true, edited_by: by, ..Self::sent(name, Some(field)) }
    }

    fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Whether a new header of its name takes its place.
    const fn gives_way(&self) -> bool {
        !self.user && !self.trace && !self.hidden
    }
}

/// The list, and what was done to it.
#[derive(Debug)]
pub struct SendmailHeaders {
    nodes: Vec<Node>,
    requests: Vec<Edit>,
    /// The number of the child in hand.
    child: u32,
    /// Headers of the child in hand that another one had edited.
    overlaps: usize,
}

impl SendmailHeaders {
    /// The headers as the MTA sent them.
    #[must_use]
    pub fn new(headers: &Headers) -> Self {
        let own = DEFAULTS.iter().map(|name| Node::own(name));
        let name = |id| Bytes::copy_from_slice(headers.field(id).0);
        let sent = headers.received_ids().map(|id| Node::sent(name(id), Some(id)));
        Self { nodes: own.chain(sent).collect(), requests: Vec::new(), child: 0, overlaps: 0 }
    }

    /// The edits of another child follow. It was shown what there is now, where deleted headers count no more; or what
    /// the MTA sent, `beside` the others.
    pub fn next_milter(&mut self, beside: bool) {
        self.child += 1;
        self.overlaps = 0;
        for node in &mut self.nodes {
            node.user = if beside { node.sent } else { node.field.is_some() };
            node.hidden = beside && node.made;
        }
    }

    /// How many headers that the child in hand has edited another one had edited before.
    #[must_use]
    pub const fn overlaps(&self) -> usize {
        self.overlaps
    }

    /// The headers that a milter is shown.
    #[must_use]
    pub fn visible(&self) -> Arc<[FieldId]> {
        self.nodes.iter().filter_map(|node| node.field).collect()
    }

    /// What Sendmail has to be asked for.
    #[must_use]
    pub fn requests(&self) -> &[Edit] {
        &self.requests
    }

    /// `h`: takes the place of one that gives way; else before the first of its name; else appends.
    pub fn add(&mut self, headers: &mut Headers, name: Bytes, value: Bytes) {
        let Some(place) = self.nodes.iter().position(|node| node.is(&name) && node.gives_way()) else {
            self.append(headers, &name, &value);
            self.requests.push(Edit::AddHeader(name, value));
            return;
        };
        self.put(headers, place, &value);
        self.requests.push(match self.counted_as(place) {
            // For us nothing gives way, since we still count it.
            Some(occurrence) => Edit::ChangeHeader(occurrence, name, something(value)),
            None => Edit::AddHeader(name, value),
        });
        self.nodes[place].counted = true;
    }

    /// `i`: behind the entry with that index, or at the end. A negative index means 0.
    pub fn insert(&mut self, headers: &mut Headers, index: u32, name: Bytes, value: Bytes) {
        let known = |(place, node): (usize, &Node)| (!node.hidden).then_some(place);
        let behind = self.nodes.iter().enumerate().filter_map(known).nth(from_signed(index));
        let place = behind.map_or(self.nodes.len(), |entry| entry + 1);
        let hidden = self.nodes[..place].iter().filter(|node| node.hidden).count();
        let id = headers.store(&name, &value, None);
        self.nodes.insert(place, Node::made(name.clone(), id, self.child));
        let index = from_signed(index).saturating_add(hidden).min(i32::MAX as usize) as u32;
        self.requests.push(Edit::InsertHeader(index, name, value));
    }

    /// `m`: the `occurrence`-th of its name; else the last one that gives way; else it is added. Without a value: deletes.
    pub fn change(&mut self, headers: &mut Headers, occurrence: u32, name: Bytes, value: Bytes) {
        let named = || self.nodes.iter().enumerate().filter(|(_, node)| node.is(&name));
        let found = named()
            .filter(|(_, node)| node.user)
            .nth(from_signed(occurrence).saturating_sub(1))
            .or_else(|| named().filter(|(_, node)| node.gives_way()).last())
            .map(|(place, _)| place);
        // More than there are for us, which finds what gives way, or nothing.
        let past = 1 + named().filter(|(_, node)| node.counted).count() as u32;
        let occurrence = found.and_then(|place| self.counted_as(place)).unwrap_or(past);
        match found {
            None if value.is_empty() => return,
            None => self.append(headers, &name, &value),
            Some(place) if value.is_empty() => {
                self.touch(place);
                self.nodes[place].field = None;
            }
            Some(place) => {
                self.put(headers, place, &value);
                self.nodes[place].counted = true;
            }
        }
        self.requests.push(Edit::ChangeHeader(occurrence, name, value));
    }

    /// The number of an entry among those of its name that count for us, from 1.
    fn counted_as(&self, place: usize) -> Option<u32> {
        let node = &self.nodes[place];
        let same = |other: &&Node| other.counted && other.is(&node.name);
        node.counted.then(|| self.nodes[..=place].iter().filter(same).count() as u32)
    }

    /// Gives an entry a value. Its name stays as it was written.
    fn put(&mut self, headers: &mut Headers, place: usize, value: &[u8]) {
        self.touch(place);
        let node = &mut self.nodes[place];
        node.field = Some(headers.store(&node.name, value, None));
        node.user = true;
    }

    fn append(&mut self, headers: &mut Headers, name: &Bytes, value: &[u8]) {
        let id = headers.store(name, value, None);
        let place = self.nodes.iter().position(|known| known.is(name)).unwrap_or(self.nodes.len());
        self.nodes.insert(place, Node::made(name.clone(), id, self.child));
    }

    /// The child in hand edits an entry.
    fn touch(&mut self, place: usize) {
        let node = &mut self.nodes[place];
        self.overlaps += usize::from(![0, self.child].contains(&node.edited_by));
        node.edited_by = self.child;
    }
}

/// Sendmail takes indices as signed numbers.
fn from_signed(index: u32) -> usize {
    usize::try_from(index.cast_signed()).unwrap_or(0)
}

/// A value that changes, where none would delete.
fn something(value: Bytes) -> Bytes {
    if value.is_empty() { Bytes::from_static(b" ") } else { value }
}
