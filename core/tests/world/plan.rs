//! What the MTA and the children of one world do: plain data, made from a seed by `script`.

use std::collections::BTreeMap;

pub(crate) type Text = Vec<u8>;
/// Letter and payload.
pub(crate) type Frame = (u8, Text);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fallback {
    Accept,
    TemporaryFailure,
    Reject,
    Discard,
    /// The message goes on and is held.
    Quarantine,
    /// A temporary failure with which the SMTP connection ends.
    Shutdown,
}

/// The ways in which a child fails, each with a fallback of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Connect,
    Timeout,
    Protocol,
    Closed,
}

/// How a child's answer to one command ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    Final(Frame),
    FinalThenClose(Frame),
    Close,
    /// Never answers.
    Stall,
    /// Bytes that are no legal reply here.
    Bad(Text),
    /// The beginning of a reply, then nothing (or the end of the connection).
    Half {
        then_close: bool,
    },
}

/// What a child does about one command: edits and PROGRESS first (at end of message), then the end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Act {
    pub(crate) edits: Vec<Frame>,
    pub(crate) end: End,
    /// Milliseconds before each frame.
    pub(crate) pause: u64,
}

/// When an act is due; `None` fits always.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) message: Option<u32>,
    pub(crate) letter: u8,
    /// The how manieth of its kind; for body the byte that must have come.
    pub(crate) ordinal: Option<u32>,
    pub(crate) act: Act,
}

/// How getting a child's connection and its negotiation fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinFault {
    Refused,
    /// Connecting takes forever.
    Hang,
    CloseAtOnce,
    Stall,
    Garbage,
    /// The answer is of a higher version, or with actions that were not offered.
    TooHigh,
    TooMuch,
    /// A frame that is no negotiation.
    OtherReply,
    HalfFrame,
}

impl JoinFault {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Refused | Self::Hang => Kind::Connect,
            Self::CloseAtOnce => Kind::Closed,
            Self::Stall | Self::HalfFrame => Kind::Timeout,
            Self::Garbage | Self::TooHigh | Self::TooMuch | Self::OtherReply => Kind::Protocol,
        }
    }
}

/// What the resolver says to a question, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Found,
    Nothing,
    Failed,
    Never,
}

/// What a condition of the policy does to a child where it holds.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Stop,
    Macros(Vec<(Text, Text)>),
    /// Asks first, and stops the child when something is found.
    LookUp {
        said: Said,
        /// Milliseconds.
        after: u64,
    },
}

/// A condition: at which command it is looked at, and for which of them it holds.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) letter: u8,
    /// It holds for a third of all keys, by this rest; 3 is for all.
    pub(crate) rest: u32,
    pub(crate) effect: Effect,
}

impl Condition {
    /// `key`: the name of HELO or header, the recipient, the sender at MAIL, DATA and the ends; nothing elsewhere.
    pub(crate) fn holds(&self, key: &[u8]) -> bool {
        self.rest == 3 || key.iter().map(|byte| u32::from(*byte)).sum::<u32>() % 3 == self.rest
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// By kind of failure: connect, timeout, protocol, closed.
    pub(crate) fallbacks: [Fallback; 4],
    pub(crate) evaluation: bool,
    pub(crate) fault: Option<JoinFault>,
    pub(crate) version: u32,
    pub(crate) actions: u32,
    pub(crate) protocol: u32,
    /// By command letter; names without braces. An empty list means the MTA's default.
    pub(crate) lists: Vec<(u8, Vec<Text>)>,
    pub(crate) rules: Vec<Rule>,
    /// At most one for each letter.
    pub(crate) conditions: Vec<Condition>,
    pub(crate) usual: Act,
    /// Milliseconds until its connection is there.
    pub(crate) joins_after: u64,
    /// Seconds: connection, writing, reading, end of message.
    pub(crate) timeouts: [u64; 4],
}

impl End {
    /// How the child fails with it; what is no whole frame is waited for.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Bad(bytes) => match bytes[..4] {
                [0, 0, 0, length] if length > 0 && bytes.len() < 4 + usize::from(length) => Kind::Timeout,
                _ => Kind::Protocol,
            },
            Self::Stall | Self::Half { then_close: false } => Kind::Timeout,
            _ => Kind::Closed,
        }
    }
}

impl Plan {
    pub(crate) fn condition(&self, letter: u8, key: &[u8]) -> Option<(usize, &Effect)> {
        let at = self.conditions.iter().position(|it| it.letter == letter && it.holds(key))?;
        Some((at, &self.conditions[at].effect))
    }

    pub(crate) fn fallback(&self, kind: Kind) -> Fallback {
        self.fallbacks[kind as usize]
    }

    pub(crate) fn act(&self, place: &Place) -> &Act {
        let fits = |rule: &&Rule| {
            rule.letter == place.letter
                && rule.message.is_none_or(|message| message == place.message)
                && rule.ordinal.is_none_or(|ordinal| place.from <= ordinal && ordinal < place.until)
        };
        self.rules.iter().find(fits).map_or(&self.usual, |rule| &rule.act)
    }
}

/// What a child answered to the offer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Joined {
    pub(crate) version: u32,
    pub(crate) actions: u32,
    pub(crate) protocol: u32,
    pub(crate) lists: Vec<(u8, Vec<Text>)>,
}

/// Where a child stands when it sees a command, by what it saw itself.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) message: u32,
    pub(crate) letter: u8,
    pub(crate) from: u32,
    pub(crate) until: u32,
}

/// Counts what a child sees, so that its script means the same whatever the timing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    message: u32,
    open: bool,
    counts: BTreeMap<u8, u32>,
}

impl Progress {
    pub(crate) fn see(&mut self, letter: u8, payload: usize) -> Place {
        match letter {
            b'A' | b'K' => self.open = false,
            b'M' | b'R' | b'T' | b'L' | b'N' | b'B' | b'E' if !self.open || letter == b'M' => {
                self.open = true;
                self.message += 1;
                self.counts.retain(|known, _| b"CHU".contains(known));
            }
            _ => {}
        }
        if letter == b'E' {
            self.open = false;
        }
        let count = self.counts.entry(letter).or_default();
        let from = *count;
        *count += if letter == b'B' { payload as u32 } else { 1 };
        Place { message: self.message, letter, from, until: *count }
    }
}

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
    pub(crate) macro_bytes: Option<u64>,
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
}

/// Everything about one world but the order of things.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) mta: MtaPlan,
    pub(crate) children: Vec<Plan>,
    /// What the policy says without children.
    pub(crate) fallback: Fallback,
    /// The header that marks mail which a child did not see.
    pub(crate) mark: Option<Text>,
    /// All children are shown a recipient at once.
    pub(crate) parallel: bool,
    pub(crate) bounds: Bounds,
    /// The whole machine is paused now and then, for minutes.
    pub(crate) pauses: bool,
    /// The process is told to stop, and nobody hurries.
    pub(crate) stops: bool,
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
