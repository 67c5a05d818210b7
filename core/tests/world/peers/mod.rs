//! The far ends of the session's connections, and the rules for what it may send them.

pub(crate) mod child;
pub(crate) mod child_watch;
pub(crate) mod mta;
pub(crate) mod mta_watch;

use crate::plan::Text;

/// CONNECT with the one address form that everybody understands the same.
fn plain_connect(payload: &[u8]) -> Text {
    let prefix = b"IPv6:";
    match payload.windows(prefix.len()).position(|part| part == prefix) {
        Some(at) => [&payload[..at], &payload[at + prefix.len()..]].concat(),
        None => payload.to_vec(),
    }
}
