//! Host names of milters, and look-ups of sessions.
//!
//! With the feature `dns` one service answers both. Without it the system's resolver looks host names up, which blocks and
//! does not tell for how long its answers hold, and look-ups of sessions have no answer.

mod connections;
#[cfg(feature = "dns")]
mod dns;
#[cfg(feature = "dns")]
mod failures;
#[cfg(not(feature = "dns"))]
mod system;

use std::sync::Arc;
use std::time::Instant;

use millstream_config::{Configuration, Hosts};
use millstream_core::machine::Answer;

#[cfg(feature = "dns")]
pub(crate) use dns::Names;
#[cfg(not(feature = "dns"))]
pub(crate) use system::Names;

/// Takes the answer to a session's question.
pub(crate) type Reply = Box<dyn FnOnce(Answer) + Send>;

/// Who knows names, as `configuration` has it.
pub(crate) fn of(configuration: &Configuration) -> Arc<Names> {
    Arc::new(Names::new(&configuration.manager.name_servers))
}

/// The host names of milters, looked up now. Blocks meanwhile.
pub(crate) fn hosts(names: &Arc<Names>, configuration: &Configuration) -> Hosts {
    Hosts::new(Arc::<Names>::clone(names)).of(configuration, Instant::now())
}
