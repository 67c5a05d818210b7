//! `milter-test-client`: a milter that prints what it is told and does what its options say.

mod behaviour;
mod options;
mod report;
mod session;

use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use behaviour::Behaviour;
use millstream_service::{Acceptor, Settings, UnixPlace, listen};
use options::Options;
use session::Session;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use socket2::Socket;

use crate::program;

/// What its options are called.
const SETTINGS: Settings = program::settings("milter-test-client");

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
    let stop = signals().map_err(|error| error.to_string())?;
    let place = UnixPlace {
        mode: options.unix_socket_mode,
        group: None,
        remove_on_create: true,
        remove_on_close: true,
        settings: &SETTINGS,
    };
    let mut bound = listen(&spec, &place).map_err(|error| error.to_string())?;
    let acceptor = Acceptor::new(std::mem::take(&mut bound.listeners), stop);
    let served = acceptor.map(|acceptor| accept(options, behaviour, &acceptor));
    // Who has removed it meanwhile has done our work.
    let _ = bound.remove_socket_file();
    served.map_err(|error| error.to_string())
}

/// Can be read once there was one that says stop.
fn signals() -> io::Result<UnixStream> {
    let (word, stop) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        pipe::register(signal, word.try_clone()?)?;
    }
    Ok(stop)
}

/// A thread for each connection.
fn accept(options: &Options, behaviour: &Behaviour, acceptor: &Acceptor) {
    thread::scope(|scope| {
        loop {
            match acceptor.accept() {
                Ok(Some(socket)) => {
                    scope.spawn(move || {
                        let socket = Socket::from(socket);
                        let session = Session::new(behaviour, options.no_report_request, &socket);
                        if let Err(error) = session.serve() {
                            program::print(format!("ERROR: {error}\n").as_bytes());
                        }
                    });
                }
                Ok(None) => break,
                // Out of descriptors: the sessions that run give some back.
                Err(error) => {
                    program::print(format!("ERROR: cannot accept a connection: {error}\n").as_bytes());
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
    });
}
