//! The dispatch path in isolation: one message from the MTA through a session to its children, without any socket.
//!
//! Prints allocations and copies for each kind of traffic and asserts the two bounds that users are promised: at most
//! one allocation in core for each refill of a read buffer while frames are forwarded, and a body that is not copied.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use millstream_benches::counting::{Allocations, Counting, allocations};
use millstream_core::chain::Session;
use millstream_core::machine::{Input, Machine, Output, Peer, TRANSMIT_SLICES};
use millstream_core::policy::{
    ChildIndex, ChildSettings, Endpoint, Environment, Fallback, Limits, StaticPolicy, Timeouts,
};
use millstream_core::time::Instant;
use millstream_core::wire::{
    Actions, CHUNK_SIZE, Command, Decoder, Final, Negotiation, Protocol, Reply, Stage, VERSION_MAX,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Room for one read, as in `millstream-runtime-std`.
const READ_SIZE: usize = 72 << 10;

/// A milter that has no objection, at the other end of a peer.
struct Child {
    peer: Peer,
    protocol: Protocol,
    decoder: Decoder,
}

/// A session with everything around it that a runtime would do.
struct Bench {
    session: Session,
    children: Vec<Child>,
    buffer: BytesMut,
    read_to: Vec<Range<usize>>,
    body_bytes_sent: usize,
    body_bytes_copied: usize,
    cost: Allocations,
    refills: usize,
}

impl Bench {
    fn new(children: &[Protocol]) -> Self {
        let settings = |index: usize| ChildSettings {
            name: Arc::from(format!("child{index}")),
            endpoint: Endpoint::Unix(Arc::from(*b"/child")),
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
                .map(|(index, protocol)| Child {
                    peer: peer(index),
                    protocol: *protocol,
                    decoder: Decoder::new(1 << 20),
                })
                .collect(),
            buffer: BytesMut::new(),
            read_to: Vec::with_capacity(4096),
            body_bytes_sent: 0,
            body_bytes_copied: 0,
            cost: Allocations::default(),
            refills: 0,
        }
    }

    /// Feeds bytes of the MTA as a runtime reads them, and lets everything follow from that.
    fn feed(&mut self, mut wire: &[u8]) {
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
            self.handle(Input::Received { peer: Peer::MTA, data });
            self.settle();
        }
    }

    fn handle(&mut self, input: Input) {
        let session = &mut self.session;
        let (cost, ()) = allocations(|| session.handle(Instant::ZERO, input));
        self.cost.count += cost.count;
        self.cost.bytes += cost.bytes;
    }

    /// Moves bytes between the session and its peers until nothing moves any more.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            loop {
                let session = &mut self.session;
                let (cost, output) = allocations(|| session.poll_output());
                self.cost.count += cost.count;
                match output {
                    Output::Wait(_) | Output::Finished => break,
                    Output::Acquire { peer, .. } => self.handle(Input::Ready { peer, negotiated: None }),
                    _ => {}
                }
                moved = true;
            }
            moved |= self.write(Peer::MTA, None);
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
        let filled = self.session.transmit(peer, &mut slices);
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
        self.handle(Input::Wrote { peer, n: all.len() });
        if let Some(index) = child {
            let replies = self.children[index].replies(all);
            if !replies.is_empty() {
                self.buffer.reserve(READ_SIZE);
                self.buffer.extend_from_slice(&replies);
                let data = self.buffer.split();
                self.refills += 1;
                self.handle(Input::Received { peer, data });
            }
        }
        true
    }
}

impl Child {
    /// What it answers to `bytes`.
    fn replies(&mut self, bytes: BytesMut) -> BytesMut {
        let mut out = BytesMut::new();
        self.decoder.receive(bytes);
        while let Ok(Some(frame)) = self.decoder.next_frame() {
            let Some(stage) = Stage::of_letter(frame.letter()) else { continue };
            if stage == Stage::Negotiate {
                let answer = Negotiation {
                    version: VERSION_MAX,
                    actions: Actions::NONE,
                    protocol: self.protocol,
                    macro_lists: Vec::new(),
                };
                Reply::Negotiate(answer).encode(&mut out);
            } else if stage.fact().no_reply.is_none_or(|bit| !self.protocol.has(bit)) {
                Reply::Final(Final::Continue).encode(&mut out);
            }
        }
        out
    }
}

