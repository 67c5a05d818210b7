//! What a child costs that is not there: a chain with it against the same chain without it, with its breaker open and, for
//! contrast, without a pause between two tries.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::{fs, io};

use millstream_benches::child::Wishes;
use millstream_benches::side::{Side, by_turns, calls_each, ratio};
use millstream_benches::visit::{Ending, Visits};
use millstream_tests::scratch::Scratch;

const ROUNDS: usize = 11;
const SESSIONS: usize = 200;

/// A child first in the chain at `spec`, where nobody listens.
fn dead(spec: &str, retry_interval: &str) -> String {
    format!(
        "define_milter(\"dead\") do |milter|\n  milter.connection_spec = \"{spec}\"\n  \
         milter.retry_interval = {retry_interval}\n  milter.reading_timeout = 0.1\nend"
    )
}

fn main() -> io::Result<()> {
    let scratch = Scratch::new("dead");
    let file = format!("unix:{}", scratch.join("nobody").display());
    let hangs = scratch.join("hangs");
    // The kernel connects to it, and nobody answers.
    let _listener = UnixListener::bind(&hangs)?;
    fs::set_permissions(&hangs, fs::Permissions::from_mode(0o666))?;
    // Port 9 of a machine of today discards nothing any more.
    let port = "inet:9@127.0.0.1";
    let settings = [
        ("without it", String::new()),
        ("without it again", String::new()),
        ("no file, breaker", dead(&file, "3600.0")),
        ("no file, no pause", dead(&file, "0.000001")),
        ("no port, breaker", dead(port, "3600.0")),
        ("no port, no pause", dead(port, "0.000001")),
        ("hangs, breaker", dead(&format!("unix:{}", hangs.display()), "3600.0")),
    ];
    let children = [Wishes::OPENDKIM, Wishes::CLAMAV_MILTER];
    let sides: io::Result<Vec<_>> = settings
        .iter()
        .map(|(name, settings)| Side::start(scratch.path(), name, &children, settings, ""))
        .collect();
    let sides = sides?;
    println!(
        "for a session, in times of two children without the dead one; {ROUNDS} rounds: median (least to most)"
    );
    println!(
        "{:8} {:22} {:>22} {:>22} {:>7}",
        "ends at", "chain", "time of the manager", "time of all", "calls"
    );
    let visits = Visits::default();
    for ending in [Ending::Connect, Ending::Rcpt, Ending::Message] {
        let run = |socket: &Path| visits.visits(socket, &[ending], SESSIONS);
        let costs = by_turns(&sides, ROUNDS, SESSIONS, run)?;
        for (side, costs_here) in sides.iter().zip(&costs) {
            let calls = side.calls(run)?;
            println!(
                "{:8} {:22} {:>22} {:>22} {:>7}",
                ending.name(),
                side.name,
                ratio(costs_here, &costs[0], |cost| cost.manager),
                ratio(costs_here, &costs[0], |cost| cost.all),
                calls_each(calls.as_ref(), SESSIONS),
            );
        }
    }
    Ok(())
}
