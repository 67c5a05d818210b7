//! Other sessions, other children, other sockets: a hundred connections, small mail.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::child::Wishes;
use crate::load::client::{Length, Pace};
use crate::load::mail::Mail;
use crate::load::measure::{Sample, by_turns, cells, median};
use crate::load::null_child::Manners;
use crate::load::report::{Section, Table};
use crate::load::scenario::{Backend, Bench};
use crate::load::target::{Setup, Target};
use crate::visit::Ending;

const PACE: Pace = Pace::Closed(100);
/// Libmilter's threads; also where every session has ports of its own, so that the system does not run out of them.
const FEW: Pace = Pace::Closed(20);

/// A null child, and managers in front of such children.
struct Group {
    name: &'static str,
    mail: Mail,
    pace: Pace,
    straight: Manners,
    /// What the managers' names end in, and what is behind them.
    chains: Vec<(&'static str, Setup<'static>)>,
    is_tcp: bool,
}

impl Group {
    /// Sessions of one kind, plain children.
    fn of_mail(name: &'static str, mail: Mail) -> Self {
        let chains = vec![("1 child", Setup::new(None, 1)), ("3 children", Setup::new(None, 3))];
        Self { name, mail, pace: PACE, straight: Manners::PLAIN, chains, is_tcp: false }
    }

    /// Children of one kind.
    fn of_child(name: &'static str, manners: Manners) -> Self {
        let chain = |children| Setup { children: vec![manners; children], ..Setup::new(None, 0) };
        let chains = vec![("1 child", chain(1)), ("3 children", chain(3))];
        Self { chains, straight: manners, ..Self::of_mail(name, Mail::small()) }
    }
}

fn groups() -> Vec<Group> {
    let ending = |ending: Ending| Mail::new(ending.name(), ending, 1, 5, 1 << 10);
    let tcp = |is_tcp| Setup { is_tcp, has_tcp_children: true, ..Setup::new(None, 1) };
    let threads = Manners { has_threads: true, ..Manners::PLAIN };
    vec![
        Group::of_mail("ends at CONNECT", ending(Ending::Connect)),
        Group::of_mail("ends at HELO", ending(Ending::Helo)),
        Group::of_mail("ends at RCPT", ending(Ending::Rcpt)),
        Group::of_mail("10 mails in a session", Mail::new("10 mails", Ending::Message, 10, 5, 1 << 10)),
        Group::of_child("no replies before the end, as rspamd", Manners::of(Wishes::RSPAMD)),
        Group { pace: FEW, ..Group::of_child("a thread for each connection, as libmilter", threads) },
        Group {
            chains: vec![("TCP to 1 child", tcp(false)), ("TCP, TCP to 1 child", tcp(true))],
            is_tcp: true,
            pace: FEW,
            ..Group::of_mail("TCP", Mail::small())
        },
    ]
}

pub(super) fn run(bench: &mut Bench) -> io::Result<()> {
    let mut table = Table::new([
        "sessions or children",
        "way",
        "sessions/s",
        "against straight",
        "manager, ms/session",
        "children, ms/session",
        "manager, in times of the child's own, straight",
        "p50 ms",
        "p99 ms",
    ]);
    for (index, group) in groups().into_iter().enumerate() {
        let folder = bench.folder().join(format!("kind{index}"));
        let straight = Target::straight(&folder, "straight", group.straight, group.is_tcp)?;
        let managers = managers(bench, &folder, &group)?;
        let targets: Vec<&Target> = [&straight].into_iter().chain(&managers).collect();
        let samples = by_turns(&targets, bench.rounds, &group.mail, group.pace, Length::Time(bench.slice))?;
        for (target, own) in targets.iter().zip(&samples) {
            row(&mut table, group.name, target, own, &samples[0]);
        }
    }
    bench.report.section(Section {
        title: "Sessions that end early, and other children",
        text: "100 connections (TCP and threads: 20), small mail. Most real sessions end before there is a message. Children \
               that ask for no replies are told everything in a few writes. The child with a thread for each connection \
               waits in its reads, as libmilter does. *TCP*: straight, the MTA and the child over TCP; behind the manager, the \
               child, or both.",
        table,
        plots: Vec::new(),
    });
    Ok(())
}

fn managers(bench: &Bench, folder: &Path, group: &Group) -> io::Result<Vec<Target>> {
    let start = |backend: &Backend, (name, setup): &(&str, Setup<'static>)| {
        let setup = Setup { backend: backend.argument.as_deref(), ..setup.clone() };
        Target::managed(folder, &format!("{}, {name}", backend.name), &setup)
    };
    let of_backend = |backend| group.chains.iter().map(move |chain| start(backend, chain));
    bench.backends.iter().flat_map(of_backend).collect()
}

fn row(table: &mut Table, name: &str, target: &Target, own: &[Sample], straight: &[Sample]) {
    let [rate, against, manager, children, cost] = cells(target.manager().is_none(), own, straight);
    table.row([
        name.to_owned(),
        target.name.clone(),
        rate,
        against,
        manager,
        children,
        cost,
        format!("{:.2}", median(own, |sample| sample.within(0.5))),
        format!("{:.2}", median(own, |sample| sample.within(0.99))),
    ]);
}

/// What the slow child takes for the end of a message.
const DELAY: Duration = Duration::from_millis(20);

/// One slow child among fast ones.
pub(super) fn run_slow(bench: &mut Bench) -> io::Result<()> {
    let slow = Manners { delay: DELAY, ..Manners::PLAIN };
    let children = vec![Manners::PLAIN, slow, Manners::PLAIN];
    let folder = bench.folder().join("slow");
    let mut targets = vec![Target::straight(&folder, "straight to the slow one", slow, false)?];
    for backend in &bench.backends {
        for (name, child_settings) in [("in order", ""), ("independent", "milter.independent = true")] {
            let argument = backend.argument.as_deref();
            let setup = Setup { children: children.clone(), child_settings, ..Setup::new(argument, 0) };
            targets.push(Target::managed(&folder, &format!("{}, {name}", backend.name), &setup)?);
        }
    }
    let targets: Vec<&Target> = targets.iter().collect();
    let length = Length::Time(bench.slice);
    let mail = Mail::small();
    let mut table = Table::new(["way", "connections", "sessions/s", "p50", "p99", "manager, ms/session"]);
    for connections in [1, 100] {
        let samples = by_turns(&targets, bench.rounds, &mail, Pace::Closed(connections), length)?;
        for (target, own) in targets.iter().zip(&samples) {
            let delays = |part| median(own, |sample| sample.within(part)) / (DELAY.as_secs_f64() * 1e3);
            table.row([
                target.name.clone(),
                connections.to_string(),
                format!("{:.0}", median(own, |sample| sample.rate)),
                format!("{:.2}", delays(0.5)),
                format!("{:.2}", delays(0.99)),
                format!("{:.3}", median(own, |sample| sample.manager)),
            ]);
        }
    }
    bench.report.section(Section {
        title: "One slow child among fast ones",
        text: "Three children of which the second takes 20 ms for the end of a message; times in times of that. In order, and \
               with `milter.independent`. The sessions of others are served meanwhile: a hundred connections bring what a \
               hundred times 50 in a second can at most.",
        table,
        plots: Vec::new(),
    });
    Ok(())
}
