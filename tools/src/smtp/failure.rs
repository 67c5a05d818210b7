//! Why a session came to nothing: the stage, what was expected, what came.

use std::fmt;

use super::reply::{Malformed, Reply};

/// What the server has to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its first words.
    Greeting,
    /// EHLO.
    Ehlo,
    /// HELO, to which a server falls back that does not know EHLO.
    Helo,
    /// STARTTLS.
    StartTls,
    /// The handshake behind it.
    Handshake,
    /// XCLIENT of Postfix.
    XClient,
    /// AUTH, and its challenges.
    Auth,
    /// MAIL.
    Mail,
    /// RCPT.
    Recipient,
    /// DATA.
    Data,
    /// The end of the message.
    EndOfMessage,
    /// QUIT.
    Quit,
}

impl Stage {
    /// The codes with which a server says yes.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Greeting | Self::StartTls | Self::XClient => "220",
            Self::Handshake => "TLS",
            Self::Ehlo | Self::Helo | Self::Mail | Self::Recipient | Self::EndOfMessage => "250",
            Self::Auth => "235",
            Self::Data => "354",
            Self::Quit => "221",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "greeting",
            Self::Ehlo => "EHLO",
            Self::Helo => "HELO",
            Self::StartTls => "STARTTLS",
            Self::Handshake => "TLS handshake",
            Self::XClient => "XCLIENT",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL",
            Self::Recipient => "RCPT",
            Self::Data => "DATA",
            Self::EndOfMessage => "end of message",
            Self::Quit => "QUIT",
        })
    }
}

/// Why there is no yes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server says no.
    #[error("{stage}: expected {}, came {reply}", stage.expected())]
    Refused {
        /// To what.
        stage: Stage,
        /// What it says.
        reply: Reply,
    },
    /// What it says is no SMTP.
    #[error("{stage}: expected {}, came {what}", stage.expected())]
    Malformed {
        /// Where.
        stage: Stage,
        /// What came.
        what: Malformed,
    },
    /// It has closed the connection.
    #[error("{stage}: expected {}, came the end of the connection", stage.expected())]
    Closed {
        /// Where.
        stage: Stage,
    },
    /// `--starttls=always`, and the server does not offer it.
    #[error(
        "EHLO: expected STARTTLS among what the server offers; use --starttls=disable for a session in clear text"
    )]
    NoStartTls,
    /// More came behind the yes to STARTTLS: somebody in between could have said it (CVE-2011-0411).
    #[error("STARTTLS: expected 220 and nothing behind it, came more in clear text")]
    TextBeforeTls,
    /// The server does not take XCLIENT from here.
    #[error(
        "EHLO: expected XCLIENT among what the server offers; smtpd_authorized_xclient_hosts of Postfix should have this host"
    )]
    NoXClient,
    /// The server offers no mechanism that will do.
    #[error("EHLO: expected AUTH {wanted} among what the server offers, came AUTH {offered}")]
    NoMechanism {
        /// Those that would do.
        wanted: String,
        /// Those that it offers.
        offered: String,
    },
    /// A challenge that has no answer.
    #[error("AUTH: expected 235, came a challenge that cannot be answered: {0}")]
    Challenge(Reply),
}
