//! What it costs when nothing happens, and what it costs others.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::chain::configuration;
use crate::figures::Spread;
use crate::load::client::{Length, Pace};
use crate::load::mail::Mail;
use crate::load::measure::{by_turns, ratio, turn};
use crate::load::null_child::Address;
use crate::load::report::{Bound, Section, Table};
use crate::load::scenario::{Backend, Bench};
use crate::load::target::{Setup, Target, is_listening, start_manager};
use crate::meter::{Threads, settled};
use crate::mta::Mta;
use crate::visit::Visits;

/// Idle sessions at which wake-ups are counted.
const IDLE: usize = 1000;
/// When each loop has looked at the alarms that its sessions left behind: longer than a child may take to answer
/// HELO (`milter.reading_timeout`, 7 s).
const SETTLED: Duration = Duration::from_secs(8);
/// Longer than a start takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens `count` sessions that have said HELO.
fn hold(target: &Target, count: usize) -> io::Result<Vec<Mta>> {
    let Address::Unix(socket) = &target.address else { return Err(io::ErrorKind::Unsupported.into()) };
    let visits = Visits::default();
    (0..count).map(|_| visits.begin(socket)).collect()
}

fn managed(bench: &Bench, backend: &Backend, scenario: &str, children: usize) -> io::Result<Target> {
    let setup = Setup::new(backend.argument.as_deref(), children);
    let name = format!("{}, {children}", backend.name);
    Target::managed(&bench.folder().join(scenario), &name, &setup)
}

fn show(spread: Option<Spread>) -> String {
    spread.map(|spread| spread.to_string()).unwrap_or_default()
}

/// The idle program.
pub(super) fn program(bench: &mut Bench) -> io::Result<()> {
    let mut table = Table::new([
        "runtime",
        "start to listening, ms",
        "resident, MB",
        "with sessions: wake-ups in a second",
    ]);
    for backend in bench.backends.clone() {
        let (mut times, mut sizes) = (Vec::new(), Vec::new());
        for round in 0..=bench.rounds {
            let folder = bench.folder().join(format!("start-{}-{round}", backend.name));
            let (time, size) = start(&folder, &backend)?;
            // The first has the program read from disk.
            if round > 0 {
                times.push(time.as_secs_f64() * 1e3);
                sizes.push(size as f64 / 1e6);
            }
        }
        let (times, sizes) = (Spread::of(times), Spread::of(sizes));
        let target = managed(bench, &backend, "awake", 1)?;
        let held = hold(&target, IDLE)?;
        let wakes = wakes(&target, bench.quiet)?;
        drop(held);
        table.row([backend.name.clone(), show(times), show(sizes), format!("{wakes:.2}")]);
        let most = if backend.name == "glommio" { 24.0 } else { 8.0 };
        let (name, report) = (backend.name.as_str(), &mut bench.report);
        report.goal("idle program, MB resident", name, Bound::AtMost(most), sizes);
        report.goal("from start to listening, ms", name, Bound::AtMost(20.0), times);
        let figure = "wake-ups in a second with 1,000 idle sessions";
        report.goal(figure, name, Bound::AtMost(0.0), Spread::of(vec![wakes]));
    }
    bench.report.section(Section {
        title: "The idle program",
        text: "One child configured. *Start to listening*: from before the process is started until it accepts a connection. \
               *Resident*: VmRSS, shared libraries included, once it changes no more. *Wake-ups*: context switches of all its \
               threads with 1,000 open sessions that have said HELO and do nothing, in ten seconds (two with `--quick`), from eight \
               seconds after that on: each loop wakes once in between, when the time for the last answer of a child is over.",
        table,
        plots: Vec::new(),
    });
    Ok(())
}

/// Starts a manager: how long until it listens, and how large it is then.
fn start(folder: &std::path::Path, backend: &Backend) -> io::Result<(Duration, usize)> {
    std::fs::create_dir_all(folder)?;
    millstream_tests::manager::give_to_manager(folder);
    let address = Address::Unix(folder.join("manager.sock"));
    let child = Address::Unix(folder.join("nobody.sock")).to_string();
    let text = configuration(&address.to_string(), "log.level = \"none\"", &[child], "");
    let began = Instant::now();
    let mut manager = start_manager(folder, &text, backend.argument.as_deref());
    while !is_listening(&address) {
        if began.elapsed() > PATIENCE || manager.process().ended().is_some() {
            return Err(io::Error::other(format!("the manager does not start:\n{}", manager.log())));
        }
        thread::sleep(Duration::from_micros(200));
    }
    let time = began.elapsed();
    let size = settled(manager.process().id()).ok_or(io::ErrorKind::NotFound)?;
    Ok((time, size))
}

/// Wake-ups in a second of `quiet`, at rest.
fn wakes(target: &Target, quiet: Duration) -> io::Result<f64> {
    let Some(process) = target.manager() else { return Err(io::ErrorKind::Unsupported.into()) };
    thread::sleep(SETTLED);
    let before = Threads::of(process)?.switches()?;
    thread::sleep(quiet);
    Ok((Threads::of(process)?.switches()? - before) as f64 / quiet.as_secs_f64())
}

