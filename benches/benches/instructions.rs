//! Instructions in core: for each frame of a steady stream, with what is allocated meanwhile, and for a whole message, with
//! 1, 3 and 10 children that have no objection.
//!
//! Counted by valgrind, so that a shared machine does not matter: this program runs itself under callgrind with fewer and
//! with more frames or messages, and the difference is what those cost. Only what happens inside of core is counted, its
//! allocations and copies included: taking the bytes in, what it asks for, showing what is to be written, and being told that
//! it was.

use std::env;
use std::process::Command;

use millstream_benches::child::Wishes;
use millstream_benches::counting::Counting;
use millstream_benches::session::{Bench, opening};
use millstream_benches::streams::{STREAMS, Stream};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const HEADERS: usize = 20;
const FEW: usize = 20;
const MANY: usize = 120;
/// Frames of a stream, fewer and more.
const SHORT: usize = 1200;
const LONG: usize = 7200;

/// Passes `messages` with bodies of `body` bytes through a session with `children` children.
fn run(children: usize, messages: usize, body: usize) {
    let mut bench = Bench::new(&vec![Wishes::ANSWERS; children]);
    bench.feed(&opening());
    for _ in 0..messages {
        bench.pass(HEADERS, body);
    }
}

/// Instructions of a run of this program with `arguments`, as callgrind says.
fn instructions(arguments: &[usize]) -> Option<u64> {
    // Valgrind counts each byte of a `rep movsb`, which is one instruction, so copies are made without.
    let output = Command::new("valgrind")
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=0x40000000")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*in_core_*"])
        .arg(env::current_exe().ok()?)
        .arg("run")
        .args(arguments.iter().map(ToString::to_string))
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find_map(|line| line.split_once("Collected : "))?.1.to_owned();
    line.trim().parse().ok()
}

/// What a frame of a stream costs, and a read of it.
fn measure(number: usize, stream: &Stream) {
    let (short, long) = (stream.run(SHORT), stream.run(LONG));
    let frames = stream.passed(LONG) - stream.passed(SHORT);
    let allocated = (long.cost.count - short.cost.count) as f64;
    let counted = instructions(&[number, SHORT]).zip(instructions(&[number, LONG]));
    let each = counted.map(|(short, long)| ((long - short) / frames as u64).to_string());
    println!(
        "{:34} {:>8} {:>12} {:>14.3} {:>14.3}",
        stream.name,
        stream.children,
        each.as_deref().unwrap_or("no valgrind"),
        allocated / frames as f64,
        allocated / (long.refills - short.refills) as f64,
    );
}

fn streams() {
    println!(
        "{:34} {:>8} {:>12} {:>14} {:>14}",
        "each frame of the MTA", "children", "instructions", "allocations", "per refill"
    );
    for (number, stream) in STREAMS.iter().enumerate() {
        measure(number, stream);
    }
}

fn messages() {
    println!("{:>8} {:>10} {:>22} {:>22}", "children", "body", "instructions/message", "instructions/frame");
    for (children, body) in [(1, 1024), (3, 1024), (10, 1024), (1, 1 << 20), (3, 1 << 20)] {
        let few = instructions(&[children, FEW, body]);
        let Some((few, many)) = few.zip(instructions(&[children, MANY, body])) else {
            println!("{children:>8} {body:>10} valgrind is not here");
            return;
        };
        let per_message = (many - few) / (MANY - FEW) as u64;
        // Frames from the MTA: MAIL, RCPT, DATA, headers, end of headers, body and end, macros left out; as many go to
        // each child and come back from it as a reply.
        let frames = 3 + HEADERS + 1 + body.div_ceil(65535) + 1;
        println!(
            "{children:>8} {body:>10} {per_message:>22} {:>22}",
            per_message / (frames * (1 + 2 * children)) as u64
        );
    }
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let numbers: Vec<usize> = arguments.iter().skip(2).filter_map(|text| text.parse().ok()).collect();
    if arguments.get(1).is_some_and(|word| word == "run") {
        match numbers[..] {
            [number, frames] => drop(STREAMS[number].run(frames)),
            [children, messages, body] => run(children, messages, body),
            _ => {}
        }
        return;
    }
    streams();
    messages();
}
