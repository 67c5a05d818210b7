//! One connection of an MTA.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use millstream_core::filter::{Filter, FromMta, Misuse};
use millstream_core::wire::{Command, Fault, Macros, Stage};
use socket2::Socket;

use super::behaviour::{Answer, Behaviour};
use super::report;
use crate::{FRAME_LIMIT, program};

/// As much is read at once.
const READ: usize = 64 << 10;

/// Why a session ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The MTA broke the protocol.
    #[error("{0}")]
    Protocol(#[from] Fault),
    /// An option asks for what the protocol does not have.
    #[error("the options ask for what cannot be said here: {0}")]
    Options(#[from] Misuse),
    /// The connection broke.
    #[error("{0}")]
    Connection(#[from] io::Error),
}

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    GoesOn,
    Over,
}

/// A connection and what was heard on it.
pub(super) struct Session<'a> {
    behaviour: &'a Behaviour,
    quiet: bool,
    socket: &'a Socket,
    filter: Filter,
    macros: Macros,
}

impl<'a> Session<'a> {
    pub(super) fn new(behaviour: &'a Behaviour, quiet: bool, socket: &'a Socket) -> Self {
        Self { behaviour, quiet, socket, filter: Filter::new(FRAME_LIMIT), macros: Macros::default() }
    }

    /// Serves it until it is over.
    pub(super) fn serve(mut self) -> Result<(), Broken> {
        let result = self.converse();
        self.print(b"finished\n");
        // Who has gone cannot be told, and need not.
        let _ = self.socket.shutdown(Shutdown::Both);
        result
    }

    fn converse(&mut self) -> Result<(), Broken> {
        loop {
            while let Some(said) = self.filter.poll_command()? {
                if self.hear(said)? == Flow::Over {
                    return Ok(());
                }
            }
            if self.filter.is_closed() {
                return Ok(());
            }
            let mut data = BytesMut::zeroed(READ);
            let length = self.socket.read(&mut data)?;
            if length == 0 {
                return Ok(());
            }
            data.truncate(length);
            self.filter.receive(data);
        }
    }

    fn hear(&mut self, said: FromMta) -> Result<Flow, Broken> {
        let command = match said {
            FromMta::Command(command, _) => command,
            FromMta::Body(frame) => Command::Body(frame.contiguous()),
        };
        if let Command::Macros { letter, pairs } = &command {
            self.macros.set(*letter, pairs);
            return Ok(Flow::GoesOn);
        }
        let mut text = report::command(&command);
        if let Some(set) = self.macros.get(command.letter()).filter(|set| !set.is_empty()) {
            text.extend_from_slice(&report::macros(set));
        }
        self.print(&text);
        if matches!(command, Command::Abort | Command::EndOfMessage(_)) {
            self.macros.forget_from(Stage::Mail);
        }
        let Some(stage) = command.stage() else { return Ok(Flow::GoesOn) };
        if self.behaviour.closes.contains(&stage) {
            return Ok(Flow::Over);
        }
        self.dawdle(stage)?;
        match (&command, self.behaviour.answer(stage)) {
            (Command::Negotiate(offer), Answer::Reply(_)) => {
                self.filter.negotiate(&self.behaviour.negotiate(offer))?;
            }
            (_, Answer::Reply(reply)) if self.filter.owed() == Some(stage) => {
                if stage == Stage::EndOfMessage {
                    for edit in &self.behaviour.edits {
                        self.filter.edit(edit.clone())?;
                    }
                }
                self.filter.reply(reply)?;
            }
            // Nobody waits for it.
            (_, Answer::Reply(_)) => {}
            (_, Answer::Silence) => {
                self.wait_for_end()?;
                return Ok(Flow::Over);
            }
        }
        self.write()?;
        Ok(Flow::GoesOn)
    }

    /// Takes its time.
    fn dawdle(&mut self, stage: Stage) -> Result<(), Broken> {
        let end = Instant::now() + self.behaviour.delay(stage);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let pause =
                self.behaviour.progress.filter(|_| stage == Stage::EndOfMessage).unwrap_or(Duration::MAX);
            thread::sleep(left.min(pause));
            if left <= pause {
                return Ok(());
            }
            self.filter.progress()?;
            self.write()?;
        }
    }

    /// Says nothing any more, until the MTA gives up.
    fn wait_for_end(&mut self) -> Result<(), Broken> {
        let mut buffer = [0; 4096];
        let mut socket = self.socket;
        while socket.read(&mut buffer)? > 0 {}
        Ok(())
    }

    fn write(&mut self) -> Result<(), Broken> {
        let mut socket = self.socket;
        let mut slices: [&[u8]; 1] = [&[]];
        while self.filter.transmit(&mut slices) > 0 {
            let written = socket.write(slices[0])?;
            self.filter.wrote(written);
            slices = [&[]];
        }
        Ok(())
    }

    fn print(&self, text: &[u8]) {
        if !self.quiet {
            program::print(text);
        }
    }
}

/// The payload of an edit.
pub(super) fn owned(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
