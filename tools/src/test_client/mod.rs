//! `milter-test-client`: a milter that prints what it is told and does what its options say.

mod behaviour;
mod log;
mod options;
mod report;
mod serve;
mod session;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory as _;
use millstream_service::start_behind;
use options::Options;

use crate::program;

/// The program's name.
const NAME: &str = "milter-test-client";

/// Its options.
#[must_use]
pub fn command() -> clap::Command {
    Options::command().mut_args(|option| match option.get_id().as_str() {
        "n_workers" => option.help("Taken for milter manager's sake: each session has a thread"),
        "event_loop_backend" => option.help("Taken for milter manager's sake: there is none"),
        "no_daemon" => option.help("Stay in the foreground"),
        "unix_socket_mode" => option.help(
            "Let those use the unix socket that MODE names: up to three octal digits, or as in ug=rw [default: 660]",
        ),
        "syslog" => option.help("Log to syslog, too"),
        _ => option,
    })
}

/// Runs the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (options, matches) = match program::parse::<Options>(command(), arguments) {
        Ok(parsed) => parsed,
        Err(ending) => return ending,
    };
    // In the background it has been told already.
    for argument in options.ignored.iter().filter(|_| !options.service.detached()) {
        program::complain(NAME, &format!("not an option, and ignored: {}", argument.display()));
    }
    let behaviour = match options.behaviour(&matches) {
        Ok(behaviour) => behaviour,
        Err(message) => return program::fail(&message),
    };
    if options.service.daemon(false) && !options.service.detached() {
        return start_behind()
            .unwrap_or_else(|error| program::fail(&format!("failed to daemonize: {error}")));
    }
    match serve::serve(&options, &behaviour) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => program::fail(&message),
    }
}
