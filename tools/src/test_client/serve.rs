//! The milter's life: listen, give up root, go behind, serve, stop.

use std::fmt::Display;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use millstream_config::Overrides;
use millstream_service::{Acceptor, Behind, Bound, Identity, PidFile, Settings, UnixPlace, Wish, listen};
use socket2::Socket;

use super::NAME;
use super::behaviour::Behaviour;
use super::log::Log;
use super::options::Options;
use super::session::Session;
use crate::program;

/// What its options are called.
const SETTINGS: Settings = program::settings(NAME);

/// Who may use a unix socket when nothing is said, as milter manager's program has it.
const SOCKET_MODE: u32 = 0o660;

/// How long nothing is accepted after that has failed: the sessions that run give descriptors back.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until INT or TERM, and then the sessions that are running.
pub(super) fn serve(options: &Options, behaviour: &Behaviour) -> Result<(), String> {
    let behind =
        options.service.detached().then(Behind::leave_terminal).transpose().map_err(behind_failed)?;
    let spec = program::connection_spec(&options.connection_spec)?;
    let log = Log::open(&options.service)?;
    let Overrides { effective_user, effective_group, unix_socket_mode, unix_socket_group, pid_file, .. } =
        options.service.overrides();
    let wish =
        Wish { user: effective_user.as_deref(), group: effective_group.as_deref(), settings: &SETTINGS };
    let identity = wish.identity().map_err(text)?;
    if let Some(unheeded) = wish.unheeded() {
        log.warning(&unheeded);
    }
    let stop = program::stop_word().map_err(text)?;
    let place = UnixPlace {
        mode: unix_socket_mode.unwrap_or(SOCKET_MODE),
        group: unix_socket_group.as_deref(),
        remove_on_create: true,
        remove_on_close: true,
        settings: &SETTINGS,
    };
    let mut bound = listen(&spec, &place).map_err(text)?;
    let begun = begin(&mut bound, identity.as_ref(), stop, pid_file.as_deref(), behind);
    let served = begun.map(|(acceptor, pid_file)| {
        log.info(&format!("listening at {}", bound.place));
        accept(options, behaviour, &acceptor, &log);
        if let Some(Err((path, error))) = pid_file.map(PidFile::remove) {
            log.warning(&format!("cannot remove {}: {error}", path.display()));
        }
    });
    if let Some((path, error)) = bound.remove_socket_file() {
        log.warning(&format!("cannot remove {}: {error}", path.display()));
    }
    served
}

/// Everything between listening and the first connection.
fn begin(
    bound: &mut Bound,
    identity: Option<&Identity>,
    stop: UnixStream,
    pid_file: Option<&str>,
    behind: Option<Behind>,
) -> Result<(Acceptor, Option<PidFile>), String> {
    if let Some(identity) = identity {
        bound.give_to(identity.user.uid).map_err(text)?;
        identity.assume().map_err(text)?;
    }
    let pid_file =
        pid_file.map(|path| PidFile::write(Path::new(path), &SETTINGS)).transpose().map_err(text)?;
    let acceptor = Acceptor::new(std::mem::take(&mut bound.listeners), stop).map_err(text)?;
    behind.map(Behind::serves).transpose().map_err(behind_failed)?;
    Ok((acceptor, pid_file))
}

/// A thread for each connection.
fn accept(options: &Options, behaviour: &Behaviour, acceptor: &Acceptor, log: &Log) {
    thread::scope(|scope| {
        loop {
            match acceptor.accept() {
                Ok(Some(socket)) => {
                    scope.spawn(move || {
                        let socket = Socket::from(socket);
                        log.info("a session begins");
                        let session = Session::new(behaviour, options.no_report_request, &socket);
                        if let Err(error) = session.serve() {
                            log.error(&error.to_string());
                        }
                        log.info("a session has ended");
                        if options.report_memory_profile {
                            report_memory();
                        }
                    });
                }
                Ok(None) => break,
                Err(error) => {
                    log.error(&format!("cannot accept a connection: {error}"));
                    thread::sleep(PAUSE);
                }
            }
        }
    });
}

/// How much memory the process has, where the system has that in `/proc`.
fn report_memory() {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    if let Some(size) = size {
        program::print(format!("process: ({size}KB)\n").as_bytes());
    }
}

fn behind_failed(error: impl Display) -> String {
    format!("failed to daemonize: {error}")
}

fn text(error: impl Display) -> String {
    error.to_string()
}
