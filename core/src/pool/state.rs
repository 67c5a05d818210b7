//! How the children's addresses stand, for people and metrics.

use alloc::sync::Arc;

use super::Address;
use super::breaker::Outage;

/// One address of a child, over all event loops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressState {
    /// The child's name.
    pub child: Arc<str>,
    /// Where it listens.
    pub address: Address,
    /// What is remembered while it is down.
    pub outage: Option<Outage>,
    /// Connections that a session has, or is getting.
    pub in_use: u32,
    /// Connections that wait for a session.
    pub kept: u32,
    /// Sessions that wait for a connection to this child, at whatever address.
    pub waiting: u32,
}
