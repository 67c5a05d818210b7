//! One thread: waits, notes what happened, and gives each session with something to do a bounded turn.

mod writers;

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::Waker;
use std::time::Duration;

use bytes::BytesMut;
use millstream_core::machine::{Input, IoError, IoKind, Machine as _, Peer};
use millstream_core::policy::Environment;
use millstream_core::pool::{Action, Pool};
use millstream_core::service::{Notice, Service, SessionId};
use millstream_core::time::Instant;
use millstream_shared::StopLevel;

use crate::acceptor::Acceptor;
use crate::burst;
use crate::caught::catch;
use crate::clock::unix_seconds;
use crate::context::Context;
use crate::error::classify;
use crate::inbox::{Inbox, Side};
use crate::kept::{self, KeptWires};
use crate::mailbox::{Described, Key, Message};
use crate::poller::{Poller, Readiness, Token};
use crate::read::READ_SIZE;
use crate::routes::{self, Owner, Routes};
use crate::server::Launch;
use crate::session::{Session, Turn, Writing};
use crate::shared::Shared;
use crate::timers::Timers;
use crate::together::{Attempt, Together};
use crate::wire::Wire;

/// How many alarms are looked at before sessions have their turn, which takes well below a millisecond.
const ALARMS: usize = 4096;

/// What a loop is to be given next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// What has happened meanwhile: it has more to do at once.
    More,
    /// Rest until something happens, or until this time.
    Wait(Option<Instant>),
    /// Nothing: it is over.
    Over,
}

/// One event loop and its sessions, made with [`Launch::begin`]. What its runtime does:
///
/// ```text
///   pass --More---------------------> take what has happened
///        --Wait(until)--------------> sleep until then, or until something happens
///        --Over---------------------> return
///   for each thing that has happened: note, woken; then pass again
/// ```
pub struct EventLoop<S: Service, P: Poller> {
    index: usize,
    shared: Arc<Shared>,
    /// On the first loop only.
    acceptor: Option<Acceptor<P>>,
    cx: Context<S, P>,
    sessions: Vec<Option<Box<Session<S, P>>>>,
    free: Vec<u32>,
    timers: Timers,
    /// Sessions with something to do.
    ready: Vec<u32>,
    /// Sessions with something to write, when they write together.
    writers: Vec<u32>,
    together: Together,
    /// The lists whose memory is used again for each pass: sessions whose turn it is, those that write in a round, what the
    /// mailbox had, and what came of writing.
    turns: Vec<u32>,
    round: Vec<u32>,
    messages: Vec<Message>,
    attempts: Vec<Attempt>,
    /// Until when running sessions may go on after a stop was asked for.
    stop_at: Option<Instant>,
    /// Many sessions have ended, and this is dropped once their memory is.
    shrinks: Option<Sender<()>>,
    /// Another thread has something for this loop.
    woken: bool,
    /// Everything is closed.
    over: bool,
}

impl<S: Service, P: Poller> EventLoop<S, P> {
    pub(crate) fn new(launch: Launch<S>, mut poller: P) -> io::Result<Self> {
        let Launch { index, shared, service, spill, listeners, .. } = launch;
        let acceptor = match listeners {
            Some((listeners, suspend)) => Some(Acceptor::new(listeners, &mut poller, suspend)?),
            None => None,
        };
        let cx = Context {
            clock: shared.clock,
            now: shared.clock.now(),
            service,
            poller,
            routes: Routes::default(),
            pool: Pool::new(u32::try_from(index).unwrap_or_default(), shared.children.clone()),
            kept: KeptWires::new(),
            later: VecDeque::new(),
            buffer: BytesMut::with_capacity(READ_SIZE),
            mailbox: Arc::clone(&shared.loops.mailboxes()[index]),
            spill,
        };
        let together = Together::wanted(shared.use_io_uring && P::LETS_WRITE);
        let mut event_loop = Self {
            index,
            shared,
            acceptor,
            cx,
            sessions: Vec::new(),
            free: Vec::new(),
            timers: Timers::new(),
            ready: Vec::new(),
            writers: Vec::new(),
            together: Together::OFF,
            turns: Vec::new(),
            round: Vec::new(),
            messages: Vec::new(),
            attempts: Vec::new(),
            stop_at: None,
            shrinks: None,
            woken: false,
            over: false,
        };
        match together {
            Ok(together) => event_loop.together = together,
            Err(error) => event_loop.writes_alone(&error),
        }
        Ok(event_loop)
    }

