//! `milter-trace`: stands between an MTA and a milter and shows what they say.
//!
//! Two threads for each connection carry its bytes, each in one direction; what they have carried is shown by a
//! [`Timeline`] that both share.
//!
//! A signal lets nobody else in, and the sessions go on to their ends; a second one ends the program at once.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::{ArgAction, CommandFactory as _, Parser};
use millstream_config::ConnectionSpec;
use millstream_service::{Acceptor, Settings, UnixPlace, listen, parse_socket_mode};
use socket2::Socket;

use crate::connection;
use crate::mask::{self, Mask};
use crate::program;
use crate::record::{self, Direction, Entry, Recorder};
use crate::timeline::Timeline;

/// What its options are called.
const SETTINGS: Settings = program::settings("milter-trace");

/// As much is read at once.
const READ: usize = 64 << 10;

/// Connecting to the milter may take so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stands between an MTA and a milter, and shows each command with its answer and how long that took
#[derive(Debug, Clone, Parser)]
#[command(
    name = "milter-trace",
    disable_help_flag = true,
    disable_version_flag = true,
    version,
    args_override_self = true
)]
struct Options {
    /// Listen at SPEC, where the MTA or milter-manager connects: unix:PATH, inet:PORT@HOST or inet6:PORT@HOST
    #[arg(short = 's', long, value_name = "SPEC")]
    connection_spec: Option<String>,

    /// Let those use the unix socket that MODE names, up to three octal digits, or as in ug=rw
    #[arg(long, value_name = "MODE", default_value = "660", value_parser = parse_socket_mode)]
    unix_socket_mode: u32,

    /// The milter's own socket
    #[arg(short = 'm', long, value_name = "SPEC")]
    milter: Option<String>,

    /// Write each session into a file DIRECTORY/session-N.txt, which milter-test-server can play again
    #[arg(long, value_name = "DIRECTORY")]
    record: Option<PathBuf>,

    /// Take out of the records: addresses, body
    #[arg(long, value_name = "WHAT,...", value_delimiter = ',', requires = "record")]
    mask: Vec<Mask>,

    /// End after N sessions
    #[arg(long, value_name = "N")]
    sessions: Option<usize>,

    /// Print the version
    #[arg(long, action = ArgAction::Version)]
    version: Option<bool>,

    /// Print this
    #[arg(short = 'h', long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// Its options.
#[must_use]
pub fn command() -> clap::Command {
    Options::command()
}

/// Runs the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match program::parse::<Options>(command(), arguments) {
        Ok((options, _)) => options,
        Err(ending) => return ending,
    };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => program::fail(&message),
    }
}

fn serve(options: &Options) -> Result<(), String> {
    let spec = |text: &Option<String>, option: &str| {
        let text = text.as_deref().ok_or_else(|| format!("{option} is missing: see --help"))?;
        program::connection_spec(text)
    };
    let (here, milter) =
        (spec(&options.connection_spec, "--connection-spec")?, spec(&options.milter, "--milter")?);
    let place = UnixPlace {
        mode: options.unix_socket_mode,
        group: None,
        remove_on_create: true,
        remove_on_close: true,
        settings: &SETTINGS,
    };
    let mut bound = listen(&here, &place).map_err(|error| error.to_string())?;
    let signals = |error: io::Error| format!("signals cannot be heard: {error}");
    // Before the other one, so that who hears that one can send the second.
    let _stopped = program::stop_flag().map_err(signals)?;
    let stop = program::stop_word().map_err(signals)?;
    let acceptor =
        Acceptor::new(std::mem::take(&mut bound.listeners), stop).map_err(|error| error.to_string())?;
    program::print(format!("listening at {here}, in front of {milter}\n").as_bytes());
    thread::scope(|scope| {
        let mut number = 0;
        while options.sessions.is_none_or(|most| number < most) {
            let mta = match acceptor.accept() {
                Ok(Some(mta)) => Socket::from(mta),
                Ok(None) => break,
                // Out of descriptors: the sessions that run give some back.
                Err(error) => {
                    program::print(format!("cannot accept a connection: {error}\n").as_bytes());
                    thread::sleep(Duration::from_millis(100));
                    continue;
                }
            };
            number += 1;
            let milter = &milter;
            scope.spawn(move || session(options, number, &mta, milter));
        }
        // Nobody else is to come while the last sessions go on to their ends. Who has removed it meanwhile has done our work.
        drop(acceptor);
        let _ = bound.remove_socket_file();
    });
    Ok(())
}

/// What both threads of a session share.
struct Shared {
    number: usize,
    begin: Instant,
    state: Mutex<State>,
}

struct State {
    recorder: Recorder,
    timeline: Timeline,
    entries: Option<Vec<Entry>>,
}

fn session(options: &Options, number: usize, mta: &Socket, spec: &ConnectionSpec) {
    let milter = match connection::socket(spec, PATIENCE) {
        Ok(milter) => milter,
        Err(error) => {
            // The MTA sees what it would see without this program.
            program::print(format!("[{number}] {error}\n").as_bytes());
            return;
        }
    };
    let state = State {
        recorder: Recorder::default(),
        timeline: Timeline::default(),
        entries: options.record.as_ref().map(|_| Vec::new()),
    };
    let shared = Shared { number, begin: Instant::now(), state: Mutex::new(state) };
    thread::scope(|scope| {
        scope.spawn(|| carry(&shared, Direction::FromMilter, &milter, mta));
        carry(&shared, Direction::ToMilter, mta, &milter);
    });
    let mut state = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    show(number, &state.timeline.end());
    if let (Some(folder), Some(mut entries)) = (&options.record, state.entries.take()) {
        mask::mask(&mut entries, &options.mask);
        let file = folder.join(format!("session-{number}.txt"));
        if let Err(error) = record::save(&entries, &file) {
            program::print(
                format!("[{number}] {}: the record cannot be written: {error}\n", file.display()).as_bytes(),
            );
        }
    }
}

/// Carries bytes until one side has no more.
fn carry(shared: &Shared, direction: Direction, mut from: &Socket, mut to: &Socket) {
    let mut buffer = vec![0; READ];
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        let seconds = shared.begin.elapsed().as_secs_f64();
        // First, so that an answer never stands before its command.
        shared.note(seconds, direction, &buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // Both directions: who has closed will not read either, and the other has to know.
    for socket in [from, to] {
        // One whose peer has gone cannot be shut down, and need not.
        let _ = socket.shutdown(Shutdown::Both);
    }
}

impl Shared {
    fn note(&self, seconds: f64, direction: Direction, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { recorder, timeline, entries } = &mut *state;
        match recorder.pass(seconds, direction, bytes) {
            Ok(passed) => {
                let lines: Vec<String> = passed.iter().flat_map(|entry| timeline.pass(entry)).collect();
                show(self.number, &lines);
                if let Some(entries) = entries {
                    entries.extend(passed);
                }
            }
            Err(error) => show(self.number, &[format!("{seconds:>10.6}  what is no frame: {error}")]),
        }
    }
}

fn show(number: usize, lines: &[String]) {
    let text: String = lines.iter().map(|line| format!("[{number}] {line}\n")).collect();
    program::print(text.as_bytes());
}
