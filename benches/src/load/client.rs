//! Many MTAs in one thread.
//!
//! Closed loop: each of so many connections begins its next session when the last one is over. Open loop: sessions begin at
//! a fixed rate whatever becomes of those before, and the time of one counts from when it was to begin, so that a milter
//! that stands still is not spared the sessions that would have come meanwhile (no coordinated omission).

use std::fs;
use std::io::{self, Read, Write};
use std::net;
use std::os::fd::AsRawFd;
use std::os::unix;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use millstream_core::wire::Protocol;
use millstream_core::wire::facts::REPLIES;
use mio::net::{TcpStream, UnixStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::load::mail::{Mail, Turn};
use crate::load::null_child::Address;

/// Longer than any session takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Sessions at the same time beyond which a fixed rate is more than the milter can do.
const MOST_OPEN: usize = 8000;
/// The token of the clock; the others are connections.
const CLOCK: Token = Token(usize::MAX - 1);

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// When sessions begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// So many at the same time, each when the one before it is over.
    Closed(usize),
    /// So many in a second.
    Open(f64),
}

/// When no further session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// After this time.
    Time(Duration),
    /// After so many.
    Sessions(u64),
}

/// What became of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Sessions, all of them complete.
    pub sessions: u64,
    /// From the first to the end of the last.
    pub elapsed: Duration,
    /// Nanoseconds from when each was to begin to its last answer.
    pub latency: Histogram<u64>,
    /// Processor time of this thread.
    pub own_time: Duration,
}

/// Has sessions with the milter at `address`.
///
/// # Errors
/// When a session breaks, has another answer than "continue" or "accept", or gets none; when it cannot keep up with a fixed
/// rate.
pub fn run(address: &Address, mail: &Mail, pace: Pace, length: Length) -> io::Result<Outcome> {
    let own_time = own_time()?;
    let mut client = Client {
        address,
        mail,
        length,
        opening: [Turn { wire: Mail::opening(), is_answered: true }].into(),
        prepared: None,
        poll: Poll::new()?,
        sessions: Vec::new(),
        free: Vec::new(),
        begun: 0,
        done: 0,
        start: Instant::now(),
        latency: Histogram::new_with_bounds(1_000, 600_000_000_000, 3).map_err(io::Error::other)?,
    };
    match pace {
        Pace::Closed(connections) => client.closed(connections)?,
        Pace::Open(rate) => client.open(rate)?,
    }
    Ok(Outcome {
        sessions: client.done,
        elapsed: client.start.elapsed(),
        latency: client.latency,
        own_time: self::own_time()?.saturating_sub(own_time),
    })
}

fn own_time() -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let spent = text.split_whitespace().next().and_then(|field| field.parse().ok());
    spent.map(Duration::from_nanos).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

struct Client<'a> {
    address: &'a Address,
    mail: &'a Mail,
    length: Length,
    opening: Rc<[Turn]>,
    /// What follows the last negotiation that was different.
    prepared: Option<(Protocol, Rc<[Turn]>)>,
    poll: Poll,
    sessions: Vec<Option<Session>>,
    free: Vec<usize>,
    begun: u64,
    done: u64,
    start: Instant,
    latency: Histogram<u64>,
}