    /// Notes what the poller has found out about a socket. All is noted before any session runs, so that no report can
    /// mean a connection that was closed meanwhile.
    pub fn note(&mut self, token: Token, readiness: Readiness) {
        match self.cx.routes.find(token) {
            Some(Owner::Session(index, peer)) => {
                if let Some(session) = session_at(&mut self.sessions, index) {
                    session.note(peer, readiness);
                    queue(session, &mut self.ready);
                }
            }
            Some(Owner::Kept(id)) => {
                if self.cx.kept.note(id, readiness, &mut self.cx.poller) {
                    self.cx.pool.disturbed(id);
                }
            }
            None => {
                if let Some(acceptor) = &mut self.acceptor {
                    acceptor.note(token);
                }
            }
        }
    }

    /// Notes that another thread has something for this loop.
    pub const fn woken(&mut self) {
        self.woken = true;
    }

    /// Notes what has come to the inbox of a loop that is a future, and has `sleeper` woken for what comes from then on.
    /// `reports` is empty memory that is used again. Says whether there was anything.
    pub fn hear(&mut self, inbox: &Inbox, reports: &mut Vec<(Token, Side)>, sleeper: &Waker) -> bool {
        let woken = inbox.look(reports, sleeper);
        if woken {
            self.woken();
        }
        let any = woken || !reports.is_empty();
        for (token, side) in reports.drain(..) {
            let (readable, writable) = (side == Side::Reading, side == Side::Writing);
            self.note(token, Readiness { readable, writable, ..Readiness::default() });
        }
        any
    }

    /// Gives each session with something to do a bounded turn. `all_noted` is false when more had happened than was noted
    /// since the last pass.
    pub fn pass(&mut self, all_noted: bool) -> Next {
        match catch(|| self.serve(all_noted)) {
            Ok(Next::Over) => {
                self.close();
                Next::Over
            }
            Ok(next) => next,
            Err(_) => {
                self.failed(IoError { kind: IoKind::Other, code: 0 });
                Next::Over
            }
        }
    }

    /// Ends the loop because its poller has failed.
    pub fn fail(&mut self, error: &io::Error) {
        self.failed(classify(error));
    }

    /// How long it is until `at`.
    #[must_use]
    pub fn until(&self, at: Instant) -> Duration {
        self.cx.clock.until(at)
    }

    /// The poller that the loop was made with.
    pub const fn poller(&mut self) -> &mut P {
        &mut self.cx.poller
    }

    fn failed(&mut self, error: IoError) {
        if !self.over {
            // Half a server that nobody notices is worse than one that ends and is started again.
            self.shared.loops.stop(StopLevel::Graceful);
            self.notice(Notice::LoopFailed(error));
            self.close();
        }
    }

    fn serve(&mut self, all_noted: bool) -> Next {
        self.obey_pool();
        if all_noted {
            // Time goes on only when everything that had arrived by then is known: a reply that lies in a socket must not
            // time out because the loop was busy or the process was paused.
            self.cx.now = self.cx.clock.now();
        }
        let mut messages = std::mem::take(&mut self.messages);
        self.cx.mailbox.take(&mut messages);
        for message in messages.drain(..) {
            self.receive(message);
        }
        self.messages = messages;
        self.ring();
        self.pool_turn();
        // What gets ready meanwhile has its turn in the next pass.
        let mut turns = std::mem::take(&mut self.turns);
        std::mem::swap(&mut self.ready, &mut turns);
        for index in turns.drain(..) {
            if let Some(session) = session_at(&mut self.sessions, index) {
                session.queued = false;
            }
            self.run_session(index, self.writing(), |_, _| {});
        }
        self.turns = turns;
        // Sessions that end now make room, on this loop too, for those that are accepted; and those have something to say at once.
        self.write_together();
        self.accept();
        self.write_together();
        if let Some(done) = self.shrinks.take() {
            self.shrink();
            drop(done);
        }
        if self.stop() {
            return Next::Over;
        }
        self.next()
    }

