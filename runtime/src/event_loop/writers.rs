//! The sessions of a pass that have something to write: that is done together, and they go on.

use std::io;

use millstream_core::service::{Notice, Service};

use super::{EventLoop, queue, session_at};
use crate::caught::catch;
use crate::error::classify;
use crate::poller::Poller;
use crate::session::Writing;
use crate::together::Gathered;

/// How often the sessions of a pass write together and have another turn before the loop looks what else has happened.
const ROUNDS: usize = 4;

impl<S: Service, P: Poller> EventLoop<S, P> {
    /// Has what the sessions have to write written, and has them go on.
    pub(super) fn write_together(&mut self) {
        let mut round = std::mem::take(&mut self.round);
        for _ in 0..ROUNDS {
            std::mem::swap(&mut round, &mut self.writers);
            // A place may have gone to another session, and then be there twice.
            let sessions = &mut self.sessions;
            round.retain(|&index| {
                session_at(sessions, index).is_some_and(|session| std::mem::take(&mut session.writes))
            });
            match round[..] {
                [] => break,
                [one] => self.run_session(one, Writing::Now, |_, _| {}),
                _ => self.write_round(&round),
            }
            round.clear();
        }
        self.round = round;
        // Others have waited long enough.
        for index in self.writers.drain(..) {
            if let Some(session) = session_at(&mut self.sessions, index) {
                session.writes = false;
                queue(session, &mut self.ready);
            }
        }
    }

    /// Has what several sessions have to write written together.
    fn write_round(&mut self, round: &[u32]) {
        let mut attempts = std::mem::take(&mut self.attempts);
        let mut gathered = Gathered::default();
        let mut panicked = Vec::new();
        for &index in round {
            if let Some(Some(session)) = self.sessions.get(index as usize)
                && let Err(message) = catch(|| session.gather(&mut gathered, &mut attempts))
            {
                panicked.push((index, message));
            }
        }
        let served = self.together.send(&gathered, &mut attempts);
        drop(gathered);
        if let Err(error) = served {
            self.writes_alone(&error);
        }
        for (index, message) in panicked {
            self.end_panicked(index, message);
        }
        for of_session in attempts.chunk_by_mut(|one, other| one.session == other.session) {
            let index = of_session[0].session;
            self.run_session(index, Writing::Together, |session, cx| session.written(of_session, cx));
        }
        attempts.clear();
        self.attempts = attempts;
    }

    /// Tells, once for all loops, that each write takes a call of its own.
    pub(super) fn writes_alone(&self, error: &io::Error) {
        if self.shared.is_first_alone() {
            self.notice(Notice::WritesAlone(classify(error)));
        }
    }
}
