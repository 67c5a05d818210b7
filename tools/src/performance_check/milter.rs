//! Mails as a milter is shown them by Postfix, each in a connection of its own.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use millstream_core::wire::{
    Actions, ClientAddress, ConnectInfo, Fault, Negotiation, Protocol, Stage, VERSION_MAX,
};
use millstream_mail::{Header, Message};

use super::mails::{Mail, Mails};
use super::options::Request;
use super::run::Shared;
use crate::connection::Talk as _;
use crate::dialogue::{Dialogue, Plan};
use crate::load::talk::{Ended, Source, Talk};
use crate::load::tally::{Done, Fate};
use crate::macro_sets::MacroSets;
use crate::mail::{self, bare};
use crate::mail_file::CHUNK;
use crate::outcome::{Outcome, Status};

/// The version that Postfix says it is, for conditions that look.
const VERSION: &[u8] = b"Postfix 3.7.11";
const CLIENT_PORT: u16 = 34567;

/// Where dialogues come from, for one worker.
pub(super) struct Milter<'a> {
    mails: Mails<Arc<Content>>,
    connect: ConnectInfo,
    macros: MacroSets,
    shared: &'a Shared,
}

/// Headers and body, as milters are shown them.
#[derive(Debug)]
pub(super) struct Content {
    headers: Vec<Header>,
    body: Vec<Vec<u8>>,
    size: usize,
}

impl Content {
    fn new(message: &[u8]) -> Result<Self, String> {
        let Message { headers, body } = Message::parse(message).map_err(|error| error.to_string())?.as_sent();
        let body = body.chunks(CHUNK).map(<[u8]>::to_vec).collect();
        Ok(Self { headers, body, size: message.len() })
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
        let host = Bytes::copy_from_slice(request.client_name().as_bytes());
        let connect = ConnectInfo { host, address: ClientAddress::Ip(request.client_address(), CLIENT_PORT) };
        Self { mails, connect, macros: fixed_macros(), shared }
    }

    fn plan(&self, mail: &Mail<Arc<Content>>) -> Plan {
        let mut macros = self.macros.clone();
        // Postfix gives a message its id with the first recipient.
        let id: String = (0..10).map(|_| fastrand::alphanumeric()).collect();
        for stage in [Stage::Rcpt, Stage::Data, Stage::EndOfHeaders, Stage::EndOfMessage] {
            macros.set(stage, b"i", id.as_bytes());
        }
        macros.set(Stage::Mail, b"mail_addr", bare(&mail.sender));
        macros.set(Stage::Mail, b"mail_host", host_of(&mail.sender));
        macros.set(
            Stage::Rcpt,
            b"rcpt_host",
            mail.recipients.first().map_or(&b""[..], |first| host_of(first)),
        );
        Plan {
            offer: Negotiation {
                version: VERSION_MAX,
                actions: Actions::ALL,
                protocol: Protocol::ALL,
                macro_lists: Vec::new(),
            },
            connect: self.connect.clone(),
            helo: mail.helo.clone().into_bytes(),
            unknown: None,
            mail: mail::Mail {
                sender: mail.sender.clone(),
                recipients: mail.recipients.clone(),
                headers: mail.content.headers.clone(),
                body: mail.content.body.clone(),
            },
            macros,
            has_bare_macros: true,
        }
    }
}

fn fixed_macros() -> MacroSets {
    let mut macros = MacroSets::default();
    let fixed: [(Stage, &[u8], &[u8]); 5] = [
        (Stage::Connect, b"j", b"mail.example.com"),
        (Stage::Connect, b"daemon_name", b"mail.example.com"),
        (Stage::Connect, b"v", VERSION),
        (Stage::Mail, b"mail_mailer", b"smtp"),
        (Stage::Rcpt, b"rcpt_mailer", b"smtp"),
    ];
    for (stage, name, value) in fixed {
        macros.set(stage, name, value);
    }
    macros
}

/// What stands behind the last `@`.
fn host_of(address: &[u8]) -> &[u8] {
    let address = bare(address);
    address.iter().rposition(|byte| *byte == b'@').map_or(b"", |at| &address[at + 1..])
}

impl Source for Milter<'_> {
    type Talk = Showing;

    fn next(&mut self) -> Option<Showing> {
        loop {
            match self.mails.next()? {
                Ok(mail) => {
                    let dialogue = Dialogue::new(self.plan(&mail));
                    return Some(Showing { name: mail.name, dialogue, fault: None, size: mail.content.size });
                }
                Err(unreadable) => self.shared.unreadable(unreadable),
            }
        }
    }

    fn finished(&mut self, ended: Ended<Showing>) {
        let Showing { name, dialogue, fault, size } = ended.talk;
        let server = &self.shared.server;
        let fate = match (ended.broken, fault) {
            (Some(broken), _) => Fate::Error(broken.class(), format!("{server}: {broken}")),
            (None, Some(fault)) => Fate::Error("protocol", format!("{server}: {fault}")),
            (None, None) => fate(&dialogue.into_outcome().1, server),
        };
        self.shared.note(Done { name, fate, took: ended.took }, size);
    }
}

/// What the verdict of a milter makes of a mail.
fn fate(outcome: &Outcome, server: &str) -> Fate {
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

/// A mail on its way.
#[derive(Debug)]
pub(super) struct Showing {
    name: Option<String>,
    dialogue: Dialogue,
    fault: Option<Fault>,
    size: usize,
}

impl Talk for Showing {
    fn transmit(&self) -> &[u8] {
        let mut slices: [&[u8]; 1] = [b""];
        self.dialogue.transmit(&mut slices);
        slices[0]
    }

    fn wrote(&mut self, n: usize) {
        self.dialogue.wrote(n);
    }

    fn receive(&mut self, data: &[u8]) {
        self.fault = self.dialogue.receive(BytesMut::from(data)).err();
    }

    fn closed(&mut self) -> bool {
        // With its last word a milter may have closed already.
        self.dialogue.awaits().is_none()
    }

    fn is_decided(&self) -> bool {
        self.is_over()
    }

    fn is_over(&self) -> bool {
        self.fault.is_some() || self.dialogue.is_over()
    }

    fn awaited(&self) -> String {
        match self.dialogue.awaits() {
            Some(stage) => format!("{stage}: expected an answer"),
            None => "QUIT: expected that it is read".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::ReplyCode;

    #[test]
    fn verdicts_are_classified() {
        let of = |status, reply: Option<&[u8]>| {
            let reply_code = reply.map(ReplyCode::parse);
            fate(&Outcome { status, reply_code, ..Outcome::default() }, "unix:/m")
        };
        for status in [Status::Pass, Status::Accept, Status::Discard] {
            assert_eq!(of(status, None), Fate::Passed);
        }
        assert_eq!(of(Status::Reject, None), Fate::Rejected("reject".to_owned()));
        let greylisted = Fate::TemporaryFailure("451 4.7.1 Greylisting now".to_owned());
        assert_eq!(of(Status::TemporaryFailure, Some(b"451 4.7.1 Greylisting now")), greylisted);
        let aborted = Fate::Error("milter", "unix:/m: expected a verdict, came abort".to_owned());
        assert_eq!(of(Status::Abort, None), aborted);
    }

    #[test]
    fn the_host_of_an_address() {
        assert_eq!(host_of(b"<\"a@b\"@x.test>"), b"x.test");
        assert_eq!(host_of(b"<>"), b"");
    }
}
