//! The listeners, and when not to accept.
//!
//! One loop accepts for all and gives each connection to the loop with the fewest sessions. With every loop polling the
//! listeners instead, each connection would wake all of them, the spread would be luck, and a pause would have to be
//! agreed on; a session costs one wake-up this way, and only when it goes to another loop.
//!
//! ```text
//!   Open --no place free and a client waits--> Full ---a session ended----------------> Open
//!   Open --accept failed for good------------> Failed -a session ended, or a while----> Open
//! ```
//!
//! The program is told once that connections wait, and once that none does any more: a server at its limit pauses and
//! goes on with every session that ends, which nobody wants in a log.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use millstream_core::machine::{IoError, IoKind};
use millstream_core::service::{Notice, PauseReason};
use millstream_core::time::Instant;
use millstream_shared::Admission;
use rustix::io::{FdFlags, fcntl_setfd};

use crate::descriptor;
use crate::error::classify;
use crate::options::Listener;
use crate::poller::{Interest, Poller, Token};

/// How many connections are accepted before the loop's own sessions have their turn.
const ACCEPTS: usize = 16;

/// A bound listener.
struct Source<P: Poller> {
    socket: P::Socket,
    tcp: bool,
    /// What the poller said: a connection may be waiting.
    ready: bool,
}

/// Why nothing is accepted.
enum Pause {
    /// As many sessions as are allowed.
    Full,
    /// `accept` failed; it is tried again at this time.
    Failed(Instant),
}

/// The listeners of a server, on its first loop.
pub(crate) struct Acceptor<P: Poller> {
    sources: Vec<Source<P>>,
    pause: Option<Pause>,
    /// The program was told that connections wait.
    told: bool,
    /// Which listener is looked at first, so that a busy one cannot starve the others.
    first: usize,
    suspend: Duration,
}

/// The token of the listener `index`; counted down from the top, where no connection gets to.
const fn token(index: usize) -> Token {
    Token(usize::MAX - 1 - index)
}

impl<P: Poller> Acceptor<P> {
    /// Takes the listeners over and watches them.
    pub(crate) fn new(listeners: Vec<Listener>, poller: &mut P, suspend: Duration) -> io::Result<Self> {
        let mut sources = Vec::with_capacity(listeners.len());
        for (index, listener) in listeners.into_iter().enumerate() {
            sources.push(Source::new(listener, token(index), poller)?);
        }
        Ok(Self { sources, pause: None, told: false, first: 0, suspend })
    }

    /// Notes that connections may be waiting. Says whether the token is one of a listener.
    pub(crate) fn note(&mut self, reported: Token) -> bool {
        let Some(index) = (usize::MAX - 1).checked_sub(reported.0) else { return false };
        match self.sources.get_mut(index) {
            Some(source) => {
                source.ready = true;
                true
            }
            None => false,
        }
    }

