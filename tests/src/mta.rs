//! What the suites ask of an MTA, so that another one can stand where Postfix stands.

use std::fmt::Debug;
use std::net::SocketAddr;

use crate::ports;

/// A running MTA with an SMTP port for every [`Entry`] of every lane.
pub trait Mta: Debug + Send + Sync {
    /// Where to connect, to have mail filtered in this way.
    fn address(&self, lane: usize, entry: Entry) -> SocketAddr;

    /// How many lanes it has: that many tests can run beside each other.
    fn lanes(&self) -> usize;

    /// What it has logged so far.
    fn log(&self) -> String;

    /// Whether a message is still in its queue, held or not.
    fn is_queued(&self, queue_id: &str) -> bool;

    /// Whether a message is held until somebody releases it.
    fn is_held(&self, queue_id: &str) -> bool;
}

/// Which program stands in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Installed.
    Postfix,
    /// Unpacked beside it.
    Sendmail,
}

/// How many children the MTA can be given without the manager.
pub const MOST_DIRECT: usize = 3;

/// Which milters an SMTP port leads through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// `manager.sock` of the lane.
    Manager,
    /// `1.sock` to `N.sock` of the lane, in this order, 1 to [`MOST_DIRECT`].
    Direct(usize),
}

impl Entry {
    /// All of them.
    pub const ALL: [Self; MOST_DIRECT + 1] =
        [Self::Manager, Self::Direct(1), Self::Direct(2), Self::Direct(3)];

    /// The names of the sockets in the lane's folder.
    #[must_use]
    pub fn sockets(self) -> Vec<String> {
        match self {
            Self::Manager => vec!["manager.sock".to_owned()],
            Self::Direct(children) => (1..=children).map(child_socket).collect(),
        }
    }
}

/// The name of the socket of a lane's child, counted from 1.
#[must_use]
pub fn child_socket(number: usize) -> String {
    format!("{number}.sock")
}

/// The SMTP port of an entry of a lane, in an MTA whose ports begin at `base`.
///
/// # Panics
/// When there is no such port.
#[must_use]
pub fn port_of(base: u16, lane: usize, entry: Entry) -> SocketAddr {
    let offset = match entry {
        Entry::Manager => 0,
        Entry::Direct(children) => children,
    };
    let port = usize::from(base) + lane * Entry::ALL.len() + offset;
    SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("the ports were free")))
}

/// The first of the ports of an MTA with as many lanes.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn free_ports(lanes: usize) -> u16 {
    ports::free(u16::try_from(lanes * Entry::ALL.len()).expect("a few dozen"))
}
