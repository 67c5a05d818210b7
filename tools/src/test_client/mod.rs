//! `milter-test-client`: a milter that prints what it is told and does what its options say.

mod behaviour;
mod options;
mod report;
mod session;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use behaviour::Behaviour;
use options::Options;
use session::Session;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::listener::Listener;
use crate::program;

/// Runs the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (options, matches) = match program::parse::<Options>(arguments) {
        Ok(parsed) => parsed,
        Err(ending) => return ending,
    };
    if options.version {
        program::print(format!("{}\n", env!("CARGO_PKG_VERSION")).as_bytes());
        return ExitCode::SUCCESS;
    }
    let result = options.behaviour(&matches).and_then(|behaviour| serve(&options, &behaviour));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => program::fail(&message),
    }
}

/// Serves until INT or TERM, and then the sessions that are running.
fn serve(options: &Options, behaviour: &Behaviour) -> Result<(), String> {
    let spec = program::connection_spec(&options.connection_spec)?;
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| error.to_string())?;
    let handle = signals.handle();
    let listener = Listener::bind(&spec, options.unix_socket_mode)?;
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            if signals.forever().next().is_some() {
                stopped.store(true, Ordering::Release);
                listener.stop();
            }
        });
        loop {
            match listener.accept() {
                Ok(socket) => {
                    scope.spawn(move || {
                        let session = Session::new(behaviour, options.no_report_request, &socket);
                        if let Err(error) = session.serve() {
                            program::print(format!("ERROR: {error}\n").as_bytes());
                        }
                    });
                }
                Err(_) if stopped.load(Ordering::Acquire) => break,
                // Out of descriptors: the sessions that run give some back.
                Err(error) => {
                    program::print(format!("ERROR: cannot accept a connection: {error}\n").as_bytes());
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
        handle.close();
    });
    Ok(())
}