/// Memory of idle sessions.
pub(super) fn memory(bench: &mut Bench) -> io::Result<()> {
    let mut table = Table::new(["runtime", "children", "sessions", "MB before", "MB with them", "KiB each"]);
    let most = bench.most;
    for backend in bench.backends.clone() {
        for (children, counts) in [(0, vec![IDLE]), (1, vec![IDLE, most]), (3, vec![IDLE])] {
            let target = managed(bench, &backend, "memory", children)?;
            // What the first sessions bring with them once is not theirs.
            let mut held = hold(&target, 20)?;
            let gone = || io::Error::other("the manager is gone");
            let before = target.memory().ok_or_else(gone)?;
            for count in counts {
                held.extend(hold(&target, count + 20 - held.len())?);
                let after = target.memory().ok_or_else(gone)?;
                let each = (after - before) / count as f64 / 1024.0;
                table.row([
                    backend.name.clone(),
                    children.to_string(),
                    count.to_string(),
                    format!("{:.1}", before / 1e6),
                    format!("{:.1}", after / 1e6),
                    format!("{each:.2}"),
                ]);
                if children == 1 {
                    let figure = format!("KiB for one idle session of {count}, 1 child");
                    let found = Spread::of(vec![each]);
                    bench.report.goal(&figure, &backend.name, Bound::AtMost(8.0), found);
                }
            }
        }
    }
    bench.report.section(Section {
        title: "Memory of idle sessions",
        text: "VmRSS of the manager with and without open sessions that have said HELO and wait, each with its connections to \
               the children. The most is what the limit of open files allows here, 10,000 at most. The sockets' own memory is \
               the kernel's and not in it.",
        table,
        plots: Vec::new(),
    });
    Ok(())
}

/// Throughput beside idle sessions.
pub(super) fn beside(bench: &mut Bench) -> io::Result<()> {
    let mut table =
        Table::new(["runtime", "idle sessions", "sessions/s against none", "manager, time against none"]);
    for backend in bench.backends.clone() {
        let alone = managed(bench, &backend, "alone", 1)?;
        let beside = managed(bench, &backend, "beside", 1)?;
        let held = hold(&beside, bench.most)?;
        let length = Length::Time(bench.slice);
        let targets = [&alone, &beside];
        let samples = by_turns(&targets, bench.rounds, &Mail::small(), Pace::Closed(100), length)?;
        let rate = ratio(&samples[1], |sample| sample.rate, &samples[0], |sample| sample.rate);
        let time = ratio(&samples[1], |sample| sample.manager, &samples[0], |sample| sample.manager);
        table.row([backend.name.clone(), held.len().to_string(), show(rate), show(time)]);
        let figure = format!("throughput beside {} idle sessions against none", held.len());
        bench.report.goal(&figure, &backend.name, Bound::AtLeast(0.9), rate);
    }
    bench.report.section(Section {
        title: "Beside idle sessions",
        text: "Small mail, 1 child, 100 connections, by turns through a manager with nothing else and through one with so many \
               open sessions that have said HELO and wait.",
        table,
        plots: Vec::new(),
    });
    Ok(())
}

/// A burst, then quiet.
pub(super) fn burst(bench: &mut Bench) -> io::Result<()> {
    let mut table = Table::new([
        "runtime",
        "sessions at once",
        "MB before",
        "MB after",
        "in times of before",
        "sessions/s",
        "p99 ms",
    ]);
    let most = bench.most;
    for backend in bench.backends.clone() {
        let (mut ratios, mut row) = (Vec::new(), None);
        for round in 0..bench.rounds.min(3) {
            let target = managed(bench, &backend, &format!("burst{round}"), 1)?;
            turn(&target, &Mail::small(), Pace::Closed(100), Length::Sessions(1000))?;
            let gone = || io::Error::other("the manager is gone");
            let before = target.memory().ok_or_else(gone)?;
            let length = Length::Sessions(most as u64);
            let sample = turn(&target, &Mail::small(), Pace::Closed(most), length)?;
            thread::sleep(bench.quiet);
            let after = target.memory().ok_or_else(gone)?;
            ratios.push(after / before);
            row = Some((before, after, sample));
        }
        let ratios = Spread::of(ratios);
        if let Some((before, after, sample)) = row {
            table.row([
                backend.name.clone(),
                most.to_string(),
                format!("{:.1}", before / 1e6),
                format!("{:.1}", after / 1e6),
                show(ratios),
                format!("{:.0}", sample.rate),
                format!("{:.0}", sample.within(0.99)),
            ]);
        }
        let figure = format!("memory after a burst of {most} sessions, in times of before");
        bench.report.goal(&figure, &backend.name, Bound::AtMost(1.2), ratios);
    }
    bench.report.section(Section {
        title: "A burst",
        text: "So many sessions with a small mail that are all open at the same time, 1 child; VmRSS of the manager before, after \
               1,000 sessions over 100 connections, and after it once it has been quiet for ten seconds (two with `--quick`).",
        table,
        plots: Vec::new(),
    });
    Ok(())
}
