//! A child that is down costs nothing, and is told once.

use std::sync::Arc;
use std::time::Duration;

use millstream_core::machine::{IoError, IoKind, Refusal};
use millstream_core::pool::Action;
use millstream_core::service::Notice;

use super::lab::{BUSY, EXHAUSTED, Lab, REFUSED, RETRY, at, connect, fresh, refused, route, ticket};

fn down(error: IoError) -> Action {
    Action::Notice(Notice::ChildDown {
        child: Arc::from("clamav"),
        address: at("/a"),
        error,
        next_try: RETRY,
    })
}

#[test]
fn a_child_that_is_not_there_is_not_tried_again_until_its_time_and_then_by_one_session_of_one_loop() {
    let mut lab = Lab::new(2);
    let route = Arc::new(route(&["/a"]));
    lab.ask(0, 1, &route);
    assert_eq!(lab.says(0), [connect(1, "/a")]);
    let since = lab.now;
    lab.fail(0, 1, REFUSED);
    assert_eq!(lab.says(0), [down(REFUSED), refused(1, Refusal::Failed(REFUSED))]);
    let known = Refusal::Down { error: REFUSED, since };
    for on in [0, 1] {
        lab.ask(on, 2, &route);
        assert_eq!(lab.says(on), [refused(2, known)]);
    }
    lab.pass(RETRY);
    lab.ask(1, 3, &route);
    assert_eq!(lab.says(1), [connect(3, "/a")]);
    lab.ask(0, 4, &route);
    lab.ask(1, 5, &route);
    assert_eq!((lab.says(0), lab.says(1)), (vec![refused(4, known)], vec![refused(5, known)]));
    // It is up when it has answered, not when it lets itself be connected to.
    lab.pools[1].connected(lab.now, ticket(3));
    lab.ask(0, 6, &route);
    assert_eq!((lab.says(1), lab.says(0)), (vec![fresh(3)], vec![refused(6, known)]));
    lab.answer(1, 3);
    let up = Notice::ChildUp { child: Arc::from("clamav"), address: at("/a"), down_for: RETRY };
    assert_eq!(lab.says(1), [Action::Notice(up)]);
    lab.ask(0, 7, &route);
    assert_eq!(lab.says(0), [connect(7, "/a")]);
}

#[test]
fn a_try_that_fails_puts_the_next_one_off_and_is_not_told() {
    let mut lab = Lab::new(1);
    let route = Arc::new(route(&["/a"]));
    let missing = IoError { kind: IoKind::NotFound, code: 2 };
    lab.ask(0, 1, &route);
    lab.fail(0, 1, REFUSED);
    lab.says(0);
    lab.pass(RETRY);
    lab.ask(0, 2, &route);
    lab.fail(0, 2, missing);
    assert_eq!(lab.says(0), [connect(2, "/a"), refused(2, Refusal::Failed(missing))]);
    lab.pass(RETRY / 2);
    lab.ask(0, 3, &route);
    let [Action::Refused { why: Refusal::Down { error, .. }, .. }] = lab.says(0)[..] else { panic!() };
    assert_eq!(error, missing);
    let state = &lab.shared.states()[0];
    assert_eq!(state.outage.map(|outage| outage.next_try), Some(lab.now + RETRY / 2));
}

#[test]
fn a_child_with_a_full_queue_is_busy_and_not_down() {
    let mut lab = Lab::new(1);
    let route = Arc::new(route(&["/a"]));
    lab.ask(0, 1, &route);
    lab.fail(0, 1, BUSY);
    assert_eq!(lab.says(0), [connect(1, "/a")]);
    let again = lab.pools[0].deadline().unwrap();
    lab.pass(again.since(lab.now));
    assert_eq!(lab.says(0), [connect(1, "/a")]);
    // A session that gives up meanwhile is not heard of any more.
    lab.fail(0, 1, BUSY);
    lab.over(0, 1);
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.says(0), []);
    assert_eq!(lab.pools[0].deadline(), None);
    assert_eq!(lab.shared.states()[0].outage, None);
}

#[test]
fn what_we_are_out_of_ourselves_is_not_the_childs_fault() {
    let mut lab = Lab::new(1);
    let route = Arc::new(route(&["/a", "/b"]));
    lab.ask(0, 1, &route);
    lab.fail(0, 1, EXHAUSTED);
    assert_eq!(lab.says(0), [connect(1, "/a"), connect(1, "/b")]);
    lab.fail(0, 1, EXHAUSTED);
    assert_eq!(lab.says(0), [refused(1, Refusal::Failed(EXHAUSTED))]);
    assert!(lab.shared.states().iter().all(|state| state.outage.is_none()));
}

