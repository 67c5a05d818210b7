//! The command line of `milter-performance-check`.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, ArgMatches, Parser};
use millstream_config::ConnectionSpec;

use super::mails::{Envelopes, Origin, origins};
use super::{auth_map, period};
use crate::load::driver::Pace;
use crate::program;
use crate::smtp::{Login, Manners, Mechanism, StartTls, XClient};

/// Sends mails to an SMTP server, or shows them to a milter, and tells what they took
#[derive(Debug, Clone, Parser)]
#[command(
    name = "milter-performance-check",
    disable_help_flag = true,
    disable_version_flag = true,
    version,
    args_override_self = true
)]
pub(super) struct Options {
    /// Mails to be sent: files, folders, - for standard input; without any one is made up
    #[arg(value_name = "MAIL-FILE|DIRECTORY")]
    mails: Vec<OsString>,

    /// Send to the SMTP server SERVER
    #[arg(long, value_name = "SERVER", default_value = "localhost")]
    smtp_server: String,

    /// At this port
    #[arg(long, value_name = "PORT", default_value_t = 25)]
    smtp_port: u16,

    /// Show the mails to the milter at SPEC instead, each in a connection of its own as Postfix does
    #[arg(
        long,
        value_name = "SPEC",
        conflicts_with_all = ["smtp_server", "smtp_port", "starttls", "auth_user", "auth_map", "auth_mechanism"]
    )]
    milter: Option<String>,

    /// Be the SMTP client HOST: by XCLIENT of Postfix, or in CONNECT
    #[arg(long, value_name = "HOST")]
    connect_host: Option<String>,

    /// Be the SMTP client with this address
    #[arg(long, value_name = "ADDRESS")]
    connect_address: Option<IpAddr>,

    /// Say FQDN in EHLO
    #[arg(long, value_name = "FQDN", default_value = "localhost.localdomain")]
    helo_fqdn: String,

    /// Encrypt: auto (if the server offers it), always or disable
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = ["auto", "always", "disable"])]
    starttls: String,

    /// Authenticate as USER
    #[arg(long, value_name = "USER", requires = "auth_password")]
    auth_user: Option<String>,

    /// With this password
    #[arg(long, value_name = "PASSWORD", requires = "auth_user")]
    auth_password: Option<String>,

    /// By this mechanism: auto (the best that the server offers), cram-md5, plain or login
    #[arg(
        long,
        value_name = "MECHANISM",
        default_value = "auto",
        value_parser = ["auto", "plain", "login", "cram_md5", "cram-md5"]
    )]
    auth_mechanism: String,

    /// Take user and password for the server from FILE, with lines SERVER:PORT USER:PASSWORD
    #[arg(long, value_name = "FILE")]
    auth_map: Option<PathBuf>,

    /// The sender of a mail that names none; several are used in turn
    #[arg(long, value_name = "FROM", default_value = "from@example.com", action = ArgAction::Append)]
    from: Vec<String>,

    /// The sender of all mails
    #[arg(long, value_name = "FROM")]
    force_from: Option<String>,

    /// A recipient of a mail that names none; once for each
    #[arg(long, value_name = "RECIPIENT", default_value = "to@example.com", action = ArgAction::Append)]
    recipient: Vec<String>,

    /// A recipient of all mails; once for each
    #[arg(long, value_name = "RECIPIENT", action = ArgAction::Append)]
    force_recipient: Vec<String>,

    /// Wait for an answer for SECONDS; 0 is no limit
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    reading_timeout: f64,

    /// Send a single mail N times; several are sent once each
    #[arg(long, value_name = "N", default_value_t = 100)]
    n_mails: u64,

    /// Add N lines to the mail that is made up
    #[arg(long, value_name = "N", default_value_t = 0)]
    n_additional_lines: usize,

    /// Have N connections at the same time
    #[arg(long, value_name = "N", default_value_t = 1)]
    n_concurrent_connections: usize,

    /// Have N threads, each of which sends all mails over as many connections
    #[arg(long, value_name = "N", default_value_t = 1)]
    n_workers: usize,

    /// Send all mails within PERIOD, evenly: 30, 30s, 1.5min, 1h
    #[arg(long, value_name = "PERIOD")]
    period: Option<String>,

    /// Send a mail each INTERVAL
    #[arg(long, value_name = "INTERVAL")]
    interval: Option<String>,

    /// Send the mails over and over, for PERIOD or until interrupted
    #[arg(long, value_name = "PERIOD", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    flood: Option<String>,

    /// Send the mails in random order
    #[arg(long, overrides_with = "no_shuffle")]
    shuffle: bool,

    /// Send them in the order of their names
    #[arg(long, overrides_with = "shuffle")]
    no_shuffle: bool,

    /// Write time, seconds and size of each mail into FILE, as CSV
    #[arg(long, value_name = "FILE")]
    pub(super) report_statistics_data: Option<PathBuf>,

    /// Print also what the server said to the mails that it did not take
    #[arg(long, overrides_with = "no_report_failure_responses")]
    pub(super) report_failure_responses: bool,

    /// Do not
    #[arg(long, overrides_with = "report_failure_responses")]
    no_report_failure_responses: bool,

    /// Print a line of figures each INTERVAL, 1s by default
    #[arg(
        long,
        value_name = "INTERVAL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1s",
        conflicts_with = "json"
    )]
    report_periodically: Option<String>,

    /// Print the result as JSON, an object in a line
    #[arg(long)]
    pub(super) json: bool,

    /// Print the version
    #[arg(long, action = ArgAction::Version)]
    version: Option<bool>,

    /// Print this
    #[arg(short = 'h', long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// A command line that was understood.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) server: Server,
    pub(super) manners: Arc<Manners>,
    pub(super) client: XClient,
    pub(super) envelopes: Arc<Envelopes>,
    pub(super) origins: Vec<Origin>,
    /// How often a single mail is sent.
    pub(super) number: u64,
    pub(super) is_shuffled: bool,
    pub(super) flood: Option<Flood>,
    pub(super) pace: Pace,
    pub(super) workers: usize,
    pub(super) patience: Duration,
    pub(super) table_interval: Option<Duration>,
}

