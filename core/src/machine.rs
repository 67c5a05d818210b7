//! The contract between core and runtimes: data in, data out.
//!
//! A [`Machine`] is the whole behaviour of one connection and of the connections that it opens itself. A runtime knows
//! machines, sockets, timers and files; it knows nothing about milters. For each machine it does this, over and over:
//!
//! ```text
//!   wait until a socket of the machine is ready, its deadline has come, or something it asked for is done
//!     readable and wants_input(peer)   read into read_buffer(peer), else into a buffer of the runtime
//!     handle(now, input)               the only door in
//!     poll_output() until Wait         do what each output says
//!     transmit(peer)                   for each writable peer; write; then handle(Wrote) for each
//! ```
//!
//! Inputs record facts, draining acts on them; no call is ever made from inside another.
//!
//! Details that both sides rely on:
//!
//! * The first input of a machine is [`Input::Tick`], so that its first deadline is known.
//! * What [`transmit`](Machine::transmit) showed stays first in line until it is told that it was written. [`Input::Wrote`] of other
//!   peers may come before: what many have to write is mostly written at once.
//! * After [`Output::Close`] nothing of that peer is told any more except [`Input::Wrote`], for what is still flushed.
//! * [`Output::Wait`] with a time that is not in the future means that there is more to do: the runtime serves others and
//!   then gives a `Tick`. The machine has done a bounded part and goes on, so this ends.
//! * [`Input::Closed`] with [`Closure::Eof`] is the end of both directions: what is queued for that peer is lost.
//! * A machine says [`Output::Finished`] when it has no peers left, or wants none; a runtime cannot tell by itself.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use crate::event::Event;
use crate::policy::{ChildIndex, Route};
use crate::situation::Situation;
use crate::time::Instant;
use crate::wire::Negotiation;

/// One connection of a machine: the MTA that it serves, or a child that it asked for.
///
/// The generation tells connections apart that use the same slot one after another, so that a late input for a closed
/// connection is recognised and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// 0 for the MTA, `n + 1` for the child with index `n`.
    pub slot: u16,
    /// Counts the connections of this slot.
    pub generation: u16,
}

impl Peer {
    /// The connection that the machine was made for.
    pub const MTA: Self = Self { slot: 0, generation: 0 };

    /// The connection number `generation` to the child `child`.
    #[must_use]
    pub const fn child(child: ChildIndex, generation: u16) -> Self {
        Self { slot: child.0 + 1, generation }
    }

    /// The connection after this one, for the same slot.
    #[must_use]
    pub(crate) const fn next(self) -> Self {
        Self { generation: self.generation.wrapping_add(1), ..self }
    }

    /// The child at the other end, `None` for the MTA.
    #[must_use]
    pub const fn child_index(self) -> Option<ChildIndex> {
        match self.slot {
            0 => None,
            slot => Some(ChildIndex(slot - 1)),
        }
    }
}

/// What the operating system said, in the classes that lead to different behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IoKind {
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// The socket file does not exist.
    #[error("no such socket")]
    NotFound,
    /// Our user may not reach it.
    #[error("permission denied")]
    Denied,
    /// The listener's queue is full (`EAGAIN` on a unix connect): busy, not down.
    #[error("queue of the listener is full")]
    Busy,
    /// No route, network down or host down.
    #[error("unreachable")]
    Unreachable,
    /// The kernel gave up waiting.
    #[error("timed out")]
    TimedOut,
    /// The peer reset the connection.
    #[error("connection reset")]
    Reset,
    /// We wrote to a connection that the peer had closed.
    #[error("broken pipe")]
    BrokenPipe,
    /// This process or machine has no file descriptor, memory or port left.
    #[error("out of descriptors or memory")]
    Exhausted,
    /// The host name has no address.
    #[error("host name not found")]
    NameNotFound,
    /// No space left for a file.
    #[error("no space left")]
    NoSpace,
    /// Anything else.
    #[error("input/output error")]
    Other,
}

