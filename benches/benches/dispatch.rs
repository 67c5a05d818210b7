//! Time in core for each kind of frame and for whole messages, with 0, 1, 3 and 10 children that answer everything: from the
//! bytes of the MTA to those for it, with all that passes between core and the children, and without sockets.
//!
//! Beside it, for the same bytes of a message: copying them, cutting and decoding them here, and cutting them and decoding
//! them with the crate `miltr-common`.
#![allow(missing_docs, reason = "criterion's macros")]

use std::hint::black_box;
use std::time::Duration;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use millstream_benches::child::Wishes;
use millstream_benches::reader::Reader;
use millstream_benches::session::{
    Bench, body, clock_cost, connect, end_of_headers, end_of_message, envelope, header, headers, offer,
    opening,
};
use miltr_common::decoding::ClientCommand;

const CHAINS: [usize; 4] = [0, 1, 3, 10];
/// Headers and bytes of body.
const MESSAGES: [(&str, usize, usize); 3] =
    [("small", 5, 1 << 10), ("1 MiB", 20, 1 << 20), ("25 MiB", 20, 25 << 20)];

/// A bench with a session whose children have agreed.
fn open(children: usize) -> Bench {
    let mut bench = Bench::new(&vec![Wishes::ANSWERS; children]);
    bench.feed(&opening());
    bench
}

/// A message in which one part is timed; the parts come in this order.
fn message(bench: &mut Bench, clock: Duration, timed: &str) -> Duration {
    let [mail, rcpt, data] = envelope().try_into().unwrap_or_default();
    let parts = [
        ("MAIL", mail),
        ("RCPT", rcpt),
        ("DATA", data),
        ("header", header()),
        ("end of headers", end_of_headers()),
        ("body of 1 byte", body(1)),
        ("body of 1 KiB", body(1 << 10)),
        ("body of 64 KiB", body((64 << 10) - 1)),
        ("end of message", end_of_message()),
    ];
    let mut time = Duration::ZERO;
    for (name, wire) in parts {
        if name == timed {
            time = bench.timed(clock, |bench| bench.feed(&wire));
        } else {
            bench.feed(&wire);
        }
    }
    bench.forget_reads();
    time
}

/// The frames of a session, each with its macros and all answers.
fn frames(c: &mut Criterion) {
    let clock = clock_cost();
    let mut group = c.benchmark_group("frame");
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(500));
    for children in CHAINS {
        group.bench_function(BenchmarkId::new("negotiation", children), |bencher| {
            bencher.iter_custom(|times| {
                let one =
                    || Bench::new(&vec![Wishes::ANSWERS; children]).timed(clock, |it| it.feed(&offer()));
                (0..times).map(|_| one()).sum()
            });
        });
        group.bench_function(BenchmarkId::new("CONNECT", children), |bencher| {
            bencher.iter_custom(|times| {
                let one = || open(children).timed(clock, |bench| bench.feed(&connect()));
                (0..times).map(|_| one()).sum()
            });
        });
        for name in [
            "MAIL",
            "RCPT",
            "DATA",
            "header",
            "end of headers",
            "body of 1 byte",
            "body of 1 KiB",
            "body of 64 KiB",
            "end of message",
        ] {
            let mut bench = open(children);
            bench.feed(&connect());
            group.bench_function(BenchmarkId::new(name, children), |bencher| {
                bencher.iter_custom(|times| (0..times).map(|_| message(&mut bench, clock, name)).sum());
            });
        }
    }
    group.finish();
}

/// Whole messages, and their bytes alone.
fn messages(c: &mut Criterion) {
    let clock = clock_cost();
    for (name, header_count, size) in MESSAGES {
        let mut group = c.benchmark_group(format!("message, {name}"));
        group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(500));
        group.sample_size(20);
        let wire = [envelope().concat(), headers(header_count).to_vec(), body(size).to_vec()].concat();
        group.throughput(Throughput::Bytes(wire.len() as u64));
        for children in CHAINS {
            let mut bench = open(children);
            bench.feed(&connect());
            group.bench_function(BenchmarkId::new("core, children", children), |bencher| {
                bencher.iter_custom(|times| {
                    let pass = |bench: &mut Bench| bench.pass(header_count, size);
                    (0..times).map(|_| bench.timed(clock, pass)).sum()
                });
            });
        }
        let mut copy = vec![0; wire.len()];
        group.bench_function("memcpy", |bencher| {
            bencher.iter(|| black_box(&mut copy).copy_from_slice(black_box(&wire)));
        });
        let mut reader = Reader::default();
        group.bench_function("our decoder", |bencher| {
            bencher.iter(|| {
                reader.run(&wire, usize::MAX, |piece| {
                    black_box(piece);
                })
            });
        });
        group.bench_function("miltr-common", |bencher| bencher.iter(|| theirs(&wire)));
        group.finish();
    }
}

/// Cuts frames and has each of them decoded by `miltr-common`, which wants one in a buffer of its own.
fn theirs(wire: &[u8]) -> usize {
    // As from one large read, since ours copies into its read buffers, too.
    let mut buffer = BytesMut::from(wire);
    let mut frames = 0;
    while let Some(length) = buffer.first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let frame = buffer.split_to(4 + length).split_off(4);
        // What it does not take is no less work.
        let _ = black_box(ClientCommand::parse(frame));
        frames += 1;
    }
    frames
}

criterion_group!(benches, frames, messages);
criterion_main!(benches);