fn encode(commands: &[Command]) -> BytesMut {
    let mut wire = BytesMut::new();
    for command in commands {
        command.encode(&mut wire);
    }
    wire
}

fn macros(letter: u8) -> Command {
    Command::Macros { letter, pairs: Bytes::from_static(b"i\x004Xq9Yw1ZzZ\0") }
}

fn opening() -> BytesMut {
    encode(&[
        Command::Negotiate(Negotiation {
            version: VERSION_MAX,
            actions: Actions::ALL,
            protocol: Protocol::ALL,
            macro_lists: Vec::new(),
        }),
        macros(b'C'),
    ])
}

fn envelope() -> Vec<BytesMut> {
    let mail = encode(&[macros(b'M'), Command::Mail(Bytes::from_static(b"<a@b.test>\0SIZE=1\0"))]);
    let rcpt = encode(&[macros(b'R'), Command::Rcpt(Bytes::from_static(b"<c@d.test>\0"))]);
    vec![mail, rcpt, encode(&[macros(b'T'), Command::Data])]
}

fn headers(count: usize) -> BytesMut {
    let value =
        Bytes::from_static(b"from mail.example (mail.example [192.0.2.1])\n\tby mx.test; Fri, 20 Nov 2026");
    let header = Command::Header { name: Bytes::from_static(b"Received"), value };
    let pair = [macros(b'L'), header];
    let mut all = encode(&pair.iter().cycle().take(2 * count).cloned().collect::<Vec<_>>());
    all.extend_from_slice(&encode(&[macros(b'N'), Command::EndOfHeaders]));
    all
}

fn body(bytes: usize) -> BytesMut {
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

/// Passes messages through a session and prints what the last of them cost.
fn measure(
    name: &str,
    children: &[Protocol],
    header_count: usize,
    body_bytes: usize,
) -> (Allocations, usize, usize) {
    let mut bench = Bench::new(children);
    bench.feed(&opening());
    let mut content = (Allocations::default(), 0, 0);
    // The first message pays for what a session keeps.
    for _ in 0..3 {
        for command in envelope() {
            bench.feed(&command);
        }
        bench.feed(&headers(header_count));
        let before = (bench.cost, bench.refills);
        (bench.body_bytes_sent, bench.body_bytes_copied) = (0, 0);
        bench.read_to.clear();
        bench.feed(&body(body_bytes));
        content = (
            Allocations {
                count: bench.cost.count - before.0.count,
                bytes: bench.cost.bytes - before.0.bytes,
            },
            bench.refills - before.1,
            bench.body_bytes_copied,
        );
        bench.feed(&encode(&[macros(b'E'), Command::EndOfMessage(Bytes::new())]));
    }
    let (cost, refills, copied) = content;
    println!(
        "{name:34} {:>8} {:>8} {:>12} {:>12} {:>12}",
        refills,
        cost.count,
        format!("{:.2}", cost.count as f64 / refills as f64),
        bench.body_bytes_sent,
        copied
    );
    content
}

fn main() {
    println!(
        "{:34} {:>8} {:>8} {:>12} {:>12} {:>12}",
        "1 MiB of body through a session", "refills", "allocs", "per refill", "bytes out", "copied"
    );
    let silent = Protocol::NR_HEADERS.with(Protocol::NR_BODY).with(Protocol::NR_EOH);
    let mut worst: f64 = 0.0;
    for (name, children) in [
        ("one child that answers", vec![Protocol::NONE]),
        ("one silent child", vec![silent]),
        ("three children that answer", vec![Protocol::NONE; 3]),
        ("ten silent children", vec![silent; 10]),
    ] {
        let (cost, refills, copied) = measure(name, &children, 20, 1 << 20);
        let per_refill = cost.count as f64 / refills as f64;
        if children.len() == 1 {
            worst = worst.max(per_refill);
            assert_eq!(copied, 0, "{name}: a body through one child is not copied");
        }
    }
    assert!(worst <= 1.0, "{worst} allocations for each refill of a read buffer, at most one is promised");
}