#[test]
fn a_child_that_takes_connections_and_does_not_answer_is_down_after_three_in_a_row() {
    let mut lab = Lab::new(2);
    let route = Arc::new(route(&["/a"]));
    let silent = IoError { kind: IoKind::TimedOut, code: 0 };
    for (on, session) in [(0, 1), (1, 2), (0, 3), (1, 4), (0, 5)] {
        lab.ask(on, session, &route);
        lab.pools[on].connected(lab.now, ticket(session));
        lab.says(on);
        if session == 3 {
            lab.answer(on, session);
        } else {
            lab.pools[on].unwell(lab.now, ticket(session), silent);
        }
        lab.over(on, session);
        assert_eq!(lab.says(on), []);
    }
    lab.ask(1, 6, &route);
    lab.pools[1].connected(lab.now, ticket(6));
    lab.pools[1].lost(lab.now, ticket(6), silent);
    assert_eq!(lab.says(1)[2..], [down(silent)]);
    // A kernel that takes the connection for a milter that hangs does not make it well.
    lab.pass(RETRY);
    lab.ask(0, 7, &route);
    lab.pools[0].connected(lab.now, ticket(7));
    lab.pools[0].unwell(lab.now, ticket(7), silent);
    lab.over(0, 7);
    assert_eq!(lab.says(0), [connect(7, "/a"), fresh(7)]);
    lab.ask(0, 8, &route);
    assert!(matches!(lab.says(0)[..], [Action::Refused { why: Refusal::Down { .. }, .. }]));
}

#[test]
fn a_session_that_ends_by_itself_says_nothing_about_the_child() {
    let mut lab = Lab::new(1);
    let route = Arc::new(route(&["/a"]));
    for session in 0..10 {
        lab.ask(0, session, &route);
        lab.pools[0].connected(lab.now, ticket(session));
        lab.over(0, session);
    }
    assert_eq!(lab.shared.states()[0].outage, None);
    assert_eq!(lab.shared.states()[0].in_use, 0);
}

#[test]
fn a_connect_that_takes_too_long_opens_the_breaker() {
    let mut lab = Lab::new(1);
    let route = Arc::new(route(&["/a"]));
    let late = IoError { kind: IoKind::TimedOut, code: 0 };
    lab.ask(0, 1, &route);
    lab.pools[0].unwell(lab.now, ticket(1), late);
    lab.over(0, 1);
    assert_eq!(lab.says(0), [connect(1, "/a"), down(late)]);
}

/// The right to try belongs to the address for which it was given.
#[test]
fn who_tries_one_address_again_is_like_everybody_at_the_next() {
    let mut lab = Lab::new(1);
    let route = Arc::new(route(&["/a", "/b"]));
    lab.ask(0, 1, &route);
    lab.fail(0, 1, REFUSED);
    lab.over(0, 1);
    lab.pass(RETRY);
    lab.says(0);
    lab.ask(0, 2, &route);
    lab.fail(0, 2, REFUSED);
    assert_eq!(lab.says(0), [connect(2, "/a"), connect(2, "/b")]);
    lab.pools[0].connected(lab.now, ticket(2));
    lab.pools[0].lost(lab.now, ticket(2), REFUSED);
    assert_eq!(lab.says(0), [fresh(2)], "one that comes to nothing does not mean that it is down");
}

#[test]
fn an_address_that_was_tried_in_vain_is_not_tried_each_time_that_another_is_busy() {
    let mut lab = Lab::new(1);
    let route = Arc::new(route(&["/a", "/b"]));
    lab.ask(0, 1, &route);
    lab.fail(0, 1, REFUSED);
    lab.over(0, 1);
    lab.pass(RETRY);
    lab.says(0);
    lab.ask(0, 2, &route);
    lab.fail(0, 2, REFUSED);
    lab.fail(0, 2, BUSY);
    lab.says(0);
    lab.pass(Duration::from_millis(20));
    assert_eq!(lab.says(0), [connect(2, "/b")]);
}

/// What is known of an address outlives a reload, whatever the others are.
#[test]
fn a_reload_that_adds_an_address_keeps_what_is_known_of_the_others() {
    let mut lab = Lab::new(1);
    lab.ask(0, 1, &Arc::new(route(&["/a"])));
    lab.fail(0, 1, REFUSED);
    lab.says(0);
    lab.ask(0, 2, &Arc::new(route(&["/b", "/a"])));
    assert_eq!(lab.says(0), [connect(2, "/b")]);
    let down = lab.shared.states().into_iter().find(|state| state.address == at("/a"));
    assert!(down.is_some_and(|state| state.outage.is_some()));
}
