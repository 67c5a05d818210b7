//! One thread: an executor that runs one loop.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use glommio::timer::Timer;
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use millstream_runtime::{EventLoop, Inbox, Instant, Launch, Next, Runtime, Service, Side, Token};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::poller::GlommioPoller;

/// Threads that each run one loop in an executor of their own.
pub(crate) struct Executors;

/// How many questions the ring of an executor takes at a time; what is more waits for the next round.
const RING: usize = 256;

/// An executor on this thread, with as little registered memory as there can be: sockets use none of it.
pub(crate) fn executor() -> io::Result<LocalExecutor> {
    LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(0)
        .ring_depth(RING)
        .make()
        .map_err(io::Error::from)
}

impl Runtime for Executors {
    type Seat = Arc<Inbox>;
    type Poller = GlommioPoller;

    /// One for each core, whatever their number.
    const DEFAULT_LOOPS: usize = usize::MAX;

    fn prepare() -> io::Result<(Arc<Inbox>, Waker)> {
        Ok(Inbox::with_waker())
    }

    fn run<S: Service>(inbox: Arc<Inbox>, launch: Launch<S>) -> io::Result<()> {
        pin(launch.index());
        executor()?.run(async move {
            let event_loop = launch.begin(GlommioPoller::new(Arc::clone(&inbox)))?;
            Looping { event_loop, inbox, reports: Vec::new(), alarm: None }.run().await;
            Ok(())
        })
    }
}

/// Has this thread, which is that of the loop `index`, on one of the cores that we may use, each in its turn. `glommio` would read up
/// on the machine first, and panic when there is no descriptor for that.
fn pin(index: usize) {
    let Ok(ours) = sched_getaffinity(None) else { return };
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&cpu| ours.is_set(cpu)).collect::<Vec<_>>();
    if cores.is_empty() {
        return;
    }
    let mut one = CpuSet::new();
    one.set(cores.swap_remove(index % cores.len()));
    // Where that is forbidden the loop is not pinned, and serves.
    let _ = sched_setaffinity(None, &one);
}

struct Looping<S: Service> {
    event_loop: EventLoop<S, GlommioPoller>,
    inbox: Arc<Inbox>,
    reports: Vec<(Token, Side)>,
    alarm: Option<Alarm>,
}

/// The one timer of a loop. One that comes early is harmless, so it is left alone when the time that is waited for moves
/// back, as it does with most of what happens.
struct Alarm {
    timer: Timer,
    at: Instant,
}

impl<S: Service> Looping<S> {
    async fn run(mut self) {
        loop {
            match self.event_loop.pass(true) {
                Next::Over => return self.inbox.leave(),
                // The executor looks at completions before this goes on.
                Next::More => {
                    glommio::executor().yield_task_queue_now().await;
                    poll_fn(|cx| Poll::Ready(self.hear(cx))).await;
                }
                Next::Wait(at) => poll_fn(|cx| self.wait(at, cx)).await,
            }
        }
    }

    /// Notes what has come. Says whether there was anything.
    fn hear(&mut self, cx: &mut Context<'_>) -> bool {
        self.event_loop.hear(&self.inbox, &mut self.reports, cx.waker())
    }

    /// Waits until something has come, or until `at`.
    fn wait(&mut self, at: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        if self.hear(cx) {
            return Poll::Ready(());
        }
        let Some(at) = at else { return Poll::Pending };
        if self.alarm.as_ref().is_none_or(|alarm| alarm.at > at) {
            let timer = Timer::new(self.event_loop.until(at).max(Duration::from_nanos(1)));
            self.alarm = Some(Alarm { timer, at });
        }
        let Some(alarm) = &mut self.alarm else { return Poll::Pending };
        if Pin::new(&mut alarm.timer).poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.alarm = None;
        Poll::Ready(())
    }
}
