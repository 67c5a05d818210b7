//! What was visited: how often each event came while a child's addresses and places were in each state.

use crate::town::Town;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[rustfmt::skip] // A table.
pub(crate) enum Event {
    Recalled, Unknown, Asked, AskedAfresh, Given, Connected, Refused, Busy, Exhausted, Learned, Unwell, LostEarly, Lost,
    Kept, Over, GaveUp, LeftTheQueue, QueueOver, RefusedAsDown, Woken, Disturbed, Aged, Reloaded, Stopped,
}

const EVENTS: [Event; 24] = [
    Event::Recalled,
    Event::Unknown,
    Event::Asked,
    Event::AskedAfresh,
    Event::Given,
    Event::Connected,
    Event::Refused,
    Event::Busy,
    Event::Exhausted,
    Event::Learned,
    Event::Unwell,
    Event::LostEarly,
    Event::Lost,
    Event::Kept,
    Event::Over,
    Event::GaveUp,
    Event::LeftTheQueue,
    Event::QueueOver,
    Event::RefusedAsDown,
    Event::Woken,
    Event::Disturbed,
    Event::Aged,
    Event::Reloaded,
    Event::Stopped,
];

/// How a child's addresses stand, and its places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    breakers: usize,
    places: usize,
}

/// The first five are those of the breakers: all closed; closed, but connections have come to nothing; one of several open;
/// all open; open, and somebody tries it again. The others are those of the places.
const STATES: [&str; 8] =
    ["closed", "struck", "some open", "all open", "probed", "place free", "none free", "queue"];
const PLACES: usize = 5;

impl State {
    pub(crate) fn of(town: &Town, child: usize) -> Self {
        let standings = || town.ledger.of_child(child);
        let addresses = town.plan.servers.iter().filter(|server| server.child == child).count();
        let down = standings().filter(|it| it.down).count();
        let breakers = match down {
            _ if standings().any(|it| it.down && it.probed) => 4,
            0 if standings().any(|it| it.strikes > 0) => 1,
            0 => 0,
            _ if down < addresses => 2,
            _ => 3,
        };
        let limit = town.plan.children[child].routes[0].max_connections;
        let places = match () {
            () if town.ledger.waiting(child) > 0 => 2,
            () if limit > 0 && town.ledger.held(child) >= limit => 1,
            () => 0,
        };
        Self { breakers, places: PLACES + places }
    }
}

/// A row for each event, a column for each state.
#[derive(Clone)]
pub(crate) struct Coverage([[u64; STATES.len()]; EVENTS.len()]);

impl Default for Coverage {
    fn default() -> Self {
        Self([[0; STATES.len()]; EVENTS.len()])
    }
}

impl Coverage {
    pub(crate) fn note(&mut self, state: State, event: Event) {
        self.0[event as usize][state.breakers] += 1;
        self.0[event as usize][state.places] += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (row, more) in self.0.iter_mut().zip(&other.0) {
            row.iter_mut().zip(more).for_each(|(count, more)| *count += more);
        }
    }

    pub(crate) fn table(&self) -> String {
        let mut out = format!("{:14}", "");
        STATES.iter().for_each(|name| out += &format!("{name:>12}"));
        for (event, row) in EVENTS.iter().zip(&self.0) {
            out += &format!("\n{:14}", format!("{event:?}"));
            row.iter().for_each(|count| out += &format!("{count:>12}"));
        }
        out
    }

    /// The cells that were visited less than `least` times, and can be; and those that were visited and cannot be.
    pub(crate) fn odd(&self, least: u64) -> (Vec<String>, Vec<String>) {
        let (mut thin, mut impossible) = (Vec::new(), Vec::new());
        for (event, row) in EVENTS.iter().zip(&self.0) {
            for (state, count) in STATES.iter().zip(row) {
                let cell = || format!("{event:?} x {state}: {count}");
                match cannot_occur(*event, state) {
                    None if *count < least => thin.push(cell()),
                    Some(_) if *count > 0 => impossible.push(cell()),
                    _ => {}
                }
            }
        }
        (thin, impossible)
    }
}

/// Why a cell cannot be visited; `None` for all that can.
fn cannot_occur(event: Event, state: &str) -> Option<&'static str> {
    match (event, state) {
        (Event::LeftTheQueue | Event::QueueOver | Event::Woken, "place free" | "none free") => {
            Some("who waits is in the queue")
        }
        (Event::RefusedAsDown, "closed" | "struck" | "some open") => Some("an address is up, and is tried"),
        (Event::Given | Event::Kept, "all open") => Some("what is down is neither kept nor given away"),
        (Event::Exhausted, "all open") => Some("it is seen at once, by who tries again"),
        _ => None,
    }
}
