//! Names without the feature `dns`.

use std::net::SocketAddr;
use std::sync::Once;

use millstream_config::{Addresses, Family, Resolver, SystemResolver};
use millstream_core::machine::{Answer, Question};

use super::Reply;
use super::connections::{About, Connections};
use crate::log::Logger;

/// The system's resolver.
#[derive(Debug)]
pub(crate) struct Names {
    told: Once,
    connections: Connections,
}

impl Names {
    /// The system's resolver asks those of the system, whatever is set.
    pub(crate) fn new(_name_servers: &[SocketAddr]) -> Self {
        Self { told: Once::new(), connections: Connections::default() }
    }

    /// Nobody knows names, which is told once.
    pub(crate) fn look_up(&self, question: &Question, reply: Reply, log: &Logger) {
        match question {
            Question::LocalEnd(client) => {
                return self.connections.find(*client, About::LocalEnd, reply, log);
            }
            Question::State(client) => return self.connections.find(*client, About::State, reply, log),
            Question::Addresses(_) | Question::Names(_) => {}
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
