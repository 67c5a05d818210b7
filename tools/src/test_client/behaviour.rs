//! What the milter does besides printing.

use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use millstream_core::wire::facts::STAGES;
use millstream_core::wire::{Actions, Edit, Final, Negotiation, Protocol, Stage};

/// All that its options say.
#[derive(Debug, Clone, Default)]
pub(super) struct Behaviour {
    /// The highest protocol version that it speaks; 0 is what it is offered.
    pub(super) version: u32,
    /// What it may do; nothing said is what it is offered.
    pub(super) actions: Option<Actions>,
    /// How it wants the conversation to go; nothing said is that it may skip, if that is offered.
    pub(super) steps: Option<Protocol>,
    /// What it answers.
    pub(super) replies: Vec<(Stage, Answer)>,
    /// How long it takes for that.
    pub(super) delays: Vec<(Stage, Duration)>,
    /// How often it says that it is still working, while it takes that long at the end of a message.
    pub(super) progress: Option<Duration>,
    /// Where it hangs up.
    pub(super) closes: Vec<Stage>,
    /// What it changes at the end of each message.
    pub(super) edits: Vec<Edit>,
}

/// An answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// One that the protocol has.
    Reply(Final),
    /// None, for ever.
    Silence,
}

/// An option `STAGE=WHAT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At<T>(pub(super) Stage, pub(super) T);

/// A stage by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StageName(pub(super) Stage);

impl FromStr for StageName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = STAGES.iter().find(|fact| fact.name == name).map(|fact| Self(fact.stage));
        found.ok_or_else(|| {
            let names: Vec<&str> = STAGES.iter().map(|fact| fact.name).collect();
            format!("<{name}> is no stage, which are {}", names.join(", "))
        })
    }
}

impl<T: FromOption> FromStr for At<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (stage, what) = text.split_once('=').ok_or_else(|| format!("expected STAGE=WHAT: <{text}>"))?;
        Ok(Self(stage.parse::<StageName>()?.0, T::from_option(what)?))
    }
}

/// What can stand behind a stage.
pub(super) trait FromOption: Sized {
    /// Reads it.
    fn from_option(text: &str) -> Result<Self, String>;
}

impl FromOption for Duration {
    fn from_option(text: &str) -> Result<Self, String> {
        let seconds = text.parse().map_err(|_| format!("expected seconds: <{text}>"))?;
        Self::try_from_secs_f64(seconds).map_err(|error| format!("<{text}>: {error}"))
    }
}

impl FromOption for Answer {
    fn from_option(text: &str) -> Result<Self, String> {
        let code = text.as_bytes();
        Ok(Self::Reply(match text {
            "none" => return Ok(Self::Silence),
            "continue" => Final::Continue,
            "accept" => Final::Accept,
            "reject" => Final::Reject,
            "temporary-failure" => Final::TemporaryFailure,
            "discard" => Final::Discard,
            "skip" => Final::Skip,
            _ if matches!(
                code,
                [b'4' | b'5', b'0'..=b'9', b'0'..=b'9'] | [b'4' | b'5', b'0'..=b'9', b'0'..=b'9', b' ', ..]
            ) =>
            {
                Final::ReplyCode(Bytes::copy_from_slice(code))
            }
            _ => {
                return Err(format!(
                    "<{text}> is no answer: continue, accept, reject, temporary-failure, discard, skip, none, or \
                     an SMTP reply as in \"550 5.7.1 no\""
                ));
            }
        }))
    }
}

impl Behaviour {
    /// What it answers to an offer.
    pub(super) fn negotiate(&self, offer: &Negotiation) -> Negotiation {
        let version = if self.version == 0 { offer.version } else { offer.version.min(self.version) };
        Negotiation {
            version,
            actions: self.actions.unwrap_or(offer.actions),
            // What milter manager's program keeps of an offer.
            protocol: self.steps.unwrap_or(offer.protocol.and(Protocol::SKIP)),
            macro_lists: Vec::new(),
        }
    }

    /// What it answers at a stage.
    pub(super) fn answer(&self, stage: Stage) -> Answer {
        let found = self.replies.iter().rev().find(|(at, _)| *at == stage);
        found.map_or(Answer::Reply(Final::Continue), |(_, answer)| answer.clone())
    }

    /// How long it takes for that.
    pub(super) fn delay(&self, stage: Stage) -> Duration {
        self.delays.iter().filter(|(at, _)| *at == stage).map(|(_, delay)| *delay).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_name_a_stage_and_what_is_done_there() {
        let answer = |text: &str| text.parse::<At<Answer>>().map(|At(stage, answer)| (stage, answer));
        assert_eq!(answer("helo=accept"), Ok((Stage::Helo, Answer::Reply(Final::Accept))));
        assert_eq!(answer("body=none"), Ok((Stage::Body, Answer::Silence)));
        let code = Final::ReplyCode(Bytes::from_static(b"451 4.7.1 later"));
        assert_eq!(answer("envelope-recipient=451 4.7.1 later"), Ok((Stage::Rcpt, Answer::Reply(code))));
        assert_eq!(answer("helo").unwrap_err(), "expected STAGE=WHAT: <helo>");
        assert!(
            answer("ehlo=accept")
                .unwrap_err()
                .starts_with("<ehlo> is no stage, which are negotiate, connect,")
        );
        assert!(answer("helo=4512").unwrap_err().starts_with("<4512> is no answer: "));
        assert_eq!("data=0.5".parse::<At<Duration>>(), Ok(At(Stage::Data, Duration::from_millis(500))));
    }
}
