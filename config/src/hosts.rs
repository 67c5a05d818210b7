//! The addresses of the host names of milters, and what became of them since.
//!
//! ```text
//!   a load: every name is looked up        later, each time that its addresses hold no longer
//!
//!                            +-- the same, in whatever order --> as before
//!   none --> a problem       |
//!   some --> known ----------+-- others --> Moved: they hold from then on
//!                            |
//!                            +-- none --> Lost: the last ones hold --> ... --> Found, or Moved
//! ```
//!
//! A resolver tells for how long an answer holds, or it does not, as that of the system: then `manager.resolve_interval` counts.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::configuration::Configuration;
use crate::connection_spec::{Family, Found, of_family};

/// Who knows the addresses of host names.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The addresses of `host`, best first, with any port. Those of the other family do not count. May block.
    ///
    /// # Errors
    ///
    /// What the resolver says when there are none.
    fn addresses(&self, host: &str, family: Family) -> Result<Addresses, String>;
}

/// What a resolver has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The addresses.
    pub found: Vec<SocketAddr>,
    /// For how long they hold; `None` when nobody says so.
    pub hold: Option<Duration>,
}

/// The resolver of the system: `/etc/hosts`, DNS and what `nsswitch.conf` names.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn addresses(&self, host: &str, _family: Family) -> Result<Addresses, String> {
        // Without the standard library's words before those of the resolver.
        let message = |error: std::io::Error| {
            let text = error.to_string();
            text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
        };
        let found = (host, 0).to_socket_addrs().map_err(message)?.collect();
        Ok(Addresses { found, hold: None })
    }
}

/// The host names of the enabled milters of a configuration, with their addresses.
#[derive(Debug, Clone)]
pub struct Hosts {
    resolver: Arc<dyn Resolver>,
    /// For how long addresses hold of which nobody says it, and after how long what failed is tried again; `None`: all
    /// hold until the next load.
    interval: Option<Duration>,
    known: BTreeMap<(String, Family), Known>,
}

#[derive(Debug, Clone)]
struct Known {
    /// What was found last. Empty when nothing ever was.
    addresses: Vec<SocketAddr>,
    /// Why nothing was found at the last look-up.
    failure: Option<String>,
    /// When it is looked up again; `None`: it is not.
    due: Option<Instant>,
}

/// What another look-up has brought.
///
/// Shown as `scanner.example: 192.0.2.1 -> 192.0.2.2, 192.0.2.3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostChange {
    /// It has other addresses.
    Moved {
        /// The host name.
        host: String,
        /// The addresses that it had.
        from: Vec<SocketAddr>,
        /// The addresses that it has.
        to: Vec<SocketAddr>,
    },
    /// It has none any more.
    Lost {
        /// The host name.
        host: String,
        /// What the resolver said.
        message: String,
        /// The addresses that it had, which hold on.
        keeps: Vec<SocketAddr>,
    },
    /// It has the same as before it was lost.
    Found {
        /// The host name.
        host: String,
        /// Its addresses.
        addresses: Vec<SocketAddr>,
    },
}

