//! One child milter as configured.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_core::policy::{EndpointChoice, FailureKind, Fallback, Reuse, Timeouts};

use crate::configuration::Location;
use crate::connection_spec::ConnectionSpec;

/// What is answered for a single kind of failure; `None`: what is answered for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FallbackByKind {
    /// No connection could be had.
    pub connect: Option<Fallback>,
    /// A time limit other than that of connecting ran out.
    pub timeout: Option<Fallback>,
    /// It broke the protocol.
    pub protocol_error: Option<Fallback>,
    /// It closed the connection while it took part.
    pub close: Option<Fallback>,
}

/// How connections to a milter are had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Which of several sockets is asked.
    pub endpoint_choice: EndpointChoice,
    /// Most at a time, all sockets together; 0: no limit.
    pub max_connections: u32,
    /// How long to wait for one of them.
    pub queue_timeout: Duration,
    /// How long a socket that is down is left alone.
    pub retry_interval: Duration,
    /// Whether they are kept for the next session.
    pub reuse_connections: bool,
    /// How long they are kept without a session.
    pub reuse_idle_time: Duration,
    /// How long they are kept from connecting on.
    pub reuse_age: Duration,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            endpoint_choice: EndpointChoice::Failover,
            max_connections: 0,
            // Below the seven seconds that a command has behind Sendmail: the fallback is answered, not waited for.
            queue_timeout: Duration::from_secs(5),
            // A restart is noticed soon, and a try costs one session of many.
            retry_interval: Duration::from_secs(5),
            reuse_connections: false,
            // Far below the 7210 s after which libmilter gives up on a silent MTA.
            reuse_idle_time: Duration::from_secs(60),
            reuse_age: Duration::from_secs(3600),
        }
    }
}

impl Connections {
    /// What core is told about keeping them.
    pub(crate) fn reuse(&self) -> Option<Reuse> {
        self.reuse_connections.then_some(Reuse { idle: self.reuse_idle_time, age: self.reuse_age })
    }
}

/// A condition of a milter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedCondition {
    /// The condition's name.
    pub name: String,
    /// Where it was added; `None` for those of an array, as `--show-config` has it.
    pub location: Option<Location>,
}

/// What `define_milter` says of one milter.
#[derive(Debug, Clone, PartialEq)]
pub struct Milter {
    /// Its name.
    pub name: String,
    /// Where it listens, all of it equally good. Without one it cannot be used.
    pub connection_specs: Vec<ConnectionSpec>,
    /// How connections to it are had.
    pub connections: Connections,
    /// It is sent headers and body chunks before it has answered the ones before.
    pub pipelining: bool,
    /// What it is.
    pub description: Option<String>,
    /// Whether it is used at all.
    pub enabled: bool,
    /// What is answered when it fails.
    pub fallback_status: Fallback,
    /// The same for a single kind of failure, where it is not [`fallback_status`](Self::fallback_status).
    pub fallback_status_at: FallbackByKind,
    /// Its verdicts and edits are noted and not applied.
    pub evaluation_mode: bool,
    /// It needs no other milter's edits and may see mail that another refuses: it runs beside the others.
    pub independent: bool,
    /// The conditions that may stop it, in the order in which they are asked.
    pub applicable_conditions: Vec<AppliedCondition>,
    /// The program that starts it.
    pub command: Option<String>,
    /// The program's options, escaped for a shell.
    pub command_options: Option<String>,
    /// As whom the program runs.
    pub user_name: Option<String>,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// Where it was defined last.
    pub location: Option<Location>,
    /// Where a property was given its value, by its name such as `enabled`; absent: it is the default.
    pub locations: BTreeMap<&'static str, Location>,
}

impl Milter {
    /// A milter of which only the name is known.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            connection_specs: Vec::new(),
            connections: Connections::default(),
            pipelining: true,
            description: None,
            enabled: true,
            fallback_status: Fallback::Accept,
            fallback_status_at: FallbackByKind::default(),
            evaluation_mode: false,
            independent: false,
            applicable_conditions: Vec::new(),
            command: None,
            command_options: None,
            user_name: None,
            timeouts: Timeouts::default(),
            location: None,
            locations: BTreeMap::new(),
        }
    }

    /// What is answered when it fails in this way.
    #[must_use]
    pub fn fallback(&self, kind: FailureKind) -> Fallback {
        let single = match kind {
            FailureKind::Connect => self.fallback_status_at.connect,
            FailureKind::Timeout => self.fallback_status_at.timeout,
            FailureKind::Protocol => self.fallback_status_at.protocol_error,
            FailureKind::Closed => self.fallback_status_at.close,
        };
        single.unwrap_or(self.fallback_status)
    }
}
