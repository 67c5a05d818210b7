//! Time: pauses of the whole machine, what must have happened by now, and whose time may be over.

use millstream_core::event::TimerName;
use millstream_core::machine::{Machine, Peer};

use super::line::{Line, name};
use super::{SECOND, World};
use crate::peers::mta::MS;
use crate::plan::{Bounds, Kind};

impl<M: Machine> World<M> {
    /// The whole machine stands still for a while, its peers do not.
    pub(super) fn pause(&mut self) {
        let seconds = self.rng.between(3, 400);
        self.now += seconds * SECOND;
        self.paused = self.now;
        self.note(b"", || format!("a pause of {seconds} s"));
        // Who is late by less than that is just late.
        if self.wait.is_some_and(|wait| wait + 2 * SECOND < self.now) {
            self.grace = self.now + SECOND;
        }
    }

    /// What must have happened by now.
    pub(super) fn check_time(&mut self) {
        if self.error.is_some() || self.finished {
            return;
        }
        // An MTA may be left unread for five seconds.
        let slack = 8 * SECOND;
        if let Some((letter, since, last)) = self.mta_watch.oldest() {
            let bound = budget(&self.scenario.bounds, letter, self.postfix) + slack;
            let letter = char::from(letter);
            let since = since.max(self.paused);
            let open = !self.lines[0].over && self.lines[0].flush_by.is_none();
            if self.now > since + bound && open && !self.has_pending(Peer::MTA) {
                return self.fail(format!("no reply to '{letter}' for {} s", (self.now - since) / SECOND));
            }
            // Sendmail waits 10 s for each reply. What an MTA sends in silence before may take the time of a command.
            let progress = SECOND + budget(&self.scenario.bounds, b'R', self.postfix).max(10 * SECOND);
            if letter == 'E'
                && self.now > last.max(self.paused) + progress
                && !self.lines[0].over
                && !self.has_pending(Peer::MTA)
            {
                self.fail(format!("no PROGRESS for {} ms", (self.now - last) / MS));
            }
        }
        self.check_reading();
        for line in self.lines[1..].iter().filter(|line| !line.over && line.flush_by.is_none()) {
            let index = usize::from(line.peer.child_index().unwrap().0);
            let limit = self.scenario.children[index].timeouts.iter().max().unwrap() * SECOND;
            let since = line.quiet[0].max(line.quiet[1]).max(self.paused);
            if line.watch.owes() && !self.has_pending(line.peer) && self.now > since + limit + slack {
                let what = format!("{} owes a reply for {} s", name(line.peer), (self.now - since) / SECOND);
                return self.fail(what);
            }
        }
    }

    /// An MTA that sends content is not left unread for long; one that is silent is not waited for without end.
    pub(super) fn check_reading(&mut self) {
        let line = &self.lines[0];
        let content = self.mta_at.is_some_and(|at| b"LNB".contains(&self.mta.exchanges[at].letter));
        let waits = content && !line.inward.is_empty() && !line.over && !self.machine.wants_input(Peer::MTA);
        // While a command is in hand, also a silent one, for the time of each that may be; else for five seconds.
        let waited_for = |line: &Line| line.acquiring.is_some() || line.watch.holds_up();
        let in_hand = self.lines[1..].iter().any(|line| !line.over && waited_for(line))
            || self.asked.iter().any(|until| self.now < *until);
        let times = self.unanswered.iter().map(|(_, at)| self.mta.exchanges[*at].letter);
        let times = times.map(|letter| budget(&self.scenario.bounds, letter, self.postfix)).sum::<u64>();
        self.held = waits.then(|| self.held.unwrap_or(self.now));
        self.unread = (waits && !in_hand).then(|| self.unread.unwrap_or(self.now));
        let late =
            |since: Option<u64>, bound| since.is_some_and(|since| self.now > since.max(self.paused) + bound);
        if late(self.unread, 6 * SECOND) || late(self.held, 6 * SECOND + times) {
            self.fail("the MTA is left unread".into());
        }
        let patience = self
            .scenario
            .bounds
            .mta_idle
            .unwrap_or(7210)
            .max(self.scenario.bounds.mta_greeting.unwrap_or(300));
        let silent = self.mta.silent || self.scenario.mta.mute;
        let since = self.mta_moved.max(self.paused);
        let patience = if self.mta.raving { 0 } else { patience };
        if silent && self.mta_watch.oldest().is_none() && self.now > since + (patience + 60) * SECOND {
            self.fail("a silent MTA is waited for".into());
        }
    }

    /// The session says that a child's time is over: it must be, and the model is told with which command.
    pub(super) fn timed_out(&mut self, child: usize, timer: TimerName) {
        let Some(line) = self.line_of(child) else { return };
        let (quiet, owes) = (line.quiet, line.watch.owes());
        let [_, writing, reading, end] = self.scenario.children[child].timeouts;
        let since = quiet[0].max(quiet[1]);
        // The command in hand is one that waits for its answer or for which none is owed; its budget ends now.
        let bounds = self.scenario.bounds;
        let ends = |(since, at): &(u64, usize)| {
            let letter = self.mta.exchanges.get(*at).map_or(b'O', |exchange| exchange.letter);
            since + budget(&bounds, letter, self.postfix)
        };
        let offer = (SECOND, 0);
        let first = self.unanswered.iter().map(ends).min().unwrap_or(ends(&offer));
        let (legal, since) = match timer {
            TimerName::Connection => (true, 0),
            TimerName::Writing => (true, quiet[0] + writing * SECOND),
            TimerName::Reading => (owes, since + reading * SECOND),
            TimerName::EndOfMessage => (owes, since + end * SECOND),
            _ => (true, first),
        };
        let kind = if timer == TimerName::Connection { Kind::Connect } else { Kind::Timeout };
        if timer == TimerName::Budget && self.is_apart(child) {
            self.fail(format!("c{child} has no part in this, and is given up with it"));
        }
        self.given_up(child, kind, timer == TimerName::Budget);
        if self.now < self.grace {
            self.fail(format!("c{child} is given up within a second after a pause"));
        }
        if !legal || self.now < since {
            self.fail(format!("c{child} is given up too early: {timer}"));
        }
    }
}

/// How long the MTA may wait for the answer to a command.
pub(super) fn budget(bounds: &Bounds, letter: u8, postfix: bool) -> u64 {
    SECOND
        * match (letter, postfix) {
            (b'E', _) => bounds.message_budget.unwrap_or(297),
            (_, true) => bounds.command_budget.unwrap_or(27),
            _ => bounds.command_budget.unwrap_or(7),
        }
}
