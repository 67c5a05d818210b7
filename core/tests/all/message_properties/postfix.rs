//! The message as Postfix keeps it: `cleanup_milter.c` of Postfix 3.7 in a few lines.

use bytes::Bytes;
use millstream_core::wire::{Actions, Edit};

#[derive(Debug, Clone, PartialEq, Eq)]
struct Header {
    name: Vec<u8>,
    /// Everything behind the colon.
    raw: Vec<u8>,
    /// The Received header that Postfix has written itself: shown to no milter, and not counted by name.
    own: bool,
}

/// A message in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Postfix {
    headers: Vec<Header>,
    body: Vec<u8>,
    sender: Option<(Bytes, Option<Bytes>)>,
    recipients: Vec<(Bytes, Option<Bytes>)>,
    held: Option<Bytes>,
}

impl Postfix {
    pub(crate) fn new(received: &[(Bytes, Bytes)], chunks: &[Bytes]) -> Self {
        let own = Header { name: b"Received".to_vec(), raw: b" by this host".to_vec(), own: true };
        let header =
            |(name, raw): &(Bytes, Bytes)| Header { name: name.to_vec(), raw: raw.to_vec(), own: false };
        Self {
            headers: std::iter::once(own).chain(received.iter().map(header)).collect(),
            body: chunks.concat(),
            sender: None,
            recipients: [&b"<a>"[..], b"<b>"].map(|recipient| (Bytes::from(recipient), None)).to_vec(),
            held: None,
        }
    }

    /// The headers that a milter is shown: one space goes unless it has asked for it.
    pub(crate) fn headers_for(&self, leading_space: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
        let value = |raw: &[u8]| match raw {
            [b' ', rest @ ..] if !leading_space => rest.to_vec(),
            _ => raw.to_vec(),
        };
        let visible = self.headers.iter().filter(|header| !header.own);
        visible.map(|header| (header.name.clone(), value(&header.raw))).collect()
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        self.body.clone()
    }

    /// Does what a milter asks for, one edit at once after the other. Its first piece of body empties the old one.
    pub(crate) fn apply(&mut self, edits: &[Edit], leading_space: bool) {
        if edits.iter().any(|edit| matches!(edit, Edit::ReplaceBody(_))) {
            self.body.clear();
        }
        for edit in edits {
            self.apply_one(edit, leading_space);
        }
    }

    fn apply_one(&mut self, edit: &Edit, leading_space: bool) {
        let space: &[u8] = if leading_space { b"" } else { b" " };
        let header = |name: &Bytes, value: &Bytes| Header {
            name: name.to_vec(),
            raw: [space, value].concat(),
            own: false,
        };
        match edit {
            Edit::AddHeader(name, value) => self.headers.push(header(name, value)),
            Edit::InsertHeader(index, name, value) => {
                let place = self.headers.len().min(*index as usize);
                self.headers.insert(place, header(name, value));
            }
            Edit::ChangeHeader(index, name, value) => match self.find(*index, name) {
                Some(place) if value.is_empty() => {
                    self.headers.remove(place);
                }
                Some(place) => self.headers[place] = header(name, value),
                None if value.is_empty() => {}
                None => self.headers.push(header(name, value)),
            },
            Edit::ReplaceBody(data) => self.body.extend_from_slice(data),
            Edit::ChangeFrom(sender, arguments) => self.sender = Some((sender.clone(), arguments.clone())),
            Edit::AddRecipient(recipient) => self.recipients.push((recipient.clone(), None)),
            Edit::AddRecipientPar(recipient, arguments) => {
                self.recipients.push((recipient.clone(), arguments.clone()));
            }
            Edit::DeleteRecipient(recipient) => self.recipients.retain(|(known, _)| known != recipient),
            Edit::Quarantine(reason) => self.held = Some(reason.clone()),
        }
    }

    fn find(&self, index: u32, name: &[u8]) -> Option<usize> {
        let mut left = index.max(1);
        self.headers.iter().position(|header| {
            let counts = !header.own && header.name.eq_ignore_ascii_case(name);
            left -= u32::from(counts);
            counts && left == 0
        })
    }
}

/// Whether a milter with these rights may ask for an edit.
pub(crate) fn is_granted(edit: &Edit, actions: Actions) -> bool {
    actions.has(match edit.letter() {
        b'h' | b'i' => Actions(0x01),
        b'b' => Actions(0x02),
        b'+' => Actions(0x04),
        b'-' => Actions(0x08),
        b'm' => Actions(0x10),
        b'q' => Actions(0x20),
        b'e' => Actions(0x40),
        _ => Actions(0x80),
    })
}
