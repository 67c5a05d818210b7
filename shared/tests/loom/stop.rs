//! How a server stops: the acceptor on its first loop, another loop, and who asks for the stop.

use std::sync::Arc;

use loom::thread;
use millstream_shared::{Admission, Loops, Mailbox, StopLevel};

use crate::bell::Bell;

/// The first loop has the acceptor, the second the sessions.
const FIRST: usize = 0;
const SECOND: usize = 1;

struct Server {
    loops: Loops<&'static str>,
    bells: [Arc<Bell>; 2],
}

impl Server {
    fn new() -> Arc<Self> {
        let bells = [Bell::new(), Bell::new()];
        let mailboxes = bells.iter().map(|bell| Arc::new(Mailbox::new(bell.waker()))).collect();
        Arc::new(Self { loops: Loops::new(Admission::new(0), mailboxes), bells })
    }

    /// One connection is accepted for the second loop, if that is still in time; then this loop waits for its end.
    fn accept(&self) {
        if self.loops.stop_level() == StopLevel::Running {
            self.loops.admission().enter();
            // One that comes back was counted as cut.
            let _ = self.loops.send_session(SECOND, "session");
        }
        while self.loops.stop_level() == StopLevel::Running {
            self.bells[FIRST].wait();
        }
        self.loops.stopped_accepting();
    }

    /// Serves what comes until there is a stop and nothing more can come, or at once when that is asked for.
    fn serve(&self) {
        let mailbox = &self.loops.mailboxes()[SECOND];
        let mut messages = Vec::new();
        loop {
            mailbox.take(&mut messages);
            for _ in messages.drain(..) {
                assert_eq!(mailbox.load(), 1, "the session is counted");
                self.loops.session_ended(SECOND);
            }
            match self.loops.stop_level() {
                StopLevel::Now => break,
                StopLevel::Graceful if self.loops.is_served(SECOND) => break,
                _ => self.bells[SECOND].wait(),
            }
        }
        mailbox.close().into_iter().for_each(|_| self.loops.session_cut(SECOND));
    }
}

/// Three threads have too many interleavings for a test run: those are tried in which a thread is interrupted at most three
/// times in all where it could go on.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Runs both loops and the stop. Says how many sessions were served, and how many cut.
fn stop(level: StopLevel) -> (u64, u32) {
    let server = Server::new();
    let second = thread::spawn({
        let server = Arc::clone(&server);
        move || server.serve()
    });
    let asker = thread::spawn({
        let server = Arc::clone(&server);
        move || server.loops.stop(level)
    });
    server.accept();
    second.join().unwrap();
    asker.join().unwrap();
    assert_eq!(server.loops.admission().running(), 0, "every place was given back");
    assert_eq!(server.loops.mailboxes()[SECOND].load(), 0);
    (server.loops.served(), server.loops.cut())
}

#[test]
fn a_session_accepted_during_a_graceful_stop_is_served() {
    explore(|| {
        let (served, cut) = stop(StopLevel::Graceful);
        // None, when the stop came before.
        assert!(served <= 1);
        assert_eq!(cut, 0);
    });
}

#[test]
fn a_session_accepted_during_a_stop_at_once_is_served_or_counted_as_cut() {
    // Written by no thread of the model: which outcomes there were.
    let seen = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let outcomes = Arc::clone(&seen);
    explore(move || {
        let outcome = stop(StopLevel::Now);
        assert!(outcome.0 + u64::from(outcome.1) <= 1);
        outcomes.lock().unwrap().insert(outcome);
    });
    let all = [(0, 0), (0, 1), (1, 0)];
    assert!(all.iter().eq(seen.lock().unwrap().iter()), "not accepted, cut, served");
}

#[test]
fn the_last_loop_to_end_is_told_of_all_late_sessions_and_no_other_is() {
    loom::model(|| {
        let server = Server::new();
        let end = |server: Arc<Server>, late| move || server.loops.loop_ended(late);
        let other = thread::spawn(end(Arc::clone(&server), 2));
        let mine = end(Arc::clone(&server), 3)();
        let theirs = other.join().unwrap();
        assert!(matches!((mine, theirs), (Some(5), None) | (None, Some(5))), "{mine:?} {theirs:?}");
    });
}

#[test]
fn a_stop_is_not_taken_back_by_a_milder_one() {
    loom::model(|| {
        let server = Server::new();
        let other = thread::spawn({
            let server = Arc::clone(&server);
            move || server.loops.stop(StopLevel::Now)
        });
        server.loops.stop(StopLevel::Graceful);
        other.join().unwrap();
        assert_eq!(server.loops.stop_level(), StopLevel::Now);
    });
}
