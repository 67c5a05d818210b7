//! Child milters: what a test asks for, and what then runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::dkim::Key;
use crate::process::Process;
use crate::real_children::opendkim;
use crate::until::{PATIENCE, until_some};

/// The interpreter that Debian's python3-milter belongs to; another one may come first in `PATH`.
pub const PYTHON: &str = "/usr/bin/python3";

/// The folder of the children written in Python.
#[must_use]
pub fn scripts() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/children"))
}

/// A child as a test wants it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name in the manager's configuration.
    pub name: String,
    /// What it is.
    pub program: Program,
    /// Lines for its block in the manager's configuration, such as `reading_timeout = 1`.
    pub settings: Vec<String>,
}

/// What a child is.
#[derive(Debug, Clone)]
pub enum Program {
    /// A script in `tests/children` with its arguments.
    Python(&'static str, Vec<String>),
    /// opendkim, signing for `mx.test`.
    OpenDkim,
    /// Nothing listens on its socket.
    Absent,
    /// It listens and never says a word.
    Hung,
}

impl Plan {
    fn new(name: &str, program: Program) -> Self {
        Self { name: name.to_owned(), program, settings: Vec::new() }
    }

    /// Passes and records.
    #[must_use]
    pub fn recorder(name: &str) -> Self {
        Self::new(name, Program::Python("recorder.py", Vec::new()))
    }

    /// Does what the message asks for; see `policy.py`.
    #[must_use]
    pub fn policy(name: &str) -> Self {
        Self::new(name, Program::Python("policy.py", Vec::new()))
    }

    /// Edits every message, or each as its `X-Case` says; `edits` is JSON, see `editor.py`.
    #[must_use]
    pub fn editor(name: &str, edits: &str) -> Self {
        Self::new(name, Program::Python("editor.py", vec!["--edits".to_owned(), edits.to_owned()]))
    }

    /// Stalls (`stall`) or dies (`die`) at a stage; see `faulty.py`.
    #[must_use]
    pub fn faulty(name: &str, fault: &str, stage: &str) -> Self {
        let arguments = ["--fault", fault, "--at", stage].map(str::to_owned).to_vec();
        Self::new(name, Program::Python("faulty.py", arguments))
    }

    /// Signs for `mx.test`.
    #[must_use]
    pub fn opendkim(name: &str) -> Self {
        Self::new(name, Program::OpenDkim)
    }

    /// Is not there.
    #[must_use]
    pub fn absent(name: &str) -> Self {
        Self::new(name, Program::Absent)
    }

    /// Listens and never says a word.
    #[must_use]
    pub fn hung(name: &str) -> Self {
        Self::new(name, Program::Hung)
    }

    /// With a line in its block of the manager's configuration.
    #[must_use]
    pub fn with(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// What has to be installed for it.
    #[must_use]
    pub fn needs(&self) -> &'static [&'static str] {
        match self.program {
            Program::Python(..) => &[PYTHON, "/usr/lib/python3/dist-packages/Milter/__init__.py"],
            Program::OpenDkim => opendkim::NEEDS,
            Program::Absent | Program::Hung => &[],
        }
    }

    /// Its block in the manager's configuration.
    #[must_use]
    pub fn block(&self, socket: &Path) -> String {
        let settings: String = self.settings.iter().map(|line| format!("  milter.{line}\n")).collect();
        format!(
            "define_milter(\"{}\") do |milter|\n  milter.connection_spec = \"unix:{}\"\n{settings}end\n",
            self.name,
            socket.display()
        )
    }
}

/// A child that runs.
#[derive(Debug)]
pub struct RunningChild {
    plan: Plan,
    socket: PathBuf,
    record: PathBuf,
    process: Option<Process>,
    hung: Option<UnixListener>,
}

impl RunningChild {
    /// Starts a child on `socket` and waits until it listens. Its other files are beside the socket.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(plan: &Plan, socket: &Path, key: impl FnOnce() -> Key) -> Self {
        let record = socket.with_extension("record");
        let output = socket.with_extension("output");
        let process = match &plan.program {
            Program::Python(script, arguments) => {
                let mut command = Command::new(PYTHON);
                // No bytecode files in the source tree.
                command.arg("-B").arg(scripts().join(script));
                command.arg("--name").arg(&plan.name);
                command.arg("--socket").arg(socket);
                command.arg("--record").arg(&record);
                command.args(arguments);
                Some(Process::start(&plan.name, &mut command, &output))
            }
            Program::OpenDkim => Some(opendkim::start(&plan.name, socket, &key(), opendkim::Mode::Sign)),
            Program::Absent | Program::Hung => None,
        };
        // The kernel completes connections to it; nobody accepts them.
        let hung = matches!(plan.program, Program::Hung).then(|| {
            let listener = UnixListener::bind(socket).expect("a socket can be made");
            fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).expect("its mode can be set");
            listener
        });
        let mut child = Self { plan: plan.clone(), socket: socket.to_owned(), record, process, hung };
        if let Some(process) = &mut child.process {
            process.wait_for_socket(&child.socket);
        }
        child
    }

    /// Ends it and removes its socket.
    pub fn end(&mut self) {
        self.process = None;
        self.hung = None;
        let _ = fs::remove_file(&self.socket);
    }

    /// What was asked for.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The record of a Python child so far: one JSON object per line.
    #[must_use]
    pub fn record(&self) -> String {
        fs::read_to_string(&self.record).unwrap_or_default()
    }

    /// Waits until the record has a line that contains all of `parts`, and gives the first.
    ///
    /// # Panics
    /// When there is none in time.
    #[must_use]
    pub fn wait_for_record(&self, parts: &[&str]) -> String {
        let find = || {
            self.record().lines().find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned)
        };
        if let Some(line) = until_some(PATIENCE, find) {
            return line;
        }
        let record: String =
            self.record().lines().map(|line| line.chars().take(400).collect::<String>() + "\n").collect();
        panic!("the record of {} never has a line with {parts:?}, but\n{record}", self.plan.name);
    }
}
