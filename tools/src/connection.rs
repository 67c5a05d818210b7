//! The sockets of a conversation, and its time limits.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use millstream_config::ConnectionSpec;
use millstream_core::policy::Endpoint;
use millstream_core::wire::{Fault, Stage};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::record::{Direction, Entry, Recorder};

/// As much is read at once.
const READ: usize = 64 << 10;

/// How long each part of a conversation may take; zero is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Connecting.
    pub connection: Duration,
    /// Waiting until the milter answers.
    pub reading: Duration,
    /// Waiting until it takes what is written.
    pub writing: Duration,
    /// Waiting until it answers, or says that it is still working, at the end of the message.
    pub end_of_message: Duration,
}

/// Why a conversation broke.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// There is no connection.
    #[error("Failed to connect to {spec}: {reason}")]
    Connect {
        /// To what.
        spec: String,
        /// What the system says.
        reason: String,
    },
    /// It was not there in time.
    #[error("connection timeout")]
    ConnectionTimeout,
    /// The milter did not take what was written.
    #[error("writing timeout")]
    WritingTimeout,
    /// The milter did not answer.
    #[error("reading timeout")]
    ReadingTimeout,
    /// The milter did not answer the end of the message.
    #[error("end-of-message timeout")]
    EndOfMessageTimeout,
    /// The connection broke.
    #[error("the connection broke before the answer to {stage}: {reason}")]
    Closed {
        /// What the milter had to answer.
        stage: Stage,
        /// What the system says.
        reason: String,
    },
    /// The milter broke the protocol.
    #[error("{0}")]
    Protocol(#[from] Fault),
}

impl Broken {
    /// Whether it was never connected.
    #[must_use]
    pub const fn is_unconnected(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::ConnectionTimeout)
    }
}

/// The MTA's side of a conversation, without sockets and clock.
pub trait Talk {
    /// What the milter has to answer before it goes on; `None` when nothing is owed.
    fn awaits(&self) -> Option<Stage>;

    /// Whether nothing is left to be said, heard or written.
    fn is_over(&self) -> bool;

    /// Fills `slices` with what is to be written next, and returns how many it filled.
    fn transmit<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize;

    /// `n` bytes were written.
    fn wrote(&mut self, n: usize);

    /// Bytes came from the milter.
    ///
    /// # Errors
    ///
    /// The milter broke the protocol.
    fn receive(&mut self, data: BytesMut) -> Result<(), Fault>;
}

/// A connection to a milter.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    timeouts: Timeouts,
    begin: Instant,
    record: Option<(Recorder, Vec<Entry>)>,
}

impl Connection {
    /// Connects; of several addresses of a name the first that answers counts.
    ///
    /// # Errors
    ///
    /// [`Broken::Connect`] and [`Broken::ConnectionTimeout`].
    pub fn open(spec: &ConnectionSpec, timeouts: Timeouts) -> Result<Self, Broken> {
        let socket = socket(spec, timeouts.connection)?;
        Ok(Self { socket, timeouts, begin: Instant::now(), record: None })
    }

    /// Records what passes from now on.
    pub fn record(&mut self) {
        self.record = Some((Recorder::default(), Vec::new()));
    }

    /// What has passed, if it was to be recorded.
    pub fn take_record(&mut self) -> Vec<Entry> {
        self.record.take().map(|(_, entries)| entries).unwrap_or_default()
    }

    /// Since the connection was there.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Goes through a conversation.
    ///
    /// # Errors
    ///
    /// See [`Broken`].
    pub fn drive(&mut self, talk: &mut impl Talk) -> Result<(), Broken> {
        loop {
            self.write(talk)?;
            if talk.is_over() {
                return Ok(());
            }
            // One that is not over and has nothing to write waits for an answer.
            let Some(stage) = talk.awaits() else { return Ok(()) };
            let data = self.read(stage)?;
            talk.receive(data)?;
        }
    }

