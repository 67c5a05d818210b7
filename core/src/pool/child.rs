//! What the pool of one loop knows about a child.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::shared::{Gauge, LoopIndex, Places, SharedChildren, Switch};
use super::{Address, KeptId, Ticket, address, breaker};
use crate::policy::{EndpointChoice, Route};
use crate::time::Instant;
use crate::wire::Negotiation;

/// The most connections to one child that are kept by one loop.
const MAX_KEPT: usize = 64;

/// The most offers of which the answer is remembered. A process has few MTAs, and each of them makes one offer.
const MAX_OFFERS: usize = 8;

/// A child milter, by name.
#[derive(Debug)]
pub(super) struct Child {
    /// The route that was asked for last: with a reload it changes, and nothing is kept or remembered across that.
    pub(super) route: Arc<Route>,
    pub(super) places: Arc<dyn Places>,
    spots: BTreeMap<Address, Spot>,
    /// Requests that wait for a place, in order.
    pub(super) queue: BTreeMap<u64, Ticket>,
    /// Places were asked for once: some may be handed to this loop at any time.
    pub(super) limited: bool,
    /// Requests there are.
    pub(super) leases: usize,
    /// Connections that are in use or being made, now and at most.
    in_use: usize,
    peak: usize,
    /// The endpoint whose turn it is.
    turn: usize,
    /// The newest last.
    kept: Vec<Kept>,
    remembered: Vec<Remembered>,
    pub(super) last_asked: Instant,
}

/// An address with its breaker.
#[derive(Debug)]
struct Spot {
    switch: Arc<dyn Switch>,
    in_use: usize,
}

/// A connection without a session.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: KeptId,
    pub(super) address: Address,
    pub(super) offer: Negotiation,
    pub(super) negotiated: Box<Negotiation>,
    /// When it was made.
    pub(super) born: Instant,
    /// Until when it is kept.
    pub(super) until: Instant,
}

#[derive(Debug)]
struct Remembered {
    offer: Negotiation,
    negotiated: Negotiation,
    /// In milliseconds, to compare with the switches.
    at: u64,
}

impl Child {
    pub(super) fn new(own: LoopIndex, now: Instant, route: &Arc<Route>, shared: &dyn SharedChildren) -> Self {
        let mut child = Self {
            route: Arc::clone(route),
            places: shared.places(&route.name),
            spots: BTreeMap::new(),
            queue: BTreeMap::new(),
            limited: route.max_connections > 0,
            leases: 0,
            in_use: 0,
            peak: 0,
            // The loops do not all begin with the same one.
            turn: own as usize,
            kept: Vec::new(),
            remembered: Vec::new(),
            last_asked: now,
        };
        child.add_spots(shared);
        child
    }

    /// The route is another one than before. Returns the connections that were kept for that.
    pub(super) fn change_route(&mut self, route: &Arc<Route>, shared: &dyn SharedChildren) -> Vec<Kept> {
        self.route = Arc::clone(route);
        self.limited |= route.max_connections > 0;
        self.remembered.clear();
        let kept = self.drop_kept(|_| true);
        // Before any is let go: what nobody holds is forgotten.
        self.add_spots(shared);
        let stays =
            |address: &Address| route.endpoints.iter().flat_map(address::all).any(|known| known == *address);
        self.spots.retain(|address, spot| spot.in_use > 0 || stays(address));
        kept
    }

    fn add_spots(&mut self, shared: &dyn SharedChildren) {
        let route = Arc::clone(&self.route);
        for address in route.endpoints.iter().flat_map(address::all) {
            self.spot(&address, shared);
        }
    }

    fn spot(&mut self, address: &Address, shared: &dyn SharedChildren) -> &mut Spot {
        let name = &self.route.name;
        self.spots
            .entry(address.clone())
            .or_insert_with(|| Spot { switch: shared.switch(name, address), in_use: 0 })
    }

    pub(super) fn switch(&mut self, address: &Address, shared: &dyn SharedChildren) -> Arc<dyn Switch> {
        Arc::clone(&self.spot(address, shared).switch)
    }

    /// Whether this is the route that holds now.
    pub(super) fn follows(&self, route: &Arc<Route>) -> bool {
        Arc::ptr_eq(&self.route, route) || self.route == *route
    }

    /// The most connections in use.
    pub(super) fn limit(&self) -> u32 {
        match self.route.max_connections {
            0 => u32::MAX,
            limit => limit,
        }
    }

    /// A connection is begun with.
    pub(super) fn enter(&mut self, address: &Address, shared: &dyn SharedChildren) {
        let spot = self.spot(address, shared);
        spot.in_use += 1;
        spot.switch.count(Gauge::InUse, 1);
        self.in_use += 1;
        self.peak = self.peak.max(self.in_use);
    }

    /// A connection is over.
    pub(super) fn exit(&mut self, address: &Address) {
        if let Some(spot) = self.spots.get_mut(address) {
            spot.in_use = spot.in_use.saturating_sub(1);
            spot.switch.count(Gauge::InUse, -1);
        }
        self.in_use = self.in_use.saturating_sub(1);
    }

