//! A configuration without the places where its parts were set: the same for two files that say the same.

use std::collections::BTreeMap;

use crate::configuration::Configuration;

impl Configuration {
    /// The same without places: equal for files that say the same.
    #[must_use]
    pub fn without_locations(mut self) -> Self {
        self.locations = BTreeMap::new();
        self.assigned = BTreeMap::new();
        for condition in &mut self.conditions {
            condition.location = None;
            condition.description_location = None;
            condition.stoppers.iter_mut().for_each(|stopper| stopper.place = "".into());
        }
        for milter in &mut self.milters {
            milter.location = None;
            milter.locations = BTreeMap::new();
            milter.applicable_conditions.iter_mut().for_each(|applied| applied.location = None);
        }
        self
    }
}
