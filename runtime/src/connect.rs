//! Connections to children: from `Acquire` to `Ready` or `Refused`, and back with `Release`.

use std::sync::Arc;
use std::time::Duration;

use millstream_core::machine::{Machine, Peer, TRANSMIT_SLICES};
use millstream_core::policy::Route;
use millstream_core::pool::{Action, Ticket};
use millstream_core::service::Service;
use millstream_core::wire::Negotiation;

use crate::context::Context;
use crate::descriptor::Progress;
use crate::error::classify;
use crate::kept;
use crate::link::{Link, Phase};
use crate::poller::Poller;
use crate::routes::Owner;
use crate::session::Session;
use crate::wire::Wire;

/// How long a connection that was given back with something still to write may take for it. Machines do not do that.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl<S: Service, P: Poller> Session<S, P> {
    /// Asks the pool for a connection.
    pub(crate) fn acquire(
        &mut self,
        peer: Peer,
        route: Arc<Route>,
        offer: Negotiation,
        fresh: bool,
        cx: &mut Context<S, P>,
    ) {
        self.links.push(Link::new(peer, Phase::Asked, None));
        cx.pool.acquire(cx.now, self.ticket(peer), route, offer, fresh);
        self.obey_pool(cx);
    }

    /// How the pool calls a connection.
    pub(crate) const fn ticket(&self, peer: Peer) -> Ticket {
        Ticket { session: self.key.index, peer }
    }

    /// Does what the pool says about this session. What it says about others is left to the loop.
    pub(crate) fn obey_pool(&mut self, cx: &mut Context<S, P>) {
        while let Some(action) = cx.pool.poll() {
            match action {
                Action::Connect { ticket, .. }
                | Action::Ready { ticket, .. }
                | Action::Refused { ticket, .. }
                    if ticket.session == self.key.index =>
                {
                    self.obey(action, cx);
                }
                other => cx.later.push_back(other),
            }
        }
    }

    /// Does one thing that the pool says about this session. The machine is told in its next turn.
    pub(crate) fn obey(&mut self, action: Action, cx: &mut Context<S, P>) {
        match action {
            Action::Connect { ticket, address } => {
                let Some(link) = self.asking(ticket.peer) else { return };
                link.phase = Phase::Connecting;
                let owner = Owner::Session(ticket.session, ticket.peer);
                match Wire::connect(&address, owner, cx) {
                    Ok((wire, connected)) => {
                        link.wire = Some(wire);
                        if connected {
                            cx.pool.connected(cx.now, ticket);
                        }
                    }
                    Err(error) => {
                        link.phase = Phase::Asked;
                        cx.pool.failed(cx.now, ticket, error);
                    }
                }
            }
            Action::Ready { ticket, kept: Some(id), negotiated } => {
                let Some(link) = self.asking(ticket.peer) else { return kept::close(id, cx) };
                if let Some(wire) = cx.kept.take(id) {
                    wire.give(Owner::Session(ticket.session, ticket.peer), &mut cx.routes);
                    link.wire = Some(wire);
                    link.phase = Phase::Connected(negotiated);
                }
            }
            Action::Ready { ticket, kept: None, negotiated } => {
                if let Some(link) = self.asking(ticket.peer) {
                    link.phase = Phase::Connected(negotiated);
                }
            }
            Action::Refused { ticket, why } => {
                if let Some(link) = self.asking(ticket.peer) {
                    link.phase = Phase::Refused(why);
                }
            }
            Action::Close { .. } | Action::Wake { .. } | Action::Notice(_) => {}
        }
    }

    fn asking(&mut self, peer: Peer) -> Option<&mut Link<P>> {
        let asks =
            |link: &&mut Link<P>| link.peer == peer && matches!(link.phase, Phase::Asked | Phase::Connecting);
        self.links.iter_mut().find(asks)
    }

    /// Looks at a link that the kernel connects.
    pub(crate) fn advance_connect(&mut self, at: usize, cx: &mut Context<S, P>) {
        let link = &mut self.links[at];
        let ticket = Ticket { session: self.key.index, peer: link.peer };
        let Some(wire) = link.wire.as_mut().filter(|wire| wire.writable) else { return };
        let failure = match cx.poller.progress(&mut wire.socket) {
            Progress::Connected => None,
            Progress::Pending => match wire.block_writing(&mut cx.poller) {
                Ok(()) => return,
                Err(error) => Some(classify(&error)),
            },
            Progress::Failed(error) => Some(error),
        };
        match failure {
            None => cx.pool.connected(cx.now, ticket),
            Some(error) => {
                if let Some(wire) = link.wire.take() {
                    wire.close(cx);
                }
                link.phase = Phase::Asked;
                cx.pool.failed(cx.now, ticket, error);
            }
        }
        self.obey_pool(cx);
    }

    /// The machine gives a connection back.
    pub(crate) fn release(&mut self, peer: Peer, negotiated: Box<Negotiation>, cx: &mut Context<S, P>) {
        let Some(at) = self.find_open(peer) else { return self.close(peer, None, cx) };
        let mut slices: [&[u8]; TRANSMIT_SLICES] = [&[]; TRANSMIT_SLICES];
        let clean = self.machine.transmit(peer, &mut slices) == 0;
        let wire = self.links[at].wire.as_mut();
        if !wire.is_some_and(|wire| {
            clean && wire.is_quiet(&mut cx.poller) && wire.rest_writing(&mut cx.poller).is_ok()
        }) {
            return self.close(peer, Some(cx.now + LAST_WORDS), cx);
        }
        if let Some(id) = cx.pool.released(cx.now, self.ticket(peer), negotiated)
            && let Some(wire) = self.links[at].wire.take()
        {
            wire.give(Owner::Kept(id), &mut cx.routes);
            cx.kept.insert(id, wire);
        }
        self.remove(at, cx);
    }
}
