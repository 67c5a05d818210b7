//! The deadlines of one loop's sessions, in order.

use std::collections::BTreeSet;

use millstream_core::time::Instant;

/// At most one alarm for each session, which remembers it.
///
/// An alarm that turns out to be early is harmless: the loop looks at the session's deadlines and sets the next one. So a
/// deadline that moves back, as it does with every command, leaves the alarm where it is, and the steady path does not
/// touch the set.
#[derive(Debug)]
pub(crate) struct Timers(BTreeSet<(Instant, u32)>);

impl Timers {
    /// No alarms.
    pub(crate) const fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// Sees to it that `session` is called at `wanted` at the latest. `alarm` is where the session remembers its alarm.
    pub(crate) fn arrange(&mut self, session: u32, alarm: &mut Option<Instant>, wanted: Option<Instant>) {
        let Some(wanted) = wanted else { return };
        match *alarm {
            Some(set) if set <= wanted => {}
            set => {
                if let Some(set) = set {
                    self.0.remove(&(set, session));
                }
                self.0.insert((wanted, session));
                *alarm = Some(wanted);
            }
        }
    }

    /// Forgets the alarm of a session that is over.
    pub(crate) fn forget(&mut self, session: u32, alarm: Option<Instant>) {
        if let Some(set) = alarm {
            self.0.remove(&(set, session));
        }
    }

    /// The next alarm, and whose it is.
    pub(crate) fn first(&self) -> Option<(Instant, u32)> {
        self.0.first().copied()
    }

    /// When the next alarm is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.first().map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(n: u64) -> Instant {
        Instant::from_nanos(n)
    }

    #[test]
    fn alarms_come_in_order() {
        let mut timers = Timers::new();
        let (mut one, mut two) = (None, None);
        timers.arrange(1, &mut one, Some(at(20)));
        timers.arrange(2, &mut two, Some(at(10)));
        assert_eq!(timers.first(), Some((at(10), 2)));
        timers.forget(2, two);
        assert_eq!(timers.first(), Some((at(20), 1)));
        timers.forget(1, one);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_later_deadline_leaves_the_alarm_and_an_earlier_one_moves_it() {
        let mut timers = Timers::new();
        let mut alarm = None;
        timers.arrange(1, &mut alarm, Some(at(20)));
        timers.arrange(1, &mut alarm, Some(at(30)));
        assert_eq!(timers.next(), Some(at(20)));
        timers.arrange(1, &mut alarm, Some(at(5)));
        assert_eq!((timers.next(), alarm), (Some(at(5)), Some(at(5))));
        timers.forget(1, alarm);
        assert_eq!(timers.next(), None);
    }
}
