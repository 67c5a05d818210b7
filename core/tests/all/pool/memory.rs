//! What a child answered to an offer, for sessions that connect only when they have to.

use std::sync::Arc;
use std::time::Duration;

use millstream_core::machine::{IoError, IoKind};
use millstream_core::policy::Route;

use super::lab::{Lab, REFUSED, offer, route, ticket};

fn remembers(lab: &Lab, on: usize, route: &Arc<Route>) -> bool {
    lab.pools[on].recall(route, &offer(6)).is_some()
}

#[test]
fn an_answer_is_remembered_for_its_offer_and_route() {
    let mut lab = Lab::new(1);
    let route = Arc::new(route(&["/a"]));
    assert!(!remembers(&lab, 0, &route));
    lab.connect(0, 1, &route);
    assert_eq!(lab.pools[0].recall(&route, &offer(6)), Some(offer(2)));
    assert_eq!(lab.pools[0].recall(&route, &offer(5)), None);
    let changed = Arc::new(Route { max_connections: 7, ..(*route).clone() });
    assert!(!remembers(&lab, 0, &changed));
    lab.ask(0, 2, &changed);
    assert!(!remembers(&lab, 0, &route));
}

#[test]
fn a_child_that_does_not_answer_as_it_should_is_asked_anew() {
    let mut lab = Lab::new(1);
    let route = Arc::new(route(&["/a"]));
    lab.connect(0, 1, &route);
    lab.ask(0, 2, &route);
    lab.pools[0].connected(lab.now, ticket(2));
    lab.pools[0].unwell(lab.now, ticket(2), IoError { kind: IoKind::Other, code: 0 });
    assert!(!remembers(&lab, 0, &route));
}

#[test]
fn a_child_that_was_down_is_asked_anew_by_every_loop() {
    let mut lab = Lab::new(2);
    let route = Arc::new(route(&["/a"]));
    lab.connect(0, 1, &route);
    lab.connect(1, 2, &route);
    assert!(remembers(&lab, 0, &route) && remembers(&lab, 1, &route));
    lab.pass(Duration::from_secs(1));
    lab.ask(0, 3, &route);
    lab.fail(0, 3, REFUSED);
    assert!(!remembers(&lab, 0, &route) && !remembers(&lab, 1, &route));
    lab.says(0);
    lab.pass(Duration::from_secs(6));
    lab.connect(0, 4, &route);
    assert!(remembers(&lab, 0, &route) && !remembers(&lab, 1, &route));
}

#[test]
fn only_so_many_offers_are_remembered() {
    let mut lab = Lab::new(1);
    let route = Arc::new(route(&["/a"]));
    for version in 0..20 {
        lab.pools[0].acquire(lab.now, ticket(version), Arc::clone(&route), offer(version), false);
        lab.answer(0, version);
    }
    let known = (0..20).filter(|version| lab.pools[0].recall(&route, &offer(*version)).is_some()).count();
    assert_eq!(known, 8);
}
