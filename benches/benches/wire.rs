//! Time to read, decode and forward frames.
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use millstream_benches::reader::Reader;
use millstream_benches::traffic::{body, headers};

fn forward(c: &mut Criterion) {
    for traffic in [headers(), body()] {
        let mut group = c.benchmark_group(traffic.name);
        group.throughput(Throughput::Bytes(traffic.wire.len() as u64));
        // An Ethernet segment, a loopback segment, all that there is room for.
        for size in [1448, 65_483, usize::MAX] {
            let name = if size == usize::MAX { "all".into() } else { size.to_string() };
            let mut reader = Reader::default();
            group.bench_function(BenchmarkId::new("reads of", name), |bencher| {
                bencher.iter(|| {
                    reader.run(&traffic.wire, size, |piece| {
                        std::hint::black_box(piece);
                    })
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, forward);
criterion_main!(benches);
