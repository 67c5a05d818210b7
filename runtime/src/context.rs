//! The parts of a loop that its sessions use.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use millstream_core::pool::{Action, Pool};
use millstream_core::service::Service;
use millstream_core::time::Instant;

use crate::clock::Clock;
use crate::kept::KeptWires;
use crate::mailbox::Mailbox;
use crate::poller::Poller;
use crate::routes::Routes;
use crate::spill::Spill;

/// One for each loop, lent to the session whose turn it is.
pub(crate) struct Context<S: Service, P: Poller> {
    pub(crate) clock: Clock,
    /// The time of the last poll, which is the time of all that is done until the next one.
    pub(crate) now: Instant,
    pub(crate) service: Arc<S>,
    pub(crate) poller: P,
    pub(crate) routes: Routes,
    /// Who says which connections to children are made and kept.
    pub(crate) pool: Pool,
    pub(crate) kept: KeptWires<P>,
    /// What the pool has said about others than the session whose turn it is.
    pub(crate) later: VecDeque<Action>,
    /// Where bytes are read to when the machine lends no buffer of its own.
    pub(crate) buffer: BytesMut,
    /// The loop's own mailbox, for answers that come later.
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) spill: Arc<Spill>,
}
