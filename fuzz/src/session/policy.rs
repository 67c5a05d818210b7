//! What the administrator has set, and the reserve that all sessions share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millstream_core::machine::Question;
use millstream_core::policy::{
    Answers, ChildIndex, ChildSettings, ChildState, Decision, Effects, Facts, Fallback, Limits, Notes,
    Policy, Recipients, StaticPolicy, Why,
};
use millstream_core::reserve::{Reserve, Room};
use millstream_core::wire::Stage;

use super::Script;

/// A policy with a bit for each thing that is not in every configuration.
#[derive(Debug)]
pub(super) struct Odd {
    pub(super) base: StaticPolicy,
    pub(super) bits: u8,
    pub(super) more: More,
}

/// What is in no script without the bit for it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct More {
    pub(super) on: bool,
    /// See the constants.
    pub(super) bits: u8,
    /// The stages at which conditions are asked.
    pub(super) watched: u16,
    /// What they say, four bits for each.
    pub(super) says: [u8; 4],
    /// Which of its questions the reserve answers with no.
    pub(super) full: u8,
}

pub(super) const LAZY: u8 = 0x01;
pub(super) const REUSE: u8 = 0x02;
pub(super) const RESERVE: u8 = 0x04;
pub(super) const MESSAGE_TIME: u8 = 0x08;
pub(super) const CONDITIONS: u8 = 0x10;
/// And the two bits above, for the other children.
pub(super) const PIPELINING: u8 = 0x20;

impl More {
    pub(super) fn of(script: &mut Script<'_>) -> Self {
        let bits = script.byte();
        let mut more = Self { on: true, bits, ..Self::default() };
        if more.has(CONDITIONS) {
            more.watched = u16::from_be_bytes([script.byte(), script.byte()]);
            more.says = [0; 4].map(|_| script.byte());
        }
        if more.has(RESERVE) {
            more.full = script.byte();
        }
        more
    }

    pub(super) fn has(self, bit: u8) -> bool {
        self.bits & bit != 0
    }
}

/// What all sessions share, with somebody else who uses it up now and then.
#[derive(Debug)]
pub(super) struct Crowd {
    pub(super) full: u8,
    pub(super) asked: AtomicU64,
    pub(super) taken: [AtomicU64; 2],
}

impl Reserve for Crowd {
    fn take(&self, room: Room, bytes: u64, limit: u64) -> bool {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let taken = &self.taken[usize::from(room == Room::Files)];
        let fits = self.full & 1 << (asked % 8) == 0 && taken.load(Ordering::Relaxed) + bytes <= limit;
        if fits {
            taken.fetch_add(bytes, Ordering::Relaxed);
        }
        fits
    }

    fn give_back(&self, room: Room, bytes: u64) {
        let taken = self.taken[usize::from(room == Room::Files)].fetch_sub(bytes, Ordering::Relaxed);
        assert!(taken >= bytes, "more is given back than was taken");
    }
}

impl Policy for Odd {
    fn children(&self) -> &[ChildSettings] {
        self.base.children()
    }

    fn limits(&self) -> &Limits {
        self.base.limits()
    }

    fn fallback(&self) -> Fallback {
        self.base.fallback()
    }

    fn independent(&self, child: ChildIndex) -> bool {
        self.bits & 1 << child.0 != 0
    }

    fn recipients(&self) -> Recipients {
        if self.bits & 0x10 != 0 { Recipients::Parallel } else { Recipients::InOrder }
    }

    fn unfiltered_header(&self) -> Option<&str> {
        (self.bits & 0x20 != 0).then_some("X-Unfiltered")
    }

    fn lazy_connect(&self) -> bool {
        self.more.has(LAZY)
    }

    fn pipelining(&self, child: ChildIndex) -> bool {
        self.more.has(PIPELINING << child.0)
    }

    fn watches(&self, _: ChildIndex, stage: Stage) -> bool {
        self.more.watched & 1 << stage as u16 != 0
    }

    fn decide(
        &self,
        child: ChildIndex,
        stage: Stage,
        facts: &Facts<'_>,
        answers: &Answers,
        _: &mut Notes,
    ) -> Decision {
        let asked = answers.0.len();
        let pick = usize::from(child.0) * 3 + stage as usize * 5 + asked;
        let says = self.more.says[pick / 2 % 4] >> (pick % 2 * 4) & 0xf;
        let other = usize::from(says & 3);
        let pending = facts.children.get(other) == Some(&ChildState::Pending);
        match says {
            1 => Decision::Stop(Why { condition: Arc::from("c"), place: Arc::from("fuzz:1") }),
            2 | 3 if asked < 3 => Decision::Need(
                (asked..=asked + pick % 3)
                    .map(|at| Question::Addresses(format!("{at}.test").into()))
                    .collect(),
            ),
            // For one that is not pending it waits until there is no time left.
            4..=7 if pending || says == 4 => Decision::Await(ChildIndex(other as u16)),
            8 | 9 => Decision::Run(Effects { macros: vec![((&b"j"[..]).into(), (&b"own"[..]).into())] }),
            _ => Decision::Run(Effects::default()),
        }
    }
}
