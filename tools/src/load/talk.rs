//! What the driver drives.

use std::time::{Duration, Instant};

/// One end of a conversation, without sockets and clock.
pub trait Talk {
    /// What is to be written next; empty when something has to come first.
    fn transmit(&self) -> &[u8];

    /// `n` bytes of it were written.
    fn wrote(&mut self, n: usize);

    /// Bytes came.
    fn receive(&mut self, data: &[u8]);

    /// The other end has closed; whether it might have, or has said why.
    fn closed(&mut self) -> bool;

    /// Whether the connection has to be encrypted before anything else.
    fn wants_tls(&self) -> bool {
        false
    }

    /// It is.
    fn secured(&mut self) {}

    /// Whether what is measured has come.
    fn is_decided(&self) -> bool;

    /// Whether nothing is left to be said or heard.
    fn is_over(&self) -> bool;

    /// What the other end has to say: the stage, and what is expected there.
    fn awaited(&self) -> String;
}

/// Where conversations come from and go to.
pub trait Source {
    /// Their kind.
    type Talk: Talk;

    /// The next one, if there is one.
    fn next(&mut self) -> Option<Self::Talk>;

    /// One is over.
    fn finished(&mut self, ended: Ended<Self::Talk>);
}

/// A conversation that is over.
#[derive(Debug)]
pub struct Ended<T> {
    /// It.
    pub talk: T,
    /// Why it was not over by itself.
    pub broken: Option<Broken>,
    /// When it began.
    pub began: Instant,
    /// From there to what is measured.
    pub took: Duration,
}

/// Why a conversation was not over by itself. Each says where, what was expected and what came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// There is no connection.
    #[error("connecting: expected a connection, came {0}")]
    Connect(String),
    /// Nothing moved for too long.
    #[error("{awaited}, came nothing for {} seconds", after.as_secs_f64())]
    Timeout {
        /// Where, and what was expected.
        awaited: String,
        /// For so long.
        after: Duration,
    },
    /// The connection broke.
    #[error("{awaited}, came {reason}")]
    Lost {
        /// Where, and what was expected.
        awaited: String,
        /// What the system says.
        reason: String,
    },
    /// The handshake failed.
    #[error("TLS handshake: expected TLS, came {0}")]
    Tls(String),
}

impl Broken {
    /// The kind of it, in a word.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Connect(_) | Self::Lost { .. } => "connection",
            Self::Timeout { .. } => "timeout",
            Self::Tls(_) => "TLS",
        }
    }
}