    fn write(&mut self, talk: &mut impl Talk) -> Result<(), Broken> {
        let stage = talk.awaits().unwrap_or(Stage::EndOfMessage);
        self.socket.set_write_timeout(limit(self.timeouts.writing)).map_err(|error| closed(stage, &error))?;
        loop {
            let mut slices: [&[u8]; 1] = [&[]];
            if talk.transmit(&mut slices) == 0 {
                return Ok(());
            }
            match self.socket.write(slices[0]) {
                Ok(written) => {
                    let seconds = self.begin.elapsed().as_secs_f64();
                    note(&mut self.record, seconds, Direction::ToMilter, &slices[0][..written]);
                    talk.wrote(written);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(Broken::WritingTimeout),
                // With its last word a milter may have closed the connection already.
                Err(_) if talk.awaits().is_none() => return Ok(()),
                Err(error) => return Err(closed(stage, &error)),
            }
        }
    }

    fn read(&mut self, stage: Stage) -> Result<BytesMut, Broken> {
        let at_end = stage == Stage::EndOfMessage;
        let timeout = if at_end { self.timeouts.end_of_message } else { self.timeouts.reading };
        self.socket.set_read_timeout(limit(timeout)).map_err(|error| closed(stage, &error))?;
        let mut data = BytesMut::zeroed(READ);
        loop {
            match self.socket.read(&mut data) {
                Ok(0) => return Err(closed(stage, &ErrorKind::UnexpectedEof.into())),
                Ok(length) => {
                    data.truncate(length);
                    let seconds = self.begin.elapsed().as_secs_f64();
                    note(&mut self.record, seconds, Direction::FromMilter, &data);
                    return Ok(data);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) && at_end => return Err(Broken::EndOfMessageTimeout),
                Err(error) if is_timeout(&error) => return Err(Broken::ReadingTimeout),
                Err(error) => return Err(closed(stage, &error)),
            }
        }
    }
}

/// Connects within a time limit, or without one when it is zero.
///
/// # Errors
///
/// [`Broken::Connect`] and [`Broken::ConnectionTimeout`].
pub fn socket(spec: &ConnectionSpec, timeout: Duration) -> Result<Socket, Broken> {
    let failed = |reason: String| Broken::Connect { spec: spec.to_string(), reason };
    let addresses: Vec<SockAddr> = match spec.resolve().map_err(|error| failed(error.to_string()))? {
        Endpoint::Unix(path) => {
            let path = OsStr::from_bytes(&path);
            vec![SockAddr::unix(path).map_err(|error| failed(reason(&error)))?]
        }
        Endpoint::Tcp(addresses) => addresses.iter().copied().map(SockAddr::from).collect(),
    };
    let mut last = failed("it has no address".to_owned());
    for address in addresses {
        match connect(&address, timeout) {
            Ok(socket) => return Ok(socket),
            Err(error) if is_timeout(&error) => last = Broken::ConnectionTimeout,
            Err(error) => last = failed(reason(&error)),
        }
    }
    Err(last)
}

/// Bytes that are no frames end the conversation anyhow, and are told there.
fn note(record: &mut Option<(Recorder, Vec<Entry>)>, seconds: f64, direction: Direction, bytes: &[u8]) {
    if let Some((recorder, entries)) = record {
        entries.extend(recorder.pass(seconds, direction, bytes).into_iter().flatten());
    }
}

fn connect(address: &SockAddr, timeout: Duration) -> io::Result<Socket> {
    let domain = match address.as_socket() {
        None => Domain::UNIX,
        Some(address) => Domain::for_address(address),
    };
    let socket = Socket::new(domain, Type::STREAM, None)?;
    match limit(timeout) {
        Some(timeout) => socket.connect_timeout(address, timeout)?,
        None => socket.connect(address)?,
    }
    if domain != Domain::UNIX {
        socket.set_tcp_nodelay(true)?;
    }
    Ok(socket)
}

/// As sockets have it: `None` is no limit.
fn limit(timeout: Duration) -> Option<Duration> {
    (!timeout.is_zero()).then_some(timeout)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

fn closed(stage: Stage, error: &io::Error) -> Broken {
    Broken::Closed { stage, reason: reason(error) }
}

/// What the system says, without Rust's number behind it.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(text, _)| text.to_owned())
}
