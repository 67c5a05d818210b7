//! What a pool says, held against what it may say.

use millstream_core::machine::Refusal;
use millstream_core::policy::{Endpoint, EndpointChoice};
use millstream_core::pool::{Action, Address, Ticket};
use millstream_core::service::Notice;

use super::{Desk, Stage, number};
use crate::coverage::Event;
use crate::plan::MS;
use crate::town::Town;

impl Desk {
    /// Hears what the pool says.
    pub(super) fn listen(&mut self, town: &mut Town) {
        while let Some(action) = self.pool.poll() {
            self.hear(town, &action);
            self.said.push_back(action);
        }
        for (child, followed) in &self.followed {
            town.ledger.queues.insert((self.own, *child), followed.queue.len());
        }
    }

    fn hear(&mut self, town: &mut Town, action: &Action) {
        match action {
            Action::Connect { ticket, address } => {
                self.serve(town, *ticket, address);
                let lease = self.leases.get_mut(ticket).unwrap();
                let (child, retry) = (lease.child, lease.route.retry_interval);
                let now = town.now;
                let standing = town.ledger.of(child, address);
                if standing.down && lease.probe.as_ref() != Some(address) {
                    assert!(now >= standing.next_try, "{address} is down, and tried too early");
                    lease.probe = Some(address.clone());
                    standing.probed = true;
                    town.ledger.put_off(child, address, now, retry);
                }
                lease.stage = Stage::Connecting(address.clone());
                self.enter(town, child, address);
            }
            Action::Ready { ticket, kept: None, .. } => {
                let lease = self.leases.get_mut(ticket).expect("a connection for nobody");
                let Stage::Connecting(address) = lease.stage.clone() else {
                    panic!("ready without connecting")
                };
                lease.stage = Stage::InUse(address, town.instant());
            }
            Action::Ready { ticket, kept: Some(id), negotiated } => {
                let kept = self.kept.remove(id).expect("a connection is given away that is not kept");
                self.visit(town, kept.child, Event::Given);
                self.serve(town, *ticket, &kept.address);
                let followed = &self.followed[&kept.child];
                let lease = self.leases.get_mut(ticket).unwrap();
                assert!(!lease.fresh, "kept, where a fresh one was asked for");
                assert_eq!(kept.child, lease.child, "a connection to another child");
                assert_eq!(kept.offer, lease.offer, "a kept connection of another offer");
                assert_eq!(
                    negotiated.as_deref(),
                    Some(&kept.negotiated),
                    "what it negotiated is told wrongly"
                );
                assert_eq!(kept.route, lease.route, "a kept connection of another configuration");
                assert_eq!(kept.epoch, followed.epoch, "kept over a reload");
                assert!(town.instant() < kept.until(), "a kept connection whose time is over");
                assert!(!town.ledger.of(kept.child, &kept.address).down, "a kept connection to what is down");
                lease.stage = Stage::InUse(kept.address.clone(), kept.born);
                lease.answered = true;
                self.enter(town, kept.child, &kept.address);
            }
            Action::Refused { ticket, why } => self.refuse(town, *ticket, *why),
            Action::Close { kept } => {
                self.kept.remove(kept).expect("what is not kept is closed");
            }
            Action::Wake { event_loop } => assert_ne!(*event_loop as usize, self.own, "a loop wakes itself"),
            Action::Notice(Notice::ChildDown { child, address, .. }) => {
                let now = town.now;
                town.note(|| format!("{child} down at {address}"));
                let failing =
                    self.failing.as_ref().is_some_and(|(known, at)| *known == number(child) && at == address);
                assert!(failing, "{address} is told to be down, and has not failed");
                let left =
                    self.kept.values().any(|kept| kept.child == number(child) && kept.address == *address);
                assert!(!left, "connections to {address} are kept, and it is down");
                let standing = town.ledger.of(number(child), address);
                assert!(!standing.down, "{address} is told to be down twice");
                (standing.down, standing.since) = (true, now);
            }
            Action::Notice(Notice::ChildUp { child, address, down_for }) => {
                let now = town.now;
                town.note(|| format!("{child} up at {address}"));
                let standing = town.ledger.of(number(child), address);
                assert!(standing.down, "{address} is told to be up, and was not down");
                let really = (now - standing.since).abs_diff(down_for.as_nanos() as u64);
                assert!(really <= MS, "{address} was down for another time than it is told");
                assert_eq!(standing.strikes, 0, "{address} is up, and has not answered");
                standing.down = false;
            }
            Action::Notice(other) => panic!("{other:?}"),
        }
    }

