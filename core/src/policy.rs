//! Who runs, and what holds for it: what the configuration decides and the chain obeys.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::Bytes;

use crate::machine::{Answer, Question};
use crate::wire::{ConnectInfo, Stage};

pub use crate::limits::Limits;

/// A child's place in the chain, 0 for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildIndex(pub u16);

/// Where a child listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A unix socket at this path. Bytes, because a path need not be UTF-8.
    Unix(Arc<[u8]>),
    /// The TCP addresses of a host, in the order to try them.
    Tcp(Arc<[SocketAddr]>),
}

/// Looking whether the SMTP client is still there while the MTA waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientCheck {
    /// Between two looks.
    pub interval: Duration,
    /// What the MTA is answered when it is gone.
    pub fallback: Fallback,
}

/// Which of several endpoints of a child is asked. One whose breaker is open is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EndpointChoice {
    /// The first one; the others only while it is down.
    #[default]
    Failover,
    /// One after another.
    RoundRobin,
    /// The one with the fewest connections of this event loop.
    LeastBusy,
}

/// How long connections to a child are kept for the next session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reuse {
    /// Longest time without a session.
    pub idle: Duration,
    /// Longest time from connecting on.
    pub age: Duration,
}

/// How connections to a child are had. What a pool knows of a child goes with its name and its addresses, so that it
/// outlives a reload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {
    /// The child's name.
    pub name: Arc<str>,
    /// Where it listens; never empty.
    pub endpoints: Box<[Endpoint]>,
    /// Which of them is asked.
    pub choice: EndpointChoice,
    /// Most connections of this process that are in use at a time, all endpoints together; 0: no limit.
    pub max_connections: u32,
    /// How long to wait for one of them.
    pub queue_timeout: Duration,
    /// How long a child that is down is left alone before it is tried again.
    pub retry_interval: Duration,
    /// How long connections are kept; `None`: not at all.
    pub reuse: Option<Reuse>,
}

impl Route {
    /// A route to one endpoint and nothing else out of the ordinary.
    #[must_use]
    pub fn to(name: &str, endpoint: Endpoint) -> Arc<Self> {
        Arc::new(Self {
            name: Arc::from(name),
            endpoints: Box::from([endpoint]),
            choice: EndpointChoice::Failover,
            max_connections: 0,
            queue_timeout: Duration::from_secs(5),
            retry_interval: Duration::from_secs(5),
            reuse: None,
        })
    }
}

/// What is answered for a child that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fallback {
    /// The mail goes on as if the child were not there.
    #[default]
    Accept,
    /// The client is told to try again later.
    TemporaryFailure,
    /// The mail is refused.
    Reject,
    /// The mail is taken and thrown away.
    Discard,
    /// The mail goes on as if the child were not there, and is held in the MTA's quarantine. An MTA that does not offer
    /// that gets a temporary failure.
    Quarantine,
    /// The client is told to try again later, and the SMTP connection is closed (421).
    Shutdown,
}

impl Fallback {
    /// Whether mail with this fallback goes on.
    #[must_use]
    pub const fn passes(self) -> bool {
        matches!(self, Self::Accept | Self::Quarantine)
    }
}

/// The ways in which a child fails, each of which can have a fallback of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection could be had.
    Connect,
    /// A time limit ran out.
    Timeout,
    /// It broke the protocol.
    Protocol,
    /// It closed the connection while it took part.
    Closed,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Connect, Self::Timeout, Self::Protocol, Self::Closed];
}

/// In which order children are shown a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Recipients {
    /// One after another, up to the first refusal, as the MTA itself does: no child counts a recipient that one before
    /// it refuses.
    #[default]
    InOrder,
    /// All at once, as milter manager does: one round trip for all, and a child may count a recipient that another
    /// refuses.
    Parallel,
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::TemporaryFailure => "temporary-failure",
            Self::Reject => "reject",
            Self::Discard => "discard",
            Self::Quarantine => "quarantine",
            Self::Shutdown => "shutdown",
        })
    }
}

/// How long a child may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From asking for a connection to having it.
    pub connection: Duration,
    /// Without progress while bytes for the child wait to be written.
    pub writing: Duration,
    /// From the last byte of a command to its reply, for every command but end of message.
    pub reading: Duration,
    /// From end of message to the final reply; starts anew with each PROGRESS.
    pub end_of_message: Duration,
}

impl Default for Timeouts {
    /// The defaults of milter manager: three seconds below Sendmail's limits of 300 and 10 seconds.
    fn default() -> Self {
        Self {
            connection: Duration::from_secs(297),
            writing: Duration::from_secs(7),
            reading: Duration::from_secs(7),
            end_of_message: Duration::from_secs(297),
        }
    }
}

