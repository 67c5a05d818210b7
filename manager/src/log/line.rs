//! A line of the log, and what is known about it beside its text.

use std::sync::Arc;
use std::time::SystemTime;

use millstream_config::LogLevel;
use millstream_core::service::SessionId;

/// A line for the log.
#[derive(Debug)]
pub(crate) struct Line {
    pub(super) level: LogLevel,
    pub(super) text: String,
    pub(super) about: About,
    pub(super) at: SystemTime,
}

/// What a line is about, for a log that has fields.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    /// The session.
    pub(crate) session: Option<SessionId>,
    /// The message, as the MTA names it.
    pub(crate) queue_id: Option<Arc<[u8]>>,
    /// The child milter.
    pub(crate) milter: Option<Arc<str>>,
    /// How the session, the message or the child's part ended.
    pub(crate) status: Option<&'static str>,
}

impl Line {
    /// A line with the present time.
    pub(super) fn now(level: LogLevel, text: String) -> Self {
        Self::about(level, text, About::default())
    }

    /// The same about something.
    pub(crate) fn about(level: LogLevel, text: String, about: About) -> Self {
        Self { level, text, about, at: SystemTime::now() }
    }

    /// Its text.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}
