//! The dispatch path in isolation: one message from the MTA through a session to its children, without any socket.
//!
//! Prints allocations and copies for each kind of traffic and asserts the two bounds that users are promised: at most
//! one allocation in core for each refill of a read buffer while frames are forwarded, and a body that is not copied.

use millstream_benches::child::Wishes;
use millstream_benches::counting::{Allocations, Counting};
use millstream_benches::session::{Bench, body, end_of_message, envelope, headers, opening};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Passes messages through a session and prints what the last of them cost.
fn measure(
    name: &str,
    children: &[Wishes],
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
        bench.forget_reads();
        bench.feed(&body(body_bytes));
        content = (
            Allocations {
                count: bench.cost.count - before.0.count,
                bytes: bench.cost.bytes - before.0.bytes,
            },
            bench.refills - before.1,
            bench.body_bytes_copied,
        );
        bench.feed(&end_of_message());
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
    let mut worst: f64 = 0.0;
    for (name, children) in [
        ("one child that answers", vec![Wishes::ANSWERS]),
        ("one silent child", vec![Wishes::SILENT]),
        ("three children that answer", vec![Wishes::ANSWERS; 3]),
        ("ten silent children", vec![Wishes::SILENT; 10]),
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
