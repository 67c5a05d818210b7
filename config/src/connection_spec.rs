//! Connection specifications: `unix:PATH`, `inet:PORT@HOST`, `inet6:PORT@[ADDRESS]`.
//!
//! The error texts are those of milter manager.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use millstream_core::policy::Endpoint;

use crate::hosts::{Resolver as _, SystemResolver};

/// Where to listen or connect, as somebody has written it.
///
/// Displayed as it was written, which is what milter manager prints of one; two are equal that mean the same place.
#[derive(Debug, Clone)]
pub struct ConnectionSpec {
    written: Box<str>,
    place: Place,
}

/// What a connection specification means. Displayed as one that is read as this.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// `unix:PATH` or `local:PATH`.
    Unix(PathBuf),
    /// `inet:PORT[@HOST]`: TCP over IPv4.
    Inet {
        /// The host, `None` for any address.
        host: Option<Host>,
        /// The port.
        port: u16,
    },
    /// `inet6:PORT[@HOST]`: TCP over IPv6.
    Inet6 {
        /// The host, `None` for any address.
        host: Option<Host>,
        /// The port.
        port: u16,
    },
}

/// The host in a connection specification.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// `[ADDRESS]`, of the family of the specification.
    Address(IpAddr),
    /// A name, or an address without brackets, as written.
    Name(String),
}

/// Why a text is no connection specification, or has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// There is no `:`.
    #[error("spec doesn't have colon: <{spec}>")]
    NoColon {
        /// The whole text.
        spec: String,
    },
    /// Nothing follows the first `:`.
    #[error("spec doesn't have content: <{spec}>")]
    NoContent {
        /// The whole text.
        spec: String,
    },
    /// The word before the first `:` is none of those known.
    #[error("protocol must be 'unix', 'inet' or 'inet6': <{spec}>: <{protocol}>")]
    Protocol {
        /// The whole text.
        spec: String,
        /// That word.
        protocol: String,
    },
    /// The port is not a number.
    #[error("port number has invalid character: <{spec}>: <{character}>")]
    PortCharacter {
        /// The whole text.
        spec: String,
        /// The first character that is not a digit.
        character: char,
    },
    /// The port is above 65535.
    #[error("port number should be less than 65536: <{spec}>: <{port}>")]
    PortRange {
        /// The whole text.
        spec: String,
        /// The port as written.
        port: String,
    },
    /// The host begins with `[` and does not end with `]`.
    #[error("']' is missing: <{spec}>: <{rest}>")]
    Bracket {
        /// The whole text.
        spec: String,
        /// The host from its `[`.
        rest: String,
    },
    /// What stands in brackets is no address of this family.
    #[error("invalid host address: <{spec}>: <{address}>")]
    Address {
        /// The whole text.
        spec: String,
        /// What stands in the brackets.
        address: String,
    },
    /// The host name has no address of this family.
    #[error("invalid host address: <{spec}>: <{host}>: {message}")]
    Resolve {
        /// The whole text.
        spec: String,
        /// The name.
        host: String,
        /// What the resolver said.
        message: String,
    },
}

/// Which addresses of a host name count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4: `inet:`.
    V4,
    /// IPv6: `inet6:`.
    V6,
}

/// The addresses of a host name, of whatever port; or why there are none.
pub(crate) type Found = Result<Vec<SocketAddr>, String>;

impl PartialEq for ConnectionSpec {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for ConnectionSpec {}

impl From<Place> for ConnectionSpec {
    fn from(place: Place) -> Self {
        Self { written: place.to_string().into(), place }
    }
}

impl ConnectionSpec {
    /// What it means.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The path, where it is one of a unix socket.
    #[must_use]
    pub fn unix_path(&self) -> Option<&Path> {
        match &self.place {
            Place::Unix(path) => Some(path),
            Place::Inet { .. } | Place::Inet6 { .. } => None,
        }
    }

    /// Where to connect: without a host, the loopback address.
    ///
    /// Blocks while a host name is looked up.
    ///
    /// # Errors
    ///
    /// [`SpecError::Resolve`] when a host name has no address of the family.
    pub fn resolve(&self) -> Result<Endpoint, SpecError> {
        self.resolve_with(look_up)
    }

    /// The same with other means to look a host name up.
    pub(crate) fn resolve_with(
        &self,
        look_up: impl FnOnce(&str, Family) -> Found,
    ) -> Result<Endpoint, SpecError> {
        self.endpoint(Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), look_up)
    }

    /// The host name that has to be looked up.
    pub(crate) fn name(&self) -> Option<(&str, Family)> {
        let (host, family) = match &self.place {
            Place::Unix(_) => return None,
            Place::Inet { host, .. } => (host, Family::V4),
            Place::Inet6 { host, .. } => (host, Family::V6),
        };
        match host {
            Some(Host::Name(name)) => Some((name, family)),
            _ => None,
        }
    }

