//! Names without the feature `dns`.

use std::net::SocketAddr;
use std::sync::Once;

use millstream_config::{Addresses, Family, Resolver, SystemResolver};
use millstream_core::machine::{Answer, Question};

use super::Reply;
use super::local_ends::LocalEnds;
use crate::log::Logger;

/// The system's resolver.
#[derive(Debug)]
pub(crate) struct Names {
    told: Once,
    local_ends: LocalEnds,
}

impl Names {
    /// The system's resolver asks those of the system, whatever is set.
    pub(crate) fn new(_name_servers: &[SocketAddr]) -> Self {
        Self { told: Once::new(), local_ends: LocalEnds::default() }
    }

    /// Nobody knows names, which is told once.
    pub(crate) fn look_up(&self, question: &Question, reply: Reply, log: &Logger) {
        if let Question::LocalEnd(client) = question {
            return self.local_ends.find(*client, reply);
        }
        self.told.call_once(|| {
            log.warning(|| {
                "[resolve] a condition needs a look-up, and this program is built without: each counts as failed. Build it \
                 with the feature dns"
                    .to_owned()
            });
        });
        reply(Answer::Failed);
    }
}

impl Resolver for Names {
    fn addresses(&self, host: &str, family: Family) -> Result<Addresses, String> {
        SystemResolver.addresses(host, family)
    }
}
