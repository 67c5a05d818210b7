//! What a configuration may say and hardly means: told at each load, with its place.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use millstream_core::limits::Limits;
use millstream_core::policy::{EndpointChoice, FailureKind, Fallback, Timeouts};

use crate::configuration::{Configuration, Location};
use crate::connection_spec::{ConnectionSpec, Host, Place};
use crate::inspect;
use crate::milter::{Connections, Milter};

/// A remark about an enabled milter.
///
/// Shown as `FILE:LINE: milter.reading_timeout of "clamav" is 60.0 s, but ...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The milter.
    pub milter: String,
    /// The line that it is about; `None` when it has none in the files.
    pub location: Option<Location>,
    /// What is to be known.
    pub about: About,
}

/// What a [`Warning`] is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A time limit is longer than the whole chain has for an answer.
    TooLong {
        /// The property, such as `reading_timeout`.
        property: &'static str,
        /// Its value.
        limit: Duration,
        /// When the MTA is answered.
        answered: Answered,
    },
    /// An earlier milter has the same socket: the same program is asked twice.
    SameSocket {
        /// That milter.
        as_of: String,
    },
    /// The same socket is named twice for one milter: where one fails the other does, too.
    SocketTwice {
        /// That socket.
        spec: ConnectionSpec,
    },
    /// A property that does nothing as the others are.
    Useless {
        /// The property, such as `queue_timeout`.
        property: &'static str,
        /// What it needs to do something.
        needs: &'static str,
    },
    /// When it fails the mail goes on as if it were not there.
    LetsMailPass {
        /// At which failures.
        at: Vec<FailureKind>,
    },
}

/// When the MTA is answered, whoever of the milters has not decided by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// As `manager.command_time_limit` or `manager.message_time_limit` says.
    Configured {
        /// That setting.
        setting: &'static str,
        /// Its value.
        after: Duration,
    },
    /// Three seconds before the MTA gives up.
    ByMta {
        /// Behind Postfix.
        postfix: Duration,
        /// Behind Sendmail and unknown MTAs.
        others: Duration,
    },
}

/// Core's budgets without a setting (core `chain/mta.rs`): three seconds below the limits of Postfix and Sendmail.
const COMMAND: Answered =
    Answered::ByMta { postfix: Duration::from_secs(27), others: Duration::from_secs(7) };
const MESSAGE: Answered =
    Answered::ByMta { postfix: Duration::from_secs(297), others: Duration::from_secs(297) };

impl Configuration {
    /// What will hardly do what is meant, milter by milter in their order.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut taken: HashMap<Place, usize> = HashMap::new();
        for (at, milter) in self.milters.iter().enumerate().filter(|(_, milter)| milter.enabled) {
            let sockets = sockets(milter);
            if let Some(earlier) = sockets.iter().filter_map(|socket| taken.get(socket)).min() {
                let as_of = self.milters[*earlier].name.clone();
                warnings.push(warning(milter, "connection_spec", About::SameSocket { as_of }));
            }
            warnings.extend(socket_twice(milter, &sockets));
            for socket in sockets {
                taken.entry(socket).or_insert(at);
            }
            warnings.extend(too_long(milter, &self.manager.limits));
            warnings.extend(useless(milter));
        }
        warnings
    }

    /// What is usual and still worth a line at a low level: the milters without which mail passes when they fail.
    #[must_use]
    pub fn notes(&self) -> Vec<Warning> {
        let enforcing = self.milters.iter().filter(|milter| milter.enabled && !milter.evaluation_mode);
        enforcing.filter_map(lets_mail_pass).collect()
    }
}

fn socket_twice(milter: &Milter, sockets: &[Place]) -> Option<Warning> {
    let again = (1..sockets.len()).find(|at| sockets[..*at].contains(&sockets[*at]))?;
    let spec = milter.connection_specs[again].clone();
    Some(warning(milter, "connection_spec", About::SocketTwice { spec }))
}

/// Where it is connected to, without asking for the addresses of names.
fn sockets(milter: &Milter) -> Vec<Place> {
    let local = |address: IpAddr| Some(Host::Address(address));
    let with_address = |spec: &ConnectionSpec| match spec.place().clone() {
        Place::Inet { host: None, port } => Place::Inet { host: local(Ipv4Addr::LOCALHOST.into()), port },
        Place::Inet6 { host: None, port } => Place::Inet6 { host: local(Ipv6Addr::LOCALHOST.into()), port },
        place => place,
    };
    milter.connection_specs.iter().map(with_address).collect()
}