/// An error of the operating system: its class and its number, 0 when there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (os error {code})")]
pub struct IoError {
    /// The class, on which machines decide.
    pub kind: IoKind,
    /// `errno`, for people.
    pub code: i32,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Closure {
    /// The peer closed it.
    #[error("connection closed")]
    Eof,
    /// Reading or writing failed.
    #[error("{0}")]
    Failed(IoError),
}

/// Identifies a look-up of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u32);

/// Something that must be asked outside, answered by the process's one resolver service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Question {
    /// The addresses of a name (DNS A), as dotted text.
    Addresses(Box<str>),
    /// The names of an address (DNS PTR).
    Names(core::net::IpAddr),
    /// The local end of the TCP connection whose remote end this is, as `address port`.
    LocalEnd(core::net::SocketAddr),
    /// The state of the TCP connection whose remote end this is: [`ESTABLISHED`](Self::ESTABLISHED), or
    /// [`CLOSED_THERE`](Self::CLOSED_THERE). Nothing: this machine has no such connection, at least not that can be seen.
    State(core::net::SocketAddr),
}

impl Question {
    /// Both ends may still send.
    pub const ESTABLISHED: &'static str = "established";
    /// The remote end has closed, and the local one has not (`CLOSE_WAIT`).
    pub const CLOSED_THERE: &'static str = "closed there";
}

/// What came back for a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// At least one record, in the order received.
    Found(Vec<Box<str>>),
    /// The question has an answer, and it is that there is nothing.
    Nothing,
    /// No answer in time, or an error of the service.
    Failed,
}

/// Identifies a spill file of a machine: bytes that do not fit into its memory limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpillId(pub u32);

/// Everything that can happen to a machine.
#[derive(Debug)]
pub enum Input {
    /// Only time has passed.
    Tick,
    /// Bytes came from a peer. `data` is the buffer that [`Machine::read_buffer`] lent with the new bytes at its end,
    /// or a fresh one when it lent none.
    Received {
        /// Who sent them.
        peer: Peer,
        /// The bytes, owned.
        data: BytesMut,
    },
    /// `n` bytes of what [`Machine::transmit`] showed were written.
    Wrote {
        /// To whom.
        peer: Peer,
        /// How many bytes.
        n: usize,
    },
    /// The connection is over; nothing more will come from it or can be sent to it.
    Closed {
        /// Which connection.
        peer: Peer,
        /// How it ended.
        why: Closure,
    },
    /// The answer to [`Output::Recall`], given before anything else happens.
    Remembered {
        /// The peer named in the question.
        peer: Peer,
        /// What the child answered; `None` when it is not known.
        negotiated: Option<Box<Negotiation>>,
    },
    /// The connection asked for by [`Output::Acquire`] is there.
    Ready {
        /// The peer named in the request.
        peer: Peer,
        /// For a reused connection what was negotiated on it; `None` for a fresh one, which has to negotiate first.
        negotiated: Option<Box<Negotiation>>,
    },
    /// The connection asked for by [`Output::Acquire`] cannot be had.
    Refused {
        /// The peer named in the request.
        peer: Peer,
        /// Why, and since when.
        why: Refusal,
    },
    /// The answer to [`Output::LookUp`]; a resolver that gives none has failed.
    Answered {
        /// The question's number.
        query: QueryId,
        /// Its answer.
        answer: Answer,
    },
    /// [`Output::SpillAppend`] is done: the file is `length` bytes long now.
    SpillAppended {
        /// Which file.
        file: SpillId,
        /// Its length in bytes.
        length: u64,
    },
    /// [`Output::SpillRead`] is done.
    SpillRead {
        /// Which file.
        file: SpillId,
        /// Where in the file the data stood, in bytes.
        offset: u64,
        /// As many bytes as were asked for.
        data: Bytes,
    },
    /// A spill operation failed; the file is of no use any more.
    SpillFailed {
        /// Which file.
        file: SpillId,
        /// Why.
        error: IoError,
    },
    /// The process stops: finish what is under way, begin nothing new.
    Stop,
}

/// Why a connection to a child cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Connecting failed just now.
    #[error("{0}")]
    Failed(IoError),
    /// The child is known to be down; no attempt was made.
    #[error("not tried: down since an earlier failure ({error})")]
    Down {
        /// The failure that is remembered.
        error: IoError,
        /// When it was first seen.
        since: Instant,
    },
    /// Too many sessions use the child, and none gave its place up in time.
    #[error("too many connections to it, and none became free in time")]
    Full,
}

