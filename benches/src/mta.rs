//! An MTA at the other end of a unix socket: waits only for the answers that it is owed, and writes the rest at once.

use std::io::{self, Read, Write};
use std::iter;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use millstream_core::wire::facts::REPLIES;
use millstream_core::wire::{CHUNK_SIZE, ClientAddress, Command, ConnectInfo, Protocol, Stage};

use crate::session::{macros, opening};

/// Longer than the stages of any measured message take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A part of a message in the frames that an MTA makes of it, the macros of each in front of it.
#[derive(Debug, Clone)]
pub struct Script {
    steps: Vec<(Stage, Vec<u8>)>,
}

/// What becomes of a command after a negotiation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// The milter does not want it.
    Unsent,
    /// It is sent, and no answer is owed.
    Unanswered,
    /// It is sent, and the MTA waits for the answer.
    Answered,
}

impl Demand {
    /// That of a stage's command with what was negotiated.
    #[must_use]
    pub fn of(stage: Stage, protocol: Protocol) -> Self {
        if stage.fact().no_send.is_some_and(|bit| protocol.has(bit)) {
            Self::Unsent
        } else if stage.fact().no_reply.is_some_and(|bit| protocol.has(bit)) {
            Self::Unanswered
        } else {
            Self::Answered
        }
    }
}

impl Script {
    /// The commands as bytes, macros included.
    #[must_use]
    pub fn steps(&self) -> &[(Stage, Vec<u8>)] {
        &self.steps
    }

    /// Commands as bytes, macros included.
    #[must_use]
    pub fn raw(steps: impl IntoIterator<Item = (Stage, Vec<u8>)>) -> Self {
        Self { steps: steps.into_iter().collect() }
    }

    /// Adds another part behind this one.
    pub fn append(&mut self, mut other: Self) {
        self.steps.append(&mut other.steps);
    }

    fn new(commands: impl IntoIterator<Item = (Stage, Command)>) -> Self {
        let steps = commands.into_iter().map(|(stage, command)| (stage, encoded(stage, &command)));
        Self { steps: steps.collect() }
    }

    /// MAIL, RCPT and DATA.
    #[must_use]
    pub fn envelope() -> Self {
        Self::new([
            (Stage::Mail, Command::Mail(Bytes::from_static(b"<a@b.test>\0SIZE=1\0"))),
            (Stage::Rcpt, Command::Rcpt(Bytes::from_static(b"<c@d.test>\0"))),
            (Stage::Data, Command::Data),
        ])
    }

    /// `headers` headers and `body` bytes of body, and the end of the message where it `ends`.
    #[must_use]
    pub fn content(headers: usize, body: usize, ends: bool) -> Self {
        let header = Command::Header {
            name: Bytes::from_static(b"Received"),
            value: Bytes::from_static(
                b"from mail.example (mail.example [192.0.2.1])\n\tby mx.test; Fri, 20 Nov",
            ),
        };
        let line = b"A body has lines of text, as this one, and each of them ends in two bytes\r\n";
        let chunk: Bytes = line.iter().copied().cycle().take(CHUNK_SIZE).collect();
        let chunks = (0..body).step_by(CHUNK_SIZE).map(|at| chunk.slice(..CHUNK_SIZE.min(body - at)));
        let mut script = Self::new(
            iter::repeat_n((Stage::Header, header), headers)
                .chain([(Stage::EndOfHeaders, Command::EndOfHeaders)])
                .chain(chunks.map(|chunk| (Stage::Body, Command::Body(chunk)))),
        );
        if ends {
            script.steps.append(&mut Self::end().steps);
        }
        script
    }

    /// The end of the message.
    #[must_use]
    pub fn end() -> Self {
        Self::new([(Stage::EndOfMessage, Command::EndOfMessage(Bytes::new()))])
    }
}

fn encoded(stage: Stage, command: &Command) -> Vec<u8> {
    let mut wire = BytesMut::new();
    macros(stage.letter()).encode(&mut wire);
    command.encode(&mut wire);
    wire.to_vec()
}

/// A connection after negotiation.
#[derive(Debug)]
pub struct Mta {
    stream: UnixStream,
    protocol: Protocol,
    waiting: Vec<u8>,
}

impl Mta {
    /// Connects, negotiates and says CONNECT.
    ///
    /// # Errors
    /// When the milter is not there or has an objection.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let mut mta = Self::open(socket)?;
        let host = Bytes::from_static(b"client.test");
        let client = ConnectInfo { host, address: ClientAddress::Unknown };
        mta.step(Stage::Connect, &encoded(Stage::Connect, &Command::Connect(client)))?;
        Ok(mta)
    }

    /// Connects and negotiates.
    ///
    /// # Errors
    /// When the milter is not there or does not agree.
    pub fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut mta = Self { stream, protocol: Protocol::NONE, waiting: opening().to_vec() };
        let answer = mta.ask()?;
        let wanted = answer.get(13..17).and_then(|bits| bits.try_into().ok());
        mta.protocol = Protocol(u32::from_be_bytes(wanted.ok_or(io::ErrorKind::InvalidData)?));
        Ok(mta)
    }

    /// Ends the session, as Postfix does: with ABORT when there was a message.
    ///
    /// # Errors
    /// When the milter is gone.
    pub fn leave(mut self, aborts: bool) -> io::Result<()> {
        let mut last = BytesMut::new();
        if aborts {
            Command::Abort.encode(&mut last);
        }
        Command::Quit.encode(&mut last);
        self.waiting.extend_from_slice(&last);
        self.flush()
    }

    /// Passes a part of a message.
    ///
    /// # Errors
    /// When the milter has an objection or says nothing.
    pub fn pass(&mut self, script: &Script) -> io::Result<()> {
        for (stage, wire) in &script.steps {
            self.step(*stage, wire)?;
        }
        self.flush()
    }

    /// Passes a part of a message to several milters, each command to one after another.
    ///
    /// # Errors
    /// When one of them has an objection or says nothing.
    pub fn pass_in_turn(milters: &mut [Self], script: &Script) -> io::Result<()> {
        for (stage, wire) in &script.steps {
            for mta in &mut *milters {
                mta.step(*stage, wire)?;
            }
        }
        Ok(())
    }

    /// Says a command, and waits for the answer where one is owed.
    fn step(&mut self, stage: Stage, wire: &[u8]) -> io::Result<()> {
        let demand = Demand::of(stage, self.protocol);
        if demand == Demand::Unsent {
            return Ok(());
        }
        self.waiting.extend_from_slice(wire);
        if demand == Demand::Unanswered {
            // What Postfix keeps before it writes.
            return if self.waiting.len() > 16 << 10 { self.flush() } else { Ok(()) };
        }
        match self.ask()?.get(4) {
            Some(b'c') => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("an objection at {}", stage.name()))),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }

    /// Writes what waits and reads a reply, progress and edits aside.
    fn ask(&mut self) -> io::Result<Vec<u8>> {
        self.flush()?;
        let mut reply = vec![0; 512];
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut reply[filled..])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            while let Some(length) = reply[..filled].first_chunk::<4>() {
                let length = 4 + u32::from_be_bytes(*length) as usize;
                if filled < length {
                    break;
                }
                if REPLIES.iter().any(|(letter, _, is_final)| *is_final && reply[4] == *letter) {
                    reply.truncate(length);
                    return Ok(reply);
                }
                reply.copy_within(length..filled, 0);
                filled -= length;
            }
        }
    }
}
