//! One message: headers as bytes in order, edits by header identity, the body as shared chunks.
//!
//! A message has several *views*. View 0 is what the MTA sent and grows while it comes in; each child that changes
//! headers or body adds one, which the children behind it are shown. What goes to the MTA at the end is the difference
//! between the last view and view 0.

mod arena;
mod body;
mod envelope;
mod headers;
mod receiving;
mod sendmail;
mod text;

pub use arena::Arena;
pub use body::{Body, Place};
pub use envelope::EnvelopeEdits;
pub use headers::{FieldId, Headers};
pub use receiving::Receiving;
pub use sendmail::SendmailHeaders;

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::wire::{Actions, Chunks, Edit, Frame};

/// Which headers and which body a child sees.
#[derive(Debug, Clone)]
struct View {
    headers: Arc<[FieldId]>,
    body: usize,
}

/// A place among the views: 0 is what the MTA sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ViewId(usize);

impl ViewId {
    /// What the MTA sent.
    pub const RECEIVED: Self = Self(0);
}

/// Whose rules decide which header an edit means and where a new one goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderRules {
    /// Each edit acts on the message as the edits before it left it; an insert counts the MTA's own Received.
    #[default]
    Postfix,
    /// See [`SendmailHeaders`].
    Sendmail,
}

/// Headers, body and edits of one message.
#[derive(Debug)]
pub struct Content {
    headers: Headers,
    /// Body 0 is what the MTA sent, others are replacements.
    bodies: Vec<Body>,
    /// Views after the first.
    views: Vec<View>,
    envelope: EnvelopeEdits,
    rules: HeaderRules,
    /// Made with the first edits, where Sendmail's rules count.
    sendmail: Option<SendmailHeaders>,
    /// Values carry their leading space, as negotiated with the MTA.
    leading_space: bool,
}

/// What became of the edits of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// How many were applied.
    pub applied: usize,
    /// How many headers a child before it had touched as well; its own edit of them holds.
    pub overlaps: usize,
}

/// A header as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderFrame<'a> {
    /// All of it.
    pub frame: &'a [u8],
    /// Without the colon.
    pub name: &'a [u8],
    /// Folded with LF.
    pub value: &'a [u8],
}

/// Headers as their frames lie one behind the other.
#[derive(Debug, Clone, Copy)]
pub struct HeaderRun<'a> {
    /// The frames.
    pub frames: &'a [u8],
    /// What they are a part of, where that can be shared.
    pub block: Option<&'a Bytes>,
    /// How many they are.
    pub count: usize,
}

/// A header as a child sees it: name, value.
pub type HeaderRef<'a> = (&'a [u8], &'a [u8]);

impl Content {
    /// An empty message. `leading_space`: header values of the MTA carry their leading space.
    #[must_use]
    pub fn new(leading_space: bool) -> Self {
        Self {
            headers: Headers::default(),
            bodies: alloc::vec![Body::default()],
            views: Vec::new(),
            envelope: EnvelopeEdits::default(),
            rules: HeaderRules::default(),
            sendmail: None,
            leading_space,
        }
    }

    /// The same with other rules than Postfix'.
    #[must_use]
    pub const fn with_rules(mut self, rules: HeaderRules) -> Self {
        self.rules = rules;
        self
    }

    /// Appends a header that the MTA sent.
    pub fn receive_header(&mut self, name: &[u8], value: &[u8]) {
        self.headers.receive(name, value);
    }

    /// Appends a body chunk that the MTA sent.
    pub fn receive_body(&mut self, frame: Frame) {
        self.bodies[0].push(frame);
    }

    /// Appends a run of body chunks that the MTA sent, each of which a milter takes as it is.
    pub fn receive_chunks(&mut self, chunks: Chunks) {
        self.bodies[0].push_run(chunks);
    }

    /// How many headers the MTA sent.
    #[must_use]
    pub fn received_headers(&self) -> usize {
        self.headers.received()
    }