/// One child milter as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildSettings {
    /// The name in the configuration and in the log.
    pub name: Arc<str>,
    /// How connections to it are had.
    pub route: Arc<Route>,
    /// What is answered when it fails.
    pub fallback: Fallback,
    /// Its verdicts and edits are noted and not applied.
    pub evaluation_mode: bool,
    /// How long it may take.
    pub timeouts: Timeouts,
}

/// The wall clock and the load, which a policy may ask for. Given to a session from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Environment {
    /// Seconds since 1970-01-01 UTC.
    pub unix_seconds: i64,
    /// Sessions running in this process, this one included.
    pub sessions: u32,
}

/// What conditions have noted in this session, for each other and for later: key and value. What was noted at CONNECT and
/// HELO stays for the session, everything else until the next message begins.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    session: BTreeMap<Bytes, Bytes>,
    /// `None`: removed for this message only.
    message: BTreeMap<Bytes, Option<Bytes>>,
}

impl Memory {
    /// What is noted under `key`.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<&Bytes> {
        match self.message.get(key) {
            Some(noted) => noted.as_ref(),
            None => self.session.get(key),
        }
    }

    /// All notes, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        let of_session = self.session.iter().filter(|(key, _)| !self.message.contains_key(*key));
        let of_message = self.message.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        let mut all: Vec<_> = of_session.chain(of_message).collect();
        all.sort_unstable();
        all.into_iter()
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of_session = self.session.iter().map(|(key, value)| key.len() + value.len());
        let of_message =
            self.message.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len));
        of_session.sum::<usize>() + of_message.sum::<usize>()
    }

    /// Notes something at `stage`; `None` removes it.
    pub fn note(&mut self, stage: Stage, key: Bytes, value: Option<Bytes>) {
        match (stage, value) {
            (Stage::Connect | Stage::Helo, Some(value)) => {
                self.session.insert(key, value);
            }
            (Stage::Connect | Stage::Helo, None) => {
                self.session.remove(&key);
            }
            (_, value) => {
                self.message.insert(key, value);
            }
        }
    }

    /// Forgets what was noted for a message.
    pub fn begin_message(&mut self) {
        self.message.clear();
    }
}

/// What a decision leaves behind. It counts with [`Decision::Run`] and [`Decision::Stop`]; with the others it is dropped,
/// since the same is decided again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// For [`Facts::memory`]: key, and value or `None` to remove it.
    pub memory: Vec<(Bytes, Option<Bytes>)>,
    /// For the log.
    pub remarks: Vec<Remark>,
}

/// A line for the log from a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// How bad it is.
    pub level: RemarkLevel,
    /// The condition and the line of it.
    pub from: Why,
    /// What it says.
    pub text: Box<str>,
}

/// How bad what a condition says is, in milter manager's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the words of the log levels, nothing else")]
pub enum RemarkLevel {
    Critical,
    Error,
    Warning,
    Message,
    Info,
    Debug,
    Trace,
    Statistics,
    Profile,
}

/// How a child's part in the session or message stands, as other children's conditions may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChildState {
    /// It takes part and has not decided; a child that stands behind the one that is decided on is asked later.
    Running,
    /// It accepted, or ended the message without objection.
    Accepted,
    /// It rejected.
    Rejected,
    /// It asked to try later.
    TemporarilyFailed,
    /// It discarded.
    Discarded,
    /// It has not answered what it was asked and stands before the child that is decided on: [`Decision::Await`] waits
    /// for it.
    Pending,
    /// A condition stopped it.
    Stopped,
    /// It failed or left the session.
    Gone,
}

/// What a condition may look at. Everything is borrowed from the session.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Looks a macro up, by its name without braces, over all stages received so far.
    pub macros: &'a crate::wire::Macros,
    /// The SMTP client, once known.
    pub client: Option<&'a ConnectInfo>,
    /// The argument of HELO or EHLO.
    pub helo: Option<&'a [u8]>,
    /// The sender with its angle brackets.
    pub sender: Option<&'a [u8]>,
    /// The recipient that is about to be shown.
    pub recipient: Option<&'a [u8]>,
    /// The header that is about to be shown: name, value.
    pub header: Option<(&'a [u8], &'a [u8])>,
    /// The body chunk that is about to be shown.
    pub body: Option<&'a [u8]>,
    /// The state of every child, in chain order. At CONNECT, HELO, MAIL, RCPT, DATA and UNKNOWN it is that after this
    /// command, from headers on that after the whole message, for the children that stand before.
    pub children: &'a [ChildState],
    /// What conditions have noted.
    pub memory: &'a Memory,
    /// Wall clock and load.
    pub environment: Environment,
}

