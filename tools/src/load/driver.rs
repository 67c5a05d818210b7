//! Polls, connects, reads, writes and keeps time for many conversations at once.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::alarm::Alarm;
use super::stream::{Stream, Target};
use super::talk::{Broken, Ended, Source, Talk};
#[cfg(feature = "tls")]
use super::tls;

/// How often time limits and the wish to stop are looked at.
const TICK: Duration = Duration::from_millis(100);
/// The token of the alarm; the others are connections.
const ALARM: Token = Token(usize::MAX - 1);
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// When conversations begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// So many at the same time, each when one before it is over.
    Concurrent(usize),
    /// One after each of these times, whatever becomes of those before. What it takes counts from when it was to begin, so that
    /// who stands still is not spared those that would have come meanwhile (no coordinated omission).
    Every(Duration),
}

/// How a driver works.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    /// Where to.
    pub target: Target,
    /// When.
    pub pace: Pace,
    /// None begins after this.
    pub until: Option<Instant>,
    /// How long a conversation may stand still; zero is no limit.
    pub patience: Duration,
    /// Everything ends when this is set.
    pub stop: &'a AtomicBool,
    /// For those that are to be encrypted.
    #[cfg(feature = "tls")]
    pub tls: Option<tls::Config>,
}

impl<'a> Settings<'a> {
    /// One conversation at a time, in plain, without a limit of any kind, until `stop` is set.
    #[must_use]
    pub const fn new(target: Target, stop: &'a AtomicBool) -> Self {
        Self {
            target,
            pace: Pace::Concurrent(1),
            until: None,
            patience: Duration::ZERO,
            stop,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

/// Has all conversations of `source`.
///
/// # Errors
///
/// When the system does not let it poll.
pub fn run<S: Source>(settings: &Settings<'_>, source: &mut S) -> io::Result<()> {
    let now = Instant::now();
    let poll = Poll::new()?;
    let alarm = match settings.pace {
        Pace::Concurrent(_) => None,
        Pace::Every(interval) => Some(Alarm::every(interval, poll.registry(), ALARM)?),
    };
    let mut driver = Driver {
        settings,
        source,
        poll,
        slots: Vec::new(),
        free: Vec::new(),
        running: 0,
        address: 0,
        due: now,
        is_exhausted: false,
        buffer: vec![0; 64 << 10],
    };
    let mut events = Events::with_capacity(1024);
    let mut tick = now + TICK;
    loop {
        driver.begin_due()?;
        let is_done = driver.is_exhausted && driver.running == 0;
        if is_done || settings.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        match driver.poll.poll(&mut events, Some(driver.pause())) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => result?,
        }
        for event in &events {
            match (event.token(), &alarm) {
                (ALARM, Some(alarm)) => alarm.heard(),
                (Token(index), _) => driver.wake(index, event)?,
            }
        }
        if Instant::now() >= tick {
            driver.end_late()?;
            tick = Instant::now() + TICK;
        }
    }
}

struct Driver<'a, S: Source> {
    settings: &'a Settings<'a>,
    source: &'a mut S,
    poll: Poll,
    slots: Vec<Option<Slot<S::Talk>>>,
    free: Vec<usize>,
    running: usize,
    /// The address that could be connected to last.
    address: usize,
    /// When the next one begins, where they begin at a pace.
    due: Instant,
    is_exhausted: bool,
    buffer: Vec<u8>,
}

/// A conversation with its connection.
struct Slot<T> {
    stream: Stream,
    is_connected: bool,
    talk: T,
    /// The address it is connecting to, and how many it has tried.
    address: usize,
    tried: usize,
    is_readable: bool,
    is_writable: bool,
    /// Whether room to write is polled for.
    waits_for_room: bool,
    is_closed: bool,
    began: Instant,
    /// When something went in or out last.
    moved: Instant,
    took: Option<Duration>,
}

/// What a step of a conversation came to.
enum Step {
    Waits,
    Over(Option<Broken>),
}

impl<S: Source> Driver<'_, S> {
    fn begin_due(&mut self) -> io::Result<()> {
        while !self.is_exhausted && !self.settings.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            let began = match self.settings.pace {
                Pace::Concurrent(most) if self.running >= most => return Ok(()),
                Pace::Concurrent(_) => now,
                Pace::Every(_) if self.due > now => return Ok(()),
                Pace::Every(interval) => {
                    let due = self.due;
                    self.due += interval;
                    due
                }
            };
            if self.settings.until.is_some_and(|until| now >= until) {
                self.is_exhausted = true;
                return Ok(());
            }
            match self.source.next() {
                Some(talk) => self.begin(talk, began)?,
                None => self.is_exhausted = true,
            }
        }
        Ok(())
    }

    /// How long to wait for events.
    fn pause(&self) -> Duration {
        match self.settings.pace {
            Pace::Every(_) if !self.is_exhausted => {
                self.due.saturating_duration_since(Instant::now()).min(TICK)
            }
            _ => TICK,
        }
    }

    fn begin(&mut self, talk: S::Talk, began: Instant) -> io::Result<()> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.running += 1;
        self.connect(index, talk, began, self.address, 0)
    }

    /// Begins to connect to an address, or to one of those behind it.
    fn connect(
        &mut self,
        index: usize,
        talk: S::Talk,
        began: Instant,
        mut address: usize,
        mut tried: usize,
    ) -> io::Result<()> {
        let addresses = self.settings.target.addresses().max(1);
        let (mut stream, is_connected) = loop {
            // On the way to this very machine it may be refused already.
            let begun = Stream::connect(&self.settings.target, address)
                .and_then(|mut stream| stream.is_connected().map(|is_connected| (stream, is_connected)));
            match begun {
                Ok(begun) => break begun,
                Err(_) if tried + 1 < addresses => {
                    tried += 1;
                    address = (address + 1) % addresses;
                }
                Err(error) => {
                    self.finish(index, talk, began, None, Some(Broken::Connect(reason(&error))));
                    return Ok(());
                }
            }
        };
        // Room is polled for only where there is none: else every read of the other end would be an event.
        let interest = if is_connected { Interest::READABLE } else { BOTH };
        self.poll.registry().register(stream.source(), Token(index), interest)?;
        self.slots[index] = Some(Slot {
            stream,
            is_connected,
            talk,
            address,
            tried,
            is_readable: false,
            is_writable: is_connected,
            waits_for_room: !is_connected,
            is_closed: false,
            began,
            moved: Instant::now(),
            took: None,
        });
        if is_connected { self.proceed(index) } else { Ok(()) }
    }

    fn wake(&mut self, index: usize, event: &mio::event::Event) -> io::Result<()> {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return Ok(()) };
        slot.is_readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        slot.is_writable |= event.is_writable() || event.is_error();
        if !slot.is_connected {
            match slot.stream.is_connected() {
                Ok(true) => {
                    slot.is_connected = true;
                    slot.moved = Instant::now();
                    self.address = slot.address;
                }
                Ok(false) => return Ok(()),
                Err(error) => return self.refused(index, &error),
            }
        }
        self.proceed(index)
    }

    /// The address takes no connection: the next one, if there is one.
    fn refused(&mut self, index: usize, error: &io::Error) -> io::Result<()> {
        let Some(slot) = self.slots[index].take() else { return Ok(()) };
        let addresses = self.settings.target.addresses();
        if slot.tried + 1 < addresses {
            let next = (slot.address + 1) % addresses;
            return self.connect(index, slot.talk, slot.began, next, slot.tried + 1);
        }
        self.finish(index, slot.talk, slot.began, None, Some(Broken::Connect(reason(error))));
        Ok(())
    }

    fn proceed(&mut self, index: usize) -> io::Result<()> {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return Ok(()) };
        let step = slot.proceed(&mut self.buffer, self.settings);
        if let Step::Over(broken) = step {
            self.end(index, broken);
            return Ok(());
        }
        let waits_for_room = slot.has_unwritten();
        if waits_for_room != slot.waits_for_room {
            slot.waits_for_room = waits_for_room;
            let interest = if waits_for_room { BOTH } else { Interest::READABLE };
            self.poll.registry().reregister(slot.stream.source(), Token(index), interest)?;
        }
        Ok(())
    }

    /// Ends those that have stood still for too long.
    fn end_late(&mut self) -> io::Result<()> {
        let patience = self.settings.patience;
        for index in 0..self.slots.len() {
            let Some(Some(slot)) = self.slots.get_mut(index) else { continue };
            if patience.is_zero() || slot.moved.elapsed() < patience {
                continue;
            }
            if !slot.is_connected {
                self.refused(index, &ErrorKind::TimedOut.into())?;
            } else {
                let awaited = slot.talk.awaited();
                self.end(index, Some(Broken::Timeout { awaited, after: patience }));
            }
        }
        Ok(())
    }

    fn end(&mut self, index: usize, broken: Option<Broken>) {
        if let Some(mut slot) = self.slots[index].take() {
            slot.note();
            // Once the mail is decided, how the connection ends is nobody's concern.
            let broken = broken.filter(|_| slot.took.is_none());
            self.finish(index, slot.talk, slot.began, slot.took, broken);
        }
    }

    fn finish(
        &mut self,
        index: usize,
        talk: S::Talk,
        began: Instant,
        took: Option<Duration>,
        broken: Option<Broken>,
    ) {
        self.slots[index] = None;
        self.free.push(index);
        self.running -= 1;
        let took = took.unwrap_or_else(|| began.elapsed());
        self.source.finished(Ended { talk, broken, began, took });
    }
}

