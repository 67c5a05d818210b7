//! The mail that is explained: what an MTA would say about it, stage by stage.

use std::io::Read as _;
use std::path::Path;

use millstream_core::wire::{ClientAddress, ConnectInfo};
use millstream_mail::Message;

use super::options::{Macro, MailOptions};

/// What the MTA is when nobody says: conditions ask for it.
const MTA: &str = "Postfix";

/// A mail, as far as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mail {
    pub(super) client: ConnectInfo,
    /// The client's name was looked up.
    pub(super) looked_up: bool,
    pub(super) connect_macros: Vec<Macro>,
    pub(super) helo: Option<String>,
    pub(super) helo_macros: Vec<Macro>,
    /// In angle brackets.
    pub(super) sender: Option<String>,
    pub(super) mail_macros: Vec<Macro>,
    /// In angle brackets.
    pub(super) recipients: Vec<String>,
    pub(super) rcpt_macros: Vec<Macro>,
    pub(super) data_macros: Vec<Macro>,
    pub(super) message: Option<Message>,
    pub(super) end_of_header_macros: Vec<Macro>,
    pub(super) end_of_message_macros: Vec<Macro>,
    /// Seconds since 1970-01-01 UTC.
    pub(super) unix_seconds: i64,
    /// Sessions that run, this one included.
    pub(super) sessions: u32,
}

impl Mail {
    /// The mail that `options` tell of. `name_of` gives the name of the client where they do not.
    ///
    /// # Errors
    ///
    /// Something is missing, or a file cannot be used.
    pub(super) fn told(
        options: &MailOptions,
        name_of: impl FnOnce(&ClientAddress) -> String,
    ) -> Result<Self, String> {
        let address = options
            .connect_address
            .as_ref()
            .ok_or("--explain needs --connect-address, the client's address")?
            .0
            .clone();
        let message = options.mail_file.as_deref().map(read).transpose()?;
        let in_headers = |name| addresses(message.as_ref(), name);
        let sender = match &options.envelope_from {
            Some(text) => Some(in_brackets(text)),
            None => in_headers("From")?.into_iter().next(),
        };
        let mut recipients: Vec<_> =
            options.envelope_recipient.iter().map(|text| in_brackets(text)).collect();
        if recipients.is_empty() {
            recipients = in_headers("To")?;
        }
        if sender.is_none() && (message.is_some() || !recipients.is_empty()) {
            return Err("there is no sender: add --envelope-from".to_owned());
        }
        if recipients.is_empty() && message.is_some() {
            return Err("there is no recipient: add --envelope-recipient".to_owned());
        }
        let looked_up = options.connect_host.is_none();
        let host = options.connect_host.clone().unwrap_or_else(|| name_of(&address));
        let mut connect_macros = options.connect_macro.clone();
        add(&mut connect_macros, "v", Some(MTA));
        let mut mail_macros = options.envelope_from_macro.clone();
        add(&mut mail_macros, "auth_authen", options.authenticated_name.as_deref());
        add(&mut mail_macros, "auth_type", options.authenticated_type.as_deref());
        add(&mut mail_macros, "auth_author", options.authenticated_author.as_deref());
        Ok(Self {
            client: ConnectInfo { host: host.into(), address },
            looked_up,
            connect_macros,
            helo: options.helo_fqdn.clone(),
            helo_macros: options.helo_macro.clone(),
            sender,
            mail_macros,
            recipients,
            rcpt_macros: options.envelope_recipient_macro.clone(),
            data_macros: options.data_macro.clone(),
            message,
            end_of_header_macros: options.end_of_header_macro.clone(),
            end_of_message_macros: options.end_of_message_macro.clone(),
            unix_seconds: options.time.unwrap_or_else(|| jiff::Timestamp::now().as_second()),
            sessions: options.sessions.unwrap_or(1),
        })
    }
}

/// Adds a macro that was not told by its own name.
fn add(macros: &mut Vec<Macro>, name: &str, value: Option<&str>) {
    if let Some(value) = value
        && !macros.iter().any(|known| known.name == name)
    {
        macros.push(Macro { name: name.to_owned(), value: value.to_owned() });
    }
}

fn in_brackets(address: &str) -> String {
    shown(&millstream_mail::in_brackets(address.as_bytes()))
}

/// The addresses in the headers of this name.
fn addresses(message: Option<&Message>, name: &str) -> Result<Vec<String>, String> {
    let found = message.into_iter().flat_map(|message| message.addresses(name));
    found
        .map(|address| address.map(|address| shown(&address)).map_err(|error| format!("{name}: {error}")))
        .collect()
}

fn shown(address: &[u8]) -> String {
    String::from_utf8_lossy(address).into_owned()
}

fn read(path: &Path) -> Result<Message, String> {
    let failed = |reason: String| format!("--mail-file {}: {reason}", path.display());
    let text = if path == Path::new("-") {
        let mut text = Vec::new();
        std::io::stdin().lock().read_to_end(&mut text).map(|_| text)
    } else {
        std::fs::read(path)
    };
    let message = Message::parse(&text.map_err(|error| failed(error.to_string()))?);
    message.map(|message| message.as_sent()).map_err(|error| failed(format!("line {}: {error}", error.line)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::options::Client;

    fn told(options: &MailOptions) -> Result<Mail, String> {
        let address = Some(Client(ClientAddress::Unknown));
        let options = MailOptions { connect_address: address, ..options.clone() };
        Mail::told(&options, |_| "unknown".to_owned())
    }

    #[test]
    fn what_is_missing_is_named() {
        let recipient = vec!["a@b.test".to_owned()];
        let error = told(&MailOptions { envelope_recipient: recipient, ..MailOptions::default() });
        assert_eq!(error.unwrap_err(), "there is no sender: add --envelope-from");
        let error = Mail::told(&MailOptions::default(), |_| String::new());
        assert_eq!(error.unwrap_err(), "--explain needs --connect-address, the client's address");
        let options = MailOptions { mail_file: Some("/nowhere/m".into()), ..MailOptions::default() };
        let error = told(&options).unwrap_err();
        assert!(error.starts_with("--mail-file /nowhere/m: No such file"), "{error}");
    }

    #[test]
    fn a_macro_that_is_told_by_its_own_name_goes_before() {
        let own = Macro { name: "v".to_owned(), value: "Sendmail".to_owned() };
        let options = MailOptions {
            connect_macro: vec![own.clone()],
            authenticated_name: Some("bob".to_owned()),
            ..MailOptions::default()
        };
        let mail = told(&options).unwrap();
        assert_eq!(mail.connect_macros, [own]);
        assert_eq!(mail.mail_macros, [Macro { name: "auth_authen".to_owned(), value: "bob".to_owned() }]);
    }

    #[test]
    fn addresses_are_in_angle_brackets() {
        let options = MailOptions {
            envelope_from: Some("<>".to_owned()),
            envelope_recipient: vec!["a@b.test".to_owned(), "<c@d.test>".to_owned()],
            ..MailOptions::default()
        };
        let mail = told(&options).unwrap();
        assert_eq!(mail.sender.as_deref(), Some("<>"));
        assert_eq!(mail.recipients, ["<a@b.test>", "<c@d.test>"]);
    }
}
