//! Mails as a milter is shown them by Postfix, each in a connection of its own.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use millstream_core::wire::{
    Actions, ClientAddress, Command, ConnectInfo, Final, HEAD, Negotiation, Protocol, Stage, VERSION_MAX,
};
use millstream_mail::Message;

use super::mails::{Mail, Mails};
use super::options::Request;
use super::run::Shared;
use crate::load::script::Script;
use crate::load::showing::Showing;
use crate::load::talk::{Ended, Source, Talk};
use crate::load::tally::{Done, Fate};
use crate::mail::bare;
use crate::mail_file::CHUNK;
use crate::outcome::{Outcome, Status};

/// The version that Postfix says it is, for conditions that look.
const VERSION: &[u8] = b"Postfix 3.7.11";
/// What the MTA calls itself.
const MTA: &[u8] = b"mail.example.com";
const CLIENT_PORT: u16 = 34567;

/// Where sessions come from, for one worker.
pub(super) struct Milter<'a> {
    mails: Mails<Arc<Content>>,
    client: String,
    address: IpAddr,
    shared: &'a Shared,
}

/// Headers and body, as the frames of milters have them.
#[derive(Debug)]
pub(super) struct Content {
    commands: Vec<(Stage, Bytes)>,
    size: usize,
}

impl Content {
    fn new(message: &[u8]) -> Result<Self, String> {
        let Message { headers, body } = Message::parse(message).map_err(|error| error.to_string())?.as_sent();
        let mut commands = Vec::new();
        for header in headers {
            commands.push((Stage::Header, [&header.name[..], b"\0", &header.value, b"\0"].concat().into()));
        }
        commands.push((Stage::EndOfHeaders, Bytes::new()));
        commands.extend(body.chunks(CHUNK).map(|chunk| (Stage::Body, Bytes::copy_from_slice(chunk))));
        commands.push((Stage::EndOfMessage, Bytes::new()));
        Ok(Self { commands, size: message.len() })
    }
}

impl<'a> Milter<'a> {
    pub(super) fn new(request: &Request, shared: &'a Shared) -> Self {
        let mails = Mails::new(
            Arc::clone(&request.envelopes),
            request.origins.clone(),
            |message| Content::new(message).map(Arc::new),
            request.number,
            request.flood.is_some(),
            request.is_shuffled,
        );
        Self { mails, client: request.client_name().to_owned(), address: request.client_address(), shared }
    }

    /// The session of a mail: the commands and macros of a Postfix whose configuration says nothing of milters' macros.
    fn script(&self, mail: &Mail<Arc<Content>>) -> Script {
        let mut script = Script::new(Negotiation {
            version: VERSION_MAX,
            actions: Actions::ALL,
            protocol: Protocol::ALL,
            macro_lists: Vec::new(),
        });
        let client = format!("{} [{}]", self.client, self.address);
        let macros: [(&[u8], &[u8]); 5] = [
            (b"j", MTA),
            (b"{daemon_name}", MTA),
            (b"{daemon_addr}", b"127.0.0.1"),
            (b"v", VERSION),
            (b"_", client.as_bytes()),
        ];
        let host = Bytes::copy_from_slice(self.client.as_bytes());
        let connect = ConnectInfo { host, address: ClientAddress::Ip(self.address, CLIENT_PORT) };
        script.say(Stage::Connect, pairs(&macros), payload(&Command::Connect(connect)));
        script.say(Stage::Helo, Bytes::new(), with_nul(mail.helo.as_bytes()));
        let macros: [(&[u8], &[u8]); 3] = [
            (b"{mail_addr}", bare(&mail.sender)),
            (b"{mail_host}", host_of(&mail.sender)),
            (b"{mail_mailer}", b"smtp"),
        ];
        script.say(Stage::Mail, pairs(&macros), with_nul(&mail.sender));
        let id: String = (0..10).map(|_| fastrand::alphanumeric()).collect();
        let id_alone = pairs(&[(b"i", id.as_bytes())]);
        for (index, recipient) in mail.recipients.iter().enumerate() {
            let macros: [(&[u8], &[u8]); 4] = [
                (b"i", id.as_bytes()),
                (b"{rcpt_addr}", bare(recipient)),
                (b"{rcpt_host}", host_of(recipient)),
                (b"{rcpt_mailer}", b"smtp"),
            ];
            // A message has its id when a recipient was taken.
            let macros = if index == 0 { &macros[1..] } else { &macros };
            script.say(Stage::Rcpt, pairs(macros), with_nul(recipient));
        }
        script.say(Stage::Data, id_alone.clone(), Bytes::new());
        for (stage, payload) in &mail.content.commands {
            script.say(*stage, id_alone.clone(), payload.clone());
        }
        script
    }
}

