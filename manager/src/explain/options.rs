//! The part of the command line that says which mail is meant. The names are those of `milter-test-server`.

use std::net::IpAddr;
use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use millstream_core::wire::{ClientAddress, bare};

use super::told::Told;

/// A macro as it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Macro {
    /// Without braces.
    pub(super) name: String,
    pub(super) value: String,
}

/// What the mail is like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Which mail --explain is about")]
pub(crate) struct MailOptions {
    /// The client's address: 192.0.2.7, 2001:db8::7, inet:PORT@[ADDRESS], inet6:PORT@[ADDRESS], unix:PATH or unknown
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(super) connect_address: Option<Client>,

    /// The client's name as the MTA has verified it. Without it the name is looked up, as an MTA does
    #[arg(long, value_name = "HOST")]
    pub(super) connect_host: Option<String>,

    /// A macro that comes with connect; names with or without braces
    #[arg(long, value_name = "NAME:VALUE", value_parser = macro_of)]
    pub(super) connect_macro: Vec<Macro>,

    /// The argument of HELO or EHLO
    #[arg(long, value_name = "FQDN")]
    pub(super) helo_fqdn: Option<String>,

    /// A macro that comes with HELO
    #[arg(long, value_name = "NAME:VALUE", value_parser = macro_of)]
    pub(super) helo_macro: Vec<Macro>,

    /// The sender
    #[arg(long, alias = "from", value_name = "FROM")]
    pub(super) envelope_from: Option<String>,

    /// A macro that comes with MAIL
    #[arg(long, value_name = "NAME:VALUE", value_parser = macro_of)]
    pub(super) envelope_from_macro: Vec<Macro>,

    /// The name with which the sender has logged in: the macro {auth_authen}
    #[arg(long, value_name = "NAME")]
    pub(super) authenticated_name: Option<String>,

    /// How the sender has logged in, as PLAIN: the macro {auth_type}
    #[arg(long, value_name = "TYPE")]
    pub(super) authenticated_type: Option<String>,

    /// The sender by the name of its login: the macro {auth_author}
    #[arg(long, value_name = "AUTHOR")]
    pub(super) authenticated_author: Option<String>,

    /// A recipient
    #[arg(long, alias = "recipient", value_name = "RECIPIENT")]
    pub(super) envelope_recipient: Vec<String>,

    /// A macro that comes with RCPT
    #[arg(long, value_name = "NAME:VALUE", value_parser = macro_of)]
    pub(super) envelope_recipient_macro: Vec<Macro>,

    /// A macro that comes with DATA
    #[arg(long, value_name = "NAME:VALUE", value_parser = macro_of)]
    pub(super) data_macro: Vec<Macro>,

    /// A macro that comes with the end of headers
    #[arg(long, value_name = "NAME:VALUE", value_parser = macro_of)]
    pub(super) end_of_header_macro: Vec<Macro>,

    /// A macro that comes with the end of the message
    #[arg(long, value_name = "NAME:VALUE", value_parser = macro_of)]
    pub(super) end_of_message_macro: Vec<Macro>,

    /// The message; - is standard input. Sender and recipients that are not told are taken from its From and To
    #[arg(long, value_name = "PATH")]
    pub(super) mail_file: Option<PathBuf>,

    /// How many sessions are running, this one included; 1 without it
    #[arg(long, value_name = "N")]
    pub(super) sessions: Option<u32>,

    /// When the mail comes, as "2026-11-21 03:00" by the local clock; now without it
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) time: Option<i64>,

    /// What a look-up gives, instead of asking: 7.2.0.192.zen.example.com=127.0.0.2, 192.0.2.7=host.example.com, or
    /// NAME=none. Several answers are joined by commas
    #[arg(long, value_name = "NAME=ANSWER", value_parser = Told::parse)]
    pub(super) answer: Vec<Told>,
}

impl MailOptions {
    /// Whether anything is told.
    pub(crate) fn tell_something(&self) -> bool {
        *self != Self::default()
    }
}

/// Where the client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Client(pub(super) ClientAddress);

