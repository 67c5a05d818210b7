//! A tap in the connection between MTA and manager: every frame of both ends, in the order in which they were sent.

use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use millstream_tests::wire::Frame;

/// Whose frame it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Mta,
    Manager,
}

type Frames = Arc<Mutex<Vec<(End, Frame)>>>;

/// The tap. It stays until the test process ends.
#[derive(Debug)]
pub(crate) struct Tap {
    frames: Frames,
}

impl Tap {
    /// Takes the place of the socket, on which the manager already listens.
    pub(crate) fn at(socket: &Path) -> Self {
        let behind = socket.with_extension("behind");
        fs::rename(socket, &behind).expect("a socket can be moved");
        let listener = UnixListener::bind(socket).expect("its place is free");
        fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).expect("its mode can be set");
        let frames = Frames::default();
        let shared = Arc::clone(&frames);
        thread::spawn(move || {
            for mta in listener.incoming().flatten() {
                let Ok(manager) = UnixStream::connect(&behind) else { continue };
                for (end, from, to) in [(End::Mta, &mta, &manager), (End::Manager, &manager, &mta)] {
                    let from = from.try_clone().expect("a second handle can be had");
                    let to = to.try_clone().expect("a second handle can be had");
                    let frames = Arc::clone(&shared);
                    thread::spawn(move || hand_on(end, from, to, &frames));
                }
            }
        });
        Self { frames }
    }

    /// All so far.
    pub(crate) fn frames(&self) -> Vec<(End, Frame)> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn hand_on(end: End, mut from: UnixStream, mut to: UnixStream, frames: &Frames) {
    while let Ok(Some(frame)) = Frame::read(&mut from) {
        let bytes = frame.bytes();
        // Noted first: what the other end says to it is noted later.
        frames.lock().unwrap_or_else(PoisonError::into_inner).push((end, frame));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // The other end may have gone already.
    let _ = to.shutdown(Shutdown::Write);
}