/// Who is sent to.
#[derive(Debug, Clone)]
pub(super) enum Server {
    Smtp(String, u16),
    Milter(ConnectionSpec),
}

/// How long mails are sent over and over; `None` has no end.
pub(super) type Flood = Option<Duration>;

impl Options {
    /// What is to be done. An error is a text for standard output.
    pub(super) fn request(&self, matches: &ArgMatches) -> Result<Request, String> {
        self.check()?;
        let server = match &self.milter {
            Some(spec) => Server::Milter(program::connection_spec(spec)?),
            None => Server::Smtp(self.smtp_server.clone(), self.smtp_port),
        };
        let origins = origins(&self.mails, self.n_additional_lines)?;
        let mails = if origins.len() == 1 { self.n_mails } else { origins.len() as u64 };
        let of_period = |text: &String| period::parse(text);
        let flood = match self.flood.as_deref() {
            None => None,
            Some("") => Some(None),
            Some(text) => Some(Some(period::parse(text).map_err(|error| at("flood", &error))?)),
        };
        let patience = Duration::try_from_secs_f64(self.reading_timeout)
            .map_err(|error| format!("invalid timeout: <{}>: {error}", self.reading_timeout))?;
        let table_interval = self.report_periodically.as_ref().map(of_period).transpose();
        let table_interval = table_interval.map_err(|error| at("report-periodically", &error))?;
        if table_interval.is_some_and(|interval| interval.is_zero()) {
            return Err(at("report-periodically", "expected more than no time"));
        }
        Ok(Request {
            manners: Arc::new(self.manners()?),
            client: XClient { name: self.connect_host.clone(), address: self.connect_address },
            envelopes: Arc::new(Envelopes {
                helo: self.helo_fqdn.clone(),
                senders: self.from.clone(),
                forced_sender: self.force_from.clone(),
                recipients: self.recipient.clone(),
                forced_recipients: self.force_recipient.clone(),
            }),
            origins,
            number: self.n_mails,
            is_shuffled: self.shuffle,
            pace: self.pace(matches, mails, flood.is_some())?,
            flood,
            workers: self.n_workers,
            patience,
            table_interval,
            server,
        })
    }

