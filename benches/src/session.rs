//! A session with everything around it that a runtime and its peers would do, in one thread and without sockets.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use millstream_core::chain::Session;
use millstream_core::machine::{Input, Machine, Output, Peer, TRANSMIT_SLICES};
use millstream_core::policy::{
    ChildIndex, ChildSettings, Endpoint, Environment, Fallback, Limits, Route, StaticPolicy, Timeouts,
};
use millstream_core::time::Instant;
use millstream_core::wire::{
    Actions, CHUNK_SIZE, ClientAddress, Command, ConnectInfo, Negotiation, Protocol, VERSION_MAX,
};

use crate::child::{NoObjection, Wishes};
use crate::counting::{Allocations, allocations};

/// Room for one read, as in `millstream-runtime`.
const READ_SIZE: usize = 72 << 10;

/// A milter at the other end of a peer.
struct Child {
    peer: Peer,
    milter: NoObjection,
}

/// A session, its MTA and its children.
pub struct Bench {
    session: Session,
    children: Vec<Child>,
    buffer: BytesMut,
    read_to: Vec<Range<usize>>,
    /// Body bytes that left the session.
    pub body_bytes_sent: usize,
    /// Those of them that do not lie where they were read.
    pub body_bytes_copied: usize,
    /// What core has allocated.
    pub cost: Allocations,
    /// How often a read buffer was filled, by any peer.
    pub refills: usize,
    /// The time in core so far, where somebody wants to know: see [`timed`](Bench::timed).
    spent: Option<Spent>,
}

/// Time in core.
#[derive(Debug, Default, Clone, Copy)]
struct Spent {
    time: Duration,
    calls: u32,
}

impl Bench {
    /// A session with a child for each of `children`, which has no objection to anything.
    #[must_use]
    pub fn new(children: &[Wishes]) -> Self {
        let settings = |index: usize| ChildSettings {
            name: Arc::from(format!("child{index}")),
            route: Route::to("child", Endpoint::Unix(Arc::from(*b"/child"))),
            fallback: Fallback::TemporaryFailure,
            evaluation_mode: false,
            timeouts: Timeouts::default(),
        };
        let policy = StaticPolicy {
            children: (0..children.len()).map(settings).collect(),
            limits: Limits::default(),
            fallback: Fallback::Accept,
        };
        let peer = |index: usize| Peer::child(ChildIndex(u16::try_from(index).unwrap_or(u16::MAX)), 0);
        let children = children.iter().enumerate();
        Self {
            session: Session::new(Arc::new(policy), Environment::default()),
            children: children
                .map(|(index, wishes)| Child { peer: peer(index), milter: NoObjection::new(*wishes) })
                .collect(),
            buffer: BytesMut::new(),
            read_to: Vec::with_capacity(4096),
            body_bytes_sent: 0,
            body_bytes_copied: 0,
            cost: Allocations::default(),
            refills: 0,
            spent: None,
        }
    }

    /// The time in core of what `run` does, without that of the peers around it and without what the clock itself takes,
    /// which is `clock` for each look.
    pub fn timed(&mut self, clock: Duration, run: impl FnOnce(&mut Self)) -> Duration {
        self.spent = Some(Spent::default());
        run(self);
        let spent = self.spent.take().unwrap_or_default();
        spent.time.saturating_sub(clock * spent.calls)
    }

    /// Feeds bytes of the MTA as a runtime reads them, and lets everything follow from that.
    pub fn feed(&mut self, mut wire: &[u8]) {
        while !wire.is_empty() {
            let lent = self.session.read_buffer(Peer::MTA);
            let mut data = lent.unwrap_or_else(|| {
                self.buffer.reserve(READ_SIZE);
                self.buffer.split_off(0)
            });
            let room = data.capacity() - data.len();
            let (now, later) = wire.split_at(wire.len().min(room).min(READ_SIZE));
            let start = data.len();
            data.extend_from_slice(now);
            wire = later;
            let at = data.as_ptr() as usize;
            self.read_to.push(at + start..at + data.len());
            // The rest of a pool buffer stays with the pool.
            if start == 0 {
                self.buffer = data.split_off(data.len());
            }
            self.refills += 1;
            self.input(Input::Received { peer: Peer::MTA, data });
            self.settle();
        }
    }

