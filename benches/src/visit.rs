//! SMTP sessions as a filter sees them: most clients are gone before they have sent a message.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use millstream_core::wire::{ClientAddress, Command, ConnectInfo, Protocol, Stage};

use crate::mta::{Mta, Script};
use crate::session::encode;

/// How far a session comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// The client says nothing.
    Connect,
    /// It says HELO.
    Helo,
    /// The MTA refuses its recipient.
    Rcpt,
    /// It sends a message of 1 KiB.
    Message,
}

impl Ending {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Connect, Self::Helo, Self::Rcpt, Self::Message];

    /// A mix of real-life sessions: of 20, one ends at CONNECT, five at HELO, ten at RCPT, and four bring a message. Spread,
    /// so that whatever part of it is run comes near.
    pub const MIX: [Self; 20] = {
        use Ending::{Connect, Helo, Message, Rcpt};
        [
            Rcpt, Helo, Rcpt, Message, Rcpt, Helo, Rcpt, Rcpt, Message, Helo, Rcpt, Connect, Rcpt, Message,
            Helo, Rcpt, Rcpt, Message, Rcpt, Helo,
        ]
    };

    /// What people read.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Helo => "HELO",
            Self::Rcpt => "RCPT",
            Self::Message => "message",
        }
    }

    /// The bits of those who want nothing of it.
    #[must_use]
    pub const fn unwanted_by(self) -> Protocol {
        let connect = Protocol::NO_CONNECT;
        let helo = connect.with(Protocol::NO_HELO);
        match self {
            Self::Connect => connect,
            Self::Helo => helo,
            Self::Rcpt => helo.with(Protocol::NO_MAIL).with(Protocol::NO_RCPT),
            // Everybody is asked about the end of it.
            Self::Message => Protocol(u32::MAX),
        }
    }
}

/// The frames of all sessions.
#[derive(Debug)]
pub struct Visits {
    parts: [Script; 4],
}

impl Default for Visits {
    fn default() -> Self {
        Self::with_headers(10)
    }
}

impl Visits {
    /// Sessions whose messages have so many headers.
    #[must_use]
    pub fn with_headers(headers: usize) -> Self {
        Self::with_message(headers, 1024)
    }

    /// Sessions whose messages have so many headers and so many bytes of body.
    #[must_use]
    pub fn with_message(headers: usize, body: usize) -> Self {
        let client = ConnectInfo {
            host: Bytes::from_static(b"client.test"),
            address: ClientAddress::Ip(Ipv4Addr::new(192, 0, 2, 1).into(), 34567),
        };
        let of_postfix = b"j\0mx.test\0{daemon_name}\0mx.test\0v\0Postfix 3.7.11\0";
        let mail = b"{mail_mailer}\0smtp\0{mail_host}\0b.test\0{mail_addr}\0a@b.test\0";
        let rcpt = b"i\x004Xq9Yw1ZzZ\0{rcpt_mailer}\0local\0{rcpt_addr}\0c@d.test\0";
        let mut message = Script::raw([(Stage::Data, frames(b"i\x004Xq9Yw1ZzZ\0", &Command::Data))]);
        message.append(Script::content(headers, body, true));
        Self {
            parts: [
                Script::raw([(Stage::Connect, frames(of_postfix, &Command::Connect(client)))]),
                Script::raw([(Stage::Helo, frames(b"", &Command::Helo(Bytes::from_static(b"client.test"))))]),
                Script::raw([
                    (Stage::Mail, frames(mail, &Command::Mail(Bytes::from_static(b"<a@b.test>\0SIZE=1\0")))),
                    (Stage::Rcpt, frames(rcpt, &Command::Rcpt(Bytes::from_static(b"<c@d.test>\0")))),
                ]),
                message,
            ],
        }
    }

    /// The commands of a session that brings `messages` messages if it comes that far. Between two of them is the ABORT by
    /// which Postfix ends each.
    #[must_use]
    pub fn script(&self, ending: Ending, messages: usize) -> Script {
        let mut script = Script::raw([]);
        for part in &self.parts[..=ending as usize] {
            script.append(part.clone());
        }
        for _ in 1..messages {
            for part in &self.parts[Ending::Rcpt as usize..=ending as usize] {
                let mut steps = part.steps().to_vec();
                if let Some((Stage::Mail, wire)) = steps.first_mut() {
                    let mut frames = encode(&[Command::Abort]).to_vec();
                    frames.append(wire);
                    *wire = frames;
                }
                script.append(Script::raw(steps));
            }
        }
        script
    }

    /// Begins a session that has said HELO.
    ///
    /// # Errors
    /// When the milter has an objection or says nothing.
    pub fn begin(&self, socket: &Path) -> io::Result<Mta> {
        let mut mta = Mta::open(socket)?;
        for part in &self.parts[..=Ending::Helo as usize] {
            mta.pass(part)?;
        }
        Ok(mta)
    }

    /// One session.
    ///
    /// # Errors
    /// When the milter has an objection or says nothing.
    pub fn visit(&self, socket: &Path, ending: Ending) -> io::Result<()> {
        let mut mta = Mta::open(socket)?;
        for part in &self.parts[..=ending as usize] {
            mta.pass(part)?;
        }
        mta.leave(ending >= Ending::Rcpt)
    }

    /// Sessions one after another, `endings` over and over.
    ///
    /// # Errors
    /// When the milter has an objection or says nothing.
    pub fn visits(&self, socket: &Path, endings: &[Ending], sessions: usize) -> io::Result<()> {
        endings.iter().cycle().take(sessions).try_for_each(|ending| self.visit(socket, *ending))
    }
}

/// A command with its macros.
fn frames(macros: &'static [u8], command: &Command) -> Vec<u8> {
    let mut wire = BytesMut::new();
    Command::Macros { letter: command.letter(), pairs: Bytes::from_static(macros) }.encode(&mut wire);
    command.encode(&mut wire);
    wire.to_vec()
}
