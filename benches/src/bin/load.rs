//! The load runner: see `millstream_benches::load`.
//!
//! ```text
//! cargo run --release -p millstream-benches --bin load -- --report
//! ```

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use millstream_benches::load::null_child::{self, Address, Manners};
use millstream_benches::load::scenario::{self, Backend, Bench};
use millstream_core::wire::Protocol;
use millstream_tests::manager;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

/// Sessions through the real manager and straight to a null child, as ratios within one run
#[derive(Debug, Parser)]
struct Options {
    /// Fewer and shorter rounds, fewer open sessions: seconds a scenario, for a look
    #[arg(long)]
    quick: bool,

    /// Compare these runtimes of the manager, such as std,smol,glommio
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "std")]
    backend: Vec<String>,

    /// Only these scenarios
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,

    /// How often everything takes its turn
    #[arg(long, value_name = "COUNT")]
    rounds: Option<usize>,

    /// Write the figures and plots into docs/performance.md and docs/plots
    #[arg(long)]
    report: bool,

    /// Be a null child that listens there: a path or ADDRESS:PORT; for the runner itself
    #[arg(long, value_name = "ADDRESS", requires = "control")]
    null_child: Option<String>,

    /// The unix socket at which it tells what it was sent
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,

    /// What it negotiates
    #[arg(long, value_name = "BITS", default_value_t = 0)]
    protocol: u32,

    /// How long it takes for the end of a message, in microseconds
    #[arg(long, value_name = "TIME", default_value_t = 0)]
    delay: u64,

    /// A thread for each connection
    #[arg(long)]
    threads: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let result = match (&options.null_child, &options.control) {
        (Some(address), Some(control)) => be_null_child(&options, address, control),
        _ => measure(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn be_null_child(options: &Options, address: &str, control: &Path) -> io::Result<()> {
    let address = match address.parse::<SocketAddr>() {
        Ok(address) => Address::Tcp(address),
        Err(_) => Address::Unix(address.into()),
    };
    let manners = Manners {
        protocol: Protocol(options.protocol),
        delay: Duration::from_micros(options.delay),
        has_threads: options.threads,
    };
    allow_files()?;
    null_child::serve(&address, control, manners)
}

fn measure(options: &Options) -> io::Result<()> {
    // A session is two in the manager and one here, and beside them there is room for others.
    let most = (allow_files()? / 2).saturating_sub(250).min(10_000);
    let (rounds, slice, quiet, most) = if options.quick {
        (2, Duration::from_millis(250), Duration::from_secs(2), most.min(2000))
    } else {
        (7, Duration::from_secs(1), Duration::from_secs(10), most)
    };
    let rounds = options.rounds.unwrap_or(rounds);
    let mut bench = Bench::new(backends(&options.backend)?, rounds, slice, quiet, most);
    bench.report.setting = setting(options, rounds)?;
    println!("{}\n", bench.report.setting);
    let is_wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    for (name, run) in scenario::ALL {
        if is_wanted(name) {
            run(&mut bench)?;
        }
    }
    println!("## Goals\n\n{}", bench.report.figures());
    if options.report { bench.report.write(Path::new(DOCS)) } else { Ok(()) }
}

/// As many open files as the system allows, for this process and those that it starts; how many.
fn allow_files() -> io::Result<usize> {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?;
    Ok(most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX)))
}

/// The runtimes that are asked for. A manager that knows of no choice has the first of all.
fn backends(names: &[String]) -> io::Result<Vec<Backend>> {
    let help = Command::new(manager::program()).arg("--help").output()?.stdout;
    let has_choice = String::from_utf8_lossy(&help).contains("--event-loop-backend");
    names
        .iter()
        .map(|name| match (has_choice, name.as_str()) {
            (true, _) => Ok(Backend { name: name.clone(), argument: Some(name.clone()) }),
            (false, "std") => Ok(Backend { name: name.clone(), argument: None }),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("--backend {name}: this milter-manager has std only; build one with that runtime"),
            )),
        })
        .collect()
}

/// What a reader has to know about where the figures come from.
fn setting(options: &Options, rounds: usize) -> io::Result<String> {
    let processor = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let model = model.map_or("unknown processors", |(_, model)| model);
    Ok(format!(
        "Measured{} in one run with {rounds} rounds on {} cores ({model}, Linux {}), with whatever else they did.",
        if options.quick { " with `--quick`, for a look only," } else { "" },
        std::thread::available_parallelism()?,
        kernel.trim(),
    ))
}
