//! Mails as SMTP sessions.

use std::sync::Arc;

use super::mails::{Mail, Mails, Unreadable};
use super::options::Request;
use super::run::Shared;
use crate::load::talk::{Ended, Source, Talk};
use crate::load::tally::{Done, Fate};
use crate::smtp::{self, Failure, Letter, Manners, Session};

/// Where SMTP sessions come from, for one worker.
pub(super) struct Smtp<'a> {
    mails: Mails<Arc<[u8]>>,
    manners: Arc<Manners>,
    shared: &'a Shared,
}

impl<'a> Smtp<'a> {
    pub(super) fn new(request: &Request, shared: &'a Shared) -> Self {
        let mails = Mails::new(
            Arc::clone(&request.envelopes),
            request.origins.clone(),
            |message| Ok(smtp::content(message).into()),
            request.number,
            request.flood.is_some(),
            request.is_shuffled,
        );
        Self { mails, manners: Arc::clone(&request.manners), shared }
    }
}

impl Shared {
    /// A mail that could not be had.
    pub(super) fn unreadable(&self, mail: Unreadable) {
        let took = std::time::Duration::ZERO;
        self.note(Done { name: mail.name, fate: Fate::Error("mail", mail.reason), took }, 0);
    }
}

impl Source for Smtp<'_> {
    type Talk = Sending;

    fn next(&mut self) -> Option<Sending> {
        loop {
            match self.mails.next()? {
                Ok(Mail { name, helo, sender, recipients, content }) => {
                    let letter = Letter { helo, sender, recipients, content };
                    return Some(Sending { name, session: Session::new(Arc::clone(&self.manners), letter) });
                }
                Err(unreadable) => self.shared.unreadable(unreadable),
            }
        }
    }

    fn finished(&mut self, ended: Ended<Sending>) {
        let Sending { name, session } = ended.talk;
        let fate = match (ended.broken, session.fate()) {
            (Some(broken), _) => Fate::Error(broken.class(), format!("{}: {broken}", self.shared.server)),
            (None, Some(Ok(()))) => Fate::Passed,
            (None, Some(Err(failure))) => fate(failure, &self.shared.server),
            (None, None) => Fate::Error("connection", format!("{}: no answer", self.shared.server)),
        };
        self.shared.note(Done { name, fate, took: ended.took }, session.size());
    }
}

/// What a failure makes of a mail: 4xx and 5xx are the server's word about it, but not 50x and 53x, which are about the
/// command and about who sends.
fn fate(failure: &Failure, server: &str) -> Fate {
    match failure {
        Failure::Refused { reply, .. } if reply.is_temporary() => Fate::TemporaryFailure(reply.to_string()),
        Failure::Refused { reply, .. } if reply.is_permanent() && !matches!(reply.code / 10, 50 | 53) => {
            Fate::Rejected(reply.to_string())
        }
        Failure::Closed { .. } => Fate::Error("connection", format!("{server}: {failure}")),
        _ => Fate::Error("protocol", format!("{server}: {failure}")),
    }
}

/// A mail on its way.
#[derive(Debug)]
pub(super) struct Sending {
    name: Option<String>,
    session: Session,
}

impl Talk for Sending {
    fn transmit(&self) -> &[u8] {
        self.session.transmit()
    }

    fn wrote(&mut self, n: usize) {
        self.session.wrote(n);
    }

    fn receive(&mut self, data: &[u8]) {
        self.session.receive(data);
    }

    fn closed(&mut self) -> bool {
        self.session.closed();
        true
    }

    fn wants_tls(&self) -> bool {
        self.session.wants_tls()
    }

    fn secured(&mut self) {
        self.session.secured();
    }

    fn is_decided(&self) -> bool {
        self.session.fate().is_some()
    }

    fn is_over(&self) -> bool {
        self.session.is_over()
    }

    fn awaited(&self) -> String {
        let stage = self.session.stage();
        format!("{stage}: expected {}", stage.expected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::{Reply, Stage};

    #[test]
    fn replies_are_classified() {
        let of = |code| {
            let reply = Reply { code, lines: vec!["text".to_owned()] };
            fate(&Failure::Refused { stage: Stage::Mail, reply }, "mx:25")
        };
        for code in [421, 450, 451, 452, 471] {
            assert_eq!(of(code), Fate::TemporaryFailure(format!("{code} text")));
        }
        for code in [510, 521, 550, 552, 554, 571] {
            assert_eq!(of(code), Fate::Rejected(format!("{code} text")));
        }
        for code in [500, 501, 502, 503, 504, 530, 534, 535, 538, 200, 354, 999] {
            let text = format!("mx:25: MAIL: expected 250, came {code} text");
            assert_eq!(of(code), Fate::Error("protocol", text));
        }
    }
}