fn address(text: &str) -> Result<Client, String> {
    let what = "it should be an address as 192.0.2.7 or 2001:db8::7, inet:PORT@[ADDRESS], inet6:PORT@[ADDRESS], \
                unix:PATH or unknown";
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Client(ClientAddress::Ip(address, 0)));
    }
    match text.split_once(':') {
        None if text == "unknown" => Ok(Client(ClientAddress::Unknown)),
        Some(("unix" | "local", path)) if !path.is_empty() => {
            Ok(Client(ClientAddress::Unix(Bytes::copy_from_slice(path.as_bytes()))))
        }
        Some((family @ ("inet" | "inet6"), rest)) => {
            let (port, host) = rest.split_once('@').ok_or(what)?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            let address: IpAddr = host.parse().map_err(|_| what)?;
            if address.is_ipv6() != (family == "inet6") {
                return Err(format!("{address} is no address of {family}"));
            }
            let port =
                port.parse().map_err(|_| format!("the port should be a number up to 65535: {port}"))?;
            Ok(Client(ClientAddress::Ip(address, port)))
        }
        _ => Err(what.to_owned()),
    }
}

fn macro_of(text: &str) -> Result<Macro, String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| format!("macro name and value delimiter ':' doesn't exist: <{text}>"))?;
    let name = String::from_utf8_lossy(bare(name.as_bytes())).into_owned();
    Ok(Macro { name, value: value.to_owned() })
}

/// Seconds since 1970-01-01 UTC.
fn time(text: &str) -> Result<i64, String> {
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Ok(stamp.as_second());
    }
    let local = text.parse::<jiff::civil::DateTime>().map_err(|error| error.to_string())?;
    let zoned = local.to_zoned(jiff::tz::TimeZone::system()).map_err(|error| error.to_string())?;
    Ok(zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_each_of_its_forms() {
        let ip = |text: &str, port| Ok(Client(ClientAddress::Ip(text.parse().unwrap(), port)));
        assert_eq!(address("192.0.2.7"), ip("192.0.2.7", 0));
        assert_eq!(address("2001:db8::7"), ip("2001:db8::7", 0));
        assert_eq!(address("inet:50443@[192.0.2.7]"), ip("192.0.2.7", 50443));
        assert_eq!(address("inet6:25@[2001:db8::7]"), ip("2001:db8::7", 25));
        assert_eq!(address("unknown"), Ok(Client(ClientAddress::Unknown)));
        assert_eq!(address("unix:/run/s"), Ok(Client(ClientAddress::Unix(Bytes::from_static(b"/run/s")))));
    }

    #[test]
    fn a_malformed_address_is_refused_with_what_is_wrong() {
        for (text, part) in [
            ("192.0.2", "it should be an address as 192.0.2.7"),
            ("inet:25", "it should be an address"),
            ("inet:x@[192.0.2.7]", "the port should be a number up to 65535: x"),
            ("inet:25@[2001:db8::7]", "2001:db8::7 is no address of inet"),
        ] {
            let error = address(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn the_braces_of_a_macro_s_name_may_be_there_or_not() {
        let named = |name: &str, value: &str| Ok(Macro { name: name.to_owned(), value: value.to_owned() });
        assert_eq!(macro_of("{auth_type}:PLAIN"), named("auth_type", "PLAIN"));
        assert_eq!(macro_of("v:Postfix: 3"), named("v", "Postfix: 3"));
        assert_eq!(
            macro_of("auth_type").unwrap_err(),
            "macro name and value delimiter ':' doesn't exist: <auth_type>"
        );
    }

    #[test]
    fn a_time_is_by_the_local_clock_unless_it_says_otherwise() {
        assert_eq!(time("2026-11-21T03:00:00Z"), Ok(1_795_230_000));
        let local = jiff::civil::date(2026, 11, 21).at(3, 0, 0, 0);
        let expected = local.to_zoned(jiff::tz::TimeZone::system()).unwrap().timestamp().as_second();
        assert_eq!(time("2026-11-21 03:00"), Ok(expected));
        assert!(time("three").is_err());
    }
}