/// Everything that a machine can ask for.
#[derive(Debug)]
pub enum Output {
    /// Say what a child answered to this offer when it was last asked; the answer is [`Input::Remembered`].
    Recall {
        /// How its connection would be called.
        peer: Peer,
        /// The child.
        route: Arc<Route>,
        /// What would be offered to it.
        offer: Negotiation,
    },
    /// Get a connection to a child; the answer is [`Input::Ready`] or [`Input::Refused`].
    Acquire {
        /// How the connection will be called.
        peer: Peer,
        /// The child.
        route: Arc<Route>,
        /// What will be offered to the child: a kept connection fits only when it was negotiated from the same offer.
        offer: Negotiation,
        /// No kept connection will do: the last one was dead, or it might still know the HELO of another client.
        fresh: bool,
    },
    /// The child has answered the offer on this connection: it is alive, and this is to be remembered.
    Learned {
        /// Which connection.
        peer: Peer,
        /// What it answered.
        negotiated: Box<Negotiation>,
    },
    /// The child did not take this connection in time, has not answered the offer on it as it should, or has said nothing in
    /// time on one that was kept: what is remembered of it is void, and a few of these in a row mean that it is down. [`Output::Close`] follows. A connection that the child closes before
    /// [`Output::Learned`] counts likewise and is not told.
    Unwell {
        /// Which connection.
        peer: Peer,
        /// What happened, for people.
        error: IoError,
    },
    /// Give a connection back: nothing is queued for it and nothing owed on it. It is kept for another session or closed,
    /// as the pool decides; the machine has no part in it any more.
    Release {
        /// Which connection.
        peer: Peer,
        /// What is negotiated on it.
        negotiated: Box<Negotiation>,
    },
    /// Close a connection, or give up one that is being acquired.
    Close {
        /// Which connection.
        peer: Peer,
        /// Until when what is queued may still be written; `None`: drop it and close now.
        flush_by: Option<Instant>,
    },
    /// Ask the resolver service; the answer is [`Input::Answered`].
    LookUp {
        /// Comes back with the answer.
        query: QueryId,
        /// What to ask.
        question: Question,
    },
    /// Append to a spill file, which is made when it does not exist (unlinked, mode 0600).
    SpillAppend {
        /// Which file.
        file: SpillId,
        /// The bytes, in order.
        data: Vec<Bytes>,
    },
    /// Read from a spill file.
    SpillRead {
        /// Which file.
        file: SpillId,
        /// From which byte.
        offset: u64,
        /// How many bytes; never past the end.
        length: usize,
    },
    /// Delete a spill file.
    SpillDrop {
        /// Which file.
        file: SpillId,
    },
    /// Something happened that logs or metrics may want.
    Event(Event),
    /// The machine is done: close what is left and forget it.
    Finished,
    /// Nothing more to do until an input comes, or until this time.
    Wait(Option<Instant>),
}

/// The most slices that one [`Machine::transmit`] is worth asking for.
pub const TRANSMIT_SLICES: usize = 32;

/// A connection's whole behaviour, without input or output of its own.
pub trait Machine {
    /// Applies `input`, then fires the timers that are due at `now`.
    fn handle(&mut self, now: Instant, input: Input);

    /// The next thing to do. Call it after each [`handle`](Self::handle) until it says [`Output::Wait`] or
    /// [`Output::Finished`].
    fn poll_output(&mut self) -> Output;

    /// Fills `slices` with bytes to write to `peer`, in order, and returns how many slices it filled: 0 when there is
    /// nothing to write, and fewer than there are only when that is all. What was written is told with [`Input::Wrote`].
    fn transmit<'a>(&'a self, peer: Peer, slices: &mut [&'a [u8]]) -> usize;

    /// Whether the last [`handle`](Self::handle), of [`Input::Wrote`], has given nothing to write to any peer, so that none need
    /// be asked. Of other inputs, and where a machine does not know, it is `false`.
    fn added_nothing(&self) -> bool {
        false
    }

    /// Whether bytes of `peer` can be taken now. While this is false the runtime does not read from it.
    fn wants_input(&self, peer: Peer) -> bool;

    /// The buffer of a frame that is partly here, with room for its rest. Read into its spare room, which is never
    /// empty, and give it back with [`Input::Received`], also when nothing was read.
    fn read_buffer(&mut self, peer: Peer) -> Option<BytesMut>;

    /// What it does at `now`, for people who ask; a machine that has nothing to say about that says so.
    fn describe(&self, now: Instant) -> Option<Box<Situation>> {
        let _ = now;
        None
    }
}
