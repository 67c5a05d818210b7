//! One thread: waits, notes what happened, and gives each session with something to do a bounded turn.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use millstream_core::machine::{Input, IoError, IoKind};
use millstream_core::policy::Environment;
use millstream_core::pool::Action;
use millstream_core::service::{Notice, Service, SessionId};
use millstream_core::time::Instant;
use mio::{Events, Poll, Token};

use crate::acceptor::Acceptor;
use crate::caught::catch;
use crate::clock::unix_seconds;
use crate::context::Context;
use crate::error::classify;
use crate::kept;
use crate::mailbox::{Key, Message};
use crate::read::READ_SIZE;
use crate::routes::Owner;
use crate::server::{Shared, StopLevel};
use crate::session::{Session, Turn};
use crate::socket::Socket;
use crate::timers::Timers;

/// The poller's token for the mailbox; no connection gets there.
pub(crate) const WAKER: Token = Token(usize::MAX);

/// How many events are taken at a time.
const EVENTS: usize = 256;

/// One event loop and its sessions.
pub(crate) struct EventLoop<S: Service> {
    index: usize,
    poll: Poll,
    shared: Arc<Shared>,
    /// On the first loop only.
    acceptor: Option<Acceptor>,
    cx: Context<S>,
    sessions: Vec<Option<Box<Session<S>>>>,
    free: Vec<u32>,
    timers: Timers,
    /// Sessions with something to do.
    ready: Vec<u32>,
    /// Until when running sessions may go on after a stop was asked for.
    stop_at: Option<Instant>,
    /// Another thread has something for this loop.
    woken: bool,
}

impl<S: Service> EventLoop<S> {
    pub(crate) const fn new(
        index: usize,
        poll: Poll,
        shared: Arc<Shared>,
        acceptor: Option<Acceptor>,
        cx: Context<S>,
    ) -> Self {
        Self {
            index,
            poll,
            shared,
            acceptor,
            cx,
            sessions: Vec::new(),
            free: Vec::new(),
            timers: Timers::new(),
            ready: Vec::new(),
            stop_at: None,
            woken: false,
        }
    }

