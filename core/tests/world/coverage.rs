//! What was visited: how often each kind of input came in each state of the MTA's conversation.

use millstream_core::machine::{Input, Peer};

pub(crate) const STATES: [&str; 12] = [
    "greeting",
    "O owed",
    "idle",
    "C H U owed",
    "envelope",
    "M R owed",
    "T owed",
    "data",
    "headers",
    "ended",
    "body",
    "E owed",
];

pub(crate) const INPUTS: [&str; 17] = [
    "tick",
    "MTA bytes",
    "MTA wrote",
    "MTA closed",
    "child bytes",
    "child wrote",
    "child closed",
    "ready",
    "refused",
    "answered",
    "appended",
    "read back",
    "file failed",
    "stop",
    "kept",
    "remembered",
    "late",
];

/// A row for each state, a column for each kind of input.
#[derive(Clone, Default)]
pub(crate) struct Coverage(pub(crate) [[u64; INPUTS.len()]; STATES.len()]);

impl Coverage {
    pub(crate) fn note(&mut self, state: usize, input: &Input) {
        self.0[state][kind(input)] += 1;
    }

    /// An input for a connection or file that is gone.
    pub(crate) fn note_late(&mut self, state: usize) {
        self.0[state][INPUTS.len() - 1] += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (row, more) in self.0.iter_mut().zip(&other.0) {
            row.iter_mut().zip(more).for_each(|(count, more)| *count += more);
        }
    }

    pub(crate) fn table(&self) -> String {
        let mut out = format!("{:12}", "");
        INPUTS.iter().for_each(|name| out += &format!("{name:>13}"));
        for (name, row) in STATES.iter().zip(&self.0) {
            out += &format!("\n{name:12}");
            row.iter().for_each(|count| out += &format!("{count:>13}"));
        }
        out
    }

    /// The cells that were visited although nobody knows how.
    pub(crate) fn impossible(&self) -> Vec<String> {
        let cells = STATES
            .iter()
            .zip(&self.0)
            .flat_map(|(state, row)| INPUTS.iter().zip(row).map(move |it| (state, it)));
        let visited =
            cells.filter(|(state, (input, count))| **count > 0 && cannot_occur(state, input).is_some());
        visited.map(|(state, (input, count))| format!("{state} x {input}: {count}")).collect()
    }

    /// The cells that can occur and were visited less than `least` times.
    pub(crate) fn thin(&self, least: u64) -> Vec<String> {
        let mut thin = Vec::new();
        for (state, row) in STATES.iter().zip(&self.0) {
            for (input, count) in INPUTS.iter().zip(row) {
                if *count < least && is_asked_for(state, input) {
                    thin.push(format!("{state} x {input}: {count}"));
                }
            }
        }
        thin
    }
}

/// The state in which the MTA's conversation is: by the command that waits for its answer, else by the last one.
pub(crate) fn state(owed: Option<u8>, last: Option<u8>, greeted: bool) -> usize {
    match (owed, last) {
        _ if !greeted => 0,
        (Some(b'O'), _) => 1,
        (Some(b'C' | b'H' | b'U'), _) => 3,
        (Some(b'M' | b'R'), _) => 5,
        (Some(b'T'), _) => 6,
        (Some(b'E'), _) => 11,
        (_, Some(b'M' | b'R')) => 4,
        (_, Some(b'T')) => 7,
        (_, Some(b'L')) => 8,
        (_, Some(b'N')) => 9,
        (_, Some(b'B')) => 10,
        _ => 2,
    }
}

fn kind(input: &Input) -> usize {
    match input {
        Input::Tick => 0,
        Input::Received { peer: Peer::MTA, .. } => 1,
        Input::Wrote { peer: Peer::MTA, .. } => 2,
        Input::Closed { peer: Peer::MTA, .. } => 3,
        Input::Received { .. } => 4,
        Input::Wrote { .. } => 5,
        Input::Closed { .. } => 6,
        Input::Ready { negotiated: None, .. } => 7,
        Input::Ready { .. } => 14,
        Input::Remembered { .. } => 15,
        Input::Refused { .. } => 8,
        Input::Answered { .. } => 9,
        Input::SpillAppended { .. } => 10,
        Input::SpillRead { .. } => 11,
        Input::SpillFailed { .. } => 12,
        _ => 13,
    }
}

/// Why a cell cannot be visited; `None` for all that can.
fn cannot_occur(state: &str, input: &str) -> Option<&'static str> {
    match (state, input) {
        (_, "tick" | "MTA bytes" | "MTA closed" | "stop") => None,
        ("greeting", "MTA wrote") => Some("nothing is said to an MTA that has made no offer"),
        ("greeting", _) => Some("children and files are only asked for after the offer"),
        ("O owed", "appended" | "read back" | "file failed") => Some("there was no body yet"),
        _ => None,
    }
}

/// Whether chance can be expected to come by often.
fn is_asked_for(state: &str, input: &str) -> bool {
    // The file of a message that is not over is a matter of its body. Only what the MTA has sent behind an ABORT, and the
    // session has not looked at, can say another state; what is late for a file that is gone is counted as such.
    let of_a_file = ["appended", "read back", "file failed"].contains(&input);
    // The first condition is that of CONNECT, which hardly any MTA sends before it has read the answer to its offer.
    let of_one_in_a_hurry = (state, input) == ("O owed", "answered");
    cannot_occur(state, input).is_none()
        && !of_one_in_a_hurry
        && (!of_a_file || ["body", "E owed"].contains(&state))
}
