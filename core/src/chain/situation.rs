//! What the session does, for people who ask.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use super::Session;
use crate::client::Client;
use crate::situation::{Situation, Waiting};
use crate::time::Instant;

impl Session {
    /// What it does at `now`.
    pub(super) fn situation(&self, now: Instant) -> Box<Situation> {
        let waiting = |(index, child): (usize, &super::Child)| {
            // It runs exactly while something is awaited.
            let timer = child.connection.timer?;
            let stage = child.up().and_then(Client::awaits).unwrap_or_else(|| self.stage_of(index));
            Some(Waiting { child: self.name(index), stage, since: now.since(timer.since) })
        };
        let queue_id = self.macros.value(b"i").filter(|_| self.transaction.is_some());
        Box::new(Situation {
            client: self.client.as_deref().cloned(),
            queue_id: Arc::from(queue_id.unwrap_or_default()),
            stage: self.stage(),
            age: self.started.map_or(Duration::ZERO, |started| now.since(started)),
            waits_for: self.children.iter().enumerate().filter_map(waiting).collect(),
        })
    }
}