    /// Bytes of the headers that the MTA sent.
    #[must_use]
    pub const fn header_bytes(&self) -> usize {
        self.headers.received_bytes()
    }

    /// Bytes of the body that the MTA sent that are in memory.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.bodies[0].held()
    }

    /// Whether nothing of the body that the MTA sent is kept, here or away.
    #[must_use]
    pub fn is_bodyless(&self) -> bool {
        self.bodies[0].held() == 0 && self.bodies[0].bytes_away() == 0
    }

    /// Bytes of the bodies that children made.
    #[must_use]
    pub fn replaced_bytes(&self) -> usize {
        self.bodies[1..].iter().map(Body::held).sum()
    }

    /// The view that a child that begins now is shown.
    #[must_use]
    pub fn latest_view(&self) -> ViewId {
        ViewId(self.views.len())
    }

    /// Whether a view has a header number `index`, from 0.
    #[must_use]
    pub fn has_header(&self, view: ViewId, index: usize) -> bool {
        let later = view.0.checked_sub(1).and_then(|later| self.views.get(later));
        index < later.map_or(self.headers.received(), |later| later.headers.len())
    }

    /// The header number `index` of a view, from 0.
    #[must_use]
    pub fn header(&self, view: ViewId, index: usize) -> Option<HeaderRef<'_>> {
        match view.0.checked_sub(1).and_then(|later| self.views.get(later)) {
            None => self.headers.received_at(index),
            Some(later) => later.headers.get(index).map(|id| self.headers.field(*id)),
        }
    }

    /// The headers of a view from number `first` on as frames, as many as lie in one piece and begin at most `room` bytes
    /// behind the first: where they stand as the MTA sent them, and a child that wants values with their leading space or not
    /// is shown them so.
    #[must_use]
    pub fn header_frames(
        &self,
        view: ViewId,
        first: usize,
        room: usize,
        leading_space: bool,
    ) -> Option<HeaderRun<'_>> {
        let as_they_came = view == ViewId::RECEIVED && (leading_space || !self.leading_space);
        as_they_came.then(|| self.headers.received_frames(first, room))?
    }

    /// The run number `index` of body chunks of a view, from 0. Runs that were released are gone.
    #[must_use]
    pub fn chunks(&self, view: ViewId, index: usize) -> Option<&Chunks> {
        self.bodies[self.body_of(view)].chunks(index)
    }

    /// Whether the run number `index` of body chunks of a view is here or was put away.
    #[must_use]
    pub fn has_chunks(&self, view: ViewId, index: usize) -> bool {
        self.bodies[self.body_of(view)].has(index)
    }

    /// Where the run number `index` of body chunks of a view is, when it was put away.
    #[must_use]
    pub fn away(&self, view: ViewId, index: usize) -> Option<Place> {
        self.bodies[self.body_of(view)].away(index)
    }

    /// Sends the oldest runs of the body that the MTA sent away until at most `keep` bytes of it stay in memory.
    /// Returns what is to be appended to the file.
    pub fn put_away(&mut self, keep: usize) -> Vec<Bytes> {
        self.bodies[0].put_away(keep)
    }

    /// Bytes that will have been put away when [`put_away`](Self::put_away) has kept at most `keep`.
    #[must_use]
    pub fn would_be_away(&self, keep: usize) -> u64 {
        self.bodies[0].would_be_away(keep)
    }

    /// The file has everything up to `length` bytes.
    pub fn put_away_until(&mut self, length: u64) {
        self.bodies[0].put_away_until(length);
    }

    /// Bytes that were put away.
    #[must_use]
    pub fn bytes_away(&self) -> u64 {
        self.bodies[0].bytes_away()
    }

    fn body_of(&self, view: ViewId) -> usize {
        view.0.checked_sub(1).and_then(|later| self.views.get(later)).map_or(0, |later| later.body)
    }

    /// Whether the body of a view is the one that the MTA sent.
    #[must_use]
    pub fn shows_received_body(&self, view: ViewId) -> bool {
        self.body_of(view) == 0
    }

    /// Releases the runs before number `index` of the body that the MTA sent: no child needs them any more. What stays lets go of
    /// the buffers that it was read into.
    pub fn release_received_body(&mut self, index: usize) {
        self.bodies[0].release(index);
        self.bodies[0].settle();
    }

    /// Releases everything that is held, since the outcome is certain and nothing will be delivered or shown.
    pub fn release_all(&mut self) {
        *self = Self::new(self.leading_space).with_rules(self.rules);
    }

    /// Applies the edits of one child, which has `actions` and whose values carry leading spaces or not. They become a
    /// new view and part of what is rendered. Returns how many were applied.
    ///
    /// Which header an edit means is said by the MTA's [`HeaderRules`].
    pub fn commit(&mut self, edits: Vec<Edit>, actions: Actions, leading_space: bool) -> usize {
        self.apply(edits, actions, leading_space, false).applied
    }

    /// The same for a child that was shown what the MTA sent, whatever others have made of it meanwhile: its header edits
    /// find their headers there, and then by identity in the present message.
    pub fn commit_beside(&mut self, edits: Vec<Edit>, actions: Actions, leading_space: bool) -> Committed {
        self.apply(edits, actions, leading_space, true)
    }

    fn apply(&mut self, edits: Vec<Edit>, actions: Actions, leading_space: bool, beside: bool) -> Committed {
        let applied = edits.iter().filter(|edit| actions.has_any(needed_action(edit))).count();
        let to_mta_value = |value| to_mta_value(value, leading_space, self.leading_space);
        let mut header_edits = Vec::new();
        let mut replaced: Option<Body> = None;
        for edit in edits.into_iter().filter(|edit| actions.has_any(needed_action(edit))) {
            match edit {
                Edit::AddHeader(name, value) => header_edits.push(Edit::AddHeader(name, to_mta_value(value))),
                Edit::InsertHeader(index, name, value) => {
                    header_edits.push(Edit::InsertHeader(index, name, to_mta_value(value)));
                }
                Edit::ChangeHeader(occurrence, name, value) => {
                    let value = if value.is_empty() { value } else { to_mta_value(value) };
                    header_edits.push(Edit::ChangeHeader(occurrence, name, value));
                }
                Edit::ReplaceBody(data) => replaced.get_or_insert_with(Body::default).append(data),
                envelope => self.envelope.push(envelope),
            }
        }
        let (headers, overlaps) = match self.rules {
            HeaderRules::Postfix => self.edit_as_postfix(header_edits, beside),
            HeaderRules::Sendmail => self.edit_as_sendmail(header_edits, beside),
        };
        if headers.is_some() || replaced.is_some() {
            let body = match replaced {
                Some(mut body) => {
                    body.seal();
                    self.bodies.push(body);
                    self.bodies.len() - 1
                }
                None => self.body_of(self.latest_view()),
            };
            let headers = headers.unwrap_or_else(|| match &self.sendmail {
                Some(list) => list.visible(),
                None => self.headers.visible(),
            });
            self.views.push(View { headers, body });
        }
        Committed { applied, overlaps }
    }

    /// Applies header edits. Returns the headers when they are others now, and how many another child had edited.
    fn edit_as_postfix(&mut self, edits: Vec<Edit>, beside: bool) -> (Option<Arc<[FieldId]>>, usize) {
        if edits.is_empty() {
            return (None, 0);
        }
        let before = self.headers.order();
        let mut order = if beside { self.headers.received_order() } else { before.clone() };
        for edit in edits {
            match edit {
                Edit::AddHeader(name, value) => self.headers.add(&mut order, &name, &value),
                Edit::InsertHeader(index, name, value) => {
                    self.headers.insert(&mut order, index, &name, &value);
                }
                Edit::ChangeHeader(occurrence, name, value) if value.is_empty() => {
                    self.headers.delete(&mut order, occurrence, &name);
                }
                Edit::ChangeHeader(occurrence, name, value) => {
                    self.headers.change(&mut order, occurrence, &name, &value);
                }
                _ => debug_assert!(false, "only edits of headers"),
            }
        }
        let mut overlaps = 0;
        if beside {
            let edited = core::mem::replace(&mut order, before.clone());
            overlaps = self.headers.merge(&mut order, &edited);
        }
        let changed = order != before;
        if changed {
            self.headers.set_order(order);
        }
        (changed.then(|| self.headers.visible()), overlaps)
    }

    /// Applies header edits. Returns the headers when there were any edits, and how many another child had edited.
    fn edit_as_sendmail(&mut self, edits: Vec<Edit>, beside: bool) -> (Option<Arc<[FieldId]>>, usize) {
        if edits.is_empty() {
            return (None, 0);
        }
        let list = self.sendmail.get_or_insert_with(|| SendmailHeaders::new(&self.headers));
        list.next_milter(beside);
        for edit in edits {
            match edit {
                Edit::AddHeader(name, value) => list.add(&mut self.headers, name, value),
                Edit::InsertHeader(index, name, value) => list.insert(&mut self.headers, index, name, value),
                Edit::ChangeHeader(occurrence, name, value) => {
                    list.change(&mut self.headers, occurrence, name, value);
                }
                _ => debug_assert!(false, "only edits of headers"),
            }
        }
        (Some(list.visible()), list.overlaps())
    }

    /// A value as a child wants it that did not ask for leading spaces: without one.
    #[must_use]
    pub fn to_child_value<'a>(&self, value: &'a [u8], to_leading_space: bool) -> &'a [u8] {
        match value {
            [b' ', rest @ ..] if self.leading_space && !to_leading_space => rest,
            _ => value,
        }
    }

    /// The edits that turn the message that the MTA holds into the last view: headers, the body in one run, the envelope,
    /// quarantine. For Postfix header changes come first, then deletes from the highest index, inserts and adds; for
    /// Sendmail what the children asked for, in their order. `actions` are those negotiated with the MTA.
    #[must_use]
    pub fn render(&self, actions: Actions) -> Vec<Edit> {
        let mut edits = match &self.sendmail {
            Some(list) => list.requests().to_vec(),
            None => self.headers.render(actions.has(Actions::ADD_HEADERS)),
        };
        match self.body_of(self.latest_view()) {
            0 => {}
            body => edits.extend(self.bodies[body].render()),
        }
        edits.extend(self.envelope.render());
        edits
    }
}

