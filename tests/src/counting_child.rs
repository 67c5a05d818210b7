//! A milter that can be stopped and started again on its socket, and counts.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::wire::{ALL_ACTIONS, Frame};

/// What it does about a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Says this; nothing is fine, too.
    Say(Vec<Frame>),
    /// Closes the connection.
    Close,
}

/// `c`.
#[must_use]
pub fn agreed() -> Answer {
    Answer::Say(vec![Frame::new(b'c', [])])
}

/// A script that agrees to everything, as far as it is owed an answer.
#[must_use]
pub fn agree(_: usize, frame: &Frame) -> Answer {
    match frame.letter {
        b'D' | b'A' | b'K' => Answer::Say(Vec::new()),
        b'Q' => Answer::Close,
        _ => agreed(),
    }
}

/// It is asked for every command but `O`, with the number of the connection, from 0.
type Script = dyn Fn(usize, &Frame) -> Answer + Send + Sync;

/// The milter.
#[derive(Debug)]
pub struct Child {
    socket: PathBuf,
    facts: Arc<Facts>,
    running: Option<Running>,
}

struct Facts {
    script: Box<Script>,
    /// What it asks for when it negotiates.
    flags: AtomicU32,
    /// Whether it writes down what it sees.
    remembers: bool,
    accepted: AtomicUsize,
    open: AtomicUsize,
    seen: Mutex<Vec<(usize, Frame)>>,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.seen().iter()).finish()
    }
}

#[derive(Debug)]
struct Running {
    stop: Arc<AtomicBool>,
    streams: Arc<Mutex<BTreeMap<usize, UnixStream>>>,
    thread: JoinHandle<()>,
}

impl Child {
    /// It agrees to everything.
    ///
    /// # Panics
    /// When the socket cannot be made.
    #[must_use]
    pub fn agreeing(socket: &Path) -> Self {
        Self::scripted(socket, agree)
    }

    /// The script is asked for every command but `O`, with the number of the connection, from 0.
    ///
    /// # Panics
    /// When the socket cannot be made.
    #[must_use]
    pub fn scripted(socket: &Path, script: impl Fn(usize, &Frame) -> Answer + Send + Sync + 'static) -> Self {
        Self::new(socket, true, Box::new(script))
    }

    /// The same, without writing down what it sees: for more sessions than memory has room for.
    ///
    /// # Panics
    /// When the socket cannot be made.
    #[must_use]
    pub fn forgetful(
        socket: &Path,
        script: impl Fn(usize, &Frame) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::new(socket, false, Box::new(script))
    }

    fn new(socket: &Path, remembers: bool, script: Box<Script>) -> Self {
        let facts = Facts {
            script,
            flags: AtomicU32::new(0),
            remembers,
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            seen: Mutex::new(Vec::new()),
        };
        let mut child = Self { socket: socket.to_owned(), facts: Arc::new(facts), running: None };
        child.start();
        child
    }

    /// The protocol flags that it asks for from now on.
    pub fn asks_for(&self, flags: u32) {
        self.facts.flags.store(flags, Ordering::SeqCst);
    }

    /// Listens, again after [`stop`](Self::stop).
    ///
    /// # Panics
    /// When the socket cannot be made.
    pub fn start(&mut self) {
        let _ = fs::remove_file(&self.socket);
        let listener = UnixListener::bind(&self.socket).expect("a socket can be made");
        // The manager does not serve as root and has to reach it.
        fs::set_permissions(&self.socket, fs::Permissions::from_mode(0o666)).expect("its mode can be set");
        let stop = Arc::new(AtomicBool::new(false));
        let streams = Arc::new(Mutex::new(BTreeMap::new()));
        let (facts, stopped, kept) = (Arc::clone(&self.facts), Arc::clone(&stop), Arc::clone(&streams));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let number = facts.accepted.fetch_add(1, Ordering::SeqCst);
                facts.open.fetch_add(1, Ordering::SeqCst);
                lock(&kept).insert(number, stream.try_clone().expect("a second handle can be had"));
                let (facts, kept) = (Arc::clone(&facts), Arc::clone(&kept));
                thread::spawn(move || {
                    facts.serve(number, stream);
                    lock(&kept).remove(&number);
                    facts.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        self.running = Some(Running { stop, streams, thread });
    }

    /// Ends as a process that is killed: its socket stays, all connections are closed, and nobody listens.
    ///
    /// # Panics
    /// When the thread that listens has panicked.
    pub fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.stop.store(true, Ordering::SeqCst);
        // Lets it look.
        let _ = UnixStream::connect(&self.socket);
        running.thread.join().expect("it listens until now");
        for stream in std::mem::take(&mut *lock(&running.streams)).into_values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// How many connections it has accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.facts.accepted.load(Ordering::SeqCst)
    }

    /// How many of them it has not seen the end of.
    #[must_use]
    pub fn open(&self) -> usize {
        self.facts.open.load(Ordering::SeqCst)
    }

    /// The frames of a connection so far.
    #[must_use]
    pub fn frames(&self, connection: usize) -> Vec<Frame> {
        let seen = self.facts.seen();
        seen.iter().filter(|(number, _)| *number == connection).map(|(_, frame)| frame.clone()).collect()
    }

    /// Their letters, without macros.
    #[must_use]
    pub fn letters(&self, connection: usize) -> String {
        let frames = self.frames(connection);
        frames.iter().map(|frame| char::from(frame.letter)).filter(|&letter| letter != 'D').collect()
    }

    /// How many frames with this letter it has been sent on all connections.
    #[must_use]
    pub fn count(&self, letter: u8) -> usize {
        self.facts.seen().iter().filter(|(_, frame)| frame.letter == letter).count()
    }

    /// Whom it was told that clients are, in this order.
    #[must_use]
    pub fn clients(&self) -> Vec<String> {
        let seen = self.facts.seen();
        seen.iter().filter(|(_, frame)| frame.letter == b'C').map(|(_, frame)| frame.first_string()).collect()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Facts {
    fn seen(&self) -> MutexGuard<'_, Vec<(usize, Frame)>> {
        lock(&self.seen)
    }

    fn serve(&self, number: usize, mut stream: UnixStream) {
        while let Ok(Some(frame)) = Frame::read(&mut stream) {
            if self.remembers {
                self.seen().push((number, frame.clone()));
            }
            let answer = match frame.negotiated() {
                Some([version, actions, _]) => {
                    let flags = self.flags.load(Ordering::SeqCst);
                    Answer::Say(vec![Frame::negotiation(version.min(6), actions & ALL_ACTIONS, flags)])
                }
                None => (self.script)(number, &frame),
            };
            let Answer::Say(frames) = answer else { break };
            let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
            if stream.write_all(&bytes).is_err() {
                break;
            }
        }
        // The handle that is kept for stopping would hold it open.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
