//! What a child does: how it joins, what it answers to which command, which conditions hold for it.

use super::{Frame, Joined, Place, Text};

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
    /// Something of our own was short: a temporary failure, whatever the fallback is.
    Ours,
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

impl Act {
    /// The whole answer, if it is one.
    pub(crate) fn answer(&self) -> Option<Answer> {
        let (End::Final(reply) | End::FinalThenClose(reply)) = &self.end else { return None };
        Some(Answer { edits: self.edits.clone(), reply: reply.clone() })
    }
}

/// A whole answer: edits, then the final reply.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) edits: Vec<Frame>,
    pub(crate) reply: Frame,
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
    /// We have no descriptor left.
    Exhausted,
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

impl Act {}

impl JoinFault {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Refused | Self::Hang => Kind::Connect,
            Self::Exhausted => Kind::Ours,
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
    /// Waits for the verdict of a child, and stops this one unless that has one that refuses or none yet.
    Await(usize),
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

/// What the pool knows of a child's negotiation from an earlier session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Nothing,
    Right,
    /// The child will not repeat it.
    Wrong,
}

/// A connection that was kept from an earlier session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// There is none.
    No,
    Alive,
    /// The child has closed it meanwhile.
    Dead,
    /// The child closes it with the first of these commands.
    DiesAt(&'static [u8]),
    /// The child closes it after so many milliseconds.
    Dies(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// By kind of failure: connect, timeout, protocol, closed.
    pub(crate) fallbacks: [Fallback; 4],
    pub(crate) evaluation: bool,
    /// It runs beside the others.
    pub(crate) independent: bool,
    /// It closes its connection so many milliseconds after it began, whatever it is doing.
    pub(crate) dies: Option<u64>,
    /// Milliseconds between two reads.
    pub(crate) pace: u64,
    pub(crate) known: Known,
    /// Its connections are kept, unless that is [`Kept::No`].
    pub(crate) kept: Kept,
    /// It is sent content before it has answered what was sent before. Behind a verdict it `forgets` what still comes, as
    /// libmilter does, or answers each.
    pub(crate) pipelining: bool,
    pub(crate) forgets: bool,
    pub(crate) fault: Option<JoinFault>,
    /// From which of its connections on; 0 is the first.
    pub(crate) fault_from: usize,
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
    pub(crate) fn failure(&self) -> Option<Kind> {
        Some(match self {
            Self::Final(_) => return None,
            Self::Bad(bytes) => match bytes[..4] {
                [0, 0, 0, length] if length > 0 && bytes.len() < 4 + usize::from(length) => Kind::Timeout,
                _ => Kind::Protocol,
            },
            Self::Stall | Self::Half { then_close: false } => Kind::Timeout,
            _ => Kind::Closed,
        })
    }
}

impl Plan {
    /// What it answers to an offer: version, actions, protocol.
    pub(crate) fn joins(&self, (version, actions, protocol): (u32, u32, u32)) -> Joined {
        let actions = self.actions & actions;
        Joined {
            version: self.version.min(version),
            actions,
            protocol: self.protocol & (protocol | 0xf_f080),
            lists: if actions & 0x100 != 0 { self.lists.clone() } else { Vec::new() },
        }
    }

    /// The same child on a connection on which it is told again what it has answered before: it has done so in vain.
    pub(crate) fn told_again(&self) -> Self {
        let is_final = |rule: &Rule| matches!(rule.act.end, End::Final(_));
        let mut plan = self.clone();
        plan.rules.retain(|rule| !b"CH".contains(&rule.letter) || is_final(rule));
        plan
    }

    pub(crate) fn condition(&self, letter: u8, key: &[u8]) -> Option<(usize, &Effect)> {
        let at = self.conditions.iter().position(|it| it.letter == letter && it.holds(key))?;
        Some((at, &self.conditions[at].effect))
    }

    /// The child whose verdict its conditions read.
    pub(crate) fn reads(&self) -> Option<usize> {
        self.conditions
            .iter()
            .find_map(|it| if let Effect::Await(other) = it.effect { Some(other) } else { None })
    }

    /// What its condition does about a command of a message with this MAIL.
    pub(crate) fn effect(&self, letter: u8, payload: &[u8], mail: &[u8]) -> Option<&Effect> {
        let key = match letter {
            b'H' | b'M' | b'R' | b'L' => payload,
            b'T' | b'N' | b'E' => mail,
            _ => b"",
        };
        let key = key.split(|byte| *byte == 0).next().unwrap_or(b"");
        self.condition(letter, key).map(|(_, effect)| effect)
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