impl Hosts {
    /// No names yet.
    #[must_use]
    pub fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver, interval: None, known: BTreeMap::new() }
    }

    /// The names of the enabled milters of `configuration`, all looked up at `now`. What [`policy`] says is a problem when
    /// there is no address.
    ///
    /// A name with the addresses that it had keeps their order, which DNS servers rotate: an unchanged configuration
    /// gives an unchanged policy. Blocks meanwhile.
    ///
    /// [`policy`]: Configuration::policy_at
    #[must_use]
    pub fn of(&self, configuration: &Configuration, now: Instant) -> Self {
        let seconds = configuration.manager.resolve_interval;
        let interval = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        let mut hosts = Self { interval, ..Self::new(Arc::clone(&self.resolver)) };
        let specs = configuration
            .milters
            .iter()
            .filter(|milter| milter.enabled)
            .flat_map(|milter| &milter.connection_specs);
        for (name, family) in specs.filter_map(|spec| spec.name()) {
            hosts.known.entry((name.to_owned(), family)).or_insert_with_key(|key| {
                let (found, hold) = look_up(&*self.resolver, key);
                let due = due(&key.0, hold, interval, now);
                match found {
                    Err(message) => Known { addresses: Vec::new(), failure: Some(message), due },
                    Ok(found) => match self.known.get(key) {
                        Some(before) if same(&before.addresses, &found) => {
                            Known { addresses: before.addresses.clone(), failure: None, due }
                        }
                        _ => Known { addresses: found, failure: None, due },
                    },
                }
            });
        }
        hosts
    }

    /// When the next name is to be [looked up again](Self::look_again); `None`: none of them, until the next load.
    #[must_use]
    pub fn next_look(&self) -> Option<Instant> {
        self.known.values().filter_map(|known| known.due).min()
    }

    /// What has changed since `before` about the names that were known there, too.
    #[must_use]
    pub fn changes_since(&self, before: &Self) -> Vec<HostChange> {
        let change = |(key, known): (&(String, Family), &Known)| {
            let found = known.failure.clone().map_or_else(|| Ok(known.addresses.clone()), Err);
            before.known.get(key)?.clone().change(&key.0, found)
        };
        self.known.iter().filter_map(change).collect()
    }

    /// Looks those names up again whose addresses hold no longer at `now`. Blocks meanwhile.
    #[must_use = "an address that has changed counts with the next policy"]
    pub fn look_again(&mut self, now: Instant) -> Vec<HostChange> {
        let Self { resolver, interval, known } = self;
        let again = known.iter_mut().filter(|(_, known)| known.due.is_some_and(|due| due <= now));
        let change = |(key, known): (&(String, Family), &mut Known)| {
            let (found, hold) = look_up(&**resolver, key);
            known.due = due(&key.0, hold, *interval, now);
            known.change(&key.0, found)
        };
        again.filter_map(change).collect()
    }

    /// What is known of a name.
    pub(crate) fn addresses(&self, name: &str, family: Family) -> Found {
        match self.known.get(&(name.to_owned(), family)) {
            Some(Known { addresses, .. }) if !addresses.is_empty() => Ok(addresses.clone()),
            Some(Known { failure: Some(message), .. }) => Err(message.clone()),
            _ => Err("not looked up".to_owned()),
        }
    }
}

impl Default for Hosts {
    /// No names yet, to be looked up by the system.
    fn default() -> Self {
        Self::new(Arc::new(SystemResolver))
    }
}

impl Known {
    fn change(&mut self, host: &str, found: Found) -> Option<HostChange> {
        let host = host.to_owned();
        match found {
            Err(message) => {
                let first = self.failure.replace(message.clone()).is_none();
                first.then(|| HostChange::Lost { host, message, keeps: self.addresses.clone() })
            }
            Ok(found) if same(&self.addresses, &found) => {
                self.failure.take().map(|_| HostChange::Found { host, addresses: self.addresses.clone() })
            }
            Ok(found) => {
                self.failure = None;
                let from = std::mem::replace(&mut self.addresses, found.clone());
                Some(HostChange::Moved { host, from, to: found })
            }
        }
    }
}

/// What is found, and for how long it holds.
fn look_up(resolver: &dyn Resolver, (name, family): &(String, Family)) -> (Found, Option<Duration>) {
    match resolver.addresses(name, *family) {
        Ok(addresses) => (of_family(addresses.found, *family), addresses.hold),
        Err(message) => (Err(message), None),
    }
}

/// An address without brackets is a name that never changes.
fn due(name: &str, hold: Option<Duration>, interval: Option<Duration>, now: Instant) -> Option<Instant> {
    let interval = interval.filter(|_| name.parse::<IpAddr>().is_err())?;
    now.checked_add(hold.unwrap_or(interval))
}

/// In whatever order. Neither has doubles.
fn same(some: &[SocketAddr], others: &[SocketAddr]) -> bool {
    some.len() == others.len() && some.iter().all(|address| others.contains(address))
}

impl fmt::Display for HostChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved { host, from, to } => write!(f, "{host}: {} -> {}", list(from), list(to)),
            Self::Lost { host, message, keeps } => {
                write!(f, "{host} cannot be looked up, {} holds on: {message}", list(keeps))
            }
            Self::Found { host, addresses } => {
                write!(f, "{host} can be looked up again: {}", list(addresses))
            }
        }
    }
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(", ")
}
