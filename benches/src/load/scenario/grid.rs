//! Small and big mail, one connection and a hundred, straight and through the manager.

use std::io;

use crate::load::client::{Length, Pace};
use crate::load::mail::Mail;
use crate::load::measure::{Sample, all_times, by_turns, cells, median, ratio};
use crate::load::null_child::Manners;
use crate::load::report::{Bound, Plot, Section, Table};
use crate::load::scenario::Bench;
use crate::load::target::{Setup, Target};

/// Children behind the manager.
const CHAINS: [usize; 4] = [0, 1, 3, 10];

/// Managers of one runtime.
struct Managers {
    backend: String,
    chains: Vec<Target>,
    /// With one child, in lock step with every header.
    lock_step: Target,
    /// With three children, each write a system call of its own.
    calls: Target,
}

impl Managers {
    fn all(&self) -> Vec<&Target> {
        self.chains.iter().chain([&self.lock_step, &self.calls]).collect()
    }
}

pub(super) fn run(bench: &mut Bench) -> io::Result<()> {
    let straight = Target::straight(bench.folder(), "straight", Manners::PLAIN, false)?;
    let mut managers = Vec::new();
    for backend in &bench.backends {
        let argument = backend.argument.as_deref();
        let start = |name: &str, setup: &Setup<'_>| {
            Target::managed(bench.folder(), &format!("{}, {name}", backend.name), setup)
        };
        let chains = CHAINS
            .iter()
            .map(|&children| start(&counted(children), &Setup::new(argument, children)))
            .collect::<io::Result<Vec<_>>>()?;
        let setup = Setup { child_settings: "milter.pipelining = false", ..Setup::new(argument, 1) };
        let lock_step = start("1 child, pipelining off", &setup)?;
        let setup = Setup { settings: "manager.use_io_uring = false", ..Setup::new(argument, 3) };
        let calls = start("3 children, a call for each write", &setup)?;
        managers.push(Managers { backend: backend.name.clone(), chains, lock_step, calls });
    }
    let mut table = Table::new([
        "mail",
        "connections",
        "way",
        "sessions/s",
        "against straight",
        "manager, ms/session",
        "children, ms/session",
        "manager, in times of the child's own, straight",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "client's processor",
    ]);
    let mut plots = Vec::new();
    for (mail, connections) in
        [(Mail::small(), 1), (Mail::small(), 100), (Mail::big(), 1), (Mail::big(), 100)]
    {
        let targets: Vec<&Target> =
            [&straight].into_iter().chain(managers.iter().flat_map(Managers::all)).collect();
        let pace = Pace::Closed(connections);
        let samples = by_turns(&targets, bench.rounds, &mail, pace, Length::Time(bench.slice))?;
        for (target, own) in targets.iter().zip(&samples) {
            rows(&mut table, &mail, connections, target, own, &samples[0])?;
        }
        for (managers, of_backend) in managers.iter().zip(samples[1..].chunks(CHAINS.len() + 2)) {
            goals(bench, &managers.backend, &mail, connections, of_backend, &samples[0]);
        }
        if connections == 100 {
            plots.extend(plot(&mail, &managers, &samples));
        }
    }
    bench.report.section(Section {
        title: "Small and big mail",
        text: "Small: 5 headers, 1 KiB. Big: 20 headers, 1 MiB. Closed loop; unix sockets; every child answers every \
               command at once. *The child's own*: the processor time of the only child when it is asked straight, 1.00 is \
               as much. *Children*: of all of them together. Times are from connecting to the answer to the end of the message. *Pipelining off*: \
               `milter.pipelining = false`.",
        table,
        plots,
    });
    Ok(())
}

fn counted(children: usize) -> String {
    if children == 1 { "1 child".to_owned() } else { format!("{children} children") }
}

