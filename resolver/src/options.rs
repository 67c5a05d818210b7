//! Who is asked, for how long an answer holds, and how much may be under way.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of a [`Resolver`](crate::Resolver).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The name servers. Default: none, which means those that [`resolv_conf`](Self::resolv_conf) names. The rest of that
    /// file (search list, `ndots`, attempts) counts in any case.
    pub name_servers: Vec<SocketAddr>,
    /// Default: `/etc/resolv.conf`. Without it, or without a `nameserver` in it, the one of this host is asked, as the C
    /// library does.
    pub resolv_conf: PathBuf,
    /// Names and addresses that are known without asking. Default: `/etc/hosts`.
    pub hosts: PathBuf,
    /// An answer holds for so long even when its time to live is shorter. Default: 5 s, so that a zone with a time to live
    /// of 0 is not asked for each session.
    pub least_hold: Duration,
    /// An answer holds for no longer, whatever its time to live. Default: one hour, so that a mistake in a zone does not
    /// outlive its correction by days.
    pub longest_hold: Duration,
    /// That there is nothing holds for no longer, whatever the zone says. Default: 15 minutes, so that a new name is found.
    pub longest_negative_hold: Duration,
    /// How many answers are kept. Default: 2048; one takes about 1 KiB.
    pub cached: u64,
    /// How many different questions may be under way. Default: 256, each of which has a socket.
    pub in_flight: usize,
    /// How long a question may take, all attempts and name servers together. Default: 10 s, above which no session
    /// waits for anything but content.
    pub time_limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name_servers: Vec::new(),
            resolv_conf: "/etc/resolv.conf".into(),
            hosts: "/etc/hosts".into(),
            least_hold: Duration::from_secs(5),
            longest_hold: Duration::from_secs(3600),
            longest_negative_hold: Duration::from_secs(900),
            cached: 2048,
            in_flight: 256,
            time_limit: Duration::from_secs(10),
        }
    }
}
