//! What other threads send to a loop.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use millstream_core::machine::{Answer, Input, QueryId};
use millstream_core::service::SessionId;
use millstream_core::situation::Situation;

/// A session of one loop. The number tells sessions apart that use the same index one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// Where the loop keeps it.
    pub(crate) index: u32,
    /// Its number.
    pub(crate) id: SessionId,
}

/// One thing for a loop to do.
#[derive(Debug)]
pub(crate) enum Message {
    /// A connection was accepted for this loop. It is a bare descriptor: what watches it belongs to one thread.
    Accepted(OwnedFd, SessionId),
    /// Something that a session asked for is done.
    Input(Key, Input),
    /// Many sessions have ended: what was only needed for them can go. Dropped when that is done.
    Shrink(Sender<()>),
    /// Somebody wants to know what the sessions do, of at most so many, the oldest.
    Describe(usize, Sender<Vec<Described>>),
}

/// A session and what it does.
pub type Described = (SessionId, Box<Situation>);

/// The inbox of a loop.
pub(crate) type Mailbox = millstream_shared::Mailbox<Message>;

/// What a service calls with the answer to a look-up, from any thread and at any time.
pub(crate) fn reply(to: &Arc<Mailbox>, key: Key, query: QueryId) -> Box<dyn FnOnce(Answer) + Send> {
    let mut pending = Pending { mailbox: Arc::clone(to), to: Some((key, query)) };
    Box::new(move |answer| pending.answer(answer))
}

/// A question on its way: answered at most once, with [`Answer::Failed`] when the service forgot about it.
struct Pending {
    mailbox: Arc<Mailbox>,
    to: Option<(Key, QueryId)>,
}

impl Pending {
    fn answer(&mut self, answer: Answer) {
        if let Some((key, query)) = self.to.take() {
            // A loop that has ended needs no answer any more.
            let _ = self.mailbox.send(Message::Input(key, Input::Answered { query, answer }));
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.answer(Answer::Failed);
    }
}
