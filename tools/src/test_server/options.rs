//! The command line of `milter-test-server`.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::{ArgAction, ArgMatches, Parser};
use millstream_config::{ConnectionSpec, Host, Place};
use millstream_core::wire::{Actions, ClientAddress, ConnectInfo, Negotiation, Protocol, Stage};

use crate::connection::Timeouts;
use crate::dialogue::Plan;
use crate::macro_sets::MacroSets;
use crate::mail::{Header, Mail, in_brackets};
use crate::mail_file;
use crate::mask::Mask;
use crate::outcome::Status;
use crate::program;

/// Plays an MTA against one milter and shows what it does
#[derive(Debug, Clone, Parser)]
#[command(
    name = "milter-test-server",
    disable_help_flag = true,
    disable_version_flag = true,
    version,
    args_override_self = true
)]
pub(super) struct Options {
    /// Be called NAME; also the macro {daemon_name}
    #[arg(long, value_name = "NAME")]
    name: Option<OsString>,

    /// Connect to the milter at SPEC: unix:PATH, inet:PORT@HOST or inet6:PORT@HOST
    #[arg(short = 's', long, value_name = "SPEC")]
    connection_spec: Option<String>,

    /// Offer protocol version VERSION
    #[arg(long, value_name = "VERSION", default_value_t = 6)]
    negotiate_version: u32,

    /// The SMTP client's host name
    #[arg(long, value_name = "HOST", default_value = "mx.example.net")]
    connect_host: OsString,

    /// The SMTP client's address, as a connection specification
    #[arg(long, value_name = "SPEC", default_value = "inet:50443@[192.168.123.123]")]
    connect_address: String,

    /// Add a macro to CONNECT
    #[arg(long, value_name = "NAME:VALUE", action = ArgAction::Append)]
    connect_macro: Vec<OsString>,

    /// Add a macro to HELO
    #[arg(long, value_name = "NAME:VALUE", action = ArgAction::Append)]
    helo_macro: Vec<OsString>,

    /// Add a macro to MAIL
    #[arg(long, value_name = "NAME:VALUE", action = ArgAction::Append)]
    envelope_from_macro: Vec<OsString>,

    /// Add a macro to each RCPT
    #[arg(long, value_name = "NAME:VALUE", action = ArgAction::Append)]
    envelope_recipient_macro: Vec<OsString>,

    /// Add a macro to DATA
    #[arg(long, value_name = "NAME:VALUE", action = ArgAction::Append)]
    data_macro: Vec<OsString>,

    /// Add a macro to the end of the headers
    #[arg(long, value_name = "NAME:VALUE", action = ArgAction::Append)]
    end_of_header_macro: Vec<OsString>,

    /// Add a macro to the end of the message
    #[arg(long, value_name = "NAME:VALUE", action = ArgAction::Append)]
    end_of_message_macro: Vec<OsString>,

    /// What the SMTP client says in HELO
    #[arg(long, value_name = "FQDN", default_value = "delian")]
    helo_fqdn: OsString,

    /// The sender
    #[arg(short = 'f', long, alias = "from", value_name = "FROM", default_value = "sender@example.com")]
    envelope_from: OsString,

    /// A recipient; once for each
    #[arg(short = 'r', long, alias = "recipient", value_name = "RECIPIENT", action = ArgAction::Append)]
    envelope_recipient: Vec<OsString>,

    /// A header; once for each
    #[arg(short = 'h', long, value_name = "NAME:VALUE", action = ArgAction::Append)]
    header: Vec<OsString>,

    /// A piece of the body; once for each
    #[arg(short = 'b', long, value_name = "CHUNK", action = ArgAction::Append)]
    body: Vec<OsString>,

    /// An SMTP command that the MTA does not know, behind the recipients
    #[arg(long, value_name = "COMMAND")]
    unknown: Option<OsString>,

    /// The client has authenticated as NAME
    #[arg(long, value_name = "NAME")]
    authenticated_name: Option<OsString>,

    /// The client has authenticated by TYPE
    #[arg(long, value_name = "TYPE")]
    authenticated_type: Option<OsString>,

    /// The client has given AUTHOR in MAIL's AUTH
    #[arg(long, value_name = "AUTHOR")]
    authenticated_author: Option<OsString>,

    /// Send the message in the file PATH; - is standard input
    #[arg(short = 'm', long, value_name = "PATH")]
    mail_file: Option<OsString>,

    /// Print the message as the milter leaves it, with what it has changed
    #[arg(long)]
    pub(super) output_message: bool,

    /// Show changes in colors: yes, no or auto
    #[arg(long, value_name = "WHEN", num_args = 0..=1, default_missing_value = "yes")]
    color: Option<String>,

