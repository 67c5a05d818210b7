//! Which of several sockets of a child is used.

use std::sync::Arc;

use millstream_core::machine::Refusal;
use millstream_core::policy::{EndpointChoice, Route};
use millstream_core::pool::{Action, Address};

use super::lab::{BUSY, Lab, REFUSED, RETRY, at, choosing, connect, refused, route, tcp, ticket};

#[test]
fn every_address_of_a_host_is_tried_in_order() {
    let mut lab = Lab::new(1);
    let route = Arc::new(Route { endpoints: Box::from([tcp(&[1, 2])]), ..route(&[]) });
    lab.ask(0, 1, &route);
    lab.fail(0, 1, REFUSED);
    lab.fail(0, 1, REFUSED);
    let to = |port: u16| {
        let address = Address::Tcp(([127, 0, 0, 1], port).into());
        Action::Connect { ticket: ticket(1), address }
    };
    let said: Vec<_> =
        lab.says(0).into_iter().filter(|action| !matches!(action, Action::Notice(_))).collect();
    assert_eq!(said, [to(1), to(2), refused(1, Refusal::Failed(REFUSED))]);
}

#[test]
fn with_failover_the_first_is_used_while_it_is_up() {
    let mut lab = Lab::new(1);
    let route = choosing(EndpointChoice::Failover);
    assert_eq!([1, 2].map(|session| lab.connect(0, session, &route)), [at("/a"), at("/a")]);
    lab.ask(0, 3, &route);
    lab.fail(0, 3, REFUSED);
    let said = lab.says(0);
    assert_eq!((&said[0], said.last().unwrap()), (&connect(3, "/a"), &connect(3, "/b")));
    assert_eq!(lab.connect(0, 4, &route), at("/b"));
    lab.pass(RETRY);
    assert_eq!([5, 6].map(|session| lab.connect(0, session, &route)), [at("/a"), at("/a")]);
}

#[test]
fn round_robin_spares_the_one_that_is_down_and_the_others_share_evenly() {
    let mut lab = Lab::new(1);
    let route = choosing(EndpointChoice::RoundRobin);
    assert_eq!([1, 2, 3].map(|session| lab.connect(0, session, &route)), [at("/a"), at("/b"), at("/c")]);
    lab.ask(0, 4, &route);
    lab.fail(0, 4, REFUSED);
    lab.says(0);
    let four = [5, 6, 7, 8].map(|session| lab.connect(0, session, &route));
    assert_eq!(four, [at("/b"), at("/c"), at("/b"), at("/c")]);
}

#[test]
fn least_busy_asks_the_one_with_the_fewest_connections() {
    let mut lab = Lab::new(1);
    let route = choosing(EndpointChoice::LeastBusy);
    assert_eq!([1, 2, 3].map(|session| lab.connect(0, session, &route)), [at("/a"), at("/b"), at("/c")]);
    lab.over(0, 2);
    assert_eq!([4, 5].map(|session| lab.connect(0, session, &route)), [at("/b"), at("/a")]);
}

#[test]
fn a_busy_socket_is_left_for_the_next_one() {
    let mut lab = Lab::new(1);
    let route = Arc::new(route(&["/a", "/b"]));
    lab.ask(0, 1, &route);
    lab.fail(0, 1, BUSY);
    lab.fail(0, 1, BUSY);
    assert_eq!(lab.says(0), [connect(1, "/a"), connect(1, "/b")]);
    lab.pass(RETRY);
    assert_eq!(lab.says(0), [connect(1, "/a")]);
}

#[test]
fn a_host_without_an_address_is_refused() {
    let mut lab = Lab::new(1);
    let route = Arc::new(Route { endpoints: Box::from([tcp(&[])]), ..route(&[]) });
    lab.ask(0, 1, &route);
    assert!(matches!(lab.says(0)[..], [Action::Refused { .. }]));
}
