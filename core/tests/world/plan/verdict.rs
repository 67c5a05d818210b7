//! What replies and fallbacks mean.

use super::{Fallback, Frame};

/// The text of a temporary failure with which the SMTP connection ends; what follows in it is free.
pub(crate) const SHUTDOWN: &[u8] = b"421 4.7.0 ";

/// What a child says about what it was shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Go,
    Skip,
    Accept,
    /// A condition hid it from the child.
    Stopped,
    Refuse(Frame),
    /// Timing: the child did not get this far.
    Cut,
}

/// What a verdict is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Message,
    Session,
}

impl Verdict {
    pub(crate) fn of((letter, payload): &Frame) -> Self {
        match letter {
            b'c' => Self::Go,
            b's' => Self::Skip,
            b'a' => Self::Accept,
            b'4' => Self::Refuse((b'y', SHUTDOWN.to_vec())),
            _ => Self::Refuse((*letter, payload.strip_suffix(b"\0").unwrap_or(payload).to_vec())),
        }
    }

    /// What a child has no part in any more that says this of a command.
    pub(crate) fn ends(&self, letter: u8) -> Option<Ends> {
        match (letter, self) {
            (b'U', _) | (_, Self::Cut) => None,
            (b'E', _) => Some(Ends::Message),
            (_, Self::Go | Self::Skip) => None,
            // There is nothing yet that could be thrown away.
            (b'C' | b'H', Self::Refuse((b'd', _))) => None,
            (b'C' | b'H', _) => Some(Ends::Session),
            // That is only about the recipient.
            (b'R', Self::Stopped | Self::Refuse((b'r' | b't' | b'y', _))) => None,
            _ => Some(Ends::Message),
        }
    }

    /// What it says against what was shown.
    pub(crate) fn refusal(self) -> Option<Frame> {
        if let Self::Refuse(frame) = self { Some(frame) } else { None }
    }
}

impl Fallback {
    /// The reply that it stands for, unless the mail goes on.
    pub(crate) fn frame(self) -> Option<Frame> {
        match self {
            Self::Accept | Self::Quarantine => None,
            Self::TemporaryFailure => Some(plain(b't')),
            Self::Reject => Some(plain(b'r')),
            Self::Discard => Some(plain(b'd')),
            Self::Shutdown => Some((b'y', SHUTDOWN.to_vec())),
        }
    }
}

/// A reply without anything behind its letter.
pub(crate) fn plain(letter: u8) -> Frame {
    (letter, Vec::new())
}
