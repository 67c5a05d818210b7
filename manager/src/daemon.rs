//! The daemon's life: listen, give up privileges, serve, reload, stop.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use millstream_config::{Configuration, Loaded, LogLevel, Message, Problem};
use millstream_runtime::{Handle, Options as RuntimeOptions, let_go_of_code};
use millstream_service::{Behind, ListenError, PidFile, PidFileError, PrivilegeError, SocketFile, listen};
use nix::sys::resource::{Resource, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::backend::{self, Started};
use crate::control::{self, Desk, Loads, Reloads};
use crate::current::{Current, Watch};
use crate::launcher::Launcher;
use crate::log::{self, Logger, printable};
use crate::names;
use crate::options::Options;
use crate::reach::Who;
use crate::sentences;
use crate::service::ManagerService;
use crate::settings;
use crate::supervisor;

/// How long sessions that are running at a stop may take to end.
const STOP_GRACE: Duration = Duration::from_secs(30);

/// Why the daemon cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("failed to start the launcher: {0}")]
    Launcher(io::Error),
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    #[error("{0}")]
    Log(io::Error),
    #[error("failed to start: {0}")]
    Start(io::Error),
    #[error("failed to daemonize: {0}")]
    Background(io::Error),
    #[error("not started: {}", list(.0))]
    Policy(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// Serves until a signal says stop; tells who waits at the terminal when it does.
///
/// # Errors
///
/// Something stands in the way of serving; nothing was accepted then.
pub(crate) fn run(loaded: &Loaded, options: &Options, behind: Option<Behind>) -> Result<(), DaemonError> {
    let began = Instant::now();
    let configuration = &loaded.configuration;
    keep_running_at_the_file_size_limit().map_err(DaemonError::Start)?;
    // What comes from now on waits until it can be done, instead of ending the process.
    let signals = Signals::new([SIGHUP, SIGUSR1, SIGUSR2]).map_err(DaemonError::Start)?;
    let names = names::of(configuration);
    let hosts = names::hosts(&names, configuration);
    let policy = configuration.policy_at(&hosts).map_err(DaemonError::Policy)?;
    let chosen = backend::chosen(configuration).map_err(|problem| DaemonError::Policy(vec![problem]))?;
    let (logger, log_guard) =
        log::start(&configuration.log, log::Environment::read().format()).map_err(DaemonError::Log)?;
    raise_descriptor_limit(configuration.manager.max_file_descriptors, &logger);
    relay(&loaded.messages, &logger);
    remark(configuration, &logger);
    let wish = settings::wish(&configuration.security);
    let identity = wish.identity()?;
    let who = identity.as_ref().map_or_else(Who::this_process, Who::of);
    warn_of_closed(configuration, &who, options, &logger);
    if let Some(text) = wish.unheeded() {
        logger.warning(|| format!("[privileges] {text}"));
    }
    // Look-ups may have taken long; those may be broken off. From here on there is something to tidy up.
    for signal in [SIGTERM, SIGINT] {
        signals.add_signal(signal).map_err(DaemonError::Start)?;
    }
    let launcher = match &options.root {
        None => Launcher::start(&configuration.security, &logger).map_err(DaemonError::Launcher)?,
        // What starts its milters is a program of that system.
        Some(_) => None,
    };
    let mut bound = listen(&configuration.manager.connection_spec, &settings::place(&configuration.manager))?;
    if let Some(identity) = &identity {
        bound.give_to(identity.user.uid).map_err(DaemonError::Start)?;
        identity.assume()?;
        if identity.by_default {
            logger.message(|| {
                "[privileges] running as nobody, since security.effective_user is not set".to_owned()
            });
        }
    }
    let pid_file = configuration.manager.pid_file.as_deref().map(Path::new);
    let pid_file = pid_file.map(|path| PidFile::write(path, &settings::MANAGER)).transpose()?;
    let service =
        Arc::new(ManagerService::new(policy, names, logger.clone()).with_launcher(launcher.clone()));
    let current = Arc::new(Current::new(configuration.clone(), hosts, Arc::clone(&service), logger.clone()));
    let watch = Watch::start(Arc::clone(&current)).map_err(DaemonError::Start)?;
    let listeners = std::mem::take(&mut bound.listeners);
    let fallback = configuration.manager.event_loop_fallback;
    let (served, how) = (Arc::clone(&service), runtime_options(configuration));
    // As the user who serves: limits are the user's.
    let Started { server, backend, notice } =
        backend::start(chosen, fallback, listeners, served, how).map_err(DaemonError::Start)?;
    if let Some(notice) = notice {
        logger.warning(|| format!("[start] {notice}"));
    }
    service.served_by(server.handle());
    let (reloads, loads) = (Arc::<Reloads>::default(), Arc::new(Loads::new(loaded.files.clone())));
    let desk = Desk {
        server: server.handle(),
        service,
        current: Arc::clone(&current),
        reloads: Arc::clone(&reloads),
        loads: Arc::clone(&loads),
        place: bound.place.clone(),
        backend: backend.name(),
        began,
    };
    let control = control::start(&configuration.controller, Arc::new(desk), &logger);
    logger.message(|| {
        let enabled = configuration.milters.iter().filter(|milter| milter.enabled).count();
        format!(
            "[start] listening at {}, {} enabled, on {}",
            bound.place,
            crate::count(enabled, "milter"),
            backend.name()
        )
    });

    if let Some(behind) = behind {
        let is_lost = configuration.log.file().is_none();
        if is_lost && !configuration.log.use_syslog {
            crate::complain(
                "nothing is logged: standard output leads nowhere in the background. Set log.path or log.use_syslog",
            );
        }
        behind.serves().map_err(DaemonError::Background)?;
        if is_lost {
            // It still has the old one in hand.
            logger.reopen();
        }
    }
    supervisor::ready(&logger);
    let_go_of_code();

    let handle = server.handle();
    let signals_handle = signals.handle();
    let waiter = thread::Builder::new().name("waiter".to_owned()).spawn(move || {
        let stopped = server.join();
        signals_handle.close();
        stopped
    });
    let reloading = Reloading {
        current: &current,
        watch: &watch,
        launcher: launcher.as_ref(),
        options,
        reloads: &reloads,
        loads: &loads,
        started: configuration,
    };
    obey(signals, &handle, &reloading, &logger);
    let stopped = waiter.map_err(DaemonError::Start)?.join().ok();
    let left = [bound.remove_socket_file(), control.and_then(SocketFile::remove)];
    for (path, error) in left.into_iter().flatten() {
        logger.warning(|| format!("[stop] cannot remove {}: {error}", path.display()));
    }
    if let Some(Err((path, error))) = pid_file.map(PidFile::remove) {
        logger.warning(|| format!("[stop] cannot remove {}: {error}", path.display()));
    }
    logger.message(|| match stopped {
        Some(stopped) => format!("[stop] served {}, cut off {}", stopped.served, stopped.cut),
        None => "[stop]".to_owned(),
    });
    drop(log_guard);
    Ok(())
}

fn runtime_options(configuration: &Configuration) -> RuntimeOptions {
    let manager = &configuration.manager;
    RuntimeOptions {
        loops: manager.n_workers as usize,
        max_sessions: manager.max_connections,
        stop_grace: STOP_GRACE,
        suspend: Duration::from_secs(manager.suspend_time_on_unacceptable.into()),
        use_io_uring: manager.use_io_uring,
        ..RuntimeOptions::default()
    }
}

/// One line for each thing in a configuration that does not do what the file says, or hardly what is meant.
fn remark(configuration: &Configuration, logger: &Logger) {
    warn(&configuration.without_effect(), logger);
    warn(&configuration.warnings(), logger);
    for note in configuration.notes() {
        logger.log(LogLevel::INFO, || format!("[configuration] {note}"));
    }
}

/// One line for each socket that `who` serves may not connect to. One that is missing may come.
fn warn_of_closed(configuration: &Configuration, who: &Who, options: &Options, logger: &Logger) {
    if options.root.is_some() {
        return;
    }
    for closed in who.cannot_reach(configuration).into_iter().filter(|unreachable| !unreachable.is_missing) {
        logger.warning(|| format!("[configuration] {}", closed.text));
    }
}

/// What the files have told with `Milter::Logger`.
fn relay(messages: &[Message], logger: &Logger) {
    for message in messages {
        logger.log(sentences::level_of_remark(message.level), || {
            let place = message.location.as_ref().map_or(String::new(), |place| format!("{place}: "));
            format!("[configuration] {place}{}", printable(message.text.as_bytes()))
        });
    }
}

fn warn(remarks: &[impl Display], logger: &Logger) {
    for remark in remarks {
        logger.warning(|| format!("[configuration] {remark}"));
    }
}

/// What a reload needs.
struct Reloading<'r> {
    current: &'r Current,
    watch: &'r Watch,
    launcher: Option<&'r Launcher>,
    options: &'r Options,
    reloads: &'r Reloads,
    loads: &'r Loads,
    /// The configuration of the start, some of which holds until the end.
    started: &'r Configuration,
}

/// Does what signals say, until the server has stopped.
fn obey(mut signals: Signals, handle: &Handle, reloading: &Reloading<'_>, logger: &Logger) {
    let mut stopping = false;
    for signal in signals.forever() {
        match signal {
            SIGHUP => {
                supervisor::reloading(logger);
                let waiting = reloading.reloads.take();
                let outcome = reload(reloading, logger);
                supervisor::ready(logger);
                let_go_of_code();
                for told in waiting {
                    // Who has asked may be gone.
                    let _ = told.send(outcome.clone());
                }
            }
            SIGUSR1 => logger.reopen(),
            SIGUSR2 => tell_state(handle, logger),
            _ if stopping => {
                logger.message(|| "[stop] told again: closing the running sessions".to_owned());
                handle.stop_now();
            }
            _ => {
                stopping = true;
                supervisor::stopping(logger);
                let sessions = handle.sessions();
                logger.message(|| {
                    format!(
                        "[stop] no further connections; {} may finish within {} s",
                        crate::count(sessions as usize, "session"),
                        STOP_GRACE.as_secs()
                    )
                });
                handle.stop();
            }
        }
    }
}

/// One line for what runs, and one for each address of a milter that was asked for.
fn tell_state(handle: &Handle, logger: &Logger) {
    logger.message(|| format!("[state] {}", crate::count(handle.sessions() as usize, "session")));
    let now = handle.now();
    for state in handle.children() {
        logger.message(|| sentences::state(&state, now));
    }
}

/// Loads the configuration again for new sessions. One with problems is refused and the old one stays. Returns the problems.
fn reload(reloading: &Reloading<'_>, logger: &Logger) -> Vec<String> {
    let &Reloading { current, watch, launcher, options, started, loads, .. } = reloading;
    let mut loaded = crate::load(&options.load_options(), options);
    if loaded.problems.is_empty() {
        loaded.problems = loaded.unsure(&current.configuration());
    }
    let problems = if loaded.problems.is_empty() {
        match current.replace(&loaded.configuration) {
            Ok(()) => {
                if let Err(error) = watch.replaced() {
                    logger.warning(|| format!("[resolve] host names are not looked up again: {error}"));
                }
                if let Some(launcher) = launcher {
                    launcher.reload();
                }
                logger.configure(&loaded.configuration.log);
                relay(&loaded.messages, logger);
                remark(&loaded.configuration, logger);
                warn_of_closed(&loaded.configuration, &Who::this_process(), options, logger);
                warn(&loaded.configuration.waiting_for_restart(started), logger);
                logger.message(|| "[reload] done; running sessions keep the old configuration".to_owned());
                loads.note(loaded.files, &Vec::new());
                return Vec::new();
            }
            Err(problems) => problems,
        }
    } else {
        loaded.problems
    };
    for problem in &problems {
        logger.error(|| format!("[reload][error] {}", problem.to_string().replace('\n', " | ")));
    }
    logger.error(|| {
        format!("[reload] refused, the old configuration stays: {}", crate::count(problems.len(), "problem"))
    });
    let problems = problems.iter().map(Problem::to_string).collect();
    loads.note(loaded.files, &problems);
    problems
}

/// A file that would get longer than `RLIMIT_FSIZE` allows is an error of writing it, and not the end of the process.
fn keep_running_at_the_file_size_limit() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map(drop)
}

fn raise_descriptor_limit(limit: u32, logger: &Logger) {
    if limit > 0
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, limit.into(), limit.into())
    {
        logger.warning(|| format!("[start] manager.max_file_descriptors = {limit} cannot be had: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_says_about_serving_reaches_the_runtime() {
        let mut configuration = Configuration::default();
        assert!(runtime_options(&configuration).use_io_uring);

        let manager = &mut configuration.manager;
        manager.n_workers = 3;
        manager.max_connections = 7;
        manager.suspend_time_on_unacceptable = 11;
        manager.use_io_uring = false;

        let expected = RuntimeOptions {
            loops: 3,
            max_sessions: 7,
            suspend: Duration::from_secs(11),
            use_io_uring: false,
            ..RuntimeOptions::default()
        };
        assert_eq!(runtime_options(&configuration), expected);
    }
}
