//! Which mails are sent, in which order, and with which envelopes.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millstream_mail::{Message, in_brackets};

use super::{address, generated};

/// How envelopes are made.
#[derive(Debug, Clone)]
pub(super) struct Envelopes {
    pub(super) helo: String,
    /// Used in turn where the mail has no sender.
    pub(super) senders: Vec<String>,
    pub(super) forced_sender: Option<String>,
    pub(super) recipients: Vec<String>,
    pub(super) forced_recipients: Vec<String>,
}

/// Where a mail comes from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// It is made up, with so many further lines.
    Generated(usize),
    /// A file.
    File(PathBuf),
    /// What standard input had.
    Input(Arc<[u8]>),
}

/// A mail with its envelope; `C` is its content in the form in which it is sent.
#[derive(Debug, Clone)]
pub(super) struct Mail<C> {
    pub(super) name: Option<String>,
    pub(super) helo: String,
    pub(super) sender: Vec<u8>,
    pub(super) recipients: Vec<Vec<u8>>,
    pub(super) content: C,
}

/// The mails of a worker.
#[derive(Debug, Clone)]
pub(super) struct Mails<C> {
    envelopes: Arc<Envelopes>,
    origins: Vec<Origin>,
    make: fn(&[u8]) -> Result<C, String>,
    /// How many are still to come; `None` has no end.
    left: Option<u64>,
    sent: usize,
    /// Of the only one, which is read once.
    kept: Option<Read<C>>,
}

/// What a file has said.
#[derive(Debug, Clone)]
struct Read<C> {
    helo: Option<String>,
    sender: Option<Vec<u8>>,
    recipients: Vec<Vec<u8>>,
    content: C,
}

/// A mail that could not be had: its name, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) name: Option<String>,
    pub(super) reason: String,
}

impl<C: Clone> Mails<C> {
    /// `number`: how often a single mail is sent. Several are sent once each, unless it is for `ever`.
    pub(super) fn new(
        envelopes: Arc<Envelopes>,
        mut origins: Vec<Origin>,
        make: fn(&[u8]) -> Result<C, String>,
        number: u64,
        ever: bool,
        shuffle: bool,
    ) -> Self {
        if shuffle {
            fastrand::shuffle(&mut origins);
        }
        let left = if origins.len() == 1 { number } else { origins.len() as u64 };
        Self { envelopes, origins, make, left: (!ever).then_some(left), sent: 0, kept: None }
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Option<Result<Mail<C>, Unreadable>> {
        match &mut self.left {
            Some(0) => return None,
            Some(left) => *left -= 1,
            None => {}
        }
        let turn = self.sent;
        self.sent += 1;
        let origin = self.origins.get(turn % self.origins.len().max(1))?;
        let name = origin.name();
        let read = match &self.kept {
            Some(kept) => kept.clone(),
            None => match self.read(origin, turn) {
                Ok(read) => read,
                Err(reason) => return Some(Err(Unreadable { name, reason })),
            },
        };
        if self.origins.len() == 1 && !matches!(origin, Origin::Generated(_)) {
            self.kept.get_or_insert_with(|| read.clone());
        }
        let envelopes = &self.envelopes;
        let recipients = |texts: &[String]| texts.iter().map(|text| in_brackets(text.as_bytes())).collect();
        let recipients = match (&envelopes.forced_recipients[..], read.recipients) {
            ([], own) if own.is_empty() => recipients(&envelopes.recipients),
            ([], own) => own,
            (forced, _) => recipients(forced),
        };
        let forced = envelopes.forced_sender.as_ref().map(|text| in_brackets(text.as_bytes()));
        Some(Ok(Mail {
            name,
            helo: read.helo.unwrap_or_else(|| envelopes.helo.clone()),
            sender: forced.or(read.sender).unwrap_or_else(|| envelopes.sender(turn)),
            recipients,
            content: read.content,
        }))
    }

    fn read(&self, origin: &Origin, turn: usize) -> Result<Read<C>, String> {
        let of_file = |path: &Path| {
            fs::read(path).map_err(|error| format!("Loading from {} failed.: {error}", path.display()))
        };
        let data = match origin {
            Origin::Generated(lines) => {
                let envelopes = &self.envelopes;
                let sender = envelopes.forced_sender.clone();
                let sender = sender.unwrap_or_else(|| envelopes.sender_text(turn).to_owned());
                let recipients = match &envelopes.forced_recipients[..] {
                    [] => &envelopes.recipients[..],
                    forced => forced,
                };
                let text = generated::mail(&envelopes.helo, &sender, recipients, *lines);
                let content = (self.make)(text.as_bytes())?;
                return Ok(Read { helo: None, sender: None, recipients: Vec::new(), content });
            }
            Origin::File(path) => of_file(path)?.into(),
            Origin::Input(data) => Arc::clone(data),
        };
        let data = without_mailbox_line(&data);
        let content = (self.make)(data)?;
        // What is no mail is sent all the same, with the envelope of the options.
        let message = Message::parse(data).unwrap_or_default();
        let named = |name: &'static str| {
            let of_name = message
                .headers
                .iter()
                .filter(move |header| header.name.eq_ignore_ascii_case(name.as_bytes()));
            of_name.map(|header| &header.value[..])
        };
        Ok(Read {
            helo: named("received").find_map(helo),
            sender: named("from").find_map(|value| address::list(value).into_iter().next()),
            recipients: named("to").chain(named("cc")).flat_map(address::list).collect(),
            content,
        })
    }
}

