//! An SMTP client that keeps every reply.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::message::Message;

/// How long one SMTP reply may take. Above every limit of Postfix that a test could run into.
const REPLY_LIMIT: Duration = Duration::from_secs(200);

/// One SMTP reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The three digits of its last line. 0 when the server closed the connection instead.
    pub code: u16,
    /// All lines without CRLF.
    pub lines: Vec<String>,
}

impl Reply {
    /// Whether the server agreed (2xx or 3xx).
    #[must_use]
    pub fn is_positive(&self) -> bool {
        (200..400).contains(&self.code)
    }

    /// All lines, joined.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// The queue id in Postfix' `queued as ID`, or in Sendmail's `ID Message accepted for delivery`.
    #[must_use]
    pub fn queue_id(&self) -> Option<String> {
        let text = self.text();
        if let Some((_, id)) = text.split_once("queued as ") {
            return Some(id.trim().to_owned());
        }
        let (before, _) = text.split_once(" Message accepted for delivery")?;
        before.rsplit(' ').next().map(str::to_owned)
    }
}

/// The replies to one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// To MAIL.
    pub mail: Reply,
    /// To each RCPT.
    pub recipients: Vec<Reply>,
    /// To DATA, when it was sent.
    pub data: Option<Reply>,
    /// To the end of the message, when it was sent.
    pub end: Option<Reply>,
}

impl Exchange {
    /// The last reply, which decided.
    #[must_use]
    pub fn last(&self) -> &Reply {
        self.end.as_ref().or(self.data.as_ref()).or(self.recipients.last()).unwrap_or(&self.mail)
    }

    /// The queue id of a message that was taken.
    ///
    /// # Panics
    /// When it was not.
    #[must_use]
    #[track_caller]
    pub fn queue_id(&self) -> String {
        self.last().queue_id().unwrap_or_else(|| panic!("not queued: {self:?}"))
    }
}

/// One SMTP connection.
#[derive(Debug)]
pub struct Smtp {
    reader: BufReader<TcpStream>,
    /// The server's first words.
    pub greeting: Reply,
}

impl Smtp {
    /// Connects, reads the greeting and says EHLO.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn open(server: SocketAddr) -> Self {
        let mut smtp = Self::connect(server);
        smtp.command("EHLO client.example.org");
        smtp
    }

    /// Connects and reads the greeting.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).expect("the MTA listens");
        stream.set_read_timeout(Some(REPLY_LIMIT)).expect("a limit can be set");
        stream.set_nodelay(true).expect("a socket option can be set");
        let mut smtp =
            Self { reader: BufReader::new(stream), greeting: Reply { code: 0, lines: Vec::new() } };
        smtp.greeting = smtp.reply();
        smtp
    }

    /// Sends one line and reads the reply.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn command(&mut self, line: &str) -> Reply {
        self.write(format!("{line}\r\n").as_bytes());
        self.reply()
    }

    /// Sends bytes as they are. A connection that the server has closed shows in the next reply.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.reader.get_mut().write_all(bytes);
    }

    /// Sends a message: MAIL, each RCPT and, when any recipient was taken, the content.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn send(&mut self, message: &Message) -> Exchange {
        let mut exchange = self.envelope(message);
        if exchange.data.as_ref().is_some_and(Reply::is_positive) {
            exchange.end = Some(self.content(&message.data));
        }
        exchange
    }

    /// Sends the part of a message up to DATA.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn envelope(&mut self, message: &Message) -> Exchange {
        let mail = self.command(&format!("MAIL FROM:{}{}", message.sender, message.mail_arguments));
        let mut exchange = Exchange { mail, recipients: Vec::new(), data: None, end: None };
        if exchange.mail.is_positive() {
            for recipient in &message.recipients {
                let reply = self.command(&format!("RCPT TO:{recipient}"));
                exchange.recipients.push(reply);
            }
            if exchange.recipients.iter().any(Reply::is_positive) {
                exchange.data = Some(self.command("DATA"));
            }
        }
        exchange
    }

    /// Sends header and body, dot-stuffed, and the end of the message.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn content(&mut self, data: &[u8]) -> Reply {
        self.write(&stuffed(data));
        self.write(b".\r\n");
        self.reply()
    }

    /// Hangs up in the middle of things, and waits until the server has noticed and closed its end. Gives the replies that
    /// were still to come.
    ///
    /// Only the client's half is closed first. A socket that is closed with a reply unread in it sends a reset instead of
    /// an end, and a reset takes from the server what it has not read yet: what was sent last would then be seen or not,
    /// as it happens.
    ///
    /// # Panics
    /// When the server does not close.
    pub fn hang_up(mut self) -> Vec<Reply> {
        // A server that has closed already has nothing to be told.
        let _ = self.reader.get_ref().shutdown(Shutdown::Write);
        let mut replies = Vec::new();
        loop {
            let reply = self.reply();
            if reply.code == 0 {
                return replies;
            }
            replies.push(reply);
        }
    }

    /// Reads one reply.
    ///
    /// # Panics
    /// When none comes in time.
    pub fn reply(&mut self) -> Reply {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            match self.reader.read_until(b'\n', &mut line) {
                Ok(0) => return Reply { code: 0, lines },
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Reply { code: 0, lines };
                }
                Err(error) => panic!("no reply from the MTA: {error}"),
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let more = line.as_bytes().get(3) == Some(&b'-');
            lines.push(line);
            if let (Some(code), false) = (code, more) {
                return Reply { code, lines };
            }
        }
    }
}

/// Doubles the dot at the start of a line.
fn stuffed(data: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(data.len() + 16);
    let mut starts = true;
    for line in data.split_inclusive(|&byte| byte == b'\n') {
        if starts && line.first() == Some(&b'.') {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
        starts = line.ends_with(b"\r\n");
    }
    stuffed
}
