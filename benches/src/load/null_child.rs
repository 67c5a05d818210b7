//! A child that reads and answers, and counts what it was sent.
//!
//! It is a process of its own with one thread, so that the kernel tells what it costs. It reads frames by itself and not
//! with the decoder of core, so that it is a second opinion on what a manager sends.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, fs};

use millstream_core::wire::facts::letter::{QUIT, QUIT_NC};
use millstream_core::wire::{Actions, HEAD, Protocol, Stage, VERSION_MAX};
use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Events, Interest, Poll, Token};

use crate::child::Wishes;
use crate::load::mail::is_counted;
use crate::load::tally::{Checksum, Tally};

/// Room for one read: a whole frame of the largest size and more.
const READ_SIZE: usize = 128 << 10;
const CONTROL: Token = Token(0);
const LISTENER: Token = Token(1);
/// The first token of a connection.
const FIRST: usize = 2;

/// Where a milter listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// A port.
    Tcp(SocketAddr),
}

impl fmt::Display for Address {
    /// As connection specs are written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "inet:{}@[{}]", address.port(), address.ip()),
        }
    }
}

impl Address {
    /// The unix socket of that name in `folder`, or a free port.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn new(folder: &Path, name: &str, is_tcp: bool) -> io::Result<Self> {
        if !is_tcp {
            return Ok(Self::Unix(folder.join(name)));
        }
        std::net::TcpListener::bind("127.0.0.1:0")?.local_addr().map(Self::Tcp)
    }
}

/// What a null child does.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// What it negotiates, of the protocol; it never edits.
    pub protocol: Protocol,
    /// What it waits before it answers the end of a message.
    pub delay: Duration,
    /// As libmilter: a thread for each connection, which waits in its reads.
    pub has_threads: bool,
}

/// Serves until the process ends. A connection to the unix socket `control` is told the [`Tally`] of all sessions that
/// are over.
///
/// # Errors
/// When it cannot listen.
pub fn serve(address: &Address, control: &Path, manners: Manners) -> io::Result<()> {
    if manners.has_threads {
        serve_with_threads(address, control, manners)
    } else {
        Server::new(address, control, manners)?.run()
    }
}

/// One connection, without its socket.
#[derive(Debug, Default)]
struct Session {
    /// The head of the frame under way, as far as it is there.
    head: [u8; HEAD],
    head_filled: usize,
    /// How much of its payload is still to come.
    left: usize,
    checksum: Checksum,
    tally: Tally,
    is_over: bool,
}

/// What a connection is to be answered.
#[derive(Debug, Default)]
struct Answers {
    wire: Vec<u8>,
    /// Whether an end of message is among it.
    ends_message: bool,
}

impl Manners {
    /// Wants everything and answers everything at once.
    pub const PLAIN: Self = Self::of(Wishes::ANSWERS);

    /// Negotiates that.
    #[must_use]
    pub const fn of(wishes: Wishes) -> Self {
        Self { protocol: wishes.protocol, delay: Duration::ZERO, has_threads: false }
    }
}

impl Session {
    fn receive(&mut self, mut data: &[u8], manners: &Manners, answers: &mut Answers) {
        loop {
            if self.head_filled < HEAD {
                let taken = (HEAD - self.head_filled).min(data.len());
                self.head[self.head_filled..self.head_filled + taken].copy_from_slice(&data[..taken]);
                self.head_filled += taken;
                data = &data[taken..];
                if self.head_filled < HEAD {
                    return;
                }
                let [a, b, c, d, _] = self.head;
                self.left = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(1);
            }
            let (piece, rest) = data.split_at(self.left.min(data.len()));
            let letter = self.head[4];
            if is_counted(letter) {
                self.checksum.piece(piece);
                self.tally.bytes += piece.len() as u64;
            }
            self.left -= piece.len();
            data = rest;
            if self.left > 0 {
                return;
            }
            self.head_filled = 0;
            self.command(letter, manners, answers);
        }
    }

    fn command(&mut self, letter: u8, manners: &Manners, answers: &mut Answers) {
        if letter == QUIT || letter == QUIT_NC {
            self.is_over = true;
        }
        let Some(stage) = Stage::of_letter(letter) else { return };
        if stage == Stage::Negotiate {
            let numbers = [VERSION_MAX, Actions::NONE.0, manners.protocol.0].map(u32::to_be_bytes);
            answers.wire.extend_from_slice(&[0, 0, 0, 13, letter]);
            answers.wire.extend_from_slice(&numbers.concat());
            self.tally.sessions = 1;
            return;
        }
        self.checksum.command(letter);
        self.tally.commands += 1;
        if stage.fact().no_reply.is_none_or(|bit| !manners.protocol.has(bit)) {
            answers.wire.extend_from_slice(&[0, 0, 0, 1, b'c']);
        }
        answers.ends_message |= stage == Stage::EndOfMessage;
    }

    /// What the session was, at its end.
    fn close(&self) -> Tally {
        Tally { checksum: self.checksum.value(), ..self.tally }
    }
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        // A few bytes to somebody who waits for them always fit.
        match self {
            Self::Unix(stream) => stream.write_all(data),
            Self::Tcp(stream) => stream.write_all(data),
        }
    }
}

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => bind(path).map(Self::Unix),
            Address::Tcp(address) => TcpListener::bind(*address).map(Self::Tcp),
        }
    }

    fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(listener) => Ok(Stream::Unix(listener.accept()?.0)),
            Self::Tcp(listener) => {
                let stream = listener.accept()?.0;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }
}