impl Envelopes {
    fn sender_text(&self, turn: usize) -> &str {
        self.senders.get(turn % self.senders.len().max(1)).map_or("", String::as_str)
    }

    fn sender(&self, turn: usize) -> Vec<u8> {
        in_brackets(self.sender_text(turn).as_bytes())
    }
}

impl Origin {
    fn name(&self) -> Option<String> {
        match self {
            Self::Generated(_) => None,
            Self::File(path) => Some(path.display().to_string()),
            Self::Input(_) => Some("-".to_owned()),
        }
    }
}

/// Who has sent it, as a `Received` header tells: the name behind `from`.
fn helo(received: &[u8]) -> Option<String> {
    let rest = received.strip_prefix(b"from ")?.trim_ascii_start();
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'.' | b'-');
    let name: Vec<u8> = rest.iter().take_while(is_name).copied().collect();
    String::from_utf8(name).ok().filter(|name| !name.is_empty())
}

/// Mailboxes have a line before the mail that is not its own.
fn without_mailbox_line(data: &[u8]) -> &[u8] {
    let line = data.iter().position(|byte| *byte == b'\n').filter(|_| data.starts_with(b"From "));
    line.map_or(data, |end| &data[end + 1..])
}

/// The mails that the arguments name: files, folders with all that is below them, `-` for standard input.
///
/// # Errors
///
/// What does not exist or cannot be read.
pub(super) fn origins(arguments: &[OsString], additional_lines: usize) -> Result<Vec<Origin>, String> {
    if arguments.is_empty() {
        return Ok(vec![Origin::Generated(additional_lines)]);
    }
    let mut origins = Vec::new();
    for argument in arguments {
        if argument.as_bytes() == b"-" {
            let mut data = Vec::new();
            let read = io::stdin().read_to_end(&mut data);
            read.map_err(|error| format!("Loading from - failed.: {error}"))?;
            origins.push(Origin::Input(data.into()));
        } else {
            let mut files = Vec::new();
            collect(argument, &mut files)
                .map_err(|error| format!("Loading from {} failed.: {error}", argument.display()))?;
            origins.extend(files.into_iter().map(Origin::File));
        }
    }
    if origins.is_empty() {
        let names: Vec<_> = arguments.iter().map(|argument| argument.display().to_string()).collect();
        return Err(format!("{}: expected mails, there is no file", names.join(", ")));
    }
    Ok(origins)
}

