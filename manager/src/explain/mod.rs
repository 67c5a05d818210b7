//! `--explain`: which milters would be shown a mail, and why.
//!
//! ```text
//!   options ──> mail ──> rehearsal ─────────────────────> findings ──> report
//!               file     a live session of the core,      per milter   text, or json
//!                        conditions by a Witness
//! ```
//!
//! Nothing here knows what a condition means: the session and the policy are those that serve, so that what is explained is
//! what happens.

mod findings;
mod json;
mod mail;
mod options;
mod rehearsal;
mod report;
mod told;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

use millstream_config::{Addresses, Configuration, Family, Hosts, Log, LogLevel, Resolver};
use millstream_core::machine::{Answer, Question};
use millstream_core::policy::Policy;
use millstream_core::wire::ClientAddress;

use crate::log::{self, Logger};
use crate::names::{self, Names, Reply};
pub(crate) use options::MailOptions;
use told::Told;

/// What an MTA says of a client without a verified name.
const NO_NAME: &str = "unknown";

/// What becomes of the mail that `options` tell of, as text for a person, or `as_json`.
///
/// # Errors
///
/// Something is missing in `options`, or a milter cannot be used, in sentences.
pub(crate) fn explain(
    configuration: &Configuration,
    options: &MailOptions,
    as_json: bool,
) -> Result<String, Vec<String>> {
    let one = |error: String| vec![error];
    let quiet = Log { level: LogLevel::NONE, path: None, use_syslog: false, ..Log::default() };
    let (log, _log_guard) =
        log::start(&quiet, log::Format::default()).map_err(|error| one(error.to_string()))?;
    let resolver = Asking { names: names::of(configuration), told: &options.answer, log };
    let mail = mail::Mail::told(options, |address| resolver.name_of(address)).map_err(one)?;
    // Where a milter is makes no difference here, so that nobody waits for name servers because of it.
    let hosts = Hosts::new(Arc::new(Anywhere)).of(configuration, Instant::now());
    let witness = configuration
        .witness(&hosts)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let policy = Arc::<millstream_config::Witness>::clone(&witness) as Arc<dyn Policy>;
    let course =
        rehearsal::rehearse(policy, &mail, &|question, reply| resolver.ask(question, reply)).map_err(one)?;
    let findings = findings::findings(configuration, &witness.take(), &course.said);
    let tell = if as_json { json::json } else { report::report };
    Ok(tell(&mail, &findings, &course.answers))
}

/// Gives every host an address.
#[derive(Debug)]
struct Anywhere;

impl Resolver for Anywhere {
    fn addresses(&self, _: &str, family: Family) -> Result<Addresses, String> {
        let any: IpAddr = match family {
            Family::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        Ok(Addresses { found: vec![SocketAddr::new(any, 0)], hold: None })
    }
}

/// The manager's own resolver, and what the command line tells.
struct Asking<'o> {
    names: Arc<Names>,
    told: &'o [Told],
    log: Logger,
}

impl Asking<'_> {
    fn ask(&self, question: &Question, reply: Reply) {
        match Told::find(self.told, question) {
            Some(answer) => reply(answer),
            None => self.names.look_up(question, reply, &self.log),
        }
    }

    /// The client's name as Postfix verifies it: the first of its names that leads back to its address.
    fn name_of(&self, client: &ClientAddress) -> String {
        let ClientAddress::Ip(address, _) = client else { return NO_NAME.to_owned() };
        let (reply, replied) = channel();
        self.ask(&Question::Names(*address), Box::new(move |answer| drop(reply.send(answer))));
        let Ok(Answer::Found(names)) = replied.recv() else { return NO_NAME.to_owned() };
        let name =
            names.iter().map(|name| name.trim_end_matches('.')).find(|name| self.is_at(name, *address));
        name.unwrap_or(NO_NAME).to_owned()
    }

    fn is_at(&self, name: &str, address: IpAddr) -> bool {
        if let Some(Answer::Found(records)) = Told::find(self.told, &Question::Addresses(name.into())) {
            return records.iter().any(|record| record.parse() == Ok(address));
        }
        let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
        let found = self.names.addresses(name, family);
        found.is_ok_and(|addresses| addresses.found.iter().any(|found| found.ip() == address))
    }
}
