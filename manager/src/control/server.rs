//! The manager's end of the control socket: a thread that accepts, and a few that answer.
//!
//! Nothing here touches an event loop but with a message to its mailbox. A client that says nothing, or does not read, is left
//! after [`PATIENCE`]; who comes while all places are taken waits in the listener's queue for so long at most.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, Builder};
use std::time::Duration;

use millstream_config::Controller;
use millstream_service::{SocketFile, UnixPlace, listen_unix};

use super::desk::Desk;
use super::wire::{Frame, Timed};
use crate::log::{Logger, printable};
use crate::settings::CONTROLLER;

/// Clients that are answered at a time.
const PLACES: usize = 8;
/// How long the request of a client may take, and then its reading of the reply, in all.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest request, in bytes: a word or two.
const LONGEST: u32 = 4096;
/// How long nothing is accepted after that has failed, as without descriptors: it would only fail again.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens where `settings` say, if they do. That it cannot is told, and the manager goes on without. Returns the socket to
/// remove at the end.
pub(crate) fn start(settings: &Controller, desk: Arc<Desk>, log: &Logger) -> Option<SocketFile> {
    let spec = settings.connection_spec.as_ref()?;
    let Some(path) = spec.unix_path() else {
        log.error(|| {
            format!(
                "[control] {spec} is not listened at: whoever reaches a port could reload, and read the configuration. \
                 Set controller.connection_spec = \"unix:PATH\""
            )
        });
        return None;
    };
    let place = UnixPlace {
        mode: settings.unix_socket_mode,
        group: settings.unix_socket_group.as_deref(),
        remove_on_create: settings.remove_unix_socket_on_create,
        remove_on_close: settings.remove_unix_socket_on_close,
        settings: &CONTROLLER,
    };
    let listened = listen_unix(path, &spec.to_string(), &place).map_err(|error| error.to_string());
    let started = listened.and_then(|(listener, file)| {
        let log = log.clone();
        let serve = move || serve(&listener, &desk, &log);
        let thread = Builder::new().name("control".to_owned()).spawn(serve);
        thread.map(|_| file).map_err(|error| format!("no thread: {error}"))
    });
    match started {
        Ok(file) => {
            log.message(|| format!("[control] listening at {spec}"));
            Some(file)
        }
        Err(error) => {
            log.error(|| format!("[control] {error}; the manager serves without it"));
            None
        }
    }
}

/// A client's place, which is given back when it is gone.
struct Place(Sender<()>);

impl Drop for Place {
    fn drop(&mut self) {
        // Without the thread that accepts nobody needs one.
        let _ = self.0.send(());
    }
}

/// Accepts, for as long as the process lives.
fn serve(listener: &UnixListener, desk: &Arc<Desk>, log: &Logger) {
    let (free, places) = channel();
    for _ in 0..PLACES {
        drop(Place(free.clone()));
    }
    while places.recv().is_ok() {
        let place = Place(free.clone());
        let (desk, own_log) = (Arc::clone(desk), log.clone());
        let begun = listener.accept().and_then(|(stream, _)| {
            Builder::new().name("control-client".to_owned()).spawn(move || {
                let _place = place;
                if let Err(error) = converse(&stream, &desk) {
                    own_log.debug(|| format!("[control] a client was left: {error}"));
                }
            })
        });
        if let Err(error) = begun {
            log.warning(|| format!("[control] a client cannot be answered: {error}"));
            thread::sleep(PAUSE);
        }
    }
}

/// Answers one client until it goes, or is left.
fn converse(stream: &UnixStream, desk: &Desk) -> io::Result<()> {
    loop {
        match Frame::read(&mut Timed::new(stream, PATIENCE), LONGEST) {
            Ok(None) => return Ok(()),
            Ok(Some(request)) => {
                let reply = desk.answer(&request);
                reply.write(&mut Timed::new(stream, PATIENCE))?;
            }
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    let text = format!("not understood: {error}");
                    // Who sends that may read or not.
                    let _ = Frame::new("error", text).write(&mut Timed::new(stream, PATIENCE));
                }
                return Err(error);
            }
        }
    }
}

/// What is said to who asks for something that is not there.
pub(super) fn unknown(word: &[u8]) -> Frame {
    let text = match word {
        b"set-configuration" => {
            "set-configuration is not there: edit the configuration, then --control reload".to_owned()
        }
        b"stop-child" => {
            "stop-child is not there: set milter.enabled = false for it, then --control reload".to_owned()
        }
        other => format!(
            "no such command: {}; there are reload, status, config, children and sessions",
            printable(other)
        ),
    };
    Frame::new("error", text)
}
