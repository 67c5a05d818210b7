//! What happened, for logs and metrics. Typed and cheap; nothing in core formats or writes a log line.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::Bytes;

use crate::machine::{Closure, IoError, IoKind, Refusal};
use crate::policy::{ChildIndex, FailureKind, Fallback, Remark, Why};
use crate::wire::{Fault, Stage};

/// A verdict as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// No objection.
    Continue,
    /// No objection, and nothing more of this needs to be shown.
    Accept,
    /// Refused for good, with the reply text when the milter gave one.
    Reject(Option<Arc<[u8]>>),
    /// Refused for now, with the reply text when the milter gave one.
    TemporaryFailure(Option<Arc<[u8]>>),
    /// Taken and thrown away.
    Discard,
}

impl Verdict {
    /// Whether mail with this verdict goes on.
    #[must_use]
    pub const fn delivers(&self) -> bool {
        matches!(self, Self::Continue | Self::Accept)
    }

    /// The name without the text.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Accept => "accept",
            Self::Reject(_) => "reject",
            Self::TemporaryFailure(_) => "temporary-failure",
            Self::Discard => "discard",
        }
    }

    /// The SMTP connection is to be closed. Only a reply text can say that to every MTA.
    #[must_use]
    pub fn shutdown() -> Self {
        Self::TemporaryFailure(Some(Arc::from(
            &b"421 4.7.0 Service not available, closing transmission channel"[..],
        )))
    }

    /// The reply text of the milter, without its final NUL.
    #[must_use]
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Reject(text) | Self::TemporaryFailure(text) => text.as_deref(),
            _ => None,
        }
    }
}

impl From<Fallback> for Verdict {
    fn from(fallback: Fallback) -> Self {
        match fallback {
            Fallback::Accept => Self::Accept,
            Fallback::Quarantine => Self::Continue,
            Fallback::Shutdown => Self::shutdown(),
            Fallback::TemporaryFailure => Self::TemporaryFailure(None),
            Fallback::Reject => Self::Reject(None),
            Fallback::Discard => Self::Discard,
        }
    }
}

/// The timers of a session, by what runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerName {
    /// `milter.connection_timeout`.
    Connection,
    /// `milter.writing_timeout`.
    Writing,
    /// `milter.reading_timeout`.
    Reading,
    /// `milter.end_of_message_timeout`.
    EndOfMessage,
    /// What the MTA waits for an answer, all children together.
    Budget,
    /// The MTA has sent nothing at all.
    MtaGreeting,
    /// The MTA is silent.
    MtaIdle,
    /// The MTA does not read.
    MtaWriting,
}

impl fmt::Display for TimerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "connection_timeout",
            Self::Writing => "writing_timeout",
            Self::Reading => "reading_timeout",
            Self::EndOfMessage => "end_of_message_timeout",
            Self::Budget => "the time that the MTA waits for an answer is over,",
            Self::MtaGreeting => "no negotiation",
            Self::MtaIdle => "no command",
            Self::MtaWriting => "does not read its replies",
        })
    }
}

/// Why a connection is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection could be had.
    #[error("cannot connect: {0}")]
    Connect(Refusal),
    /// A time limit ran out.
    #[error("{timer} after {} ms", limit.as_millis())]
    Timeout {
        /// Which one.
        timer: TimerName,
        /// How long it was.
        limit: Duration,
    },
    /// The peer broke the protocol.
    #[error("protocol error: {0}")]
    Protocol(Box<Fault>),
    /// The connection ended while something was owed.
    #[error("{0}")]
    Closed(Closure),
    /// It was not connected when the MTA was answered, and has then negotiated otherwise than it did before, or wants what
    /// the MTA was not asked for. For the next session that is remembered.
    #[error("it has negotiated otherwise than it did before, and the MTA was answered for it already")]
    Renegotiated,
}

impl Failure {
    /// The kind for which a fallback can be configured.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::Connect(_) => FailureKind::Connect,
            Self::Timeout { timer: TimerName::Connection, .. } => FailureKind::Connect,
            Self::Timeout { .. } => FailureKind::Timeout,
            Self::Protocol(_) | Self::Renegotiated => FailureKind::Protocol,
            Self::Closed(_) => FailureKind::Closed,
        }
    }

    /// Whether it is not the peer that failed but something that this process ran out of: descriptors, memory, or a
    /// limit of its own. The answer is then a temporary failure, whatever the fallback is.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        match self {
            Self::Connect(Refusal::Failed(error)) | Self::Closed(Closure::Failed(error)) => {
                error.kind == IoKind::Exhausted
            }
            Self::Protocol(fault) => matches!(**fault, Fault::TooMuch { .. }),
            _ => false,
        }
    }
}

