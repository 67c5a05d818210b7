//! Stands before a milter, passes everything on, and counts.

use std::fs;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use millstream_tests::wire::Frame;

/// A relay. It listens until the test process ends.
#[derive(Debug)]
pub(crate) struct Relay {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicUsize,
    offers: AtomicUsize,
    messages: AtomicUsize,
}

impl Relay {
    /// Listens on `socket` for the milter at `milter`.
    pub(crate) fn start(socket: &Path, milter: &Path) -> Self {
        let listener = UnixListener::bind(socket).expect("a socket can be made");
        // The manager does not serve as root and has to reach it.
        fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).expect("its mode can be set");
        let counts = Arc::new(Counts::default());
        let (shared, milter) = (Arc::clone(&counts), milter.to_owned());
        thread::spawn(move || {
            for manager in listener.incoming().flatten() {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let milter = UnixStream::connect(&milter).expect("the milter listens");
                let answers = [&milter, &manager].map(|end| end.try_clone().expect("a second handle"));
                thread::spawn(move || {
                    let [mut from, mut to] = answers;
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
                let counts = Arc::clone(&shared);
                thread::spawn(move || counts.pass(manager, milter));
            }
        });
        Self { counts }
    }

    /// How often it was connected to.
    pub(crate) fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// How many offers it has passed on.
    pub(crate) fn offers(&self) -> usize {
        self.counts.offers.load(Ordering::SeqCst)
    }

    /// How many ends of messages.
    pub(crate) fn messages(&self) -> usize {
        self.counts.messages.load(Ordering::SeqCst)
    }
}

impl Counts {
    fn pass(&self, mut manager: UnixStream, mut milter: UnixStream) {
        while let Ok(Some(frame)) = Frame::read(&mut manager) {
            self.offers.fetch_add(usize::from(frame.letter == b'O'), Ordering::SeqCst);
            self.messages.fetch_add(usize::from(frame.letter == b'E'), Ordering::SeqCst);
            if milter.write_all(&frame.bytes()).is_err() {
                break;
            }
        }
        let _ = milter.shutdown(Shutdown::Write);
    }
}