/// The manager does not serve as root and has to reach it.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

struct Connection {
    stream: Stream,
    session: Session,
}

struct Server {
    poll: Poll,
    listener: Listener,
    control: UnixListener,
    manners: Manners,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    over: Tally,
    /// Answers that wait, in the order in which they are due.
    delayed: VecDeque<(Instant, usize, Vec<u8>)>,
}

impl Server {
    fn new(address: &Address, control: &Path, manners: Manners) -> io::Result<Self> {
        let (mut control, mut listener) = (bind(control)?, Listener::bind(address)?);
        let poll = Poll::new()?;
        poll.registry().register(&mut control, CONTROL, Interest::READABLE)?;
        let source: &mut dyn Source = match &mut listener {
            Listener::Unix(listener) => listener,
            Listener::Tcp(listener) => listener,
        };
        poll.registry().register(source, LISTENER, Interest::READABLE)?;
        let (connections, free, delayed) = (Vec::new(), Vec::new(), VecDeque::new());
        Ok(Self { poll, listener, control, manners, connections, free, over: Tally::default(), delayed })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_SIZE];
        loop {
            let due = self.delayed.front().map(|(due, ..)| due.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, due) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &events {
                match event.token() {
                    CONTROL => self.tell(),
                    LISTENER => self.accept()?,
                    Token(token) => self.read(token - FIRST, event.is_read_closed(), &mut buffer),
                }
            }
            self.answer_delayed();
        }
    }

    fn tell(&self) {
        while let Ok((mut stream, _)) = self.control.accept() {
            // Who only looks whether somebody is there is gone.
            let _ = writeln!(stream, "{}", self.over);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok(stream) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let slot = self.free.pop().unwrap_or(self.connections.len());
            let source: &mut dyn Source = match &mut stream {
                Stream::Unix(stream) => stream,
                Stream::Tcp(stream) => stream,
            };
            self.poll.registry().register(source, Token(FIRST + slot), Interest::READABLE)?;
            if slot == self.connections.len() {
                self.connections.push(None);
            }
            self.connections[slot] = Some(Connection { stream, session: Session::default() });
        }
    }

    fn read(&mut self, slot: usize, is_closed: bool, buffer: &mut [u8]) {
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        let mut answers = Answers::default();
        let ends = loop {
            match connection.stream.read(buffer) {
                Ok(0) => break true,
                Ok(read) => {
                    connection.session.receive(&buffer[..read], &self.manners, &mut answers);
                    // A short read has taken all that there was; what comes later is another event.
                    if connection.session.is_over || read < buffer.len() && !is_closed {
                        break connection.session.is_over;
                    }
                }
                Err(error) => break error.kind() != io::ErrorKind::WouldBlock,
            }
        };
        if ends {
            self.over = self.over + connection.session.close();
            self.connections[slot] = None;
            self.free.push(slot);
        } else if answers.ends_message && !self.manners.delay.is_zero() {
            self.delayed.push_back((Instant::now() + self.manners.delay, slot, answers.wire));
        } else if !answers.wire.is_empty() {
            // A connection that breaks shows at its next read.
            let _ = connection.stream.write(&answers.wire);
        }
    }

    fn answer_delayed(&mut self) {
        while self.delayed.front().is_some_and(|(due, ..)| *due <= Instant::now())
            && let Some((_, slot, wire)) = self.delayed.pop_front()
        {
            if let Some(Some(connection)) = self.connections.get_mut(slot) {
                let _ = connection.stream.write(&wire);
            }
        }
    }
}

fn serve_with_threads(address: &Address, control: &Path, manners: Manners) -> io::Result<()> {
    let over = Arc::new(Mutex::new(Tally::default()));
    let total = Arc::clone(&over);
    let control_listener = std::os::unix::net::UnixListener::bind(control)?;
    thread::spawn(move || {
        for mut stream in control_listener.incoming().flatten() {
            let _ = writeln!(stream, "{}", total.lock().unwrap_or_else(PoisonError::into_inner));
        }
    });
    match address {
        Address::Unix(path) => {
            let listener = std::os::unix::net::UnixListener::bind(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
            listener.incoming().flatten().for_each(|stream| serve_one(stream, &over, manners));
        }
        Address::Tcp(address) => {
            let listener = std::net::TcpListener::bind(address)?;
            for stream in listener.incoming().flatten() {
                stream.set_nodelay(true)?;
                serve_one(stream, &over, manners);
            }
        }
    }
    Ok(())
}

fn serve_one(mut stream: impl Read + Write + Send + 'static, over: &Arc<Mutex<Tally>>, manners: Manners) {
    let over = Arc::clone(over);
    thread::spawn(move || {
        let mut session = Session::default();
        let mut buffer = vec![0; READ_SIZE];
        while !session.is_over
            && let Ok(read @ 1..) = stream.read(&mut buffer)
        {
            let mut answers = Answers::default();
            session.receive(&buffer[..read], &manners, &mut answers);
            if answers.ends_message {
                thread::sleep(manners.delay);
            }
            if stream.write_all(&answers.wire).is_err() {
                break;
            }
        }
        let mut over = over.lock().unwrap_or_else(PoisonError::into_inner);
        *over = *over + session.close();
    });
}
