//! One message on its way: envelope counters, the timeline of its content, and what is decided about it.

use bytes::Bytes;

use super::Decided;
use super::spill::Spill;
use crate::event::LimitName;
use crate::limits::Limits;
use crate::message::Content;
use crate::time::Instant;
use crate::wire::Stage;

/// From MAIL to the answer to end of message.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) sender: Bytes,
    pub(super) started: Instant,
    /// Until when it has to be complete.
    pub(super) ends_by: Instant,
    pub(super) recipients_accepted: usize,
    pub(super) recipients_refused: usize,
    pub(super) envelope_bytes: usize,
    /// The last stage that the MTA has sent.
    pub(super) stage: Stage,
    pub(super) content: Content,
    /// No more headers will come.
    pub(super) headers_done: bool,
    /// The MTA sent the end of headers.
    pub(super) saw_end_of_headers: bool,
    /// The MTA sent the end of the message.
    pub(super) body_done: bool,
    pub(super) body_received: u64,
    /// The MTA was left unread for too long: from now on everything is taken, whoever is behind.
    pub(super) read_on: bool,
    /// Bytes of edits that children have sent.
    pub(super) edit_bytes: usize,
    /// All sessions together keep too much: what is here has to go into the file before more is taken.
    pub(super) crowded: bool,
    /// The file with what does not fit into memory.
    pub(super) spill: Spill,
    /// The outcome is certain and is not delivery: the rest is only drained.
    pub(super) decided: Option<Decided>,
    /// The MTA was told before the content that nobody objects: it may show no more of it.
    pub(super) accepted: bool,
    /// A limit of ours was hit.
    pub(super) over: Option<LimitName>,
}

impl Transaction {
    pub(super) fn new(sender: Bytes, started: Instant, ends_by: Instant, content: Content) -> Self {
        Self {
            envelope_bytes: sender.len(),
            sender,
            started,
            ends_by,
            recipients_accepted: 0,
            recipients_refused: 0,
            stage: Stage::Mail,
            content,
            headers_done: false,
            saw_end_of_headers: false,
            body_done: false,
            body_received: 0,
            read_on: false,
            edit_bytes: 0,
            crowded: false,
            spill: Spill::default(),
            decided: None,
            accepted: false,
            over: None,
        }
    }
}

/// The limit that a header of `len` bytes would hit behind `count` with `bytes` in all.
pub(super) const fn header_limit(
    count: usize,
    bytes: usize,
    len: usize,
    limits: &Limits,
) -> Option<LimitName> {
    if count >= limits.headers {
        Some(LimitName::Headers)
    } else if bytes + len > limits.header_bytes {
        Some(LimitName::HeaderBytes)
    } else {
        None
    }
}
