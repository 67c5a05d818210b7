//! The MTA of the demonstration: one dialogue after another over a real socket, spoken with the core's client.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use millstream_core::client::{Client, FromMilter};
use millstream_core::policy::Limits;
use millstream_core::wire::{Actions, Edit, Final, Frame, Negotiation, Protocol, Stage, VERSION_MAX};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the MTA was told about a message.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) edits: Vec<Edit>,
    pub(super) verdict: Final,
}

/// A connection to the manager.
pub(super) struct Mta {
    stream: UnixStream,
    client: Client,
    edits: Vec<Edit>,
}

impl Mta {
    /// Connects to the manager at `path` and negotiates as Postfix does.
    pub(super) fn connect(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let offer = Negotiation {
            version: VERSION_MAX,
            actions: Actions::ALL,
            protocol: Protocol::ALL,
            macro_lists: Vec::new(),
        };
        let client = Client::new(Limits::default().frame, &offer);
        let mut mta = Self { stream, client, edits: Vec::new() };
        mta.turn()?;
        mta.send(Stage::Connect, b"client.example\x004\x30\x39192.0.2.1\0")?;
        mta.send(Stage::Helo, b"client.example\0")?;
        Ok(mta)
    }

    /// Passes one message and returns what was told about it.
    pub(super) fn pass(&mut self, queue_id: &str, body: &[u8]) -> io::Result<Told> {
        self.edits.clear();
        let queue_id = format!("i\0{queue_id}\0");
        self.client.macros(Stage::Mail.letter(), queue_id.as_bytes(), &[]);
        for (stage, payload) in [
            (Stage::Mail, &b"<sender@client.example>\0"[..]),
            (Stage::Rcpt, b"<recipient@mx.example>\0"),
            (Stage::Data, b""),
        ] {
            if let Some(verdict) = self.send(stage, payload)? {
                return Ok(Told { edits: Vec::new(), verdict });
            }
        }
        for (name, value) in
            [("From", "sender@client.example"), ("To", "recipient@mx.example"), ("Subject", "Demo")]
        {
            if self.client.wants(Stage::Header) {
                self.client.header(name.as_bytes(), value.as_bytes());
            }
            self.turn()?;
        }
        self.send(Stage::EndOfHeaders, b"")?;
        if self.client.wants(Stage::Body) {
            self.client.body(&Frame::new(Stage::Body.letter(), Bytes::copy_from_slice(body)));
        }
        self.turn()?;
        let verdict = self.send(Stage::EndOfMessage, b"")?.unwrap_or(Final::Continue);
        Ok(Told { edits: std::mem::take(&mut self.edits), verdict })
    }

    /// Ends the connection.
    pub(super) fn quit(mut self) -> io::Result<()> {
        self.client.quit();
        self.flush()
    }

    /// Sends a command, if it is wanted, and waits for its reply, if one is owed. Returns a verdict other than to go
    /// on.
    fn send(&mut self, stage: Stage, payload: &[u8]) -> io::Result<Option<Final>> {
        if self.client.wants(stage) {
            self.client.command(stage, payload);
        }
        self.turn()
    }

    fn turn(&mut self) -> io::Result<Option<Final>> {
        self.flush()?;
        while self.client.awaits().is_some() {
            match self.client.poll_reply().map_err(io::Error::other)? {
                Some(FromMilter::Final(_, Final::Continue)) => return Ok(None),
                Some(FromMilter::Final(_, verdict)) => return Ok(Some(verdict)),
                Some(FromMilter::Edit(edit)) => self.edits.push(edit),
                Some(FromMilter::Negotiated | FromMilter::Progress) => {}
                None => {
                    let mut buffer = [0; 4096];
                    match self.stream.read(&mut buffer)? {
                        0 => {
                            return Err(io::Error::new(
                                io::ErrorKind::UnexpectedEof,
                                "the manager closed the connection",
                            ));
                        }
                        n => self.client.receive(BytesMut::from(&buffer[..n])),
                    }
                }
            }
        }
        Ok(None)
    }

    fn flush(&mut self) -> io::Result<()> {
        loop {
            let mut slices = [&b""[..]; 8];
            if self.client.transmit(&mut slices) == 0 {
                return Ok(());
            }
            let written = self.stream.write(slices[0])?;
            self.client.wrote(written);
        }
    }
}
