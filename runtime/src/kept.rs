//! Connections to children that wait for the next session.

use std::collections::BTreeMap;

use millstream_core::pool::KeptId;
use millstream_core::service::Service;

use crate::context::Context;
use crate::poller::{Poller, Readiness};
use crate::wire::Wire;

/// The sockets; which of them is used for what is the pool's to say.
pub(crate) struct KeptWires<P: Poller>(BTreeMap<KeptId, Wire<P>>);

impl<P: Poller> KeptWires<P> {
    pub(crate) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(crate) fn insert(&mut self, id: KeptId, wire: Wire<P>) {
        self.0.insert(id, wire);
    }

    pub(crate) fn take(&mut self, id: KeptId) -> Option<Wire<P>> {
        self.0.remove(&id)
    }

    /// Notes what the poller reported. Says whether the connection is of no use any more: a child has nothing to say before
    /// it is spoken to.
    pub(crate) fn note(&mut self, id: KeptId, readiness: Readiness, poller: &mut P) -> bool {
        let Some(wire) = self.0.get_mut(&id) else { return false };
        wire.note(readiness);
        !wire.is_quiet(poller)
    }
}

/// Closes a connection that the pool has given up.
pub(crate) fn close<S: Service, P: Poller>(id: KeptId, cx: &mut Context<S, P>) {
    if let Some(wire) = cx.kept.take(id) {
        wire.close(cx);
    }
}

/// Closes all.
pub(crate) fn close_all<S: Service, P: Poller>(cx: &mut Context<S, P>) {
    while let Some((&id, _)) = cx.kept.0.first_key_value() {
        close(id, cx);
    }
}
