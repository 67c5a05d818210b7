//! A manager with children, and a script that talks to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use millstream_tests::children::{PYTHON, Plan, RunningChild};
use millstream_tests::manager::{self, Manager};
use millstream_tests::process::Process;
use millstream_tests::require;
use millstream_tests::scratch::Scratch;
use millstream_tests::until::{PATIENCE, until_some};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/miltertest");

/// What stands behind the manager.
pub(crate) enum Behind {
    /// One of those that other suites use.
    Known(Plan),
    /// A script of this suite's own, by its name, which is also the child's.
    Unusual(&'static str),
}

/// Everything of one test.
pub(crate) struct Run {
    // The manager ends before its children.
    manager: Manager,
    children: Vec<RunningChild>,
    unusual: Vec<(Process, PathBuf)>,
    scratch: Scratch,
}

impl Run {
    /// Nothing when this machine cannot run it.
    pub(crate) fn start(children: impl IntoIterator<Item = Behind>) -> Option<Self> {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let needs = ["miltertest", PYTHON, "/usr/lib/python3/dist-packages/Milter/__init__.py"];
        if !require::available(&test, &needs) {
            return None;
        }
        let scratch = Scratch::new("miltertest");
        manager::give_to_manager(scratch.path());
        let mut configuration = format!(
            "manager.connection_spec = \"unix:{}\"\nmanager.unix_socket_mode = 0666\n",
            scratch.join("manager.sock").display()
        );
        let (mut known, mut unusual) = (Vec::new(), Vec::new());
        for (number, child) in children.into_iter().enumerate() {
            let socket = scratch.join(&format!("{number}.sock"));
            match child {
                Behind::Known(plan) => {
                    configuration += &plan.block(&socket);
                    known.push(RunningChild::start(&plan, &socket, || panic!("nobody signs")));
                }
                Behind::Unusual(name) => {
                    configuration += &format!(
                        "define_milter(\"{name}\") do |milter|\n  milter.connection_spec = \"unix:{}\"\nend\n",
                        socket.display()
                    );
                    unusual.push(start_unusual(name, &socket));
                }
            }
        }
        let mut manager = Manager::start(&scratch.join("manager"), &configuration);
        manager.process().wait_for_socket(&scratch.join("manager.sock"));
        Some(Self { manager, children: known, unusual, scratch })
    }

    /// Runs `scripts/NAME.lua` with what all scripts share in front of it.
    #[track_caller]
    pub(crate) fn script(&self, name: &str) {
        run_script(name, &self.scratch, &self.scratch.join("manager.sock"), || self.manager.log());
    }

    /// The record of a child from elsewhere.
    pub(crate) fn child(&self, name: &str) -> &RunningChild {
        self.children.iter().find(|child| child.plan().name == name).expect("a child of that name")
    }

    /// Waits until the record of the only unusual child has a line that contains all of `parts`, and gives it.
    #[track_caller]
    pub(crate) fn wait_for_record(&self, parts: &[&str]) -> String {
        let (_, record) = &self.unusual[0];
        let read = || fs::read_to_string(record).unwrap_or_default();
        let find =
            || read().lines().find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned);
        until_some(PATIENCE, find).unwrap_or_else(|| panic!("no line has {parts:?}, but\n{}", read()))
    }
}

/// Runs `scripts/NAME.lua` against what listens at `socket`; `log` is shown when that does not end well.
#[track_caller]
pub(crate) fn run_script(name: &str, scratch: &Scratch, socket: &Path, log: impl FnOnce() -> String) {
    let read = |name: &str| fs::read_to_string(Path::new(FOLDER).join("scripts").join(name)).unwrap();
    let script = scratch.join(&format!("{name}.lua"));
    fs::write(&script, read("common.lua") + &read(&format!("{name}.lua"))).unwrap();
    let ran = Command::new(require::program_path("miltertest"))
        .args(["-D", &format!("socket=unix:{}", socket.display()), "-s"])
        .arg(&script)
        .output()
        .expect("miltertest runs");
    let printed = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success() && printed.contains("the script has ended well"),
        "{name}.lua: {}\n{printed}\nthe log:\n{}",
        ran.status,
        log()
    );
}

fn start_unusual(name: &str, socket: &Path) -> (Process, PathBuf) {
    let record = socket.with_extension("record");
    let mut command = Command::new(PYTHON);
    command.arg("-B").arg(Path::new(FOLDER).join("children").join(format!("{name}.py")));
    command.env("PYTHONPATH", millstream_tests::children::scripts());
    command.arg("--name").arg(name).arg("--socket").arg(socket).arg("--record").arg(&record);
    let mut process = Process::start(name, &mut command, &socket.with_extension("output"));
    process.wait_for_socket(socket);
    (process, record)
}
