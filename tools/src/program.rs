//! What the programs have in common: their command lines, and how they end.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::error::ErrorKind;
use clap::{Command, FromArgMatches};
use millstream_config::{ConnectionSpec, SpecError};
use millstream_service::{Settings, complaint, with_help};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// Bad options, or nobody was reached.
pub const FAILED: u8 = 1;

/// What the options of the program `name` are called, for texts of its start.
#[must_use]
pub const fn settings(name: &'static str) -> Settings {
    Settings {
        program: name,
        connection_spec: "--connection-spec",
        unix_socket_group: "--unix-socket-group",
        // A socket at which nobody listens any more is always removed.
        remove_unix_socket_on_create: "",
        pid_file: "--pid-file",
        user: "--user",
        group: "--group",
    }
}

/// Reads a command line with the options of `command`, which are those of `T`.
///
/// # Errors
///
/// How the program ends when there is nothing to do: the help or the version was printed, or what is wrong, on standard output,
/// as the programs of milter manager do it.
pub fn parse<T: FromArgMatches>(
    command: Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(T, clap::ArgMatches), ExitCode> {
    let result = with_help(command.clone())
        .try_get_matches_from(arguments)
        .and_then(|matches| T::from_arg_matches(&matches).map(|options| (options, matches)));
    result.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp => {
            print(error.to_string().as_bytes());
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayVersion => {
            print(version(command.get_name()).as_bytes());
            ExitCode::SUCCESS
        }
        _ => fail(&complaint(&error, command)),
    })
}

/// What `--version` prints. Scripts know of milter manager's test client that it prints the number alone.
fn version(program: &str) -> String {
    let number = env!("CARGO_PKG_VERSION");
    if program == "milter-test-client" { format!("{number}\n") } else { format!("{program} {number}\n") }
}

/// A connection specification of a command line, where a path alone is one of a unix socket.
///
/// # Errors
///
/// What is wrong with it.
pub fn connection_spec(text: &str) -> Result<ConnectionSpec, String> {
    let text = if text.starts_with('/') { format!("unix:{text}") } else { text.to_owned() };
    text.parse().map_err(|error: SpecError| error.to_string())
}

/// Can be read once SIGINT or SIGTERM has come.
///
/// # Errors
///
/// The operating system refuses.
pub fn stop_word() -> io::Result<UnixStream> {
    let (word, stop) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        low_level::pipe::register(signal, word.try_clone()?)?;
    }
    Ok(stop)
}

/// Is set by the first SIGINT or SIGTERM; the second ends the program at once.
///
/// # Errors
///
/// The operating system refuses.
pub fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// Ends with what is wrong.
#[must_use]
pub fn fail(message: &str) -> ExitCode {
    print(format!("{}\n", message.trim_end()).as_bytes());
    ExitCode::from(FAILED)
}

/// A line for the person at the terminal. When there is nobody to read it, nothing can be done about that.
pub fn complain(program: &str, text: &str) {
    let _ = writeln!(std::io::stderr(), "{program}: {text}");
}

/// Writes to standard output, all at once: several sessions may want to. Who does not read it any more does not miss it.
pub fn print(text: &[u8]) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text).and_then(|()| output.flush());
}
