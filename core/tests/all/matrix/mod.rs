//! The matrix: stage x reply or failure x place in the chain x evaluation mode x fallback x what the other child says x
//! kind of MTA. Every cell is a session of its own: what the MTA is answered from CONNECT to the end of a second message,
//! in which nothing of the first may be left.

mod cells;
pub(crate) mod driver;
mod rules;

use cells::{Cell, cells};
use driver::{Driver, Frame, Kid, frame};
use rules::Rules;

/// The bits of a stage: not sent, not answered.
fn bits(stage: u8) -> (u32, u32) {
    match stage {
        b'C' => (0x01, 0x1000),
        b'H' => (0x02, 0x2000),
        b'M' => (0x04, 0x4000),
        b'R' => (0x08, 0x8000),
        b'T' => (0x200, 0x1_0000),
        b'U' => (0x100, 0x2_0000),
        b'L' => (0x20, 0x80),
        b'N' => (0x40, 0x4_0000),
        b'B' => (0x10, 0x8_0000),
        _ => (0, 0),
    }
}

fn payload(stage: u8) -> &'static [u8] {
    match stage {
        b'C' => b"client.example.org\x004\x12\x34203.0.113.7\0",
        b'H' => b"client.example.org\0",
        b'U' => b"NONSENSE\0",
        b'M' => b"<sender@example.org>\0",
        b'R' => b"<one@example.org>\0",
        b'L' => b"Subject\0Hello\0",
        b'B' => b"Hello.\r\n",
        _ => b"",
    }
}

/// The MTA of one cell, which compares every answer.
struct Mta {
    cell: Cell,
    driver: Driver,
    rules: Rules,
    protocol: u32,
}

/// How the MTA goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    On,
    /// No more of this message, or of this session.
    NoFurther,
}

impl Mta {
    fn play(cell: Cell) {
        let mut driver = Driver::new(cell.kids());
        let (_, offer) = cell.mta.offer();
        let answer = driver.ask(b'O', &offer);
        assert!(matches!(&answer[..], [(b'O', _)]), "{answer:?}");
        let number = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        for at in [4, 8] {
            let more = number(&answer[0].1, at) & !number(&offer, at);
            assert!(more == 0, "{more:#x} was not offered");
        }
        let protocol = number(&answer[0].1, 8);
        let mut mta = Self { cell, driver, rules: Rules::new(cell), protocol };
        mta.session();
        mta.quit();
    }

    fn session(&mut self) {
        for stage in b"CHU" {
            if self.step(*stage) == Goes::NoFurther && *stage != b'U' {
                return;
            }
        }
        self.message();
        // Whether the child under test was reached behind one that refuses is not fixed.
        if self.cell.other == cells::Other::Passes {
            self.message();
        }
    }

    fn message(&mut self) {
        if self.envelope() == Goes::NoFurther {
            self.driver.send(&frame(b'A', []));
            assert_eq!(self.driver.answers, [], "an answer to an abort");
            return;
        }
        for stage in b"LLNBB" {
            self.step(*stage);
        }
        self.step(b'E');
    }

    fn envelope(&mut self) -> Goes {
        if self.step(b'M') == Goes::NoFurther {
            return Goes::NoFurther;
        }
        let mut accepted = false;
        for _ in 0..2 {
            let (letter, goes) = self.told(b'R');
            match (letter, goes) {
                (b'a' | b'd', _) => return Goes::NoFurther,
                (_, Goes::On) => accepted = true,
                _ => {}
            }
        }
        if !accepted { Goes::NoFurther } else { self.step(b'T') }
    }

    fn step(&mut self, stage: u8) -> Goes {
        self.told(stage).1
    }

    /// Sends a command unless it is not wanted, and compares its answer.
    fn told(&mut self, stage: u8) -> (u8, Goes) {
        if !self.cell.mta.has(stage) {
            return (b'c', Goes::On);
        }
        let mut expected = self.rules.answer(stage);
        let (unsent, silent) = bits(stage);
        let dumb = self.protocol & (unsent | silent) != 0;
        if self.protocol & unsent == 0 {
            self.driver.send(&frame(stage, payload(stage)));
            let answer = if dumb { Vec::new() } else { self.driver.answer() };
            if !dumb {
                assert_eq!(answer, expected, "{}", char::from(stage));
            }
        }
        assert_eq!(self.driver.answers, [], "{}: an answer that is not owed", char::from(stage));
        if dumb {
            // Silence goes on. It may not hide an objection.
            let objection: Vec<&Frame> = expected.iter().filter(|frame| !b"ca".contains(&frame.0)).collect();
            assert!(objection.is_empty(), "{}: silence hides {objection:?}", char::from(stage));
            return (b'c', Goes::On);
        }
        let (letter, _) = expected.pop().unwrap();
        (letter, if letter == b'c' { Goes::On } else { Goes::NoFurther })
    }

    fn quit(&mut self) {
        self.driver.send(&frame(b'Q', []));
        assert_eq!(self.driver.answers, [], "an answer to QUIT");
        assert!(self.driver.finished, "the session does not end");
        for kid in &self.driver.kids {
            check_child(kid);
        }
    }
}

/// What a child is sent is a session as libmilter takes it: nothing of a message without MAIL, no second MAIL inside one.
fn check_child(kid: &Kid) {
    let letters = kid.letters();
    let mut open = false;
    for (at, (letter, _)) in kid.seen.iter().enumerate() {
        let letter = char::from(*letter);
        match letter {
            'M' => assert!(!std::mem::replace(&mut open, true), "MAIL inside a message: {letters}"),
            'R' | 'T' | 'L' | 'N' | 'B' => assert!(open, "{letter} without MAIL: {letters}"),
            'E' => assert!(std::mem::replace(&mut open, false), "E without MAIL: {letters}"),
            'A' => open = false,
            _ => {}
        }
        open &= !kid.ended.contains(&at);
    }
}

/// Plays every cell with one kind of MTA. Stops after a few that are wrong: they are mostly wrong for one reason.
fn every_cell(kind: cells::Mta) {
    let mut count = 0;
    let mut wrong = Vec::new();
    for cell in cells(kind) {
        count += 1;
        if std::panic::catch_unwind(|| Mta::play(cell)).is_err() {
            println!("^ {cell:?}");
            wrong.push(cell);
        }
        assert!(wrong.len() < 10, "wrong cells, the first of them {:?}", wrong[0]);
    }
    assert!(wrong.is_empty(), "{} of {count} cells are wrong, the first of them {:?}", wrong.len(), wrong[0]);
    println!("{count} cells");
    assert!(count > 9_000, "only {count} cells");
}

#[test]
fn every_cell_with_an_mta_that_offers_everything() {
    every_cell(cells::Mta::Full);
}

#[test]
fn every_cell_with_an_mta_that_wants_every_reply() {
    every_cell(cells::Mta::LockStep);
}

#[test]
fn every_cell_with_an_mta_of_version_2() {
    every_cell(cells::Mta::Old);
}
