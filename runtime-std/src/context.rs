//! The parts of a loop that its sessions use.

use std::sync::Arc;

use bytes::BytesMut;
use millstream_core::service::Service;
use millstream_core::time::Instant;
use mio::Registry;

use crate::clock::Clock;
use crate::mailbox::Mailbox;
use crate::routes::Routes;
use crate::spill::Spill;

/// One for each loop, lent to the session whose turn it is.
pub(crate) struct Context<S: Service> {
    pub(crate) clock: Clock,
    /// The time of the last poll, which is the time of all that is done until the next one.
    pub(crate) now: Instant,
    pub(crate) service: Arc<S>,
    pub(crate) registry: Registry,
    pub(crate) routes: Routes,
    /// Where bytes are read to when the machine lends no buffer of its own.
    pub(crate) buffer: BytesMut,
    /// The loop's own mailbox, for answers that come later.
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) spill: Arc<Spill>,
}
