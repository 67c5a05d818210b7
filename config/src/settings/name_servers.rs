//! Name servers: addresses, with a port where it is not 53.

use std::net::{IpAddr, SocketAddr};

use crate::problem::Complaint;
use crate::value::Value;

/// The port of a name server (RFC 1035).
const DNS: u16 = 53;

/// Most that are of use: each that does not answer takes its share of a question's time.
const MOST: usize = 10;

/// The name servers that `value` names: one, some, or with nil those of the system.
pub(crate) fn read(target: &str, value: &Value) -> Result<Vec<SocketAddr>, Complaint> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::Array(values) if values.read().len() <= MOST => {
            values.read().iter().map(|value| one(target, value)).collect()
        }
        Value::Array(values) => Err(Complaint::new(format!(
            "{target} should name at most {MOST} name servers but has {}",
            values.read().len()
        ))),
        one_value => Ok(vec![one(target, one_value)?]),
    }
}

fn one(target: &str, value: &Value) -> Result<SocketAddr, Complaint> {
    let address = match value {
        Value::Text(text) => text
            .as_str()
            .parse()
            .or_else(|_| text.as_str().parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS)))
            .ok()
            .filter(|address| address.port() > 0),
        _ => None,
    };
    address.ok_or_else(|| {
        Complaint::with_hint(
            format!("{target} should be addresses of name servers but has {}", value.inspect()),
            "write \"192.0.2.1\", \"2001:db8::1\", or with a port \"192.0.2.1:5353\", \"[2001:db8::1]:5353\"; several in an array",
        )
    })
}

/// As it is shown: the port only where it has to be.
pub(super) fn show(address: &SocketAddr) -> String {
    if address.port() == DNS { address.ip().to_string() } else { address.to_string() }
}
