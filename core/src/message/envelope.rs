//! Changes to the envelope: collected while children finish, told to the MTA at the end.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::wire::Edit;

/// What children asked for, in chain order.
#[derive(Debug, Default)]
pub struct EnvelopeEdits {
    /// In the order in which they were asked for.
    recipients: Vec<Edit>,
    from: Option<(Bytes, Option<Bytes>)>,
    quarantine: Option<Bytes>,
}

impl EnvelopeEdits {
    /// Adds a change: recipients one after another, the last sender and the last reason for a quarantine win.
    pub fn push(&mut self, edit: Edit) {
        match edit {
            Edit::ChangeFrom(sender, arguments) => self.from = Some((sender, arguments)),
            Edit::Quarantine(reason) => self.quarantine = Some(reason),
            Edit::AddRecipient(_) | Edit::AddRecipientPar(..) | Edit::DeleteRecipient(_) => {
                self.recipients.push(edit);
            }
            Edit::ReplaceBody(_) | Edit::AddHeader(..) | Edit::InsertHeader(..) | Edit::ChangeHeader(..) => {}
        }
    }

    /// The changes for the MTA: sender, recipients, quarantine.
    pub fn render(&self) -> impl Iterator<Item = Edit> {
        let from = self.from.clone().map(|(sender, arguments)| Edit::ChangeFrom(sender, arguments));
        let quarantine = self.quarantine.clone().map(Edit::Quarantine);
        from.into_iter().chain(self.recipients.iter().cloned()).chain(quarantine)
    }
}