    /// Serves until the server stops.
    pub(crate) fn run(mut self) {
        let failure = match catch(|| self.serve()) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(classify(&error)),
            Err(_) => Some(IoError { kind: IoKind::Other, code: 0 }),
        };
        if let Some(error) = failure {
            // Half a server that nobody notices is worse than one that ends and is started again.
            self.shared.stop(StopLevel::Graceful);
            self.notice(Notice::LoopFailed(error));
        }
        self.close();
    }

    fn serve(&mut self) -> io::Result<()> {
        self.cx.buffer = BytesMut::with_capacity(READ_SIZE);
        let mut events = Events::with_capacity(EVENTS);
        let mut messages = Vec::new();
        let mut turns = Vec::new();
        loop {
            match self.poll.poll(&mut events, self.timeout()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            let count = self.note(&events);
            self.obey_pool();
            if count < EVENTS {
                // Time goes on only when everything that had arrived by then is known: a reply that lies in a socket
                // must not time out because the loop was busy or the process was paused.
                self.cx.now = self.cx.clock.now();
            }
            self.cx.mailbox.take(&mut messages);
            for message in messages.drain(..) {
                self.receive(message);
            }
            while let Some(index) = self.timers.due(self.cx.now) {
                self.alarm(index);
            }
            self.pool_turn();
            // What gets ready meanwhile has its turn after the next poll.
            std::mem::swap(&mut self.ready, &mut turns);
            for index in turns.drain(..) {
                self.run_session(index, None);
            }
            self.accept();
            if self.stop() {
                return Ok(());
            }
        }
    }

    /// How long nothing can happen by itself.
    fn timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() || self.acceptor.as_ref().is_some_and(Acceptor::has_more) {
            return Some(Duration::ZERO);
        }
        let accept = self.acceptor.as_ref().and_then(Acceptor::deadline);
        let pool = self.cx.pool.deadline();
        let next = self.timers.next().into_iter().chain(pool).chain(accept).chain(self.stop_at).min();
        next.map(|at| self.cx.clock.until(at))
    }

    /// Notes all events before any session runs, so that none can mean a connection that was closed meanwhile. Returns
    /// how many there were.
    fn note(&mut self, events: &Events) -> usize {
        let mut count = 0;
        for event in events {
            count += 1;
            match self.cx.routes.find(event.token()) {
                Some(Owner::Session(index, peer)) => {
                    if let Some(session) = session_at(&mut self.sessions, index) {
                        session.note(peer, event);
                        queue(session, &mut self.ready);
                    }
                }
                Some(Owner::Kept(id)) => {
                    if self.cx.kept.note(id, event) {
                        self.cx.pool.disturbed(id);
                    }
                }
                None if event.token() == WAKER => self.woken = true,
                None => {
                    if let Some(acceptor) = &mut self.acceptor {
                        acceptor.note(event.token());
                    }
                }
            }
        }
        count
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
                    if let Some(mailbox) = self.shared.mailboxes.get(event_loop as usize) {
                        // It fails only without memory; the loop then finds its place at its next wake-up.
                        let _ = mailbox.wake();
                    }
                }
                Action::Notice(notice) => self.notice(notice),
            }
        }
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Accepted(socket, id) => self.begin(socket, id),
            Message::Input(key, input) => {
                let session = session_at(&mut self.sessions, key.index);
                if session.is_some_and(|session| session.key == key) {
                    self.run_session(key.index, Some(input));
                }
            }
        }
    }

    fn alarm(&mut self, index: u32) {
        if let Some(session) = session_at(&mut self.sessions, index) {
            session.alarm = None;
            queue(session, &mut self.ready);
        }
    }

    fn run_session(&mut self, index: u32, input: Option<Input>) {
        let Some(session) = session_at(&mut self.sessions, index) else { return };
        let cx = &mut self.cx;
        let turn = catch(|| {
            session.queued = false;
            if let Some(input) = input {
                session.tell(input, cx);
            }
            session.turn(cx)
        });
        match turn {
            Ok(Turn::Idle) => {
                let deadline = session.deadline();
                self.timers.arrange(index, &mut session.alarm, deadline);
            }
            Ok(Turn::More) => queue(session, &mut self.ready),
            Ok(Turn::Over) => self.end(index),
            Err(message) => {
                let session = session.key.id;
                self.end(index);
                self.notice(Notice::SessionPanicked { session, message });
            }
        }
        self.obey_pool();
    }

    /// Accepts what waits and gives it to the loop with the fewest sessions.
    fn accept(&mut self) {
        let Some(acceptor) = &mut self.acceptor else { return };
        let mut accepted = Vec::new();
        let service = &self.cx.service;
        let notify = |notice| drop(catch(|| service.notice(notice)));
        acceptor.turn(self.cx.now, &self.cx.registry, &self.shared.admission, &mut accepted, &notify);
        for socket in accepted {
            let id = self.shared.next_session();
            let to = self.shared.least_loaded(self.index);
            let mailbox = &self.shared.mailboxes[to];
            mailbox.add_session();
            if to == self.index {
                self.begin(socket, id);
            } else if let Err(message) = mailbox.send(Message::Accepted(socket, id)) {
                // That loop has ended because the server stops.
                drop(message);
                self.shared.session_ended(to);
            }
        }
    }

    /// Makes the session of a connection.
    fn begin(&mut self, socket: Socket, id: SessionId) {
        let environment =
            Environment { unix_seconds: unix_seconds(), sessions: self.shared.admission.running() };
        let machine = match catch(|| self.cx.service.accept(id, environment)) {
            Ok(machine) => machine,
            Err(message) => {
                drop(socket);
                self.shared.session_ended(self.index);
                return self.notice(Notice::SessionPanicked { session: id, message });
            }
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.sessions.push(None);
            u32::try_from(self.sessions.len() - 1).unwrap_or(u32::MAX)
        });
        let key = Key { index, id };
        let Ok(wire) = Session::register(socket, key, &mut self.cx) else {
            // The kernel has no memory to watch it; the client sees its connection closed.
            self.free.push(index);
            return self.shared.session_ended(self.index);
        };
        self.sessions[index as usize] = Some(Box::new(Session::new(key, machine, wire)));
        self.run_session(index, Some(Input::Tick));
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
        self.shared.session_ended(self.index);
        if let Err(message) = dropped {
            self.notice(Notice::SessionPanicked { session: id, message });
        }
    }

    /// Sees to a stop. Says whether the loop is done.
    fn stop(&mut self) -> bool {
        let level = self.shared.stop_level();
        if level == StopLevel::Running {
            return false;
        }
        self.stop_accepting();
        if level == StopLevel::Graceful && self.stop_at.is_none() {
            self.stop_at = Some(self.cx.now + self.shared.stop_grace);
            self.cx.pool.stop();
            self.obey_pool();
            for index in 0..self.sessions.len() {
                self.run_session(u32::try_from(index).unwrap_or(u32::MAX), Some(Input::Stop));
            }
        }
        level == StopLevel::Now
            || self.shared.is_served(self.index)
            || self.stop_at.is_some_and(|at| at <= self.cx.now)
    }

    fn stop_accepting(&mut self) {
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.close(&self.cx.registry);
            self.shared.stopped_accepting();
        }
    }

    /// Closes what is left.
    fn close(&mut self) {
        self.stop_accepting();
        let timed_out = self.shared.stop_level() == StopLevel::Graceful
            && self.stop_at.is_some_and(|at| at <= self.cx.now);
        let mut late = 0;
        for message in self.cx.mailbox.close() {
            if let Message::Accepted(..) = message {
                drop(message);
                self.shared.session_cut(self.index);
            }
        }
        for index in 0..self.sessions.len() {
            let Some(mut session) = self.sessions[index].take() else { continue };
            session.close_all(&mut self.cx);
            // A panic while a machine is thrown away changes nothing any more.
            let _ = catch(|| drop(session));
            self.shared.session_cut(self.index);
            late += u32::from(timed_out);
        }
        kept::close_all(&mut self.cx);
        // Places that were handed to this loop go to those who still wait.
        self.woken = true;
        self.pool_turn();
        if let Some(sessions) = self.shared.loop_ended(late) {
            self.notice(Notice::StopTimedOut { sessions, after: self.shared.stop_grace });
        }
    }

    /// A program that panics in its ear has nothing better to be told.
    fn notice(&self, notice: Notice) {
        let _ = catch(|| self.cx.service.notice(notice));
    }
}

fn session_at<S: Service>(sessions: &mut [Option<Box<Session<S>>>], index: u32) -> Option<&mut Session<S>> {
    sessions.get_mut(index as usize)?.as_deref_mut()
}

/// Notes that a session has something to do.
fn queue<S: Service>(session: &mut Session<S>, ready: &mut Vec<u32>) {
    if !session.queued {
        session.queued = true;
        ready.push(session.key.index);
    }
}
