//! What the MTA must be answered in a cell, written down from `docs/architecture.md` as a table. It knows one child, its
//! stage and its act, and nothing of how the chain works.

use millstream_core::policy::Fallback;

use super::cells::{Act, Cell, Mta, OTHER_TEXT, Other, Place, edit};
use super::driver::{Frame, frame};

/// What an act means at a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    /// Nothing against it.
    Pass,
    /// A change to the message.
    Change(Frame),
    /// Nothing against it, and it need not see more of this.
    Enough,
    /// An objection, in the words for the MTA.
    Objects(Frame),
    /// It is of no use any more.
    Fails,
}

fn text(text: &str) -> Frame {
    frame(b'y', [text.as_bytes(), b"\0"].concat())
}

fn meaning(stage: u8, act: Act) -> Meaning {
    use Meaning::{Change, Enough, Fails, Objects, Pass};

    if stage == b'O' {
        return if act == Act::Negotiates { Pass } else { Fails };
    }
    match act {
        Act::Letter(b'c' | b's') => Pass,
        // Of an unknown command nothing follows.
        Act::Letter(b'a') if stage == b'U' || stage == b'E' => Pass,
        Act::Letter(b'a') => Enough,
        // There is nothing to throw away yet.
        Act::Letter(b'd') if b"CHU".contains(&stage) => Pass,
        Act::Letter(b'd') => Objects(frame(b'd', [])),
        Act::Letter(b'r') => Objects(frame(b'r', [])),
        Act::Letter(b't') => Objects(frame(b't', [])),
        Act::Letter(b'4') => Objects(shutdown()),
        Act::Text(words) => Objects(text(words)),
        Act::Edit(letter) if stage == b'E' => Change(edit(letter)),
        Act::Progress if stage == b'E' => Pass,
        _ => Fails,
    }
}

fn shutdown() -> Frame {
    text("421 4.7.0 Service not available, closing transmission channel")
}

fn of_fallback(fallback: Fallback) -> Option<Frame> {
    match fallback {
        Fallback::Accept | Fallback::Quarantine => None,
        Fallback::TemporaryFailure => Some(frame(b't', [])),
        Fallback::Reject => Some(frame(b'r', [])),
        Fallback::Discard => Some(frame(b'd', [])),
        Fallback::Shutdown => Some(shutdown()),
    }
}

/// How the child under test stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    In,
    /// It has no part in this message any more.
    Done,
    /// It has taken its leave from the session.
    Left,
    Failed,
}

/// The answers in one cell, stage by stage.
pub(crate) struct Rules {
    cell: Cell,
    stands: Stands,
    acted: bool,
    other_acted: bool,
    /// An objection to the connection, or to the message in hand.
    refused: Option<Frame>,
    message: Option<Frame>,
    changes: Vec<Frame>,
}

impl Rules {
    pub(crate) fn new(cell: Cell) -> Self {
        let mut rules = Self {
            cell,
            stands: Stands::In,
            acted: false,
            other_acted: false,
            refused: None,
            message: None,
            changes: Vec::new(),
        };
        if cell.stage == b'O' {
            rules.act(b'O');
        }
        rules
    }

    /// What the MTA is told at a stage that it sends: changes, then the verdict.
    pub(crate) fn answer(&mut self, stage: u8) -> Vec<Frame> {
        if stage == b'M' {
            self.message = None;
            self.changes.clear();
            if self.stands == Stands::Done {
                self.stands = Stands::In;
            }
        }
        if let Some(refused) = self.refused.clone().or(self.message.clone()) {
            return self.tell(stage, Some(refused));
        }
        let (first, second) = match self.cell.place {
            Place::LastOfTwo => (self.other(stage), None),
            _ => (None, Some(())),
        };
        // What a child says behind an objection does not count, except that of an unknown command nothing follows, so
        // that one that fails there has failed.
        let mine = if first.is_none() || stage == b'U' { self.mine(stage) } else { None };
        let failed = mine.is_some() && first.is_none() && self.stands == Stands::Failed;
        let objection = first.or(mine).or_else(|| second.and_then(|()| self.other(stage)));
        if let Some(objection) = &objection {
            match stage {
                b'C' | b'H' => self.refused = Some(objection.clone()),
                b'U' => {}
                b'R' if objection.0 != b'd' && !failed => {}
                _ => self.message = Some(objection.clone()),
            }
        }
        self.tell(stage, objection)
    }

    fn tell(&self, stage: u8, objection: Option<Frame>) -> Vec<Frame> {
        match objection {
            Some(_) if b"LNB".contains(&stage) => vec![frame(b'c', [])],
            Some(objection) => vec![objection],
            None if stage == b'E' => {
                // Mail that a child has not seen is held back where that is its fallback.
                let missed = self.stands == Stands::Failed && !self.cell.evaluation;
                let held = missed && self.cell.fallback == Fallback::Quarantine;
                let name = if self.cell.place == Place::LastOfTwo { "c1" } else { "c0" };
                let quarantine = held.then(|| frame(b'q', format!("not seen by {name}\0")));
                self.changes.iter().cloned().chain(quarantine).chain([frame(b'c', [])]).collect()
            }
            None => vec![frame(if self.nobody_is_left(stage) { b'a' } else { b'c' }, [])],
        }
    }

    /// Alone, and with nothing more to say: its fallback may still have to be.
    fn nobody_is_left(&self, stage: u8) -> bool {
        let gone = match self.stands {
            Stands::In => false,
            Stands::Done => b"MRT".contains(&stage),
            Stands::Left => b"CHMRT".contains(&stage),
            Stands::Failed => {
                let silent = self.cell.evaluation || self.cell.fallback == Fallback::Accept;
                silent && b"CHMRT".contains(&stage)
            }
        };
        self.cell.place == Place::Only && gone
    }

    /// The objection of the other child.
    fn other(&mut self, stage: u8) -> Option<Frame> {
        let acts = self.cell.other == Other::Refuses && stage == self.cell.stage;
        (acts && !core::mem::replace(&mut self.other_acted, true)).then(|| text(OTHER_TEXT))
    }

    /// The objection of the child under test.
    fn mine(&mut self, stage: u8) -> Option<Frame> {
        let objection =
            (stage == self.cell.stage && self.stands == Stands::In).then(|| self.act(stage)).flatten();
        if self.cell.evaluation {
            return None;
        }
        if self.stands == Stands::Failed {
            let fallback = of_fallback(self.cell.fallback);
            return fallback.filter(|(letter, _)| *letter != b'd' || !b"CHU".contains(&stage));
        }
        objection
    }

    /// It does what it does once.
    fn act(&mut self, stage: u8) -> Option<Frame> {
        if core::mem::replace(&mut self.acted, true) {
            return None;
        }
        match meaning(stage, self.cell.act) {
            Meaning::Pass => {}
            Meaning::Change(change) => {
                let granted = self.cell.mta != Mta::Old || !b"2e".contains(&change.0);
                if granted && !self.cell.evaluation {
                    self.changes.push(change);
                }
            }
            Meaning::Enough => self.stands = after(stage),
            Meaning::Objects(objection) => {
                let only_that = stage == b'U' || stage == b'R' && objection.0 != b'd';
                if !only_that {
                    self.stands = after(stage);
                }
                return Some(objection);
            }
            Meaning::Fails => self.stands = Stands::Failed,
        }
        None
    }
}

/// How a child stands that has said its last word at a stage.
fn after(stage: u8) -> Stands {
    if b"CH".contains(&stage) { Stands::Left } else { Stands::Done }
}