    /// How long nothing can happen by itself.
    fn next(&self) -> Next {
        if !self.ready.is_empty() || self.acceptor.as_ref().is_some_and(Acceptor::has_more) {
            return Next::More;
        }
        let accept = self.acceptor.as_ref().and_then(Acceptor::deadline);
        let pool = self.cx.pool.deadline();
        Next::Wait(self.timers.next().into_iter().chain(pool).chain(accept).chain(self.stop_at).min())
    }

    /// Gives the pool its time, and the places that other loops have handed over.
    fn pool_turn(&mut self) {
        let now = self.cx.now;
        if std::mem::take(&mut self.woken) {
            self.cx.pool.woken(now);
        }
        if self.cx.pool.deadline().is_some_and(|at| at <= now) {
            self.cx.pool.tick(now);
        }
        self.obey_pool();
    }

    /// Does what the pool says.
    fn obey_pool(&mut self) {
        while let Some(action) = self.cx.later.pop_front().or_else(|| self.cx.pool.poll()) {
            match action {
                Action::Connect { ticket, .. }
                | Action::Ready { ticket, .. }
                | Action::Refused { ticket, .. } => {
                    if let Some(session) = session_at(&mut self.sessions, ticket.session) {
                        session.obey(action, &mut self.cx);
                        queue(session, &mut self.ready);
                    } else if let Action::Ready { kept: Some(id), .. } = action {
                        kept::close(id, &mut self.cx);
                    }
                }
                Action::Close { kept } => kept::close(kept, &mut self.cx),
                Action::Wake { event_loop } => {
                    if let Some(mailbox) = self.shared.loops.mailboxes().get(event_loop as usize) {
                        mailbox.wake();
                    }
                }
                Action::Notice(notice) => self.notice(notice),
            }
        }
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Accepted(socket, id) => self.begin(socket, id),
            Message::Shrink(done) => self.shrinks = Some(done),
            // Who has asked may have waited long enough.
            Message::Describe(most, told) => drop(told.send(self.describe(most))),
            Message::Input(key, input) => {
                let session = session_at(&mut self.sessions, key.index);
                if session.is_some_and(|session| session.key == key) {
                    self.run_session(key.index, self.writing(), |session, cx| session.tell(input, cx));
                }
            }
        }
    }

    /// What the sessions do, of at most `most`: the oldest.
    fn describe(&self, most: usize) -> Vec<Described> {
        let mut sessions: Vec<_> = self.sessions.iter().flatten().collect();
        sessions.sort_unstable_by_key(|session| session.key.id);
        let oldest = sessions.into_iter().take(most);
        oldest.filter_map(|session| Some((session.key.id, session.machine.describe(self.cx.now)?))).collect()
    }

    /// Queues the sessions whose time has come. Deadlines move on while their alarms stay, so once one is due all that
    /// are early are moved as well, up to the first that is not: a thousand sessions that have come to rest wake the loop
    /// once for it, and not each for itself.
    fn ring(&mut self) {
        let now = self.cx.now;
        if self.timers.next().is_none_or(|at| at > now) {
            return;
        }
        for _ in 0..ALARMS {
            let Some((at, index)) = self.timers.first() else { return };
            let session = session_at(&mut self.sessions, index);
            let deadline = session.as_ref().and_then(|session| session.deadline());
            let is_early = deadline.is_none_or(|deadline| deadline > at);
            if at > now && !is_early {
                return;
            }
            self.timers.forget(index, Some(at));
            let Some(session) = session else { continue };
            session.alarm = None;
            if deadline.is_some_and(|deadline| deadline <= now) {
                queue(session, &mut self.ready);
            } else {
                self.timers.arrange(index, &mut session.alarm, deadline);
            }
        }
    }

    /// When sessions write in this pass.
    const fn writing(&self) -> Writing {
        if self.together.is_on() { Writing::Together } else { Writing::Now }
    }

    /// Gives a session its turn, after `before`.
    fn run_session(
        &mut self,
        index: u32,
        writing: Writing,
        before: impl FnOnce(&mut Session<S, P>, &mut Context<S, P>),
    ) {
        let Some(session) = session_at(&mut self.sessions, index) else { return };
        let cx = &mut self.cx;
        let turn = catch(|| {
            before(session, cx);
            session.turn(writing, cx)
        });
        match turn {
            Ok(Turn::Idle) => {
                let deadline = session.deadline();
                self.timers.arrange(index, &mut session.alarm, deadline);
            }
            Ok(Turn::More) => queue(session, &mut self.ready),
            Ok(Turn::Writes) => {
                if !std::mem::replace(&mut session.writes, true) {
                    self.writers.push(index);
                }
            }
            Ok(Turn::Over) => self.end(index),
            Err(message) => self.end_panicked(index, message),
        }
        self.obey_pool();
    }

    /// Accepts what waits and gives it to the loop with the fewest sessions.
    fn accept(&mut self) {
        let Some(acceptor) = &mut self.acceptor else { return };
        let mut accepted = Vec::new();
        let service = &self.cx.service;
        let notify = |notice| drop(catch(|| service.notice(notice)));
        acceptor.turn(
            self.cx.now,
            &mut self.cx.poller,
            self.shared.loops.admission(),
            &mut accepted,
            &notify,
        );
        for socket in accepted {
            self.shared.burst.grew(self.shared.loops.admission().running());
            let id = self.shared.next_session();
            let to = self.shared.loops.least_loaded(self.index);
            if to == self.index {
                self.shared.loops.mailboxes()[to].add_session();
                self.begin(socket, id);
            } else {
                // One that comes back is closed: its loop has ended because the server stops.
                drop(self.shared.loops.send_session(to, Message::Accepted(socket, id)));
            }
        }
    }

    /// Makes the session of a connection.
    fn begin(&mut self, socket: OwnedFd, id: SessionId) {
        let environment =
            Environment { unix_seconds: unix_seconds(), sessions: self.shared.loops.admission().running() };
        let machine = match catch(|| self.cx.service.accept(id, environment)) {
            Ok(machine) => machine,
            Err(message) => {
                drop(socket);
                self.shared.loops.session_ended(self.index);
                return self.notice(Notice::SessionPanicked { session: id, message });
            }
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.sessions.push(None);
            u32::try_from(self.sessions.len() - 1).unwrap_or(u32::MAX)
        });
        let key = Key { index, id };
        let owner = Owner::Session(key.index, Peer::MTA);
        let Ok(wire) = Wire::accepted(socket, owner, &mut self.cx) else {
            // The kernel has no memory to watch it; the client sees its connection closed.
            self.free.push(index);
            return self.shared.loops.session_ended(self.index);
        };
        self.sessions[index as usize] = Some(Box::new(Session::new(key, machine, wire)));
        self.run_session(index, Writing::Now, |session, cx| session.tell(Input::Tick, cx));
        // Who connects mostly has something to say at once: it is read before anything is waited for.
        if session_at(&mut self.sessions, index).is_some_and(Session::expect_greeting) {
            self.run_session(index, self.writing(), |_, _| {});
        }
        if self.stop_at.is_some() {
            self.receive(Message::Input(key, Input::Stop));
        }
    }

    /// Forgets a session: its sockets, files and place.
    fn end(&mut self, index: u32) {
        let slot = self.sessions.get_mut(index as usize);
        let Some(mut session) = slot.and_then(Option::take) else { return };
        session.close_all(&mut self.cx);
        self.timers.forget(index, session.alarm);
        let id = session.key.id;
        let dropped = catch(|| drop(session));
        self.free.push(index);
        self.shared.loops.session_ended(self.index);
        if self.shared.burst.fell(self.shared.loops.admission().running()) {
            burst::start(&self.shared);
        }
        if let Err(message) = dropped {
            self.notice(Notice::SessionPanicked { session: id, message });
        }
    }

    /// Ends a session whose machine has panicked.
    fn end_panicked(&mut self, index: u32, message: Box<str>) {
        let Some(session) = session_at(&mut self.sessions, index).map(|session| session.key.id) else {
            return;
        };
        self.end(index);
        self.notice(Notice::SessionPanicked { session, message });
    }

    /// Drops what was only needed for sessions that are over.
    fn shrink(&mut self) {
        routes::shrink(&mut self.sessions, &mut self.free, |&index| index as usize);
        self.cx.routes.shrink();
        self.cx.later.shrink_to_fit();
        self.cx.mailbox.shrink();
        self.messages = Vec::new();
        self.turns = Vec::new();
        self.round = Vec::new();
        self.attempts = Vec::new();
        self.writers.shrink_to_fit();
        self.ready.shrink_to_fit();
    }

    /// Sees to a stop. Says whether the loop is done.
    fn stop(&mut self) -> bool {
        let level = self.shared.loops.stop_level();
        if level == StopLevel::Running {
            return false;
        }
        self.stop_accepting();
        if level == StopLevel::Graceful && self.stop_at.is_none() {
            self.stop_at = Some(self.cx.now + self.shared.stop_grace);
            self.cx.pool.stop();
            self.obey_pool();
            for index in 0..self.sessions.len() {
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                self.run_session(index, Writing::Now, |session, cx| session.tell(Input::Stop, cx));
            }
        }
        level == StopLevel::Now
            || self.shared.loops.is_served(self.index)
            || self.stop_at.is_some_and(|at| at <= self.cx.now)
    }

    fn stop_accepting(&mut self) {
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.close(&mut self.cx.poller);
            self.shared.loops.stopped_accepting();
        }
    }

    /// Closes what is left.
    fn close(&mut self) {
        self.over = true;
        self.stop_accepting();
        let timed_out = self.shared.loops.stop_level() == StopLevel::Graceful
            && self.stop_at.is_some_and(|at| at <= self.cx.now);
        let mut late = 0;
        for message in self.cx.mailbox.close() {
            if let Message::Accepted(..) = message {
                drop(message);
                self.shared.loops.session_cut(self.index);
            }
        }
        for index in 0..self.sessions.len() {
            let Some(mut session) = self.sessions[index].take() else { continue };
            session.close_all(&mut self.cx);
            // A panic while a machine is thrown away changes nothing any more.
            let _ = catch(|| drop(session));
            self.shared.loops.session_cut(self.index);
            late += u32::from(timed_out);
        }
        kept::close_all(&mut self.cx);
        // Places that were handed to this loop go to those who still wait.
        self.woken = true;
        self.pool_turn();
        if let Some(sessions) = self.shared.loops.loop_ended(late) {
            self.notice(Notice::StopTimedOut { sessions, after: self.shared.stop_grace });
        }
    }

    /// A program that panics in its ear has nothing better to be told.
    fn notice(&self, notice: Notice) {
        let _ = catch(|| self.cx.service.notice(notice));
    }
}

/// A loop that its runtime dropped before it was over has failed: nobody else would say so, and nobody would serve what
/// is on its way to it.
impl<S: Service, P: Poller> Drop for EventLoop<S, P> {
    fn drop(&mut self) {
        self.failed(IoError { kind: IoKind::Other, code: 0 });
    }
}

fn session_at<S: Service, P: Poller>(
    sessions: &mut [Option<Box<Session<S, P>>>],
    index: u32,
) -> Option<&mut Session<S, P>> {
    sessions.get_mut(index as usize)?.as_deref_mut()
}

/// Notes that a session has something to do.
fn queue<S: Service, P: Poller>(session: &mut Session<S, P>, ready: &mut Vec<u32>) {
    if !session.queued {
        session.queued = true;
        ready.push(session.key.index);
    }
}