impl<T: Talk> Slot<T> {
    fn has_unwritten(&self) -> bool {
        self.stream.has_unwritten() || !self.talk.transmit().is_empty()
    }

    /// Notes when the mail was decided.
    fn note(&mut self) {
        if self.took.is_none() && self.talk.is_decided() {
            self.took = Some(self.began.elapsed());
        }
    }

    /// Writes and reads what can be.
    fn proceed(&mut self, buffer: &mut [u8], settings: &Settings<'_>) -> Step {
        loop {
            if self.talk.is_over() || self.is_closed {
                self.note();
                return Step::Over(None);
            }
            let moves = match self.encrypt(settings) {
                Ok(Some(moves)) => Ok(moves),
                Ok(None) => self.write().and_then(|wrote| Ok(self.read(buffer)? || wrote)),
                Err(error) => return Step::Over(Some(Broken::Tls(reason(&error)))),
            };
            match moves {
                Ok(true) => self.moved = Instant::now(),
                Ok(false) => return Step::Waits,
                Err(error) => {
                    return Step::Over(Some(Broken::Lost {
                        awaited: self.talk.awaited(),
                        reason: reason(&error),
                    }));
                }
            }
            self.note();
        }
    }

    /// Goes on with a handshake: whether it is done. `None` when there is none to go on with.
    fn encrypt(&mut self, settings: &Settings<'_>) -> io::Result<Option<bool>> {
        if !self.talk.wants_tls() {
            return Ok(None);
        }
        if self.stream.is_plain() {
            begin_tls(&mut self.stream, settings)?;
        }
        match self.stream.shake_hands() {
            Ok(()) => {
                self.talk.secured();
                Ok(Some(true))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Some(false)),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self) -> io::Result<bool> {
        let mut wrote = false;
        while self.is_writable && self.has_unwritten() {
            let data = self.talk.transmit();
            let result =
                if data.is_empty() { self.stream.flush().map(|()| 0) } else { self.stream.write(data) };
            match result {
                Ok(n) => {
                    wrote = true;
                    if n > 0 {
                        self.talk.wrote(n);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    // What the other end has said before it closed says more than that it did.
                    self.is_writable = false;
                    return if self.is_readable { Ok(wrote) } else { Err(error) };
                }
            }
        }
        Ok(wrote)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        if !self.is_readable {
            return Ok(false);
        }
        match self.stream.read(buffer) {
            Ok(0) => {
                self.is_readable = false;
                self.is_closed = true;
                if self.talk.closed() { Ok(true) } else { Err(ErrorKind::UnexpectedEof.into()) }
            }
            Ok(n) => {
                // Less than there is room for: the kernel has no more, and will say when it has.
                self.is_readable = n == buffer.len() || !self.stream.is_plain();
                self.talk.receive(&buffer[..n]);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.is_readable = false;
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }
}

#[cfg(feature = "tls")]
fn begin_tls(stream: &mut Stream, settings: &Settings<'_>) -> io::Result<()> {
    let config = settings.tls.as_ref().ok_or_else(|| io::Error::other("no configuration for it"))?;
    stream.encrypt(config)
}

#[cfg(not(feature = "tls"))]
fn begin_tls(_: &mut Stream, _: &Settings<'_>) -> io::Result<()> {
    Err(io::Error::other("a program that was built without the feature \"tls\""))
}

/// What the system says, without Rust's number behind it.
fn reason(error: &io::Error) -> String {
    if error.kind() == ErrorKind::UnexpectedEof {
        return "the end of the connection".to_owned();
    }
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(text, _)| text.to_owned())
}
