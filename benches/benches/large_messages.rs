//! Memory of the running manager for each session that is in the middle of a message of 25 MB: the resident size of its
//! process with and without them, and its peak until their verdicts.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::thread;

use millstream_benches::chain::Chain;
use millstream_benches::child::{self, Wishes};
use millstream_benches::mta::{Mta, Script};
use millstream_tests::scratch::Scratch;

/// The body of each message.
const BODY: usize = 25_000_000;

/// Bytes in files of the manager that have no name any more.
fn in_files(chain: &mut Chain) -> u64 {
    let files = fs::read_dir(chain.proc("fd")).into_iter().flatten().flatten();
    let gone = files.filter_map(|entry| fs::metadata(entry.path()).ok());
    gone.filter(|file| file.is_file() && file.nlink() == 0).map(|file| file.size()).sum()
}

/// Holds `sessions` such messages behind a chain of `children`.
fn measure(name: &str, children: &[Wishes], settings: &str, sessions: usize) -> io::Result<()> {
    let scratch = Scratch::new("large");
    let settings = format!("log.level = \"none\"\n{settings}");
    let mut chain = Chain::start(&scratch.join("chain"), &settings, children.len(), "", |index, socket| {
        // Without it the connection fails.
        let _ = child::listen(socket, children[index]);
    });
    let none = io::Error::from(io::ErrorKind::NotFound);
    let open = |chain: &Chain| Mta::connect(chain.socket());
    // What the first session brings with it once is not theirs.
    let mut first = open(&chain)?;
    first.pass(&Script::envelope())?;
    first.pass(&Script::content(20, 1 << 10, true))?;
    let mut open_sessions: Vec<_> = (0..sessions).map(|_| open(&chain)).collect::<io::Result<_>>()?;
    let Some(before) = chain.settled() else { return Err(none) };
    let (envelope, content) = (Script::envelope(), Script::content(20, BODY, false));
    // 5 is the peak's reset.
    fs::write(chain.proc("clear_refs"), "5")?;
    for mta in &mut open_sessions {
        mta.pass(&envelope)?;
    }
    let together = |sessions: &mut [Mta], script: &Script| -> io::Result<()> {
        thread::scope(|scope| {
            let threads: Vec<_> =
                sessions.iter_mut().map(|mta| scope.spawn(move || mta.pass(script))).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())))
        })
    };
    together(&mut open_sessions, &content)?;
    let (Some(held), files) = (chain.settled(), in_files(&mut chain)) else { return Err(none) };
    together(&mut open_sessions, &Script::end())?;
    let (Some(peak), Some(after)) = (chain.size("VmHWM"), chain.settled()) else { return Err(none) };
    let each = |size: usize| size.saturating_sub(before) as f64 / 1e6 / sessions as f64;
    println!(
        "{name:30} {sessions:>8} | {:>10.2} {:>10.2} {:>10.2} | {:>10.2} {:>10.1}",
        each(held),
        files as f64 / 1e6 / sessions as f64,
        each(peak),
        each(after),
        before as f64 / 1e6,
    );
    Ok(())
}

fn main() -> io::Result<()> {
    println!(
        "{:30} {:>8} | {:>10} {:>10} {:>10} | {:>10} {:>10}",
        "MB for each session", "sessions", "held", "in a file", "peak", "afterwards", "MB without"
    );
    let silent = Wishes::SILENT;
    for sessions in [1, 4, 16] {
        measure("1 that edits nothing", &[silent], "", sessions)?;
        measure("3 that edit nothing", &[silent; 3], "", sessions)?;
        measure("1 that may edit", &[Wishes::WRITES], "", sessions)?;
        measure("1 that may edit, 1 behind it", &[Wishes::WRITES, silent], "", sessions)?;
        measure("1 that may edit, 3 behind it", &[Wishes::WRITES, silent, silent, silent], "", sessions)?;
        let little = "manager.max_body_memory = 65536";
        measure("the same, 64 KiB in memory", &[Wishes::WRITES, silent, silent, silent], little, sessions)?;
    }
    Ok(())
}
