//! A private Postfix in front, and `smtp-source` in front of that.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use millstream_tests::lane::Lanes;
use millstream_tests::mta::{Entry, Mta as _};
use millstream_tests::postfix::Postfix;
use millstream_tests::require;
use millstream_tests::scratch::Scratch;
use millstream_tests::sink::Sink;

use crate::figures::Spread;
use crate::load::null_child::{Address, Manners};
use crate::load::report::{Section, Table};
use crate::load::scenario::Bench;
use crate::load::target::{Setup, Target};

/// SMTP connections at the same time.
const CONNECTIONS: usize = 20;

/// One way of the mail.
struct Way {
    target: Target,
    server: SocketAddr,
    /// Messages per second, and milliseconds of the manager for one.
    found: Vec<(f64, f64)>,
}

pub(super) fn run(bench: &mut Bench) -> io::Result<()> {
    if !require::available("load", &["postfix", "smtp-source"]) {
        println!("Postfix or smtp-source is not here\n");
        return Ok(());
    }
    let scratch = Scratch::new("smtp");
    let folder = scratch.join("lanes");
    let sink = Sink::start();
    let postfix = Postfix::start(&scratch.join("mta"), &folder, sink.address());
    let lanes = Lanes::new(&folder, postfix.lanes());
    let targets = targets(bench)?;
    // Held until the end: their folders are where Postfix looks.
    let mut taken = Vec::new();
    let mut ways = Vec::new();
    for target in targets {
        let lane = lanes.take();
        let entry = if target.manager().is_some() { Entry::Manager } else { Entry::Direct(1) };
        lead(lane.folder(), entry, &target)?;
        ways.push(Way { target, server: postfix.address(lane.number(), entry), found: Vec::new() });
        taken.push(lane);
    }
    let messages = if bench.rounds > 2 { 1000 } else { 100 };
    for round in 0..=bench.rounds {
        for way in &mut ways {
            let found = send(way, messages)?;
            if round > 0 {
                way.found.push(found);
            }
        }
    }
    let mut table = Table::new(["way", "messages/s against straight", "manager, ms/message"]);
    let (straight, _) = ways.split_at(1);
    for way in &ways {
        let rates = way.found.iter().zip(&straight[0].found).map(|(found, base)| found.0 / base.0).collect();
        let times = Spread::of(way.found.iter().map(|found| found.1).collect());
        let rates = Spread::of(rates).map(|spread| spread.to_string());
        let is_managed = way.target.manager().is_some();
        table.row([
            way.target.name.clone(),
            rates.unwrap_or_default(),
            times.filter(|_| is_managed).map(|times| format!("{:.3}", times.median)).unwrap_or_default(),
        ]);
    }
    bench.report.section(Section {
        title: "Behind Postfix",
        text: "`smtp-source` with 20 connections and messages of 1 KiB, a private Postfix, and as its milter the null child, or the \
               manager in front of it. Postfix itself is most of the work.",
        table,
        plots: Vec::new(),
    });
    Ok(())
}

fn targets(bench: &Bench) -> io::Result<Vec<Target>> {
    let folder = bench.folder().join("postfix");
    let mut targets = vec![Target::straight(&folder, "straight", Manners::PLAIN, false)?];
    for backend in &bench.backends {
        for (name, children) in [("1 child", 1), ("3 children", 3)] {
            let setup = Setup::new(backend.argument.as_deref(), children);
            targets.push(Target::managed(&folder, &format!("{}, {name}", backend.name), &setup)?);
        }
    }
    Ok(targets)
}

/// Puts the target where Postfix looks for a milter.
fn lead(lane: &Path, entry: Entry, target: &Target) -> io::Result<()> {
    let Address::Unix(socket) = &target.address else { return Err(io::ErrorKind::Unsupported.into()) };
    entry.sockets().iter().try_for_each(|name| symlink(socket, lane.join(name)))
}

/// Messages per second, and milliseconds of the manager for one. Each child has to see a session for each message.
fn send(way: &Way, messages: usize) -> io::Result<(f64, f64)> {
    let target = &way.target;
    let (time, tallies) = (target.manager_time()?, target.tallies()?);
    let began = Instant::now();
    let status = Command::new(require::program_path("smtp-source"))
        .args(["-l", "1024", "-f", "a@b.test", "-t", "c@d.test"])
        .args(["-m", &messages.to_string(), "-s", &CONNECTIONS.to_string()])
        .arg(way.server.to_string())
        .stdin(Stdio::null())
        .status()?;
    let elapsed = began.elapsed();
    if !status.success() {
        return Err(io::Error::other(format!("{}: smtp-source ended with {status}", target.name)));
    }
    target.check_sessions(&tallies, messages as u64)?;
    let time = target.manager_time()? - time;
    Ok((messages as f64 / elapsed.as_secs_f64(), time / 1e6 / messages as f64))
}
