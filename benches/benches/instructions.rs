//! Instructions in core for a whole message, with 1, 3 and 10 children that have no objection.
//!
//! Counted by valgrind, so that a shared machine does not matter: this program runs itself under callgrind with fewer and
//! with more messages, and the difference is what the messages cost. Only what happens inside of core is counted, its
//! allocations and copies included.

use std::env;
use std::process::Command;

use millstream_benches::child::Wishes;
use millstream_benches::session::{Bench, opening};

const HEADERS: usize = 20;
const FEW: usize = 20;
const MANY: usize = 120;

/// Passes `messages` with bodies of `body` bytes through a session with `children` children.
fn run(children: usize, messages: usize, body: usize) {
    let mut bench = Bench::new(&vec![Wishes::ANSWERS; children]);
    bench.feed(&opening());
    for _ in 0..messages {
        bench.pass(HEADERS, body);
    }
}

/// Instructions of a run, as callgrind says.
fn instructions(children: usize, messages: usize, body: usize) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*in_core_*"])
        .arg(env::current_exe().ok()?)
        .args(["run", &children.to_string(), &messages.to_string(), &body.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find_map(|line| line.split_once("Collected : "))?.1.to_owned();
    line.trim().parse().ok()
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let [_, run_word, children, messages, body] = &arguments[..]
        && run_word == "run"
    {
        let number = |text: &String| text.parse().unwrap_or(0);
        return run(number(children), number(messages), number(body));
    }
    println!("{:>8} {:>10} {:>22} {:>22}", "children", "body", "instructions/message", "instructions/frame");
    for (children, body) in [(1, 1024), (3, 1024), (10, 1024), (1, 1 << 20), (3, 1 << 20)] {
        let few = instructions(children, FEW, body);
        let Some((few, many)) = few.zip(instructions(children, MANY, body)) else {
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