    fn handle(&mut self, input: Input) {
        let (session, spent) = (&mut self.session, &mut self.spent);
        let (cost, ()) = allocations(|| clocked(spent, || in_core_handle(session, input)));
        self.cost.count += cost.count;
        self.cost.bytes += cost.bytes;
    }

    /// Gives the session an input and does what it asks for.
    fn input(&mut self, input: Input) {
        self.handle(input);
        loop {
            let (session, spent) = (&mut self.session, &mut self.spent);
            let (cost, output) = allocations(|| clocked(spent, || in_core_poll(session)));
            self.cost.count += cost.count;
            self.cost.bytes += cost.bytes;
            match output {
                // It looks at so many frames in one call, and goes on when it is called again.
                Output::Wait(Some(at)) if at <= Instant::ZERO => self.handle(Input::Tick),
                Output::Wait(_) | Output::Finished => return,
                Output::Acquire { peer, .. } => self.handle(Input::Ready { peer, negotiated: None }),
                _ => {}
            }
        }
    }

    /// Moves bytes between the session and its peers until nothing moves any more.
    fn settle(&mut self) {
        loop {
            let mut moved = self.write(Peer::MTA, None);
            for index in 0..self.children.len() {
                moved |= self.write(self.children[index].peer, Some(index));
            }
            if !moved {
                return;
            }
        }
    }

    fn write(&mut self, peer: Peer, child: Option<usize>) -> bool {
        let mut slices = [&b""[..]; TRANSMIT_SLICES];
        let (session, spent) = (&self.session, &mut self.spent);
        let filled = clocked(spent, || in_core_transmit(session, peer, &mut slices));
        let mut all = BytesMut::new();
        for slice in &slices[..filled] {
            let at = slice.as_ptr() as usize;
            if slice.len() > 4096 {
                self.body_bytes_sent += slice.len();
                if !self.read_to.iter().any(|range| range.start <= at && at + slice.len() <= range.end) {
                    self.body_bytes_copied += slice.len();
                }
            }
            all.extend_from_slice(slice);
        }
        if all.is_empty() {
            return false;
        }
        self.input(Input::Wrote { peer, n: all.len() });
        if let Some(index) = child {
            let replies = self.children[index].milter.replies(all);
            if !replies.is_empty() {
                self.buffer.reserve(READ_SIZE);
                self.buffer.extend_from_slice(&replies);
                let data = self.buffer.split();
                self.refills += 1;
                self.input(Input::Received { peer, data });
            }
        }
        true
    }
}

/// What `call` does, its time in `spent` where that is wanted.
fn clocked<T>(spent: &mut Option<Spent>, call: impl FnOnce() -> T) -> T {
    let Some(spent) = spent else { return call() };
    let began = std::time::Instant::now();
    let result = call();
    spent.time += began.elapsed();
    spent.calls += 1;
    result
}

/// What two looks at the clock with nothing in between take.
#[must_use]
pub fn clock_cost() -> Duration {
    let mut spent = Some(Spent::default());
    for _ in 0..100_000 {
        clocked(&mut spent, || std::hint::black_box(()));
    }
    let spent = spent.unwrap_or_default();
    spent.time / spent.calls
}

/// The doors of core, each by a name that a profiler can find.
#[inline(never)]
fn in_core_handle(session: &mut Session, input: Input) {
    session.handle(Instant::ZERO, input);
}

#[inline(never)]
fn in_core_poll(session: &mut Session) -> Output {
    session.poll_output()
}

