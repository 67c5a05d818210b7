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

    /// The cells that were visited less often than they should be by so many seeds: 100 times, or at all where that takes
    /// many more of them.
    pub(crate) fn thin(&self, seeds: u64) -> Vec<String> {
        self.cells(|event, state, count| {
            let least = match is_rare(event, state) {
                true if seeds >= VERY_MANY => SOMETIMES,
                false if seeds >= MANY => OFTEN,
                _ => 0,
            };
            cannot_occur(event, state).is_none() && count < least
        })
    }

    /// The cells that were visited although nobody knows how.
    pub(crate) fn impossible(&self) -> Vec<String> {
        self.cells(|event, state, count| cannot_occur(event, state).is_some() && count > 0)
    }

    fn cells(&self, wanted: impl Fn(Event, &str, u64) -> bool) -> Vec<String> {
        let cells = EVENTS.iter().zip(&self.0).flat_map(|(event, row)| {
            STATES.iter().zip(row).map(move |(state, count)| (*event, *state, *count))
        });
        let found = cells.filter(|(event, state, count)| wanted(*event, state, *count));
        found.map(|(event, state, count)| format!("{event:?} x {state}: {count}")).collect()
    }
}

/// From so many seeds on every cell but the rare ones must have been visited often, and from so many on those, too.
const MANY: u64 = 3_000;
const VERY_MANY: u64 = 100_000;
const OFTEN: u64 = 100;
const SOMETIMES: u64 = 1;

/// Whether chance comes by seldom. A child that is down has few who could still do something, a try is over soon, and kept
/// connections that turn out to be dead are few.
fn is_rare(event: Event, state: &str) -> bool {
    let is_few = matches!(
        (event, state),
        (Event::Given | Event::GaveUp | Event::RefusedAsDown, "none free")
            | (Event::Disturbed | Event::GaveUp, "struck")
    );
    is_few || event == Event::AskedAfresh || matches!(state, "all open" | "probed")
}

/// Why a cell cannot be visited; `None` for all that can.
fn cannot_occur(event: Event, state: &str) -> Option<&'static str> {
    match (event, state) {
        (Event::LeftTheQueue | Event::QueueOver | Event::Woken, "place free" | "none free") => {
            Some("who waits is in the queue")
        }
        (Event::RefusedAsDown, "closed" | "struck" | "some open") => Some("an address is up, and is tried"),
        (Event::Given | Event::Kept, "all open") => Some("what is down is neither kept nor given away"),
        _ => None,
    }
}