/// A file, or all that are below a folder, sorted.
fn collect(path: &OsStr, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.into());
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        // A link to a folder is left alone: it may lead back up.
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(entry.path().as_os_str(), files)?;
        } else if fs::metadata(entry.path())?.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelopes() -> Envelopes {
        Envelopes {
            helo: "client.test".to_owned(),
            senders: vec!["one@test".to_owned(), "two@test".to_owned()],
            forced_sender: None,
            recipients: vec!["to@test".to_owned()],
            forced_recipients: Vec::new(),
        }
    }

    fn mails(envelopes: Envelopes, origins: Vec<Origin>, number: u64) -> Mails<Vec<u8>> {
        Mails::new(Arc::new(envelopes), origins, |data| Ok(data.to_vec()), number, false, false)
    }

    fn all(mut mails: Mails<Vec<u8>>) -> Vec<Mail<Vec<u8>>> {
        std::iter::from_fn(|| mails.next()).map(Result::unwrap).collect()
    }

    fn input(text: &str) -> Origin {
        Origin::Input(text.as_bytes().into())
    }

    const FULL: &str = "From x Mon\nReceived: from mx1.example-a.net (x [1.2.3.4])\n\tby y\n\
        Received: from other\nFrom: A <a@x>\nTo: B <b@x>, c@x\nCC: d@x\n\nbody\n";

    #[test]
    fn a_mail_tells_its_envelope() {
        let sent = all(mails(envelopes(), vec![input(FULL)], 2));
        assert_eq!(sent.len(), 2);
        let mail = &sent[1];
        assert_eq!((mail.helo.as_str(), &mail.sender[..]), ("mx1.example-a.net", &b"<a@x>"[..]));
        assert_eq!(mail.recipients, [b"<b@x>", b"<c@x>", b"<d@x>"]);
        assert!(mail.content.starts_with(b"Received: from mx1"));
        assert_eq!(mail.name.as_deref(), Some("-"));
    }

    #[test]
    fn what_it_does_not_tell_the_options_do() {
        let sent = all(mails(envelopes(), vec![input("Subject: x\n\n")], 3));
        let senders: Vec<_> = sent.iter().map(|mail| &mail.sender[..]).collect();
        assert_eq!(senders, [b"<one@test>", b"<two@test>", b"<one@test>"]);
        assert_eq!(sent[0].recipients, [b"<to@test>"]);
        assert_eq!(sent[0].helo, "client.test");
        assert_eq!(all(mails(envelopes(), vec![input("no mail at all")], 1))[0].content, b"no mail at all");
    }

    #[test]
    fn force_beats_what_it_tells() {
        let forced = Envelopes {
            forced_sender: Some("f@test".to_owned()),
            forced_recipients: vec!["g@test".to_owned(), "<h@test>".to_owned()],
            ..envelopes()
        };
        let sent = all(mails(forced, vec![input(FULL)], 1));
        assert_eq!(sent[0].sender, b"<f@test>");
        assert_eq!(sent[0].recipients, [b"<g@test>", b"<h@test>"]);
    }

    #[test]
    fn several_are_sent_once_each_and_one_that_is_gone_is_told() {
        let gone = Origin::File("/nowhere/mail".into());
        let mut mails = mails(envelopes(), vec![gone, input(FULL), input("x")], 100);
        let first = mails.next().unwrap().unwrap_err();
        assert_eq!(first.name.as_deref(), Some("/nowhere/mail"));
        assert!(first.reason.starts_with("Loading from /nowhere/mail failed.: "), "{}", first.reason);
        assert_eq!(all(mails).len(), 2);
    }

    #[test]
    fn folders_are_walked_in_order() {
        let folder = std::env::temp_dir().join(format!("mails-{}", std::process::id()));
        fs::create_dir_all(folder.join("b/deep")).unwrap();
        for name in ["c", "a", "b/2", "b/1", "b/deep/x"] {
            fs::write(folder.join(name), "").unwrap();
        }
        let found = origins(&[folder.clone().into_os_string()], 0).unwrap();
        let names: Vec<_> = found.iter().filter_map(Origin::name).collect();
        let expected = ["a", "b/1", "b/2", "b/deep/x", "c"];
        assert_eq!(names, expected.map(|name| folder.join(name).display().to_string()));
        fs::remove_dir_all(&folder).unwrap();
        assert!(origins(&["/nowhere".into()], 0).unwrap_err().starts_with("Loading from /nowhere failed.: "));
    }
}