#[inline(never)]
fn in_core_transmit<'a>(session: &'a Session, peer: Peer, slices: &mut [&'a [u8]]) -> usize {
    session.transmit(peer, slices)
}

/// Commands as an MTA sends them.
#[must_use]
pub fn encode(commands: &[Command]) -> BytesMut {
    let mut wire = BytesMut::new();
    for command in commands {
        command.encode(&mut wire);
    }
    wire
}

/// The macros that Postfix sends before a command.
#[must_use]
pub fn macros(letter: u8) -> Command {
    Command::Macros { letter, pairs: Bytes::from_static(b"i\x004Xq9Yw1ZzZ\0") }
}

/// The negotiation with the offer of Postfix.
#[must_use]
pub fn offer() -> BytesMut {
    encode(&[Command::Negotiate(Negotiation {
        version: VERSION_MAX,
        actions: Actions::ALL,
        protocol: Protocol::ALL,
        macro_lists: Vec::new(),
    })])
}

/// That, and the macros for CONNECT.
#[must_use]
pub fn opening() -> BytesMut {
    let mut all = offer();
    all.extend_from_slice(&encode(&[macros(b'C')]));
    all
}

/// MAIL, RCPT and DATA, each to be answered before the next.
#[must_use]
pub fn envelope() -> Vec<BytesMut> {
    let mail = encode(&[macros(b'M'), Command::Mail(Bytes::from_static(b"<a@b.test>\0SIZE=1\0"))]);
    let rcpt = encode(&[macros(b'R'), Command::Rcpt(Bytes::from_static(b"<c@d.test>\0"))]);
    vec![mail, rcpt, encode(&[macros(b'T'), Command::Data])]
}

/// CONNECT, with its macros.
#[must_use]
pub fn connect() -> BytesMut {
    let address = ClientAddress::Ip(std::net::Ipv4Addr::new(192, 0, 2, 1).into(), 34567);
    let client = ConnectInfo { host: Bytes::from_static(b"client.test"), address };
    encode(&[macros(b'C'), Command::Connect(client)])
}

/// A header of the usual size, with its macros.
#[must_use]
pub fn header() -> BytesMut {
    let value =
        Bytes::from_static(b"from mail.example (mail.example [192.0.2.1])\n\tby mx.test; Fri, 20 Nov 2026");
    encode(&[macros(b'L'), Command::Header { name: Bytes::from_static(b"Received"), value }])
}

/// The end of the headers, with its macros.
#[must_use]
pub fn end_of_headers() -> BytesMut {
    encode(&[macros(b'N'), Command::EndOfHeaders])
}

/// `count` headers and their end.
#[must_use]
pub fn headers(count: usize) -> BytesMut {
    let mut all = header().repeat(count);
    all.extend_from_slice(&end_of_headers());
    BytesMut::from(&all[..])
}

/// A body in frames of the largest size, each with its macros.
#[must_use]
pub fn body(bytes: usize) -> BytesMut {
    let mut commands = Vec::new();
    let mut left = bytes;
    while left > 0 {
        let size = left.min(CHUNK_SIZE);
        commands.push(macros(b'B'));
        commands.push(Command::Body(vec![b'x'; size].into()));
        left -= size;
    }
    encode(&commands)
}

/// The end of a message.
#[must_use]
pub fn end_of_message() -> BytesMut {
    encode(&[macros(b'E'), Command::EndOfMessage(Bytes::new())])
}

impl Bench {
    /// Passes one whole message.
    pub fn pass(&mut self, header_count: usize, body_bytes: usize) {
        for command in envelope() {
            self.feed(&command);
        }
        self.feed(&headers(header_count));
        self.feed(&body(body_bytes));
        self.feed(&end_of_message());
        self.forget_reads();
    }

    /// Forgets where bytes were read so far.
    pub fn forget_reads(&mut self) {
        self.read_to.clear();
    }
}
