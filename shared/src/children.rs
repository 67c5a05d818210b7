//! The words of all children, by name and address.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_core::pool::shared::{Gauge, Places, SharedChildren, Switch};
use millstream_core::pool::{Address, AddressState, breaker};

use crate::{Breaker, PlaceCount};

/// What the pools of a process know together.
///
/// A pool asks once for a child that it meets and keeps what it got, so the lock is not on any steady path. What no pool has
/// any more is dropped when something new is added.
#[derive(Debug, Default)]
pub struct Children(Mutex<Lists>);

#[derive(Debug, Default)]
struct Lists {
    switches: Vec<(Arc<str>, Address, Arc<Breaker>)>,
    places: Vec<(Arc<str>, Arc<PlaceCount>)>,
}

impl Children {
    /// No child is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How all addresses stand that some pool knows, in the order in which they were met.
    #[must_use]
    pub fn states(&self) -> Vec<AddressState> {
        let lists = self.lock();
        let known = lists.switches.iter().filter(|(.., switch)| Arc::strong_count(switch) > 1);
        let state = |(child, address, switch): &(Arc<str>, Address, Arc<Breaker>)| {
            let places = lists.places.iter().find(|(name, _)| name == child);
            AddressState {
                child: Arc::clone(child),
                address: address.clone(),
                outage: breaker::outage(&**switch),
                in_use: switch.counted(Gauge::InUse),
                kept: switch.counted(Gauge::Kept),
                waiting: places.map_or(0, |(_, places)| places.waiting()),
            }
        };
        known.map(state).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        // A list that is not half-written: nothing panics between.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedChildren for Children {
    fn switch(&self, child: &Arc<str>, address: &Address) -> Arc<dyn Switch> {
        let mut lists = self.lock();
        let found = lists.switches.iter().find(|(name, at, _)| name == child && at == address);
        if let Some((.., switch)) = found {
            return Arc::<Breaker>::clone(switch);
        }
        lists.switches.retain(|(.., switch)| Arc::strong_count(switch) > 1);
        let switch = Arc::new(Breaker::new());
        lists.switches.push((Arc::clone(child), address.clone(), Arc::clone(&switch)));
        switch
    }

    fn places(&self, child: &Arc<str>) -> Arc<dyn Places> {
        let mut lists = self.lock();
        if let Some((_, places)) = lists.places.iter().find(|(name, _)| name == child) {
            return Arc::<PlaceCount>::clone(places);
        }
        lists.places.retain(|(_, places)| Arc::strong_count(places) > 1);
        let places = Arc::new(PlaceCount::new());
        lists.places.push((Arc::clone(child), Arc::clone(&places)));
        places
    }
}
