//! How many connections to a child are in use, and which loops wait for one.

use millstream_core::pool::shared::{LoopIndex, MAX_LOOPS, Places, Taken};

use crate::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// The places of one child.
///
/// One word holds how many are taken, which loops wait, and which loop was given one last; so taking a place, asking for
/// one and giving one back are each one step that cannot fall between those of others. A place that is handed over stays
/// counted as taken, and lies in the loop's own count until the loop collects it: it cannot be lost, nor taken by another.
#[derive(Debug)]
pub struct PlaceCount {
    word: AtomicU64,
    /// Places that were handed to each loop.
    handed: Box<[AtomicU32]>,
    waiting: AtomicI32,
}

/// The word, taken apart.
#[derive(Debug, Clone, Copy)]
struct Word {
    /// 24 bits.
    taken: u32,
    /// The loop that was given a place last.
    last: u32,
    /// One bit for each loop that waits.
    waiting: u32,
}

impl Word {
    const fn of(bits: u64) -> Self {
        Self { taken: (bits >> 40) as u32, last: (bits >> 32 & 0xff) as u32, waiting: bits as u32 }
    }

    fn bits(self) -> u64 {
        u64::from(self.taken.min(0xff_ffff)) << 40 | u64::from(self.last) << 32 | u64::from(self.waiting)
    }

    /// The loop whose turn it is, of those that wait.
    fn next(self) -> Option<LoopIndex> {
        let behind = self.waiting & u32::MAX.checked_shl(self.last + 1).unwrap_or_default();
        let from = if behind == 0 { self.waiting } else { behind };
        (from != 0).then(|| from.trailing_zeros())
    }
}

const fn bit(event_loop: LoopIndex) -> u32 {
    1 << (event_loop % MAX_LOOPS)
}

impl PlaceCount {
    /// All places are free.
    #[must_use]
    pub fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            handed: (0..MAX_LOOPS).map(|_| AtomicU32::new(0)).collect(),
            waiting: AtomicI32::new(0),
        }
    }

    /// How many places are taken.
    #[must_use]
    pub fn taken(&self) -> u32 {
        Word::of(self.word.load(Ordering::SeqCst)).taken
    }

    /// Whether a loop has sessions that wait.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        Word::of(self.word.load(Ordering::SeqCst)).waiting != 0
    }

    /// How many sessions wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        u32::try_from(self.waiting.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Changes the word in one step, and returns what came of it.
    fn change<T>(&self, mut step: impl FnMut(&mut Word) -> T) -> T {
        let mut before = self.word.load(Ordering::SeqCst);
        loop {
            let mut word = Word::of(before);
            let outcome = step(&mut word);
            match self.word.compare_exchange(before, word.bits(), Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return outcome,
                Err(now) => before = now,
            }
        }
    }

    fn hand(&self, to: Option<LoopIndex>) -> Option<LoopIndex> {
        self.handed.get(to? as usize)?.fetch_add(1, Ordering::SeqCst);
        to
    }
}

impl Default for PlaceCount {
    fn default() -> Self {
        Self::new()
    }
}

impl Places for PlaceCount {
    fn take(&self, own: LoopIndex, limit: u32) -> Taken {
        let taken = self.change(|word| {
            let room = word.taken < limit;
            if room && word.waiting == 0 {
                word.taken += 1;
                return Taken::Place;
            }
            word.waiting |= bit(own);
            Taken::Wait(if room { hand_over(word) } else { None })
        });
        match taken {
            Taken::Place => Taken::Place,
            Taken::Wait(to) => Taken::Wait(self.hand(to)),
        }
    }

    fn collect(&self, own: LoopIndex) -> u32 {
        let Some(handed) = self.handed.get(own as usize) else { return 0 };
        // Mostly a loop was woken for something else.
        if handed.load(Ordering::SeqCst) == 0 { 0 } else { handed.swap(0, Ordering::SeqCst) }
    }

    fn give_back(&self, limit: u32) -> Option<LoopIndex> {
        let to = self.change(|word| {
            word.taken = word.taken.saturating_sub(1);
            if word.taken < limit { hand_over(word) } else { None }
        });
        self.hand(to)
    }

    fn leave(&self, own: LoopIndex) {
        self.change(|word| word.waiting &= !bit(own));
    }

    fn count_waiting(&self, difference: i32) {
        self.waiting.fetch_add(difference, Ordering::Relaxed);
    }
}

/// Takes a place for the loop whose turn it is.
fn hand_over(word: &mut Word) -> Option<LoopIndex> {
    let next = word.next()?;
    word.taken += 1;
    word.last = next;
    Some(next)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_loop_does_not_overtake_the_sessions_of_another() {
        let places = PlaceCount::new();
        assert_eq!(places.take(0, 1), Taken::Place);
        assert_eq!(places.take(1, 1), Taken::Wait(None));
        // The place goes to the loop that waits, and the busy one waits in its turn.
        assert_eq!(places.give_back(1), Some(1));
        assert_eq!(places.take(0, 1), Taken::Wait(None));
        assert_eq!(places.collect(1), 1);
        places.leave(1);
        assert_eq!(places.give_back(1), Some(0));
        assert_eq!((places.collect(0), places.taken()), (1, 1));
    }

    #[test]
    fn loops_that_wait_have_their_turns() {
        let places = PlaceCount::new();
        assert_eq!(places.take(0, 1), Taken::Place);
        for event_loop in [0, 5, 31] {
            assert_eq!(places.take(event_loop, 1), Taken::Wait(None));
        }
        let turns: Vec<_> = (0..4).map(|_| places.give_back(1)).collect();
        assert_eq!(turns, [Some(5), Some(31), Some(0), Some(5)]);
    }

    #[test]
    fn a_lower_limit_is_reached_by_and_by_and_a_higher_one_is_used_at_once() {
        let places = PlaceCount::new();
        assert_eq!((places.take(0, 2), places.take(0, 2)), (Taken::Place, Taken::Place));
        assert_eq!(places.take(1, 1), Taken::Wait(None));
        assert_eq!(places.give_back(1), None);
        assert_eq!(places.taken(), 1);
        assert_eq!(places.take(1, 2), Taken::Wait(Some(1)));
        assert_eq!(places.taken(), 2);
    }
}