    /// Where to listen: without a host, any address.
    ///
    /// Blocks while a host name is looked up.
    ///
    /// # Errors
    ///
    /// [`SpecError::Resolve`] when a host name has no address of the family.
    pub fn bind_addresses(&self) -> Result<Endpoint, SpecError> {
        self.endpoint(Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into(), look_up)
    }

    fn endpoint(
        &self,
        any_v4: IpAddr,
        any_v6: IpAddr,
        look_up: impl FnOnce(&str, Family) -> Found,
    ) -> Result<Endpoint, SpecError> {
        let (host, port, family, any) = match &self.place {
            Place::Unix(path) => return Ok(Endpoint::Unix(path.as_os_str().as_encoded_bytes().into())),
            Place::Inet { host, port } => (host, *port, Family::V4, any_v4),
            Place::Inet6 { host, port } => (host, *port, Family::V6, any_v6),
        };
        let mut addresses = match host {
            None => vec![SocketAddr::new(any, port)],
            Some(Host::Address(address)) => vec![SocketAddr::new(*address, port)],
            Some(Host::Name(name)) => look_up(name, family).map_err(|message| SpecError::Resolve {
                spec: self.to_string(),
                host: name.clone(),
                message,
            })?,
        };
        addresses.iter_mut().for_each(|address| address.set_port(port));
        Ok(Endpoint::Tcp(addresses.into()))
    }
}

impl FromStr for ConnectionSpec {
    type Err = SpecError;

    /// Reads the text without looking a host name up.
    fn from_str(text: &str) -> Result<Self, SpecError> {
        let spec = || text.to_owned();
        let (protocol, content) = text.split_once(':').ok_or_else(|| SpecError::NoColon { spec: spec() })?;
        if content.is_empty() {
            return Err(SpecError::NoContent { spec: spec() });
        }
        let place = match protocol {
            "unix" | "local" => Place::Unix(PathBuf::from(content)),
            "inet" => {
                let (host, port) = host_and_port(text, content, Family::V4)?;
                Place::Inet { host, port }
            }
            "inet6" => {
                let (host, port) = host_and_port(text, content, Family::V6)?;
                Place::Inet6 { host, port }
            }
            other => return Err(SpecError::Protocol { spec: spec(), protocol: other.to_owned() }),
        };
        Ok(Self { written: text.into(), place })
    }
}

impl fmt::Display for ConnectionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (protocol, host, port) = match self {
            Self::Unix(path) => return write!(f, "unix:{}", path.display()),
            Self::Inet { host, port } => ("inet", host, port),
            Self::Inet6 { host, port } => ("inet6", host, port),
        };
        match host {
            None => write!(f, "{protocol}:{port}"),
            Some(Host::Address(address)) => write!(f, "{protocol}:{port}@[{address}]"),
            Some(Host::Name(name)) => write!(f, "{protocol}:{port}@{name}"),
        }
    }
}

/// The reference's order: characters of the port, then the host, then the range of the port.
fn host_and_port(text: &str, content: &str, family: Family) -> Result<(Option<Host>, u16), SpecError> {
    let spec = || text.to_owned();
    let (digits, host) = match content.split_once('@') {
        Some((digits, host)) => (digits, Some(host)),
        None => (content, None),
    };
    if let Some(character) = digits.chars().find(|c| !c.is_ascii_digit()) {
        return Err(SpecError::PortCharacter { spec: spec(), character });
    }
    let host = host.map(|host| parse_host(text, host, family)).transpose()?;
    let port = if digits.is_empty() {
        0
    } else {
        digits.parse().map_err(|_| SpecError::PortRange { spec: spec(), port: digits.to_owned() })?
    };
    Ok((host, port))
}

fn parse_host(text: &str, host: &str, family: Family) -> Result<Host, SpecError> {
    let Some(rest) = host.strip_prefix('[') else {
        if host.is_empty() {
            return Err(SpecError::Address { spec: text.to_owned(), address: String::new() });
        }
        return Ok(Host::Name(host.to_owned()));
    };
    let Some(address) = rest.strip_suffix(']') else {
        return Err(SpecError::Bracket { spec: text.to_owned(), rest: host.to_owned() });
    };
    let parsed = match family {
        Family::V4 => address.parse::<Ipv4Addr>().map(IpAddr::V4),
        Family::V6 => address.parse::<Ipv6Addr>().map(IpAddr::V6),
    };
    parsed
        .map(Host::Address)
        .map_err(|_| SpecError::Address { spec: text.to_owned(), address: address.to_owned() })
}

/// Asks the system's resolver.
fn look_up(name: &str, family: Family) -> Found {
    of_family(SystemResolver.addresses(name, family)?.found, family)
}

/// Those of `found` in `family`, without doubles, in the resolver's order. There is at least one.
pub(crate) fn of_family(found: Vec<SocketAddr>, family: Family) -> Found {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for mut address in found.into_iter().filter(|address| address.is_ipv4() == (family == Family::V4)) {
        address.set_port(0);
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(match family {
            Family::V4 => "no IPv4 address".to_owned(),
            Family::V6 => "no IPv6 address".to_owned(),
        });
    }
    Ok(addresses)
}
