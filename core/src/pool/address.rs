//! One place to connect to.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;

use crate::policy::Endpoint;

/// A place to connect to: an endpoint has one of them, or as many as its host has addresses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A unix socket path.
    Unix(Arc<[u8]>),
    /// A TCP address.
    Tcp(SocketAddr),
}

impl fmt::Display for Address {
    /// As a `connection_spec` of the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", String::from_utf8_lossy(path)),
            Self::Tcp(SocketAddr::V4(address)) => write!(f, "inet:{}@[{}]", address.port(), address.ip()),
            Self::Tcp(SocketAddr::V6(address)) => write!(f, "inet6:{}@[{}]", address.port(), address.ip()),
        }
    }
}

/// The address number `index` of an endpoint, in the order to try them.
pub(super) fn nth(endpoint: &Endpoint, index: usize) -> Option<Address> {
    match endpoint {
        Endpoint::Unix(path) => (index == 0).then(|| Address::Unix(Arc::clone(path))),
        Endpoint::Tcp(addresses) => addresses.get(index).copied().map(Address::Tcp),
    }
}

/// All addresses of an endpoint.
pub(super) fn all(endpoint: &Endpoint) -> impl Iterator<Item = Address> + '_ {
    (0..).map_while(|index| nth(endpoint, index))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn an_address_reads_as_in_the_configuration() {
        assert_eq!(Address::Unix(Arc::from(*b"/run/x.sock")).to_string(), "unix:/run/x.sock");
        let tcp = |text: &str| Address::Tcp(text.parse().unwrap()).to_string();
        assert_eq!(tcp("127.0.0.1:10025"), "inet:10025@[127.0.0.1]");
        assert_eq!(tcp("[::1]:10025"), "inet6:10025@[::1]");
    }
}
