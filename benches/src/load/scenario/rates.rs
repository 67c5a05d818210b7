//! Fixed arrival rates: what a session takes at so many in a second, whatever becomes of those before.

use std::io;

use crate::load::client::{Length, Pace};
use crate::load::mail::Mail;
use crate::load::measure::{all_times, by_turns, median, turn};
use crate::load::null_child::Manners;
use crate::load::report::{Plot, Section, Table};
use crate::load::scenario::Bench;
use crate::load::target::{Setup, Target};

/// Parts of what the slowest of those that are compared can do at most.
const PARTS: [f64; 4] = [0.1, 0.25, 0.5, 0.75];

pub(super) fn run(bench: &mut Bench) -> io::Result<()> {
    let folder = bench.folder().join("rates");
    let mut targets = vec![Target::straight(&folder, "straight", Manners::PLAIN, false)?];
    for backend in &bench.backends {
        let argument = backend.argument.as_deref();
        for (name, children) in [("1 child", 1), ("3 children", 3)] {
            let name = format!("{}, {name}", backend.name);
            targets.push(Target::managed(&folder, &name, &Setup::new(argument, children))?);
        }
    }
    let mail = Mail::small();
    let length = Length::Time(bench.slice);
    let most = |target: &Target| turn(target, &mail, Pace::Closed(100), length).map(|sample| sample.rate);
    // Everybody is to bear the rates.
    let most = targets.iter().map(most).collect::<io::Result<Vec<_>>>()?;
    let most = most.into_iter().fold(f64::INFINITY, f64::min);
    let targets: Vec<&Target> = targets.iter().collect();
    let mut table =
        Table::new(["sessions/s", "way", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "manager, ms/session"]);
    let mut lines: Vec<(String, Vec<(f64, f64)>)> =
        targets.iter().map(|target| (target.name.clone(), Vec::new())).collect();
    for part in PARTS {
        let rate = most * part;
        let samples = by_turns(&targets, bench.rounds, &mail, Pace::Open(rate), length)?;
        for ((target, own), (_, points)) in targets.iter().zip(&samples).zip(&mut lines) {
            let times = all_times(own)?;
            let within = |part| times.value_at_quantile(part) as f64 / 1e6;
            table.row([
                format!("{rate:.0}"),
                target.name.clone(),
                format!("{:.2}", within(0.5)),
                format!("{:.2}", within(0.9)),
                format!("{:.2}", within(0.99)),
                format!("{:.2}", within(0.999)),
                format!("{:.3}", median(own, |sample| sample.manager)),
            ]);
            points.push((rate, within(0.99)));
        }
    }
    let plot = Plot {
        name: "rates",
        title: "Time of 99 of 100 small sessions at fixed rates".to_owned(),
        x: "sessions/s",
        y: "ms",
        places: Vec::new(),
        lines,
    };
    bench.report.section(Section {
        title: "Fixed rates",
        text: "Sessions begin at a fixed rate, a tenth to three quarters of what the slowest way here bore with 100 connections \
               just before. The time of one counts from when it was to begin (no coordinated omission); all rounds together.",
        table,
        plots: vec![plot],
    });
    Ok(())
}