impl Client<'_> {
    fn closed(&mut self, connections: usize) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        for _ in 0..connections {
            if self.goes_on() {
                self.begin(Instant::now())?;
            }
        }
        while self.done < self.begun {
            self.wait(&mut events)?;
            for event in &events {
                if self.proceed(event.token().0, event.is_readable())? && self.goes_on() {
                    self.begin(Instant::now())?;
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, rate: f64) -> io::Result<()> {
        let clock = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        let interval = Duration::from_secs_f64(1.0 / rate);
        let interval = Timespec { tv_sec: 0, tv_nsec: i64::from(interval.subsec_nanos().max(1)) };
        let every = Itimerspec { it_interval: interval, it_value: interval };
        timerfd_settime(&clock, TimerfdTimerFlags::empty(), &every)?;
        self.poll.registry().register(&mut SourceFd(&clock.as_raw_fd()), CLOCK, Interest::READABLE)?;
        let mut events = Events::with_capacity(1024);
        self.start = Instant::now();
        while self.goes_on() || self.done < self.begun {
            while self.goes_on() {
                let intended = self.start + Duration::from_secs_f64(self.begun as f64 / rate);
                if intended > Instant::now() {
                    break;
                }
                self.begin(intended)?;
            }
            if self.begun - self.done > MOST_OPEN as u64 {
                return Err(io::Error::other(format!(
                    "{MOST_OPEN} sessions wait at {rate:.0} in a second: that is more than the milter can do"
                )));
            }
            self.wait(&mut events)?;
            // The clock goes on, so that waiting does not end by itself.
            if !self.goes_on() && self.start.elapsed() > PATIENCE * 2 {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the last sessions get no answer"));
            }
            for event in &events {
                if event.token() == CLOCK {
                    // It stands still until its expirations are read; that it has none is no harm.
                    let _ = rustix::io::read(&clock, &mut [0; 8]);
                } else {
                    self.proceed(event.token().0, event.is_readable())?;
                }
            }
        }
        Ok(())
    }

    fn goes_on(&self) -> bool {
        match self.length {
            Length::Time(length) => self.start.elapsed() < length,
            Length::Sessions(count) => self.begun < count,
        }
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        match self.poll.poll(events, Some(PATIENCE)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Ok(()) if events.is_empty() => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer in {PATIENCE:?}, {} sessions wait", self.begun - self.done),
            )),
            result => result,
        }
    }

    fn begin(&mut self, intended: Instant) -> io::Result<()> {
        let mut session = Session {
            stream: Stream::connect(self.address)?,
            turns: Rc::clone(&self.opening),
            at: 0,
            written: 0,
            reply: Vec::new(),
            waits_for_room: false,
            intended,
        };
        let slot = self.free.pop().unwrap_or(self.sessions.len());
        self.poll.registry().register(session.stream.source(), Token(slot), Interest::READABLE)?;
        if slot == self.sessions.len() {
            self.sessions.push(None);
        }
        self.sessions[slot] = Some(session);
        self.begun += 1;
        self.proceed(slot, false).map(drop)
    }

    /// Reads and writes what can be; whether the session is over.
    fn proceed(&mut self, slot: usize, may_read: bool) -> io::Result<bool> {
        let Some(Some(session)) = self.sessions.get_mut(slot) else { return Ok(false) };
        if may_read && session.is_asking() {
            match session.read()? {
                Some(Answer::Continue) => session.next(),
                Some(Answer::Accept) => session.end(),
                Some(Answer::Negotiated(protocol)) => {
                    if self.prepared.as_ref().is_none_or(|(last, _)| *last != protocol) {
                        self.prepared = Some((protocol, self.mail.turns(protocol)));
                    }
                    if let Some((_, turns)) = &self.prepared {
                        session.turns = Rc::clone(turns);
                        (session.at, session.written) = (0, 0);
                    }
                }
                None => return Ok(false),
            }
            if session.is_last() {
                let time = u64::try_from(session.intended.elapsed().as_nanos()).unwrap_or(u64::MAX);
                self.latency.saturating_record(time);
            }
        }
        let is_over = session.write()?;
        if session.has_room_to_wait_for() != session.waits_for_room {
            // Room is waited for only where there is none: else every read of the peer would be an event.
            session.waits_for_room = !session.waits_for_room;
            let interest = if session.waits_for_room { BOTH } else { Interest::READABLE };
            self.poll.registry().reregister(session.stream.source(), Token(slot), interest)?;
        }
        if is_over {
            self.sessions[slot] = None;
            self.free.push(slot);
            self.done += 1;
        }
        Ok(is_over)
    }
}

enum Answer {
    Negotiated(Protocol),
    Continue,
    Accept,
}

struct Session {
    stream: Stream,
    turns: Rc<[Turn]>,
    /// The turn under way.
    at: usize,
    /// How much of it is written.
    written: usize,
    /// A reply under way.
    reply: Vec<u8>,
    waits_for_room: bool,
    intended: Instant,
}

impl Session {
    fn turn(&self) -> &Turn {
        &self.turns[self.at]
    }

    fn has_room_to_wait_for(&self) -> bool {
        self.written < self.turn().wire.len()
    }

    /// Whether everything is said and the answer is what comes next.
    fn is_asking(&self) -> bool {
        self.turn().is_answered && !self.has_room_to_wait_for()
    }

    fn is_last(&self) -> bool {
        !self.turn().is_answered
    }

    fn next(&mut self) {
        self.at += 1;
        self.written = 0;
    }

    /// The milter wants no more of it.
    fn end(&mut self) {
        self.at = self.turns.len() - 1;
        self.written = 0;
    }

    /// Writes of the turn what can be written; whether that was the last one.
    fn write(&mut self) -> io::Result<bool> {
        while self.has_room_to_wait_for() {
            match self.stream.write(&self.turns[self.at].wire[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(self.is_last())
    }

    /// The answer, when it is there; progress aside.
    fn read(&mut self) -> io::Result<Option<Answer>> {
        let mut buffer = [0; 512];
        loop {
            let read = match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the milter has closed")),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            };
            self.reply.extend_from_slice(&buffer[..read]);
            while let Some(length) = self.reply.first_chunk::<4>() {
                let length = 4 + u32::from_be_bytes(*length) as usize;
                if self.reply.len() < length {
                    break;
                }
                let frame: Vec<u8> = self.reply.drain(..length).collect();
                if REPLIES.iter().any(|(letter, _, is_final)| *is_final && frame[4] == *letter) {
                    return answer(&frame).map(Some);
                }
            }
        }
    }
}

fn answer(frame: &[u8]) -> io::Result<Answer> {
    match (frame[4], frame.get(13..17).and_then(|bits| bits.first_chunk::<4>())) {
        (b'O', Some(bits)) => Ok(Answer::Negotiated(Protocol(u32::from_be_bytes(*bits)))),
        (b'c', _) => Ok(Answer::Continue),
        (b'a', _) => Ok(Answer::Accept),
        (letter, _) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the milter answers {:?}, expected \"continue\"", char::from(letter)),
        )),
    }
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    /// Waits for room in the queue of the listener.
    fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => {
                let stream = unix::net::UnixStream::connect(path)?;
                stream.set_nonblocking(true)?;
                Ok(Self::Unix(UnixStream::from_std(stream)))
            }
            Address::Tcp(address) => {
                let stream = net::TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                Ok(Self::Tcp(TcpStream::from_std(stream)))
            }
        }
    }

    fn source(&mut self) -> &mut dyn mio::event::Source {
        match self {
            Self::Unix(stream) => stream,
            Self::Tcp(stream) => stream,
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(data),
            Self::Tcp(stream) => stream.write(data),
        }
    }
}