/// What somebody set, waiting for it to help.
fn useless(milter: &Milter) -> impl Iterator<Item = Warning> + '_ {
    let connections = &milter.connections;
    let default = Connections::default();
    let unlimited = connections.max_connections == 0;
    let closed = !connections.reuse_connections;
    let single = milter.connection_specs.len() == 1;
    let list =
        "several sockets in milter.connection_spec; the addresses of a host name are tried in their order";
    let reuse = "milter.reuse_connections = true";
    let table = [
        ("endpoint_choice", single && connections.endpoint_choice != EndpointChoice::Failover, list),
        (
            "queue_timeout",
            unlimited && connections.queue_timeout != default.queue_timeout,
            "milter.max_connections",
        ),
        ("reuse_idle_time", closed && connections.reuse_idle_time != default.reuse_idle_time, reuse),
        ("reuse_age", closed && connections.reuse_age != default.reuse_age, reuse),
    ];
    table
        .into_iter()
        .filter(|(_, useless, _)| *useless)
        .map(|(property, _, needs)| warning(milter, property, About::Useless { property, needs }))
}

/// A limit that nobody set is not told: that of connecting is above the budget by default, as in milter manager.
fn too_long<'m>(milter: &'m Milter, limits: &Limits) -> impl Iterator<Item = Warning> + 'm {
    let configured = |setting, budget: Option<Duration>, otherwise| {
        budget.map_or(otherwise, |after| Answered::Configured { setting, after })
    };
    let command = configured("manager.command_time_limit", limits.command_budget, COMMAND);
    let message = configured("manager.message_time_limit", limits.message_budget, MESSAGE);
    let default = Timeouts::default();
    let timeouts = &milter.timeouts;
    let waiting = Connections::default().queue_timeout;
    // Without a limit nobody waits, which is told by itself.
    let queue =
        if milter.connections.max_connections > 0 { milter.connections.queue_timeout } else { waiting };
    let table = [
        ("connection_timeout", timeouts.connection, default.connection, command),
        ("writing_timeout", timeouts.writing, default.writing, command),
        ("reading_timeout", timeouts.reading, default.reading, command),
        ("end_of_message_timeout", timeouts.end_of_message, default.end_of_message, message),
        ("queue_timeout", queue, waiting, command),
    ];
    table
        .into_iter()
        .filter(|(property, limit, default, _)| limit != default && milter.locations.contains_key(property))
        .filter(|(_, limit, _, answered)| *limit > answered.earliest())
        .map(|(property, limit, _, answered)| {
            warning(milter, property, About::TooLong { property, limit, answered })
        })
}

fn lets_mail_pass(milter: &Milter) -> Option<Warning> {
    let at: Vec<_> =
        FailureKind::ALL.into_iter().filter(|kind| milter.fallback(*kind) == Fallback::Accept).collect();
    (!at.is_empty()).then(|| warning(milter, "fallback_status", About::LetsMailPass { at }))
}

fn warning(milter: &Milter, property: &str, about: About) -> Warning {
    let location = milter.locations.get(property).or(milter.location.as_ref());
    Warning { milter: milter.name.clone(), location: location.cloned(), about }
}

impl Answered {
    /// The soonest, whatever the MTA is.
    fn earliest(self) -> Duration {
        match self {
            Self::Configured { after, .. } => after,
            Self::ByMta { postfix, others } => postfix.min(others),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        let name = inspect::string(&self.milter);
        match &self.about {
            About::TooLong { property, limit, answered } => {
                write!(
                    f,
                    "milter.{property} of {name} is {}, but the MTA is answered {answered}",
                    seconds(*limit)
                )
            }
            About::SameSocket { as_of } => {
                write!(f, "milter {name} has the socket of {}: it is asked twice", inspect::string(as_of))
            }
            About::SocketTwice { spec } => write!(f, "milter {name} has the socket {spec} twice"),
            About::Useless { property, needs } => {
                write!(f, "milter.{property} of {name} does nothing without {needs}")
            }
            About::LetsMailPass { at } => {
                write!(f, "mail passes without milter {name} when it fails (fallback_status is accept")?;
                if at.len() < FailureKind::ALL.len() {
                    let words: Vec<_> = at.iter().map(|kind| word(*kind)).collect();
                    write!(f, ", at {}", words.join(", "))?;
                }
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Configured { setting, after } => write!(f, "after {} ({setting})", seconds(after)),
            Self::ByMta { postfix, others } if postfix == others => write!(f, "after {}", seconds(postfix)),
            Self::ByMta { postfix, others } => {
                write!(f, "after {} behind Postfix and {} behind others", seconds(postfix), seconds(others))
            }
        }
    }
}

/// As in the names of `milter.fallback_status_at_...`.
fn word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Connect => "connect",
        FailureKind::Timeout => "timeout",
        FailureKind::Protocol => "protocol_error",
        FailureKind::Closed => "close",
    }
}

fn seconds(limit: Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}
