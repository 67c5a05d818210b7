//! Allocations and copied bytes per forwarded frame. Prints a table, and asserts nothing about time.

use millstream_benches::counting::{Counting, allocations};
use millstream_benches::reader::Reader;
use millstream_benches::traffic::{body, headers};
use millstream_core::wire::WireError;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> Result<(), WireError> {
    println!(
        "{:8} {:>9} {:>7} {:>6} | per frame {:>7} {:>10} {:>8}",
        "traffic", "reads of", "frames", "reads", "allocs", "allocated", "copied"
    );
    for traffic in [headers(), body()] {
        for size in [100, 1448, 16_384, 65_483, 65_540, usize::MAX] {
            let mut reader = Reader::default();
            // The first run pays for what the reader keeps.
            reader.run(&traffic.wire, size, |_| {})?;
            let (cost, done) = allocations(|| reader.run(&traffic.wire, size, |_| {}));
            let done = done?;
            assert_eq!((done.frames, done.bytes), (traffic.frames, traffic.wire.len()), "something was lost");
            let per_frame = |n: usize| n as f64 / done.frames as f64;
            println!(
                "{:8} {:>9} {:>7} {:>6} | {:>17.2} {:>10.0} {:>8.0}",
                traffic.name,
                if size == usize::MAX { "all".into() } else { size.to_string() },
                done.frames,
                done.reads,
                per_frame(cost.count),
                per_frame(cost.bytes),
                per_frame(done.copied),
            );
        }
    }
    Ok(())
}
