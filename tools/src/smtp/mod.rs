//! An SMTP client for one mail, without sockets and clock (RFC 5321).
//!
//! ```text
//!  greeting -> EHLO -> STARTTLS -> handshake -> EHLO -> XCLIENT -> EHLO -> AUTH* -> MAIL -> RCPT* -> DATA -> content -> QUIT -> over
//!                |        |           |                    |                |       |       |        |         |         ^
//!                +> HELO  +-----------+--------------------+---- any no ----+-------+-------+--------+---------+---------+
//! ```
//!
//! Each command waits for the reply to the one before: a reply decides what is said next, and what a milter does to it is
//! what is measured. The first no decides the mail, that to one of several recipients, too.

pub mod auth;
pub mod failure;
pub mod reply;

use std::net::IpAddr;
use std::sync::Arc;

pub use auth::{Login, Mechanism};
pub use failure::{Failure, Stage};
pub use reply::{Malformed, Replies, Reply};

/// As much may come before it is asked for: a server that says more has lost its way.
const UNASKED_LIMIT: usize = 1 << 20;

/// Whether a session is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StartTls {
    /// If the server offers it.
    #[default]
    Auto,
    /// Or there is no session.
    Always,
    /// Not even if the server offers it.
    Disable,
}

/// Whom the server is to take for its client: `XCLIENT` of Postfix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct XClient {
    /// `NAME`.
    pub name: Option<String>,
    /// `ADDR`.
    pub address: Option<IpAddr>,
}

/// How all sessions of a run go, up to the mail.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// Encryption.
    pub starttls: StartTls,
    /// Another client.
    pub xclient: Option<XClient>,
    /// Authentication.
    pub login: Option<Login>,
}

/// A mail with its envelope.
#[derive(Debug, Clone)]
pub struct Letter {
    /// What is said in EHLO.
    pub helo: String,
    /// The sender, in angle brackets.
    pub sender: Vec<u8>,
    /// The recipients, in angle brackets.
    pub recipients: Vec<Vec<u8>>,
    /// All behind DATA, as [`content`] makes it.
    pub content: Arc<[u8]>,
}

/// What the server offers, of what is wanted here.
#[derive(Debug, Clone, Default)]
struct Offered {
    starttls: bool,
    xclient: bool,
    auth: String,
}

/// A session.
#[derive(Debug)]
pub struct Session {
    manners: Arc<Manners>,
    letter: Letter,
    stage: Stage,
    offered: Offered,
    is_encrypted: bool,
    is_introduced: bool,
    mechanism: Mechanism,
    /// Challenges answered.
    step: usize,
    /// The recipient that is asked for.
    recipient: usize,
    replies: Replies,
    /// A reply that came before the content was sent.
    early: Option<Reply>,
    /// The command under way.
    line: Vec<u8>,
    /// How much of it, or of the content, is written.
    written: usize,
    fate: Option<Result<(), Failure>>,
    is_over: bool,
}

impl Session {
    /// Begins by waiting for the greeting.
    #[must_use]
    pub fn new(manners: Arc<Manners>, letter: Letter) -> Self {
        Self {
            manners,
            letter,
            stage: Stage::Greeting,
            offered: Offered::default(),
            is_encrypted: false,
            is_introduced: false,
            mechanism: Mechanism::Plain,
            step: 0,
            recipient: 0,
            replies: Replies::default(),
            early: None,
            line: Vec::new(),
            written: 0,
            fate: None,
            is_over: false,
        }
    }

    /// What is to be written next.
    #[must_use]
    pub fn transmit(&self) -> &[u8] {
        if self.line.is_empty() && self.stage == Stage::EndOfMessage {
            self.letter.content.get(self.written..).unwrap_or_default()
        } else {
            self.line.get(self.written..).unwrap_or_default()
        }
    }

    /// `n` bytes of it were written.
    pub fn wrote(&mut self, n: usize) {
        self.written += n;
        if !self.line.is_empty() && self.written >= self.line.len() {
            self.line.clear();
            self.written = 0;
        }
        self.advance();
    }

