//! Loopback ports for servers that open their own only later, while other tests and other suites look for some.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Where they are looked for: below those that Linux gives to clients.
const FREE: Range<u16> = 20_000..32_768;

/// The first of `count` free neighbouring ports, which stay this process's until it ends.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn free(count: u16) -> u16 {
    static CLAIMS: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut base = FREE.start;
    while base < FREE.end - count {
        match claim(base, count) {
            Ok(claimed) => {
                claims.extend(claimed);
                return base;
            }
            Err(taken) => base = taken + 1,
        }
    }
    panic!("there are no {count} free ports in {FREE:?}");
}

/// Makes the ports this process's, or says which is not free. Their twins for UDP are what is held: nothing here listens at
/// one, and no two processes can.
fn claim(base: u16, count: u16) -> Result<Vec<UdpSocket>, u16> {
    (base..base + count).map(|port| claim_one(port).map_err(|_| port)).collect()
}

fn claim_one(port: u16) -> io::Result<UdpSocket> {
    let claim = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    Ok(claim)
}