    /// A request is given an address to connect to, or a connection: it must be its turn, and that of the address.
    fn serve(&mut self, town: &mut Town, ticket: Ticket, address: &Address) {
        let lease = self.leases.get_mut(&ticket).expect("a connection for nobody");
        assert_eq!(lease.stage, Stage::Asking, "given twice");
        let (child, route) = (lease.child, lease.route.clone());
        let at = route.endpoints.iter().position(|endpoint| has(endpoint, address));
        let at = at.expect("an address of another configuration");
        let first = lease.met.is_empty();
        let followed = self.followed.get_mut(&child).unwrap();
        if !lease.begun {
            lease.begun = true;
            if followed.queue.front() != Some(&ticket) {
                panic!("a request was overtaken: {:?} before {ticket:?}", followed.queue);
            }
            followed.queue.pop_front();
            let held = town.ledger.held.entry(child).or_default();
            *held += 1;
            let routes = &town.plan.children[child].routes;
            let most = routes.iter().map(|route| route.max_connections).max().unwrap_or_default();
            assert!(*held <= most, "{held} connections to c{child} in use, {most} are allowed");
        }
        if !first {
            return;
        }
        let now = town.now;
        let lease = &self.leases[&ticket];
        let usable = |town: &mut Town, index: usize| {
            let mut addresses = addresses(&route.endpoints[index]).into_iter();
            addresses.any(|address| {
                let standing = town.ledger.of(child, &address);
                !standing.down || standing.next_try <= now
            })
        };
        let count = route.endpoints.len();
        let all_up = (0..count).all(|index| {
            addresses(&route.endpoints[index]).iter().all(|address| !town.ledger.of(child, address).down)
        });
        let followed = self.followed.get_mut(&child).unwrap();
        if lease.busy {
            return;
        }
        match route.choice {
            EndpointChoice::Failover => {
                for before in 0..at {
                    assert!(
                        !usable(town, before),
                        "endpoint {at} is asked before {before}, which is not down"
                    );
                }
            }
            EndpointChoice::RoundRobin => {
                if let (Some(last), true) = (followed.turn, all_up) {
                    assert_eq!(at, (last + 1) % count, "it is not the turn of endpoint {at}");
                }
                followed.turn = all_up.then_some(at);
            }
            EndpointChoice::LeastBusy => {
                let load = |index: usize| -> i64 {
                    let at = addresses(&route.endpoints[index]);
                    at.iter().map(|address| followed.in_use.get(address).copied().unwrap_or_default()).sum()
                };
                let least = (0..count).map(load).min().unwrap_or_default();
                assert!(!all_up || load(at) == least, "endpoint {at} is busier than another");
            }
        }
    }

    fn refuse(&mut self, town: &mut Town, ticket: Ticket, why: Refusal) {
        let lease = self.leases.get(&ticket).expect("refused, and nobody has asked");
        assert_eq!(lease.stage, Stage::Asking, "refused what it was given");
        let child = lease.child;
        town.note(|| format!("{ticket:?} is refused: {why}"));
        match why {
            Refusal::Full => {
                assert!(!lease.begun, "refused for want of a place that it has");
                let waited = town.now - lease.asked;
                let limit = lease.route.queue_timeout.as_nanos() as u64;
                assert!(waited >= limit, "refused before its time in the queue was over");
                self.visit(town, child, Event::QueueOver);
            }
            Refusal::Down { .. } => {
                for endpoint in &lease.route.endpoints {
                    for address in addresses(endpoint) {
                        let met = lease.met.iter().any(|(known, _)| *known == address);
                        let standing = town.ledger.of(child, &address);
                        let is_down = standing.down && standing.next_try > town.now;
                        assert!(is_down || met, "refused as down, and {address} is not");
                    }
                }
                self.visit(town, child, Event::RefusedAsDown);
            }
            Refusal::Failed(error) => {
                let met = lease.met.iter().any(|(_, known)| *known == error);
                assert!(met, "refused for {error}, which it has not met");
            }
        }
        let lease = self.leases.remove(&ticket).unwrap();
        let followed = self.followed.get_mut(&child).unwrap();
        if lease.met.is_empty() {
            followed.turn = None;
        }
        if !lease.begun {
            followed.queue.retain(|waits| *waits != ticket);
        } else if lease.route.max_connections > 0 {
            *town.ledger.held.entry(child).or_default() -= 1;
        }
    }
}

fn addresses(endpoint: &Endpoint) -> Vec<Address> {
    match endpoint {
        Endpoint::Unix(path) => vec![Address::Unix(path.clone())],
        Endpoint::Tcp(all) => all.iter().map(|address| Address::Tcp(*address)).collect(),
    }
}

fn has(endpoint: &Endpoint, address: &Address) -> bool {
    addresses(endpoint).contains(address)
}
