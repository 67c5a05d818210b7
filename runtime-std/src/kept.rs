//! Connections to children that wait for the next session.

use std::collections::BTreeMap;

use millstream_core::pool::KeptId;
use millstream_core::service::Service;
use mio::event::Event;

use crate::context::Context;
use crate::link::Wire;

/// The sockets; which of them is used for what is the pool's to say.
#[derive(Debug, Default)]
pub(crate) struct KeptWires(BTreeMap<KeptId, Wire>);

impl KeptWires {
    pub(crate) fn insert(&mut self, id: KeptId, wire: Wire) {
        self.0.insert(id, wire);
    }

    pub(crate) fn take(&mut self, id: KeptId) -> Option<Wire> {
        self.0.remove(&id)
    }

    /// Notes what the poller reported. Says whether the connection is of no use any more: a child has nothing to say before
    /// it is spoken to.
    pub(crate) fn note(&mut self, id: KeptId, event: &Event) -> bool {
        let Some(wire) = self.0.get_mut(&id) else { return false };
        wire.note(event);
        !wire.is_quiet()
    }
}

/// Closes a connection that the pool has given up.
pub(crate) fn close<S: Service>(id: KeptId, cx: &mut Context<S>) {
    if let Some(wire) = cx.kept.take(id) {
        wire.close(cx);
    }
}

/// Closes all.
pub(crate) fn close_all<S: Service>(cx: &mut Context<S>) {
    while let Some((&id, _)) = cx.kept.0.first_key_value() {
        close(id, cx);
    }
}
