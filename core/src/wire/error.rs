//! What can be wrong with what a peer sent.

use core::fmt;

use super::facts::{Stage, reply_name};

/// Who sent something that may not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Culprit {
    /// The MTA.
    Mta,
    /// A child milter.
    Child,
}

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mta => "the MTA",
            Self::Child => "the milter",
        })
    }
}

/// A frame that cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The length field says 0, so there is not even a letter.
    #[error("a frame of length 0")]
    Empty,
    /// The length field says more than is allowed.
    #[error("a frame of {length} bytes, at most {limit} are allowed")]
    TooLong {
        /// What it says, in bytes.
        length: u32,
        /// What is allowed.
        limit: usize,
    },
    /// The first bytes are those of another protocol.
    #[error("this looks like {0}, not like the milter protocol")]
    Foreign(&'static str),
    /// No such command or reply.
    #[error("unknown letter {}", Letter(*.0))]
    UnknownLetter(u8),
    /// The payload ends too early.
    #[error("{} without {missing}", Letter(*letter))]
    Truncated {
        /// Of which frame.
        letter: u8,
        /// What was expected next.
        missing: &'static str,
    },
    /// Bytes are left after what belongs to the frame.
    #[error("{} with {extra} bytes too many", Letter(*letter))]
    Trailing {
        /// Of which frame.
        letter: u8,
        /// How many.
        extra: usize,
    },
    /// CONNECT names an address family that does not exist.
    #[error("CONNECT with unknown address family {}", Letter(*.0))]
    Family(u8),
    /// A number is out of range.
    #[error("{} with {what} {value}, which is out of range", Letter(*letter))]
    Range {
        /// Of which frame.
        letter: u8,
        /// Which number.
        what: &'static str,
        /// Its value.
        value: u32,
    },
    /// A reply text does not start with a 4xx or 5xx code.
    #[error("a reply text that does not begin with a 4xx or 5xx code")]
    ReplyCode,
}

/// A letter with its name, printable whatever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letter(pub u8);

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_ascii_graphic() {
            write!(f, "'{}'", char::from(self.0))?;
        } else {
            write!(f, "0x{:02x}", self.0)?;
        }
        let name = match self.0 {
            super::facts::letter::MACRO => Some("macro"),
            super::facts::letter::ABORT => Some("abort"),
            super::facts::letter::QUIT => Some("quit"),
            super::facts::letter::QUIT_NC => Some("quit, connection stays"),
            letter => Stage::of_letter(letter).map(Stage::name).or_else(|| reply_name(letter)),
        };
        name.map_or(Ok(()), |name| write!(f, " ({name})"))
    }
}

/// A peer broke the protocol: who, where, what was expected and what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A frame that cannot be understood.
    #[error("{culprit} sent {error}, expected {expected}")]
    Frame {
        /// Who.
        culprit: Culprit,
        /// What was expected.
        expected: &'static str,
        /// What came.
        error: WireError,
    },
    /// A frame that is well formed and not allowed now.
    #[error("{culprit} sent {}, expected {expected}", Letter(*came))]
    OutOfTurn {
        /// Who.
        culprit: Culprit,
        /// What was expected.
        expected: &'static str,
        /// What came.
        came: u8,
    },
    /// A reply that is not allowed at this stage.
    #[error("the milter replied {} to {stage}, expected {expected}", Letter(*came))]
    Reply {
        /// To what.
        stage: Stage,
        /// What was expected.
        expected: &'static str,
        /// What came.
        came: u8,
    },
    /// A negotiation that does not fit the offer.
    #[error("{culprit} negotiated {what} {came:#x}, expected {expected:#x}")]
    Negotiation {
        /// Who.
        culprit: Culprit,
        /// Version or actions.
        what: &'static str,
        /// What was possible.
        expected: u32,
        /// What came.
        came: u32,
    },
    /// More of something than one message may have.
    #[error("the milter sent more {what} than the {limit} that are allowed")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}