/// Macros as they go over the wire.
fn pairs(macros: &[(&[u8], &[u8])]) -> Bytes {
    let mut pairs = BytesMut::new();
    for text in macros.iter().flat_map(|(name, value)| [name, value]) {
        pairs.extend_from_slice(text);
        pairs.extend_from_slice(b"\0");
    }
    pairs.freeze()
}

fn with_nul(text: &[u8]) -> Bytes {
    [text, b"\0"].concat().into()
}

/// What stands in the frame of a command.
fn payload(command: &Command) -> Bytes {
    let mut frame = BytesMut::new();
    command.encode(&mut frame);
    frame.split_off(HEAD).freeze()
}

/// What stands behind the last `@`.
fn host_of(address: &[u8]) -> &[u8] {
    let address = bare(address);
    address.iter().rposition(|byte| *byte == b'@').map_or(b"", |at| &address[at + 1..])
}

impl Source for Milter<'_> {
    type Talk = Showed;

    fn next(&mut self) -> Option<Showed> {
        loop {
            match self.mails.next()? {
                Ok(mail) => {
                    let showing = Showing::new(Rc::new(self.script(&mail)));
                    return Some(Showed { name: mail.name, showing, size: mail.content.size });
                }
                Err(unreadable) => self.shared.unreadable(unreadable),
            }
        }
    }

    fn finished(&mut self, ended: Ended<Showed>) {
        let Showed { name, showing, size } = ended.talk;
        let server = &self.shared.server;
        let fate = match (ended.broken, showing.into_verdict()) {
            (Some(broken), _) => Fate::Error(broken.class(), format!("{server}: {broken}")),
            (None, Err(fault)) => Fate::Error("protocol", format!("{server}: {fault}")),
            (None, Ok(verdict)) => fate(&verdict, server),
        };
        self.shared.note(Done { name, fate, took: ended.took }, size);
    }
}

/// What the verdict of a milter makes of a mail.
fn fate(verdict: &Final, server: &str) -> Fate {
    let mut outcome = Outcome::default();
    outcome.conclude(verdict);
    let text = outcome.reply_code.as_ref().map(|reply| {
        let parts = [Some(reply.code.to_string()), reply.extended.clone(), reply.text.clone()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    });
    let text = text.unwrap_or_else(|| outcome.status.name().to_owned());
    match outcome.status {
        Status::Pass | Status::Accept | Status::Discard => Fate::Passed,
        Status::TemporaryFailure => Fate::TemporaryFailure(text),
        Status::Reject => Fate::Rejected(text),
        Status::Abort | Status::Error => {
            Fate::Error("milter", format!("{server}: expected a verdict, came {text}"))
        }
    }
}

/// A mail that is shown.
#[derive(Debug)]
pub(super) struct Showed {
    name: Option<String>,
    showing: Showing,
    size: usize,
}

impl Talk for Showed {
    fn transmit(&self) -> &[u8] {
        self.showing.transmit()
    }

    fn wrote(&mut self, n: usize) {
        self.showing.wrote(n);
    }

    fn receive(&mut self, data: &[u8]) {
        self.showing.receive(data);
    }

    fn closed(&mut self) -> bool {
        self.showing.closed()
    }

    fn is_decided(&self) -> bool {
        self.showing.is_decided()
    }

    fn is_over(&self) -> bool {
        self.showing.is_over()
    }

    fn awaited(&self) -> String {
        self.showing.awaited()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_classified() {
        let of = |verdict| fate(&verdict, "unix:/m");
        for verdict in [Final::Continue, Final::Accept, Final::Discard] {
            assert_eq!(of(verdict), Fate::Passed);
        }
        assert_eq!(of(Final::Reject), Fate::Rejected("reject".to_owned()));
        let greylisted = Fate::TemporaryFailure("451 4.7.1 Greylisting now".to_owned());
        assert_eq!(of(Final::ReplyCode(Bytes::from_static(b"451 4.7.1 Greylisting now"))), greylisted);
        let aborted = Fate::Error("milter", "unix:/m: expected a verdict, came abort".to_owned());
        assert_eq!(of(Final::Shutdown), aborted);
    }

    #[test]
    fn the_host_of_an_address() {
        assert_eq!(host_of(b"<\"a@b\"@x.test>"), b"x.test");
        assert_eq!(host_of(b"<>"), b"");
    }
}