    /// Print the result as JSON, an object in a line
    #[arg(long)]
    pub(super) json: bool,

    /// Connect within SECONDS; 0 is no limit, here and below
    #[arg(long, value_name = "SECONDS", default_value_t = 300.0)]
    connection_timeout: f64,

    /// Wait for an answer for SECONDS
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    reading_timeout: f64,

    /// Wait until something is taken for SECONDS
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    writing_timeout: f64,

    /// Wait for the answer to the end of the message for SECONDS
    #[arg(long, value_name = "SECONDS", default_value_t = 300.0)]
    end_of_message_timeout: f64,

    /// All four
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    all_timeouts: Option<f64>,

    /// Have N sessions at the same time
    #[arg(short = 't', long, value_name = "N", default_value_t = 0)]
    pub(super) threads: usize,

    /// End with status 2 when the result is one of these: pass, accept, reject, discard, temporary-failure, abort, error
    #[arg(long, value_name = "STATUS,...", value_delimiter = ',')]
    fail_on: Vec<String>,

    /// Write the session into FILE, as text that can be read, changed and played again
    #[arg(long, value_name = "FILE", conflicts_with_all = ["replay", "threads"])]
    pub(super) record: Option<PathBuf>,

    /// Take out of the record: addresses, body
    #[arg(long, value_name = "WHAT,...", value_delimiter = ',', requires = "record")]
    mask: Vec<Mask>,

    /// Say what the MTA said in the record FILE, and show which answers are other ones
    #[arg(long, value_name = "FILE", conflicts_with = "threads")]
    pub(super) replay: Option<PathBuf>,

    /// Say also what was negotiated and what each command was answered
    #[arg(short = 'v', long)]
    pub(super) verbose: bool,

    /// Print the version
    #[arg(long, action = ArgAction::Version)]
    version: Option<bool>,

    /// Print this
    #[arg(short = '?', long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// A command line that was understood.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) spec: ConnectionSpec,
    pub(super) plan: Plan,
    pub(super) timeouts: Timeouts,
    pub(super) color: bool,
    pub(super) fail_on: Vec<Status>,
    pub(super) mask: Vec<Mask>,
}

impl Options {
    /// What is to be done. An error is a text for standard output.
    pub(super) fn request(&self, matches: &ArgMatches) -> Result<Request, String> {
        let spec = self.spec()?;
        let mail = self.mail(matches)?;
        let connect = ConnectInfo { host: owned(&self.connect_host), address: self.client_address()? };
        let plan = Plan {
            offer: Negotiation {
                version: self.negotiate_version,
                actions: Actions::ALL,
                protocol: Protocol::ALL,
                macro_lists: Vec::new(),
            },
            connect,
            helo: self.helo_fqdn.as_bytes().to_vec(),
            unknown: self.unknown.as_ref().map(|command| command.as_bytes().to_vec()),
            mail,
            macros: self.macros()?,
        };
        let fail_on = self.fail_on.iter().map(|name| status(name)).collect::<Result<_, _>>()?;
        let mask = self.mask.clone();
        Ok(Request { spec, plan, timeouts: self.timeouts()?, color: self.color()?, fail_on, mask })
    }

    fn spec(&self) -> Result<ConnectionSpec, String> {
        program::connection_spec(self.connection_spec.as_deref().ok_or("spec should not be NULL")?)
    }

