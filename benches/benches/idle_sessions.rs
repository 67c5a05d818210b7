//! Memory of the running manager for each open session that does nothing: the resident size of its process with and
//! without them. The sockets' own memory is the kernel's and not in it.

use std::time::Duration;

use millstream_benches::chain::Chain;
use millstream_tests::child_side::ChildSide;
use millstream_tests::mta_side::MtaSide;
use millstream_tests::scratch::Scratch;
use millstream_tests::wire::Address;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens `sessions` sessions up to HELO behind `children` children and prints what each of them costs.
fn measure(children: usize, sessions: usize) -> Option<()> {
    let scratch = Scratch::new("idle");
    let settings = "manager.max_file_descriptors = 20000\nlog.level = \"none\"";
    let mut chain = Chain::start(&scratch.join("chain"), settings, children, "", |_, socket| {
        let _ = ChildSide::agreeing(socket);
    });
    let address = Address::Unix(chain.socket().to_owned());
    let open = || {
        let mut mta = MtaSide::connect(&address, PATIENCE).ok()?;
        mta.negotiate().ok()?;
        mta.begin().ok()?;
        Some(mta)
    };
    // What the first sessions bring with them once is not theirs.
    let first: Vec<_> = (0..20).map_while(|_| open()).collect();
    let before = chain.size("VmRSS")?;
    let idle: Vec<_> = (0..sessions).map_while(|_| open()).collect();
    let after = chain.size("VmRSS")?;
    assert_eq!(idle.len(), sessions, "all sessions are open");
    println!(
        "{children:>8} {sessions:>9} {:>14.1} {:>14.1} {:>18.2}",
        before as f64 / 1e6,
        after as f64 / 1e6,
        (after.saturating_sub(before)) as f64 / sessions as f64 / 1024.0
    );
    drop((first, idle));
    Some(())
}

fn main() {
    println!(
        "{:>8} {:>9} {:>14} {:>14} {:>18}",
        "children", "sessions", "MB before", "MB with them", "KiB each"
    );
    for (children, sessions) in [(0, 1000), (1, 1000), (3, 1000)] {
        if measure(children, sessions).is_none() {
            println!("{children:>8} {sessions:>9}  cannot be measured here");
        }
    }
}