    /// The endpoint to begin with: one of those that are not known to be down, if there are any.
    pub(super) fn choose(&mut self, now: Instant, route: &Route) -> usize {
        let count = route.endpoints.len();
        match route.choice {
            // The search itself passes over what is down.
            _ if count < 2 => 0,
            EndpointChoice::Failover => 0,
            EndpointChoice::RoundRobin => {
                let turns = (0..count).map(|n| (self.turn + n) % count);
                let chosen = turns.clone().find(|&index| self.is_usable(now, route, index));
                let chosen = chosen.unwrap_or(self.turn % count);
                self.turn = chosen + 1;
                chosen
            }
            EndpointChoice::LeastBusy => {
                let usable = (0..count).filter(|&index| self.is_usable(now, route, index));
                usable.min_by_key(|&index| self.load(route, index)).unwrap_or(0)
            }
        }
    }

    /// Why no address of the route can be tried now; `None` when one can.
    pub(super) fn all_down(&self, now: Instant, route: &Route) -> Option<breaker::Outage> {
        if (0..route.endpoints.len()).any(|index| self.is_usable(now, route, index)) {
            return None;
        }
        let mut addresses = route.endpoints.iter().flat_map(address::all);
        addresses.find_map(|address| breaker::outage(&*self.spots.get(&address)?.switch))
    }

    fn is_usable(&self, now: Instant, route: &Route, endpoint: usize) -> bool {
        let mut addresses = route.endpoints.get(endpoint).into_iter().flat_map(address::all);
        addresses
            .any(|address| self.spots.get(&address).is_none_or(|spot| breaker::is_usable(&*spot.switch, now)))
    }

    fn load(&self, route: &Route, endpoint: usize) -> usize {
        let addresses = route.endpoints.get(endpoint).into_iter().flat_map(address::all);
        addresses.filter_map(|address| self.spots.get(&address)).map(|spot| spot.in_use).sum()
    }

    /// How many more connections may be kept: as many in all as were in use at once, so that a single burst is the most
    /// that lingers.
    pub(super) fn keeps_more(&self) -> bool {
        let limit = usize::try_from(self.limit()).unwrap_or(usize::MAX);
        self.kept.len() < self.peak.min(limit).min(MAX_KEPT)
    }

    pub(super) fn keep(&mut self, kept: Kept) {
        self.count_kept(&kept.address, 1);
        self.kept.push(kept);
    }

    /// Takes the newest connection to an endpoint that was negotiated from this offer and whose time is not over.
    pub(super) fn take_kept(
        &mut self,
        now: Instant,
        route: &Route,
        endpoint: usize,
        offer: &Negotiation,
    ) -> Option<Kept> {
        let endpoint = route.endpoints.get(endpoint)?;
        let is_there = |kept: &Kept| address::all(endpoint).any(|at| at == kept.address);
        let fits = |kept: &Kept| kept.offer == *offer && now < kept.until && is_there(kept);
        let index = self.kept.iter().rposition(fits)?;
        let kept = self.kept.remove(index);
        self.count_kept(&kept.address, -1);
        Some(kept)
    }

    /// Takes the connections that `wanted` says.
    pub(super) fn drop_kept(&mut self, wanted: impl Fn(&Kept) -> bool) -> Vec<Kept> {
        if !self.kept.iter().any(&wanted) {
            return Vec::new();
        }
        let (dropped, kept) = core::mem::take(&mut self.kept).into_iter().partition(wanted);
        self.kept = kept;
        let dropped: Vec<Kept> = dropped;
        for kept in &dropped {
            self.count_kept(&kept.address, -1);
        }
        dropped
    }

    fn count_kept(&self, address: &Address, difference: i32) {
        if let Some(spot) = self.spots.get(address) {
            spot.switch.count(Gauge::Kept, difference);
        }
    }

    pub(super) fn remember(&mut self, now: Instant, offer: &Negotiation, negotiated: Negotiation) {
        let at = breaker::milliseconds(now);
        if let Some(entry) = self.remembered.iter_mut().find(|entry| entry.offer == *offer) {
            (entry.negotiated, entry.at) = (negotiated, at);
            return;
        }
        if self.remembered.len() == MAX_OFFERS {
            self.remembered.remove(0);
        }
        self.remembered.push(Remembered { offer: offer.clone(), negotiated, at });
    }

    /// What the child answered to this offer, unless it was down since then, which another loop may have seen.
    pub(super) fn recall(&self, offer: &Negotiation) -> Option<&Negotiation> {
        let entry = self.remembered.iter().find(|entry| entry.offer == *offer)?;
        let was_down = |spot: &Spot| spot.switch.since() != 0 && spot.switch.since() >= entry.at;
        (!self.spots.values().any(was_down)).then_some(&entry.negotiated)
    }

    pub(super) fn forget(&mut self) {
        self.remembered.clear();
    }

    /// Whether nothing is lost when it is forgotten.
    pub(super) fn is_unused(&self) -> bool {
        self.leases == 0 && self.kept.is_empty()
    }
}
