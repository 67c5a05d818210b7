//! What the MTA and the children of one world do: plain data, made from a seed by `script`.

mod child;
mod joined;
mod macros;
mod progress;
mod verdict;

pub(crate) use child::{
    Act, Answer, Condition, Effect, End, Fallback, JoinFault, Kept, Kind, Known, Plan, Rule, Said,
};
pub(crate) use joined::{Joined, since};
pub(crate) use macros::Macros;
pub(crate) use progress::{Place, Progress};
pub(crate) use verdict::{Ends, SHUTDOWN, Verdict, plain};

use std::sync::Arc;

pub(crate) type Text = Vec<u8>;
/// Letter and payload.
pub(crate) type Frame = (u8, Text);

/// One thing that the MTA does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send {
        letter: u8,
        payload: Text,
        /// Name and value pairs of the MACRO in front, names without braces.
        macros: Option<Vec<(Text, Text)>>,
    },
    /// Nothing for so many milliseconds.
    Pause(u64),
    /// The message is over, refused or not.
    EndOfMessage,
    /// Closes without QUIT.
    Close,
    /// Sends these bytes, which make no sense, so many milliseconds from now, and says nothing more.
    Garbage(u64, Text),
    /// Says nothing more, and stays.
    Silence,
    /// Closes so many milliseconds from now, whatever is owed.
    CloseSoon(u64),
}

/// How the MTA takes what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    Usual,
    /// Milliseconds between two reads.
    Slow(u64),
    Never,
}

/// The session's limits that a world sets, in seconds, numbers or bytes; `None` is the default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) command_budget: Option<u64>,
    pub(crate) message_budget: Option<u64>,
    pub(crate) mta_greeting: Option<u64>,
    pub(crate) mta_idle: Option<u64>,
    pub(crate) mta_writing: Option<u64>,
    pub(crate) read_ahead: Option<u64>,
    pub(crate) recipients: Option<u64>,
    pub(crate) envelope_bytes: Option<u64>,
    pub(crate) headers: Option<u64>,
    pub(crate) header_bytes: Option<u64>,
    pub(crate) body_bytes: Option<u64>,
    /// Bodies past the memory limit may go through a file.
    pub(crate) no_files: bool,
    pub(crate) edits: Option<u64>,
    pub(crate) edit_bytes: Option<u64>,
    pub(crate) macro_bytes: Option<u64>,
    pub(crate) spill_bytes: Option<u64>,
}

impl Bounds {
    /// Whether one child's edits are past the limits by themselves.
    pub(crate) fn forbid(&self, edits: &[Frame]) -> bool {
        let counted = edits.iter().filter(|edit| !b"bp".contains(&edit.0)).count() as u64;
        let bytes = edits.iter().map(|(_, payload)| payload.len() as u64).sum::<u64>();
        self.edits.is_some_and(|most| counted > most) || self.edit_bytes.is_some_and(|most| bytes > most)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct MtaPlan {
    pub(crate) reads: Reads,
    /// When it closes whatever happens, in milliseconds.
    pub(crate) closes: Option<u64>,
    /// It never makes a whole offer.
    pub(crate) mute: bool,
    pub(crate) version: u32,
    pub(crate) actions: u32,
    pub(crate) protocol: u32,
    pub(crate) steps: Vec<Step>,
    /// Goes on with a message or connection that was refused or accepted.
    pub(crate) lax: bool,
    /// Sends ABORT when a message was refused, QUIT when a connection was.
    pub(crate) polite: bool,
    /// Sends macros also for commands that it does not send.
    pub(crate) postfix: bool,
    /// Its macros say that it is Postfix.
    pub(crate) tells: bool,
}

/// Everything about one world but the order of things.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) mta: MtaPlan,
    pub(crate) children: Vec<Arc<Plan>>,
    /// What the policy says without children.
    pub(crate) fallback: Fallback,
    /// The header that marks mail which a child did not see.
    pub(crate) mark: Option<Text>,
    /// All children are shown a recipient at once.
    pub(crate) parallel: bool,
    pub(crate) bounds: Bounds,
    /// The whole machine is paused now and then, for minutes.
    pub(crate) pauses: bool,
    /// Files of bodies are slow; each thing that they are asked for breaks them with so many percent.
    pub(crate) files_slow: bool,
    pub(crate) files_break: u64,
    /// What the MTA says comes in bursts.
    pub(crate) bursts: bool,
    /// The configuration is read anew while the session runs.
    pub(crate) reloads: bool,
    /// Of all sessions together so many percent find no room for what they keep.
    pub(crate) ration: u64,
    /// Children are connected only when they are shown something, as far as their negotiation is known.
    pub(crate) lazy: bool,
    /// The process is told to stop, and nobody hurries.
    pub(crate) stops: bool,
}

impl Scenario {
    /// What is answered for a child that has failed so: a temporary failure where something of our own was short, or where the
    /// MTA cannot hold a message.
    pub(crate) fn fallback_for(&self, child: usize, kind: Kind) -> Fallback {
        match kind {
            Kind::Ours => Fallback::TemporaryFailure,
            kind => match self.children[child].fallback(kind) {
                Fallback::Quarantine if self.mta.actions & 0x20 == 0 => Fallback::TemporaryFailure,
                fallback => fallback,
            },
        }
    }
}

pub(crate) fn no_send_bit(letter: u8) -> u32 {
    bits(letter).0
}

pub(crate) fn no_reply_bit(letter: u8) -> u32 {
    bits(letter).1
}

fn bits(letter: u8) -> (u32, u32) {
    match letter {
        b'C' => (0x01, 0x1000),
        b'H' => (0x02, 0x2000),
        b'M' => (0x04, 0x4000),
        b'R' => (0x08, 0x8000),
        b'B' => (0x10, 0x8_0000),
        b'L' => (0x20, 0x80),
        b'N' => (0x40, 0x4_0000),
        b'U' => (0x100, 0x2_0000),
        b'T' => (0x200, 0x1_0000),
        _ => (0, 0),
    }
}
