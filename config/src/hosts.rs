//! The addresses of the host names of milters, and what became of them since.
//!
//! ```text
//!   a load: every name is looked up        later, again and again
//!
//!                            +-- the same, in whatever order --> as before
//!   none --> a problem       |
//!   some --> known ----------+-- others --> Moved: they hold from then on
//!                            |
//!                            +-- none --> Lost: the last ones hold --> ... --> Found, or Moved
//! ```
//!
//! The system's resolver does not tell for how long an answer holds, so it is asked at an interval.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use crate::configuration::Configuration;
use crate::connection_spec::{Family, Found, of_family};

/// Who knows the addresses of host names.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The addresses of `host`, best first, with any port. May block.
    ///
    /// # Errors
    ///
    /// What the resolver says when there are none.
    fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, String>;
}

/// The resolver of the system: `/etc/hosts`, DNS and what `nsswitch.conf` names.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, String> {
        // Without the standard library's words before those of the resolver.
        let message = |error: std::io::Error| {
            let text = error.to_string();
            text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
        };
        (host, 0).to_socket_addrs().map(Iterator::collect).map_err(message)
    }
}

/// The host names of the enabled milters of a configuration, with their addresses.
#[derive(Debug, Clone)]
pub struct Hosts {
    resolver: Arc<dyn Resolver>,
    known: BTreeMap<(String, Family), Known>,
}

#[derive(Debug, Clone)]
struct Known {
    /// What was found last. Empty when nothing ever was.
    addresses: Vec<SocketAddr>,
    /// Why nothing was found at the last look-up.
    failure: Option<String>,
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
        Self { resolver, known: BTreeMap::new() }
    }

    /// The names of the enabled milters of `configuration`, all looked up now. What [`policy`] says is a problem when
    /// there is no address.
    ///
    /// A name with the addresses that it had keeps their order, which DNS servers rotate: an unchanged configuration
    /// gives an unchanged policy. Blocks meanwhile.
    ///
    /// [`policy`]: Configuration::policy_at
    #[must_use]
    pub fn of(&self, configuration: &Configuration) -> Self {
        let mut hosts = Self::new(Arc::clone(&self.resolver));
        let specs = configuration
            .milters
            .iter()
            .filter(|milter| milter.enabled)
            .flat_map(|milter| &milter.connection_specs);
        for (name, family) in specs.filter_map(|spec| spec.name()) {
            hosts.known.entry((name.to_owned(), family)).or_insert_with_key(|key| {
                match look_up(&*self.resolver, key) {
                    Err(message) => Known { addresses: Vec::new(), failure: Some(message) },
                    Ok(found) => match self.known.get(key) {
                        Some(before) if same(&before.addresses, &found) => {
                            Known { addresses: before.addresses.clone(), failure: None }
                        }
                        _ => Known { addresses: found, failure: None },
                    },
                }
            });
        }
        hosts
    }

    /// Whether there is no name whose addresses could change; an address without brackets is none.
    #[must_use]
    pub fn are_fixed(&self) -> bool {
        self.known.keys().all(|(name, _)| name.parse::<IpAddr>().is_ok())
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

    /// Looks all names up again. Blocks meanwhile.
    #[must_use = "an address that has changed counts with the next policy"]
    pub fn look_again(&mut self) -> Vec<HostChange> {
        let Self { resolver, known } = self;
        known.iter_mut().filter_map(|(key, known)| known.change(&key.0, look_up(&**resolver, key))).collect()
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

fn look_up(resolver: &dyn Resolver, (name, family): &(String, Family)) -> Found {
    of_family(resolver.addresses(name)?, *family)
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