/// Why a fallback is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FallbackReason {
    /// It is configured for the child.
    Child,
    /// It is configured for the child and this kind of failure.
    Kind,
    /// It is not the child that failed, but something that this process ran out of.
    Ours,
    /// A quarantine is configured, and the MTA offers none.
    NoQuarantine,
}

/// How one child's part in a message ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It decided.
    Decided(Verdict),
    /// It failed, and this was answered instead.
    Failed(Fallback),
    /// A condition stopped it.
    Stopped,
    /// The outcome was certain before it had to decide.
    Aborted,
    /// It was not in the message: it had accepted or left the session before.
    Absent,
}

/// What one child did with one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildReport {
    /// Its name.
    pub name: Arc<str>,
    /// How its part ended.
    pub outcome: Outcome,
    /// At which stage.
    pub stage: Stage,
    /// How long the session waited for this child in the message.
    pub elapsed: Duration,
    /// How many edits of it were applied.
    pub edits: usize,
    /// It, or its fallback, had the message put into the MTA's quarantine.
    pub quarantined: bool,
    /// Its verdicts and edits were noted and not applied.
    pub evaluation: bool,
}

/// How a session, or a child's part in it, ended, in the words of milter manager's log analysers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// No objection.
    Pass,
    /// No objection, and nothing more was to be shown.
    Accept,
    /// Refused for good.
    Reject,
    /// Refused for now.
    TemporaryFailure,
    /// Taken and thrown away.
    Discard,
    /// Held in the MTA's quarantine.
    Quarantine,
    /// The MTA took it back, or the outcome was certain before.
    Abort,
    /// A condition stopped the child.
    Stop,
    /// It failed.
    Error,
}

impl Status {
    /// The status of a verdict.
    #[must_use]
    pub const fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Continue => Self::Pass,
            Verdict::Accept => Self::Accept,
            Verdict::Reject(_) => Self::Reject,
            Verdict::TemporaryFailure(_) => Self::TemporaryFailure,
            Verdict::Discard => Self::Discard,
        }
    }

    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::TemporaryFailure => "temporary-failure",
            Self::Discard => "discard",
            Self::Quarantine => "quarantine",
            Self::Abort => "abort",
            Self::Stop => "stop",
            Self::Error => "error",
        }
    }
}

/// How one child's part in a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildEnd {
    /// Its name.
    pub name: Arc<str>,
    /// The stage of its last verdict; that of the session for one that had none.
    pub stage: Stage,
    /// Its last verdict.
    pub status: Status,
    /// How long the session has waited for it.
    pub elapsed: Duration,
}

/// One session, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionReport {
    /// The stage of its last verdict, or how far it came.
    pub stage: Stage,
    /// The last verdict on its connection or a message.
    pub status: Status,
    /// From its beginning to its end.
    pub elapsed: Duration,
    /// How each child's part ended, in chain order.
    pub children: Vec<ChildEnd>,
}

/// How a message ended for the MTA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageEnd {
    /// The joint answer.
    Answered(Verdict),
    /// The MTA took the message back.
    Aborted,
    /// The MTA closed the connection.
    Disconnected,
    /// A limit of ours was hit; the answer was a temporary failure.
    OverLimit(LimitName),
}

/// The limits that a message can hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitName {
    /// [`crate::limits::Limits::recipients`].
    Recipients,
    /// [`crate::limits::Limits::envelope_bytes`].
    EnvelopeBytes,
    /// [`crate::limits::Limits::headers`].
    Headers,
    /// [`crate::limits::Limits::header_bytes`].
    HeaderBytes,
    /// [`crate::limits::Limits::body_bytes`].
    BodyBytes,
    /// [`crate::limits::Limits::macro_bytes`].
    MacroBytes,
    /// [`crate::limits::Limits::spill_bytes`].
    SpillBytes,
    /// [`crate::limits::Limits::total_body_bytes`].
    TotalBodyBytes,
    /// [`crate::limits::Limits::total_spill_bytes`].
    TotalSpillBytes,
    /// [`crate::limits::Limits::message_time`].
    MessageTime,
    /// The spill file failed: a full disk, or a folder that cannot be written.
    SpillFile,
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recipients => "too many recipients",
            Self::EnvelopeBytes => "envelope too long",
            Self::Headers => "too many headers",
            Self::HeaderBytes => "headers too long",
            Self::BodyBytes => "body too long for memory",
            Self::MacroBytes => "macros too long",
            Self::SpillBytes => "body too long for its file",
            Self::TotalBodyBytes => "too much in memory for all messages together",
            Self::TotalSpillBytes => "too much in files for all messages together",
            Self::MessageTime => "the message took too long",
            Self::SpillFile => "the file for the body failed",
        })
    }
}

