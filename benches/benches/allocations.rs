//! Allocations: for each frame that a reader forwards, and in core for a whole message. Prints two tables, and asserts
//! nothing about time.

use millstream_benches::child::Wishes;
use millstream_benches::counting::{Counting, allocations};
use millstream_benches::reader::Reader;
use millstream_benches::session::{Bench, opening};
use millstream_benches::traffic::{body, headers};
use millstream_core::wire::WireError;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Messages that are counted, after as many that are not.
const MESSAGES: usize = 50;

/// What core allocates for a message with 20 headers while children have no objection.
fn whole_messages() {
    println!(
        "\n{:9} {:>8} {:>10} | per message {:>7} {:>10}",
        "children", "how many", "body", "allocs", "allocated"
    );
    for (name, wishes) in [("answering", Wishes::ANSWERS), ("silent", Wishes::SILENT)] {
        for (children, body) in [(1, 1024), (3, 1024), (10, 1024), (1, 1 << 20), (3, 1 << 20), (10, 1 << 20)]
        {
            let mut bench = Bench::new(&vec![wishes; children]);
            bench.feed(&opening());
            (0..MESSAGES).for_each(|_| bench.pass(20, body));
            let before = bench.cost;
            (0..MESSAGES).for_each(|_| bench.pass(20, body));
            println!(
                "{name:9} {children:>8} {body:>10} | {:>19.1} {:>10}",
                (bench.cost.count - before.count) as f64 / MESSAGES as f64,
                (bench.cost.bytes - before.bytes) / MESSAGES,
            );
        }
    }
}

fn main() -> Result<(), WireError> {
    forwarded_frames()?;
    whole_messages();
    Ok(())
}

fn forwarded_frames() -> Result<(), WireError> {
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
