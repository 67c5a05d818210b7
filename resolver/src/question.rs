//! What can be asked, and what comes back.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// What can be asked. Equal ones that are under way at the same time are asked once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Question {
    /// The addresses of a name.
    Addresses {
        /// The name. With a dot at its end it is taken as it is, without one the search list of the system counts.
        name: Box<str>,
        /// Which addresses.
        family: Family,
    },
    /// The names of an address (PTR).
    Names(IpAddr),
}

/// The family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 (A).
    V4,
    /// IPv6 (AAAA).
    V6,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There is something.
    Found {
        /// At least one, in the order received: an address as it is written, a name without the dot at its end.
        records: Vec<Box<str>>,
        /// How long it holds yet; `None` when nobody says so, as for what stands in the hosts file.
        holds: Option<Duration>,
    },
    /// The name does not exist, or has nothing of this kind.
    Nothing,
    /// Nobody knows.
    Failed(Failure),
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No name server has answered in time.
    #[error("no name server has answered within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// A name server has answered that it cannot or will not.
    #[error("the name server says: {0}")]
    Refused(String),
    /// The name servers cannot be asked, or what they say cannot be read.
    #[error("the name servers cannot be asked: {0}")]
    Unreachable(String),
    /// Too much is under way.
    #[error("too many look-ups are under way")]
    Busy,
    /// There is no thread for it.
    #[error("look-ups cannot be started: {0}")]
    NotStarted(String),
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses { name, family: Family::V4 } => write!(f, "A of {name}"),
            Self::Addresses { name, family: Family::V6 } => write!(f, "AAAA of {name}"),
            Self::Names(address) => write!(f, "PTR of {address}"),
        }
    }
}
