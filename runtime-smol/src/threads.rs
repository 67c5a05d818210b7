//! One thread: note what came, pass, and wait for the reactor.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_io::{Timer, block_on};
use millstream_runtime::{EventLoop, Inbox, Instant, Launch, Next, Runtime, Service, Side, Token};

use crate::poller::SmolPoller;

/// Threads that each run one loop as a future.
pub(crate) struct Threads;

impl Runtime for Threads {
    type Seat = Arc<Inbox>;
    type Poller = SmolPoller;

    /// One for each core, whatever their number.
    const DEFAULT_LOOPS: usize = usize::MAX;

    fn prepare() -> io::Result<(Arc<Inbox>, Waker)> {
        Ok(Inbox::with_waker())
    }

    fn run<S: Service>(inbox: Arc<Inbox>, launch: Launch<S>) -> io::Result<()> {
        let event_loop = launch.begin(SmolPoller(Arc::clone(&inbox)))?;
        let mut looping = Looping { event_loop, inbox, reports: Vec::new(), alarm: Alarm::new() };
        block_on(poll_fn(|cx| looping.poll(cx)));
        Ok(())
    }
}

struct Looping<S: Service> {
    event_loop: EventLoop<S, SmolPoller>,
    inbox: Arc<Inbox>,
    reports: Vec<(Token, Side)>,
    alarm: Alarm,
}

impl<S: Service> Looping<S> {
    /// Passes until there is nothing to do, then has `cx` woken when there is. Between two passes the reactor has its turn.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = self.event_loop.hear(&self.inbox, &mut self.reports, cx.waker());
        match self.event_loop.pass(true) {
            Next::Over => return Poll::Ready(()),
            Next::More => cx.waker().wake_by_ref(),
            Next::Wait(None) => {}
            Next::Wait(Some(at)) => {
                if self.alarm.set(at, &self.event_loop, cx) {
                    cx.waker().wake_by_ref();
                }
            }
        }
        Poll::Pending
    }
}

/// The one timer of a loop. One that comes early is harmless, so it is left alone when the time that is waited for moves
/// back, as it does with most of what happens.
struct Alarm {
    timer: Timer,
    at: Option<Instant>,
}

impl Alarm {
    fn new() -> Self {
        Self { timer: Timer::never(), at: None }
    }

    /// Sees to it that `cx` is woken at `at` at the latest. Says whether that time has come.
    fn set<S: Service>(
        &mut self,
        at: Instant,
        event_loop: &EventLoop<S, SmolPoller>,
        cx: &mut Context<'_>,
    ) -> bool {
        if self.at.is_none_or(|set| set > at) {
            self.timer.set_after(event_loop.until(at));
            self.at = Some(at);
        }
        let rung = Pin::new(&mut self.timer).poll(cx).is_ready();
        if rung {
            self.at = None;
        }
        rung
    }
}