/// A value as the MTA wants it: with its leading space when only the MTA asked for them, without when only the child
/// did, which Postfix grants even where it has not offered it.
fn to_mta_value(value: Bytes, from_spaced: bool, to_spaced: bool) -> Bytes {
    match (from_spaced, to_spaced) {
        (false, true) => Bytes::from([b" ", &value[..]].concat()),
        // A space alone stays, since a change to nothing would delete.
        (true, false) if value.len() > 1 && value[0] == b' ' => value.slice(1..),
        _ => value,
    }
}

/// The actions of which a child must have one for an edit.
pub(crate) const fn needed_action(edit: &Edit) -> Actions {
    match edit {
        Edit::AddHeader(..) | Edit::InsertHeader(..) => Actions::ADD_HEADERS,
        Edit::ChangeHeader(..) => Actions::CHANGE_HEADERS,
        Edit::ReplaceBody(_) => Actions::CHANGE_BODY,
        Edit::AddRecipient(_) => Actions::ADD_RECIPIENTS,
        Edit::AddRecipientPar(..) => Actions::ADD_RECIPIENTS_PAR,
        Edit::DeleteRecipient(_) => Actions::DELETE_RECIPIENTS,
        Edit::ChangeFrom(..) => Actions::CHANGE_FROM,
        Edit::Quarantine(_) => Actions::QUARANTINE,
    }
}
