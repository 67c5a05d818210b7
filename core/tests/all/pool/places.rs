//! How many connections to a child are in use at a time, and who is next.

use std::sync::Arc;
use std::time::Duration;

use millstream_core::machine::Refusal;
use millstream_core::policy::Route;

use super::lab::{Lab, QUEUE, REFUSED, connect, limited, refused};

#[test]
fn sessions_that_wait_are_served_in_their_order() {
    let mut lab = Lab::new(1);
    let route = limited(1);
    lab.connect(0, 1, &route);
    for session in [2, 3, 4] {
        lab.ask(0, session, &route);
    }
    assert_eq!(lab.says(0), []);
    assert_eq!(lab.shared.states()[0].waiting, 3);
    // One that gives up is passed over.
    lab.over(0, 2);
    lab.over(0, 1);
    assert_eq!(lab.says(0), [connect(3, "/a")]);
    lab.over(0, 3);
    assert_eq!(lab.says(0), [connect(4, "/a")]);
}

#[test]
fn a_session_waits_no_longer_than_allowed() {
    let mut lab = Lab::new(1);
    let route = limited(1);
    lab.connect(0, 1, &route);
    lab.ask(0, 2, &route);
    lab.pass(QUEUE - Duration::from_millis(1));
    assert_eq!(lab.says(0), []);
    lab.pass(Duration::from_millis(1));
    assert_eq!(lab.says(0), [refused(2, Refusal::Full)]);
    // Its place in the queue is no obstacle.
    lab.over(0, 1);
    lab.connect(0, 3, &route);
}

#[test]
fn a_busy_loop_does_not_overtake_one_that_waits() {
    let mut lab = Lab::new(2);
    let route = limited(1);
    lab.connect(0, 1, &route);
    lab.ask(1, 2, &route);
    // The first loop has sessions all the time, and yet the other one is next.
    lab.over(0, 1);
    lab.ask(0, 3, &route);
    assert_eq!(lab.says(0), []);
    assert_eq!(lab.says(1), [connect(2, "/a")]);
    lab.over(1, 2);
    lab.says(1);
    assert_eq!(lab.says(0), [connect(3, "/a")]);
}

#[test]
fn a_place_for_a_session_that_has_gone_is_passed_on() {
    let mut lab = Lab::new(3);
    let route = limited(1);
    lab.connect(0, 1, &route);
    lab.ask(1, 2, &route);
    lab.ask(2, 3, &route);
    lab.over(0, 1);
    // The place is on its way to the second loop when its session ends.
    lab.over(1, 2);
    lab.says(0);
    lab.says(1);
    assert_eq!(lab.says(2), [connect(3, "/a")]);
    lab.over(2, 3);
    lab.connect(1, 4, &route);
}

#[test]
fn a_queue_before_a_child_that_goes_down_is_refused_at_once() {
    let mut lab = Lab::new(1);
    let route = limited(1);
    lab.ask(0, 1, &route);
    for session in 2..1000 {
        lab.ask(0, session, &route);
    }
    lab.says(0);
    lab.fail(0, 1, REFUSED);
    let told = lab.says(0).len();
    assert_eq!(told, 1 + 999);
    assert_eq!(lab.shared.states()[0].waiting, 0);
}

#[test]
fn sessions_that_wait_are_served_when_a_reload_lifts_the_limit() {
    let mut lab = Lab::new(2);
    let route = limited(1);
    lab.connect(0, 1, &route);
    for session in [2, 3] {
        lab.ask(1, session, &route);
    }
    let higher = limited(3);
    lab.ask(0, 4, &higher);
    lab.ask(0, 5, &higher);
    // The loops have their turns.
    let here = lab.says(0);
    assert_eq!((lab.says(1), here), (vec![connect(2, "/a")], vec![connect(4, "/a")]));
    let none = limited(0);
    for (on, session) in [(0, 6), (1, 7)] {
        lab.ask(on, session, &none);
        assert_eq!(lab.says(on), [connect(session, "/a")]);
    }
    lab.over(0, 1);
    lab.says(0);
    assert_eq!(lab.says(1), [connect(3, "/a")]);
    lab.over(0, 4);
    assert_eq!(lab.says(0), [connect(5, "/a")]);
}

/// As after the process stood still: the time of who waits is over before the wake-up is heard, and the child forgotten.
#[test]
fn a_place_whose_wake_up_comes_after_the_child_was_forgotten_is_not_lost() {
    let mut lab = Lab::new(2);
    let route = limited(1);
    lab.ask(0, 1, &route);
    lab.ask(1, 2, &route);
    lab.over(0, 1);
    lab.pass(Duration::from_secs(3700));
    let elsewhere = Route { name: Arc::from("rspamd"), ..(*route).clone() };
    lab.ask(1, 3, &Arc::new(elsewhere));
    lab.pools[1].woken(lab.now);
    lab.says(1);
    lab.says(0);
    lab.ask(0, 4, &route);
    assert_eq!(lab.says(0), [connect(4, "/a")]);
}
