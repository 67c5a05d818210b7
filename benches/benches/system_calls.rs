//! The manager's system calls for a small session, counted by name and, for one session, listed in their order.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use millstream_benches::child::Wishes;
use millstream_benches::side::{Calls, Side};
use millstream_benches::visit::{Ending, Visits};
use millstream_tests::scratch::Scratch;

const SESSIONS: usize = 200;

const CHILDREN: [Wishes; 3] = [Wishes::OPENDKIM, Wishes::CLAMAV_MILTER, Wishes::SPAMASS_MILTER];

fn main() -> io::Result<()> {
    let scratch = Scratch::new("calls");
    let visits = Visits::default();
    let mut columns: Vec<(String, Calls)> = Vec::new();
    let mut listing = None;
    for (name, count, reuse, level) in [
        ("1", 1, false, "none"),
        ("3", 3, false, "none"),
        ("3, reuse", 3, true, "none"),
        ("1, log", 1, false, "default|statistics"),
    ] {
        let child = format!("milter.reuse_connections = {reuse}");
        // The last one counts.
        let settings = format!("log.level = \"{level}\"");
        let side = Side::start(scratch.path(), name, &CHILDREN[..count], &settings, &child)?;
        // Who wants what is known from then on.
        visits.visits(side.socket(), &[Ending::Message], 3)?;
        for ending in [Ending::Connect, Ending::Rcpt, Ending::Message] {
            let run = |socket: &Path| visits.visits(socket, &[ending], SESSIONS);
            let Some(calls) = side.calls(run)? else {
                println!("strace is not here");
                return Ok(());
            };
            columns.push((format!("{} {name}", ending.name()), calls));
        }
        if listing.is_none() {
            listing = side.traced(&["-s", "12"], |socket| visits.visit(socket, Ending::Message))?;
        }
    }
    println!("system calls of the manager for a session: where it ends, how many children");
    let names: BTreeSet<&String> = columns.iter().flat_map(|(_, calls)| calls.keys()).collect();
    print!("{:16}", "");
    columns.iter().for_each(|(name, _)| print!(" {name:>16}"));
    println!();
    let line = |name: &str, of: &dyn Fn(&Calls) -> u64| {
        print!("{name:16}");
        columns.iter().for_each(|(_, calls)| print!(" {:>16.2}", of(calls) as f64 / SESSIONS as f64));
        println!();
    };
    for name in names {
        line(name, &|calls| calls.get(name).copied().unwrap_or(0));
    }
    line("all", &|calls| calls.values().sum());
    println!("\na session with a message and one child:\n{}", listing.unwrap_or_default());
    Ok(())
}
