//! `Remote Network`: whether the client is in another network, and `remote_network`, which says what that is.

use millstream_core::wire::Stage;

use super::Native;
use crate::code::Written;
use crate::evaluate::{Given, Result, Situation};
use crate::language::address::{Address, Network};
use crate::language::kinds::{Kind, Kinds};
use crate::language::methods::{Method, on};
use crate::value::Value;

/// The networks that the files name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RemoteNetwork {
    local: Vec<Network>,
    remote: Vec<Network>,
}

impl RemoteNetwork {
    pub(in crate::conditions) fn written(&self) -> Vec<Written> {
        let add = |method: &'static str| {
            move |network: &Network| Ok(format!("remote_network.{method}(\"{}\")", network.written()))
        };
        let local = self.local.iter().map(add("add_local_address"));
        local.chain(self.remote.iter().map(add("add_remote_address"))).collect()
    }

    /// What is named as remote is remote, then loopback, private networks, and what is named as local are local. Unix sockets are
    /// local. An unknown address is no reason to take the client for a stranger.
    fn is_remote(&self, address: &Address) -> bool {
        let Some(client) = address.network() else { return false };
        let is_in = |networks: &[Network]| networks.iter().any(|network| network.includes(&client));
        is_in(&self.remote) || !(address.is_local() || is_in(&self.local))
    }
}

/// The condition.
#[derive(Debug)]
pub(super) struct FromRemote;

impl Native for FromRemote {
    fn watches(&self, stage: Stage) -> bool {
        stage == Stage::Connect
    }

    fn stops(&self, situation: &mut Situation<'_>) -> Result<bool> {
        Ok(!situation.knobs.remote_network.is_remote(&situation.address()))
    }
}

const ON: Kinds = Kinds::of(Kind::RemoteNetwork);
const NIL: Kinds = Kinds::of(Kind::Nil);

pub(in crate::conditions) const METHODS: &[Method] = &[
    on(
        ON,
        "add_local_address",
        &[Kinds::TEXT],
        NIL,
        |g| add(g, |knobs| &mut knobs.local),
        "an address or network (`192.0.2.0/24`) whose clients are local",
    )
    .at_load(),
    on(
        ON,
        "add_remote_address",
        &[Kinds::TEXT],
        NIL,
        |g| add(g, |knobs| &mut knobs.remote),
        "one whose clients are remote, also within a local network",
    )
    .at_load(),
];

fn add(given: &mut Given<'_, '_>, list: fn(&mut RemoteNetwork) -> &mut Vec<Network>) -> Result<Value> {
    let network = given.network(0)?;
    list(&mut given.knobs_to_change()?.remote_network).push(network);
    Ok(Value::Nil)
}
