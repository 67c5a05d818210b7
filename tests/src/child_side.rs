//! A child milter inside the test process: scripted, and a witness of what reached it.

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::wire::{ALL_ACTIONS, Address, Frame};

/// What a child answers to a command that is owed an answer.
pub type Script = dyn Fn(&Frame) -> Vec<Frame> + Send + Sync;

/// What a child asks for in its answer to the negotiation, beyond all actions that it is offered.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// Protocol flags.
    pub flags: u32,
    /// Macro lists: number of the stage (CONNECT 0, HELO 1, MAIL 2, RCPT 3, DATA 4, end of message 5, end of headers 6) and names.
    pub macros: &'static [(u32, &'static str)],
}

/// A child that listens until the test process ends.
#[derive(Debug, Clone)]
pub struct ChildSide {
    socket: PathBuf,
    seen: Arc<Mutex<Vec<Frame>>>,
    over: Arc<AtomicUsize>,
}

impl ChildSide {
    /// Listens on a unix socket and answers everything with `c`.
    ///
    /// # Panics
    /// When the socket cannot be made.
    #[must_use]
    pub fn agreeing(socket: &Path) -> Self {
        Self::scripted(socket, |_| vec![Frame::new(b'c', [])])
    }

    /// The same with other answers. The script is asked for every command but `O`, `D`, `A`, `Q` and `K`.
    ///
    /// # Panics
    /// When the socket cannot be made.
    #[must_use]
    pub fn scripted(socket: &Path, script: impl Fn(&Frame) -> Vec<Frame> + Send + Sync + 'static) -> Self {
        Self::wishing(socket, Wishes::default(), script)
    }

    /// The same with wishes at the negotiation.
    ///
    /// # Panics
    /// When the socket cannot be made.
    #[must_use]
    pub fn wishing(
        socket: &Path,
        wishes: Wishes,
        script: impl Fn(&Frame) -> Vec<Frame> + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(socket).expect("a socket can be made");
        // The manager does not serve as root and has to reach it.
        std::fs::set_permissions(socket, std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .expect("its mode can be set");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let over = Arc::new(AtomicUsize::new(0));
        let child = Self { socket: socket.to_owned(), seen: Arc::clone(&seen), over: Arc::clone(&over) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, script, over) = (Arc::clone(&seen), Arc::clone(&script), Arc::clone(&over));
                thread::spawn(move || {
                    serve(stream, wishes, &seen, &*script);
                    over.fetch_add(1, Ordering::Release);
                });
            }
        });
        child
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::Unix(self.socket.clone())
    }

    /// All frames of all its connections, in the order they came.
    #[must_use]
    pub fn seen(&self) -> Vec<Frame> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many of its connections have ended: all that came over them has been seen.
    #[must_use]
    pub fn connections_over(&self) -> usize {
        self.over.load(Ordering::Acquire)
    }
}

fn serve(mut stream: UnixStream, wishes: Wishes, seen: &Mutex<Vec<Frame>>, script: &Script) {
    while let Ok(Some(frame)) = Frame::read(&mut stream) {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(frame.clone());
        let answers = match frame.letter {
            b'O' => {
                let [version, actions, _] = frame.negotiated().unwrap_or([6, 0, 0]);
                let mut answer = Frame::negotiation(version.min(6), actions & ALL_ACTIONS, wishes.flags);
                for (stage, names) in wishes.macros {
                    answer.payload.extend_from_slice(&stage.to_be_bytes());
                    answer.payload.extend_from_slice(names.as_bytes());
                    answer.payload.push(0);
                }
                vec![answer]
            }
            b'D' | b'A' | b'K' => Vec::new(),
            b'Q' => return,
            _ => script(&frame),
        };
        for answer in answers {
            if stream.write_all(&answer.bytes()).is_err() {
                return;
            }
        }
    }
}
