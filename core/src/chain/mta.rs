//! Which MTA is in front, and how long it waits.

use core::time::Duration;

use crate::limits::Limits;
use crate::message::HeaderRules;
use crate::wire::{Macros, Stage};

/// What we stay below an MTA's own limit: the time that an answer may take on its way, and some.
const MARGIN: Duration = Duration::from_secs(3);

/// The MTA, as its macro `v` tells: Postfix sends it with CONNECT by default, Sendmail does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MtaKind {
    /// `v` names it.
    Postfix,
    /// Anything else: Sendmail, or who behaves like it. Its limits are the stricter ones.
    Other,
}

impl MtaKind {
    pub(super) fn of(macros: &Macros) -> Self {
        Self::of_version(macros.version().unwrap_or_default())
    }

    /// The MTA that says this of itself.
    pub(super) fn of_version(version: &[u8]) -> Self {
        let names_postfix = version.windows(7).any(|word| word.eq_ignore_ascii_case(b"postfix"));
        if names_postfix { Self::Postfix } else { Self::Other }
    }

    /// Which header an edit means to it.
    pub(super) const fn header_rules(self) -> HeaderRules {
        match self {
            Self::Postfix => HeaderRules::Postfix,
            Self::Other => HeaderRules::Sendmail,
        }
    }

    /// How long the MTA waits for the answer to a command, less a margin, unless the administrator knows better.
    /// Postfix: `milter_command_timeout` 30 s, `milter_content_timeout` 300 s. Sendmail: `R:` 10 s, `E:` 300 s.
    pub(super) fn budget(self, stage: Stage, limits: &Limits) -> Duration {
        let (configured, theirs) = match (stage, self) {
            (Stage::EndOfMessage, _) => (limits.message_budget, 300),
            (_, Self::Postfix) => (limits.command_budget, 30),
            (_, Self::Other) => (limits.command_budget, 10),
        };
        configured.unwrap_or_else(|| Duration::from_secs(theirs).saturating_sub(MARGIN))
    }
}
