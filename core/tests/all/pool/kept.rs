//! Connections that serve one session after another.

use std::sync::Arc;
use std::time::Duration;

use millstream_core::policy::Route;
use millstream_core::pool::{Action, KeptId};

use super::lab::{Lab, REFUSED, connect, offer, reusing, ticket};

fn ready(session: u32, kept: KeptId) -> Action {
    let negotiated = Some(Box::new(offer(2)));
    Action::Ready { ticket: ticket(session), kept: Some(kept), negotiated }
}

#[test]
fn the_connection_that_was_given_back_last_is_used_first() {
    let mut lab = Lab::new(1);
    let route = reusing();
    lab.connect(0, 1, &route);
    lab.connect(0, 2, &route);
    let (one, two) = (lab.give_back(0, 1).unwrap(), lab.give_back(0, 2).unwrap());
    lab.ask(0, 3, &route);
    lab.ask(0, 4, &route);
    lab.ask(0, 5, &route);
    assert_eq!(lab.says(0), [ready(3, two), ready(4, one), connect(5, "/a")]);
}

#[test]
fn another_offer_and_a_session_that_wants_a_fresh_one_are_not_served_by_it() {
    let mut lab = Lab::new(1);
    let route = reusing();
    lab.connect(0, 1, &route);
    let kept = lab.give_back(0, 1).unwrap();
    lab.pools[0].acquire(lab.now, ticket(2), Arc::clone(&route), offer(5), false);
    lab.pools[0].acquire(lab.now, ticket(3), Arc::clone(&route), offer(6), true);
    assert_eq!(lab.says(0), [connect(2, "/a"), connect(3, "/a")]);
    lab.ask(0, 4, &route);
    assert_eq!(lab.says(0), [ready(4, kept)]);
}

/// As after the process stood still.
#[test]
fn a_connection_whose_time_is_over_is_given_to_nobody_although_it_is_not_closed_yet() {
    let mut lab = Lab::new(1);
    let route = reusing();
    lab.connect(0, 1, &route);
    let kept = lab.give_back(0, 1).unwrap();
    lab.now = lab.now + Duration::from_secs(11);
    lab.ask(0, 2, &route);
    assert_eq!(lab.says(0), [connect(2, "/a")]);
    lab.pass(Duration::ZERO);
    assert_eq!(lab.says(0), [Action::Close { kept }]);
}

#[test]
fn a_connection_ends_when_it_was_idle_for_too_long_or_is_too_old() {
    let mut lab = Lab::new(1);
    let route = reusing();
    lab.connect(0, 1, &route);
    let first = lab.give_back(0, 1).unwrap();
    lab.pass(Duration::from_secs(9));
    lab.ask(0, 2, &route);
    assert_eq!(lab.says(0), [ready(2, first)]);
    lab.pass(Duration::from_secs(9));
    // The idle time begins anew, the age does not.
    let second = lab.give_back(0, 2).unwrap();
    lab.pass(Duration::from_secs(6));
    assert_eq!(lab.says(0), []);
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.says(0), [Action::Close { kept: second }]);
    assert_eq!(lab.pools[0].deadline(), None);
}

#[test]
fn a_child_that_speaks_or_leaves_loses_its_kept_connection() {
    let mut lab = Lab::new(1);
    let route = reusing();
    lab.connect(0, 1, &route);
    let kept = lab.give_back(0, 1).unwrap();
    lab.pools[0].disturbed(kept);
    lab.pools[0].disturbed(kept);
    assert_eq!(lab.says(0), [Action::Close { kept }]);
    lab.connect(0, 2, &route);
}

#[test]
fn a_child_that_goes_down_loses_its_kept_connections_on_every_loop() {
    let mut lab = Lab::new(2);
    let route = reusing();
    lab.connect(0, 1, &route);
    lab.connect(1, 2, &route);
    let (here, there) = (lab.give_back(0, 1).unwrap(), lab.give_back(1, 2).unwrap());
    lab.pools[0].acquire(lab.now, ticket(3), Arc::clone(&route), offer(6), true);
    lab.fail(0, 3, REFUSED);
    assert!(lab.says(0).contains(&Action::Close { kept: here }));
    lab.pass(Duration::from_secs(5));
    lab.ask(1, 4, &route);
    assert_eq!(lab.says(1), [Action::Close { kept: there }, connect(4, "/a")]);
}

#[test]
fn a_reload_closes_what_was_kept_and_what_is_given_back_later() {
    let mut lab = Lab::new(1);
    let old = reusing();
    let new = Arc::new(Route { queue_timeout: Duration::from_secs(9), ..(*old).clone() });
    lab.connect(0, 1, &old);
    lab.connect(0, 2, &old);
    let kept = lab.give_back(0, 1).unwrap();
    lab.ask(0, 3, &new);
    assert_eq!(lab.says(0), [Action::Close { kept }, connect(3, "/a")]);
    assert_eq!(lab.give_back(0, 2), None);
    // A reload that changes nothing closes nothing.
    lab.answer(0, 3);
    lab.says(0);
    let kept = lab.give_back(0, 3).unwrap();
    lab.ask(0, 4, &Arc::new((*new).clone()));
    assert_eq!(lab.says(0), [ready(4, kept)]);
}

#[test]
fn no_more_are_kept_than_were_in_use_at_once() {
    let mut lab = Lab::new(1);
    let route = Arc::new(Route { max_connections: 2, ..(*reusing()).clone() });
    lab.connect(0, 1, &route);
    lab.connect(0, 2, &route);
    assert!(lab.give_back(0, 1).is_some() && lab.give_back(0, 2).is_some());
    lab.pools[0].acquire(lab.now, ticket(3), Arc::clone(&route), offer(6), true);
    lab.answer(0, 3);
    assert_eq!(lab.give_back(0, 3), None);
    assert_eq!(lab.shared.states()[0].kept, 2);
}

#[test]
fn nothing_is_kept_when_the_process_stops_or_the_setting_is_off() {
    let mut lab = Lab::new(1);
    let off = Arc::new(Route { name: Arc::from("off"), reuse: None, ..(*reusing()).clone() });
    lab.connect(0, 1, &off);
    assert_eq!(lab.give_back(0, 1), None);
    let route = reusing();
    lab.connect(0, 2, &route);
    lab.connect(0, 3, &route);
    let kept = lab.give_back(0, 2).unwrap();
    lab.pools[0].stop();
    assert_eq!(lab.says(0), [Action::Close { kept }]);
    assert_eq!(lab.give_back(0, 3), None);
}

/// opendkim answers otherwise after SIGUSR1, on new connections only. Who was told what it says now must not get one on
/// which it says something else.
#[test]
fn a_connection_from_before_the_child_changed_its_mind_is_not_used_again() {
    let mut lab = Lab::new(1);
    let route = reusing();
    for session in [1, 2, 3] {
        lab.connect(0, session, &route);
    }
    let kept = lab.give_back(0, 1).unwrap();
    lab.pools[0].acquire(lab.now, ticket(4), Arc::clone(&route), offer(6), true);
    lab.pools[0].connected(lab.now, ticket(4));
    lab.says(0);
    lab.pools[0].learned(lab.now, ticket(4), offer(3));
    assert_eq!(lab.says(0), [Action::Close { kept }]);
    assert_eq!(lab.give_back(0, 2), None, "one that was in use meanwhile");
    assert!(lab.pools[0].released(lab.now, ticket(4), Box::new(offer(3))).is_some());
}
