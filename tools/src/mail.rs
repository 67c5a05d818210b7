//! A message with its envelope.

use millstream_core::message::Headers;
use millstream_core::wire::Edit;
pub use millstream_mail::{Header, in_brackets};

/// A message with its envelope, as a milter is shown it or as one leaves it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mail {
    /// The sender, in angle brackets.
    pub sender: Vec<u8>,
    /// The recipients, in angle brackets.
    pub recipients: Vec<Vec<u8>>,
    /// The headers, in their order.
    pub headers: Vec<Header>,
    /// The body, in the pieces in which it is sent.
    pub body: Vec<Vec<u8>>,
}

/// An address without its angle brackets.
#[must_use]
pub fn bare(address: &[u8]) -> &[u8] {
    address.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">")).unwrap_or(address)
}

impl Mail {
    /// Appends `From` and `To` where none of that very name is there, and a body where none is.
    pub fn complete(&mut self) {
        let recipient = self.recipients.first().cloned().unwrap_or_default();
        for (name, value) in [(&b"From"[..], self.sender.clone()), (b"To", recipient)] {
            if !self.headers.iter().any(|header| header.name == name) {
                self.headers.push(Header::new(name, value));
            }
        }
        if self.body.is_empty() {
            let lines: Vec<String> = (1..=4).map(|number| format!("La de da de da {number}.")).collect();
            self.body.push(lines.join("\n").into_bytes());
        }
    }

    /// The message as the edits of a milter leave it. `leading_space`: the values of its headers begin with theirs. An index is one
    /// of a header of this message: there is no `Received` of the MTA before it.
    #[must_use]
    pub fn edited(&self, edits: &[Edit], leading_space: bool) -> Self {
        let mut edited = Self { headers: Vec::new(), ..self.clone() };
        let mut headers = Headers::default();
        for Header { name, value } in &self.headers {
            headers.receive(name, value);
        }
        let mut order = headers.order();
        let mut body: Option<Vec<u8>> = None;
        let inner = |value: &[u8]| match value.strip_prefix(b" ") {
            Some(inner) if leading_space => inner.to_vec(),
            _ => value.to_vec(),
        };
        for edit in edits {
            match edit {
                Edit::AddHeader(name, value) => headers.add(&mut order, name, &inner(value)),
                // The order begins with the MTA's own header, which is not shown.
                Edit::InsertHeader(index, name, value) => {
                    headers.insert(&mut order, index.saturating_add(1), name, &inner(value));
                }
                Edit::ChangeHeader(occurrence, name, value) if value.is_empty() => {
                    headers.delete(&mut order, *occurrence, name);
                }
                Edit::ChangeHeader(occurrence, name, value) => {
                    headers.change(&mut order, *occurrence, name, &inner(value));
                }
                Edit::ReplaceBody(piece) => body.get_or_insert_default().extend_from_slice(piece),
                Edit::ChangeFrom(sender, _) => edited.sender = in_brackets(sender),
                Edit::AddRecipient(recipient) | Edit::AddRecipientPar(recipient, _) => {
                    edited.recipients.push(in_brackets(recipient));
                }
                Edit::DeleteRecipient(recipient) => {
                    let gone = in_brackets(recipient);
                    edited.recipients.retain(|recipient| *recipient != gone);
                }
                Edit::Quarantine(_) => {}
            }
        }
        headers.set_order(order);
        let visible = headers.visible();
        edited.headers = visible
            .iter()
            .map(|id| headers.field(*id))
            .map(|(name, value)| Header::new(name, value))
            .collect();
        if let Some(body) = body {
            edited.body = vec![body];
        }
        edited
    }

    /// The whole body.
    #[must_use]
    pub fn whole_body(&self) -> Vec<u8> {
        self.body.concat()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn mail() -> Mail {
        let mut mail =
            Mail { sender: b"<a@b>".to_vec(), recipients: vec![b"<c@d>".to_vec()], ..Mail::default() };
        mail.complete();
        mail
    }

    fn names(mail: &Mail) -> Vec<String> {
        mail.headers.iter().map(|header| String::from_utf8_lossy(&header.name).into_owned()).collect()
    }

    const fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn what_is_missing_is_added() {
        let mail = mail();
        assert_eq!(names(&mail), ["From", "To"]);
        assert_eq!(
            mail.whole_body(),
            b"La de da de da 1.\nLa de da de da 2.\nLa de da de da 3.\nLa de da de da 4."
        );
    }

    #[test]
    fn an_index_is_that_of_a_header_which_is_shown() {
        let at = |index| names(&mail().edited(&[Edit::InsertHeader(index, bytes("X"), bytes("1"))], false));
        assert_eq!(at(0), ["X", "From", "To"]);
        assert_eq!(at(1), ["From", "X", "To"]);
        assert_eq!(at(9), ["From", "To", "X"]);
    }

    #[test]
    fn headers_are_changed_and_deleted_by_their_occurrence() {
        let edits = [
            Edit::ChangeHeader(1, bytes("to"), bytes(" new")),
            Edit::ChangeHeader(1, bytes("From"), bytes("")),
            Edit::ChangeHeader(2, bytes("To"), bytes(" another")),
        ];
        let edited = mail().edited(&edits, true);
        assert_eq!(edited.headers, [Header::new("to", "new"), Header::new("To", "another")]);
    }

    #[test]
    fn the_envelope_and_the_body_change_too() {
        let edits = [
            Edit::ChangeFrom(bytes("x@y"), None),
            Edit::AddRecipient(bytes("<e@f>")),
            Edit::DeleteRecipient(bytes("c@d")),
            Edit::ReplaceBody(bytes("one ")),
            Edit::ReplaceBody(bytes("two")),
        ];
        let edited = mail().edited(&edits, false);
        assert_eq!(edited.sender, b"<x@y>");
        assert_eq!(edited.recipients, [b"<e@f>"]);
        assert_eq!(edited.whole_body(), b"one two");
    }
}