    fn client_address(&self) -> Result<ClientAddress, String> {
        let spec: ConnectionSpec =
            self.connect_address.parse().map_err(|error: millstream_config::SpecError| error.to_string())?;
        Ok(match spec.place() {
            Place::Unix(path) => ClientAddress::Unix(owned(path.as_os_str())),
            Place::Inet { host: None, port } => ClientAddress::Ip(Ipv4Addr::UNSPECIFIED.into(), *port),
            Place::Inet6 { host: None, port } => {
                ClientAddress::Ip(std::net::Ipv6Addr::UNSPECIFIED.into(), *port)
            }
            Place::Inet { host: Some(Host::Address(address)), port }
            | Place::Inet6 { host: Some(Host::Address(address)), port } => ClientAddress::Ip(*address, *port),
            Place::Inet { port, .. } | Place::Inet6 { port, .. } => {
                let named = spec.resolve().map_err(|error| error.to_string())?;
                let address = match &named {
                    millstream_core::policy::Endpoint::Tcp(addresses) => {
                        addresses.first().map(std::net::SocketAddr::ip)
                    }
                    millstream_core::policy::Endpoint::Unix(_) => None,
                };
                ClientAddress::Ip(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), *port)
            }
        })
    }

    /// The message of the options and of the file, whichever comes later for the envelope.
    fn mail(&self, matches: &ArgMatches) -> Result<Mail, String> {
        let mut mail = match &self.mail_file {
            Some(path) => mail_file::read(path).map_err(|error| error.to_string())?,
            None => Mail::default(),
        };
        let last = |option: &str| {
            let given = matches.value_source(option) == Some(clap::parser::ValueSource::CommandLine);
            matches.indices_of(option).filter(|_| given).and_then(Iterator::last)
        };
        let file = last("mail_file");
        if mail.sender.is_empty() || last("envelope_from") > file {
            mail.sender = in_brackets(self.envelope_from.as_bytes());
        }
        if mail.recipients.is_empty() || last("envelope_recipient") > file {
            mail.recipients =
                self.envelope_recipient.iter().map(|recipient| in_brackets(recipient.as_bytes())).collect();
        }
        if mail.recipients.is_empty() {
            mail.recipients.push(b"<receiver@example.org>".to_vec());
        }
        for option in &self.header {
            let (name, value) = at_colon(option).ok_or("headers option should be 'NAME:VALUE'")?;
            let same = |header: &Header| header.name.eq_ignore_ascii_case(name);
            let place = mail.headers.iter().position(same).unwrap_or(mail.headers.len());
            mail.headers.insert(place, Header::new(name, value));
        }
        if !self.body.is_empty() {
            mail.body = self.body.iter().map(|piece| piece.as_bytes().to_vec()).collect();
        }
        if self.mail_file.is_none() {
            mail.complete();
        }
        // An empty one would make libmilter hang up.
        mail.body.retain(|piece| !piece.is_empty());
        Ok(mail)
    }

    fn macros(&self) -> Result<MacroSets, String> {
        let program = OsString::from("milter-test-server");
        let mut sets = MacroSets::usual(self.name.as_ref().unwrap_or(&program).as_bytes());
        let authentication = [
            ("auth_authen", &self.authenticated_name),
            ("auth_type", &self.authenticated_type),
            ("auth_author", &self.authenticated_author),
        ];
        for (name, value) in authentication {
            if let Some(value) = value {
                sets.set(Stage::Mail, name.as_bytes(), value.as_bytes());
            }
        }
        let given = [
            (Stage::Connect, &self.connect_macro),
            (Stage::Helo, &self.helo_macro),
            (Stage::Mail, &self.envelope_from_macro),
            (Stage::Rcpt, &self.envelope_recipient_macro),
            (Stage::Data, &self.data_macro),
            (Stage::EndOfHeaders, &self.end_of_header_macro),
            (Stage::EndOfMessage, &self.end_of_message_macro),
        ];
        for (stage, options) in given {
            for option in options {
                let (name, value) = at_colon(option).ok_or_else(|| {
                    format!("macro name and value delimiter ':' doesn't exist: <{}>", option.display())
                })?;
                sets.set(stage, name, value);
            }
        }
        Ok(sets)
    }

    fn timeouts(&self) -> Result<Timeouts, String> {
        let all = self.all_timeouts.filter(|seconds| *seconds >= 0.0);
        let of = |seconds: f64| {
            let seconds = all.unwrap_or(seconds);
            Duration::try_from_secs_f64(seconds)
                .map_err(|error| format!("invalid timeout: <{seconds}>: {error}"))
        };
        Ok(Timeouts {
            connection: of(self.connection_timeout)?,
            reading: of(self.reading_timeout)?,
            writing: of(self.writing_timeout)?,
            end_of_message: of(self.end_of_message_timeout)?,
        })
    }

    fn color(&self) -> Result<bool, String> {
        match self.color.as_deref() {
            Some("yes" | "true") => Ok(true),
            Some("no" | "false") => Ok(false),
            None | Some("auto") => Ok(std::io::stdout().is_terminal() && has_colors()),
            Some(other) => Err(format!("Invalid color value: {other}")),
        }
    }
}

fn status(name: &str) -> Result<Status, String> {
    let names = Status::ALL.map(Status::name).join(", ");
    let found = Status::ALL.into_iter().find(|status| status.name() == name);
    found.ok_or_else(|| format!("--fail-on: unknown status: <{name}>: it should be one of {names}"))
}

/// Whether the terminal says that it knows colors.
fn has_colors() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    ["term", "term-color", "term-256color"].iter().any(|end| term.ends_with(end))
        || ["screen", "linux"].contains(&term.as_str())
}

/// What stands before and behind the first colon.
fn at_colon(option: &OsStr) -> Option<(&[u8], &[u8])> {
    let bytes = option.as_bytes();
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    Some((&bytes[..colon], &bytes[colon + 1..]))
}

fn owned(text: &OsStr) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
