//! The address that a connect stopper is given, and networks of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use millstream_core::wire::ClientAddress;

use super::text::Text;

/// Where the client is connected from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Inet(IpAddr, u16),
    Unix(Text),
    Unknown,
}

impl Address {
    pub(crate) fn of(client: &ClientAddress) -> Self {
        match client {
            ClientAddress::Ip(address, port) => Self::Inet(*address, *port),
            ClientAddress::Unix(path) => Self::Unix(Text::of(path.clone())),
            ClientAddress::OddIp { .. } | ClientAddress::Unknown => Self::Unknown,
        }
    }

    /// Loopback and private networks, as milter manager counts them: not 169.254/16, 100.64/10 and fc00::/7.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Inet(IpAddr::V4(address), _) => address.is_loopback() || address.is_private(),
            Self::Inet(IpAddr::V6(address), _) => {
                address.is_loopback() || address.segments()[0] & 0xffc0 == 0xfe80
            }
            Self::Unix(_) => true,
            Self::Unknown => false,
        }
    }

    /// The network of this address alone.
    pub(crate) fn network(&self) -> Option<Network> {
        match self {
            Self::Inet(address, _) => Some(Network::host(*address)),
            Self::Unix(_) | Self::Unknown => None,
        }
    }

    /// The bytes of a `sockaddr`, in Linux's layout.
    pub(crate) fn pack(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Self::Inet(IpAddr::V4(address), port) => {
                bytes.extend(2u16.to_ne_bytes());
                bytes.extend(port.to_be_bytes());
                bytes.extend(address.octets());
                bytes.extend([0; 8]);
            }
            Self::Inet(IpAddr::V6(address), port) => {
                bytes.extend(10u16.to_ne_bytes());
                bytes.extend(port.to_be_bytes());
                bytes.extend([0; 4]);
                bytes.extend(address.octets());
                bytes.extend([0; 4]);
            }
            Self::Unix(path) => {
                bytes.extend(1u16.to_ne_bytes());
                bytes.extend_from_slice(path);
            }
            Self::Unknown => return None,
        }
        Some(bytes)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(IpAddr::V4(address), port) => write!(f, "inet:{port}@[{address}]"),
            Self::Inet(IpAddr::V6(address), port) => write!(f, "inet6:{port}@[{address}]"),
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// Addresses with the same first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// One address.
    pub(crate) fn host(address: IpAddr) -> Self {
        Self { address, bits: most_bits(address) }
    }

    /// `ADDRESS` or `ADDRESS/BITS`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(text, bits)| (text, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let most = most_bits(address);
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most)?,
            None => most,
        };
        let address = match address {
            IpAddr::V4(address) => IpAddr::V4((u32::from(address) & mask_v4(bits)).into()),
            IpAddr::V6(address) => IpAddr::V6((u128::from(address) & mask_v6(bits)).into()),
        };
        Some(Self { address, bits })
    }

    /// Whether all of `other` is in it.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        other.bits >= self.bits
            && match (self.address, other.address) {
                (IpAddr::V4(own), IpAddr::V4(other)) => u32::from(other) & mask_v4(self.bits) == own.into(),
                (IpAddr::V6(own), IpAddr::V6(other)) => u128::from(other) & mask_v6(self.bits) == own.into(),
                _ => false,
            }
    }

    /// The text that [`parse`](Self::parse) takes for it.
    pub(crate) fn written(&self) -> String {
        if self.bits == most_bits(self.address) {
            self.address.to_string()
        } else {
            format!("{}/{}", self.address, self.bits)
        }
    }

    /// As Ruby's `IPAddr#inspect`.
    pub(crate) fn inspect(&self) -> String {
        match self.address {
            IpAddr::V4(address) => {
                format!("#<IPAddr: IPv4:{address}/{}>", Ipv4Addr::from(mask_v4(self.bits)))
            }
            IpAddr::V6(address) => format!("#<IPAddr: IPv6:{address}/{}>", self.bits),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)
    }
}

fn most_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask_v4(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0)
}

fn mask_v6(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0)
}