fn rows(
    table: &mut Table,
    mail: &Mail,
    connections: usize,
    target: &Target,
    own: &[Sample],
    straight: &[Sample],
) -> io::Result<()> {
    let times = all_times(own)?;
    let within = |part| format!("{:.2}", times.value_at_quantile(part) as f64 / 1e6);
    let [rate, against, manager, children, cost] = cells(target.manager().is_none(), own, straight);
    table.row([
        mail.name.clone(),
        connections.to_string(),
        target.name.clone(),
        rate,
        against,
        manager,
        children,
        cost,
        within(0.5),
        within(0.99),
        within(0.999),
        format!("{:.2}", median(own, |sample| sample.client)),
    ]);
    Ok(())
}

/// `samples` are those of the chains, and of lock step.
fn goals(
    bench: &mut Bench,
    backend: &str,
    mail: &Mail,
    connections: usize,
    samples: &[Vec<Sample>],
    straight: &[Sample],
) {
    let [_, one, three, _, lock_step, _] = samples else { return };
    let report = &mut bench.report;
    let cost = |of: &[Sample]| ratio(of, |sample| sample.manager, straight, |sample| sample.child);
    let time = |of: &[Sample]| ratio(of, |sample| sample.within(0.5), straight, |sample| sample.within(0.5));
    match (mail.name.as_str(), connections) {
        ("small", 100) => {
            let name = "manager CPU per small session, 1 child, 100 connections, in times of the child's own";
            report.goal(name, backend, Bound::AtMost(2.7), cost(one));
            report.goal("the same with 3 children", backend, Bound::AtMost(6.0), cost(three));
            let rate = ratio(three, |sample| sample.rate, one, |sample| sample.rate);
            let name = "sessions per second with 3 children against 1 child, 100 connections";
            report.goal(name, backend, Bound::AtLeast(0.45), rate);
            // Two processors are shared by all, and are all busy with a hundred connections.
            let rest = ratio(one, Sample::without_manager, three, Sample::without_manager);
            report.figure(
                "the same of a manager that takes no time: client and children alone",
                backend,
                rest,
            );
        }
        ("small", _) => {
            let name = "time of one small session against straight, 1 connection, p50, pipelining";
            report.goal(name, backend, Bound::AtMost(1.15), time(one));
            report.goal("the same without pipelining", backend, Bound::AtMost(1.6), time(lock_step));
        }
        (_, 1) => {
            let rate = ratio(one, |sample| sample.rate, straight, |sample| sample.rate);
            let name = "big mail, 1 child, 1 connection, throughput against straight";
            report.goal(name, backend, Bound::AtLeast(0.8), rate);
        }
        _ => {}
    }
}

fn plot(mail: &Mail, managers: &[Managers], samples: &[Vec<Sample>]) -> [Plot; 2] {
    let line = |of: fn(&Sample) -> f64| {
        let of_backend = samples[1..].chunks(CHAINS.len() + 2);
        let points = |samples: &[Vec<Sample>]| {
            let chains = samples[..CHAINS.len()].iter().enumerate();
            chains.map(|(at, samples)| (at as f64, median(samples, of))).collect()
        };
        managers
            .iter()
            .zip(of_backend)
            .map(|(managers, samples)| (managers.backend.clone(), points(samples)))
            .collect::<Vec<_>>()
    };
    let everywhere = |name: &str, value: f64| {
        (name.to_owned(), (0..CHAINS.len()).map(|at| (at as f64, value)).collect::<Vec<_>>())
    };
    let is_small = mail.name == "small";
    let places = || CHAINS.iter().map(ToString::to_string).collect();
    let mut throughput = line(|sample| sample.rate);
    throughput.push(everywhere("straight", median(&samples[0], |sample| sample.rate)));
    let mut cost = line(|sample| sample.manager);
    cost.push(everywhere("the child itself, straight", median(&samples[0], |sample| sample.child)));
    [
        Plot {
            name: if is_small { "throughput-small" } else { "throughput-big" },
            title: format!("Sessions per second, {} mail, 100 connections", mail.name),
            x: "children",
            y: "sessions/s",
            places: places(),
            lines: throughput,
        },
        Plot {
            name: if is_small { "cost-small" } else { "cost-big" },
            title: format!("Processor time of the manager, {} mail, 100 connections", mail.name),
            x: "children",
            y: "ms for a session",
            places: places(),
            lines: cost,
        },
    ]
}
