//! Loading a configuration from files or from a text.

use std::path::{Path, PathBuf};
use std::thread;

use millstream_core::policy::RemarkLevel;

use crate::backend::EventLoopBackend;
use crate::configuration::{Configuration, Location};
use crate::detection::Detected;
use crate::evaluate::Evaluator;
use crate::language::time::find_zone;
use crate::paths;
use crate::problem::{Complaint, Problem};
use crate::settings::Setting;
use crate::value::{Object, Value};

/// Where a configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// The directories in which files are looked for, in order.
    pub config_dirs: Vec<PathBuf>,
    /// Where `milter-manager.custom.conf` is looked for besides, and nothing else: a directory of the user who serves, who is not to say
    /// what root does.
    pub custom_dir: Option<PathBuf>,
    /// The main file, looked for in `config_dirs` when relative.
    pub main_file: PathBuf,
    /// Below which directory installed milters are looked for: `/` for the running system. Files of configurations are not
    /// looked for there.
    pub root: PathBuf,
    /// What the command line says instead of the files.
    pub overrides: Overrides,
}

impl Default for LoadOptions {
    /// `milter-manager.conf` in `/etc/milter-manager` (FreeBSD: `/usr/local/etc/milter-manager`).
    fn default() -> Self {
        let directory =
            if cfg!(target_os = "freebsd") { "/usr/local/etc/milter-manager" } else { "/etc/milter-manager" };
        Self {
            config_dirs: vec![PathBuf::from(directory)],
            custom_dir: None,
            main_file: PathBuf::from("milter-manager.conf"),
            root: PathBuf::from("/"),
            overrides: Overrides::default(),
        }
    }
}

/// Settings from the command line. They win over the files, and `--show-config` shows no location for them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// `--connection-spec`
    pub connection_spec: Option<String>,
    /// `--pid-file`
    pub pid_file: Option<String>,
    /// `--user`
    pub effective_user: Option<String>,
    /// `--group`
    pub effective_group: Option<String>,
    /// `--unix-socket-mode`
    pub unix_socket_mode: Option<u32>,
    /// `--unix-socket-group`
    pub unix_socket_group: Option<String>,
    /// `--n-workers`
    pub n_workers: Option<u32>,
    /// `--event-loop-backend`
    pub event_loop_backend: Option<EventLoopBackend>,
    /// `--packet-buffer-size`
    pub packet_buffer_size: Option<u32>,
    /// `--max-pending-finished-sessions`
    pub max_pending_finished_sessions: Option<u32>,
}

/// What a load gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Loaded {
    /// What could be loaded. With problems it may lack what the administrator meant.
    pub configuration: Configuration,
    /// All that is wrong, in the order in which it was found.
    pub problems: Vec<Problem>,
    /// What the files have told with `Milter::Logger`, and what is odd about installed milters.
    pub messages: Vec<Message>,
    /// The files that were read, the main one first; tables and lists of accounts, too.
    pub files: Vec<PathBuf>,
    /// What was looked for among the installed milters, and what was found.
    pub detected: Vec<Detected>,
}

/// A line for the log from a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The level that the file names.
    pub level: RemarkLevel,
    /// What it says.
    pub text: String,
    /// Where.
    pub location: Option<Location>,
}

/// The file that milter manager's web interface writes, behind everything else.
const CUSTOM_FILE: &str = "milter-manager.custom.conf";

/// Loads the main file and what it loads, and then `milter-manager.custom.conf`, which is in XML, if there is one. That it cannot be found is a problem like any other.
#[must_use = "the problems must be shown, and the configuration used"]
pub fn load(options: &LoadOptions) -> Loaded {
    on_large_stack(|| {
        let mut evaluator = Evaluator::for_load(options);
        match paths::find_main(&options.config_dirs, &options.main_file) {
            Some(path) => {
                evaluator.main_file(&path);
                let directories: Vec<_> =
                    options.config_dirs.iter().chain(&options.custom_dir).cloned().collect();
                if let Some(custom) = paths::find_main(&directories, Path::new(CUSTOM_FILE)) {
                    evaluator.custom_file(&custom, &path);
                }
            }
            None => evaluator.report(main_file_missing(options)),
        }
        finish(evaluator, options)
    })
}

/// Loads a text as if it were the main file. `name` stands for the file's path in problems and locations.
#[must_use = "the problems must be shown, and the configuration used"]
pub fn load_str(name: &str, source: &str, options: &LoadOptions) -> Loaded {
    on_large_stack(|| {
        let mut evaluator = Evaluator::for_load(options);
        evaluator.text(name, source.as_bytes().to_vec());
        finish(evaluator, options)
    })
}

/// Stack for evaluating. The nesting of expressions and of loads is bounded far below.
const STACK: usize = 64 << 20;

fn on_large_stack(work: impl FnOnce() -> Loaded + Send) -> Loaded {
    let failed = |message: &str| Loaded {
        problems: vec![Problem::of_file("configuration", Complaint::new(message))],
        ..Loaded::default()
    };
    thread::scope(|scope| {
        match thread::Builder::new()
            .name("configuration".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, work)
        {
            Ok(running) => {
                running.join().unwrap_or_else(|_| failed("loading the configuration failed: a fault in it"))
            }
            Err(error) => failed(&format!("the configuration cannot be loaded: no thread for it: {error}")),
        }
    })
}

fn finish(evaluator: Evaluator<'_>, options: &LoadOptions) -> Loaded {
    let mut loaded = evaluator.finish();
    let Loaded { configuration, problems, .. } = &mut loaded;
    for (object, name, value) in options.overrides.values() {
        let Some(setting) = Setting::find(object, name) else { continue };
        match (setting.slot)(configuration).assign(setting.key, &value) {
            Ok(()) => {
                configuration.locations.remove(setting.key);
                configuration.assigned.remove(setting.key);
            }
            Err(complaint) => problems.push(Problem::of_file("command line", complaint)),
        }
    }
    find_zone();
    loaded
}

impl Overrides {
    fn values(&self) -> Vec<(Object, &'static str, Value)> {
        let text = |text: &Option<String>| text.as_deref().map(Value::text);
        let number = |number: Option<u32>| number.map(|number| Value::Int(i64::from(number)));
        let backend = self.event_loop_backend.map(|backend| Value::text(backend.name()));
        [
            (Object::Manager, "connection_spec", text(&self.connection_spec)),
            (Object::Manager, "pid_file", text(&self.pid_file)),
            (Object::Security, "effective_user", text(&self.effective_user)),
            (Object::Security, "effective_group", text(&self.effective_group)),
            (Object::Manager, "unix_socket_mode", number(self.unix_socket_mode)),
            (Object::Manager, "unix_socket_group", text(&self.unix_socket_group)),
            (Object::Manager, "n_workers", number(self.n_workers)),
            (Object::Manager, "event_loop_backend", backend),
            (Object::Manager, "packet_buffer_size", number(self.packet_buffer_size)),
            (Object::Manager, "max_pending_finished_sessions", number(self.max_pending_finished_sessions)),
        ]
        .into_iter()
        .filter_map(|(object, name, value)| Some((object, name, value?)))
        .collect()
    }
}

fn main_file_missing(options: &LoadOptions) -> Problem {
    let file = options.main_file.to_string_lossy();
    let directories: Vec<_> =
        options.config_dirs.iter().map(|path| Value::text(&path.to_string_lossy())).collect();
    let message = format!("path {file} doesn't exist in load path ({})", Value::array(directories).inspect());
    Problem::of_file(
        &file,
        Complaint::with_hint(message, "create it, or name its directory with --config-dir"),
    )
}
