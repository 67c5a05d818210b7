//! Frames per second of processor time over real sockets, as ratios: the manager in front of children that have no
//! objection, against an MTA that talks to the same children itself, in turns within one run.
//!
//! The processor time is that of everybody who takes part, the MTA, the manager and the children, so that it does not
//! matter what else the machine does, and nothing is hidden by a second core.
//!
//! The MTA without the manager does as Postfix does: every command of the envelope to one child after another, then the
//! whole content to one child after another, waiting for each answer that it is owed.

use std::path::{Path, PathBuf};
use std::thread;
use std::{io, iter};

use millstream_benches::chain::Chain;
use millstream_benches::child::{self, Wishes};
use millstream_benches::figures::Spread;
use millstream_benches::meter::process_time;
use millstream_benches::mta::{Mta, Script};
use millstream_tests::scratch::Scratch;

const HEADERS: usize = 20;
const ROUNDS: usize = 5;
const CHAINS: [usize; 3] = [1, 3, 10];

/// A session of the MTA: one connection with the manager, one for each child without.
type Session = Vec<Mta>;

/// Messages in a nanosecond of processor time with the manager and without.
struct Pair {
    managed: f64,
    direct: f64,
}

type Part = fn(&Pair) -> f64;

fn open<'a>(sockets: impl IntoIterator<Item = &'a Path>) -> io::Result<Session> {
    sockets.into_iter().map(Mta::connect).collect()
}

/// Passes messages through all of `sessions` at the same time, each in a thread of its own.
fn pass(sessions: &mut [Session], messages: usize, envelope: &Script, content: &Script) -> io::Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = sessions
            .iter_mut()
            .map(|session| {
                scope.spawn(move || {
                    for _ in 0..messages {
                        Mta::pass_in_turn(session, envelope)?;
                        for mta in &mut *session {
                            mta.pass(content)?;
                        }
                    }
                    io::Result::Ok(())
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())))
    })
}

/// Messages in a nanosecond of processor time of this process, with its MTA and its children, and of `manager`.
fn speed(
    sessions: &mut [Session],
    messages: usize,
    scripts: &[Script; 2],
    manager: Option<u32>,
) -> io::Result<f64> {
    let now = || Ok(process_time(std::process::id())? + manager.map_or(Ok(0.0), process_time)?);
    let began: io::Result<f64> = now();
    pass(sessions, messages, &scripts[0], &scripts[1])?;
    Ok((messages * sessions.len()) as f64 / (now()? - began?).max(1e7))
}

/// One line of the table.
fn measure(name: &str, wishes: Wishes, body: usize, sessions: usize) -> io::Result<()> {
    let scratch = Scratch::new("throughput");
    let mut chains: Vec<Chain> = CHAINS
        .iter()
        .map(|&children| {
            let folder = scratch.join(&children.to_string());
            Chain::start(&folder, "log.level = \"none\"", children, "", |_, socket| {
                // Without it the connection fails.
                let _ = child::listen(socket, wishes);
            })
        })
        .collect();
    let scripts = [Script::envelope(), Script::content(HEADERS, body, true)];
    // Pairs for each length of chain: with the manager, without.
    let mut pairs = Vec::new();
    for chain in &chains {
        let managed: io::Result<Vec<_>> = (0..sessions).map(|_| open(iter::once(chain.socket()))).collect();
        let direct: io::Result<Vec<_>> =
            (0..sessions).map(|_| open(chain.children().iter().map(PathBuf::as_path))).collect();
        pairs.push((managed?, direct?));
    }
    // Enough for a few hundred ticks.
    let messages = if body > 1 << 16 { 800 } else { 3200 } / sessions;
    let mut speeds = Vec::new();
    for _ in 0..=ROUNDS {
        let mut round = Vec::new();
        for (chain, (managed, direct)) in chains.iter_mut().zip(&mut pairs) {
            let messages = messages / chain.children().len();
            let manager = chain.process();
            round.push(Pair {
                managed: speed(managed, messages, &scripts, Some(manager))?,
                direct: speed(direct, messages, &scripts, None)?,
            });
        }
        speeds.push(round);
    }
    // The first round warms up.
    let spread = |part: Part, at: usize, of: Part, base: usize| {
        let ratios = speeds[1..].iter().map(|round| part(&round[at]) / of(&round[base])).collect();
        Spread::of(ratios).map(|spread| spread.to_string()).unwrap_or_default()
    };
    let (managed, direct): (Part, Part) = (|pair| pair.managed, |pair| pair.direct);
    print!("{name:10} {body:>8} {sessions:>8} |");
    for at in 0..CHAINS.len() {
        print!(" {:>22}", spread(managed, at, direct, at));
    }
    print!(" |");
    for at in 1..CHAINS.len() {
        print!(" {:>22}", spread(managed, at, managed, 0));
    }
    println!();
    Ok(())
}

fn main() -> io::Result<()> {
    println!("frames per second of processor time, {ROUNDS} rounds: median (least to most)");
    println!("{:28} | {:>68} | {:>45}", "", "against the same children without it", "against 1 child");
    print!("{:10} {:>8} {:>8} |", "children", "body", "sessions");
    CHAINS.iter().for_each(|children| print!(" {children:>22}"));
    print!(" |");
    CHAINS[1..].iter().for_each(|children| print!(" {children:>22}"));
    println!();
    for (name, wishes) in [("answering", Wishes::ANSWERS), ("silent", Wishes::SILENT)] {
        for (body, sessions) in [(1 << 10, 1), (1 << 10, 8), (1 << 20, 8)] {
            measure(name, wishes, body, sessions)?;
        }
    }
    Ok(())
}
