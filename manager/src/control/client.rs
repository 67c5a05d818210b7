//! `--control`: the other end of the socket, for people and scripts.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use millstream_config::Loaded;

use super::wire::{Frame, Timed};
use super::{Command, Form};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same for a reload, which may have to wait for name servers.
const RELOAD_PATIENCE: Duration = Duration::from_secs(300);
/// The longest answer, in bytes.
const LONGEST: u32 = 64 << 20;

/// Asks the manager that has the configuration `loaded`, and returns what it says.
///
/// # Errors
///
/// It does not answer, or says no: the text for the person at the terminal.
pub(crate) fn run(command: Command, json: bool, loaded: &Loaded) -> Result<String, String> {
    let Some(spec) = &loaded.configuration.controller.connection_spec else {
        let mut text = "there is no control socket: controller.connection_spec is not set. Put\n    \
                        controller.connection_spec = \"unix:/run/milter-manager/control.sock\"\n\
                        into the configuration, make that folder for the user who serves, and restart milter-manager"
            .to_owned();
        if let Some(problem) = loaded.problems.first() {
            text += &format!("\n(the configuration has problems, the first one: {problem})");
        }
        return Err(text);
    };
    let Some(path) = spec.unix_path() else {
        return Err(format!(
            "{spec}: only a unix socket is served: set controller.connection_spec = \"unix:PATH\""
        ));
    };
    let stream = UnixStream::connect(path).map_err(|error| not_connected(path, &error))?;
    let form = if json { Form::Json } else { Form::Text };
    let data = if form == Form::Json { "json" } else { "" };
    let patience = if command == Command::Reload { RELOAD_PATIENCE } else { PATIENCE };
    let mut connection = Timed::new(&stream, patience);
    Frame::new(command.name(), data).write(&mut connection).map_err(|error| unanswered(path, &error))?;
    let reply = Frame::read(&mut connection, LONGEST).map_err(|error| unanswered(path, &error))?;
    let reply = reply.ok_or_else(|| {
        format!("{}: the manager has closed the connection without an answer", path.display())
    })?;
    let text = String::from_utf8_lossy(&reply.data).into_owned();
    // What is for machines goes where they read, good or not.
    if matches!(&reply.word[..], b"error" | b"failure") { Err(text) } else { Ok(text) }
}

fn not_connected(path: &Path, error: &io::Error) -> String {
    let place = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "{place} is not there: milter-manager does not run, runs with another configuration, or could not listen \
             there (its log says: [control])"
        ),
        io::ErrorKind::ConnectionRefused => {
            format!("{place}: nobody listens there any more; milter-manager does not run")
        }
        io::ErrorKind::PermissionDenied => format!(
            "{place}: permission denied. Become root, the user as whom milter-manager runs, or a member of \
             controller.unix_socket_group"
        ),
        _ => format!("{place}: {error}"),
    }
}

fn unanswered(path: &Path, error: &io::Error) -> String {
    let place = path.display();
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            format!("{place}: milter-manager does not answer in time")
        }
        _ => format!("{place}: {error}"),
    }
}