/// One message, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageReport {
    /// The queue id (macro `i`), empty when the MTA never told it.
    pub queue_id: Arc<[u8]>,
    /// The sender as the MTA gave it.
    pub sender: Arc<[u8]>,
    /// How many recipients were accepted and refused.
    pub recipients: (usize, usize),
    /// Body bytes received.
    pub body_bytes: u64,
    /// The stage at which the message ended.
    pub stage: Stage,
    /// How it ended.
    pub end: MessageEnd,
    /// The child whose verdict it was, when it was one child's.
    pub decided_by: Option<Arc<str>>,
    /// From MAIL to the end.
    pub elapsed: Duration,
    /// What each child did, in chain order.
    pub children: Vec<ChildReport>,
}

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The MTA has negotiated.
    Negotiated {
        /// The version that both speak.
        version: u32,
        /// How many children take part.
        children: usize,
    },
    /// A child failed and its fallback is used from now on.
    ChildFailed {
        /// Which child.
        child: ChildIndex,
        /// Its name.
        name: Arc<str>,
        /// While doing what.
        stage: Stage,
        /// What happened.
        failure: Failure,
        /// What is answered instead.
        fallback: Fallback,
        /// Why that.
        reason: FallbackReason,
        /// The child is in evaluation mode, so that nothing is answered instead.
        evaluation: bool,
    },
    /// The SMTP client is gone although the MTA waits for an answer: the children are let go.
    ClientGone {
        /// Since the MTA has connected.
        elapsed: Duration,
        /// What the MTA is answered.
        answered: Fallback,
    },
    /// A condition stopped a child.
    ChildStopped {
        /// Which child.
        child: ChildIndex,
        /// Its name.
        name: Arc<str>,
        /// At which stage.
        stage: Stage,
        /// By which condition.
        why: Why,
    },
    /// A condition has something to say.
    ConditionRemarked {
        /// The child that it was asked about.
        child: ChildIndex,
        /// Its name.
        name: Arc<str>,
        /// At which stage.
        stage: Stage,
        /// What it says.
        remark: Remark,
    },
    /// An answer to the MTA at a stage before the content that refused, discarded or accepted everything.
    Answered {
        /// At which stage.
        stage: Stage,
        /// What was answered.
        verdict: Verdict,
        /// The child whose verdict it was.
        by: Option<Arc<str>>,
        /// The recipient in question, at RCPT.
        recipient: Option<Arc<[u8]>>,
    },
    /// An independent child has changed headers that another before it in the chain has changed, too. Its own changes
    /// hold.
    EditsOverlap {
        /// Whose changes hold.
        name: Arc<str>,
        /// How many headers.
        headers: usize,
    },
    /// An edit was not applied.
    EditIgnored {
        /// Whose.
        name: Arc<str>,
        /// Which reply it was.
        edit: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// A spill file failed; its message ends in a temporary failure.
    SpillFailed {
        /// Why.
        error: IoError,
    },
    /// A child has written a header, or one is written into the MTA's message. Only for statistics.
    HeaderAdded {
        /// Its name.
        name: Bytes,
        /// Its value.
        value: Bytes,
        /// Whose it is; nobody's when it is what the MTA is told.
        by: Option<Arc<str>>,
    },
    /// The MTA was told to put a message into its quarantine. Only for statistics.
    Quarantined,
    /// A message is over.
    Message(Box<MessageReport>),
    /// The session is over. Only for statistics.
    Ended(Box<SessionReport>),
    /// The MTA's end failed; the session is over.
    MtaFailed {
        /// At which stage.
        stage: Stage,
        /// What happened.
        failure: Failure,
    },
}