/// Answers to what a policy has asked with [`Decision::Need`] for the same child and stage, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct Answers(pub Vec<(Question, Answer)>);

impl Answers {
    /// The answer to `question`, when it is there already.
    #[must_use]
    pub fn find(&self, question: &Question) -> Option<&Answer> {
        self.0.iter().find(|(asked, _)| asked == question).map(|(_, answer)| answer)
    }
}

/// What comes with letting a child run: applied only with [`Decision::Run`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Macros set for this child and this stage: name without braces, value.
    pub macros: Vec<(Bytes, Bytes)>,
}

/// Why a child is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// The condition's name.
    pub condition: Arc<str>,
    /// Where it stands in the configuration, as `file:line`.
    pub place: Arc<str>,
}

/// What a policy says about showing a stage to a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Show it.
    Run(Effects),
    /// Stop the child here.
    Stop(Why),
    /// Answers are needed first. What was not asked before for this child and stage is asked now, all at once; the same is decided
    /// again with each answer. Whoever asks only for what is answered already waits until the time for the answer is over.
    Need(Vec<Question>),
    /// The state of another child is needed first, which is [`ChildState::Pending`]: decided again once it is not. Whoever
    /// waits for a child that is not pending waits until the time for the answer is over.
    Await(ChildIndex),
}

/// An immutable snapshot of what the configuration says. A session keeps the one that it started with.
///
/// Implementations do no input or output, read no clock, and take a bounded number of steps.
pub trait Policy: Send + Sync + fmt::Debug {
    /// The children in chain order, without the disabled ones.
    fn children(&self) -> &[ChildSettings];

    /// The limits that hold for each session.
    fn limits(&self) -> &Limits;

    /// What is answered when there are no children at all.
    fn fallback(&self) -> Fallback;

    /// What is answered for `child` when it fails in this way. The default is [`ChildSettings::fallback`].
    fn fallback_for(&self, child: ChildIndex, kind: FailureKind) -> Fallback {
        let _ = kind;
        self.children()
            .get(usize::from(child.0))
            .map_or(Fallback::TemporaryFailure, |settings| settings.fallback)
    }

    /// Whether `child` needs no other child's edits and may see mail that another refuses: it then runs beside the others
    /// from the first byte.
    fn independent(&self, child: ChildIndex) -> bool {
        let _ = child;
        false
    }

    /// Whether a child whose answer to the MTA's offer is remembered is connected only when it is to be shown something.
    fn lazy_connect(&self) -> bool {
        false
    }

    /// Whether `child` is sent headers and body chunks before it has answered the ones before, and its first commands before it
    /// has answered the offer, where its answer is remembered.
    fn pipelining(&self, child: ChildIndex) -> bool {
        let _ = child;
        false
    }

    /// In which order children are shown recipients.
    fn recipients(&self) -> Recipients {
        Recipients::InOrder
    }

    /// The name of a header that marks delivered mail which a child did not see because of its fallback. The same header
    /// on mail that comes in is removed.
    fn unfiltered_header(&self) -> Option<&str> {
        None
    }

    /// Whether it is looked for clients that have gone while the MTA waits for an answer.
    fn client_check(&self) -> Option<ClientCheck> {
        None
    }

    /// Whether [`decide`](Self::decide) has anything to say about `child` at `stage`. Asked once per session.
    fn watches(&self, child: ChildIndex, stage: Stage) -> bool {
        let _ = (child, stage);
        false
    }

    /// Whether `child` is shown what comes at `stage`. `notes` is empty, and takes what is to be remembered or logged.
    fn decide(
        &self,
        child: ChildIndex,
        stage: Stage,
        facts: &Facts<'_>,
        answers: &Answers,
        notes: &mut Notes,
    ) -> Decision {
        let _ = (child, stage, facts, answers, notes);
        Decision::Run(Effects::default())
    }
}

/// A policy of fixed children without conditions.
#[derive(Debug, Clone, Default)]
pub struct StaticPolicy {
    /// The children in chain order.
    pub children: Box<[ChildSettings]>,
    /// The limits of each session.
    pub limits: Limits,
    /// What is answered without children.
    pub fallback: Fallback,
}

impl Policy for StaticPolicy {
    fn children(&self) -> &[ChildSettings] {
        &self.children
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn fallback(&self) -> Fallback {
        self.fallback
    }
}