    /// What becomes part of a command must not be two.
    fn check(&self) -> Result<(), String> {
        let texts = [("helo-fqdn", &self.helo_fqdn)]
            .into_iter()
            .chain(self.connect_host.iter().map(|text| ("connect-host", text)))
            .chain(self.from.iter().map(|text| ("from", text)))
            .chain(self.force_from.iter().map(|text| ("force-from", text)))
            .chain(self.recipient.iter().map(|text| ("recipient", text)))
            .chain(self.force_recipient.iter().map(|text| ("force-recipient", text)));
        for (option, text) in texts {
            if text.chars().any(char::is_control) {
                return Err(at(
                    option,
                    &format!("expected no control characters: <{}>", text.escape_debug()),
                ));
            }
        }
        for (option, number) in
            [("n-concurrent-connections", self.n_concurrent_connections), ("n-workers", self.n_workers)]
        {
            if number == 0 {
                return Err(at(option, "expected at least 1"));
            }
        }
        Ok(())
    }

    fn manners(&self) -> Result<Manners, String> {
        let mut starttls = match self.starttls.as_str() {
            "always" => StartTls::Always,
            "disable" => StartTls::Disable,
            _ => StartTls::Auto,
        };
        if cfg!(not(feature = "tls")) {
            if starttls == StartTls::Always {
                return Err(at("starttls", "this program was built without the feature \"tls\""));
            }
            starttls = StartTls::Disable;
        }
        let wants_xclient = self.connect_host.is_some() || self.connect_address.is_some();
        let xclient = XClient { name: self.connect_host.clone(), address: self.connect_address };
        Ok(Manners { starttls, xclient: wants_xclient.then_some(xclient), login: self.login()? })
    }

    fn login(&self) -> Result<Option<Login>, String> {
        let mechanism = match self.auth_mechanism.as_str() {
            "plain" => Some(Mechanism::Plain),
            "login" => Some(Mechanism::Login),
            "cram_md5" | "cram-md5" => Some(Mechanism::CramMd5),
            _ => None,
        };
        let given = self.auth_user.clone().zip(self.auth_password.clone());
        let found = match (given, &self.auth_map) {
            (Some(given), _) => Some(given),
            (None, Some(file)) => auth_map::look_up(file, &self.smtp_server, self.smtp_port)
                .map_err(|error| at("auth-map", &error))?,
            (None, None) => None,
        };
        Ok(found.map(|(user, password)| Login { user, password, mechanism }))
    }

    fn pace(&self, matches: &ArgMatches, mails: u64, is_flood: bool) -> Result<Pace, String> {
        if self.period.is_some() && self.interval.is_some() {
            // Whichever came second is the one too many.
            let (late, early) = match matches.index_of("period") > matches.index_of("interval") {
                true => ("period", "interval"),
                false => ("interval", "period"),
            };
            return Err(at(late, &format!("can't use with --{early}")));
        }
        let period = |option: &str, text: &str| match period::parse(text) {
            // All at once is a matter of connections at the same time.
            Ok(period) if period.is_zero() => Err(at(option, "expected more than no time")),
            result => result.map_err(|error| at(option, &error)),
        };
        if let Some(text) = &self.interval {
            return Ok(Pace::Every(period("interval", text)?));
        }
        let concurrent = usize::try_from(mails).unwrap_or(usize::MAX).clamp(1, self.n_concurrent_connections);
        match &self.period {
            Some(text) => Ok(Pace::Every(period("period", text)?.div_f64(mails.max(1) as f64))),
            None if is_flood => Ok(Pace::Concurrent(self.n_concurrent_connections)),
            None => Ok(Pace::Concurrent(concurrent)),
        }
    }
}

impl Request {
    /// How many mails are sent by all workers together; `None` when there is no end.
    pub(super) fn mails(&self) -> Option<u64> {
        let each = if self.origins.len() == 1 { self.number } else { self.origins.len() as u64 };
        self.flood.is_none().then(|| each.saturating_mul(self.workers as u64))
    }

    /// The SMTP client as a milter is told it.
    pub(super) fn client_address(&self) -> IpAddr {
        self.client.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// Its name there.
    pub(super) fn client_name(&self) -> &str {
        self.client.name.as_deref().unwrap_or("localhost")
    }
}

fn at(option: &str, error: &str) -> String {
    format!("--{option}: {error}")
}
