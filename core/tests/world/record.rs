//! What happened in a world, as the model takes it: what the MTA said and was told, and what each child saw.

use std::rc::Rc;
use std::sync::Arc;

use crate::plan::{Frame, Joined, Plan, Text};

/// A command of the MTA and what it was told.
pub(crate) struct Exchange {
    pub(crate) letter: u8,
    pub(crate) payload: Text,
    /// Not sent, because the session asked the MTA not to.
    pub(crate) suppressed: bool,
    pub(crate) owed: bool,
    /// Edits, then the final reply; `None` when the connection ended before.
    pub(crate) reply: Option<Vec<Frame>>,
}

/// A child as the model knows it.
pub(crate) struct Child {
    pub(crate) plan: Arc<Plan>,
    /// What it negotiated; `None` when it never came that far.
    pub(crate) joined: Option<Joined>,
    pub(crate) tape: Vec<Seen>,
    /// The MTA can hold a message.
    pub(crate) can_hold: bool,
    pub(crate) most_edits: u64,
}

/// A command that a child saw, with the macros that it knew for that command then, sorted.
pub(crate) struct Seen {
    pub(crate) letter: u8,
    pub(crate) payload: Text,
    pub(crate) macros: Rc<[(Text, Text)]>,
}

/// The world's own note on a tape: the session gave this connection up because of time. Its payload is the exchange of
/// the MTA with which that was, whether a reply was owed, and which time it was (0: the child's own, 1: the budget of an
/// answer, 2: that for connecting).
pub(crate) const LOST: u8 = b'!';
