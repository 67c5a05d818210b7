//! What came of a dialogue.

use std::fmt;

use millstream_core::wire::{Edit, Final, Negotiation, Stage};

/// The verdict of a milter, in the words of milter manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// No objection.
    #[default]
    Pass,
    /// Accepted, and not asked any more.
    Accept,
    /// Refused for good.
    Reject,
    /// To be thrown away.
    Discard,
    /// Refused for now.
    TemporaryFailure,
    /// The MTA is to end the SMTP session (`4`).
    Abort,
    /// The milter says that it cannot go on (`f`).
    Error,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Pass,
        Self::Accept,
        Self::Reject,
        Self::Discard,
        Self::TemporaryFailure,
        Self::Abort,
        Self::Error,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Discard => "discard",
            Self::TemporaryFailure => "temporary-failure",
            Self::Abort => "abort",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The SMTP reply that a milter chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyCode {
    /// The three digits, 0 when there are none.
    pub code: u16,
    /// The enhanced status code (RFC 3463), `5.7.1`.
    pub extended: Option<String>,
    /// The text behind them.
    pub text: Option<String>,
}

impl ReplyCode {
    /// Takes `554 5.7.1 text` apart.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let whole = String::from_utf8_lossy(bytes);
        let (code, rest) = whole.split_once([' ', '-']).unwrap_or((&whole, ""));
        let (first, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        let is_extended = first.split('.').count() == 3
            && first
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        let (extended, text) = if is_extended { (Some(first.to_owned()), behind) } else { (None, rest) };
        let text = (!text.is_empty()).then(|| text.to_owned());
        Self { code: code.parse().unwrap_or(0), extended, text }
    }

    /// What it means: 4xx is for now, everything else for good.
    #[must_use]
    pub const fn status(&self) -> Status {
        if self.code >= 400 && self.code < 500 { Status::TemporaryFailure } else { Status::Reject }
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_null = |part: &Option<String>| part.clone().unwrap_or_else(|| "(null)".to_owned());
        write!(f, "[{}]<{}>({})", self.code, or_null(&self.extended), or_null(&self.text))
    }
}

/// What came of a dialogue that did not break.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The verdict.
    pub status: Status,
    /// The SMTP reply, where the milter chose one and it decides.
    pub reply_code: Option<ReplyCode>,
    /// The edits in their order, quarantine left out.
    pub edits: Vec<Edit>,
    /// Why the message is to be held.
    pub quarantine: Option<Vec<u8>>,
    /// What the milter answered to the offer.
    pub negotiated: Negotiation,
    /// Its answers, in their order.
    pub answers: Vec<(Stage, &'static str)>,
}

impl Outcome {
    /// Takes a refusal or another last word.
    pub(crate) fn conclude(&mut self, verdict: &Final) {
        self.reply_code = None;
        self.status = match verdict {
            Final::Continue | Final::Skip => Status::Pass,
            Final::Accept => Status::Accept,
            Final::Discard => Status::Discard,
            Final::Reject => Status::Reject,
            Final::TemporaryFailure => Status::TemporaryFailure,
            Final::Shutdown => Status::Abort,
            Final::ConnectionFailure => Status::Error,
            Final::ReplyCode(text) => {
                let reply_code = ReplyCode::parse(text);
                let status = reply_code.status();
                self.reply_code = Some(reply_code);
                status
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_code_is_shown_in_its_parts() {
        let shown = |text: &str| ReplyCode::parse(text.as_bytes()).to_string();
        assert_eq!(shown("554 5.7.1 1% 2%% 3%%%"), "[554]<5.7.1>(1% 2%% 3%%%)");
        assert_eq!(shown("451 Greylisting"), "[451]<(null)>(Greylisting)");
        assert_eq!(shown("550"), "[550]<(null)>((null))");
        assert_eq!(shown("nonsense"), "[0]<(null)>((null))");
    }
}
