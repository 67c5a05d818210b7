//! One thread: poll, note, pass.

use std::io;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use millstream_runtime::{EventLoop, Launch, Next, Runtime, Service, Token};
use mio::{Events, Poll};

use crate::poller::{MioPoller, readiness};

/// The poller's token for wake-ups; no connection gets there.
const WOKEN: mio::Token = mio::Token(usize::MAX);

/// How many events are taken at a time.
const EVENTS: usize = 256;

/// Operating system threads that poll.
pub(crate) struct Threads;

impl Runtime for Threads {
    type Seat = Poll;
    type Poller = MioPoller;

    /// One core serves thousands of sessions, the milters behind need the others.
    const DEFAULT_LOOPS: usize = 4;

    fn prepare() -> io::Result<(Poll, Waker)> {
        let poll = Poll::new()?;
        let alarm = Arc::new(Alarm(mio::Waker::new(poll.registry(), WOKEN)?));
        Ok((poll, Waker::from(alarm)))
    }

    fn run<S: Service>(mut poll: Poll, launch: Launch<S>) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut event_loop = launch.begin(MioPoller(poll.registry().try_clone()?))?;
        let mut all_noted = true;
        loop {
            let timeout = match event_loop.pass(all_noted) {
                Next::Over => break,
                Next::More => Some(Duration::ZERO),
                Next::Wait(until) => until.map(|at| event_loop.until(at)),
            };
            if let Err(error) = poll.poll(&mut events, timeout) {
                if error.kind() == io::ErrorKind::Interrupted {
                    events.clear();
                } else {
                    event_loop.fail(&error);
                    break;
                }
            }
            all_noted = note(&mut event_loop, &events);
        }
        Ok(())
    }
}

/// Notes what has happened. Says whether that was all.
fn note<S: Service>(event_loop: &mut EventLoop<S, MioPoller>, events: &Events) -> bool {
    let mut count = 0;
    for event in events {
        count += 1;
        match event.token() {
            WOKEN => event_loop.woken(),
            token => event_loop.note(Token(token.0), readiness(event)),
        }
    }
    count < EVENTS
}

/// Wakes a loop by writing to the poller's eventfd, or what stands for it.
struct Alarm(mio::Waker);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // It fails only when the process has no memory; the loop then looks at its next wake-up.
        let _ = self.0.wake();
    }
}
