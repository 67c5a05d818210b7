//! Which command may follow which: one table for both ends of a connection.
//!
//! ```text
//!             O                M                 T           L             N          B
//!  Greeting -----> Idle(C,H,U) ----> Envelope(R) ----> Data ----> Headers ----> Ended ----> Body
//!                   ^   ^   ^             |              |            |            |           |
//!                   |   |   +---- A, H ---+------ A -----+-----+------+---- A -----+----- A ---+
//!                   |   +---------------------- E (from Envelope on) --------------------------+
//!                   +--- K: next is C                        Q from anywhere: Closed
//! ```
//!
//! Stages that were negotiated away are passed over. A second HELO or MAIL inside the envelope ends the message that
//! was open: Sendmail sends no ABORT there, Postfix sends it afterwards.

use crate::wire::facts::{Protocol, Stage, letter};

/// Where a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Conversation {
    /// Nothing has been said.
    Greeting,
    /// Between messages.
    Idle,
    /// After MAIL.
    Envelope,
    /// After DATA.
    Data,
    /// After a header.
    Headers,
    /// After the end of headers.
    Ended,
    /// After a body chunk.
    Body,
    /// After QUIT.
    Closed,
}

impl Conversation {
    /// Where a command leads, `None` when it is not allowed here. `skipped` are the negotiated bits.
    pub(crate) fn after(self, command: u8, skipped: Protocol) -> Option<Self> {
        use Conversation::{Body, Closed, Data, Ended, Envelope, Greeting, Headers, Idle};

        if self == Closed {
            return None;
        }
        if command == letter::QUIT {
            return Some(Closed);
        }
        let Some(stage) = Stage::of_letter(command) else {
            return match command {
                letter::MACRO if self != Greeting => Some(self),
                letter::ABORT | letter::QUIT_NC if self != Greeting => Some(Idle),
                _ => None,
            };
        };
        if stage == Stage::Negotiate {
            return (self == Greeting).then_some(Idle);
        }
        // Who is not sent MAIL enters the envelope with whatever comes next.
        let here = if self == Idle && stage > Stage::Mail && skipped.has(Protocol::NO_MAIL) {
            Envelope
        } else {
            self
        };
        let may = |first: Self, last: Self| here >= first && here <= last;
        match stage {
            Stage::Connect => (here == Idle).then_some(Idle),
            Stage::Helo => may(Idle, Envelope).then_some(Idle),
            Stage::Mail => may(Idle, Envelope).then_some(Envelope),
            Stage::Rcpt => (here == Envelope).then_some(Envelope),
            Stage::Data => (here == Envelope).then_some(Data),
            Stage::Unknown => may(Idle, Body).then_some(self),
            Stage::Header => may(Envelope, Headers).then_some(Headers),
            Stage::EndOfHeaders => may(Envelope, Headers).then_some(Ended),
            Stage::Body => may(Envelope, Body).then_some(Body),
            Stage::EndOfMessage => may(Envelope, Body).then_some(Idle),
            Stage::Negotiate => None,
        }
    }

    /// Whether a header may come, whatever is skipped.
    pub(crate) const fn takes_headers(self) -> bool {
        matches!(self, Self::Envelope | Self::Data | Self::Headers)
    }

    /// Whether a message is open.
    pub(crate) const fn in_message(self) -> bool {
        matches!(self, Self::Envelope | Self::Data | Self::Headers | Self::Ended | Self::Body)
    }

    /// What may come here, for messages to people.
    pub(crate) const fn expected(self) -> &'static str {
        match self {
            Self::Greeting => "a negotiation",
            Self::Idle => "connect, helo, mail, unknown, abort or quit",
            Self::Envelope => "a recipient, data, content, abort or quit",
            Self::Data => "a header, the end of headers, body, end of message, abort or quit",
            Self::Headers => "a header, the end of headers, body, end of message, abort or quit",
            Self::Ended | Self::Body => "body, end of message, abort or quit",
            Self::Closed => "nothing after quit",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Conversation; 7] = [
        Conversation::Greeting,
        Conversation::Idle,
        Conversation::Envelope,
        Conversation::Data,
        Conversation::Headers,
        Conversation::Ended,
        Conversation::Body,
    ];

    /// Section 8 of the protocol description as a picture: a row per state, a column per command.
    #[test]
    fn every_cell_of_the_transition_table() {
        let commands = b"OCHMRTULNBEADKQ";
        let rows: [&str; 7] = [
            "I.............x",
            ".IIE..I....IIIx",
            "..IEEDEHNBIIEIx",
            "......DHNBIIDIx",
            "......HHNBIIHIx",
            "......N..BIINIx",
            "......B..BIIBIx",
        ];
        for (state, row) in ALL.iter().zip(rows) {
            for (command, cell) in commands.iter().zip(row.chars()) {
                let expected = match cell {
                    'I' => Some(Conversation::Idle),
                    'E' => Some(Conversation::Envelope),
                    'D' => Some(Conversation::Data),
                    'H' => Some(Conversation::Headers),
                    'N' => Some(Conversation::Ended),
                    'B' => Some(Conversation::Body),
                    'x' => Some(Conversation::Closed),
                    _ => None,
                };
                let came = state.after(*command, Protocol::NONE);
                assert_eq!(came, expected, "{state:?} then {}", char::from(*command));
            }
        }
    }

    #[test]
    fn nothing_follows_quit() {
        for command in b"OCHMRTULNBEADKQ" {
            assert_eq!(Conversation::Closed.after(*command, Protocol::ALL), None);
        }
    }

    #[test]
    fn who_is_not_sent_mail_enters_the_envelope_with_the_recipient() {
        assert_eq!(Conversation::Idle.after(b'R', Protocol::NO_MAIL), Some(Conversation::Envelope));
        assert_eq!(Conversation::Idle.after(b'E', Protocol::NO_MAIL), Some(Conversation::Idle));
        assert_eq!(Conversation::Idle.after(b'R', Protocol::NONE), None);
    }
}