    /// Bytes came from the server.
    pub fn receive(&mut self, data: &[u8]) {
        self.replies.receive(data);
        if self.replies.waiting() > UNASKED_LIMIT {
            return self.break_off(Failure::Malformed { stage: self.stage, what: Malformed::ManyLines });
        }
        self.advance();
    }

    /// The server has closed the connection.
    pub fn closed(&mut self) {
        // It may have said why.
        if let Some(reply) = self.early.take().or_else(|| self.replies.poll().ok().flatten())
            && self.fate.is_none()
        {
            self.hear(reply);
        }
        self.break_off(Failure::Closed { stage: self.stage });
    }

    /// Whether nothing more can be said before the connection is encrypted.
    #[must_use]
    pub fn wants_tls(&self) -> bool {
        self.stage == Stage::Handshake && !self.is_over
    }

    /// The connection is encrypted from here on.
    pub fn secured(&mut self) {
        self.is_encrypted = true;
        self.greet();
    }

    /// What became of the mail, once that is known.
    #[must_use]
    pub const fn fate(&self) -> Option<&Result<(), Failure>> {
        self.fate.as_ref()
    }

    /// Whether nothing is left to be said or heard.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// What the server has to answer.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Bytes of the message.
    #[must_use]
    pub fn size(&self) -> usize {
        self.letter.content.len()
    }

    fn advance(&mut self) {
        while !self.is_over && self.stage != Stage::Handshake {
            let is_sending = !self.transmit().is_empty();
            // Who refuses a message in the middle of it is heard at once.
            if is_sending && (self.stage != Stage::EndOfMessage || self.early.is_some()) {
                return;
            }
            let reply = match self.early.take() {
                Some(reply) => reply,
                None => match self.replies.poll() {
                    Ok(Some(reply)) => reply,
                    Ok(None) => return,
                    Err(what) => return self.break_off(Failure::Malformed { stage: self.stage, what }),
                },
            };
            if !is_sending {
                self.hear(reply);
            } else if reply.is_permanent() || reply.is_temporary() {
                self.break_off(Failure::Refused { stage: self.stage, reply });
            } else {
                self.early = Some(reply);
            }
        }
    }

    /// Takes the reply to what was said last.
    fn hear(&mut self, reply: Reply) {
        match (self.stage, reply.code) {
            (Stage::Greeting, 220) => self.greet(),
            (Stage::Ehlo, 250) => {
                self.offered = Offered::of(&reply);
                self.introduce();
            }
            (Stage::Ehlo, 500..=599) => self.say(Stage::Helo, format!("HELO {}", self.letter.helo)),
            (Stage::Helo, 250) => {
                self.offered = Offered::default();
                self.introduce();
            }
            (Stage::StartTls, 220) if self.replies.has_more() => self.break_off(Failure::TextBeforeTls),
            (Stage::StartTls, 220) => self.stage = Stage::Handshake,
            (Stage::XClient, 220) => {
                self.is_introduced = true;
                self.greet();
            }
            (Stage::Auth, 235) => self.send(),
            (Stage::Auth, 334) => self.answer(reply),
            (Stage::Mail, 250) => self.ask_for_recipient(),
            (Stage::Recipient, 250..=252) => {
                self.recipient += 1;
                self.ask_for_recipient();
            }
            (Stage::Data, 354) => {
                self.stage = Stage::EndOfMessage;
                self.written = 0;
            }
            (Stage::EndOfMessage, 250) => self.conclude(Ok(())),
            (Stage::Quit, _) => self.is_over = true,
            // The server closes behind this one.
            (stage, 421) => self.break_off(Failure::Refused { stage, reply }),
            (stage, _) => self.conclude(Err(Failure::Refused { stage, reply })),
        }
    }

    fn greet(&mut self) {
        self.say(Stage::Ehlo, format!("EHLO {}", self.letter.helo));
    }