    /// When to look again although nothing has happened.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        match self.pause {
            Some(Pause::Failed(until)) => Some(until),
            _ => None,
        }
    }

    /// Whether there may be more to accept at once.
    pub(crate) fn has_more(&self) -> bool {
        self.pause.is_none() && self.sources.iter().any(|source| source.ready)
    }

    /// Accepts a bounded number of connections into `accepted`; each has a place in `admission`.
    pub(crate) fn turn(
        &mut self,
        now: Instant,
        poller: &mut P,
        admission: &Admission,
        accepted: &mut Vec<OwnedFd>,
        notify: &dyn Fn(Notice),
    ) {
        if let Some(pause) = &self.pause {
            let again = match pause {
                Pause::Full => !admission.is_waiting(),
                Pause::Failed(until) => !admission.is_waiting() || *until <= now,
            };
            if !again {
                return;
            }
            self.resume(poller);
        }
        for _ in 0..ACCEPTS {
            let Some(index) = self.next_ready() else { return };
            if !admission.has_room() {
                if !descriptor::has_waiting(self.sources[index].socket.as_fd()) {
                    self.drained(index, now, poller, notify);
                } else if admission.wait() {
                    self.pause(Pause::Full, poller);
                    return self.tell(PauseReason::MaxConnections(admission.limit()), notify);
                }
                continue;
            }
            let after = match self.sources[index].accept(poller) {
                Ok(socket) => {
                    admission.enter();
                    accepted.push(socket);
                    continue;
                }
                Err(error) => After::of(&error),
            };
            match after {
                After::Again => {}
                After::Empty => self.drained(index, now, poller, notify),
                After::Pause(error) => {
                    admission.wait_for_end();
                    self.pause(Pause::Failed(now + self.suspend), poller);
                    return self.tell(PauseReason::AcceptFailed(error), notify);
                }
            }
        }
    }

    /// A listener at which connections may be waiting, each in its turn.
    fn next_ready(&mut self) -> Option<usize> {
        let count = self.sources.len();
        let mut order = (0..count).map(|n| (self.first + n) % count);
        let found = order.find(|&index| self.sources[index].ready)?;
        self.first = found + 1;
        Some(found)
    }

    /// Closes the listeners. Others may have copies of them, as the service manager that made them, so they are taken from
    /// the poller too.
    pub(crate) fn close(self, poller: &mut P) {
        for mut source in self.sources {
            poller.pause(&mut source.socket);
            poller.close(source.socket);
        }
    }

    fn pause(&mut self, pause: Pause, poller: &mut P) {
        self.pause = Some(pause);
        for source in &mut self.sources {
            source.ready = false;
            poller.pause(&mut source.socket);
        }
    }

    /// Watches the listeners again, and looks whether anything waits.
    fn resume(&mut self, poller: &mut P) {
        self.pause = None;
        for source in &mut self.sources {
            // One that cannot be watched is at least looked at now.
            let _ = poller.resume(&mut source.socket);
            source.ready = true;
        }
    }

    /// A listener's queue is empty; when all are, nobody waits any more.
    fn drained(&mut self, index: usize, now: Instant, poller: &mut P, notify: &dyn Fn(Notice)) {
        let source = &mut self.sources[index];
        source.ready = false;
        if poller.await_readable(&mut source.socket).is_err() {
            // Nobody would be seen there: all are looked at again in a while.
            return self.pause(Pause::Failed(now + self.suspend), poller);
        }
        if self.told && !self.sources.iter().any(|source| source.ready) {
            self.told = false;
            notify(Notice::ListenerResumed);
        }
    }

    fn tell(&mut self, why: PauseReason, notify: &dyn Fn(Notice)) {
        if !std::mem::replace(&mut self.told, true) {
            notify(Notice::ListenerPaused(why));
        }
    }
}

/// What to do after `accept` has failed.
enum After {
    /// The listener's queue is empty.
    Empty,
    /// That connection is gone; the next one may be fine.
    Again,
    /// The next one would fail too.
    Pause(IoError),
}

impl After {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock => return Self::Empty,
            io::ErrorKind::Interrupted => return Self::Again,
            _ => {}
        }
        let error = classify(error);
        match error.kind {
            // accept(2) hands over errors of the connection that was to be accepted.
            IoKind::Reset | IoKind::Unreachable | IoKind::Denied | IoKind::TimedOut => Self::Again,
            _ => Self::Pause(error),
        }
    }
}

impl<P: Poller> Source<P> {
    fn new(listener: Listener, token: Token, poller: &mut P) -> io::Result<Self> {
        let (socket, tcp): (OwnedFd, bool) = match listener {
            Listener::Unix(listener) => {
                listener.set_nonblocking(true)?;
                (listener.into(), false)
            }
            Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                (listener.into(), true)
            }
        };
        fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
        Ok(Self { socket: poller.watch(socket, token, Interest::Accept)?, tcp, ready: false })
    }

    fn accept(&mut self, poller: &mut P) -> io::Result<OwnedFd> {
        let socket = poller.accept(&mut self.socket)?;
        descriptor::prepare(socket.as_fd(), self.tcp);
        Ok(socket)
    }
}
