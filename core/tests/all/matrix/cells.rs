//! The cells of the matrix: every combination, none left out.

use millstream_core::policy::Fallback;

use super::driver::{Frame, Kid, Say, frame, negotiation};

/// The stages, by their letters, in the order of a session.
pub(crate) const STAGES: &[u8; 11] = b"OCHUMRTLNBE";

/// What the child under test does at its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// One reply letter without payload.
    Letter(u8),
    /// `y` with this text.
    Text(&'static str),
    /// A change and, where changes belong, `c` behind it.
    Edit(u8),
    /// PROGRESS and, where it belongs, `c` behind it.
    Progress,
    /// A negotiation.
    Negotiates,
    /// It hangs up.
    Close,
    /// A frame of length 0.
    Garbage,
    /// A frame longer than any can be.
    Huge,
    /// It says nothing.
    Timeout,
    /// No connection to it can be had.
    Refused,
}

pub(crate) const ACTS: &[Act] = &[
    Act::Letter(b'c'),
    Act::Letter(b'a'),
    Act::Letter(b'r'),
    Act::Letter(b't'),
    Act::Letter(b'd'),
    Act::Letter(b's'),
    Act::Letter(b'4'),
    Act::Letter(b'f'),
    Act::Letter(b'?'),
    Act::Text("550 5.7.1 No"),
    Act::Text("451 4.7.1 Later"),
    Act::Text("550 without an enhanced code"),
    Act::Text("550-5.7.1 Two\r\n550 5.7.1 lines"),
    Act::Edit(b'h'),
    Act::Edit(b'i'),
    Act::Edit(b'm'),
    Act::Edit(b'b'),
    Act::Edit(b'+'),
    Act::Edit(b'2'),
    Act::Edit(b'-'),
    Act::Edit(b'e'),
    Act::Edit(b'q'),
    Act::Progress,
    Act::Negotiates,
    Act::Close,
    Act::Garbage,
    Act::Huge,
    Act::Timeout,
    Act::Refused,
];

/// Where the child under test stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Only,
    FirstOfTwo,
    LastOfTwo,
}

/// What the other child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Other {
    /// Nothing but `c`.
    Passes,
    /// It refuses with a text of its own at the same stage.
    Refuses,
}

/// Which MTA stands in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mta {
    /// Version 6, everything offered.
    Full,
    /// Version 6, a reply to everything.
    LockStep,
    /// Version 2: neither DATA nor UNKNOWN.
    Old,
}

impl Mta {
    pub(crate) fn offer(self) -> Frame {
        match self {
            Self::Full => negotiation(6, 0x1ff, 0x1f_ffff),
            Self::LockStep => negotiation(6, 0x1ff, 0x37f | 0x400),
            Self::Old => negotiation(2, 0x3f, 0x7f),
        }
    }

    pub(crate) fn has(self, stage: u8) -> bool {
        self != Self::Old || !b"TU".contains(&stage)
    }
}

/// One cell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) stage: u8,
    pub(crate) act: Act,
    pub(crate) place: Place,
    pub(crate) other: Other,
    pub(crate) evaluation: bool,
    pub(crate) fallback: Fallback,
    pub(crate) mta: Mta,
}

/// Every cell with one kind of MTA.
pub(crate) fn cells(mta: Mta) -> Vec<Cell> {
    let fallbacks = [
        Fallback::Accept,
        Fallback::TemporaryFailure,
        Fallback::Reject,
        Fallback::Discard,
        Fallback::Quarantine,
        Fallback::Shutdown,
    ];
    let mut cells = Vec::new();
    for stage in STAGES.iter().copied().filter(|stage| mta.has(*stage)) {
        for act in ACTS.iter().copied().filter(|act| *act != Act::Refused || stage == b'O') {
            for (place, other) in places(stage) {
                for evaluation in [false, true] {
                    for fallback in fallbacks {
                        cells.push(Cell { stage, act, place, other, evaluation, fallback, mta });
                    }
                }
            }
        }
    }
    cells
}

/// Places with what the other child does: one that is alone has none, and no verdict belongs to a negotiation.
fn places(stage: u8) -> Vec<(Place, Other)> {
    let mut places = vec![
        (Place::Only, Other::Passes),
        (Place::FirstOfTwo, Other::Passes),
        (Place::LastOfTwo, Other::Passes),
    ];
    if stage != b'O' {
        places.extend([(Place::FirstOfTwo, Other::Refuses), (Place::LastOfTwo, Other::Refuses)]);
    }
    places
}

/// The change that stands for a letter. Its payload goes to the MTA as it is.
pub(crate) fn edit(letter: u8) -> Frame {
    frame(
        letter,
        match letter {
            b'h' => &b"X-New\0value\0"[..],
            b'i' => b"\0\0\0\x01X-New\0value\0",
            b'm' => b"\0\0\0\x01Subject\0other\0",
            b'b' => b"another body\r\n",
            b'+' => b"<new@example.org>\0",
            b'2' => b"<new@example.org>\0NOTIFY=NEVER\0",
            b'-' => b"<one@example.org>\0",
            b'e' => b"<changed@example.org>\0",
            _ => b"why\0",
        },
    )
}

pub(crate) const OTHER_TEXT: &str = "554 5.7.0 the other one";

impl Cell {
    /// The children, in chain order.
    pub(crate) fn kids(&self) -> Vec<Kid> {
        let tested = self.tested();
        let stage = self.stage;
        match (self.place, self.other) {
            (Place::Only, _) => vec![tested],
            (Place::FirstOfTwo, Other::Passes) => vec![tested, Kid::usual()],
            (Place::LastOfTwo, Other::Passes) => vec![Kid::usual(), tested],
            (place, Other::Refuses) => {
                let other = Kid::new(once(stage, move || Say::reply(OTHER_TEXT)));
                if place == Place::FirstOfTwo { vec![tested, other] } else { vec![other, tested] }
            }
        }
    }

    fn tested(&self) -> Kid {
        let (act, stage) = (self.act, self.stage);
        let say = move || match act {
            Act::Letter(letter) => Say::letter(letter),
            Act::Text(text) => Say::reply(text),
            Act::Edit(letter) if stage == b'E' => Say::frames([edit(letter), frame(b'c', [])]),
            Act::Edit(letter) => Say::frames([edit(letter)]),
            Act::Progress if stage == b'E' => Say::frames([frame(b'p', []), frame(b'c', [])]),
            Act::Progress => Say::letter(b'p'),
            Act::Negotiates if stage == b'O' => Say::Usual,
            Act::Negotiates => Say::frames([negotiation(6, 0, 0)]),
            Act::Close => Say::Close,
            Act::Garbage => Say::Bytes(vec![0; 5]),
            Act::Huge => Say::Bytes(vec![0xff; 9]),
            Act::Timeout | Act::Refused => Say::Nothing,
        };
        let mut kid = Kid::new(once(stage, say)).fallback(self.fallback).evaluation(self.evaluation);
        kid.refuses = act == Act::Refused;
        kid
    }
}

/// A script that does something the first time that a command comes, and is an ordinary milter otherwise.
fn once(stage: u8, say: impl Fn() -> Say + 'static) -> impl FnMut(&Frame) -> Say + 'static {
    let mut done = false;
    move |(letter, _): &Frame| {
        if *letter != stage || core::mem::replace(&mut done, true) {
            return Say::Usual;
        }
        say()
    }
}