    /// What comes between EHLO and the mail: encryption, the other client, authentication.
    fn introduce(&mut self) {
        if !self.is_encrypted && self.manners.starttls != StartTls::Disable {
            if self.offered.starttls {
                return self.say(Stage::StartTls, "STARTTLS".to_owned());
            }
            if self.manners.starttls == StartTls::Always {
                return self.conclude(Err(Failure::NoStartTls));
            }
        }
        if let Some(xclient) = self.manners.xclient.as_ref().filter(|_| !self.is_introduced) {
            if !self.offered.xclient {
                return self.conclude(Err(Failure::NoXClient));
            }
            return self.say(Stage::XClient, xclient.command());
        }
        let Some(login) = &self.manners.login else { return self.send() };
        let offers = |mechanism: &&Mechanism| {
            self.offered.auth.split_whitespace().any(|offered| offered.eq_ignore_ascii_case(mechanism.name()))
        };
        let wanted = login.mechanism.as_ref().map_or(&Mechanism::ALL[..], std::slice::from_ref);
        match wanted.iter().find(offers) {
            Some(mechanism) => {
                self.mechanism = *mechanism;
                let command = login.command(*mechanism);
                self.say(Stage::Auth, command);
            }
            None => {
                let wanted: Vec<_> = wanted.iter().map(|mechanism| mechanism.name()).collect();
                let offered = Some(self.offered.auth.trim()).filter(|offered| !offered.is_empty());
                self.conclude(Err(Failure::NoMechanism {
                    wanted: wanted.join(" or "),
                    offered: offered.unwrap_or("of no kind").to_owned(),
                }));
            }
        }
    }

    fn answer(&mut self, challenge: Reply) {
        let text = challenge.lines.first().map_or("", String::as_str);
        let login = self.manners.login.as_ref();
        match login.and_then(|login| login.answer(self.mechanism, self.step, text)) {
            Some(answer) => {
                self.step += 1;
                self.say(Stage::Auth, answer);
            }
            None => self.break_off(Failure::Challenge(challenge)),
        }
    }

    fn send(&mut self) {
        let command = [b"MAIL FROM:", &self.letter.sender[..]].concat();
        self.say(Stage::Mail, command);
    }

    fn ask_for_recipient(&mut self) {
        match self.letter.recipients.get(self.recipient) {
            Some(recipient) => self.say(Stage::Recipient, [b"RCPT TO:", &recipient[..]].concat()),
            None => self.say(Stage::Data, "DATA".to_owned()),
        }
    }

    fn say(&mut self, stage: Stage, command: impl Into<Vec<u8>>) {
        self.stage = stage;
        self.line = command.into();
        self.line.extend_from_slice(b"\r\n");
        self.written = 0;
    }

    /// The fate of the mail is known; the server is told good-bye.
    fn conclude(&mut self, fate: Result<(), Failure>) {
        self.fate.get_or_insert(fate);
        self.say(Stage::Quit, "QUIT".to_owned());
    }

    /// It is, or was already, and nothing more can be said.
    fn break_off(&mut self, failure: Failure) {
        self.fate.get_or_insert(Err(failure));
        self.is_over = true;
    }
}

impl Offered {
    fn of(reply: &Reply) -> Self {
        let mut offered = Self::default();
        for line in reply.lines.iter().skip(1) {
            // Some servers say AUTH=PLAIN, for clients of the last century.
            let (word, rest) = line.split_once([' ', '=']).unwrap_or((line, ""));
            match word.to_ascii_uppercase().as_str() {
                "STARTTLS" => offered.starttls = true,
                "XCLIENT" => offered.xclient = true,
                "AUTH" => offered.auth = format!("{} {rest}", offered.auth),
                _ => {}
            }
        }
        offered
    }
}

impl XClient {
    fn command(&self) -> String {
        let mut command = "XCLIENT".to_owned();
        if let Some(name) = &self.name {
            command += &format!(" NAME={}", xtext(name));
        }
        match self.address {
            Some(IpAddr::V4(address)) => command += &format!(" ADDR={address}"),
            Some(IpAddr::V6(address)) => command += &format!(" ADDR=IPV6:{address}"),
            None => {}
        }
        command
    }
}

/// As XCLIENT has values (RFC 1891): what is not printable, `+` and `=` in hexadecimal digits.
fn xtext(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'+' && byte != b'=';
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("+{byte:02X}") })
        .collect()
}

/// A message as it goes over the wire behind DATA: each line with CRLF, a dot before a dot, and the dot at the end.
#[must_use]
pub fn content(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + message.len() / 32 + 8);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}
